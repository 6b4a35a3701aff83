// Variables and tables of modules; export.

#include "format/module_files.h"
#include "module/acceptance/acceptance.h"
#include "module/spec_impl.h"
#include "module/state_graph.h"

namespace hub::testing {
namespace {

Output float_placeholder(ModuleBuilder& b, const PartialShape& shape = {}) {
  return b.placeholder(kFloat, shape, "x");
}

TEST(NativeStateTest, N05_StateWithoutCheckpoint) {
  const ModuleSpec spec = create_module_spec([](ModuleBuilder& b) {
    const Initializer zeros = init::zeros();
    get_variable(b.graph(), "weights", {3}, {.initializer = zeros});
    get_variable(b.graph(), "partition", {4},
                 {.initializer = zeros, .partitioner = partition::fixed_size(3)});
    const Output x = float_placeholder(b);
    b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", x}}});
  });
  const Graph graph;
  const Module m(graph, spec);
  const std::vector<Variable> variables = collection_variables(graph);
  EXPECT_THAT(names_of(variables),
              ElementsAre("module/weights", "module/partition/part_0", "module/partition/part_1",
                          "module/partition/part_2"));
  Session session(graph);
  session.initialize();
  std::vector<std::int64_t> sizes;
  for (const Variable& variable : variables) {
    const Tensor value = session.variable(variable.op());
    sizes.push_back(value.num_elements());
    for (const float element : value.values<float>()) EXPECT_EQ(element, 0);
  }
  EXPECT_THAT(sizes, ElementsAre(3, 2, 1, 1));
}

TEST(NativeStateTest, N08_RecoversPartitions) {
  const Graph graph;
  {
    const VariableScope scope(graph, "test");
    get_variable(graph, "partitioned_variable", {11, 5},
                 {.initializer = init::zeros(), .partitioner = partition::fixed_size(3)});
    get_variable(graph, "normal_variable", {5, 6}, {.initializer = init::zeros()});
  }
  const VariableMap variables = variables_below(graph, "test");
  EXPECT_THAT(keys_of(variables), ElementsAre("normal_variable", "partitioned_variable"));
  EXPECT_THAT(names_of(variables.at("partitioned_variable").parts()),
              ElementsAre("test/partitioned_variable/part_0", "test/partitioned_variable/part_1",
                          "test/partitioned_variable/part_2"));
}

// A variable "var123" of this value; the output is its value.
ModuleSpec variable_spec(const Tensor& value, bool use_resource = true) {
  return create_module_spec([=](ModuleBuilder& b) {
    const Variable v =
        get_variable(b.graph(), "var123", value.shape(),
                     {.initializer = init::constant(value), .use_resource = use_resource});
    b.add_signature({.outputs = {{"default", ops::identity(v)}}});
  });
}

TEST(NativeStateTest, N23_VariableMap) {
  const Graph graph;
  const Module m(graph, variable_spec(make_vector<float>({1, 2, 3})), {.name = "test"});
  EXPECT_THAT(keys_of(m.variable_map()), ElementsAre("var123"));
  const Variable variable = m.variable_map().at("var123");
  EXPECT_EQ(variable.name(), "test/var123");
  Session session(graph);
  session.initialize();
  EXPECT_THAT(floats(session.variable(variable.op())), ElementsAre(1, 2, 3));
}

TEST(NativeStateTest, N24_N25_ReadsAreColocated) {
  for (const bool use_resource : {true, false}) {
    const TempDirectory folder;
    const std::string path = folder.path() + "/module";
    const ModuleSpec spec = variable_spec(make_scalar(10.0f), use_resource);
    const Graph first;
    const Module made(first, spec, {.name = "test_rv"});
    if (use_resource) {
      EXPECT_EQ(
          std::get<std::string>(first.operation("test_rv/var123").attr("shared_name").value()),
          "test_rv/var123");
    }
    Session session(first);
    session.initialize();
    made.export_to(path, session);

    const Graph graph;
    const Module m(graph, path);
    const Output y = m();
    const Operation read = graph.operation(
        cat("module_apply_default/var123/", use_resource ? "Read/ReadVariableOp" : "read"));
    EXPECT_THAT(colocation_of(read), ::testing::AnyOf(ElementsAre("loc:@module/var123"),
                                                      ElementsAre(cat("loc:@", read.name()))));
    if (use_resource) {
      EXPECT_EQ(std::get<std::string>(graph.operation("module/var123").attr("shared_name").value()),
                "module/var123");
    }
    Session reloaded(graph);
    reloaded.initialize();
    EXPECT_EQ(reloaded.run(y).scalar<float>(), 10);
  }
}

TEST(NativeStateTest, N26_ReferenceVariableInALoop) {
  const ModuleSpec spec = create_module_spec([](ModuleBuilder& b) {
    const Variable v = get_variable(b.graph(), "var123", Shape{},
                                    {.initializer = init::constant(10.0), .use_resource = false});
    const auto loop = while_loop(
        b.graph(), [](const std::vector<Output>& x) { return ops::less(x[0], 4); },
        [&](const std::vector<Output>& x) {
          return std::vector<Output>{x[0] + 1, x[1] + x[1] + (Output(v) - 10.0F)};
        },
        {0, Output(v)});
    b.add_signature({.outputs = {{"n", loop[0]}, {"y", loop[1]}}});
  });
  const Graph graph;
  const Module m(graph, spec);
  const Outputs outputs = m.apply();
  Session session(graph);
  session.initialize();
  EXPECT_EQ(session.run(outputs["n"].dense()).scalar<std::int32_t>(), 4);
  EXPECT_EQ(session.run(outputs["y"].dense()).scalar<float>(), 160);
  EXPECT_THAT(colocation_of(graph.operation("module_apply_default/var123/read")),
              ElementsAre("loc:@module/var123"));
}

TEST(NativeStateTest, N27_ReferenceVariableInACond) {
  const ModuleSpec spec = create_module_spec([](ModuleBuilder& b) {
    const Output pred = b.placeholder(kBool, PartialShape::scalar(), "pred");
    const Variable v = get_variable(b.graph(), "var123", Shape{},
                                    {.initializer = init::constant(10.0), .use_resource = false});
    const Output y = cond(
        pred, [&] { return ops::identity(Output(v)); },
        [&] { return ops::constant(b.graph(), 9.0F, kFloat); });
    b.add_signature({.inputs = {{"pred", pred}}, .outputs = {{"default", y}}});
  });
  const Graph graph;
  const Module m(graph, spec);
  const Output yes = m(true);
  const Output no = m(false);
  Session session(graph);
  session.initialize();
  EXPECT_EQ(session.run(yes).scalar<float>(), 10);
  EXPECT_EQ(session.run(no).scalar<float>(), 9);
}

// The sum of a partitioned variable of ones and a normal one.
ModuleSpec partitioned_spec(std::int64_t rows, int parts) {
  return create_module_spec([=](ModuleBuilder& b) {
    const Initializer ones = init::ones();
    const Variable big =
        get_variable(b.graph(), "partitioned_variable", {rows, 3},
                     {.initializer = ones, .partitioner = partition::fixed_size(parts)});
    const Variable normal =
        get_variable(b.graph(), "normal_variable", {rows, 3}, {.initializer = ones});
    b.add_signature({.outputs = {{"default", Output(big) + Output(normal)}}});
  });
}

void check_partitioned(const Graph& graph, const Module& m, std::size_t parts) {
  EXPECT_EQ(m.variable_map().size(), 2u);
  EXPECT_EQ(m.variable_map().at("partitioned_variable").parts().size(), parts);
  EXPECT_EQ(m.variables().size(), parts + 1);
  const Output y = m();
  Session session(graph);
  session.initialize();
  const Tensor sum = session.run(y);
  for (const float element : sum.values<float>()) EXPECT_EQ(element, 2);
}

TEST(NativeStateTest, N29_N30_PartitionedVariables) {
  for (const auto& [rows, parts] : {std::pair{7, 3}, {600, 25}}) {
    const TempDirectory folder;
    const ModuleSpec spec = partitioned_spec(rows, parts);
    const Graph graph;
    const Module m(graph, spec, {.name = "test"});
    EXPECT_EQ(names_of(m.variables())[0], "test/normal_variable");
    EXPECT_EQ(names_of(m.variables())[1], "test/partitioned_variable/part_0");
    EXPECT_EQ(names_of(m.variables()).back(), cat("test/partitioned_variable/part_", parts - 1));
    check_partitioned(graph, m, static_cast<std::size_t>(parts));
    export_fresh(spec, folder.path() + "/module");
    const Graph other;
    check_partitioned(other, Module(other, folder.path() + "/module"),
                      static_cast<std::size_t>(parts));
  }
}

TEST(NativeStateTest, N38_N39_AssignedValuesAreExported) {
  const TempDirectory folder;
  const std::string path = folder.path() + "/module";
  {
    const Graph graph;
    const Module m(graph, variable_spec(make_vector<float>({1, 2, 3})));
    Session session(graph);
    session.initialize();
    session.set_variable(m.variables()[0].op(), make_vector<float>({9, 9, 9}));
    m.export_to(path, session);
  }
  const Graph graph;
  const Module m(graph, path);
  const Output y = m();
  Session session(graph);
  session.initialize();
  EXPECT_THAT(floats(session.run(y)), ElementsAre(9, 9, 9));
  EXPECT_THAT(floats(EvalFunction(load_module_spec(path))()), ElementsAre(9, 9, 9));
}

TEST(NativeStateTest, N40_N41_Tables) {
  const TempDirectory folder;
  const std::string path = folder.path() + "/module";
  const ModuleSpec spec = create_module_spec([](ModuleBuilder& b) {
    const Graph& graph = b.graph();
    const Output x = b.placeholder(kInt64, {-1});
    const Operation table =
        graph.op("HashTableV2", {}, {{"key_dtype", kInt64}, {"value_dtype", kString}});
    graph.add_to_collection(
        Collections::kTableInitializers,
        graph.op("LookupTableImportV2", {table, make_vector<std::int64_t>({0, 1, 2}),
                                         strings({"index0", "hello", "world"})}));
    b.add_signature({.inputs = {{"x", x}},
                     .outputs = {{"default", graph.op("LookupTableFindV2", {table, x, "UNK"})}}});
  });
  export_fresh(spec, path);
  const Graph graph;
  const Output y = Module(graph, path)(make_vector<std::int64_t>({0, 1, 2, 3}));
  Session session(graph);
  session.initialize();
  EXPECT_THAT(texts(session.run(y)), ElementsAre("index0", "hello", "world", "UNK"));
  const EvalFunction f(load_module_spec(path));
  EXPECT_THAT(texts(f(make_vector<std::int64_t>({1, 3}))), ElementsAre("hello", "UNK"));
}

TEST(NativeStateTest, N42_DenseLayer) {
  const TempDirectory folder;
  const std::string path = folder.path() + "/module";
  const Graph graph;
  const Module m(
      graph, create_module_spec([](ModuleBuilder& b) {
        const Output x = float_placeholder(b, {-1, 2});
        const VariableScope scope(b.graph(), "dense");
        const Variable kernel = get_variable(b.graph(), "kernel", {2, 3});
        const Variable bias = get_variable(b.graph(), "bias", {3}, {.initializer = init::zeros()});
        b.add_signature({.inputs = {{"x", x}},
                         .outputs = {{"default", ops::bias_add(ops::matmul(x, kernel), bias)}}});
      }));
  const Tensor x = make_tensor<float>({1, 2}, {1, 2});
  const Output y = m(x);
  Session session(graph);
  session.initialize();
  const std::vector<float> before = floats(session.run(y));
  m.export_to(path, session);
  EXPECT_EQ(floats(load(path)(x)), before);
}

TEST(NativeStateTest, N53_TwoOutputs) {
  const Graph graph;
  const Module m(graph, create_module_spec([](ModuleBuilder& b) {
                   const Output x = float_placeholder(b);
                   const Variable w =
                       get_variable(b.graph(), "w", Shape{}, {.initializer = init::constant(3)});
                   const Output y = w * x;
                   b.add_signature({.inputs = {{"x", x}}, .outputs = {{"y", y}, {"z", w * y}}});
                 }));
  const Outputs outputs = m.apply(2.0F);
  Session session(graph);
  session.initialize();
  EXPECT_EQ(session.run(outputs["y"].dense()).scalar<float>(), 6);
  EXPECT_EQ(session.run(outputs["z"].dense()).scalar<float>(), 18);
}

TEST(NativeStateTest, N58_SharedByApplications) {
  const TempDirectory folder;
  const std::string path = folder.path() + "/module";
  {
    const Graph graph;
    const Module m(graph, create_module_spec([](ModuleBuilder& b) {
                     const Output x = float_placeholder(b);
                     const Variable w = get_variable(b.graph(), "iamtheoneandonly", Shape{},
                                                     {.initializer = init::constant(3)});
                     b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", w * x}}});
                   }),
                   {.name = "moduleA"});
    Output first;
    Output second;
    {
      const NameScope names(graph, "foo");
      const VariableScope variables(graph, "bar");
      first = m(2.0F);
    }
    {
      const NameScope names(graph, "baz");
      second = m(3.0F);
    }
    Session session(graph);
    session.initialize();
    EXPECT_EQ(session.run(first).scalar<float>(), 6);
    EXPECT_EQ(session.run(second).scalar<float>(), 9);
    EXPECT_THAT(names_of(collection_variables(graph)), ElementsAre("moduleA/iamtheoneandonly"));
    m.export_to(path, session);
  }
  const Graph graph;
  const Output y = Module(graph, path, {.name = "another"})(2.0F);
  Session session(graph);
  session.initialize();
  EXPECT_EQ(session.run(y).scalar<float>(), 6);
}

TEST(NativeStateTest, N59_N60_TwoSignaturesOneWeight) {
  const ModuleSpec spec = create_module_spec([](ModuleBuilder& b) {
    const Output x = float_placeholder(b, {-1});
    const Output y = b.placeholder(kFloat, {-1}, "y");
    const Variable w = get_variable(b.graph(), "w", {1}, {.initializer = init::constant(3)});
    b.add_signature({.name = "mul", .inputs = {{"x", x}}, .outputs = {{"default", x * w}}});
    b.add_signature({.name = "div", .inputs = {{"y", y}}, .outputs = {{"default", y / w}}});
  });
  EXPECT_THAT(spec.signature_names(), ElementsAre("div", "mul"));
  const Graph graph;
  const Module m(graph, spec);
  const Output product = m(make_vector<float>({6, 3, 1}), {.signature = "mul"});
  const Output back = m(product, {.signature = "div"});
  Session session(graph);
  session.initialize();
  EXPECT_THAT(floats(session.run(back)), ElementsAre(6, 3, 1));
}

TEST(NativeStateTest, N74_UnknownOps) {
  const ModuleSpec made = variable_spec(make_scalar(1.0f));
  MetaGraph meta_graph = made.impl().variants().front().meta_graph;
  OpDefMessage unknown;
  unknown.name = "non-existent-op";
  meta_graph.stripped_op_list.push_back(unknown);
  const ModuleSpec spec(
      std::make_shared<const ModuleSpec::Impl>(std::vector<MetaGraph>{meta_graph}, "a test"));
  const Error error = error_of([&] { Module(Graph(), spec); });
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_THAT(error.message(), HasSubstr("non-existent-op"));
}

// A checkpoint with "block/kernel" and "block/bias".
std::string write_checkpoint(const std::string& folder, const std::string& scope,
                             std::int64_t kernel_size) {
  const std::string prefix = folder + "/checkpoint";
  BundleWriter writer(prefix);
  writer.add(scope + "/bias", make_vector<float>({1}));
  Tensor kernel(kFloat, {kernel_size, 1});
  for (float& value : kernel.mutable_values<float>()) value = 2;
  writer.add(scope + "/kernel", kernel);
  writer.finish();
  return prefix;
}

TEST(NativeStateTest, N75_N76_N77_SpecExport) {
  const ModuleSpec spec = create_module_spec([](ModuleBuilder& b) {
    const Output x = float_placeholder(b, {-1, 3});
    const Variable kernel = get_variable(b.graph(), "kernel", {3, 1});
    const Variable bias = get_variable(b.graph(), "bias", {1});
    b.add_signature({.inputs = {{"x", x}},
                     .outputs = {{"default", ops::bias_add(ops::matmul(x, kernel), bias)}}});
  });
  const auto in_block = [](const std::string& name) { return cat("block/", name); };
  const TempDirectory folder;
  const std::string& root = folder.path();
  const std::string good = write_checkpoint(root, "block", 3);
  spec.export_to(root + "/module", {.checkpoint_path = good, .name_transform = in_block});
  EXPECT_THAT(floats(load(root + "/module")(make_tensor<float>({1, 3}, {1, 1, 1}))),
              ElementsAre(7));
  const TempDirectory wrong;
  expect_error(ErrorKind::kValue, "doesn't match with shape of", [&] {
    spec.export_to(root + "/other", {.checkpoint_path = write_checkpoint(wrong.path(), "block", 4),
                                     .name_transform = in_block});
  });
  const TempDirectory missing;
  expect_error(ErrorKind::kValue, "bias is not found in", [&] {
    spec.export_to(root + "/other",
                   {.checkpoint_path = write_checkpoint(missing.path(), "block2", 3),
                    .name_transform = in_block});
  });
  EXPECT_FALSE(path_exists(root + "/other"));
  expect_error(ErrorKind::kValue, "Missing mandatory",
               [&] { spec.export_to(root + "/other", SpecExportOptions{}); });
}

TEST(NativeStateTest, N70_N71_N72_N73_Messages) {
  const auto function = [](ModuleBuilder& b) {
    const bool tagged = b.argument("tagged", false);
    const Output x = float_placeholder(b);
    b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", x * (tagged ? 2 : 1)}}});
    b.attach_message("letters", "abc");
    b.attach_message("numbers", "first");
    b.attach_message("numbers", "last");
    b.attach_message("tagged", tagged ? "1" : "0");
  };
  const ModuleSpec spec = create_module_spec(
      function,
      {.variants = {{}, {.tags = {"double", "the", "value"}, .arguments = {{"tagged", true}}}}});
  EXPECT_EQ(spec.attached_message("letters"), "abc");
  EXPECT_EQ(spec.attached_message("numbers"), "last");
  EXPECT_EQ(spec.attached_message("tagged"), "0");
  EXPECT_EQ(spec.attached_message("tagged", {"value", "the", "double"}), "1");
  EXPECT_EQ(spec.attached_message("unknown"), std::nullopt);
  expect_error(ErrorKind::kKey, "unknown", [&] { spec.required_attached_message("unknown"); });
  expect_error(ErrorKind::kKey, "other", [&] { spec.attached_message("tagged", {"other"}); });
  const Graph graph;
  const Module m(graph, spec, {.tags = {"double", "the", "value"}});
  EXPECT_EQ(m.spec().attached_message("tagged", m.tags()), "1");
  std::string copy = *spec.attached_message("letters");
  copy += "changed";
  EXPECT_EQ(spec.attached_message("letters"), "abc");
  expect_error(ErrorKind::kValue, "malformed key", [] {
    create_module_spec([](ModuleBuilder& b) { b.attach_message("1number", ""); });
  });
}

TEST(SavedModelLibTest, A05_A06_A09_A10_WhatIsKept) {
  const ModuleSpec spec = create_module_spec(
      [](ModuleBuilder& b) {
        const Output x = float_placeholder(b);
        b.graph().add_to_collection("emptied", x);
        b.add_signature({.name = "six", .outputs = {{"default", ops::constant(b.graph(), 6.0F)}}});
        b.add_signature({.name = "mul2", .inputs = {{"x", x}}, .outputs = {{"default", x * 2}}});
      },
      {.drop_collections = {"emptied"}});
  EXPECT_THAT(spec.signature_names(), ElementsAre("mul2", "six"));
  EXPECT_THAT(spec.attached_keys(), IsEmpty());
  EXPECT_TRUE(spec.impl().variants().front().meta_graph.collections.empty());
}

TEST(SavedModelLibTest, A07_TagsAreSets) {
  const auto function = [](ModuleBuilder& b) {
    const Output x = float_placeholder(b);
    b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", x}}});
  };
  const ModuleSpec spec =
      create_module_spec(function, {.variants = {{.tags = {"a", "b"}}, {.tags = {"c"}}}});
  EXPECT_THAT(spec.signature_names({"b", "a"}), ElementsAre("default"));
  EXPECT_THAT(spec.signature_names({"a", "b", "a"}), ElementsAre("default"));
  expect_error(ErrorKind::kKey, "{a}", [&] { spec.signature_names({"a"}); });
  expect_error(ErrorKind::kValue, "used repeatedly", [&] {
    create_module_spec(function, {.variants = {{.tags = {"a", "b"}}, {.tags = {"b", "a"}}}});
  });
}

TEST(SavedModelModuleTest, A11_SavedModelAsModule) {
  const TempDirectory folder;
  const std::string path = folder.path() + "/saved_model";
  {
    const Graph graph;
    const Output x = ops::placeholder(graph, kFloat, {-1, 3}, "x");
    const Variable w = get_variable(graph, "w", Shape{}, {.initializer = init::constant(2)});
    const Output y = ops::multiply(x, w, "y");
    graph.add_to_collection("extra", y);
    MetaGraph meta_graph =
        parse_meta_graph(export_meta_graph_def(graph, {.tags = {"serve"}}), "a test");
    SignatureDef signature;
    signature.inputs["x"] = {
        .encoding = DenseEncoding{"x:0"}, .dtype = kFloat, .shape = PartialShape{-1, 3}};
    signature.outputs["y"] = {
        .encoding = DenseEncoding{"y:0"}, .dtype = kFloat, .shape = PartialShape{-1, 3}};
    meta_graph.signatures["serving_default"] = signature;
    ModuleWriter writer(path);
    BundleWriter variables(writer.checkpoint_prefix());
    variables.add("w", make_scalar(2.0f));
    variables.finish();
    SavedModel model;
    model.schema_version = 1;
    model.meta_graphs.push_back(std::move(meta_graph));
    writer.write_saved_model(model);
    writer.commit();
  }
  const ModuleSpec spec = create_module_spec_from_saved_model(path, {"extra"});
  expect_error(ErrorKind::kValue, "extra", [&] { create_module_spec_from_saved_model(path); });
  const Graph graph;
  const Module m(graph, spec, {.tags = {"serve"}});
  const Output y =
      m.apply(make_tensor<float>({1, 3}, {2, 4, 5}), {.signature = "serving_default"})["y"];
  Session session(graph);
  session.initialize();
  EXPECT_THAT(floats(session.run(y)), ElementsAre(4, 8, 10));
}

}  // namespace
}  // namespace hub::testing
