#pragma once

// Runs a graph.
//
//   hub::Session session(graph);
//   session.initialize();                                  // variables and tables
//   hub::Tensor y = session.run(features, {{images, batch}});

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "hub/export.h"
#include "hub/graph.h"
#include "hub/tensor.h"

namespace hub {

// What is fed or fetched: a tensor, a node (that only runs), or the name of either: "node:0" is
// a tensor, "node" a node.
class HUB_EXPORT Endpoint {
 public:
  Endpoint(Output output) : value_(output) {}                // NOLINT
  Endpoint(Operation op) : value_(op) {}                     // NOLINT
  Endpoint(std::string name) : value_(std::move(name)) {}    // NOLINT
  Endpoint(const char* name) : value_(std::string(name)) {}  // NOLINT
  const std::variant<Output, Operation, std::string>& value() const { return value_; }

 private:
  std::variant<Output, Operation, std::string> value_;
};

struct Feed {
  Endpoint where;  // a node stands for its only output
  Tensor value;
};
using Feeds = std::vector<Feed>;

struct SessionOptions {
  int threads = 0;     // at most this many threads compute; 0: one for each CPU
  bool passes = true;  // false: nothing is folded or fused
  // Conditionals and loops of TensorFlow 1 run node by node even where they are well-formed.
  bool frames_executor = false;
  // Gets what Print and PrintV2 say, a line at a time, from any thread. Empty: it is dropped.
  std::function<void(std::string_view)> log = {};
};

struct RunOptions {
  std::optional<std::chrono::steady_clock::duration> timeout;  // DEADLINE_EXCEEDED
  const std::atomic<bool>* cancelled = nullptr;                // set it to stop: CANCELLED
};

// A graph, its state (variables, tables, random streams) and what was compiled of it. Compiles
// what a run needs at its first time; after the graph was edited, what the edit touches. Values of
// variables survive that. Any number of threads may call everything here; editing the graph at the
// same time is FAILED_PRECONDITION on whichever side comes second.
class HUB_EXPORT Session {
 public:
  explicit Session(const Graph& graph, SessionOptions options = {});
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  // Runs the initialisers of all variables of the graph (global ones, then local ones), then those
  // of its tables.
  void initialize(const RunOptions& options = {});

  // Runs what the fetches depend on, and nothing else; gives them in order, no tensor (invalid)
  // for a node. Errors: NOT_FOUND for a name that is not in the graph; INVALID_ARGUMENT for a
  // feed of the wrong dtype, an unfed placeholder, a fetch in a branch not taken; those of the ops,
  // with the node named. State that was written before an error stays written.
  Tensor run(const Endpoint& fetch, const Feeds& feeds = {}, const RunOptions& options = {});
  std::vector<Tensor> run(const std::vector<Endpoint>& fetches, const Feeds& feeds = {},
                          const RunOptions& options = {});

  // The value of the variable that the node makes (VarHandleOp, VariableV2); invalid where it has
  // none yet. Errors: INVALID_ARGUMENT where the node is no variable.
  Tensor variable(const Endpoint& node) const;
  // Errors: INVALID_ARGUMENT where dtype or shape do not fit.
  void set_variable(const Endpoint& node, const Tensor& value);

  const Graph& graph() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hub
