#include "format/graph_def.h"

#include <gmock/gmock.h>

#include <complex>

#include "format/testing.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A graph that has every kind of attribute.
constexpr const char* kGraphText = R"(
node {
  name: "c" op: "Const"
  attr { key: "dtype" value { type: DT_FLOAT } }
  attr { key: "value" value { tensor { dtype: DT_FLOAT tensor_shape { dim { size: 2 } }
                                       float_val: 1 float_val: 2 } } }
}
node {
  name: "n" op: "Op" input: "c" input: "c:1" input: "^c" device: "/cpu:0"
  attr { key: "b" value { b: false } }
  attr { key: "empty_list" value { list { } } }
  attr { key: "f" value { f: 0.5 } }
  attr { key: "floats" value { list { f: 1 f: 2 } } }
  attr { key: "func" value { func { name: "g" attr { key: "T" value { type: DT_INT32 } } } } }
  attr { key: "i" value { i: 0 } }
  attr { key: "ints" value { list { i: -1 i: 3 } } }
  attr { key: "none" value { } }
  attr { key: "placeholder" value { placeholder: "T" } }
  attr { key: "reference" value { type: DT_FLOAT_REF } }
  attr { key: "s" value { s: "" } }
  attr { key: "scalar" value { shape { } } }
  attr { key: "shapes" value { list { shape { unknown_rank: true } shape { dim { size: -1 } } } } }
  attr { key: "unknown" value { shape { unknown_rank: true } } }
  experimental_debug_info { original_node_names: "before" }
  experimental_type { type_id: TFT_PRODUCT args { type_id: TFT_TENSOR } }
}
library {
  function {
    signature { name: "g" input_arg { name: "x" type_attr: "T" }
                output_arg { name: "y" type: DT_INT32 is_ref: true }
                attr { name: "T" type: "type" default_value { type: DT_INT32 }
                       allowed_values { list { type: DT_INT32 type: DT_FLOAT } } has_minimum: true } }
    node_def { name: "id" op: "Identity" input: "x" attr { key: "T" value { placeholder: "T" } } }
    ret { key: "y" value: "id:output:0" }
    control_ret { key: "done" value: "id" }
    arg_attr { key: 0 value { attr { key: "_a" value { b: true } } } }
    attr { key: "_noinline" value { b: true } }
  }
  gradient { function_name: "g" gradient_func: "dg" }
}
versions { producer: 27 min_consumer: 12 bad_consumers: 3 }
)";

GraphDef sample() { return parse_graph_def_text(kGraphText, "sample.pbtxt"); }

const AttrValue& attr(const GraphDef& graph, std::string_view name) {
  return graph.nodes[1].attrs.find(name)->second;
}

TEST(GraphDefTest, EveryPartIsRead) {
  const GraphDef graph = sample();
  ASSERT_EQ(graph.nodes.size(), 2u);
  EXPECT_THAT(graph.nodes[1].inputs, ElementsAre("c", "c:1", "^c"));
  EXPECT_EQ(graph.nodes[1].device, "/cpu:0");
  EXPECT_EQ(graph.nodes[0].attrs.at("value"), AttrValue(make_vector<float>({1, 2})));
  EXPECT_EQ(attr(graph, "b"), AttrValue(false));
  EXPECT_EQ(attr(graph, "empty_list"), AttrValue(AttrList{}));
  EXPECT_EQ(attr(graph, "f"), AttrValue(0.5f));
  EXPECT_EQ(attr(graph, "i"), AttrValue(std::int64_t{0}));
  EXPECT_EQ(attr(graph, "none"), AttrValue());
  EXPECT_EQ(attr(graph, "s"), AttrValue(std::string()));
  EXPECT_EQ(attr(graph, "scalar"), AttrValue(PartialShape(std::vector<std::int64_t>{})));
  EXPECT_EQ(attr(graph, "unknown"), AttrValue(PartialShape::unknown_rank()));
  EXPECT_EQ(to_string(attr(graph, "ints")), "list [-1, 3]");
  EXPECT_EQ(to_string(attr(graph, "reference")), "type float32_ref");
  EXPECT_EQ(to_string(attr(graph, "func")), "function g");
  const FunctionDef& function = graph.library.functions.at(0);
  EXPECT_EQ(function.returns.at("y"), "id:output:0");
  EXPECT_EQ(function.control_returns.at("done"), "id");
  EXPECT_TRUE(function.signature.outputs[0].is_ref);
  EXPECT_EQ(function.signature.attrs[0].default_value, AttrValue(DType::kInt32));
  EXPECT_EQ(graph.library.gradients[0].gradient_function, "dg");
  EXPECT_EQ(graph.versions.producer, 27);
  EXPECT_THAT(graph.versions.bad_consumers, ElementsAre(3));
}

