#include "replay/tuning.h"

#include <cmath>
#include <optional>

#include "base/errors.h"
#include "common/json_tensor.h"
#include "common/npz.h"
#include "hub/hub.h"
#include "replay/compare.h"
#include "tensor/dispatch.h"

namespace hub::replay {
namespace {

using Json = nlohmann::json;
using Golden = std::shared_ptr<const GoldenFolder>;

// The first numbers are those of one run; later ones drift.
constexpr double kFirstRtol = 1e-4;
constexpr double kLaterRtol = 1e-3;

SessionOptions session_options(const EngineOptions& options) {
  return {.threads = options.threads,
          .passes = options.passes,
          .frames_executor = options.executor == ExecutorKind::kFrames};
}

void expect_close(const std::string& what, double got, double want, double rtol, double scale = 0,
                  double atol = 1e-7) {
  if (std::abs(got - want) <= rtol * std::max(std::abs(want), scale) + atol) return;
  throw Mismatch(what, " is ", got, " for ", want);
}

std::vector<double> doubles_of(const Tensor& tensor) {
  std::vector<double> result;
  dispatch(Join<RealNumbers, TypeList<bool>>{}, tensor.dtype(), [&]<class T>() {
    for (const T& value : tensor.values<T>()) {
      if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
        result.push_back(static_cast<double>(static_cast<float>(value)));
      } else {
        result.push_back(static_cast<double>(value));
      }
    }
  });
  return result;
}

double norm_of(const Tensor& tensor) {
  double squares = 0;
  for (const double value : doubles_of(tensor)) squares += value * value;
  return std::sqrt(squares);
}

// Inputs of a signature as placeholders, and what is fed to them.
class Holes {
 public:
  Holes(const Graph& graph, const GoldenFolder& golden, const Signature& signature)
      : graph_(graph), golden_(golden), signature_(signature) {}

  ValueMap make(const Json& batch) {
    ValueMap inputs;
    for (const auto& [name, info] : signature_.inputs) {
      const auto values = parts_of(name, batch.at(name));
      std::vector<Output> parts;
      for (const std::string& part : part_names(name, info)) {
        const Tensor& value = values.at(part);
        parts.push_back(
            ops::placeholder(graph_, value.dtype(), PartialShape::unknown_dims(value.rank())));
        holes_.emplace(part, parts.back());
      }
      inputs.emplace(name, Value::from_parts(info, std::move(parts)));
    }
    return inputs;
  }

  Feeds feeds(const Json& batch) const {
    Feeds feeds;
    for (const auto& [name, info] : signature_.inputs) {
      for (const auto& [part, value] : parts_of(name, batch.at(name)))
        feeds.push_back({holes_.at(part), value});
    }
    return feeds;
  }

 private:
  // A value of the golden, or a bare list of numbers.
  std::map<std::string, Tensor> parts_of(const std::string& name, const Json& json) const {
    if (!json.is_array()) return golden_.input(name, json, golden_.model_path());
    return {{name, tensor_from_json(json, signature_.inputs.at(name).dtype, "a golden")}};
  }

  Graph graph_;
  const GoldenFolder& golden_;
  Signature signature_;
  std::map<std::string, Output> holes_;
};

Variable head_variable(const Graph& graph, const GoldenFolder& golden, const Json& head,
                       const char* name) {
  const Tensor value = golden.input(name, head.at(name), {}).at(name);
  return get_variable(graph, cat("head/", name), value.shape(),
                      {.initializer = init::constant(value), .use_resource = true});
}

std::unique_ptr<train::Optimizer> optimizer_of(const Json& tuning) {
  const double rate = tuning.at("learning_rate").get<double>();
  if (tuning.at("optimizer") == "sgd")
    return std::make_unique<train::GradientDescentOptimizer>(rate);
  return std::make_unique<train::AdamOptimizer>(rate);
}

// The zoo's: a classifier on one output of the module.
class Classifier {
 public:
  Classifier(const GoldenFolder& golden, const Json& tuning)
      : golden_(golden),
        tuning_(tuning),
        module_(graph_, golden.model_path(),
                {.trainable = true, .tags = tuning.at("tags").get<Tags>()}),
        holes_(
            graph_, golden,
            module_.spec().signature(tuning.at("signature").get<std::string>(), module_.tags())) {
    add_losses();
    add_step();
  }

