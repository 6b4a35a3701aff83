// A text, and the word piece model (a FlatBuffer) that cuts it: one byte of length, the text,
// the model.

#include "fuzz/format_fuzz.h"
#include "ops/wordpiece_trie.h"

using namespace hub;
using namespace hub::fuzzing;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes = as_text(data + 1, size - 1);
  const std::string_view text = bytes.substr(0, data[0]);
  return expect_error_or_success([&] {
    const WordPieceModel model(bytes.substr(text.size()));
    std::vector<WordPiece> pieces;
    model.tokenize(text, pieces);
    std::vector<std::int32_t> ids;
    for (const WordPiece& piece : pieces) {
      check(piece.begin >= 0 && piece.begin <= piece.end);
      check(piece.end <= static_cast<std::int64_t>(text.size()));
      ids.push_back(piece.id);
    }
    model.detokenize(ids);
  });
}