TEST(GraphDefTest, WritingKeepsEverything) {
  const GraphDef graph = sample();
  const std::string bytes = serialize_graph_def(graph);
  EXPECT_EQ(serialize_graph_def(parse_graph_def(bytes, "again")), bytes);
  const std::string text = graph_def_text(graph);
  EXPECT_EQ(serialize_graph_def(parse_graph_def_text(text, "again")), bytes);
  for (const char* kept : {"original_node_names", "TFT_PRODUCT", "arg_attr", "DT_FLOAT_REF"}) {
    EXPECT_THAT(text, HasSubstr(kept));
  }
}

TEST(GraphDefTest, UnknownFieldsSurvive) {
  // In a graph, its node, the node's attribute and the tensor in it: field 1000 is 5.
  const std::string unknown = from_hex("c0 3e 05");
  const std::string tensor = from_hex("08 01 12 00 2a 04 0000803f") + unknown;
  const std::string value = from_hex("42") + char(tensor.size()) + tensor + unknown;
  const std::string entry = from_hex("0a 01 76 12") + char(value.size()) + value;
  const std::string node =
      from_hex("0a 01 6e 12 05") + "Const" + from_hex("2a") + char(entry.size()) + entry + unknown;
  const std::string graph = from_hex("0a") + char(node.size()) + node + unknown;
  const std::string written = serialize_graph_def(parse_graph_def(graph, "test"));
  std::size_t count = 0;
  for (std::size_t at = 0; (at = written.find(unknown, at)) != std::string::npos; ++at) ++count;
  EXPECT_EQ(count, 4u);
}

TEST(GraphDefTest, GarbageIsADecodeErrorThatNamesTheFile) {
  for (const std::string& bytes : {std::string("\xff\xff\xff\xff"), std::string("\x0a\x05"),
                                   std::string("\x0a\x02\x0a\x05"), std::string("\x00", 1)}) {
    const Error error = error_of([&] { parse_graph_def(bytes, "some/graph.pb"); });
    EXPECT_EQ(error.kind(), ErrorKind::kDecode);
    EXPECT_EQ(error.code(), ErrorCode::kDataLoss);
    EXPECT_THAT(error.what(), HasSubstr("in some/graph.pb"));
  }
  const Error text =
      error_of([&] { parse_graph_def_text("node {\n  name: }", "some/graph.pbtxt"); });
  EXPECT_EQ(text.kind(), ErrorKind::kDecode);
  EXPECT_THAT(text.what(), HasSubstr("line 2"));
  EXPECT_EQ(error_of([&] { parse_graph_def_text("no_such_field: 1", "x"); }).kind(),
            ErrorKind::kDecode);
}

TEST(GraphDefTest, AnUnknownDTypeIsAnErrorThatNamesTheNode) {
  const Error error = error_of([] {
    parse_graph_def_text(R"(node { name: "x" attr { key: "T" value { type: 77 } } })", "g.pbtxt");
  });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  for (const char* piece : {"77", "in attribute \"T\"", "in node \"x\"", "in g.pbtxt"}) {
    EXPECT_THAT(error.what(), HasSubstr(piece));
  }
}

TEST(GraphDefTest, SchemasMayListDTypesOfLaterVersions) {
  // OpList { op { name: "A" attr { name: "T" allowed_values { list { type: [1, 24] } } } } }
  const auto ops =
      parse_op_list(from_hex("0a 10 0a 01 41 22 0b 0a 01 54 3a 06 0a 04 32 02 01 18"), "ops");
  EXPECT_EQ(std::get<AttrList>(ops.at(0).attrs.at(0).allowed_values->value).types.size(), 2u);
}

