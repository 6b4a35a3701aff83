#include "replay/recorded.h"

#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "autodiff/gradients.h"
#include "base/checked.h"
#include "base/errors.h"
#include "base/file.h"
#include "format/graph_def.h"
#include "graph/graph_state.h"
#include "graph/import.h"
#include "ops/builtin.h"
#include "replay/compare.h"
#include "replay/conformance.pb.h"

namespace hub::replay {
namespace {

namespace conformance = ::tf1hub::conformance;

// A kernel that hangs fails its case instead of stopping the run.
constexpr std::chrono::minutes kStepTimeout{2};
// A feed of this name is the path of a folder that each case gets anew.
constexpr std::string_view kDirectoryFeed = "directory:0";

Tensor read_tensor(const conformance::Tensor& message) {
  if (!dtype_is_known(message.dtype())) {
    throw data_loss("A recorded tensor has a dtype. Details: \"", message.name(), "\" has number ",
                    message.dtype(), ".");
  }
  const auto dtype = static_cast<DType>(message.dtype());
  const Shape shape(std::vector<std::int64_t>(message.shape().begin(), message.shape().end()));
  const std::uint64_t count = static_cast<std::uint64_t>(shape.num_elements());
  const bool fits = dtype == DType::kString
                        ? static_cast<std::uint64_t>(message.strings_size()) == count
                        : dtype_size(dtype) > 0 && message.data().size() % dtype_size(dtype) == 0 &&
                              message.data().size() / dtype_size(dtype) == count;
  if (!fits) {
    throw data_loss("A recorded tensor has as many elements as its shape says. Details: \"",
                    message.name(), "\", ", dtype, " ", shape, ".");
  }
  Tensor tensor(dtype, shape);
  if (dtype == DType::kString) {
    std::string* out = tensor.mutable_data<std::string>();
    for (const std::string& value : message.strings()) *out++ = value;
  } else if (count > 0) {
    std::memcpy(tensor.mutable_raw_data(), message.data().data(), message.data().size());
  }
  return tensor;
}

// One case in one mode: a session, and the case's steps in it.
class CaseReplay {
 public:
  CaseReplay(const conformance::Case& recorded, const GraphData& graph,
             const EngineOptions& options)
      : recorded_(recorded), graph_(graph), engine_(graph, options) {
    run_options_.timeout = kStepTimeout;
  }

  void run() {
    for (const std::string& target : recorded_.initialize()) {
      try {
        engine_.run({}, {}, {target}, run_options_);
      } catch (const Error& error) {
        throw Mismatch("initializing by \"", target, "\" fails: ", text_of(error));
      }
    }
    for (int i = 0; i < recorded_.steps_size(); ++i) {
      try {
        run_step(recorded_.steps(i));
      } catch (const Mismatch& mismatch) {
        throw Mismatch("step ", i, ": ", mismatch.what());
      }
    }
  }

 private:
  static std::string text_of(const Error& error) {
    return cat(error_code_name(error.code()), ": ", error.what());
  }

  std::map<std::string, Tensor> feeds_of(const conformance::Step& step) {
    std::map<std::string, Tensor> feeds;
    for (const conformance::Tensor& feed : step.feeds()) {
      feeds[feed.name()] =
          feed.name() == kDirectoryFeed ? make_scalar<std::string>(directory()) : read_tensor(feed);
    }
    return feeds;
  }

  const std::string& directory() {
    if (!directory_) directory_ = std::make_unique<TempDirectory>();
    return directory_->path();
  }

  void run_step(const conformance::Step& step) {
    std::vector<std::string> fetches;
    for (const conformance::Expected& expected : step.expected()) {
      fetches.push_back(expected.value().name());
    }
    const std::vector<std::string> targets(step.targets().begin(), step.targets().end());
    const std::map<std::string, Tensor> feeds = feeds_of(step);
    std::vector<Tensor> outputs;
    try {
      outputs = engine_.run(feeds, fetches, targets, run_options_);
    } catch (const Error& error) {
      if (step.error() == error_code_name(error.code())) return;
      if (step.error().empty()) throw Mismatch(text_of(error));
      throw Mismatch("failed, but not with ", step.error(), ": ", text_of(error));
    }
    if (!step.error().empty()) throw Mismatch("succeeded instead of failing with ", step.error());
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      check_output(step.expected(static_cast<int>(i)), outputs[i], feeds);
    }
  }

