// Unigram models: the path through a lattice of pieces with the highest score. Scores are
// added in the library's order and types, so that ties fall as there.

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <deque>
#include <queue>

#include "base/errors.h"
#include "ops/sentencepiece.h"

namespace hub {
namespace {

constexpr float kUnknownPenalty = 10.0f;
// Hypotheses of one search; some 40 bytes each.
constexpr std::size_t kMaxHypotheses = 10'000'000;

float log_sum_exp(float x, float y, bool first) {
  if (first) return y;
  const float low = std::min(x, y);
  const float high = std::max(x, y);
  constexpr float kNegligible = 50;
  if (high > low + kNegligible) return high;
  return static_cast<float>(static_cast<double>(high) +
                            std::log(std::exp(static_cast<double>(low - high)) + 1.0));
}

// All pieces at all places, with their scores. Positions count characters.
class Lattice {
 public:
  struct Node {
    std::string_view piece;
    std::uint32_t position;  // where it begins
    std::uint32_t end;
    std::int32_t id;
    float score;
    float best_score = 0;        // of the best path up to here, with it
    std::int32_t previous = -1;  // on that path
  };

  explicit Lattice(std::string_view text) : text_(text) {
    for (std::size_t at = 0; at < text.size();) {
      starts_.push_back(at);
      at += std::min(utf8_char_size(text[at]), text.size() - at);
    }
    starts_.push_back(text.size());
    begin_nodes_.resize(starts_.size());
    end_nodes_.resize(starts_.size());
    nodes_.push_back({{}, 0, 0, -1, 0});
    end_nodes_[0].push_back(kBegin);
    nodes_.push_back({{}, length(), length(), -1, 0});
    begin_nodes_[length()].push_back(kEnd);
  }

  std::uint32_t length() const { return static_cast<std::uint32_t>(starts_.size()) - 1; }
  std::string_view rest(std::uint32_t position) const { return text_.substr(starts_[position]); }
  // The characters that `bytes` from a position on are; a piece may end inside of one.
  std::uint32_t characters(std::uint32_t position, std::size_t bytes) const {
    const std::size_t end = starts_[position] + bytes;
    return static_cast<std::uint32_t>(std::ranges::lower_bound(starts_, end) - starts_.begin()) -
           position;
  }

  void insert(std::uint32_t position, std::uint32_t count, std::int32_t id, float score) {
    const auto node = static_cast<std::int32_t>(nodes_.size());
    const std::size_t begin = starts_[position];
    nodes_.push_back({text_.substr(begin, starts_[position + count] - begin), position,
                      position + count, id, score});
    begin_nodes_[position].push_back(node);
    end_nodes_[position + count].push_back(node);
  }

  Segmentation viterbi() {
    fill_best_scores();
    Segmentation result;
    for (std::int32_t i = node(kEnd).previous; i != kBegin; i = node(i).previous) {
      result.push_back({node(i).piece, node(i).id});
    }
    std::ranges::reverse(result);
    return result;
  }

  // A* from the end: the best score up to a node is exact, so results come best first.
  std::vector<std::pair<Segmentation, float>> best(std::size_t count);

  Segmentation sample(float theta, std::mt19937& random) const;

 private:
  static constexpr std::int32_t kBegin = 0;
  static constexpr std::int32_t kEnd = 1;

  Node& node(std::int32_t i) { return nodes_[static_cast<std::size_t>(i)]; }
  const Node& node(std::int32_t i) const { return nodes_[static_cast<std::size_t>(i)]; }

  void fill_best_scores() {
    for (std::size_t position = 0; position < begin_nodes_.size(); ++position) {
      for (const std::int32_t right : begin_nodes_[position]) {
        Node& to = node(right);
        to.previous = -1;
        for (const std::int32_t left : end_nodes_[position]) {
          const float score = node(left).best_score + to.score;
          if (to.previous < 0 || score > to.best_score) {
            to.previous = left;
            to.best_score = score;
          }
        }
      }
    }
  }

