#include "common/npy.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <vector>

#include "base/checked.h"
#include "base/errors.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kAlignment = 64;  // of the data in the file, as NumPy does it

// What the header says of the elements.
struct ElementType {
  char kind = 0;  // 'f', 'i', 'S'...
  std::size_t size = 0;
  bool swapped = false;  // big-endian numbers
};

struct Header {
  ElementType type;
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

// Reads the header's text, a Python dictionary of three entries.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, std::string_view place) : text_(text), place_(place) {}

  Header parse() {
    Header header;
    expect('{');
    while (!take('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr") {
        header.type = parse_type();
      } else if (key == "fortran_order") {
        header.fortran_order = boolean();
      } else if (key == "shape") {
        header.shape = tuple();
      } else {
        fail(cat("unknown key ", printable(key)));
      }
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    if (header.type.kind == 0) fail("no descr");
    return header;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw data_loss("A .npy file begins with a header that describes the array. Details: ", place_,
                    ": ", what, " in ", printable(text_), ".");
  }

  void skip_spaces() {
    const std::size_t start = text_.find_first_not_of(" \t\n");
    text_.remove_prefix(std::min(start, text_.size()));
  }
  bool take(char wanted) {
    skip_spaces();
    if (!text_.starts_with(wanted)) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char wanted) {
    if (!take(wanted)) fail(cat("no '", wanted, "'"));
  }
  bool take_word(std::string_view word) {
    skip_spaces();
    if (!text_.starts_with(word)) return false;
    text_.remove_prefix(word.size());
    return true;
  }

  std::string_view quoted() {
    skip_spaces();
    if (text_.empty() || (text_[0] != '\'' && text_[0] != '"')) fail("no quoted text");
    const std::size_t end = text_.find(text_[0], 1);
    if (end == std::string_view::npos) fail("an open quote");
    const std::string_view inside = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return inside;
  }

  bool boolean() {
    if (take_word("True")) return true;
    if (take_word("False")) return false;
    fail("no True or False");
  }

  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> result;
    expect('(');
    while (!take(')')) {
      skip_spaces();
      std::int64_t value = 0;
      const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
      if (error != std::errc() || value < 0) fail("no dimension");
      text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
      take_word("L");  // Python 2 wrote long integers so
      result.push_back(value);
      if (!take(',')) {
        expect(')');
        break;
      }
    }
    if (result.size() > static_cast<std::size_t>(Shape::kMaxRank)) fail("too many dimensions");
    return result;
  }

  ElementType parse_type() {
    skip_spaces();
    if (text_.starts_with('[')) {
      throw unimplemented("An array holds numbers, bools or strings. Details: ", place_,
                          " holds records.");
    }
    const std::string_view text = quoted();
    ElementType type;
    if (text.size() < 2) fail("no element type");
    type.swapped = text[0] == '>';
    type.kind = text[1];
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + 2, end, type.size);
    if (type.kind == 'O') {
      throw unimplemented("An array holds numbers, bools or strings. Details: ", place_,
                          " holds Python objects; save it with a dtype, such as "
                          "np.array(values, dtype='S').");
    }
    if (std::string_view("<>|=").find(text[0]) == std::string_view::npos ||
        parsed.ec != std::errc() || parsed.ptr != end) {
      fail("no element type");
    }
    return type;
  }

  std::string_view text_;
  std::string_view place_;
};