  void run(const EngineOptions& options) const {
    check_graph();
    Session session(graph_, session_options(options));
    session.initialize();
    const Json& batches = tuning_.at("batches");
    const int count = tuning_.at("count").get<int>();
    for (int i = 0; i < count; ++i) {
      const Json& batch = batches[batches.size() == 1 ? 0 : static_cast<std::size_t>(i)];
      std::vector<Endpoint> fetches = {loss_, data_loss_, step_};
      if (i == 0) {
        for (const Output& gradient : dense_gradients_) {
          if (gradient) fetches.emplace_back(gradient);
        }
      }
      const std::vector<Tensor> values = session.run(fetches, holes_.feeds(batch));
      const double rtol = i == 0 ? kFirstRtol : kLaterRtol;
      const auto at = static_cast<std::size_t>(i);
      const std::string step = cat(" at step ", std::int64_t{i});
      expect_close("the loss" + step, values[0].scalar<float>(),
                   tuning_.at("losses")[at].get<double>(), rtol);
      expect_close("the data loss" + step, values[1].scalar<float>(),
                   tuning_.at("data_losses")[at].get<double>(), rtol);
      if (i == 0) check_gradients(std::span(values).subspan(3));
    }
    check_variables(session);
  }

 private:
  void add_losses() {
    const Json& head = tuning_.at("head");
    const Outputs outputs =
        module_.apply(holes_.make(tuning_.at("batches")[0]),
                      {.signature = tuning_.at("signature").get<std::string>()});
    const Output features = outputs[tuning_.at("output").get<std::string>()];
    const Variable kernel = head_variable(graph_, golden_, head, "kernel");
    const Variable bias = head_variable(graph_, golden_, head, "bias");
    const Tensor labels = golden_.input("labels", head.at("labels"), {}).at("labels");
    const Output rows = ops::reshape(features, PartialShape{labels.dim(0), kernel.shape().dim(0)});
    const Output logits = ops::matmul(rows, kernel) + bias;
    const Operation entropies =
        graph_.op("SparseSoftmaxCrossEntropyWithLogits", {logits, ops::constant(graph_, labels)});
    data_loss_ = ops::reduce_mean(entropies.output(0));
    std::vector<Output> losses = regularization_losses(graph_);
    losses.insert(losses.begin(), data_loss_);
    loss_ = ops::add_n(losses);
  }

  void add_step() {
    std::vector<Operation> waits = {loss_.op()};
    const auto updates = update_ops();
    if (tuning_.at("run_update_ops").get<bool>())
      waits.insert(waits.end(), updates.begin(), updates.end());
    const auto optimizer = optimizer_of(tuning_);
    gradients_ = optimizer->compute_gradients(loss_);
    for (const auto& pair : gradients_)
      dense_gradients_.push_back(dense_gradient(graph_, pair.gradient));
    const ControlDependencies after(graph_, waits);
    step_ = optimizer->apply_gradients(gradients_);
  }

  std::vector<Operation> update_ops() const {
    std::vector<Operation> result = graph_.collection_operations(Collections::kUpdateOps);
    for (const Output& update : graph_.collection(Collections::kUpdateOps))
      result.push_back(update.op());
    return result;
  }

  void check_graph() const {
    std::vector<std::string> trainable;
    std::vector<std::string> sparse;
    for (const auto& pair : gradients_) {
      trainable.push_back(pair.variable.name());
      if (pair.gradient.slices) sparse.push_back(pair.variable.name());
    }
    if (trainable != tuning_.at("trainable_variables").get<std::vector<std::string>>())
      throw Mismatch("the trainable variables are ", join(trainable));
    if (sparse != tuning_.at("sparse_gradients").get<std::vector<std::string>>())
      throw Mismatch("the sparse gradients are those of ", join(sparse));
    if (update_ops().size() != tuning_.at("update_ops").get<std::size_t>())
      throw Mismatch("there are ", update_ops().size(), " update operations");
    if (regularization_losses(graph_).size() !=
        tuning_.at("regularization_losses").get<std::size_t>()) {
      throw Mismatch("there are ", regularization_losses(graph_).size(), " penalties");
    }
  }

  void check_gradients(std::span<const Tensor> values) const {
    double largest = 0;
    for (const auto& [name, norm] : tuning_.at("gradient_norms").items()) {
      if (!norm.is_null()) largest = std::max(largest, norm.get<double>());
    }
    std::size_t next = 0;
    for (std::size_t i = 0; i < gradients_.size(); ++i) {
      const std::string name = gradients_[i].variable.name();
      const Json& want = tuning_.at("gradient_norms").at(name);
      if (want.is_null() != !dense_gradients_[i])
        throw Mismatch("the gradient to ", name, want.is_null() ? " is not None" : " is None");
      if (want.is_null()) continue;
      // A gradient that is zero but for rounding has no digits to compare.
      expect_close(cat("the norm of the gradient to ", name), norm_of(values[next++]),
                   want.get<double>(), kLaterRtol, 1e-3 * largest);
    }
  }

