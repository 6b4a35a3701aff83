// Substr: parts of strings, counted in bytes or in characters.

#include <algorithm>
#include <optional>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/utf8.h"

namespace hub {
namespace {

// The byte `count` characters after `at`; stops at the end, and says so.
struct Place {
  std::size_t at;
  bool reached;
};
Place forward(std::string_view text, std::size_t at, std::int64_t count) {
  std::int64_t passed = 0;
  while (passed < count && at < text.size()) {
    do {
      ++at;
    } while (at < text.size() && is_utf8_trail(text[at]));
    ++passed;
  }
  return {at, passed == count};
}
Place backward(std::string_view text, std::size_t at, std::int64_t count) {
  std::int64_t passed = 0;
  while (passed < count && at > 0) {
    do {
      --at;
    } while (at > 0 && is_utf8_trail(text[at]));
    ++passed;
  }
  return {at, passed == count};
}

// Nothing where the position lies outside of the text. A negative length takes the rest.
std::optional<std::string_view> bytes_of(std::string_view text, std::int64_t position,
                                         std::int64_t length) {
  const auto size = static_cast<std::int64_t>(text.size());
  if (position < -size || position > size) return std::nullopt;
  if (position < 0) position += size;
  return text.substr(static_cast<std::size_t>(position),
                     length < 0 ? std::string_view::npos : static_cast<std::size_t>(length));
}

// A negative length is 0 characters from the front; counted from the back it moves the end
// before the position.
std::optional<std::string_view> characters_of(std::string_view text, std::int64_t position,
                                              std::int64_t length) {
  if (position >= 0) {
    const Place begin = forward(text, 0, position);
    if (!begin.reached) return std::nullopt;
    return text.substr(begin.at, forward(text, begin.at, length).at - begin.at);
  }
  const auto size = static_cast<std::int64_t>(text.size());
  if (position < -size || length < -size) return std::nullopt;
  const std::int64_t skipped = std::max<std::int64_t>(0, -position - std::min(length, size));
  const Place end = backward(text, text.size(), skipped);
  const Place begin = backward(text, end.at, -position - skipped);
  if (!end.reached || !begin.reached) return std::nullopt;
  return text.substr(begin.at, end.at - begin.at);
}

// Where an operand's element for a result lies: the strides of its two axes.
struct Operand {
  std::int64_t row_stride = 0;
  std::int64_t column_stride = 0;

  Operand(const Shape& shape, int rank) {
    const int rows = shape.rank() == rank ? rank - 2 : -1;
    const std::int64_t columns = shape.rank() > 0 ? shape.dim(shape.rank() - 1) : 1;
    column_stride = columns == 1 ? 0 : 1;
    row_stride = rows >= 0 && shape.dim(rows) > 1 ? columns : 0;
  }
};

// The shape of the results. Only up to two dimensions broadcast, as TensorFlow says.
Shape result_shape(const Shape& input, const Shape& position) {
  if (position.rank() == 0 || position == input) return input;
  const PartialShape shape = broadcast(input, position);
  if (shape.rank() > 2) {
    throw unimplemented("Substr: at most 2 dimensions broadcast. Details: ", input, " and ",
                        position, ".");
  }
  return *shape.as_shape();
}

class SubstrKernel final : public Kernel {
 public:
  explicit SubstrKernel(const KernelInit& init)
      : characters_(init.attr<std::string>("unit") == "UTF8_CHAR") {}

  void compute(KernelContext& context) const override {
    const Tensor& input = context.input(0);
    const Tensor& positions = context.input(1);
    const Tensor& lengths = context.input(2);
    if (!(positions.shape() == lengths.shape())) {
      throw invalid_argument("Substr: pos and len must have the same shape. Details: ",
                             positions.shape(), " and ", lengths.shape(), ".");
    }
    const Shape shape = result_shape(input.shape(), positions.shape());
    std::string* result = context.output(0, shape).mutable_data<std::string>();
    const bool flat =
        shape == input.shape() && (positions.rank() == 0 || positions.shape() == input.shape());
    const std::int64_t columns = flat                ? shape.num_elements()
                                 : shape.rank() == 0 ? 1
                                                     : shape.dim(shape.rank() - 1);
    const Operand text_places(flat ? Shape{columns} : input.shape(), flat ? 1 : shape.rank());
    const Operand number_places(
        flat ? Shape{positions.rank() == 0 ? 1 : columns} : positions.shape(),
        flat ? 1 : shape.rank());
    for (std::int64_t i = 0; i < shape.num_elements(); ++i) {
      const std::int64_t row = i / columns;
      const std::int64_t column = i % columns;
      const std::int64_t number =
          row * number_places.row_stride + column * number_places.column_stride;
      *result++ = part(input.data<std::string>()[row * text_places.row_stride +
                                                 column * text_places.column_stride],
                       integer_at(positions, number), integer_at(lengths, number));
    }
  }

 private:
  std::string_view part(std::string_view text, std::int64_t position, std::int64_t length) const {
    const auto found =
        characters_ ? characters_of(text, position, length) : bytes_of(text, position, length);
    if (!found) {
      throw invalid_argument("Substr: the position must lie in the text. Details: position ",
                             position, " in \"", printable(text), "\".");
    }
    return *found;
  }

  bool characters_;
};

Shapes substr_shape(ShapeContext& c) {
  return {broadcast(c.input(0), c.input(1).merge_with(c.input(2)))};
}

constexpr OpDef kOps[] = {
    {.name = "Substr",
     .inputs = "input: string, pos: T, len: T",
     .outputs = "output: string",
     .attrs = "T: {int32, int64}; unit: {'BYTE', 'UTF8_CHAR'} = 'BYTE'",
     .shape = substr_shape,
     .kernel = make_kernel<SubstrKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily text_substr_ops() { return kOps; }

}  // namespace hub
