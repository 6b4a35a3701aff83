#include "format/saved_model.h"

#include <gmock/gmock.h>

#include "format/module_def.h"
#include "format/object_graph.h"
#include "format/testing.h"
#include "format/variable_def.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kModelText = R"(
saved_model_schema_version: 1
meta_graphs {
  meta_info_def {
    stripped_op_list { op { name: "Placeholder" } }
    tags: "serve" tags: "gpu" tensorflow_version: "1.15.0" stripped_default_attrs: true
    function_aliases { key: "a" value: "b" }
  }
  graph_def { node { name: "x" op: "Placeholder" } versions { producer: 134 } }
  saver_def { filename_tensor_name: "save/Const:0" max_to_keep: 5 version: V2 }
  collection_def { key: "bytes" value { bytes_list { value: "\n\003w:0" } } }
  collection_def { key: "empty" value { node_list { } } }
  collection_def { key: "floats" value { float_list { value: 0.5 } } }
  collection_def { key: "ints" value { int64_list { value: 7 } } }
  collection_def { key: "nodes" value { node_list { value: "init" } } }
  collection_def { key: "nothing" value { } }
  collection_def { key: "saved_model_assets" value { any_list { value {
    [type.googleapis.com/tensorflow.AssetFileDef] { tensor_info { name: "x:0" } filename: "f.txt" }
  } } } }
  signature_def { key: "serving_default" value {
    inputs { key: "dense" value { name: "x:0" dtype: DT_FLOAT tensor_shape { unknown_rank: true } } }
    inputs { key: "no_shape" value { name: "x:0" dtype: DT_FLOAT_REF } }
    inputs { key: "sparse" value { dtype: DT_INT64 coo_sparse {
      values_tensor_name: "v:0" indices_tensor_name: "i:0" dense_shape_tensor_name: "s:0" } } }
    outputs { key: "ragged" value { composite_tensor {
      type_spec { type_spec_class: RAGGED_TENSOR_SPEC type_spec_class_name: "RaggedTensorSpec"
        num_flat_components: 2
        type_state { tuple_value {
          values { tensor_shape_value { dim { size: -1 } dim { size: -1 } } }
          values { tensor_dtype_value: DT_FLOAT } values { int64_value: -1 }
          values { dict_value { fields { key: "k" value { none_value { } } } } }
          values { named_tuple_value { name: "N" values { key: "f" value { string_value: "s" } } } }
          values { list_value { values { bool_value: false } values { float64_value: 2 } } }
          values { tensor_spec_value { name: "t" shape { } dtype: DT_INT32 } }
        } } }
      components { name: "v:0" dtype: DT_FLOAT } components { name: "r:0" dtype: DT_INT64 } } } }
    method_name: "tensorflow/serving/predict"
    defaults { key: "dense" value { dtype: DT_FLOAT tensor_shape { } float_val: 1 } }
  } }
  asset_file_def { tensor_info { name: "x:0" } filename: "f.txt" }
}
)";

SavedModel sample() { return parse_saved_model_text(kModelText, "saved_model.pbtxt"); }

TEST(SavedModelTest, EveryPartIsRead) {
  const SavedModel model = sample();
  EXPECT_EQ(model.schema_version, 1);
  const MetaGraph& graph = model.meta_graphs.at(0);
  EXPECT_THAT(graph.tags, ElementsAre("serve", "gpu"));
  EXPECT_EQ(graph.stripped_op_list.at(0).name, "Placeholder");
  EXPECT_EQ(graph.tensorflow_version, "1.15.0");
  EXPECT_TRUE(graph.stripped_default_attrs);
  EXPECT_EQ(graph.function_aliases.at("a"), "b");
  EXPECT_EQ(graph.saver->version, 2);
  EXPECT_FALSE(graph.object_graph.has_value());
  EXPECT_THAT(std::get<NodeNames>(graph.collections.at("nodes").value).values, ElementsAre("init"));
  EXPECT_TRUE(std::get<NodeNames>(graph.collections.at("empty").value).values.empty());
  EXPECT_TRUE(std::holds_alternative<std::monostate>(graph.collections.at("nothing").value));
  EXPECT_THAT(std::get<Int64Values>(graph.collections.at("ints").value).values, ElementsAre(7));
  EXPECT_THAT(std::get<FloatValues>(graph.collections.at("floats").value).values,
              ElementsAre(0.5f));
  const auto& any = std::get<AnyValues>(graph.collections.at("saved_model_assets").value).values;
  EXPECT_EQ(parse_asset_file_def(any.at(0).value, "any").filename, "f.txt");
  EXPECT_EQ(graph.asset_files.at(0).filename, "f.txt");
}