DType dtype_of_elements(const ElementType& type, std::string_view place) {
  static constexpr struct {
    char kind;
    std::size_t size;
    DType dtype;
  } kTypes[] = {
      {'f', 2, DType::kFloat16},   {'f', 4, DType::kFloat32},     {'f', 8, DType::kFloat64},
      {'i', 1, DType::kInt8},      {'i', 2, DType::kInt16},       {'i', 4, DType::kInt32},
      {'i', 8, DType::kInt64},     {'u', 1, DType::kUint8},       {'u', 2, DType::kUint16},
      {'u', 4, DType::kUint32},    {'u', 8, DType::kUint64},      {'b', 1, DType::kBool},
      {'c', 8, DType::kComplex64}, {'c', 16, DType::kComplex128},
  };
  for (const auto& known : kTypes) {
    if (known.kind == type.kind && known.size == type.size) return known.dtype;
  }
  if (type.kind == 'S' || type.kind == 'U') return DType::kString;
  throw unimplemented("An array holds numbers, bools or strings. Details: ", place,
                      " has elements of NumPy's kind '", type.kind, "' and size ", type.size, ".");
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

// One element of a `U` array: four bytes a character, filled up with NULs.
std::string utf8_of_element(std::string_view bytes, bool swapped, std::string_view place) {
  std::vector<std::uint32_t> codes(bytes.size() / 4);
  if (!codes.empty()) std::memcpy(codes.data(), bytes.data(), bytes.size());
  if (swapped)
    std::ranges::transform(codes, codes.begin(),
                           [](std::uint32_t code) { return __builtin_bswap32(code); });
  while (!codes.empty() && codes.back() == 0) codes.pop_back();
  std::string result;
  for (const std::uint32_t code : codes) {
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
      throw data_loss("Text consists of Unicode characters. Details: ", place, " has the number ",
                      code, ".");
    }
    append_utf8(result, code);
  }
  return result;
}

void read_strings(std::string_view data, const ElementType& type, std::size_t size_bytes,
                  std::string_view place, std::span<std::string> out) {
  for (std::string& element : out) {
    const std::string_view bytes = data.substr(0, size_bytes);
    data.remove_prefix(size_bytes);
    if (type.kind == 'U') {
      element = utf8_of_element(bytes, type.swapped, place);
    } else {
      element = bytes.substr(0, bytes.find_last_not_of('\0') + 1);
    }
  }
}

// Reverses the bytes of each number of `size` bytes.
void swap_bytes(std::span<std::byte> bytes, std::size_t size) {
  for (std::size_t at = 0; at + size <= bytes.size(); at += size) {
    std::ranges::reverse(bytes.subspan(at, size));
  }
}

// The same elements with the axes in the opposite order.
template <class T>
Tensor transposed(const Tensor& from, const Shape& shape) {
  Tensor result(from.dtype(), shape);
  const auto* in = static_cast<const T*>(from.raw_data());
  auto* out = static_cast<T*>(result.mutable_raw_data());
  std::vector<std::int64_t> at(static_cast<std::size_t>(shape.rank()), 0);
  for (std::int64_t i = 0; i < shape.num_elements(); ++i) {
    std::int64_t flat = 0;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      flat = flat * shape[axis] + at[static_cast<std::size_t>(axis)];
    }
    out[i] = in[flat];
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      if (++at[static_cast<std::size_t>(axis)] < shape[axis]) break;
      at[static_cast<std::size_t>(axis)] = 0;
    }
  }
  return result;
}

// Takes the header off `bytes`.
Header take_header(std::string_view& bytes, std::string_view place) {
  // magic, major and minor version, then the header's length in two bytes or, from version 2
  // on, in four.
  const std::size_t length_at = kMagic.size() + 2;
  if (!bytes.starts_with(kMagic) || bytes.size() < length_at + 4) {
    throw data_loss("A .npy file begins with \"\\x93NUMPY\". Details: ", place, " does not.");
  }
  const int major = static_cast<unsigned char>(bytes[kMagic.size()]);
  const std::size_t length_size = major == 1 ? 2 : 4;
  std::uint32_t length = 0;
  std::memcpy(&length, bytes.data() + length_at, length_size);
  bytes.remove_prefix(length_at + length_size);
  if (major < 1 || major > 3 || length > bytes.size()) {
    throw data_loss("A .npy file begins with its version and its header. Details: ", place,
                    " has version ", major, " and a header of ", length, " bytes.");
  }
  const Header header = HeaderParser(bytes.substr(0, length), place).parse();
  bytes.remove_prefix(length);
  return header;
}

}  // namespace