  std::string_view text_;
  std::vector<std::size_t> starts_;  // of characters, and the end
  std::vector<Node> nodes_;
  std::vector<std::vector<std::int32_t>> begin_nodes_;
  std::vector<std::vector<std::int32_t>> end_nodes_;
};

struct Hypothesis {
  std::int32_t node;
  const Hypothesis* next;  // towards the end
  float priority;
  float score;  // from the node on
};
struct IsWorse {
  bool operator()(const Hypothesis* a, const Hypothesis* b) const {
    return a->priority < b->priority;
  }
};

std::vector<std::pair<Segmentation, float>> Lattice::best(std::size_t count) {
  const auto with_score = [&](Segmentation path, float score) {
    return std::pair(std::move(path), score);
  };
  if (count == 1) {
    Segmentation path = viterbi();
    return {with_score(std::move(path), node(kEnd).best_score)};
  }
  fill_best_scores();
  using Agenda = std::priority_queue<const Hypothesis*, std::vector<const Hypothesis*>, IsWorse>;
  constexpr std::size_t kMaxAgenda = 100000;
  constexpr std::size_t kMinAgenda = 512;
  std::deque<Hypothesis> hypotheses{{kEnd, nullptr, 0, 0}};
  Agenda agenda;
  agenda.push(&hypotheses.back());
  std::vector<std::pair<Segmentation, float>> results;
  while (!agenda.empty()) {
    const Hypothesis* top = agenda.top();
    agenda.pop();
    if (top->node == kBegin) {
      Segmentation path;
      float score = 0;
      for (const Hypothesis* h = top->next; h->next != nullptr; h = h->next) {
        path.push_back({node(h->node).piece, node(h->node).id});
        score += node(h->node).score;
      }
      results.push_back(with_score(std::move(path), score));
      if (results.size() == count) break;
      continue;
    }
    for (const std::int32_t left : end_nodes_[node(top->node).position]) {
      hypotheses.push_back(
          {left, top, node(left).best_score + top->score, node(left).score + top->score});
      agenda.push(&hypotheses.back());
    }
    if (hypotheses.size() > kMaxHypotheses) {
      throw resource_exhausted("SentencePiece: the text is too long for its best pieces.");
    }
    if (agenda.size() >= kMaxAgenda) {
      Agenda kept;
      for (std::size_t i = 0; i < std::min(kMinAgenda, count * 10); ++i, agenda.pop()) {
        kept.push(agenda.top());
      }
      agenda = std::move(kept);
    }
  }
  return results;
}

Segmentation Lattice::sample(float theta, std::mt19937& random) const {
  std::vector<float> alpha(nodes_.size(), 0.0f);
  for (std::size_t position = 0; position < begin_nodes_.size(); ++position) {
    for (const std::int32_t right : begin_nodes_[position]) {
      float& sum = alpha[static_cast<std::size_t>(right)];
      for (const std::int32_t left : end_nodes_[position]) {
        sum = log_sum_exp(sum, theta * node(left).score + alpha[static_cast<std::size_t>(left)],
                          left == end_nodes_[position][0]);
      }
    }
  }
  Segmentation result;
  std::vector<double> weights;
  std::int32_t at = kEnd;
  while (true) {
    const float total = alpha[static_cast<std::size_t>(at)];
    const std::vector<std::int32_t>& lefts = end_nodes_[node(at).position];
    weights.clear();
    for (const std::int32_t left : lefts) {
      weights.push_back(std::exp(static_cast<double>(alpha[static_cast<std::size_t>(left)] +
                                                     theta * node(left).score - total)));
    }
    std::discrete_distribution<std::size_t> distribution(weights.begin(), weights.end());
    at = lefts[distribution(random)];
    if (at == kBegin) break;
    result.push_back({node(at).piece, node(at).id});
  }
  std::ranges::reverse(result);
  return result;
}

class Unigram final : public SegmentationAlgorithm {
 public:
  explicit Unigram(const PieceVocabulary& vocabulary) : vocabulary_(vocabulary) {
    std::vector<std::pair<std::string_view, std::int32_t>> entries(
        vocabulary.normal_pieces().begin(), vocabulary.normal_pieces().end());
    if (entries.empty()) {
      throw internal_error("SentencePiece: a unigram model must have pieces.");
    }
    trie_ = PieceTrie(std::move(entries));
    for (std::int32_t id = 0; id < vocabulary.size(); ++id) {
      if (!vocabulary.is(PieceType::kNormal, id)) continue;
      min_score_ = std::min(min_score_, vocabulary.score(id));
      max_score_ = std::max(max_score_, vocabulary.score(id));
    }
  }

