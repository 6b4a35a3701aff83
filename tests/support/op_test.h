#pragma once

// Tests of ops in a few words:
//
//   EXPECT_EQ(infer("Softmax", "[2,?]"), "[2,?]");
//   EXPECT_EQ(infer("Concat", "[];[2,?];[3,4]", {{"N", 2}}, {{0, scalar(0)}}), "[5,4]");
//   EXPECT_THAT(run("Softmax", {floats({1, 2}, {1e4f, 0})})[0], is_tensor(floats({1, 2}, {1, 0})));
//   EXPECT_THAT(error_of([] { infer("Softmax", "[]"); }), HasSubstr("rank"));
//   EXPECT_EQ(error_code_of([] { run("Softmax", {...}); }), ErrorCode::kInvalidArgument);
//
// For whatever needs more than one node (variables, loops): TestGraph.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/errors.h"
#include "graph/graph_data.h"
#include "replay/compare.h"
#include "runtime/session.h"

namespace hub::testing {

// Attributes by name. An int is an int attribute, a text a string one: {{"axis", 1},
// {"padding", "SAME"}, {"T", kInt32}, {"strides", ints_attr({1, 2})}}.
struct Attr {
  AttrValue value;

  template <class T>
  Attr(T given) : value(std::move(given)) {}                // NOLINT: made from its value
  Attr(int given) : value(std::int64_t{given}) {}           // NOLINT
  Attr(double given) : value(static_cast<float>(given)) {}  // NOLINT
  Attr(const char* given) : value(std::string(given)) {}    // NOLINT
};
using Attrs = std::map<std::string, Attr>;
Attr ints_attr(std::vector<std::int64_t> values);
Attr floats_attr(std::vector<float> values);
Attr strings_attr(std::vector<std::string> values);
Attr types_attr(std::vector<DType> values);
Attr shapes_attr(std::vector<PartialShape> values);

// Tensors of these elements.
Tensor floats(const Shape& shape, std::initializer_list<float> values);
Tensor doubles(const Shape& shape, std::initializer_list<double> values);
Tensor ints(const Shape& shape, std::initializer_list<std::int32_t> values);
Tensor int64s(const Shape& shape, std::initializer_list<std::int64_t> values);
Tensor bools(const Shape& shape, std::initializer_list<bool> values);
Tensor texts(const Shape& shape, std::initializer_list<std::string> values);
// A scalar: scalar(1) is int32, scalar(1.0f) float32, scalar(std::int64_t{1}) int64.
template <class T>
Tensor scalar(T value) {
  return make_scalar<T>(value);
}
// "[2,?]" as a shape; "?" has no known rank.
PartialShape partial_shape(std::string_view text);

// The shapes that the op gives its outputs, "[2,?];[2]", for inputs of these shapes. The
// inputs' dtypes are what the attributes say; else the schema's default; else float32 if
// the op takes it, or the first that it takes. `constants` are inputs whose value is known
// when shapes are inferred.
std::string infer(std::string_view op, std::string_view inputs, const Attrs& attrs = {},
                  const std::map<int, Tensor>& constants = {});

// The outputs of the op for these inputs: run with and without passes, which must agree
// bit for bit. The inferred shapes must allow the real ones. An input that the schema wants
// as a reference is a variable of this value.
std::vector<Tensor> run(std::string_view op, const std::vector<Tensor>& inputs,
                        const Attrs& attrs = {});

// A graph that is built and run step by step, keeping state.
class TestGraph {
 public:
  explicit TestGraph(EngineOptions options = {}) : options_(options) {}

  // A placeholder of this value's dtype and shape; `run` feeds it.
  OutputId input(const Tensor& value);
  OutputId constant(const Tensor& value);
  // The handle of a resource variable of this value.
  OutputId variable(const Tensor& value);
  // The reference of a reference variable of this value.
  OutputId reference_variable(const Tensor& value);
  // Adds a node and gives its first output; `output(node, 1)` is the second.
  OutputId add(std::string_view op, const std::vector<OutputId>& inputs, const Attrs& attrs = {},
               const std::vector<OutputId>& control_inputs = {});
  static OutputId output(OutputId node, int index) { return {node.node, index}; }

  std::vector<Tensor> run(const std::vector<OutputId>& fetches,
                          const std::vector<OutputId>& targets = {});
  Tensor run(OutputId fetch) { return run(std::vector{fetch})[0]; }

  GraphData& graph() { return graph_; }
  Engine& engine();

 private:
  EngineOptions options_;
  GraphData graph_{registry()};
  std::vector<EngineFeed> feeds_;
  std::map<int, Tensor> variables_;  // node -> its first value
  std::unique_ptr<Engine> engine_;

  static const OpRegistry& registry();
};

// The whole text of the hub::Error that `body` throws; a failure of the test if it does not.
template <class Body>
std::string error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return {};
}

template <class Body>
ErrorCode error_code_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error was thrown";
  return ErrorCode::kUnknown;
}

// Matches a tensor of the same dtype, shape and values (NaN equals NaN).
MATCHER_P(is_tensor, expected, "is " + to_string(expected)) {
  const auto text = replay::difference(arg, expected, {});
  if (text) *result_listener << *text;
  return !text;
}

// The same, with |value - expected| <= tolerance * (1 + |expected|).
MATCHER_P2(is_near, expected, tolerance, "is near " + to_string(expected)) {
  const auto text = replay::difference(arg, expected, {.rtol = tolerance, .atol = tolerance});
  if (text) *result_listener << *text;
  return !text;
}

// The elements, for gmock's matchers of containers.
template <class T>
std::vector<T> values(const Tensor& tensor) {
  const auto span = tensor.values<T>();
  return {span.begin(), span.end()};
}

// Replays the recorded cases of a family, or of one op of it ("nn", "Conv2D"), in every mode.
void replay_recorded(std::string_view family, std::string_view op = {});

}  // namespace hub::testing
