#pragma once

// WAV files of 16-bit samples, as TensorFlow reads and writes them: chunks that stand between
// the type and the format are skipped only if their names are known, chunks behind the format
// always; bytes of the data chunk beyond its last whole frame begin the next chunk.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace hub {

struct Wav {
  int channels = 0;
  std::uint32_t sample_rate = 0;
  std::int64_t frames = 0;
  std::string_view samples;  // little-endian, [frames, channels]

  std::int16_t sample(std::int64_t index) const {
    const auto* bytes = reinterpret_cast<const unsigned char*>(samples.data()) + 2 * index;
    return static_cast<std::int16_t>(bytes[0] | bytes[1] << 8);
  }
};

// The samples lie in `bytes`. Errors: INVALID_ARGUMENT with the rule that is broken.
Wav parse_wav(std::string_view bytes);

// `samples` are [frames, channels]. Errors: INVALID_ARGUMENT for no channels, too many of them,
// a sample rate that is not positive, or more than 4 GiB.
std::string serialize_wav(std::span<const float> samples, std::int64_t channels,
                          std::int64_t sample_rate);

}  // namespace hub