  void check_variables(Session& session) const {
    std::map<std::string, Variable> variables = module_.variable_map();
    for (const char* name : {"head/kernel", "head/bias"}) {
      for (const Variable& variable : collection_variables(graph_)) {
        if (variable.name() == name) variables.insert_or_assign(name, variable);
      }
    }
    for (const auto& [name, statistics] : tuning_.at("variables_after").items()) {
      const auto found = variables.find(name);
      if (found == variables.end()) throw Mismatch("there is no variable ", name);
      const Tensor value = found->second.is_partitioned() ? session.run(Output(found->second))
                                                          : session.variable(found->second.op());
      if (value.dtype() == kString) continue;
      check_statistics(name, value, statistics);
    }
  }

  // How far an element may drift. Adam divides by the size of the gradient itself: where that is
  // rounding noise, its sign decides, and each step moves by the learning rate. TensorFlow's own
  // results move so far when an input changes by 1e-7 of its value.
  double drift() const {
    if (tuning_.at("optimizer") != "adam") return 1e-7;
    return 0.5 * tuning_.at("learning_rate").get<double>() * tuning_.at("count").get<double>();
  }

  void check_statistics(const std::string& name, const Tensor& value,
                        const Json& statistics) const {
    const std::vector<double> elements = doubles_of(value);
    double sum = 0;
    double magnitude = 0;
    for (const double element : elements) {
      sum += element;
      magnitude += std::abs(element);
    }
    const auto count = static_cast<double>(elements.size());
    const double mean = elements.empty() ? 0 : magnitude / count;
    const double total_drift = drift() * std::sqrt(count);
    expect_close(cat("the sum of ", name), sum, statistics.at("sum").get<double>(), kLaterRtol,
                 magnitude, total_drift);
    expect_close(cat("the norm of ", name), norm_of(value), statistics.at("l2").get<double>(),
                 kLaterRtol, 0, total_drift);
    const Json& at = statistics.at("at");
    for (std::size_t i = 0; i < at.size(); ++i) {
      expect_close(cat("element ", at[i].dump(), " of ", name),
                   elements.at(at[i].get<std::size_t>()), statistics.at("values")[i].get<double>(),
                   kLaterRtol, mean, drift());
    }
  }

  const GoldenFolder& golden_;
  const Json& tuning_;
  Graph graph_;
  Module module_;
  Holes holes_;
  Output data_loss_;
  Output loss_;
  std::vector<train::GradientAndVariable> gradients_;
  std::vector<Output> dense_gradients_;
  Operation step_;
};

// One step of plain gradient descent on a stated loss ("mean(square(NAME))", "-mean(NAME)").
class Step {
 public:
  Step(const GoldenFolder& golden, const Json& tuning)
      : golden_(golden),
        tuning_(tuning),
        values_(golden.absolute("golden.npz")),
        module_(graph_, golden.model_path(),
                {.trainable = true, .tags = tuning.at("tags").get<Tags>()}),
        holes_(
            graph_, golden,
            module_.spec().signature(tuning.at("signature").get<std::string>(), module_.tags())) {
    find_run();
    const Outputs outputs = module_.apply(holes_.make(inputs_),
                                          {.signature = tuning.at("signature").get<std::string>()});
    add_loss(outputs);
    train::GradientDescentOptimizer optimizer(tuning.at("learning_rate").get<double>());
    gradients_ = optimizer.compute_gradients(loss_);
    step_ = optimizer.apply_gradients(gradients_);
    for (const auto& pair : gradients_)
      dense_gradients_.push_back(dense_gradient(graph_, pair.gradient));
  }

  void run(const EngineOptions& options) const {
    Session session(graph_, session_options(options));
    session.initialize();
    Feeds feeds = holes_.feeds(inputs_);
    for (const auto& [name, value] : inner_feeds_) feeds.push_back({cat(scope_, "/", name), value});
    std::vector<Endpoint> fetches = {loss_};
    for (const Output& gradient : dense_gradients_) {
      if (gradient) fetches.emplace_back(gradient);
    }
    const std::vector<Tensor> before = session.run(fetches, feeds);
    expect_close("the loss", before[0].scalar<float>(), tuning_.at("loss_before").get<double>(),
                 kFirstRtol);
    check_gradients(std::span(before).subspan(1));
    session.run(step_, feeds);
    expect_close("the loss after the step", session.run(loss_, feeds).scalar<float>(),
                 tuning_.at("loss_after").get<double>(), kLaterRtol);
  }