TEST(GraphDefTest, NestingHasALimit) {
  std::string text, close;
  for (int depth = 0; depth < 200; ++depth) {
    text += depth == 0 ? "node { attr { key: \"a\" value { func { "
                       : "attr { key: \"a\" value { func { ";
    close += depth == 0 ? "} } } }" : "} } } ";
  }
  EXPECT_EQ(error_of([&] { parse_graph_def_text(text + close, "deep"); }).kind(),
            ErrorKind::kDecode);
  std::string bytes;
  for (int depth = 0; depth < 200; ++depth) {  // groups: field 15
    bytes = "\x7b" + bytes + "\x7c";
  }
  EXPECT_EQ(error_of([&] { parse_graph_def(bytes, "deep"); }).kind(), ErrorKind::kDecode);
}

TEST(GraphDefTest, EveryCorruptionIsAnErrorOrAGraph) {
  const std::string bytes = serialize_graph_def(sample());
  for_each_corruption(bytes, [](const std::string& damaged) {
    survives([&] { serialize_graph_def(parse_graph_def(damaged, "damaged", {1 << 20})); });
  });
  const std::string text = graph_def_text(sample());
  for_each_corruption(text, [](const std::string& damaged) {
    survives([&] { parse_graph_def_text(damaged, "damaged", {1 << 20}); });
  });
}

// A TensorProto from its text.
Tensor tensor_of(const std::string& text, const ParseLimits& limits = {}) {
  const GraphDef graph = parse_graph_def_text(
      cat("node { name: \"big\" attr { key: \"value\" value { tensor { ", text, " } } } }"), "t",
      limits);
  return std::get<Tensor>(graph.nodes[0].attrs.at("value").value);
}
constexpr const char* kThree = " tensor_shape { dim { size: 3 } } ";

TEST(TensorProtoTest, EveryDTypeHasItsList) {
  const auto list = [&](const std::string& dtype, const std::string& values) {
    return tensor_of(cat("dtype: ", dtype, kThree, values));
  };
  EXPECT_TRUE(same(list("DT_FLOAT", "float_val: [1, 2, 3]"), make_vector<float>({1, 2, 3})));
  EXPECT_TRUE(same(list("DT_DOUBLE", "double_val: [1, 2, 3]"), make_vector<double>({1, 2, 3})));
  EXPECT_TRUE(same(list("DT_INT8", "int_val: [1, -2, 3]"), make_vector<std::int8_t>({1, -2, 3})));
  EXPECT_TRUE(
      same(list("DT_UINT16", "int_val: [1, 2, 65535]"), make_vector<std::uint16_t>({1, 2, 65535})));
  EXPECT_TRUE(same(list("DT_INT64", "int64_val: [1, 2, 3]"), make_vector<std::int64_t>({1, 2, 3})));
  EXPECT_TRUE(
      same(list("DT_UINT32", "uint32_val: [1, 2, 3]"), make_vector<std::uint32_t>({1, 2, 3})));
  EXPECT_TRUE(
      same(list("DT_UINT64", "uint64_val: [1, 2, 3]"), make_vector<std::uint64_t>({1, 2, 3})));
  EXPECT_TRUE(same(list("DT_BOOL", "bool_val: [true, false, true]"),
                   make_vector<bool>({true, false, true})));
  EXPECT_TRUE(same(list("DT_STRING", "string_val: ['a', '', '\\000']"),
                   strings({"a", "", std::string(1, '\0')})));
  EXPECT_TRUE(same(list("DT_HALF", "half_val: [14336, 0, 15360]"),
                   make_vector<Half>({Half(0.5f), Half(0.0f), Half(1.0f)})));
  EXPECT_TRUE(same(list("DT_BFLOAT16", "half_val: [16128, 0, 16256]"),
                   make_vector<BFloat16>({BFloat16(0.5f), BFloat16(0.0f), BFloat16(1.0f)})));
  EXPECT_TRUE(same(list("DT_COMPLEX64", "scomplex_val: [1, 2, 3, 4, 5, 6]"),
                   make_vector<std::complex<float>>({{1, 2}, {3, 4}, {5, 6}})));
  EXPECT_TRUE(same(list("DT_QUINT8", "int_val: [1, 2, 255]"),
                   make_vector<std::uint8_t>({1, 2, 255}).bit_cast(DType::kQuint8)));
}