  void check_output(const conformance::Expected& expected, const Tensor& got,
                    const std::map<std::string, Tensor>& feeds) const {
    const std::string& name = expected.value().name();
    std::optional<std::string> problem;
    if (expected.shape_only()) {
      const auto& dims = expected.value().shape();
      problem = type_difference(got, static_cast<DType>(expected.value().dtype()),
                                Shape(std::vector<std::int64_t>(dims.begin(), dims.end())));
    } else {
      problem = difference(got, read_tensor(expected.value()), {expected.rtol(), expected.atol()});
    }
    if (!problem) {
      const OutputFact& fact = graph_.fact(graph_.find_output(name));
      problem = fact_difference(got, fact.dtype, fact.shape);
      if (problem && premises_are_broken(feeds)) problem.reset();
    }
    if (problem) throw Mismatch(name, ": ", *problem);
  }

  // As in TensorFlow, a placeholder takes a feed of any shape, and a variable may be given a
  // value of another shape than it declares: what was inferred from either does not hold.
  bool premises_are_broken(const std::map<std::string, Tensor>& feeds) const {
    for (const auto& [name, value] : feeds) {
      const PartialShape& shape = graph_.fact(graph_.find_output(name)).shape;
      if (!shape.is_compatible_with(value.shape())) return true;
    }
    for (int i = 0; i < graph_.num_nodes(); ++i) {
      const Node& node = graph_.node(i);
      if (node.op_name != "VarHandleOp" && node.op_name != "VariableV2" &&
          node.op_name != "Variable") {
        continue;
      }
      const Tensor value = engine_.variable(i);
      const auto& declared = attr_value<PartialShape>(node.attrs, node.name, "shape");
      if (value.is_valid() && !declared.is_compatible_with(value.shape())) return true;
    }
    return false;
  }

