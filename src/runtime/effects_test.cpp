// Which side effects of a function's body run though nothing needs them: it depends on the caller.

#include <gtest/gtest.h>

#include "format/graph_def.h"
#include "graph/import.h"
#include "runtime/session_fixture.h"

namespace hub::testing {
namespace {

// A variable is counted up by a node that no output of the function needs.
constexpr std::string_view kFunctions = R"(
library {
  function {
    signature { name: "count" input_arg { name: "h" type: DT_RESOURCE }
                input_arg { name: "x" type: DT_FLOAT } output_arg { name: "y" type: DT_FLOAT } }
    node_def { name: "one" op: "Const" attr { key: "dtype" value { type: DT_FLOAT } }
               attr { key: "value" value { tensor { dtype: DT_FLOAT tensor_shape {} float_val: 1 } } } }
    node_def { name: "add" op: "AssignAddVariableOp" input: "h" input: "one:output:0"
               attr { key: "dtype" value { type: DT_FLOAT } } }
    ret { key: "y" value: "x" }
  }
  function {
    signature { name: "count_and_say_so" input_arg { name: "h" type: DT_RESOURCE }
                input_arg { name: "x" type: DT_FLOAT } output_arg { name: "y" type: DT_FLOAT }
                control_output: "add" }
    node_def { name: "one" op: "Const" attr { key: "dtype" value { type: DT_FLOAT } }
               attr { key: "value" value { tensor { dtype: DT_FLOAT tensor_shape {} float_val: 1 } } } }
    node_def { name: "add" op: "AssignAddVariableOp" input: "h" input: "one:output:0"
               attr { key: "dtype" value { type: DT_FLOAT } } }
    ret { key: "y" value: "x" }
    control_ret { key: "add" value: "add" }
  }
  function {
    signature { name: "if_in_function" input_arg { name: "h" type: DT_RESOURCE }
                input_arg { name: "x" type: DT_FLOAT } output_arg { name: "y" type: DT_FLOAT } }
    node_def { name: "if" op: "If" input: "x" input: "h" input: "x"
               attr { key: "Tcond" value { type: DT_FLOAT } }
               attr { key: "Tin" value { list { type: DT_RESOURCE type: DT_FLOAT } } }
               attr { key: "Tout" value { list { type: DT_FLOAT } } }
               attr { key: "then_branch" value { func { name: "count" } } }
               attr { key: "else_branch" value { func { name: "count" } } }
               attr { key: "_lower_using_switch_merge" value { b: true } } }
    ret { key: "y" value: "if:output:0" }
  }
}
)";

class EffectsTest : public SessionTest {
 protected:
  EffectsTest() : handle_(graph_.variable(scalar(0.0f))) {
    import_graph_def(parse_graph_def_text(kFunctions, "functions"), graph_.graph());
  }

  static FunctionRef function(const char* name) {
    FunctionRef ref;
    ref.name = name;
    return ref;
  }

  OutputId partitioned_call(const char* name) {
    return graph_.add("StatefulPartitionedCall", {handle_, number(1)},
                      {{"Tin", types_attr({DType::kResource, kFloat})},
                       {"Tout", types_attr({kFloat})},
                       {"f", function(name)}});
  }

  OutputId branch(const Attrs& more) {
    Attrs attrs = {{"Tcond", kFloat},
                   {"Tin", types_attr({DType::kResource, kFloat})},
                   {"Tout", types_attr({kFloat})},
                   {"then_branch", function("count")},
                   {"else_branch", function("count")}};
    attrs.insert(more.begin(), more.end());
    return graph_.add("If", {number(1), handle_, number(1)}, attrs);
  }

  // How often the variable was counted up by running this.
  float counted(OutputId call) {
    const float before = value(read_of(handle_));
    EXPECT_EQ(value(call), 1);
    return value(read_of(handle_)) - before;
  }

  OutputId handle_;
};

INSTANTIATE_TEST_SUITE_P(Modes, EffectsTest, all_session_modes());

TEST_P(EffectsTest, APartitionedCallRunsWhatIsNeededAndItsControlOutputs) {
  EXPECT_EQ(counted(partitioned_call("count")), 0);
  EXPECT_EQ(counted(partitioned_call("count_and_say_so")), 1);
}

TEST_P(EffectsTest, AFunctionThatIsCalledByItsNameRunsAllEffects) {
  const OutputId call = graph_.add("count", {handle_, number(1)});
  EXPECT_EQ(counted(call), 1);
}

TEST_P(EffectsTest, ABranchThatIsLoweredRunsWhatIsNeeded) {
  EXPECT_EQ(counted(branch({{"_lower_using_switch_merge", true}})), 0);
  EXPECT_EQ(counted(branch({{"_lower_using_switch_merge", false}})), 1);
  EXPECT_EQ(counted(branch({})), 1);
}

TEST_P(EffectsTest, NothingIsLoweredInAFunctionThatRunsAllEffects) {
  EXPECT_EQ(counted(partitioned_call("if_in_function")), 0);
  EXPECT_EQ(counted(graph_.add("if_in_function", {handle_, number(1)})), 1);
}

}  // namespace
}  // namespace hub::testing
