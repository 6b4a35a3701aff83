// What TensorFlow's sessions promise, run by run: feeds, fetches, pruning, order, state after an
// error, and the code of every mistake. Both executors, passes on and off.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/session_fixture.h"

namespace hub::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(Modes, SessionTest, all_session_modes());

// --- feeds and fetches ---

TEST_P(SessionTest, OneTensorIsFetchedTwiceAndAFedOneTooAndNeitherSharesMemoryWithAVariable) {
  const OutputId x = placeholder(kFloat);
  const OutputId y = graph_.add("Neg", {x});
  const auto results = run({{x, floats({2}, {1, 2})}}, {y, x, y, x});
  EXPECT_THAT(results[0], is_tensor(floats({2}, {-1, -2})));
  EXPECT_THAT(results[1], is_tensor(floats({2}, {1, 2})));
  EXPECT_THAT(results[2], is_tensor(results[0]));
  EXPECT_THAT(results[3], is_tensor(results[1]));
}

TEST_P(SessionTest, AFeedMayHaveAnotherShapeThanThePlaceholderButNotAnotherDtype) {
  const OutputId x =
      graph_.add("Placeholder", {}, {{"dtype", kFloat}, {"shape", partial_shape("[2,3]")}});
  const OutputId y = graph_.add("Neg", {x});
  EXPECT_THAT(run({{x, floats({1}, {1})}}, {y})[0], is_tensor(floats({1}, {-1})));
  EXPECT_EQ(code({{x, ints({1}, {1})}}, {y}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({{x, Tensor()}}, {y}), ErrorCode::kInvalidArgument);
}

TEST_P(SessionTest, AnUnfedPlaceholderFailsOnlyWhereItIsNeeded) {
  const OutputId x = placeholder(kFloat);
  const OutputId y = graph_.add("Neg", {x});
  EXPECT_EQ(code({}, {y}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({}, {}, {x}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(value(y, {{y, scalar(3.0f)}}), 3);
  EXPECT_EQ(value(graph_.add("Neg", {y}), {{y, scalar(3.0f)}}), -3);
}

TEST_P(SessionTest, AFeedThatNobodyNeedsIsIgnored) {
  const OutputId x = placeholder(kFloat);
  const OutputId y = graph_.add("Neg", {x});
  const OutputId z = graph_.add("AddV2", {y, y});
  EXPECT_EQ(value(z, {{y, scalar(1.0f)}, {x, scalar(5.0f)}}), 2);
}

TEST_P(SessionTest, ATensorIsFedOnce) {
  const OutputId x = placeholder(kFloat);
  EXPECT_EQ(code({{x, scalar(1.0f)}, {x, scalar(1.0f)}}, {graph_.add("Neg", {x})}),
            ErrorCode::kInvalidArgument);
}

TEST_P(SessionTest, WhatTheGraphDoesNotHaveIsNotFound) {
  const OutputId x = placeholder(kFloat);
  const OutputId y = graph_.add("Neg", {x});
  Engine& engine = graph_.engine();
  const std::map<std::string, Tensor> feeds = {{"Placeholder", scalar(1.0f)}};
  EXPECT_EQ(engine.run(feeds, {"Neg:0", "Neg"})[1].scalar<float>(), -1);
  for (const char* name : {"nope", "nope:0", "Neg:1", "Placeholder:3"}) {
    EXPECT_EQ(error_code_of([&] { engine.run(feeds, {name}); }), ErrorCode::kNotFound) << name;
    EXPECT_EQ(error_code_of([&] {
                engine.run({{name, scalar(1.0f)}}, {"Neg"});
              }),
              ErrorCode::kNotFound)
        << name;
  }
  for (const char* name : {"a:b:c", "Neg:-1", ""}) {
    EXPECT_NE(error_code_of([&] { engine.run(feeds, {name}); }), ErrorCode::kUnknown) << name;
  }
  EXPECT_NE(error_code_of([&] { engine.run(feeds, {"^Neg"}); }), ErrorCode::kUnknown);
  EXPECT_EQ(error_code_of([&] { engine.run(feeds, {}, {"nope"}); }), ErrorCode::kNotFound);
  EXPECT_EQ(code({}, {{99, 0}}), ErrorCode::kNotFound);
  EXPECT_EQ(code({}, {{y.node, 1}}), ErrorCode::kNotFound);
  EXPECT_EQ(code({}, {{y.node, -1}}), ErrorCode::kNotFound);
  EXPECT_EQ(code({{{-1, 0}, scalar(1.0f)}}, {y}), ErrorCode::kNotFound);
  EXPECT_EQ(code({}, {}, {{99, 0}}), ErrorCode::kNotFound);
}

// --- pruning and order ---

TEST_P(SessionTest, AStatefulNodeThatNothingNeedsDoesNotRun) {
  const OutputId handle = graph_.variable(scalar(1.0f));
  const OutputId add = add_to(handle, 1);
  const OutputId after = read_of(handle, {add});
  EXPECT_EQ(value(read_of(handle)), 1);
  EXPECT_EQ(value(after), 2);
  EXPECT_EQ(value(read_of(handle)), 2);
  // A target runs though nothing is fetched.
  run({}, {}, {add});
  EXPECT_EQ(value(read_of(handle)), 3);
}

TEST_P(SessionTest, ControlEdgesOrderReadsAndWrites) {
  const OutputId handle = graph_.variable(scalar(1.0f));
  const OutputId first = read_of(handle);
  const OutputId add = add_to(handle, 1, {first});
  const OutputId second = read_of(handle, {add});
  const OutputId reshaped = graph_.add("Reshape", {second, graph_.constant(ints({1}, {1}))});
  const OutputId add_more = add_to(handle, 10, {second});
  const OutputId third = read_of(handle, {add_more});
  const OutputId late = graph_.add("Neg", {reshaped}, {}, {add_more});
  const auto results = run({}, {third, late, second, first});
  EXPECT_EQ(results[0].scalar<float>(), 12);
  EXPECT_THAT(results[1], is_tensor(floats({1}, {-2})));
  EXPECT_EQ(results[2].scalar<float>(), 2);
  EXPECT_EQ(results[3].scalar<float>(), 1);
}

TEST_P(SessionTest, AControlEdgeFromAFedNodeStillRunsIt) {
  const OutputId handle = graph_.variable(scalar(1.0f));
  const OutputId read = read_of(handle, {add_to(handle, 1)});
  const OutputId doubled = graph_.add("AddV2", {read, read});
  const OutputId late = graph_.add("Neg", {doubled}, {}, {read});
  EXPECT_EQ(value(doubled, {{read, scalar(5.0f)}}), 10);
  EXPECT_EQ(value(read_of(handle)), 1);
  EXPECT_EQ(value(late, {{read, scalar(5.0f)}}), -10);
  EXPECT_EQ(value(read_of(handle)), 2);
  // From a placeholder there is nothing to run.
  const OutputId x = placeholder(kFloat);
  EXPECT_EQ(value(graph_.add("Neg", {number(1)}, {}, {x}), {{x, scalar(0.0f)}}), -1);
}

TEST_P(SessionTest, FeedingOneOutputAndFetchingAnotherRunsTheNode) {
  const int split =
      graph_
          .add("Split", {graph_.constant(scalar(0)), graph_.constant(floats({2}, {1, 2}))},
               {{"num_split", 2}})
          .node;
  const auto results = run({{{split, 0}, floats({1}, {7})}}, {{split, 1}, {split, 0}});
  EXPECT_THAT(results[0], is_tensor(floats({1}, {2})));
  EXPECT_THAT(results[1], is_tensor(floats({1}, {7})));
}

// --- errors and what they leave ---

TEST_P(SessionTest, AFailedRunKeepsWhatItAssigned) {
  const OutputId handle = graph_.variable(scalar(1.0f));
  const OutputId reference = graph_.reference_variable(scalar(1.0f));
  const OutputId adds = add_to(handle, 1);
  const OutputId adds_too = graph_.add("AssignAdd", {reference, number(1)});
  const OutputId fails = graph_.add("Assert", {graph_.constant(scalar(false)), number(3)},
                                    {{"T", types_attr({kFloat})}}, {adds, adds_too});
  EXPECT_EQ(code({}, {}, {fails}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(value(read_of(handle)), 2);
  EXPECT_EQ(value(reference), 2);
  // The plan that failed runs again.
  EXPECT_EQ(code({}, {}, {fails}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(value(read_of(handle)), 3);
}

TEST_P(SessionTest, AnUninitialisedReferenceVariable) {
  const OutputId variable =
      graph_.add("VariableV2", {}, {{"dtype", kFloat}, {"shape", partial_shape("[2]")}});
  const auto with = [&](std::string_view op, const std::vector<OutputId>& more = {}) {
    std::vector<OutputId> inputs = {variable};
    inputs.insert(inputs.end(), more.begin(), more.end());
    return graph_.add(op, inputs);
  };
  const OutputId delta = graph_.constant(floats({2}, {1, 1}));
  EXPECT_EQ(code({}, {variable}), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(code({}, {with("Identity")}), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(code({}, {with("Neg")}), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(code({}, {with("AssignAdd", {delta})}), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(code({}, {with("ScatterAdd", {graph_.constant(ints({}, {0})), number(1)})}),
            ErrorCode::kFailedPrecondition);
  EXPECT_EQ(run({}, {with("IsVariableInitialized")})[0].scalar<bool>(), false);
  run({}, {}, {variable});  // to run it is no error
  EXPECT_THAT(run({}, {with("Assign", {delta})})[0], is_tensor(floats({2}, {1, 1})));
  EXPECT_EQ(run({}, {with("IsVariableInitialized")})[0].scalar<bool>(), true);
}

TEST_P(SessionTest, AFedReferenceIsAValueAndCannotBeWritten) {
  const OutputId variable = graph_.reference_variable(floats({2}, {1, 2}));
  const OutputId delta = graph_.constant(floats({2}, {1, 1}));
  const Feeds feeds = {{variable, floats({2}, {8, 9})}};
  EXPECT_THAT(run(feeds, {graph_.add("Neg", {variable})})[0], is_tensor(floats({2}, {-8, -9})));
  for (const char* op : {"Assign", "AssignAdd"}) {
    EXPECT_EQ(code(feeds, {graph_.add(op, {variable, delta})}), ErrorCode::kInvalidArgument) << op;
  }
  EXPECT_EQ(code(feeds, {graph_.add("IsVariableInitialized", {variable})}),
            ErrorCode::kInvalidArgument);
  EXPECT_THAT(run({}, {variable})[0], is_tensor(floats({2}, {1, 2})));
}

TEST_P(SessionTest, AnUninitialisedResourceVariable) {
  const OutputId handle =
      graph_.add("VarHandleOp", {},
                 {{"dtype", kFloat}, {"shape", partial_shape("[2]")}, {"shared_name", "empty"}});
  const OutputId delta = graph_.constant(floats({2}, {1, 1}));
  const OutputId index = graph_.constant(ints({1}, {0}));
  const OutputId destroy =
      graph_.add("DestroyResourceOp", {handle}, {{"ignore_lookup_error", false}});
  EXPECT_EQ(code({}, {read_of(handle)}), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(code({}, {graph_.add("VariableShape", {handle})}), ErrorCode::kNotFound);
  EXPECT_EQ(code({}, {graph_.add("ResourceGather", {handle, index}, {{"dtype", kFloat}})}),
            ErrorCode::kNotFound);
  EXPECT_EQ(code({}, {}, {graph_.add("AssignAddVariableOp", {handle, delta})}),
            ErrorCode::kNotFound);
  EXPECT_EQ(
      code({}, {},
           {graph_.add("ResourceScatterAdd", {handle, index, number(1)}, {{"dtype", kFloat}})}),
      ErrorCode::kNotFound);
  EXPECT_EQ(code({}, {}, {destroy}), ErrorCode::kNotFound);
  run({}, {}, {graph_.add("DestroyResourceOp", {handle}, {{"ignore_lookup_error", true}})});
  EXPECT_EQ(run({}, {graph_.add("VarIsInitializedOp", {handle})})[0].scalar<bool>(), false);
  run({}, {}, {graph_.add("AssignVariableOp", {handle, delta})});
  EXPECT_THAT(run({}, {read_of(handle)})[0], is_tensor(floats({2}, {1, 1})));
  run({}, {}, {destroy});
  EXPECT_EQ(code({}, {}, {destroy}), ErrorCode::kNotFound);
  EXPECT_EQ(code({}, {read_of(handle)}), ErrorCode::kFailedPrecondition);
}

TEST_P(SessionTest, AnUninitialisedTable) {
  const Attrs attrs = {{"key_dtype", kInt64}, {"value_dtype", kFloat}, {"shared_name", "t"}};
  const OutputId table = graph_.add("HashTableV2", {}, attrs);
  const OutputId find =
      graph_.add("LookupTableFindV2", {table, graph_.constant(int64s({1}, {1})), number(-1)});
  EXPECT_EQ(code({}, {find}), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(run({}, {graph_.add("LookupTableSizeV2", {table})})[0].scalar<std::int64_t>(), 0);
  EXPECT_EQ(code({}, {graph_.add("LookupTableExportV2", {table},
                                 {{"Tkeys", kInt64}, {"Tvalues", kFloat}})}),
            ErrorCode::kAborted);
  const OutputId other = graph_.add(
      "HashTableV2", {}, {{"key_dtype", kInt64}, {"value_dtype", kInt64}, {"shared_name", "t"}});
  EXPECT_EQ(code({}, {graph_.add("LookupTableSizeV2", {other})}), ErrorCode::kInvalidArgument);
}

// --- dead tensors ---

class DeadTest : public SessionTest {
 protected:
  DeadTest()
      : predicate_(placeholder(kBool)),
        switch_(graph_.add("Switch", {number(3), predicate_}).node),
        no_(graph_.add("Neg", {{switch_, 0}})),
        merge_(graph_.add("Merge", {no_, {switch_, 1}})) {}

  Feeds taken(bool branch) const { return {{predicate_, scalar(branch)}}; }

  OutputId predicate_;
  int switch_;
  OutputId no_;
  OutputId merge_;
};

INSTANTIATE_TEST_SUITE_P(Modes, DeadTest, all_session_modes());

TEST_P(DeadTest, ADeadTensorCannotBeFetched) {
  const OutputId constant =
      graph_.add("Const", {}, {{"dtype", kFloat}, {"value", scalar(1.0f)}}, {no_});
  for (const OutputId fetch : {no_, OutputId{switch_, 0}, constant}) {
    EXPECT_EQ(code(taken(true), {fetch}), ErrorCode::kInvalidArgument) << fetch.node;
    EXPECT_EQ(code(taken(true), {merge_, fetch}), ErrorCode::kInvalidArgument) << fetch.node;
    run(taken(true), {}, {fetch});  // to run it is no error: it does not run
  }
  EXPECT_EQ(value(no_, taken(false)), -3);
  EXPECT_EQ(value(constant, taken(false)), 1);
  EXPECT_EQ(value({switch_, 0}, taken(false)), 3);
}

TEST_P(DeadTest, AMergeGivesTheLiveValueAndItsIndex) {
  for (const bool branch : {true, false}) {
    const auto results = run(taken(branch), {merge_, {merge_.node, 1}});
    EXPECT_EQ(results[0].scalar<float>(), branch ? 3 : -3);
    EXPECT_EQ(results[1].scalar<std::int32_t>(), branch ? 1 : 0);
  }
}

TEST_P(DeadTest, DeadNodesHaveNoEffectAndAControlTriggerRevives) {
  const OutputId handle = graph_.variable(scalar(1.0f));
  const OutputId add = add_to(handle, 1, {no_});
  const OutputId trigger = graph_.add("ControlTrigger", {}, {}, {no_});
  const OutputId add_more = add_to(handle, 10, {trigger});
  run(taken(true), {}, {add});
  EXPECT_EQ(value(read_of(handle)), 1);
  run(taken(false), {}, {add});
  EXPECT_EQ(value(read_of(handle)), 2);
  run(taken(true), {}, {add_more});
  EXPECT_EQ(value(read_of(handle)), 12);
}

TEST_P(DeadTest, FeedsInsideABranchAreAlive) {
  EXPECT_EQ(value(no_, {{predicate_, scalar(true)}, {{switch_, 0}, scalar(4.0f)}}), -4);
  const auto results = run({{predicate_, scalar(true)}, {no_, scalar(4.0f)}}, {no_});
  EXPECT_EQ(results[0].scalar<float>(), 4);
}

TEST_P(DeadTest, ThePredicateIsAScalar) {
  for (const Tensor& predicate : {bools({1}, {true}), bools({2}, {true, false}), bools({0}, {})}) {
    EXPECT_EQ(code({{predicate_, predicate}}, {merge_}), ErrorCode::kInvalidArgument);
  }
}

TEST_P(DeadTest, AnUnfedPlaceholderInABranchThatIsNotTakenFails) {
  const OutputId unfed = placeholder(kFloat);
  const int other = graph_.add("Switch", {unfed, predicate_}).node;
  const OutputId merge = graph_.add("Merge", {{other, 0}, {switch_, 1}});
  EXPECT_EQ(code(taken(true), {merge}), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace hub::testing