  const conformance::Case& recorded_;
  const GraphData& graph_;
  Engine engine_;
  EngineRunOptions run_options_;
  std::unique_ptr<TempDirectory> directory_;
};

Replay open_case(std::shared_ptr<const RecordedCases> list, const conformance::Case& recorded) {
  auto graph = std::make_shared<GraphData>(builtin_ops());
  import_graph_def(parse_graph_def(recorded.graph_def(), recorded.name()), *graph);
  return [list = std::move(list), graph, &recorded](const EngineOptions& options) {
    CaseReplay(recorded, *graph, options).run();
  };
}

// The graph of one gradient: what is to be fetched for each of its dxs; invalid where there is
// no gradient.
struct GradientGraph {
  Graph graph;
  std::vector<OutputId> fetches;
};

// Adds the gradients' nodes. Throws Mismatch where that fails although TensorFlow has them, or
// the other way round.
void add_gradients(const conformance::Gradient& recorded, GradientGraph& to) {
  const Graph& graph = to.graph;
  std::vector<Output> ys;
  std::vector<Output> xs;
  std::vector<Output> weights;
  for (const std::string& y : recorded.ys()) ys.push_back(graph.tensor(y));
  for (const std::string& x : recorded.xs()) xs.push_back(graph.tensor(x));
  for (const conformance::Tensor& weight : recorded.grad_ys()) {
    const Tensor value = read_tensor(weight);
    weights.push_back(graph.op("Const", {}, {{"dtype", value.dtype()}, {"value", value}}));
  }
  std::vector<GradientValue> values;
  try {
    values = gradients(graph, ys, xs, weights);
  } catch (const Error& error) {
    if (recorded.not_differentiable()) return;
    throw Mismatch(error_code_name(error.code()), ": ", error.what());
  }
  if (recorded.not_differentiable())
    throw Mismatch("TensorFlow refuses this gradient, and it was made");
  for (const GradientValue& value : values) {
    const Output dense = dense_gradient(graph, value);
    to.fetches.push_back(dense ? OutputId{dense.node(), dense.index()} : OutputId{});
  }
}

void run_gradient(const conformance::Case& recorded_case, const conformance::Gradient& recorded,
                  const GradientGraph& gradient, const EngineOptions& options) {
  const GraphData& graph = gradient.graph.state().data();
  Engine engine(graph, options);
  const EngineRunOptions run_options = {.timeout = kStepTimeout};
  for (const auto* list : {&recorded_case.initialize(), &recorded.targets()}) {
    for (const std::string& target : *list) engine.run({}, {}, {target}, run_options);
  }
  std::vector<EngineFeed> feeds;
  for (const conformance::Tensor& feed : recorded.feeds())
    feeds.push_back({graph.find_output(feed.name()), read_tensor(feed)});
  std::vector<OutputId> fetches;
  for (std::size_t i = 0; i < gradient.fetches.size(); ++i) {
    const conformance::Expected& expected = recorded.dxs(static_cast<int>(i));
    const bool is_none = expected.value().dtype() == 0;
    if (is_none == gradient.fetches[i].is_valid()) {
      throw Mismatch("the gradient to ", recorded.xs(static_cast<int>(i)),
                     is_none ? " is not None" : " is None");
    }
    if (!is_none) fetches.push_back(gradient.fetches[i]);
  }
  const std::vector<Tensor> got = engine.run(feeds, fetches, {}, run_options);
  std::size_t next = 0;
  for (int i = 0; i < recorded.dxs_size(); ++i) {
    const conformance::Expected& expected = recorded.dxs(i);
    if (expected.value().dtype() == 0) continue;
    const Tensor want = read_tensor(expected.value());
    const Tensor& value = got[next++];
    const auto problem = expected.shape_only()
                             ? type_difference(value, want.dtype(), want.shape())
                             : difference(value, want, {expected.rtol(), expected.atol()});
    if (problem) throw Mismatch("the gradient to ", recorded.xs(i), ": ", *problem);
  }
}

Replay open_gradient(std::shared_ptr<const RecordedCases> list,
                     const conformance::Case& recorded_case,
                     const conformance::Gradient& recorded) {
  auto gradient = std::make_shared<GradientGraph>();
  gradient->graph.state().import(parse_graph_def(recorded_case.graph_def(), recorded_case.name()),
                                 {});
  add_gradients(recorded, *gradient);
  return
      [list = std::move(list), gradient, &recorded_case, &recorded](const EngineOptions& options) {
        if (!recorded.not_differentiable())
          run_gradient(recorded_case, recorded, *gradient, options);
      };
}

class ParsedCases final : public RecordedCases, public std::enable_shared_from_this<ParsedCases> {
 public:
  explicit ParsedCases(const std::string& path) {
    const std::string bytes = read_file(path);
    // A list holds graphs: other messages may parse as a list by chance.
    if (!list_.ParseFromString(bytes) || list_.cases().empty() ||
        list_.cases(0).graph_def().empty()) {
      throw data_loss("A .binpb file is a list of recorded cases. Details: \"", path,
                      "\" is none.");
    }
  }

  std::vector<CaseSummary> summaries() const override {
    std::vector<CaseSummary> result;
    for (const conformance::Case& recorded : list_.cases()) {
      result.push_back({recorded.name(), {recorded.ops().begin(), recorded.ops().end()}});
    }
    return result;
  }

  std::vector<Unit> units() const override {
    std::vector<Unit> result;
    for (const conformance::Case& recorded : list_.cases()) {
      if (recorded.steps_size() > 0) {
        result.push_back(
            {.id = recorded.name(),
             .kind = UnitKind::kCase,
             .open = [list = shared_from_this(), &recorded] { return open_case(list, recorded); }});
      }
      for (int i = 0; i < recorded.gradients_size(); ++i) {
        result.push_back({.id = cat(recorded.name(), "#gradient", i),
                          .kind = UnitKind::kGradient,
                          .open = [list = shared_from_this(), &recorded, i] {
                            return open_gradient(list, recorded, recorded.gradients(i));
                          }});
      }
    }
    return result;
  }

 private:
  conformance::CaseList list_;
};

}  // namespace

std::shared_ptr<const RecordedCases> RecordedCases::read(const std::string& path) {
  return std::make_shared<ParsedCases>(path);
}

}  // namespace hub::replay