TEST(SavedModelTest, SignaturesHaveTheirEncodings) {
  const SavedModel model = sample();
  const SignatureDef& signature = model.meta_graphs[0].signatures.at("serving_default");
  EXPECT_EQ(signature.method_name, "tensorflow/serving/predict");
  EXPECT_EQ(signature.defaults.at("dense").scalar<float>(), 1);
  const TensorInfo& dense = signature.inputs.at("dense");
  EXPECT_EQ(std::get<DenseEncoding>(dense.encoding).name, "x:0");
  EXPECT_EQ(dense.shape, PartialShape::unknown_rank());
  const TensorInfo& no_shape = signature.inputs.at("no_shape");
  EXPECT_EQ(no_shape.shape, std::nullopt);
  EXPECT_EQ(no_shape.dtype, DType::kFloat32);
  EXPECT_TRUE(no_shape.is_reference);
  EXPECT_EQ(std::get<SparseEncoding>(signature.inputs.at("sparse").encoding).indices, "i:0");
  const auto& ragged = std::get<CompositeEncoding>(signature.outputs.at("ragged").encoding);
  EXPECT_EQ(ragged.type_spec.type_class, kRaggedTensorSpec);
  EXPECT_EQ(ragged.components.size(), 2u);
  const auto& state = *ragged.type_spec.state->elements();
  EXPECT_EQ(std::get<PartialShape>(state.at(0).value), (PartialShape{-1, -1}));
  EXPECT_EQ(std::get<DType>(state.at(1).value), DType::kFloat32);
  EXPECT_EQ(std::get<std::int64_t>(state.at(2).value), -1);
}

TEST(SavedModelTest, WritingKeepsEverything) {
  const std::string bytes = serialize_saved_model(sample());
  const SavedModel again = parse_saved_model(bytes, "again");
  EXPECT_EQ(serialize_saved_model(again), bytes);
  EXPECT_EQ(serialize_saved_model(parse_saved_model_text(saved_model_text(again), "text")), bytes);
}

TEST(SavedModelTest, ErrorsNameTheMetaGraphAndTheSignature) {
  std::string text = kModelText;
  text.replace(text.find("DT_INT64 coo"), 8, "99      ");
  const Error error = error_of([&] { parse_saved_model_text(text, "m/saved_model.pbtxt"); });
  for (const char* piece : {"99", "input \"sparse\"", "signature \"serving_default\"",
                            "{serve, gpu}", "m/saved_model.pbtxt"}) {
    EXPECT_THAT(error.what(), HasSubstr(piece));
  }
}

TEST(SavedModelTest, EveryCorruptionIsAnErrorOrAModel) {
  for_each_corruption(serialize_saved_model(sample()), [](const std::string& damaged) {
    survives([&] { serialize_saved_model(parse_saved_model(damaged, "damaged", {1 << 20})); });
  });
  for_each_corruption(saved_model_text(sample()), [](const std::string& damaged) {
    survives([&] { parse_saved_model_text(damaged, "damaged", {1 << 20}); });
  });
}

TEST(SavedModelTest, EveryCorruptionOfObjectsIsAnErrorOrAModel) {
  const SavedModel model = parse_saved_model_text(R"(
meta_graphs {
  object_graph_def {
    nodes { children { node_id: 1 local_name: "variables" } user_object { identifier: "_" } }
    nodes { children { node_id: 2 local_name: "0" } }
    nodes { variable { name: "v" dtype: DT_FLOAT shape { dim { size: 2 } } trainable: true } }
    concrete_functions { key: "f" value { output_signature { tensor_spec_value { name: "y" } } } }
  }
})",
                                                  "v2.pbtxt");
  for_each_corruption(serialize_saved_model(model), [](const std::string& damaged) {
    survives([&] {
      const SavedModel read = parse_saved_model(damaged, "damaged", {1 << 20});
      for (const MetaGraph& graph : read.meta_graphs) {
        if (graph.object_graph) parse_saved_variables(*graph.object_graph, "damaged");
      }
      serialize_saved_model(read);
    });
  });
}

TEST(SavedModelTest, RealModelsAreWrittenAsTheyWere) {
  int count = 0;
  for (const std::string directory : {TF1HUB_TEST_DATA_DIR "/zoo", TF1HUB_SHARED_DIR "/real"}) {
    if (!is_directory(directory)) continue;
    for (const std::string& file : list_files_recursively(directory)) {
      if (!file.ends_with("saved_model.pb")) continue;
      SCOPED_TRACE(file);
      const std::string bytes = read_file(directory + "/" + file);
      const std::string written = serialize_saved_model(parse_saved_model(bytes, file));
      EXPECT_EQ(serialize_saved_model(parse_saved_model(written, file)), written);
      ++count;
    }
  }
  EXPECT_GE(count, 40);
}

