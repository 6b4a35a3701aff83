// Definitions, inputs of all kinds, control flow, colocation and messages of modules without state.

#include "autodiff/gradients.h"
#include "module/acceptance/acceptance.h"
#include "module/spec_impl.h"

namespace hub::testing {
namespace {

ModuleSpec square(DType dtype = kInt64) {
  return simple_spec(dtype, {-1}, [](const Output& x) { return ops::square(x); });
}

TEST(NativeModuleTest, N01_RequiredFeatures) {
  const TempDirectory folder;
  // ModuleDef of format 3 with one feature.
  write_file_atomically(folder.path() + "/tfhub_module.pb",
                        std::string("\x08\x03\x12\x10") + "foo-test-missing");
  expect_error(ErrorKind::kValue, "foo-test-missing", [&] { load_module_spec(folder.path()); });
}

ModuleSpec two_signatures() {
  return create_module_spec([](ModuleBuilder& b) {
    const Output x = b.placeholder(kFloat);
    const Output z = b.placeholder(kFloat);
    b.add_signature({.name = "double", .inputs = {{"x", x}}, .outputs = {{"y", x * 2}}});
    b.add_signature(
        {.name = "square", .inputs = {{"z", z}}, .outputs = {{"z_out", ops::square(z)}}});
  });
}

TEST(NativeModuleTest, N02_TwoSignatures) {
  const ModuleSpec spec = two_signatures();
  EXPECT_THAT(spec.signature_names(), ElementsAre("double", "square"));
  EXPECT_THAT(spec.signature("double").inputs, ElementsAre(::testing::Key("x")));
  EXPECT_THAT(spec.signature("double").outputs, ElementsAre(::testing::Key("y")));
  EXPECT_THAT(spec.signature("square").inputs, ElementsAre(::testing::Key("z")));
  EXPECT_THAT(spec.signature("square").outputs, ElementsAre(::testing::Key("z_out")));
}

TEST(NativeModuleTest, N03_N04_Tags) {
  EXPECT_THAT(square().tags(), ElementsAre(IsEmpty()));
  const auto function = [](ModuleBuilder& b) {
    const Output x = b.placeholder(kFloat);
    static_cast<void>(b.argument("is_training", false));
    b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", x}}});
  };
  const ModuleSpec spec = create_module_spec(
      function, {.variants = {{.tags = {"training"}, .arguments = {{"is_training", true}}},
                              {.tags = {"inference"}, .arguments = {{"is_training", false}}}}});
  EXPECT_THAT(spec.tags(), ElementsAre(ElementsAre("inference"), ElementsAre("training")));
}

TEST(NativeModuleTest, N06_NoSignature) {
  expect_error(ErrorKind::kValue, "No signatures present",
               [] { create_module_spec([](ModuleBuilder& b) { b.placeholder(kFloat); }); });
}

TEST(NativeModuleTest, N07_UnsupportedCollections) {
  const auto function = [](ModuleBuilder& b) {
    get_variable(b.graph(), "foo", Shape{}, {.collections = {"my_scope"}});
    const Output x = b.placeholder(kFloat);
    b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", x}}});
  };
  expect_error(ErrorKind::kValue, "Unsupported collections in graph: [my_scope]",
               [&] { create_module_spec(function); });
  EXPECT_THAT(create_module_spec(function, {.drop_collections = {"my_scope"}}).tags(),
              ElementsAre(IsEmpty()));
  MetaGraph meta_graph;
  meta_graph.collections["my_scope"] = {};
  meta_graph.collections["variables"] = {};
  EXPECT_THAT(unsupported_collections(meta_graph), ElementsAre("my_scope"));
}

TEST(NativeModuleTest, N09_Square) {
  const Graph graph;
  const Module m(graph, square());
  const Output x = ops::placeholder(graph, kInt64, {-1});
  const Output y = m(x);
  EXPECT_THAT(Session(graph).run(y, {{x, make_vector<std::int64_t>({10})}}).values<std::int64_t>(),
              ElementsAre(100));
}

TEST(NativeModuleTest, N10_UnusedInput) {
  const Graph graph;
  const Module m(graph, create_module_spec([](ModuleBuilder& b) {
                   const Output x = b.placeholder(kInt64);
                   const Output unused = b.placeholder(kInt64);
                   b.add_signature({.inputs = {{"x", x}, {"unused", unused}},
                                    .outputs = {{"default", ops::square(x)}}});
                 }));
  const Output y = m({{"x", 10}, {"unused", 4}});
  EXPECT_EQ(Session(graph).run(y).scalar<std::int64_t>(), 100);
}

TEST(NativeModuleTest, N11_N12_Conversion) {
  const Graph graph;
  const Module m(graph, square());
  const Output y = m(make_vector<std::int32_t>({10, 2}));
  EXPECT_THAT(Session(graph).run(y).values<std::int64_t>(), ElementsAre(100, 4));
  expect_error(ErrorKind::kType, "Can't convert 'x'", [&] { m("hello"); });
  expect_error(ErrorKind::kType, "missing ['x']", [&] { m(); });
}

// y = w * x with w = 2.
ModuleSpec times_two() {
  return create_module_spec([](ModuleBuilder& b) {
    const Output x = b.placeholder(kFloat, PartialShape::scalar(), "x");
    const Variable w = get_variable(b.graph(), "w", Shape{},
                                    {.initializer = init::constant(2.0), .use_resource = true});
    b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", w * x}}});
  });
}

TEST(NativeModuleTest, N13_InsideALoop) {
  const Graph graph;
  const Module m(graph, times_two());
  const Output p = ops::placeholder(graph, kInt32, PartialShape::scalar());
  const Output x = ops::constant(graph, 10.0F, kFloat);
  const auto loop = while_loop(
      graph, [&](const std::vector<Output>& v) { return ops::less(v[0], p); },
      [&](const std::vector<Output>& v) {
        return std::vector<Output>{v[0] + 1, m(v[1])};
      },
      {0, x});
  const Output w = m.variable_map().at("w").handle();
  const std::vector<GradientValue> slopes = gradients(graph, {loop[1]}, {w, x});
  Session session(graph);
  session.initialize();
  for (const auto& [turns, to_w, to_x] :
       {std::tuple{1, 10.F, 2.F}, {2, 40.F, 4.F}, {4, 320.F, 16.F}}) {
    const auto got = session.run({loop[0], loop[1], slopes[0].dense, slopes[1].dense},
                                 {{p, make_scalar<std::int32_t>(turns)}});
    EXPECT_EQ(got[0].scalar<std::int32_t>(), turns);
    EXPECT_EQ(got[1].scalar<float>(), 10 * to_x);
    EXPECT_EQ(got[2].scalar<float>(), to_w);
    EXPECT_EQ(got[3].scalar<float>(), to_x);
  }
}

TEST(NativeModuleTest, N14_Map) {
  const Graph graph;
  const Module m(graph, times_two());
  const Output y = map_fn([&](const Output& x) { return Output(m(x)); },
                          ops::constant(graph, make_vector<float>({1, 11, 101})));
  Session session(graph);
  session.initialize();
  EXPECT_THAT(floats(session.run(y)), ElementsAre(2, 22, 202));
}

TEST(NativeModuleTest, N15_ControlDependencies) {
  const auto graph_of = [](bool construct_under, bool apply_under) {
    const Graph graph;
    const Output v = ops::constant(graph, 1.0F, kFloat, "v");
    const auto under = [&](bool wanted) {
      return wanted ? std::make_unique<ControlDependencies>(graph, std::vector<Output>{v})
                    : nullptr;
    };
    std::optional<Module> m;
    {
      const auto scope = under(construct_under);
      m.emplace(graph, times_two());
    }
    const auto scope = under(apply_under);
    static_cast<void>((*m)(ops::placeholder(graph, kFloat, PartialShape::scalar(), "x")));
    return export_graph_def(graph);
  };
  const std::string plain = graph_of(false, false);
  EXPECT_EQ(graph_of(true, false), plain);
  EXPECT_NE(graph_of(false, true), plain);
}

TEST(NativeModuleTest, N16_Sparse) {
  const Graph graph;
  const Module m(
      graph, create_module_spec([](ModuleBuilder& b) {
        const SparseValue x = b.sparse_placeholder(kInt64, {-1, -1});
        b.add_signature({.inputs = {{"x", x}},
                         .outputs = {{"default", SparseValue{x.indices, ops::square(x.values),
                                                             x.dense_shape}}}});
      }));
  const SparseValue x = {
      ops::constant(graph, make_tensor<std::int64_t>({3, 2}, {0, 0, 0, 1, 1, 1})),
      ops::constant(graph, make_vector<std::int64_t>({10, 2, 1})),
      ops::constant(graph, make_vector<std::int64_t>({2, 2}))};
  const SparseValue y = m(m(x)).sparse();
  const auto got = Session(graph).run({y.indices, y.values, y.dense_shape});
  EXPECT_THAT(got[0].values<std::int64_t>(), ElementsAre(0, 0, 0, 1, 1, 1));
  EXPECT_THAT(got[1].values<std::int64_t>(), ElementsAre(10000, 16, 1));
  EXPECT_THAT(got[2].values<std::int64_t>(), ElementsAre(2, 2));
}

TEST(NativeModuleTest, N17_Ragged) {
  const Graph graph;
  const Module m(
      graph, create_module_spec([](ModuleBuilder& b) {
        const RaggedValue x = b.ragged_placeholder(kInt64);
        b.add_signature(
            {.inputs = {{"x", x}},
             .outputs = {{"default", RaggedValue{ops::square(x.values), x.row_splits}}}});
      }));
  const RaggedValue x = {ops::constant(graph, make_vector<std::int64_t>({10, 2, 1})),
                         {ops::constant(graph, make_vector<std::int64_t>({0, 2, 3}))}};
  const RaggedValue y = m(m(x)).ragged();
  const auto got = Session(graph).run({y.values, y.row_splits[0]});
  EXPECT_THAT(got[0].values<std::int64_t>(), ElementsAre(10000, 16, 1));
  EXPECT_THAT(got[1].values<std::int64_t>(), ElementsAre(0, 2, 3));
}

TEST(NativeModuleTest, N18_SeveralRaggedInputs) {
  const Graph graph;
  const Module m(
      graph, create_module_spec([](ModuleBuilder& b) {
        const RaggedValue x = b.ragged_placeholder(kFloat);
        const RaggedValue y = b.ragged_placeholder(kFloat, 3, {2});
        const Output z = b.placeholder(kFloat, PartialShape::scalar());
        const Output sum = ops::reduce_sum(y.values);
        b.add_signature({.inputs = {{"x", x}, {"y", y}, {"z", z}},
                         .outputs = {{"default", RaggedValue{x.values + sum * z, x.row_splits}}}});
      }));
  const auto splits = [&](std::initializer_list<std::int64_t> values) {
    return ops::constant(graph, make_vector<std::int64_t>(values));
  };
  const RaggedValue x = {ops::constant(graph, make_vector<float>({10, 20, 30, 40, 50})),
                         {splits({0, 2, 5})}};
  Tensor values(kFloat, {7, 2});
  for (int i = 0; i < 14; ++i) values.mutable_data<float>()[i] = static_cast<float>(i + 1);
  const RaggedValue y = {ops::constant(graph, values),
                         {splits({0, 2}), splits({0, 1, 3}), splits({0, 2, 4, 7})}};
  const RaggedValue result = m({{"x", x}, {"y", y}, {"z", 100.0F}}).ragged();
  EXPECT_THAT(floats(Session(graph).run(result.values)),
              ElementsAre(10510, 10520, 10530, 10540, 10550));
}

TEST(NativeModuleTest, N19_N20_IndexedSlices) {
  const auto create = [](bool as_input) {
    create_module_spec([&](ModuleBuilder& b) {
      const Output x = b.placeholder(kFloat, {-1});
      const Value slices = IndexedSlices{x, b.placeholder(kInt64, {-1}), {}};
      b.add_signature({.inputs = {{"x", as_input ? slices : Value(x)}},
                       .outputs = {{"default", as_input ? Value(x) : slices}}});
    });
  };
  for (const bool as_input : {true, false}) {
    expect_error(ErrorKind::kValue, "should have one of the types", [&] { create(as_input); });
  }
}

TEST(NativeModuleTest, N21_N22_TypesThatTheLibraryDoesNotHave) {
  // A signature of another library's values: loaded, but not called.
  const ModuleSpec made = square();
  MetaGraph meta_graph = made.impl().variants().front().meta_graph;
  CompositeEncoding composite;
  composite.type_spec.class_name = "StructuredTensorSpec";
  composite.type_spec.type_class = 13;
  meta_graph.signatures["default"].inputs["x"].encoding = composite;
  const ModuleSpec spec(
      std::make_shared<const ModuleSpec::Impl>(std::vector<MetaGraph>{meta_graph}, "a test"));
  const Graph graph;
  const Module m(graph, spec);
  expect_error(ErrorKind::kValue,
               "Signature 'default' expects a StructuredTensor for input 'x', which is not "
               "supported by this version of tensorflow_hub.",
               [&] { m(1); });
}

TEST(NativeModuleTest, N47_N48_MultiOutputInputs) {
  std::vector<std::string> log;
  const auto create = [&](bool clean) {
    create_module_spec(
        [&](ModuleBuilder& b) {
          const auto one = ops::split(b.placeholder(kInt64, {4}), 2, 0, "split1");
          const auto two = ops::split(b.placeholder(kInt64, {4}), 2, 0, "split2");
          const Output x = b.placeholder(kInt64);
          if (clean) return b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", x}}});
          b.add_signature({.inputs = {{"first", one[0]},
                                      {"second", two[1]},
                                      {"third", SparseValue{one[0], one[1], two[0]}},
                                      {"x", x}},
                           .outputs = {{"default", x}}});
        },
        {.log = [&](std::string_view line) { log.emplace_back(line); }});
  };
  create(true);
  EXPECT_THAT(log, IsEmpty());
  create(false);
  ASSERT_EQ(log.size(), 1u);
  EXPECT_TRUE(log[0].starts_with("WARNING:"));
  EXPECT_THAT(log[0], HasSubstr("single output"));
  EXPECT_TRUE(log[0].ends_with(
      "Affected inputs: first='split1:0', second='split2:1', third.indices='split1:0', "
      "third.values='split1:1', third.dense_shape='split2:0'"))
      << log[0];
}

TEST(NativeModuleTest, N61_N62_Cond) {
  const ModuleSpec spec = simple_spec(kFloat, PartialShape::scalar(), [](const Output& x) {
    return cond(
        ops::greater(x, 0), [&] { return ops::identity(x); }, [&] { return ops::zeros_like(x); });
  });
  const EvalFunction f(spec);
  EXPECT_EQ(f(make_scalar(9.1f)).scalar<float>(), 9.1f);
  EXPECT_EQ(f(make_scalar(-2.4f)).scalar<float>(), 0);
  const Graph graph;
  const Output x = ops::placeholder(graph, kFloat, PartialShape::scalar());
  const Output slope = gradients(graph, {Module(graph, spec)(x)}, {x})[0].dense;
  Session session(graph);
  EXPECT_EQ(session.run(slope, {{x, make_scalar(2.0f)}}).scalar<float>(), 1);
  EXPECT_EQ(session.run(slope, {{x, make_scalar(-2.0f)}}).scalar<float>(), 0);
}

TEST(NativeModuleTest, N63_N64_NestedConds) {
  const ModuleSpec spec = simple_spec(kFloat, PartialShape::scalar(), [](const Output& x) {
    const auto relu = [&] {
      return cond(
          ops::greater(x, 0), [&] { return ops::identity(x); }, [&] { return ops::zeros_like(x); });
    };
    return cond(ops::greater(x, -100), relu, [&] { return ops::identity(x); });
  });
  const Graph graph;
  const Module m(graph, spec);
  const Output x = ops::placeholder(graph, kFloat, PartialShape::scalar());
  const Output y = m(x);
  const Output slope = gradients(graph, {y}, {x})[0].dense;
  Session session(graph);
  EXPECT_EQ(session.run(y, {{x, make_scalar(9.1f)}}).scalar<float>(), 9.1f);
  EXPECT_EQ(session.run(y, {{x, make_scalar(-2.4f)}}).scalar<float>(), 0);
  EXPECT_EQ(session.run(slope, {{x, make_scalar(2.0f)}}).scalar<float>(), 1);
  EXPECT_EQ(session.run(slope, {{x, make_scalar(-2.0f)}}).scalar<float>(), 0);
}

ModuleSpec power() {
  return create_module_spec([](ModuleBuilder& b) {
    const Output x = b.placeholder(kFloat, PartialShape::scalar());
    const Output n = b.placeholder(kInt32, PartialShape::scalar());
    const auto loop = while_loop(
        b.graph(), [&](const std::vector<Output>& v) { return ops::less(v[0], n); },
        [&](const std::vector<Output>& v) {
          return std::vector<Output>{v[0] + 1, v[1] * x};
        },
        {0, 1.0F});
    b.add_signature({.inputs = {{"x", x}, {"n", n}}, .outputs = {{"default", loop[1]}}});
  });
}

TEST(NativeModuleTest, N65_N66_While) {
  const Graph graph;
  const Module m(graph, power());
  const Output x = ops::placeholder(graph, kFloat, PartialShape::scalar());
  const Output n = ops::placeholder(graph, kInt32, PartialShape::scalar());
  const Output y = m({{"x", x}, {"n", n}});
  const Output slope = gradients(graph, {y}, {x})[0].dense;
  Session session(graph);
  const auto run = [&](const Output& fetch, float base, std::int32_t exponent) {
    return session.run(fetch, {{x, make_scalar(base)}, {n, make_scalar(exponent)}}).scalar<float>();
  };
  EXPECT_FLOAT_EQ(run(y, 9.1f, 1), 9.1f);
  EXPECT_FLOAT_EQ(run(y, 2.4f, 2), 5.76f);
  EXPECT_FLOAT_EQ(run(slope, 2, 3), 12);
}

TEST(NativeModuleTest, N67_WhileInsideACond) {
  const Graph graph;
  const Module m(graph, power());
  const Output pred = ops::placeholder(graph, kBool, PartialShape::scalar());
  const Output x = ops::constant(graph, 3.0F, kFloat);
  const Output y = cond(
      pred,
      [&] {
        return Output(m({{"x", x}, {"n", 2}}));
      },
      [&] { return x * 2; });
  Session session(graph);
  EXPECT_EQ(session.run(y, {{pred, make_scalar(true)}}).scalar<float>(), 9);
  EXPECT_EQ(session.run(y, {{pred, make_scalar(false)}}).scalar<float>(), 6);
}

TEST(NativeModuleTest, N68_N69_CondInsideALoop) {
  // The sum of the elements above 1.1.
  const ModuleSpec spec = simple_spec(kFloat, {-1}, [](const Output& x) {
    const Output n = ops::size(x);
    return while_loop(
        x.graph(), [&](const std::vector<Output>& v) { return ops::less(v[0], n); },
        [&](const std::vector<Output>& v) {
          const Output element = ops::gather(x, v[0]);
          const Output sum = cond(
              ops::greater(element, 1.1F), [&] { return v[1] + element; },
              [&] { return ops::identity(v[1]); });
          return std::vector<Output>{v[0] + 1, sum};
        },
        {0, 0.0F})[1];
  });
  const Graph graph;
  const Module m(graph, spec);
  const Output x = ops::placeholder(graph, kFloat, {-1});
  const Output y = m(x);
  const Output slope = dense_gradient(graph, gradients(graph, {y}, {x})[0]);
  Session session(graph);
  const Feeds feeds = {{x, make_vector<float>({10, 0, 0.5, 1.2f})}};
  EXPECT_FLOAT_EQ(session.run(y, feeds).scalar<float>(), 11.2f);
  EXPECT_THAT(floats(session.run(slope, feeds)), ElementsAre(1, 0, 0, 1));
}

}  // namespace
}  // namespace hub::testing