  Segmentation encode(std::string_view text) const override;

  bool has_best() const override { return true; }
  std::vector<std::pair<Segmentation, float>> best(std::string_view text,
                                                   int count) const override {
    Lattice lattice = lattice_of(text);
    return lattice.best(static_cast<std::size_t>(count));
  }

  bool has_sample() const override { return true; }
  Segmentation sample(std::string_view text, float alpha, std::mt19937& random) const override {
    return lattice_of(text).sample(alpha, random);
  }

  bool are_equivalent(std::string_view expected, std::string_view actual) const override {
    constexpr float kEpsilon = 1e-7f;
    return std::abs(score_of(expected) - score_of(actual)) <= kEpsilon;
  }

 private:
  float unknown_score() const { return min_score_ - kUnknownPenalty; }

  // A piece of the user's is chosen wherever it can be.
  double score(std::int32_t id, std::size_t length) const {
    return vocabulary_.is(PieceType::kUserDefined, id)
               ? static_cast<double>(static_cast<float>(length) * max_score_) - 0.1
               : static_cast<double>(vocabulary_.score(id));
  }

  Lattice lattice_of(std::string_view text) const {
    Lattice lattice(text);
    for (std::uint32_t position = 0; position < lattice.length(); ++position) {
      bool has_single = false;
      trie_.find_prefixes(lattice.rest(position), [&](std::size_t bytes, std::int32_t id) {
        if (vocabulary_.is(PieceType::kUnused, id)) return;
        const std::uint32_t count = lattice.characters(position, bytes);
        lattice.insert(position, count, id, static_cast<float>(score(id, count)));
        has_single = has_single || count == 1;
      });
      if (!has_single) lattice.insert(position, 1, vocabulary_.unknown_id(), unknown_score());
    }
    return lattice;
  }

  float score_of(std::string_view pieces) const {
    float total = 0;
    while (true) {
      const std::size_t end = std::min(pieces.find(' '), pieces.size());
      const std::string_view piece = pieces.substr(0, end);
      const std::int32_t found = vocabulary_.id(piece);
      total = found == vocabulary_.unknown_id()
                  ? total + unknown_score()
                  : static_cast<float>(static_cast<double>(total) + score(found, piece.size()));
      if (end == pieces.size()) return total;
      pieces.remove_prefix(end + 1);
    }
  }

  const PieceVocabulary& vocabulary_;
  PieceTrie trie_;
  float min_score_ = FLT_MAX;
  float max_score_ = FLT_MIN;
};

// Forward over bytes: the best path to each place, without a lattice.
Segmentation Unigram::encode(std::string_view text) const {
  struct Best {
    std::int32_t id = -1;
    float score = 0;
    std::int64_t begin = -1;
  };
  std::vector<Best> ends(text.size() + 1);
  for (std::size_t at = 0; at < text.size();) {
    const float until_here = ends[at].score;
    const std::size_t size = std::min(utf8_char_size(text[at]), text.size() - at);
    const auto offer = [&](std::size_t end, double candidate, std::int32_t id) {
      Best& best = ends[end];
      if (best.begin >= 0 && !(candidate > static_cast<double>(best.score))) return;
      best = {id, static_cast<float>(candidate), static_cast<std::int64_t>(at)};
    };
    bool has_single = false;
    trie_.find_prefixes(text.substr(at), [&](std::size_t length, std::int32_t id) {
      if (vocabulary_.is(PieceType::kUnused, id)) return;
      offer(at + length, score(id, length) + static_cast<double>(until_here), id);
      has_single = has_single || length == size;
    });
    if (!has_single) {
      offer(at + size, static_cast<double>(unknown_score() + until_here), vocabulary_.unknown_id());
    }
    at += size;
  }
  Segmentation result;
  for (std::size_t end = text.size(); end > 0;) {
    const Best& best = ends[end];
    const auto begin = static_cast<std::size_t>(best.begin);
    result.push_back({text.substr(begin, end - begin), best.id});
    end = begin;
  }
  std::ranges::reverse(result);
  return result;
}

}  // namespace

std::unique_ptr<SegmentationAlgorithm> make_unigram(const PieceVocabulary& vocabulary) {
  return std::make_unique<Unigram>(vocabulary);
}

}  // namespace hub
