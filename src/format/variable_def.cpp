#include "format/variable_def.h"

#include "base/errors.h"
#include "format/message_io.h"
#include "format/proto/variable.pb.h"

namespace hub {

namespace pb = ::tf1hub::format;

namespace {

SaveSliceInfo read_slice(const pb::SaveSliceInfoDef& message) {
  return {.full_name = message.full_name(),
          .full_shape = {message.full_shape().begin(), message.full_shape().end()},
          .offset = {message.var_offset().begin(), message.var_offset().end()},
          .shape = {message.var_shape().begin(), message.var_shape().end()},
          .unknown_fields = unknown_fields_of(message)};
}

void write_slice(const SaveSliceInfo& slice, pb::SaveSliceInfoDef& message) {
  merge_rest(message, slice.unknown_fields);
  message.set_full_name(slice.full_name);
  message.mutable_full_shape()->Add(slice.full_shape.begin(), slice.full_shape.end());
  message.mutable_var_offset()->Add(slice.offset.begin(), slice.offset.end());
  message.mutable_var_shape()->Add(slice.shape.begin(), slice.shape.end());
}

ContextValues read_values(const pb::ValuesDef& message) {
  return {.values = {message.values().begin(), message.values().end()},
          .external_values = {message.external_values().begin(), message.external_values().end()},
          .unknown_fields = unknown_fields_of(message)};
}

void write_values(const ContextValues& values, pb::ValuesDef& message) {
  merge_rest(message, values.unknown_fields);
  for (const auto& value : values.values) message.add_values(value);
  message.mutable_external_values()->insert(values.external_values.begin(),
                                            values.external_values.end());
}

CondContext read_cond(const pb::CondContextDef& message);
WhileContext read_while(const pb::WhileContextDef& message);
void write_cond(const CondContext& context, pb::CondContextDef& message);
void write_while(const WhileContext& context, pb::WhileContextDef& message);

template <class Messages>
std::vector<ControlFlowContext> read_nested(const Messages& messages) {
  std::vector<ControlFlowContext> contexts;
  for (const auto& message : messages) {
    ControlFlowContext context;
    if (message.has_cond_ctxt()) context.context = read_cond(message.cond_ctxt());
    if (message.has_while_ctxt()) context.context = read_while(message.while_ctxt());
    context.unknown_fields = unknown_fields_of(message);
    contexts.push_back(std::move(context));
  }
  return contexts;
}

template <class Messages>
void write_nested(const std::vector<ControlFlowContext>& contexts, Messages& messages) {
  for (const auto& context : contexts) {
    auto& message = *messages.Add();
    merge_rest(message, context.unknown_fields);
    if (const auto* cond = std::get_if<CondContext>(&context.context)) {
      write_cond(*cond, *message.mutable_cond_ctxt());
    } else if (const auto* loop = std::get_if<WhileContext>(&context.context)) {
      write_while(*loop, *message.mutable_while_ctxt());
    }
  }
}

CondContext read_cond(const pb::CondContextDef& message) {
  return {.context_name = message.context_name(),
          .pred_name = message.pred_name(),
          .pivot_name = message.pivot_name(),
          .branch = message.branch(),
          .values = read_values(message.values_def()),
          .nested = read_nested(message.nested_contexts()),
          .unknown_fields = unknown_fields_of(message)};
}

void write_cond(const CondContext& context, pb::CondContextDef& message) {
  merge_rest(message, context.unknown_fields);
  message.set_context_name(context.context_name);
  message.set_pred_name(context.pred_name);
  message.set_pivot_name(context.pivot_name);
  message.set_branch(context.branch);
  write_values(context.values, *message.mutable_values_def());
  write_nested(context.nested, *message.mutable_nested_contexts());
}

WhileContext read_while(const pb::WhileContextDef& message) {
  return {
      .context_name = message.context_name(),
      .parallel_iterations = message.parallel_iterations(),
      .back_prop = message.back_prop(),
      .swap_memory = message.swap_memory(),
      .pivot_name = message.pivot_name(),
      .pivot_for_pred_name = message.pivot_for_pred_name(),
      .pivot_for_body_name = message.pivot_for_body_name(),
      .loop_exit_names = {message.loop_exit_names().begin(), message.loop_exit_names().end()},
      .loop_enter_names = {message.loop_enter_names().begin(), message.loop_enter_names().end()},
      .maximum_iterations_name = message.maximum_iterations_name(),
      .values = read_values(message.values_def()),
      .nested = read_nested(message.nested_contexts()),
      .unknown_fields = unknown_fields_of(message)};
}

void write_while(const WhileContext& context, pb::WhileContextDef& message) {
  merge_rest(message, context.unknown_fields);
  message.set_context_name(context.context_name);
  message.set_parallel_iterations(context.parallel_iterations);
  message.set_back_prop(context.back_prop);
  message.set_swap_memory(context.swap_memory);
  message.set_pivot_name(context.pivot_name);
  message.set_pivot_for_pred_name(context.pivot_for_pred_name);
  message.set_pivot_for_body_name(context.pivot_for_body_name);
  for (const auto& name : context.loop_exit_names) message.add_loop_exit_names(name);
  for (const auto& name : context.loop_enter_names) message.add_loop_enter_names(name);
  message.set_maximum_iterations_name(context.maximum_iterations_name);
  write_values(context.values, *message.mutable_values_def());
  write_nested(context.nested, *message.mutable_nested_contexts());
}

}  // namespace

VariableDef parse_variable_def(std::string_view bytes, std::string_view place) {
  pb::VariableDef message;
  parse_binary(message, bytes, "VariableDef", place);
  VariableDef variable{.variable_name = message.variable_name(),
                       .initializer_name = message.initializer_name(),
                       .snapshot_name = message.snapshot_name(),
                       .initial_value_name = message.initial_value_name(),
                       .slice = {},
                       .is_resource = message.is_resource(),
                       .trainable = message.trainable(),
                       .synchronization = message.synchronization(),
                       .aggregation = message.aggregation(),
                       .unknown_fields = unknown_fields_of(message)};
  if (message.has_save_slice_info_def()) variable.slice = read_slice(message.save_slice_info_def());
  return variable;
}

std::string serialize_variable_def(const VariableDef& variable) {
  pb::VariableDef message;
  merge_rest(message, variable.unknown_fields);
  message.set_variable_name(variable.variable_name);
  message.set_initializer_name(variable.initializer_name);
  message.set_snapshot_name(variable.snapshot_name);
  message.set_initial_value_name(variable.initial_value_name);
  if (variable.slice) write_slice(*variable.slice, *message.mutable_save_slice_info_def());
  message.set_is_resource(variable.is_resource);
  message.set_trainable(variable.trainable);
  message.set_synchronization(static_cast<pb::VariableSynchronization>(variable.synchronization));
  message.set_aggregation(static_cast<pb::VariableAggregation>(variable.aggregation));
  return serialize_binary(message);
}

CondContext parse_cond_context(std::string_view bytes, std::string_view place) {
  pb::CondContextDef message;
  parse_binary(message, bytes, "CondContextDef", place);
  return read_cond(message);
}

WhileContext parse_while_context(std::string_view bytes, std::string_view place) {
  pb::WhileContextDef message;
  parse_binary(message, bytes, "WhileContextDef", place);
  return read_while(message);
}

std::string serialize_cond_context(const CondContext& context) {
  pb::CondContextDef message;
  write_cond(context, message);
  return serialize_binary(message);
}

std::string serialize_while_context(const WhileContext& context) {
  pb::WhileContextDef message;
  write_while(context, message);
  return serialize_binary(message);
}

}  // namespace hub
