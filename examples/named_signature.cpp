// A named signature with several inputs, and all of its outputs.
//
//   named_signature [MODULE]
//
// Without arguments, run it in the folder examples/.

#include <hub/hub.h>

#include <cstdio>
#include <string>

namespace {

void print(const char* name, const hub::Tensor& tensor) {
  std::printf("%s:", name);
  for (const float value : tensor.values<float>()) std::printf(" %g", value);
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string path = argc > 1 ? argv[1] : "../tests/data/zoo/multi_signature/module";

  const hub::ModuleSpec spec = hub::load_module_spec(path);
  const hub::Signature signature = spec.signature("fruit_to_pet");
  for (const auto& [name, info] : signature.inputs) {
    std::printf("input %s: %s\n", name.c_str(), hub::to_string(info).c_str());
  }

  hub::Graph graph;
  const hub::Module m(graph, spec);
  const hub::Output apples = hub::ops::placeholder(graph, hub::kFloat, {-1, 3}, "apples");
  const hub::Output oranges = hub::ops::placeholder(graph, hub::kInt64, {-1}, "oranges");
  const hub::Outputs pets =
      m.apply({{"apples", apples}, {"oranges", oranges}}, {.signature = "fruit_to_pet"});
  const hub::Output cats = pets["cats"];
  const hub::Output dogs = pets["dogs"];

  hub::Session session(graph);
  session.initialize();
  const hub::Feeds feeds = {{apples, hub::make_tensor<float>({2, 3}, {1, 2, 3, 4, 5, 6})},
                            {oranges, hub::make_vector<std::int64_t>({0, 2})}};
  const std::vector<hub::Tensor> results = session.run({cats, dogs}, feeds);
  print("cats", results[0]);
  print("dogs", results[1]);
  // What is not fetched is not computed: dogs need no apples.
  print("dogs again", session.run(dogs, {feeds[1]}));
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "named_signature: %s\n", error.what());
  return 1;
}