TEST(TensorProtoTest, ListsMayBeShorterOrLonger) {
  const auto floats = [](const std::string& values) {
    return tensor_of(cat("dtype: DT_FLOAT", kThree, values));
  };
  EXPECT_TRUE(same(floats(""), make_vector<float>({0, 0, 0})));
  EXPECT_TRUE(same(floats("float_val: 1 float_val: 2"), make_vector<float>({1, 2, 2})));
  EXPECT_TRUE(same(floats("float_val: [1, 2, 3, 4]"), make_vector<float>({1, 2, 3})));
  EXPECT_TRUE(same(tensor_of(cat("dtype: DT_STRING", kThree)), strings({"", "", ""})));
  EXPECT_TRUE(same(tensor_of(cat("dtype: DT_STRING", kThree, "string_val: 'a'")),
                   strings({"a", "a", "a"})));
}

TEST(TensorProtoTest, ContentIsRawBytes) {
  EXPECT_TRUE(same(
      tensor_of(cat("dtype: DT_INT16", kThree, R"(tensor_content: "\001\000\002\000\377\377")")),
      make_vector<std::int16_t>({1, 2, -1})));
  EXPECT_TRUE(
      same(tensor_of(cat("dtype: DT_STRING", kThree, R"(tensor_content: "\001\000\002abc")")),
           strings({"a", "", "bc"})));
  for (const char* text :
       {R"(tensor_content: "\001\000")", R"(tensor_content: "\001\000\002\000\377\377\000")"}) {
    EXPECT_EQ(error_of([&] { tensor_of(cat("dtype: DT_INT16", kThree, text)); }).code(),
              ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(error_of([&] {
              tensor_of(cat("dtype: DT_STRING", kThree, R"(tensor_content: "\001\000\377abc")"));
            }).code(),
            ErrorCode::kInvalidArgument);
}

TEST(TensorProtoTest, ResourcesAndVariantsAreKept) {
  const Tensor handle = tensor_of(
      "dtype: DT_RESOURCE tensor_shape { } resource_handle_val { container: 'c' name: 'n' }");
  EXPECT_EQ(handle.scalar<ResourceHandle>().name, "n");
  EXPECT_TRUE(same(parse_tensor_proto(serialize_tensor_proto(handle), "t"), handle));
  const Tensor variant = tensor_of(
      "dtype: DT_VARIANT tensor_shape { } variant_val { type_name: 'T' metadata: 'm' "
      "tensors { dtype: DT_FLOAT float_val: 1 tensor_shape { } } }");
  EXPECT_EQ(variant.scalar<Variant>().value->type_name(), "T");
  EXPECT_TRUE(same(parse_tensor_proto(serialize_tensor_proto(variant), "t"), variant));
}

TEST(TensorProtoTest, ValuesThatFillALargeShapeHaveALimit) {
  const std::string huge =
      "dtype: DT_FLOAT tensor_shape { dim { size: 1000000000000 } } float_val: 1";
  const Error error = error_of([&] { tensor_of(huge); });
  EXPECT_EQ(error.code(), ErrorCode::kResourceExhausted);
  EXPECT_THAT(error.what(), HasSubstr("in node \"big\""));
  const std::string large = "dtype: DT_FLOAT tensor_shape { dim { size: 1000000 } } ";
  EXPECT_EQ(tensor_of(large + "float_val: 2").values<float>().back(), 2);
  EXPECT_EQ(tensor_of(large).values<float>().back(), 0);
  EXPECT_EQ(error_of([&] { tensor_of(large + "float_val: 2", {1000}); }).code(),
            ErrorCode::kResourceExhausted);
  EXPECT_EQ(error_of([&] { tensor_of(large, {1000}); }).code(), ErrorCode::kResourceExhausted);
}

TEST(TensorProtoTest, BadShapesAreErrors) {
  for (const char* shape : {"unknown_rank: true", "dim { size: -1 }",
                            "dim { size: 4611686018427387904 } dim { size: 4 }"}) {
    EXPECT_EQ(
        error_of([&] { tensor_of(cat("dtype: DT_FLOAT tensor_shape { ", shape, " }")); }).code(),
        ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(error_of([&] { tensor_of("dtype: DT_FLOAT_REF tensor_shape { }"); }).code(),
            ErrorCode::kInvalidArgument);
}

TEST(TensorProtoTest, ATensorOfOneValueIsWrittenShort) {
  Tensor ones(DType::kFloat32, Shape{1000});
  for (float& value : ones.mutable_values<float>()) value = 1;
  const std::string bytes = serialize_tensor_proto(ones);
  EXPECT_LT(bytes.size(), 32u);
  EXPECT_TRUE(same(parse_tensor_proto(bytes, "t"), ones));
}

}  // namespace
}  // namespace hub::testing
