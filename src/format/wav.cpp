#include "format/wav.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/errors.h"

namespace hub {

namespace {

// Reads numbers and names one after the other. Errors: INVALID_ARGUMENT at the end.
class WavCursor {
 public:
  explicit WavCursor(std::string_view bytes) : bytes_(bytes) {}

  bool at_end() const { return position_ >= bytes_.size(); }

  std::string_view take(std::uint64_t count) {
    if (position_ > bytes_.size() || count > bytes_.size() - position_) {
      throw invalid_argument("A WAV file must hold what its header says. Details: ", count,
                             " bytes at offset ", position_, " of ", bytes_.size(), ".");
    }
    const std::string_view piece = bytes_.substr(position_, count);
    position_ += count;
    return piece;
  }
  std::string_view name() { return take(4); }
  std::uint32_t uint32() { return number(4); }
  std::uint32_t uint16() { return number(2); }
  // May go behind the end.
  void skip(std::uint64_t count) { position_ += count; }

  void expect(std::string_view wanted) {
    const std::string_view found = name();
    if (found == wanted) return;
    throw invalid_argument("A WAV file must have its headers. Details: expected \"", wanted,
                           "\", got \"", printable(found), "\".");
  }

 private:
  std::uint32_t number(std::size_t count) {
    const std::string_view bytes = take(count);
    std::uint32_t value = 0;
    for (std::size_t i = count; i > 0; --i) {
      value = value << 8 | static_cast<unsigned char>(bytes[i - 1]);
    }
    return value;
  }

  std::string_view bytes_;
  std::uint64_t position_ = 0;
};

void find_format(WavCursor& cursor) {
  constexpr std::string_view kSkipped[] = {"JUNK", "bext", "iXML", "qlty",
                                           "mext", "levl", "link", "axml"};
  for (std::string_view found = cursor.name(); found != "fmt "; found = cursor.name()) {
    if (std::ranges::find(kSkipped, found) == std::end(kSkipped)) {
      throw invalid_argument("A WAV file's format must come first. Details: got the chunk \"",
                             printable(found), "\".");
    }
    cursor.take(cursor.uint32());
  }
}

template <class T>
void check_field(std::string_view field, T got, T wanted) {
  if (got == wanted) return;
  throw invalid_argument("A WAV file must be uncompressed, with 16 bits a sample. Details: ", field,
                         " is ", got, ", expected ", wanted, ".");
}

// Reads the format chunk.
Wav read_format(WavCursor& cursor) {
  constexpr std::uint32_t kShort = 16, kLong = 18;
  const std::uint32_t size = cursor.uint32();
  if (size != kShort && size != kLong) {
    throw invalid_argument("A WAV file's format must have 16 or 18 bytes. Details: got ", size,
                           ".");
  }
  Wav wav;
  check_field("the format", cursor.uint16(), 1u);
  wav.channels = static_cast<int>(cursor.uint16());
  if (wav.channels < 1) throw invalid_argument("A WAV file must have a channel. Details: got 0.");
  wav.sample_rate = cursor.uint32();
  const std::uint64_t second_bytes = cursor.uint32();
  const std::uint64_t frame_bytes = cursor.uint16();
  check_field("the bits of a sample", cursor.uint16(), 16u);
  check_field("the bytes of a frame", frame_bytes, std::uint64_t{2} * wav.channels);
  check_field("the bytes of a second", second_bytes, frame_bytes * wav.sample_rate);
  if (size == kLong) cursor.skip(kLong - kShort);
  return wav;
}

}  // namespace

Wav parse_wav(std::string_view bytes) {
  WavCursor cursor(bytes);
  cursor.expect("RIFF");
  cursor.uint32();  // the file's size
  cursor.expect("WAVE");
  find_format(cursor);
  Wav wav = read_format(cursor);
  bool found = false;
  while (!cursor.at_end()) {
    const std::string_view name = cursor.name();
    const std::uint32_t size = cursor.uint32();
    if (size > static_cast<std::uint32_t>(std::numeric_limits<std::int32_t>::max())) {
      throw invalid_argument("A WAV file's chunk has at most 2^31 - 1 bytes. Details: \"",
                             printable(name), "\" has ", size, ".");
    }
    if (name != "data") {
      cursor.skip(size);
      continue;
    }
    if (found) throw invalid_argument("A WAV file must have one data chunk. Details: got two.");
    found = true;
    wav.frames = size / (2 * wav.channels);
    wav.samples = cursor.take(static_cast<std::uint64_t>(wav.frames * 2 * wav.channels));
  }
  if (!found) throw invalid_argument("A WAV file must have a data chunk. Details: got none.");
  return wav;
}

namespace {

void append_number(std::string& out, std::uint64_t value, int count) {
  for (int i = 0; i < count; ++i) out += static_cast<char>(value >> (8 * i));
}

// Rounds half away from zero, to the nearest that fits; NaN becomes 0.
std::uint16_t sample_of(float value) {
  constexpr float kScale = 32768;
  const float scaled = std::round(value * kScale);
  if (std::isnan(scaled)) return 0;
  return static_cast<std::uint16_t>(
      static_cast<std::int16_t>(std::clamp(scaled, -kScale, kScale - 1)));
}

}  // namespace

std::string serialize_wav(std::span<const float> samples, std::int64_t channels,
                          std::int64_t sample_rate) {
  constexpr std::int64_t kMost32 = std::numeric_limits<std::uint32_t>::max();
  constexpr std::int64_t kMost16 = std::numeric_limits<std::uint16_t>::max();
  constexpr std::int64_t kHeaderBytes = 44;
  if (sample_rate < 1 || sample_rate > kMost32) {
    throw invalid_argument("A WAV file's sample rate must be positive. Details: got ", sample_rate,
                           ".");
  }
  if (channels < 1 || channels > kMost16) {
    throw invalid_argument("A WAV file must have between 1 and ", kMost16,
                           " channels. Details: got ", channels, ".");
  }
  const auto count = static_cast<std::int64_t>(samples.size());
  if (count > (kMost32 - kHeaderBytes) / 2) {
    throw invalid_argument("A WAV file has at most 4 GiB. Details: got ", count, " samples.");
  }
  const auto data_bytes = static_cast<std::uint64_t>(count * 2);
  std::string bytes;
  bytes.reserve(static_cast<std::size_t>(kHeaderBytes) + data_bytes);
  bytes += "RIFF";
  append_number(bytes, data_bytes + kHeaderBytes - 8, 4);
  bytes += "WAVEfmt ";
  append_number(bytes, 16, 4);
  append_number(bytes, 1, 2);
  append_number(bytes, static_cast<std::uint64_t>(channels), 2);
  append_number(bytes, static_cast<std::uint64_t>(sample_rate), 4);
  append_number(bytes, static_cast<std::uint64_t>(sample_rate * channels * 2), 4);
  append_number(bytes, static_cast<std::uint64_t>(channels * 2), 2);
  append_number(bytes, 16, 2);
  bytes += "data";
  append_number(bytes, data_bytes, 4);
  for (const float sample : samples) append_number(bytes, sample_of(sample), 2);
  return bytes;
}

}  // namespace hub