Tensor parse_npy(std::string_view bytes, std::string_view place) {
  const Header header = take_header(bytes, place);
  const DType dtype = dtype_of_elements(header.type, place);
  const Shape shape(header.shape);
  const std::size_t element_bytes =
      mul_or_throw<std::size_t>(header.type.size, header.type.kind == 'U' ? 4 : 1, "An element");
  const auto count = static_cast<std::size_t>(shape.num_elements());
  const auto wanted = checked_mul(count, element_bytes);
  if (!wanted || *wanted != bytes.size() || (element_bytes == 0 && count > 0)) {
    throw data_loss("A .npy file holds as many bytes as its header says. Details: ", place,
                    " of shape ", shape, ", ", element_bytes, " bytes each, has ", bytes.size(),
                    " bytes.");
  }
  std::vector<std::int64_t> stored_dims = header.shape;
  if (header.fortran_order) std::ranges::reverse(stored_dims);
  Tensor tensor(dtype, Shape(stored_dims));
  if (dtype == DType::kString) {
    read_strings(bytes, header.type, element_bytes, place, tensor.mutable_values<std::string>());
  } else if (dtype == DType::kBool) {
    std::ranges::transform(bytes, tensor.mutable_data<bool>(), [](char byte) { return byte != 0; });
  } else if (count > 0) {
    std::memcpy(tensor.mutable_raw_data(), bytes.data(), bytes.size());
    const std::size_t number_bytes = header.type.kind == 'c' ? element_bytes / 2 : element_bytes;
    if (header.type.swapped) swap_bytes(tensor.mutable_bytes(), number_bytes);
  }
  if (!header.fortran_order || shape.rank() < 2) return tensor;
  Tensor result;
  dispatch_by_size(dtype, [&]<class T>() { result = transposed<T>(tensor, shape); });
  return result;
}

namespace {

// NumPy's name of the elements ("<f4"), and their size in the file.
std::pair<std::string, std::size_t> described(const Tensor& tensor) {
  const DType dtype = storage_dtype(tensor.dtype());
  const std::size_t size = dtype_size(dtype);
  switch (dtype) {
    case DType::kString: {
      std::size_t longest = 1;
      for (const std::string& value : tensor.values<std::string>()) {
        if (value.ends_with('\0')) {
          throw invalid_argument("A .npy file cannot hold a string that ends in NUL.");
        }
        longest = std::max(longest, value.size());
      }
      return {cat("|S", longest), longest};
    }
    case DType::kBool: return {"|b1", 1};
    case DType::kInt8: return {"|i1", 1};
    case DType::kUint8: return {"|u1", 1};
    case DType::kInt16:
    case DType::kInt32:
    case DType::kInt64: return {cat("<i", size), size};
    case DType::kUint16:
    case DType::kUint32:
    case DType::kUint64:
    case DType::kBfloat16: return {cat("<u", size), size};
    case DType::kFloat16:
    case DType::kFloat32:
    case DType::kFloat64: return {cat("<f", size), size};
    case DType::kComplex64:
    case DType::kComplex128: return {cat("<c", size), size};
    default:
      throw unimplemented("A .npy file holds numbers, bools or strings. Details: the tensor is ",
                          tensor.dtype(), ".");
  }
}

}  // namespace

std::string serialize_npy(const Tensor& tensor) {
  const auto [descr, element_bytes] = described(tensor);
  std::string header =
      cat("{'descr': '", descr, "', 'fortran_order': False, 'shape': (",
          join(tensor.shape().dims(), ", "), tensor.rank() == 1 ? "," : "", "), }");
  // Version 1 has two bytes for the length: enough below 254 dimensions of 20 digits.
  const std::size_t before = kMagic.size() + 4;
  const std::size_t unpadded = before + header.size() + 1;
  header.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  header += '\n';
  std::string bytes(kMagic);
  bytes += '\1';
  bytes += '\0';
  bytes += static_cast<char>(header.size() & 0xFF);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  if (tensor.dtype() == DType::kString) {
    for (const std::string& value : tensor.values<std::string>()) {
      bytes += value;
      bytes.append(element_bytes - value.size(), '\0');
    }
  } else if (tensor.num_elements() > 0) {
    bytes.append(static_cast<const char*>(tensor.raw_data()), tensor.size_bytes());
  }
  return bytes;
}

}  // namespace hub
