// Writes a graph and runs it: the largest eigenvalue of a matrix, by a loop that multiplies a
// vector until it no longer turns. Shows variables, scopes, loops, sessions (docs/graph.md).

#include <hub/hub.h>

#include <cmath>
#include <cstdio>
#include <vector>

int main() try {
  hub::Graph graph;
  const hub::Output matrix = hub::ops::placeholder(graph, hub::kFloat, {2, 2}, "matrix");

  // Where the search begins: a variable, so that the next run could go on from there.
  const hub::VariableScope scope(graph, "search", {.use_resource = true});
  const hub::Variable start =
      hub::get_variable(graph, "start", {2, 1}, {.initializer = hub::init::random_normal(0, 1, 7)});

  // v = normalised(matrix * v), until it turns by less than 1e-6, 100 times at most.
  const auto turns = [](const std::vector<hub::Output>& v) {
    return hub::ops::greater(v[1], 1e-6);
  };
  const auto multiply = [&](const std::vector<hub::Output>& v) {
    const hub::Output product = hub::ops::matmul(matrix, v[0]);
    const hub::Output length = hub::ops::sqrt(hub::ops::reduce_sum(hub::ops::square(product)));
    const hub::Output next = product / length;
    return std::vector<hub::Output>{next, hub::ops::reduce_max(hub::ops::abs(next - v[0]))};
  };
  const auto found = hub::while_loop(graph, turns, multiply, {hub::Output(start), 1.0f},
                                     {.maximum_iterations = 100});
  const hub::Output eigenvector = hub::ops::identity(found[0], "eigenvector");
  const hub::Output eigenvalue =
      hub::ops::reduce_sum(hub::ops::multiply(eigenvector, hub::ops::matmul(matrix, eigenvector)),
                           {}, hub::KeepDims::kNo, "eigenvalue");
  const hub::Operation remember = start.assign(eigenvector);

  hub::Session session(graph);
  session.initialize();
  const hub::Tensor value =
      session.run(eigenvalue, {{matrix, hub::make_tensor<float>({2, 2}, {2, 1, 1, 1})}});
  std::printf("The largest eigenvalue is %.4f.\n", value.scalar<float>());
  std::printf("The graph has %d nodes, \"%s\" among them.\n", graph.num_operations(),
              remember.name().c_str());
  return std::abs(value.scalar<float>() - (3 + std::sqrt(5.0f)) / 2) < 1e-3f ? 0 : 1;
} catch (const hub::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
