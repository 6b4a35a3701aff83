// What is true of all ops: their schemas are TensorFlow's, and recorded runs check them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <set>
#include <string>

#include "base/errors.h"
#include "base/file.h"
#include "base/strings.h"
#include "format/graph_def.h"
#include "ops/builtin.h"
#include "replay/recorded.h"

namespace hub {
namespace {

// Ops that TensorFlow 2.15's registry does not have, and where they come from.
const std::map<std::string, std::string, std::less<>> kNotInRegistry = {
    {"BucketizeWithInputBoundaries", "tf.contrib"},
    {"CompareAndBitpack", "TensorFlow 1"},
    {"ImageProjectiveTransform", "tf.contrib"},
    {"SentencepieceDecode", "tf_sentencepiece"},
    {"SentencepieceEncodeDense", "tf_sentencepiece"},
    {"SentencepieceEncodeSparse", "tf_sentencepiece"},
    {"SentencepieceGetPieceSize", "tf_sentencepiece"},
    {"SentencepieceGetPieceType", "tf_sentencepiece"},
    {"SentencepieceIdToPiece", "tf_sentencepiece"},
    {"SentencepiecePieceToId", "tf_sentencepiece"}};

std::string path_of(std::string_view name) { return cat(TF1HUB_TEST_DATA_DIR, "/", name); }

const std::map<std::string, OpDefMessage>& tensorflow_ops() {
  static const auto ops = [] {
    std::map<std::string, OpDefMessage> result;
    const std::string path = path_of("registry/op_defs.binpb");
    for (OpDefMessage& op : parse_op_list(read_file(path), path)) {
      const std::string name = op.name;
      result.emplace(name, std::move(op));
    }
    return result;
  }();
  return ops;
}

// Op types in the graphs of these families' cases.
std::set<std::string> recorded_ops(const std::vector<std::string>& families) {
  std::set<std::string> result;
  for (const std::string& family : families) {
    const auto list = replay::RecordedCases::read(path_of(cat("conformance/", family, ".binpb")));
    for (const replay::CaseSummary& summary : list->summaries()) {
      result.insert(summary.ops.begin(), summary.ops.end());
    }
  }
  return result;
}

std::vector<std::string> all_families() {
  std::vector<std::string> result;
  for (const std::string& name : list_directory(path_of("conformance"))) {
    constexpr std::string_view kExtension = ".binpb";
    if (name.ends_with(kExtension))
      result.push_back(name.substr(0, name.size() - kExtension.size()));
  }
  return result;
}

std::set<std::string> registered_ops() {
  std::set<std::string> result;
  for (const Op* op : builtin_ops().ops()) {
    // Names that begin with '_' are this library's own.
    if (!op->name().starts_with('_')) result.insert(std::string(op->name()));
  }
  return result;
}

std::vector<std::string> difference_of(const std::set<std::string>& a,
                                       const std::set<std::string>& b) {
  std::vector<std::string> result;
  std::ranges::set_difference(a, b, std::back_inserter(result));
  return result;
}

std::string text_of(const ArgDef& arg) {
  std::string type = to_string(arg.type);
  if (!arg.type_attr.empty()) type = arg.type_attr;
  if (!arg.type_list_attr.empty()) type = cat("list ", arg.type_list_attr);
  if (!arg.number_attr.empty()) type = cat(arg.number_attr, " * ", type);
  return cat(arg.name, ": ", arg.is_ref ? cat("Ref(", type, ")") : type);
}

std::string text_of(const std::vector<ArgDef>& args) {
  std::vector<std::string> texts;
  for (const ArgDef& arg : args) texts.push_back(text_of(arg));
  return join(texts);
}

std::string text_of(const AttrDef& attr) {
  std::string text = attr.type;
  if (attr.has_minimum) text += cat(" >= ", attr.minimum);
  if (attr.allowed_values) {
    const AttrList& list = std::get<AttrList>(attr.allowed_values->value);
    std::set<std::string> values(list.strings.begin(), list.strings.end());
    for (const DType dtype : list.types) values.insert(to_string(dtype));
    text += cat(" {", join(values), "}");
  }
  if (attr.default_value) {
    const auto* string = std::get_if<std::string>(&attr.default_value->value);
    text += string != nullptr ? cat(" = '", *string, "'") : cat(" = ", *attr.default_value);
  }
  return text;
}

std::map<std::string, std::string> text_of(const std::vector<AttrDef>& attrs) {
  std::map<std::string, std::string> result;
  for (const AttrDef& attr : attrs) result[attr.name] = text_of(attr);
  return result;
}

std::string flags_of(const OpDefMessage& op) {
  std::string text;
  if (op.is_stateful) text += "stateful ";
  if (op.is_commutative) text += "commutative ";
  if (op.is_aggregate) text += "aggregate ";
  if (op.allows_uninitialized_input) text += "allows_uninitialized_input ";
  return text;
}

TEST(CoverageTest, SchemasAreTensorFlows) {
  for (const std::string& name : registered_ops()) {
    // What the planner makes by fusing is this library's own.
    if (kNotInRegistry.contains(name) || name.starts_with("_Hub")) continue;
    const auto wanted = tensorflow_ops().find(name);
    if (wanted == tensorflow_ops().end()) {
      ADD_FAILURE() << name << " is not in TensorFlow's registry";
      continue;
    }
    OpDefMessage schema;
    ASSERT_NO_THROW(schema = builtin_ops().find(name)->schema()) << name;
    EXPECT_EQ(text_of(schema.inputs), text_of(wanted->second.inputs)) << name;
    EXPECT_EQ(text_of(schema.outputs), text_of(wanted->second.outputs)) << name;
    EXPECT_EQ(text_of(schema.attrs), text_of(wanted->second.attrs)) << name;
    EXPECT_EQ(flags_of(schema), flags_of(wanted->second)) << name;
  }
}

TEST(CoverageTest, ExemptionsAreNeeded) {
  for (const auto& [name, reason] : kNotInRegistry) {
    EXPECT_FALSE(tensorflow_ops().contains(name)) << name << ": " << reason;
    EXPECT_NE(builtin_ops().find(name), nullptr) << name << ": " << reason;
  }
}

// Ops of the families that are due which are not written yet (tests/data/known_exceptions.json
// has the cases that wait for them).
// The first three are names of functions, which stand where an op's name stands.
const std::set<std::string> kNotWritten = {"cube", "double", "muladd"};

TEST(CoverageTest, RecordedOpsAreRegistered) {
  const auto missing =
      difference_of(recorded_ops(split(TF1HUB_REPLAYED_FAMILIES, ',')), registered_ops());
  EXPECT_EQ(std::set<std::string>(missing.begin(), missing.end()), kNotWritten);
}

// Not a failure: unit tests may cover what no recorded case does. The list is for reading.
TEST(CoverageTest, OpsWithoutARecordedCaseAreListed) {
  const std::set<std::string> registered = registered_ops();
  const auto unrecorded = difference_of(registered, recorded_ops(all_families()));
  std::cout << registered.size() << " ops are registered, " << unrecorded.size()
            << " of them are in no recorded case: " << join(unrecorded) << "\n";
}

}  // namespace
}  // namespace hub
