// Finds the graphs that TensorFlow 1 programs write for "split, look the words up, combine their
// rows" (tf.string_split, a vocabulary table, safe_embedding_lookup_sparse...), and puts one node
// in their place.

#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "ops/fusion.h"
#include "ops/text_embedding_reader.h"

namespace hub {
namespace {

// The nodes that `root` depends on as far as the pattern may reach, inputs first. Empty where
// there are too many.
std::vector<int> cone_of(const FusionGraph& g, int root) {
  constexpr std::size_t kMostNodes = 300;
  std::vector<int> cone;
  std::set<int> seen = {root};
  std::vector<std::pair<int, std::size_t>> path = {{root, 0}};
  const auto belongs = [&](OutputId input) {
    const Node& node = g.node(input.node);
    if (g.graph().constant(input) != nullptr || !TextEmbeddingReader::knows(node.op_name))
      return false;
    const bool is_text = node.outputs[0].dtype == kString;
    // A text that others read, too, is where the pattern begins.
    return !is_text || node.op_name.starts_with("StringSplit") || g.is_private(input.node);
  };
  while (!path.empty()) {
    auto& [node, next] = path.back();
    const auto& inputs = g.node(node).inputs;
    if (next == inputs.size()) {
      cone.push_back(node);
      path.pop_back();
      continue;
    }
    const OutputId input = inputs[next++];
    if (!belongs(input) || !seen.insert(input.node).second) continue;
    if (seen.size() > kMostNodes) return {};
    path.emplace_back(input.node, 0);
  }
  return cone;
}

// Whether nothing outside needs what has a meaning, but for the last node.
bool is_closed(const FusionGraph& g, const TextEmbeddingReader& reader,
               const std::vector<int>& cone) {
  std::map<int, int> inner_uses;
  for (const int index : cone) {
    if (!reader.has_meaning(index)) continue;
    for (const OutputId input : g.node(index).inputs) ++inner_uses[input.node];
  }
  return std::ranges::all_of(std::span(cone).first(cone.size() - 1), [&](int index) {
    return !reader.has_meaning(index) || reader.may_stay(index) ||
           (g.node(index).control_inputs.empty() && g.all_uses(index) == inner_uses[index]);
  });
}

// A quick look: may the pattern end here?
bool may_end_in(const FusionGraph& g, const Node& last) {
  if (last.outputs.size() != 1 || last.outputs[0].dtype != kFloat) return false;
  if (last.op_name.starts_with("SparseSegment")) return TextEmbeddingReader::knows(last.op_name);
  const auto before = [&](std::size_t i) -> const std::string& {
    return g.node(last.inputs[i].node).op_name;
  };
  if (last.op_name == "Select") return before(2).starts_with("SparseSegment");
  return last.op_name == "Reshape" && (before(0) == "Select" || before(0) == "Reshape" ||
                                       before(0).starts_with("SparseSegment"));
}

// text -> ... -> SparseSegmentSum (or Mean, SqrtN) [-> zeros in empty rows] [-> Reshape]
bool fuse_text_embedding(FusionGraph& g, int root) {
  if (!may_end_in(g, g.node(root))) return false;
  const std::vector<int> cone = cone_of(g, root);
  TextEmbeddingReader reader(g.graph());
  for (const int index : cone) reader.read(index);
  if (cone.empty() || !reader.is_result(root) || !is_closed(g, reader, cone)) return false;
  std::vector<OutputId> inputs = {reader.text(), reader.table()};
  const DType params = g.graph().fact(reader.params()[0]).dtype;
  for (const OutputId part : reader.params()) {
    if (g.graph().fact(part).dtype != params) return false;
    inputs.push_back(part);
  }
  AttrMap attrs = reader.about().to_attrs();
  attrs["Params"] = params;
  attrs["num_params"] = static_cast<std::int64_t>(reader.params().size());
  const bool fills = reader.about().empty_row == EmptyRow::kFillRow;
  if (fills) inputs.push_back(reader.fill());
  attrs["num_fills"] = static_cast<std::int64_t>(fills);
  g.replace(root, kTextEmbeddingOp, std::move(inputs), std::move(attrs));
  return true;
}

}  // namespace

extern const Fusion kTextEmbeddingFusion;
const Fusion kTextEmbeddingFusion = {"text embedding", fuse_text_embedding};

}  // namespace hub
