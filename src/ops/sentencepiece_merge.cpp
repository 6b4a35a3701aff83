// Models of merged pairs (BPE), of whole words, and of characters.

#include <algorithm>
#include <queue>

#include "ops/sentencepiece.h"

namespace hub {
namespace {

// Bytes of the piece that begins the text and is never cut, or of its first character.
struct FirstPiece {
  std::size_t size;
  bool kept;
};
FirstPiece first_piece(const PieceTrie& kept, std::string_view text) {
  if (const std::size_t size = kept.longest_prefix(text)) return {size, true};
  return {std::min(utf8_char_size(text[0]), text.size()), false};
}

// The text as a list of symbols, of which neighbours are merged.
class MergeList {
 public:
  MergeList(const PieceVocabulary& vocabulary, const PieceTrie& kept, std::string_view text)
      : vocabulary_(vocabulary) {
    while (!text.empty()) {
      const FirstPiece first = first_piece(kept, text);
      const auto index = static_cast<std::int32_t>(symbols_.size());
      symbols_.push_back({text.substr(0, first.size), index - 1, index + 1, first.kept});
      text.remove_prefix(first.size);
    }
    symbols_.back().next = -1;
    for (std::size_t i = 1; i < symbols_.size(); ++i) {
      offer(static_cast<std::int32_t>(i) - 1, static_cast<std::int32_t>(i));
    }
  }

  // The best pair first, until none is left; `skip()` says which are passed over.
  template <class Skip>
  void merge_all(Skip&& skip) {
    while (!agenda_.empty()) {
      const Pair top = agenda_.top();
      agenda_.pop();
      Symbol& left = symbol(top.left);
      Symbol& right = symbol(top.right);
      const bool outdated = left.piece.empty() || right.piece.empty() ||
                            left.piece.size() + right.piece.size() != top.size;
      if (outdated || skip()) continue;
      left.piece = {left.piece.data(), top.size};
      left.next = right.next;
      if (right.next >= 0) symbol(right.next).previous = top.left;
      right.piece = {};
      offer(left.previous, top.left);
      offer(top.left, left.next);
    }
  }

  Segmentation result() const {
    Segmentation pieces;
    for (std::int32_t i = 0; i >= 0; i = symbols_[static_cast<std::size_t>(i)].next) {
      append_used(symbols_[static_cast<std::size_t>(i)].piece, pieces);
    }
    return pieces;
  }

 private:
  struct Symbol {
    std::string_view piece;  // empty: merged into another
    std::int32_t previous;
    std::int32_t next;
    bool kept;
  };
  struct Pair {
    std::int32_t left;
    std::int32_t right;
    float score;
    std::size_t size;
    bool operator<(const Pair& other) const {
      return score < other.score || (score == other.score && left > other.left);
    }
  };

  Symbol& symbol(std::int32_t i) { return symbols_[static_cast<std::size_t>(i)]; }

  void offer(std::int32_t left, std::int32_t right) {
    if (left < 0 || right < 0 || symbol(left).kept || symbol(right).kept) return;
    const std::string_view a = symbol(left).piece;
    const std::string_view b = symbol(right).piece;
    const std::string_view both(a.data(), a.size() + b.size());
    const std::int32_t id = vocabulary_.normal_id(both);
    if (id < 0) return;
    agenda_.push({left, right, vocabulary_.score(id), both.size()});
    if (vocabulary_.is(PieceType::kUnused, id)) origins_[both] = {a, b};
  }

  // Unused pieces fall apart into what they were merged from.
  void append_used(std::string_view piece, Segmentation& pieces) const {
    std::vector<std::string_view> pending{piece};
    while (!pending.empty()) {
      const std::string_view next = pending.back();
      pending.pop_back();
      const std::int32_t id = vocabulary_.id(next);
      const auto origin =
          vocabulary_.is(PieceType::kUnused, id) ? origins_.find(next) : origins_.end();
      if (origin == origins_.end()) {
        pieces.push_back({next, id});
      } else {
        pending.push_back(origin->second.second);
        pending.push_back(origin->second.first);
      }
    }
  }

  const PieceVocabulary& vocabulary_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Pair> agenda_;
  std::unordered_map<std::string_view, std::pair<std::string_view, std::string_view>> origins_;
};

class Bpe final : public SegmentationAlgorithm {
 public:
  Bpe(const PieceVocabulary& vocabulary, const PieceTrie& kept)
      : vocabulary_(vocabulary), kept_(kept) {}

  Segmentation encode(std::string_view text) const override {
    MergeList list(vocabulary_, kept_, text);
    list.merge_all([] { return false; });
    return list.result();
  }

  bool has_sample() const override { return true; }
  // Each merge is passed over with a probability of alpha.
  Segmentation sample(std::string_view text, float alpha, std::mt19937& random) const override {
    MergeList list(vocabulary_, kept_, text);
    std::uniform_real_distribution<> uniform(0.0, 1.0);
    list.merge_all(
        [&] { return alpha > 0 && (alpha >= 1 || uniform(random) < static_cast<double>(alpha)); });
    return list.result();
  }

 private:
  const PieceVocabulary& vocabulary_;
  const PieceTrie& kept_;
};

class Characters final : public SegmentationAlgorithm {
 public:
  Characters(const PieceVocabulary& vocabulary, const PieceTrie& kept)
      : vocabulary_(vocabulary), kept_(kept) {}

  Segmentation encode(std::string_view text) const override {
    Segmentation result;
    while (!text.empty()) {
      const std::string_view piece = text.substr(0, first_piece(kept_, text).size);
      result.push_back({piece, vocabulary_.id(piece)});
      text.remove_prefix(piece.size());
    }
    return result;
  }

 private:
  const PieceVocabulary& vocabulary_;
  const PieceTrie& kept_;
};

// A word begins with each space symbol.
class Words final : public SegmentationAlgorithm {
 public:
  explicit Words(const PieceVocabulary& vocabulary) : vocabulary_(vocabulary) {}

  Segmentation encode(std::string_view text) const override {
    Segmentation result;
    while (!text.empty()) {
      std::size_t end = 0;
      do {
        end += std::min(utf8_char_size(text[end]), text.size() - end);
      } while (end < text.size() && !text.substr(end).starts_with(kSpaceSymbol));
      const std::string_view word = text.substr(0, end);
      result.push_back({word, vocabulary_.id(word)});
      text.remove_prefix(end);
    }
    return result;
  }

 private:
  const PieceVocabulary& vocabulary_;
};

}  // namespace

std::unique_ptr<SegmentationAlgorithm> make_bpe(const PieceVocabulary& vocabulary,
                                                const PieceTrie& kept) {
  return std::make_unique<Bpe>(vocabulary, kept);
}
std::unique_ptr<SegmentationAlgorithm> make_words(const PieceVocabulary& vocabulary) {
  return std::make_unique<Words>(vocabulary);
}
std::unique_ptr<SegmentationAlgorithm> make_characters(const PieceVocabulary& vocabulary,
                                                       const PieceTrie& kept) {
  return std::make_unique<Characters>(vocabulary, kept);
}

}  // namespace hub
