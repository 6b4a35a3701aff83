// Loading: graph files, and checkpoints opened, mapped and checked.

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/file.h"
#include "format/graph_def.h"
#include "format/tensor_bundle.h"
#include "graph/import.h"
#include "ops/builtin.h"

namespace hub {
namespace {

// A GraphDef of about this size: a chain of additions, each with a constant.
std::string graph_bytes(std::int64_t nodes, std::int64_t floats_in_each) {
  GraphDef graph;
  NodeDef first;
  first.name = "x";
  first.op = "Placeholder";
  first.attrs["dtype"] = kFloat;
  graph.nodes.push_back(first);
  for (std::int64_t i = 0; i < nodes; ++i) {
    Tensor value(kFloat, Shape{floats_in_each});
    // All different: equal values would be written once.
    for (std::int64_t k = 0; k < floats_in_each; ++k) {
      value.mutable_data<float>()[k] = static_cast<float>(i + k);
    }
    NodeDef constant;
    constant.name = "block/layer_" + std::to_string(i) + "/constant";
    constant.op = "Const";
    constant.attrs["dtype"] = kFloat;
    constant.attrs["value"] = value;
    NodeDef sum;
    sum.name = "block/layer_" + std::to_string(i) + "/add";
    sum.op = "AddV2";
    sum.inputs = {graph.nodes.back().name, constant.name};
    sum.attrs["T"] = kFloat;
    graph.nodes.push_back(std::move(constant));
    graph.nodes.push_back(std::move(sum));
  }
  return serialize_graph_def(graph);
}

// Parsing the bytes and making an editable graph of them.
void load_graph(benchmark::State& state) {
  const std::string bytes = graph_bytes(state.range(0), state.range(1));
  for (auto _ : state) {
    GraphData graph(builtin_ops());
    import_graph_def(parse_graph_def(bytes, "benchmark"), graph);
    benchmark::DoNotOptimize(graph.num_nodes());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
  state.counters["MB"] = static_cast<double>(bytes.size()) / 1e6;
}
// 2 MB in 6,000 nodes; 100 MB in 3,000 nodes.
BENCHMARK(load_graph)->Args({3000, 64})->Args({1500, 16'000})->Unit(benchmark::kMillisecond);

class Bundle {
 public:
  Bundle(std::int64_t tensors, std::int64_t floats_in_each)
      : folder_(std::filesystem::temp_directory_path() /
                ("load_bench_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
    BundleWriter writer(prefix());
    const Tensor value(kFloat, Shape{floats_in_each});
    for (std::int64_t i = 0; i < tensors; ++i)
      writer.add("layer_" + std::to_string(100'000 + i), value);
    writer.finish();
  }
  ~Bundle() { std::filesystem::remove_all(folder_); }
  Bundle(const Bundle&) = delete;
  Bundle& operator=(const Bundle&) = delete;

  std::string prefix() const { return (folder_ / "variables").string(); }

  // Asks the system to forget the files, so that the next read is cold.
  void drop_from_cache() const {
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      const int file = open(entry.path().c_str(), O_RDONLY);
      fdatasync(file);
      posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
      close(file);
    }
  }

 private:
  std::filesystem::path folder_;
};

void open_bundle_index(benchmark::State& state) {
  const Bundle bundle(state.range(0), 1);
  for (auto _ : state) benchmark::DoNotOptimize(BundleReader(bundle.prefix()).keys().size());
}
BENCHMARK(open_bundle_index)->Arg(1000)->Unit(benchmark::kMicrosecond);

// Opening, and mapping every tensor with its checksum compared.
void read_bundle(benchmark::State& state, bool cold) {
  constexpr std::int64_t kTensors = 64;
  const Bundle bundle(kTensors, state.range(0) * 1'000'000 / 4 / kTensors);
  for (auto _ : state) {
    if (cold) {
      state.PauseTiming();
      bundle.drop_from_cache();
      state.ResumeTiming();
    }
    const BundleReader reader(bundle.prefix());
    for (const std::string_view key : reader.keys())
      benchmark::DoNotOptimize(reader.read(key).raw_data());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0) * 1'000'000);
}
BENCHMARK_CAPTURE(read_bundle, warm, false)->Arg(100)->Arg(1000)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(read_bundle, cold, true)
    ->Arg(100)
    ->Arg(1000)
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace hub
