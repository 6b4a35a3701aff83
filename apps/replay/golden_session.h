#pragma once

// The models of golden folders, opened to run steps on.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hub/tensor.h"
#include "runtime/session.h"

namespace hub::replay {

struct GoldenStep {
  std::string signature;                 // empty: inputs and outputs are tensors of the graph
  std::map<std::string, Tensor> inputs;  // by name and part ("x/indices")
  std::map<std::string, Tensor> feeds;   // tensors of the graph that are fed too
  std::vector<std::string> outputs;      // names of what is wanted
  std::map<std::string, std::string>
      tensors;           // outputs that are tensors of the graph: name -> tensor
  std::string train_op;  // an operation that the step runs; may be empty
};

// The state of one replay of a case. Errors: those of the engine.
class GoldenSession {
 public:
  virtual ~GoldenSession() = default;
  // The outputs by name and part.
  virtual std::map<std::string, Tensor> run(const GoldenStep& step) = 0;
  // The variables' values by name, partitioned ones whole; none where the golden does not
  // speak of variables.
  virtual std::map<std::string, Tensor> variables() { return {}; }
};

// What a case runs on, read once. Any thread may make sessions.
class GoldenModel {
 public:
  virtual ~GoldenModel() = default;
  virtual std::unique_ptr<GoldenSession> session(const EngineOptions& options) const = 0;
};

// A GraphDef in a file.
std::shared_ptr<const GoldenModel> open_frozen_graph(const std::string& path);
// A hub module or a SavedModel: steps apply its signatures in a copy of its own.
struct SignatureOptions {
  std::vector<std::string> tags;
  bool synthetic_weights = false;  // variables by formula instead of the model's own
};
std::shared_ptr<const GoldenModel> open_signatures(const std::string& path,
                                                   const SignatureOptions& options);
// A checkpoint and the training graph beside it (PREFIX.meta).
std::shared_ptr<const GoldenModel> open_checkpoint(const std::string& prefix);

}  // namespace hub::replay
