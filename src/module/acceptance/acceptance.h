#pragma once

// What the acceptance tests share. The ids in the tests' names are those of docs/acceptance.md.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/errors.h"
#include "base/file.h"
#include "hub/hub.h"

namespace hub::testing {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

inline std::vector<float> floats(const Tensor& tensor) {
  return {tensor.values<float>().begin(), tensor.values<float>().end()};
}
inline std::vector<std::string> texts(const Tensor& tensor) {
  return {tensor.values<std::string>().begin(), tensor.values<std::string>().end()};
}

template <class Body>
Error error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorCode::kUnknown, "no error");
}

template <class Body>
void expect_error(ErrorKind kind, const std::string& part, Body&& body) {
  const Error error = error_of(body);
  EXPECT_EQ(error.kind(), kind) << error.what();
  EXPECT_THAT(error.message(), HasSubstr(part));
}

// A module of one signature of one input and one output.
inline ModuleSpec simple_spec(DType dtype, const PartialShape& shape,
                              const std::function<Output(const Output&)>& function) {
  return create_module_spec([&](ModuleBuilder& b) {
    const Output x = b.placeholder(dtype, shape, "x");
    b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", function(x)}}});
  });
}

inline std::vector<std::string> names_of(const std::vector<Variable>& variables) {
  std::vector<std::string> names;
  for (const Variable& variable : variables) names.push_back(variable.name());
  return names;
}

inline std::vector<std::string> keys_of(const std::map<std::string, Variable>& variables) {
  std::vector<std::string> keys;
  for (const auto& entry : variables) keys.push_back(entry.first);
  return keys;
}

inline std::vector<std::string> colocation_of(const Operation& op) {
  if (!op.has_attr("_class")) return {cat("loc:@", op.name())};
  return std::get<std::vector<std::string>>(op.attr("_class").value());
}

// A fresh graph with the module, initialised; exported to `path`.
inline void export_fresh(const ModuleSpec& spec, const std::string& path) {
  const Graph graph;
  const Module module(graph, spec);
  Session session(graph);
  session.initialize();
  module.export_to(path, session);
}

}  // namespace hub::testing
