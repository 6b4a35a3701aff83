#include "base/errors.h"
#include "hub/graph_module.h"
#include "hub/ops.h"
#include "module/signature.h"
#include "module/spec_impl.h"

namespace hub {

struct EvalFunction::State {
  // A signature, applied to placeholders.
  struct Applied {
    BoundSignature signature;
    std::vector<Output> placeholders;  // in the order of bind_inputs
    std::vector<std::string> names;    // of the fetches
    std::vector<Endpoint> fetches;
    std::optional<Error> error;  // why it cannot be applied
  };

  State(const ModuleSpec& module_spec, const Tags& tags, SessionOptions options)
      : spec(module_spec), module(graph, spec, {.tags = tags}) {
    for (const auto& [name, signature] : spec.impl().find(tags)->signatures) apply(name, signature);
    session.emplace(graph, std::move(options));
    session->initialize();
  }

  void apply(const std::string& name, const BoundSignature& signature) {
    Applied& entry = applied[name];
    entry.signature = signature;
    try {
      ValueMap inputs;
      for (const auto& [input, bound] : signature.inputs) {
        std::vector<Output> parts = placeholders_of(bound.info);
        entry.placeholders.insert(entry.placeholders.end(), parts.begin(), parts.end());
        inputs.emplace(input, Value::from_parts(bound.info, std::move(parts)));
      }
      const Outputs outputs = module.apply(inputs, {.signature = name});
      for (const auto& [output, value] : outputs) {
        const std::vector<std::string> parts =
            part_names(output, signature.outputs.at(output).info);
        const std::vector<Output> tensors = value.parts();
        for (std::size_t i = 0; i < parts.size(); ++i) {
          entry.names.push_back(parts[i]);
          entry.fetches.emplace_back(tensors[i]);
        }
      }
    } catch (const Error& error) {
      entry.error = error;
    }
  }

  std::vector<Output> placeholders_of(const ValueInfo& info) const {
    switch (info.kind) {
      case ValueKind::kDense: return {ops::placeholder(graph, info.dtype, info.shape)};
      case ValueKind::kSparse: {
        const std::int64_t rank = info.shape.has_rank() ? info.shape.rank() : -1;
        return {ops::placeholder(graph, kInt64, {-1, rank}),
                ops::placeholder(graph, info.dtype, {-1}), ops::placeholder(graph, kInt64, {rank})};
      }
      case ValueKind::kRagged: break;
    }
    PartialShape values;
    if (info.shape.has_rank()) {
      std::vector<std::int64_t> dims = {-1};
      for (int axis = info.ragged_rank + 1; axis < info.shape.rank(); ++axis)
        dims.push_back(info.shape.dim(axis));
      values = PartialShape(std::move(dims));
    }
    std::vector<Output> parts = {ops::placeholder(graph, info.dtype, values)};
    for (int i = 0; i < info.ragged_rank; ++i)
      parts.push_back(ops::placeholder(graph, info.row_splits_dtype, {-1}));
    return parts;
  }

  const Applied& find(std::string_view name) const {
    const auto found = applied.find(std::string(name.empty() ? "default" : name));
    if (found == applied.end()) {
      static_cast<void>(find_signature(*spec.impl().find(module.tags()), name));  // throws
    }
    return found->second;
  }

  Graph graph;
  ModuleSpec spec;
  Module module;
  std::map<std::string, Applied> applied;
  std::optional<Session> session;
};

EvalFunction::EvalFunction(const ModuleSpec& spec, const Tags& tags, SessionOptions options)
    : state_(std::make_shared<State>(spec, tags, std::move(options))) {}

TensorMap EvalFunction::call(const TensorMap& inputs, std::string_view signature) const {
  const State::Applied& applied = state_->find(signature);
  if (applied.error) throw Error(*applied.error);
  std::vector<Tensor> values = bind_inputs(applied.signature, inputs);
  Feeds feeds;
  for (std::size_t i = 0; i < values.size(); ++i)
    feeds.push_back({applied.placeholders[i], std::move(values[i])});
  std::vector<Tensor> results = state_->session->run(applied.fetches, feeds);
  TensorMap outputs;
  for (std::size_t i = 0; i < results.size(); ++i)
    outputs[applied.names[i]] = std::move(results[i]);
  return outputs;
}

Tensor EvalFunction::operator()(const TensorMap& inputs, std::string_view signature) const {
  TensorMap outputs = call(inputs, signature);
  const auto found = outputs.find("default");
  if (found != outputs.end()) return std::move(found->second);
  throw type_error(
      "There is no dense output named 'default'. Use as_dict=True. Details: call() "
      "gives all outputs.");
}

Tensor EvalFunction::operator()(const Tensor& only_input, std::string_view signature) const {
  const BoundSignature& declared = state_->find(signature).signature;
  if (declared.inputs.empty()) throw type_error("Signature expects no inputs.");
  if (declared.inputs.size() > 1) {
    throw type_error("Signature expects multiple inputs. Use a dict. Details: signature '",
                     declared.name, "' has ", declared.inputs.size(), ".");
  }
  return (*this)(TensorMap{{declared.inputs.begin()->first, only_input}}, signature);
}

}  // namespace hub
