// Example records, as ParseExampleV2 reads them: features of all types, dense of fixed and of
// variable length, sparse, ragged.

#include <memory>

#include "format/example.h"
#include "fuzz/format_fuzz.h"
#include "graph/graph_data.h"
#include "ops/builtin.h"
#include "runtime/session.h"

using namespace hub;
using namespace hub::fuzzing;

namespace {

AttrValue types_attr(std::vector<DType> types) {
  AttrList list;
  list.types = std::move(types);
  return AttrValue(std::move(list));
}

// A graph with one node that parses, and the session that runs it.
class Parser {
 public:
  Parser() : graph_(builtin_ops()) {
    const OutputId record = add("Placeholder", {}, {{"dtype", kString}});
    const std::vector<OutputId> inputs = {record,
                                          constant(strings({})),
                                          constant(strings({"a", "b", "c"})),
                                          constant(strings({"d", "e"})),
                                          constant(strings({"f", "g"})),
                                          constant(make_vector<float>({})),
                                          constant(make_scalar<std::int64_t>(7))};
    AttrList shapes;
    shapes.shapes = {PartialShape{2}, PartialShape{-1}};
    const OutputId node = add("ParseExampleV2", inputs,
                              {{"num_sparse", std::int64_t{3}},
                               {"sparse_types", types_attr({kFloat, kInt64, kString})},
                               {"Tdense", types_attr({kFloat, kInt64})},
                               {"ragged_value_types", types_attr({kString, kInt64})},
                               {"ragged_split_types", types_attr({kInt64, DType::kInt32})},
                               {"dense_shapes", AttrValue(shapes)}});
    for (int i = 0; i < static_cast<int>(graph_.node(node.node).outputs.size()); ++i) {
      fetches_.push_back({node.node, i});
    }
    record_ = record;
    engine_ = std::make_unique<Engine>(graph_, EngineOptions{.threads = 1});
  }

  void parse(std::string_view bytes) {
    const std::vector<EngineFeed> feeds = {{record_, strings({std::string(bytes), ""})}};
    engine_->run(feeds, fetches_);
  }

 private:
  OutputId add(std::string_view op, std::vector<OutputId> inputs, AttrMap attrs) {
    return {graph_.add({.name = graph_.unique_name(op),
                        .op = std::string(op),
                        .inputs = std::move(inputs),
                        .attrs = std::move(attrs)}),
            0};
  }
  OutputId constant(const Tensor& value) {
    return add("Const", {}, {{"dtype", value.dtype()}, {"value", value}});
  }

  GraphData graph_;
  OutputId record_;
  std::vector<OutputId> fetches_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Parser parser;
  parse_sequence_example(as_text(data, size));
  expect_error_or_success([&] { parser.parse(as_text(data, size)); });
  return expect_error_or_success([&] {
    const auto bytes = example_from_json(as_text(data, size));
    check(!bytes || parse_example(*bytes).has_value());
  });
}