 private:
  // The inputs: its own, or those of a case.
  void find_run() {
    if (tuning_.contains("inputs")) inputs_ = tuning_.at("inputs");
    const Json& same = tuning_.at("same_values_as_run");
    if (same.is_null()) return;
    for (const Json& golden_case : golden_.json().at("cases")) {
      if (golden_case.at("name") != same) continue;
      const Json& step = golden_case.at("steps")[0];
      inputs_ = step.at("inputs");
      if (!step.contains("feeds")) return;
      for (const auto& [name, value] : step.at("feeds").items())
        inner_feeds_.merge(golden_.input(name, value, golden_.model_path()));
    }
  }

  void add_loss(const Outputs& outputs) {
    const auto text = tuning_.at("loss").get<std::string>();
    const auto inside = [&](std::string_view before, std::string_view after) -> std::string {
      if (!text.starts_with(before) || !text.ends_with(after)) return {};
      return text.substr(before.size(), text.size() - before.size() - after.size());
    };
    if (const std::string name = inside("mean(square(", "))"); !name.empty()) {
      loss_ = ops::reduce_mean(ops::square(outputs[name]));
    } else if (const std::string other = inside("-mean(", ")"); !other.empty()) {
      loss_ = -ops::reduce_mean(outputs[other].dense());
    } else {
      throw Mismatch("the form of the loss is not known: ", text);
    }
    scope_ = cat(module_.scope(), "_apply_", tuning_.at("signature").get<std::string>());
  }

  void check_gradients(std::span<const Tensor> values) const {
    std::map<std::string, Tensor> got;
    std::size_t next = 0;
    for (std::size_t i = 0; i < gradients_.size(); ++i) {
      const std::string name = gradients_[i].variable.name().substr(module_.scope().size() + 1);
      if (dense_gradients_[i]) got[name] = values[next++];
    }
    for (const Json& want : tuning_.at("gradients")) {
      const auto name = want.at("name").get<std::string>();
      const auto found = got.find(name);
      if (found == got.end()) throw Mismatch("there is no gradient to ", name);
      check_gradient(name, found->second, want);
    }
    for (const Json& name : tuning_.at("without_gradient")) {
      if (got.contains(name.get<std::string>()))
        throw Mismatch("there is a gradient to ", name.dump());
    }
  }

  void check_gradient(const std::string& name, const Tensor& got, const Json& want) const {
    const std::vector<double> elements = doubles_of(got);
    const std::vector<double> stored = doubles_of(values_.read(want.at("npz").get<std::string>()));
    std::size_t stride = 1;
    if (want.contains("sample")) stride = want.at("sample").at("stride").get<std::size_t>();
    const double rtol = want.at("rtol").get<double>();
    const double atol = want.at("atol").get<double>();
    for (std::size_t i = 0; i < stored.size(); ++i) {
      const double element = elements.at(i * stride);
      if (std::abs(element - stored[i]) <= atol + rtol * std::abs(stored[i])) continue;
      throw Mismatch("the gradient to ", name, " at ", i * stride, " is ", element, " for ",
                     stored[i]);
    }
    expect_close(cat("the norm of the gradient to ", name), norm_of(got),
                 want.at("l2").get<double>(), rtol, atol);
  }

  const GoldenFolder& golden_;
  const Json& tuning_;
  NpzFile values_;
  Graph graph_;
  Module module_;
  Holes holes_;
  Json inputs_ = Json::object();
  std::map<std::string, Tensor> inner_feeds_;
  std::string scope_;
  Output loss_;
  std::vector<train::GradientAndVariable> gradients_;
  std::vector<Output> dense_gradients_;
  Operation step_;
};

template <class Tuning>
Replay replay_of(Golden golden, const Json& json) {
  auto tuning = std::make_shared<const Tuning>(*golden, json);
  return [golden, tuning](const EngineOptions& options) { tuning->run(options); };
}

}  // namespace

Replay open_tuning(std::shared_ptr<const GoldenFolder> golden, const Json& tuning) {
  return tuning.contains("head") ? replay_of<Classifier>(std::move(golden), tuning)
                                 : replay_of<Step>(std::move(golden), tuning);
}

}  // namespace hub::replay
