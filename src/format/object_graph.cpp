#include "format/object_graph.h"

#include "format/proto/object_graph.pb.h"
#include "format/proto_convert.h"

namespace hub {

namespace {

using Children =
    google::protobuf::RepeatedPtrField<pb::TrackableObjectGraph::TrackableObject::ObjectReference>;

const pb::SavedObject* child(const pb::SavedObjectGraph& graph, const Children& children,
                             std::string_view name) {
  for (const auto& reference : children) {
    if (reference.local_name() == name && reference.node_id() >= 0 &&
        reference.node_id() < graph.nodes_size()) {
      return &graph.nodes(reference.node_id());
    }
  }
  return nullptr;
}

// The objects among which the model's variables are.
std::vector<const pb::SavedObject*> candidates(const pb::SavedObjectGraph& graph) {
  std::vector<const pb::SavedObject*> objects;
  const pb::SavedObject* list =
      graph.nodes_size() > 0 ? child(graph, graph.nodes(0).children(), "variables") : nullptr;
  if (list == nullptr || list->has_variable()) {
    for (const pb::SavedObject& object : graph.nodes()) objects.push_back(&object);
    return objects;
  }
  for (const auto& reference : list->children()) {
    if (reference.node_id() >= 0 && reference.node_id() < graph.nodes_size()) {
      objects.push_back(&graph.nodes(reference.node_id()));
    }
  }
  return objects;
}

}  // namespace

std::vector<SavedVariable> parse_saved_variables(std::string_view object_graph,
                                                 std::string_view place) {
  pb::SavedObjectGraph message;
  parse_binary(message, object_graph, "SavedObjectGraph", place);
  std::vector<SavedVariable> variables;
  for (const pb::SavedObject* object : candidates(message)) {
    if (!object->has_variable()) continue;
    const pb::SavedVariable& variable = object->variable();
    variables.push_back({.name = variable.name(),
                         .dtype = read_dtype(variable.dtype()),
                         .shape = read_partial_shape(variable.shape()),
                         .trainable = variable.trainable()});
  }
  return variables;
}

}  // namespace hub
