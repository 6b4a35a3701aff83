// WAV files. What was read is written, and read again as the same sound.

#include <vector>

#include "format/wav.h"
#include "fuzz/format_fuzz.h"

using namespace hub;
using namespace hub::fuzzing;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return expect_error_or_success([&] {
    const Wav wav = parse_wav(as_text(data, size));
    std::vector<float> samples;
    for (std::int64_t i = 0; i < wav.frames * wav.channels; ++i) {
      samples.push_back(static_cast<float>(wav.sample(i)) / 32768);
    }
    const std::string bytes = serialize_wav(samples, wav.channels, wav.sample_rate);
    const Wav again = parse_wav(bytes);
    check(again.channels == wav.channels && again.frames == wav.frames);
    check(again.samples == wav.samples);
  });
}
