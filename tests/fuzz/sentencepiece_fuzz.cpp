// A text, and the SentencePiece model that cuts it: one byte of length, the text, the model.
// A model that was read encodes any text, and decodes what it gave.

#include <random>

#include "fuzz/format_fuzz.h"
#include "ops/sentencepiece.h"

using namespace hub;
using namespace hub::fuzzing;

namespace {

void encode_and_decode(const Sentencepiece& engine, std::string_view text) {
  std::vector<std::string> pieces;
  for (const EncodedPiece& piece : engine.encode(text, {})) {
    check(piece.id >= 0 && piece.id < engine.size());
    check(piece.begin >= 0 && piece.begin <= piece.end);
    check(piece.end <= static_cast<std::int64_t>(text.size()));
    pieces.push_back(piece.text);
  }
  engine.decode(std::move(pieces), {});
}

// Whatever the model says of itself may be wrong: INTERNAL is an answer, too.
template <class Body>
void expect_error_or_success_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    check(!error.message().empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes = as_text(data + 1, size - 1);
  const std::string_view text = bytes.substr(0, data[0]);
  const std::string_view model = bytes.substr(text.size());
  expect_error_or_success_of([&] {
    const Sentencepiece engine(model);
    expect_error_or_success_of([&] { encode_and_decode(engine, text); });
    expect_error_or_success_of([&] { engine.encode_best(text, 4, {.add_end = true}); });
    std::mt19937 random(1);
    expect_error_or_success_of([&] { engine.encode_sample(text, -1, 0.5f, {}, random); });
  });
  return 0;
}
