#pragma once

// Pieces of text by their bytes: which of them begin a text?

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace hub {

// Immutable after construction. Keys are not empty; each has a value >= 0.
class PieceTrie {
 public:
  PieceTrie() = default;
  // Errors: none; of equal keys the first in the order of values is kept.
  explicit PieceTrie(std::vector<std::pair<std::string_view, std::int32_t>> entries) {
    std::ranges::sort(entries);
    build(entries);
  }

  bool empty() const { return nodes_.size() <= 1; }

  // Calls found(length, value) for every key that begins `text`, shortest first.
  template <class Found>
  void find_prefixes(std::string_view text, Found&& found) const {
    std::uint32_t node = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      node = child(node, static_cast<unsigned char>(text[i]));
      if (node == 0) return;
      if (nodes_[node].value >= 0) found(i + 1, nodes_[node].value);
    }
  }

  // The length of the longest key that begins `text`; 0 where there is none.
  std::size_t longest_prefix(std::string_view text) const {
    std::size_t longest = 0;
    find_prefixes(text, [&](std::size_t length, std::int32_t) { longest = length; });
    return longest;
  }

 private:
  // Children are consecutive nodes, ordered by their byte.
  struct Node {
    std::uint32_t first_child = 0;
    std::uint16_t num_children = 0;
    unsigned char byte = 0;
    std::int32_t value = -1;
  };

  std::uint32_t child(std::uint32_t node, unsigned char byte) const {
    if (nodes_.empty()) return 0;
    const auto begin = nodes_.begin() + nodes_[node].first_child;
    const auto end = begin + nodes_[node].num_children;
    const auto found = std::lower_bound(
        begin, end, byte, [](const Node& child, unsigned char b) { return child.byte < b; });
    return found != end && found->byte == byte ? static_cast<std::uint32_t>(found - nodes_.begin())
                                               : 0;
  }

  // Level by level: a node stands for the range of entries that share its bytes.
  void build(const std::vector<std::pair<std::string_view, std::int32_t>>& entries) {
    struct Range {
      std::size_t begin;
      std::size_t end;
      std::size_t depth;
    };
    std::vector<Range> ranges{{0, entries.size(), 0}};
    nodes_.emplace_back();
    for (std::size_t node = 0; node < ranges.size(); ++node) {
      auto [at, end, depth] = ranges[node];
      while (at < end && entries[at].first.size() == depth) {
        if (depth > 0 && nodes_[node].value < 0) nodes_[node].value = entries[at].second;
        ++at;
      }
      nodes_[node].first_child = static_cast<std::uint32_t>(nodes_.size());
      while (at < end) {
        const char byte = entries[at].first[depth];
        const std::size_t begin = at;
        while (at < end && entries[at].first[depth] == byte) ++at;
        nodes_.push_back({.byte = static_cast<unsigned char>(byte)});
        ranges.push_back({begin, at, depth + 1});
        ++nodes_[node].num_children;
      }
    }
  }

  std::vector<Node> nodes_;
};

}  // namespace hub
