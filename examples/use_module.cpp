// A module in a graph: instantiate it, initialise it, apply it as often as wanted.
//
//   use_module [MODULE]
//
// MODULE is a text embedding module. Without arguments, run it in the folder examples/.

#include <hub/hub.h>

#include <cstdio>
#include <string>

int main(int argc, char** argv) try {
  const std::string path = argc > 1 ? argv[1] : "data/text-embedding-en-64/module";

  hub::Graph graph;
  // Adds the module's variables to the graph, once.
  const hub::Module embed(graph, path);
  for (const auto& [name, variable] : embed.variable_map()) {
    std::printf("variable %s is %s in the graph\n", name.c_str(), variable.name().c_str());
  }

  // Adds its computation, each time. Both have the same weights.
  const hub::Output questions = hub::ops::placeholder(graph, hub::kString, {-1}, "questions");
  const hub::Output answers = hub::ops::placeholder(graph, hub::kString, {-1}, "answers");
  const hub::Output question_vectors = embed(questions);
  const hub::Output answer_vectors = embed(answers);
  const hub::Output products =
      hub::ops::matmul(question_vectors, answer_vectors, false, true, "products");
  std::printf("applied twice: %s and %s; variables: %d\n", question_vectors.name().c_str(),
              answer_vectors.name().c_str(), static_cast<int>(embed.variables().size()));

  // The initialisers give variables the values that are stored with the module, and fill tables.
  hub::Session session(graph);
  session.initialize();
  const hub::Tensor result = session.run(
      products, {{questions, hub::strings({"Where does the cat sleep?"})},
                 {answers, hub::strings({"On the sofa, a kitten.", "Interest rates went up."})}});
  const float* scores = result.data<float>();
  std::printf("the first answer is the %s one\n", scores[0] > scores[1] ? "better" : "worse");
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "use_module: %s\n", error.what());
  return 1;
}
