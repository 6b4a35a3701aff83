// hub::Session: an Engine over a graph that may be edited between runs.

#include "base/errors.h"
#include "graph/graph_state.h"
#include "hub/session.h"
#include "runtime/session.h"

namespace hub {
namespace {

EngineOptions engine_options(SessionOptions options) {
  EngineOptions result;
  result.threads = options.threads;
  result.passes = options.passes;
  result.executor = options.frames_executor ? ExecutorKind::kFrames : ExecutorKind::kStructured;
  result.log = std::move(options.log);
  return result;
}

EngineRunOptions run_options(const RunOptions& options) {
  EngineRunOptions result;
  result.timeout = options.timeout;
  result.cancelled = options.cancelled;
  return result;
}

// What an endpoint means: an output, or a node (index -1).
OutputId resolve(const Endpoint& endpoint, const GraphState& graph) {
  if (const auto* output = std::get_if<Output>(&endpoint.value())) return id_of(*output, graph);
  if (const auto* op = std::get_if<Operation>(&endpoint.value())) return {id_of(*op, graph), -1};
  const auto& name = std::get<std::string>(endpoint.value());
  if (name.find(':') != std::string::npos) return graph.data().find_output(name);
  const int node = graph.data().find(name);
  if (node < 0) {
    throw not_found("There is no such node in the graph. Details: \"", printable(name), "\".");
  }
  return {node, -1};
}

OutputId resolve_feed(const Endpoint& endpoint, const GraphState& graph) {
  const OutputId found = resolve(endpoint, graph);
  return found.index < 0 ? OutputId{found.node, 0} : found;
}

}  // namespace

struct Session::State {
  State(const Graph& source, SessionOptions options)
      : graph(source),
        engine(source.state().data(), engine_options(std::move(options))),
        compiled_changes(source.state().changes()) {}

  // To be called while the graph is in use. Plans made of nodes that have changed are of no use.
  void forget_stale_plans() {
    const std::uint64_t changes = graph.state().changes();
    if (compiled_changes.exchange(changes) != changes) engine.forget_plans();
  }

  Graph graph;
  Engine engine;
  std::atomic<std::uint64_t> compiled_changes;
};

Session::Session(const Graph& graph, SessionOptions options)
    : state_(std::make_unique<State>(graph, std::move(options))) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

const Graph& Session::graph() const { return state_->graph; }

Tensor Session::run(const Endpoint& fetch, const Feeds& feeds, const RunOptions& options) {
  return std::move(run(std::vector<Endpoint>{fetch}, feeds, options).front());
}

std::vector<Tensor> Session::run(const std::vector<Endpoint>& fetches, const Feeds& feeds,
                                 const RunOptions& options) {
  GraphState& graph = state_->graph.state();
  const GraphUse use(graph);
  state_->forget_stale_plans();
  std::vector<EngineFeed> engine_feeds;
  for (const Feed& feed : feeds)
    engine_feeds.push_back({resolve_feed(feed.where, graph), feed.value});
  std::vector<OutputId> outputs;
  std::vector<int> targets;
  std::vector<int> positions;
  for (const Endpoint& fetch : fetches) {
    const OutputId id = resolve(fetch, graph);
    positions.push_back(id.index < 0 ? -1 : static_cast<int>(outputs.size()));
    if (id.index < 0) {
      targets.push_back(id.node);
    } else {
      outputs.push_back(id);
    }
  }
  std::vector<Tensor> values =
      state_->engine.run(engine_feeds, outputs, targets, run_options(options));
  std::vector<Tensor> result(fetches.size());
  for (std::size_t i = 0; i < positions.size(); ++i) {
    if (positions[i] >= 0) result[i] = std::move(values[static_cast<std::size_t>(positions[i])]);
  }
  return result;
}

void Session::initialize(const RunOptions& options) {
  GraphState& graph = state_->graph.state();
  for (const std::string_view key : {Collections::kGlobalVariables, Collections::kLocalVariables,
                                     Collections::kTableInitializers}) {
    std::vector<Endpoint> targets;
    const auto found = graph.collections.find(key);
    if (found == graph.collections.end()) continue;
    for (const CollectionItem& item : found->second) {
      if (const auto* variable = std::get_if<std::shared_ptr<const VariableDef>>(&item.value))
        targets.emplace_back((*variable)->initializer_name);
      if (const auto* node = std::get_if<std::int32_t>(&item.value))
        targets.emplace_back(graph.operation(*node));
    }
    if (!targets.empty()) run(targets, {}, options);
  }
}

namespace {

int variable_node(const Endpoint& endpoint, const GraphState& graph) {
  return resolve(endpoint, graph).node;
}

}  // namespace

Tensor Session::variable(const Endpoint& node) const {
  const GraphUse use(state_->graph.state());
  return state_->engine.variable(variable_node(node, state_->graph.state()));
}

void Session::set_variable(const Endpoint& node, const Tensor& value) {
  const GraphUse use(state_->graph.state());
  state_->engine.set_variable(variable_node(node, state_->graph.state()), value);
}

}  // namespace hub
