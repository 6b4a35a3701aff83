#include "runtime/plan.h"

#include <algorithm>
#include <chrono>

#include "base/errors.h"

namespace hub {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t nanoseconds_since(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count();
}

}  // namespace

void compute_node(const PlanNode& plan_node, KernelContext& context) {
  try {
    plan_node.kernel->compute(context);
  } catch (Error& error) {
    error.add_context(
        cat("in node \"", plan_node.node->name, "\" (", plan_node.node->op_name, ")"));
    throw;
  } catch (const std::bad_alloc&) {
    throw resource_exhausted("Out of memory.")
        .add_context(cat("in node \"", plan_node.node->name, "\""));
  } catch (const std::length_error&) {
    throw resource_exhausted("Out of memory.")
        .add_context(cat("in node \"", plan_node.node->name, "\""));
  }
}

Tensor read_reference(const VariableResource& variable, const PlanNode& reader) {
  Tensor value = variable.read();
  const bool needs_value =
      reader.node->op == nullptr || !reader.node->op->def().allows_uninitialized_input;
  if (!value.is_valid() && needs_value) {
    throw failed_precondition("Attempting to use an uninitialized variable. Details: \"",
                              variable.name, "\".")
        .add_context(cat("in node \"", reader.node->name, "\" (", reader.node->op_name, ")"));
  }
  return value;
}

std::unique_ptr<StepValues> Plan::take_values() const {
  {
    const std::lock_guard lock(free_mutex_);
    if (!free_values_.empty()) {
      std::unique_ptr<StepValues> values = std::move(free_values_.back());
      free_values_.pop_back();
      return values;
    }
  }
  auto values = std::make_unique<StepValues>();
  values->slots.resize(static_cast<std::size_t>(num_slots_));
  if (has_refs_) values->refs.resize(static_cast<std::size_t>(num_slots_));
  for (const auto& [slot, value] : constants_)
    values->slots[static_cast<std::size_t>(slot)] = value;
  values->inputs.reserve(nodes_.size());
  for (const PlanNode& node : nodes_) {
    std::vector<Tensor*> inputs;
    for (const int slot : node.inputs)
      inputs.push_back(&values->slots[static_cast<std::size_t>(slot)]);
    values->inputs.push_back(std::move(inputs));
  }
  return values;
}

void Plan::give_back(std::unique_ptr<StepValues> values) const {
  const std::lock_guard lock(free_mutex_);
  free_values_.push_back(std::move(values));
}

void Plan::check_feeds(std::span<const Tensor> feeds) const {
  HUB_ASSERT(feeds.size() == feed_infos_.size());
  for (std::size_t i = 0; i < feeds.size(); ++i) {
    const FeedInfo& info = feed_infos_[i];
    if (feeds[i].is_valid() && (info.dtype == DType::kInvalid || feeds[i].dtype() == info.dtype))
      continue;
    throw invalid_argument("A feed must have the tensor's dtype. Details: \"", info.name, "\" is ",
                           info.dtype, ", the feed is ", feeds[i].dtype(), ".");
  }
}

void Plan::run(Step& step, std::span<Tensor> feeds, std::span<Tensor> fetches) const {
  run(step, feeds, fetches, nullptr);
}

void Plan::run(Step& step, std::span<Tensor> feeds, std::span<Tensor> fetches,
               Profile* profile) const {
  HUB_ASSERT(feeds.size() == feed_slots_.size() && fetches.size() == fetch_slots_.size());
  if (has_frames_) return run_frames(*this, step, feeds, fetches, profile);
  std::unique_ptr<StepValues> values = take_values();
  for (std::size_t i = 0; i < feeds.size(); ++i) {
    if (feed_slots_[i] >= 0)
      values->slots[static_cast<std::size_t>(feed_slots_[i])] = std::move(feeds[i]);
  }
  // Values that an error leaves behind are dropped with `values`.
  run_straight(step, *values, profile);
  for (std::size_t i = 0; i < fetches.size(); ++i) {
    const auto slot = static_cast<std::size_t>(fetch_slots_[i]);
    if (has_refs_ && values->refs[slot] != nullptr) {
      fetches[i] = values->refs[slot]->read();
      if (!fetches[i].is_valid()) {
        throw failed_precondition("Attempting to use an uninitialized variable. Details: \"",
                                  values->refs[slot]->name, "\".");
      }
    } else {
      fetches[i] = values->slots[slot];
    }
  }
  // Constants have the first slots, and stay.
  const int first_cleared = static_cast<int>(constants_.size());
  for (const int slot : fetch_slots_) {
    if (slot >= first_cleared) values->slots[static_cast<std::size_t>(slot)] = Tensor();
  }
  for (const int slot : feed_slots_) {
    if (slot >= 0) values->slots[static_cast<std::size_t>(slot)] = Tensor();
  }
  for (std::shared_ptr<VariableResource>& ref : values->refs) ref.reset();
  give_back(std::move(values));
  if (has_refs_) detach_fetches(fetches);
}

void detach_fetches(std::span<Tensor> fetches) {
  for (Tensor& fetch : fetches) {
    if (!fetch.is_exclusive()) fetch = fetch.clone();
  }
}

void Plan::run_straight(Step& step, StepValues& values, Profile* profile) const {
  const bool watched = step.cancelled != nullptr || step.deadline.has_value();
  std::vector<std::shared_ptr<VariableResource>> ref_inputs;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const PlanNode& node = nodes_[i];
    if (watched) step.check_cancelled();
    const auto first_output = static_cast<std::size_t>(node.first_output);
    const auto num_outputs = static_cast<std::size_t>(node.num_outputs);
    KernelContext::Frame frame;
    frame.node = node.node;
    frame.step = &step;
    frame.inputs = values.inputs[i];
    frame.outputs = std::span(values.slots).subspan(first_output, num_outputs);
    frame.last_uses = {node.last_uses.get(), node.inputs.size()};
    if (node.has_ref_inputs) {
      ref_inputs.clear();
      for (const int slot : node.inputs) {
        const auto& ref = values.refs[static_cast<std::size_t>(slot)];
        if (ref != nullptr)
          values.slots[static_cast<std::size_t>(slot)] = read_reference(*ref, node);
        ref_inputs.push_back(ref);
      }
      frame.ref_inputs = ref_inputs;
    }
    if (node.has_ref_outputs)
      frame.ref_outputs = std::span(values.refs).subspan(first_output, num_outputs);
    KernelContext context(frame);
    if (profile == nullptr) {
      compute_node(node, context);
    } else {
      const auto begin = Clock::now();
      compute_node(node, context);
      profile->nanoseconds[i] += nanoseconds_since(begin);
      ++profile->runs[i];
    }
    for (const int slot : node.releases) values.slots[static_cast<std::size_t>(slot)] = Tensor();
  }
}

}  // namespace hub
