// Device names (tensorflow/python/framework/device_spec.py):
// "/job:worker/replica:0/task:1/device:CPU:0", with any part left out.

#include <charconv>

#include "base/errors.h"
#include "graph/graph_state.h"

namespace hub {
namespace {

struct DeviceName {
  std::optional<std::string> job;
  std::optional<int> replica;
  std::optional<int> task;
  std::optional<std::string> type;
  std::optional<int> index;  // without: any ("*")
};

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "CPU:0", "cpu:*", "CPU".
bool set_type(DeviceName& device, std::string_view text) {
  if (device.type) return false;
  const auto colon = text.find(':');
  std::string type(text.substr(0, colon));
  if (type.empty()) return false;
  const std::string lower = lower_case(type);
  if (lower == "cpu") type = "CPU";
  if (lower == "gpu") type = "GPU";
  device.type = std::move(type);
  if (colon == std::string_view::npos || text.substr(colon + 1) == "*") return true;
  device.index = number(text.substr(colon + 1));
  return device.index.has_value();
}

bool set_part(DeviceName& device, std::string_view part) {
  const auto colon = part.find(':');
  const std::string_view key = part.substr(0, colon);
  const std::string_view rest = colon == std::string_view::npos ? "" : part.substr(colon + 1);
  if (key == "job") {
    device.job = rest;
    return !rest.empty();
  }
  if (key == "replica") return (device.replica = number(rest)).has_value();
  if (key == "task") return (device.task = number(rest)).has_value();
  if (key == "device") return set_type(device, rest);
  return set_type(device, part);
}

DeviceName parse_device(std::string_view text) {
  DeviceName device;
  if (text.empty()) return device;
  const std::vector<std::string> parts = split(text, '/');
  bool fine = parts.size() > 1 && parts[0].empty();
  for (std::size_t i = 1; i < parts.size() && fine; ++i) fine = set_part(device, parts[i]);
  if (!fine) {
    throw value_error(
        "A device is named as \"/job:NAME/replica:N/task:N/device:TYPE:N\", or a part "
        "of it. Details: got \"",
        printable(text), "\".");
  }
  return device;
}

}  // namespace

std::string merged_device(std::string_view inner, std::string_view outer) {
  DeviceName device = parse_device(inner);
  const DeviceName around = parse_device(outer);
  if (!device.job) device.job = around.job;
  if (!device.replica) device.replica = around.replica;
  if (!device.task) device.task = around.task;
  if (!device.type) device.type = around.type;
  if (!device.index) device.index = around.index;
  std::string text;
  if (device.job) text += cat("/job:", *device.job);
  if (device.replica) text += cat("/replica:", *device.replica);
  if (device.task) text += cat("/task:", *device.task);
  if (device.type) {
    text += cat("/device:", *device.type, ":");
    text += device.index ? cat(*device.index) : std::string("*");
  }
  return text;
}

}  // namespace hub
