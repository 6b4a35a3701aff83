// Names as TensorFlow makes them unique (Graph.unique_name and name_scope of
// tensorflow/python/framework/ops.py).

#include "base/errors.h"
#include "graph/graph_state.h"

namespace hub {

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

namespace {

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// `first` says whether the stricter rule for the first character holds.
bool is_name(std::string_view name, bool first) {
  if (name.empty()) return false;
  if (first && !is_letter_or_digit(name[0]) && name[0] != '.') return false;
  for (const char c : name) {
    if (!is_letter_or_digit(c) && std::string_view("_.\\-/>").find(c) == std::string_view::npos)
      return false;
  }
  return true;
}

}  // namespace

std::string GraphState::unique_name(std::string_view name, bool mark_as_used) {
  std::string full = name_stack_.empty() ? std::string(name) : cat(name_stack_, "/", name);
  if (!is_name(full, true)) {
    throw value_error(
        "A node's name is made of letters, digits and \"_.\\-/>\", and begins with a "
        "letter, a digit or a dot. Details: \"",
        printable(full), "\".");
  }
  const std::string base_key = lower_case(full);
  const auto found = names_in_use_.find(base_key);
  int count = found == names_in_use_.end() ? 0 : found->second;
  if (mark_as_used) names_in_use_[base_key] = count + 1;
  if (count == 0) return full;
  std::string key = base_key;
  while (names_in_use_.contains(key)) {
    key = cat(base_key, "_", count);
    ++count;
  }
  if (mark_as_used) names_in_use_[key] = 1;
  return cat(full, "_", count - 1);
}

bool GraphState::is_name_in_use(std::string_view name) const {
  return names_in_use_.contains(lower_case(without_slash(name)));
}

std::string GraphState::push_name_scope(std::string_view name) {
  std::string old = name_stack_;
  if (name.empty()) {
    name_stack_.clear();
    return old;
  }
  if (!is_name(name, name_stack_.empty())) {
    throw value_error(
        "A scope's name is made of letters, digits and \"_.\\-/>\", and at the top "
        "begins with a letter, a digit or a dot. Details: \"",
        printable(name), "\" in scope \"", name_stack_, "\".");
  }
  name_stack_ = name.ends_with('/') ? std::string(without_slash(name)) : unique_name(name, true);
  return old;
}

}  // namespace hub
