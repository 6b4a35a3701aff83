// A module of one's own: a function that writes its graph, a spec, an instance, and a folder that
// anybody can load, TensorFlow too.
//
//   create_module [OUT_DIR]
//
// OUT_DIR must not be a module already; without it, a folder for temporary files is used.

#include <hub/hub.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <random>
#include <string>

namespace {

hub::Output dense(const hub::Output& x, std::int64_t units, const std::string& name) {
  const hub::Graph graph = x.graph();
  const hub::VariableScope scope(graph, name);
  const hub::Variable kernel = hub::get_variable(graph, "kernel", {x.shape().dim(1), units});
  const hub::Variable bias =
      hub::get_variable(graph, "bias", {units}, {.initializer = hub::init::zeros()});
  return hub::ops::bias_add(hub::ops::matmul(x, kernel), bias);
}

void two_layers(hub::ModuleBuilder& builder) {
  const hub::Output x = builder.placeholder(hub::kFloat, {-1, 50});
  const hub::Output layer1 = hub::ops::relu(dense(x, 200, "layer1"));
  const hub::Output layer2 = dense(layer1, 100, "layer2");
  builder.add_signature({.inputs = {{"default", x}},
                         .outputs = {{"default", layer2}, {"hidden_activations", layer1}}});
}

std::string free_folder() {
  const std::string name = "tf1hub_example_" + std::to_string(std::random_device()());
  return (std::filesystem::temp_directory_path() / name).string();
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string folder = argc > 1 ? argv[1] : free_folder();

  // A spec can be used at once: its variables get their initial values.
  const hub::ModuleSpec spec = hub::create_module_spec(two_layers);
  hub::Graph graph;
  const hub::Module m(graph, spec);
  const hub::Output x = hub::ops::placeholder(graph, hub::kFloat, {-1, 50}, "x");
  const hub::Output y = m(x);
  hub::Session session(graph);
  session.initialize();
  hub::Tensor batch(hub::kFloat, {2, 50});
  std::ranges::fill(batch.mutable_values<float>(), 0.5f);
  const hub::Tensor before = session.run(y, {{x, batch}});

  // All graphs of the spec, with the values that the variables have in the session.
  m.export_to(folder, session);
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::printf("wrote %s\n", entry.path().filename().c_str());
  }

  const hub::Function loaded = hub::load(folder);
  const hub::Tensor after = loaded(batch);
  const bool equal = std::ranges::equal(before.values<float>(), after.values<float>());
  std::printf("loaded again, [%d,%d]: %s\n", static_cast<int>(after.dim(0)),
              static_cast<int>(after.dim(1)), equal ? "the same numbers" : "other numbers");
  if (argc < 2) std::filesystem::remove_all(folder);
  return equal ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "create_module: %s\n", error.what());
  return 1;
}
