#include "format/saved_model.h"

#include <google/protobuf/arena.h>

#include "base/errors.h"
#include "format/rest.h"
#include "format/saved_model_convert.h"

namespace hub {

namespace {

using google::protobuf::Arena;

SaverDef read_saver(const pb::SaverDef& message) {
  return {.filename_tensor_name = message.filename_tensor_name(),
          .save_tensor_name = message.save_tensor_name(),
          .restore_op_name = message.restore_op_name(),
          .max_to_keep = message.max_to_keep(),
          .sharded = message.sharded(),
          .keep_checkpoint_every_n_hours = message.keep_checkpoint_every_n_hours(),
          .version = message.version(),
          .unknown_fields = unknown_fields_of(message)};
}

void write_saver(const SaverDef& saver, pb::SaverDef& message) {
  merge_rest(message, saver.unknown_fields);
  message.set_filename_tensor_name(saver.filename_tensor_name);
  message.set_save_tensor_name(saver.save_tensor_name);
  message.set_restore_op_name(saver.restore_op_name);
  message.set_max_to_keep(saver.max_to_keep);
  message.set_sharded(saver.sharded);
  message.set_keep_checkpoint_every_n_hours(saver.keep_checkpoint_every_n_hours);
  message.set_version(static_cast<pb::SaverDef::CheckpointFormatVersion>(saver.version));
}

void read_info(pb::MetaGraphDef::MetaInfoDef& message, MetaGraph& out, SplatBudget& budget) {
  out.unknown_info_fields = take_rest(message);
  out.meta_graph_version = std::move(*message.mutable_meta_graph_version());
  if (message.has_stripped_op_list()) {
    for (auto& op : *message.mutable_stripped_op_list()->mutable_op()) {
      out.stripped_op_list.push_back(read_op_def(op, budget, DTypeRule::kAnyone));
    }
  }
  if (message.has_any_info()) {
    out.any_info = AnyValue{message.any_info().type_url(), message.any_info().value()};
  }
  out.tags.assign(message.tags().begin(), message.tags().end());
  out.tensorflow_version = std::move(*message.mutable_tensorflow_version());
  out.tensorflow_git_version = std::move(*message.mutable_tensorflow_git_version());
  out.stripped_default_attrs = message.stripped_default_attrs();
  out.function_aliases = {message.function_aliases().begin(), message.function_aliases().end()};
}

void write_info(const MetaGraph& meta_graph, pb::MetaGraphDef::MetaInfoDef& message) {
  merge_rest(message, meta_graph.unknown_info_fields);
  message.set_meta_graph_version(meta_graph.meta_graph_version);
  if (!meta_graph.stripped_op_list.empty()) {
    auto& list = *message.mutable_stripped_op_list();
    for (const auto& op : meta_graph.stripped_op_list) write_op_def(op, *list.add_op());
  }
  if (meta_graph.any_info) {
    message.mutable_any_info()->set_type_url(meta_graph.any_info->type_url);
    message.mutable_any_info()->set_value(meta_graph.any_info->value);
  }
  for (const auto& tag : meta_graph.tags) message.add_tags(tag);
  message.set_tensorflow_version(meta_graph.tensorflow_version);
  message.set_tensorflow_git_version(meta_graph.tensorflow_git_version);
  message.set_stripped_default_attrs(meta_graph.stripped_default_attrs);
  message.mutable_function_aliases()->insert(meta_graph.function_aliases.begin(),
                                             meta_graph.function_aliases.end());
}

std::string variant_context(const MetaGraph& meta_graph) {
  return cat("in the meta graph with tags {", printable(join(meta_graph.tags)), "}");
}

SavedModel read_saved_model(pb::SavedModel& message, SplatBudget& budget) {
  SavedModel model;
  model.schema_version = message.saved_model_schema_version();
  for (auto& meta_graph : *message.mutable_meta_graphs()) {
    model.meta_graphs.push_back(read_meta_graph(meta_graph, budget));
  }
  model.unknown_fields = unknown_fields_of(message);
  return model;
}

void write_saved_model(const SavedModel& model, pb::SavedModel& message) {
  merge_rest(message, model.unknown_fields);
  message.set_saved_model_schema_version(model.schema_version);
  for (const auto& each : model.meta_graphs) write_meta_graph(each, *message.add_meta_graphs());
}

// The graph comes last: when it cannot be read, the tags that say which it was are known.
template <class ReadGraph>
MetaGraph read_meta_graph_with(pb::MetaGraphDef& message, SplatBudget& budget,
                               ReadGraph read_its_graph) {
  MetaGraph out;
  if (message.has_meta_info_def()) read_info(*message.mutable_meta_info_def(), out, budget);
  with_context(
      [&] {
        for (auto& [key, signature] : *message.mutable_signature_def()) {
          with_context(
              [&, &key = key, &signature = signature] {
                out.signatures.emplace(key, read_signature(signature, budget));
              },
              [&, &key = key] { return cat("in signature \"", printable(key), "\""); });
        }
        for (auto& asset : *message.mutable_asset_file_def()) {
          out.asset_files.push_back(read_asset_file(asset, budget));
        }
        out.graph = read_its_graph();
      },
      [&] { return variant_context(out); });
  if (message.has_saver_def()) out.saver = read_saver(message.saver_def());
  for (auto& [key, collection] : *message.mutable_collection_def()) {
    out.collections.emplace(key, read_collection(collection));
  }
  if (message.has_object_graph_def()) {
    out.object_graph = serialize_binary(message.object_graph_def());
  }
  out.unknown_fields = unknown_fields_of(message);
  return out;
}

template <class Read>
auto read_at(std::string_view place, const ParseLimits& limits, Read read) {
  SplatBudget budget(limits);
  return with_context([&] { return read(budget); }, [&] { return cat("in ", place); });
}

// Parses the text into a message on an arena and converts it.
template <class Message, class Read>
auto read_text(std::string_view text, std::string_view what, std::string_view place,
               const ParseLimits& limits, Read read) {
  Arena arena;
  auto& message = *Arena::CreateMessage<Message>(&arena);
  parse_text(message, text, what, place);
  return read_at(place, limits, [&](SplatBudget& budget) { return read(message, budget); });
}

}  // namespace

MetaGraph read_meta_graph(pb::MetaGraphDef& message, SplatBudget& budget) {
  return read_meta_graph_with(message, budget,
                              [&] { return read_graph(*message.mutable_graph_def(), budget); });
}

MetaGraph read_meta_graph(std::string_view bytes, SplatBudget& budget) {
  Arena arena;
  auto& rest = *Arena::CreateMessage<pb::MetaGraphDef>(&arena);
  FieldPieces graphs = {.number = pb::MetaGraphDef::kGraphDefFieldNumber};
  split_fields(bytes, {&graphs, 1}, rest, "MetaGraphDef", "");
  return read_meta_graph_with(rest, budget, [&] { return read_graph(graphs.pieces, budget); });
}

void write_meta_graph(const MetaGraph& meta_graph, pb::MetaGraphDef& message) {
  merge_rest(message, meta_graph.unknown_fields);
  write_info(meta_graph, *message.mutable_meta_info_def());
  with_context([&] { write_graph(meta_graph.graph, *message.mutable_graph_def()); },
               [&] { return variant_context(meta_graph); });
  if (meta_graph.saver) write_saver(*meta_graph.saver, *message.mutable_saver_def());
  for (const auto& [key, collection] : meta_graph.collections) {
    write_collection(collection, (*message.mutable_collection_def())[key]);
  }
  for (const auto& [key, signature] : meta_graph.signatures) {
    write_signature(signature, (*message.mutable_signature_def())[key]);
  }
  for (const auto& asset : meta_graph.asset_files) {
    write_asset_file(asset, *message.add_asset_file_def());
  }
  if (meta_graph.object_graph) {
    parse_binary(*message.mutable_object_graph_def(), *meta_graph.object_graph, "SavedObjectGraph",
                 "a meta graph");
  }
}

SavedModel parse_saved_model(std::string_view bytes, std::string_view place,
                             const ParseLimits& limits) {
  return read_at(place, limits, [&](SplatBudget& budget) {
    pb::SavedModel rest;
    FieldPieces meta_graphs = {.number = pb::SavedModel::kMetaGraphsFieldNumber};
    split_fields(bytes, {&meta_graphs, 1}, rest, "SavedModel", "");
    SavedModel model = read_saved_model(rest, budget);
    for (const std::string_view piece : meta_graphs.pieces) {
      model.meta_graphs.push_back(read_meta_graph(piece, budget));
    }
    return model;
  });
}

SavedModel parse_saved_model_text(std::string_view text, std::string_view place,
                                  const ParseLimits& limits) {
  return read_text<pb::SavedModel>(text, "SavedModel", place, limits, read_saved_model);
}

MetaGraph parse_meta_graph(std::string_view bytes, std::string_view place,
                           const ParseLimits& limits) {
  return read_at(place, limits,
                 [&](SplatBudget& budget) { return read_meta_graph(bytes, budget); });
}

MetaGraph parse_meta_graph_text(std::string_view text, std::string_view place,
                                const ParseLimits& limits) {
  return read_text<pb::MetaGraphDef>(text, "MetaGraphDef", place, limits,
                                     [](pb::MetaGraphDef& message, SplatBudget& budget) {
                                       return read_meta_graph(message, budget);
                                     });
}

AssetFileDef parse_asset_file_def(std::string_view bytes, std::string_view place) {
  pb::AssetFileDef message;
  parse_binary(message, bytes, "AssetFileDef", place);
  return read_at(place, {}, [&](SplatBudget& budget) { return read_asset_file(message, budget); });
}

namespace {

template <class Message, class Write>
std::string written(Write write, std::string (*serialize)(const google::protobuf::Message&)) {
  Arena arena;
  auto& message = *Arena::CreateMessage<Message>(&arena);
  write(message);
  return serialize(message);
}

}  // namespace

std::string serialize_saved_model(const SavedModel& model) {
  return written<pb::SavedModel>([&](auto& message) { write_saved_model(model, message); },
                                 serialize_binary);
}

std::string saved_model_text(const SavedModel& model) {
  return written<pb::SavedModel>([&](auto& message) { write_saved_model(model, message); },
                                 serialize_text);
}

std::string serialize_meta_graph(const MetaGraph& meta_graph) {
  return written<pb::MetaGraphDef>([&](auto& message) { write_meta_graph(meta_graph, message); },
                                   serialize_binary);
}

std::string serialize_asset_file_def(const AssetFileDef& asset) {
  return written<pb::AssetFileDef>([&](auto& message) { write_asset_file(asset, message); },
                                   serialize_binary);
}

}  // namespace hub
