// Ops on one text: the first byte chooses the op, the rest is the text, twice.

#include <map>
#include <memory>

#include "fuzz/format_fuzz.h"
#include "graph/graph_data.h"
#include "ops/builtin.h"
#include "runtime/session.h"

using namespace hub;
using namespace hub::fuzzing;

namespace {

struct Target {
  const char* op;
  AttrMap attrs;
  std::vector<Tensor> more_inputs = {};
};

AttrList types(std::vector<DType> values) {
  AttrList list;
  list.types = std::move(values);
  return list;
}

std::vector<Target> targets() {
  const auto text = [](const char* value) { return make_scalar<std::string>(value); };
  const auto unicode = [](const char* encoding, const char* errors, bool controls) -> AttrMap {
    return {{"input_encoding", std::string(encoding)},
            {"errors", std::string(errors)},
            {"replace_control_characters", controls},
            {"replacement_char", std::int64_t{65533}},
            {"Tsplits", DType::kInt64}};
  };
  std::vector<Target> all = {
      {"StringLower", {{"encoding", std::string("utf-8")}}},
      {"StringUpper", {{"encoding", std::string("utf-8")}}},
      {"StringStrip", {}},
      {"StringLength", {{"unit", std::string("UTF8_CHAR")}}},
      {"StringSplit", {}, {text(" ,")}},
      {"StringSplitV2", {}, {text("")}},
      {"StringSplitV2", {{"maxsplit", std::int64_t{2}}}, {text("ab")}},
      {"StringToNumber", {{"out_type", DType::kFloat32}}},
      {"StringToNumber", {{"out_type", DType::kInt64}}},
      {"EncodeBase64", {{"pad", true}}},
      {"DecodeBase64", {}},
      {"DecodeRaw", {{"out_type", DType::kInt16}, {"little_endian", false}}},
      {"DecodePaddedRaw", {{"out_type", DType::kFloat32}}, {make_scalar<std::int32_t>(8)}},
      {"DecodeCSV",
       {{"OUT_TYPE", types({DType::kFloat32, kString})}},
       {make_vector<float>({1}), strings({"d"})}},
      {"DecodeJSONExample", {}},
      {"CaseFoldUTF8", {}},
      {"NormalizeUTF8", {{"normalization_form", std::string("NFKD")}}},
      {"NormalizeUTF8WithOffsetsMap", {{"normalization_form", std::string("NFKC")}}},
      {"RegexSplitWithOffsets", {}, {text("(\\s+|\\pP)"), text("(\\pP)")}},
      {"Substr", {{"unit", std::string("UTF8_CHAR")}}, {make_scalar(-3), make_scalar(2)}},
  };
  for (const char* encoding :
       {"UTF-8", "UTF-16-BE", "UTF-32-BE", "GB18030", "Shift_JIS", "UTF-7"}) {
    all.push_back({"UnicodeDecodeWithOffsets", unicode(encoding, "replace", true)});
    all.push_back({"UnicodeDecode", unicode(encoding, "strict", false)});
    AttrMap transcode = unicode(encoding, "ignore", false);
    transcode.erase("Tsplits");
    transcode["output_encoding"] = std::string("UTF-16-BE");
    all.push_back({"UnicodeTranscode", std::move(transcode)});
  }
  return all;
}

struct Ready {
  GraphData graph{builtin_ops()};
  OutputId input;
  std::vector<OutputId> outputs;
  std::unique_ptr<Engine> engine;
};

std::unique_ptr<Ready> make_ready(const Target& target) {
  auto ready = std::make_unique<Ready>();
  const auto add = [&](const char* op, std::vector<OutputId> inputs, AttrMap attrs) {
    NodeSpec spec;
    spec.name = ready->graph.unique_name(op);
    spec.op = op;
    spec.inputs = std::move(inputs);
    spec.attrs = std::move(attrs);
    return ready->graph.add(std::move(spec));
  };
  ready->input = {add("Placeholder", {}, {{"dtype", kString}}), 0};
  std::vector<OutputId> inputs = {ready->input};
  for (const Tensor& value : target.more_inputs)
    inputs.push_back({add("Const", {}, {{"dtype", value.dtype()}, {"value", value}}), 0});
  const int node = add(target.op, inputs, target.attrs);
  for (std::size_t i = 0; i < ready->graph.node(node).outputs.size(); ++i)
    ready->outputs.push_back({node, static_cast<std::int32_t>(i)});
  ready->engine = std::make_unique<Engine>(ready->graph, EngineOptions{.threads = 1});
  return ready;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<Target> all = targets();
  static std::map<std::size_t, std::unique_ptr<Ready>> made;
  if (size == 0) return 0;
  const std::size_t choice = data[0] % all.size();
  std::unique_ptr<Ready>& ready = made[choice];
  if (ready == nullptr) ready = make_ready(all[choice]);
  const std::string text(as_text(data + 1, size - 1));
  return expect_error_or_success([&] {
    const std::vector<EngineFeed> feeds = {{ready->input, strings({text, text})}};
    ready->engine->run(feeds, ready->outputs);
  });
}