TEST(ModuleDefTest, TheKnownBytes) {
  const ModuleDef module = parse_module_def(from_hex("08 03"), "tfhub_module.pb");
  EXPECT_EQ(module.format, kModuleFormatV3);
  check_module_def(module, "tfhub_module.pb");
  EXPECT_EQ(serialize_module_def(module), from_hex("08 03"));
}

TEST(ModuleDefTest, OtherFormatsAndFeaturesAreRefused) {
  for (const std::string& bytes : {std::string(), from_hex("08 07")}) {
    const Error error = error_of([&] { check_module_def(parse_module_def(bytes, "m"), "m"); });
    EXPECT_EQ(error.kind(), ErrorKind::kValue);
    EXPECT_THAT(error.what(), HasSubstr("Unsupported module def format"));
  }
  const std::string features = from_hex("08 03 12 10") + "foo-test-missing";
  const Error error = error_of([&] { check_module_def(parse_module_def(features, "m"), "m"); });
  EXPECT_EQ(error.kind(), ErrorKind::kValue);
  EXPECT_THAT(error.what(), HasSubstr("foo-test-missing"));
  EXPECT_EQ(error_of([&] { parse_module_def("\xff\xff\xff\xff", "m"); }).kind(),
            ErrorKind::kDecode);
}

TEST(ModuleDefTest, EveryCorruptionIsAnErrorOrAModule) {
  const std::string bytes = from_hex("08 03 12 10") + "foo-test-missing";
  for_each_corruption(bytes, [](const std::string& damaged) {
    survives([&] { check_module_def(parse_module_def(damaged, "m"), "m"); });
  });
}

TEST(ModuleDefTest, AttachmentsAndImageSizes) {
  const ModuleAttachment attachment =
      parse_module_attachment(serialize_module_attachment({"key", std::string("\0\x01", 2)}), "m");
  EXPECT_EQ(attachment.key, "key");
  EXPECT_EQ(attachment.value.size(), 2u);
  const ImageModuleInfo info = parse_image_module_info(from_hex("0a 05 08 e0 01 10 20"), "m");
  EXPECT_EQ(info.height, 224);
  EXPECT_EQ(info.width, 32);
  EXPECT_EQ(serialize_image_module_info(info), from_hex("0a 05 08 e0 01 10 20"));
}

TEST(VariableDefTest, SlicesAreKept) {
  const VariableDef variable{.variable_name = "v/part_0:0",
                             .initializer_name = "v/part_0/Assign",
                             .snapshot_name = "v/part_0/read:0",
                             .initial_value_name = "v/part_0/init:0",
                             .slice = SaveSliceInfo{"v", {4, 2}, {0, 0}, {2, 2}, ""},
                             .is_resource = true,
                             .trainable = true,
                             .synchronization = 1,
                             .aggregation = 2,
                             .unknown_fields = from_hex("c0 3e 05")};
  const std::string bytes = serialize_variable_def(variable);
  const VariableDef again = parse_variable_def(bytes, "v");
  EXPECT_THAT(again.slice->full_shape, ElementsAre(4, 2));
  EXPECT_EQ(again.slice->full_name, "v");
  EXPECT_EQ(again.aggregation, 2);
  EXPECT_EQ(again.unknown_fields, variable.unknown_fields);
  EXPECT_EQ(serialize_variable_def(again), bytes);
  EXPECT_EQ(error_of([] { parse_variable_def("\xff", "collection"); }).kind(), ErrorKind::kDecode);
}

TEST(ControlFlowContextTest, NestedContextsAreKept) {
  WhileContext loop;
  loop.context_name = "while/while_context";
  loop.parallel_iterations = 10;
  loop.back_prop = true;
  loop.loop_exit_names = {"while/Exit"};
  loop.loop_enter_names = {"while/Enter"};
  loop.maximum_iterations_name = "max:0";
  loop.values = {{"a", "b"}, {{"outer:0", "inner:0"}}, ""};
  CondContext cond;
  cond.context_name = "while/cond/cond_text";
  cond.pred_name = "p:0";
  cond.branch = 1;
  loop.nested.push_back({cond, ""});
  const std::string bytes = serialize_while_context(loop);
  const WhileContext again = parse_while_context(bytes, "while_context");
  EXPECT_EQ(std::get<CondContext>(again.nested.at(0).context).branch, 1);
  EXPECT_EQ(again.values.external_values.at("outer:0"), "inner:0");
  EXPECT_EQ(serialize_while_context(again), bytes);
  CondContext outer = cond;
  outer.nested.push_back({again, ""});
  const std::string outer_bytes = serialize_cond_context(outer);
  EXPECT_EQ(serialize_cond_context(parse_cond_context(outer_bytes, "cond_context")), outer_bytes);
}

}  // namespace
}  // namespace hub::testing
