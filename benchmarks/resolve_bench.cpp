// What it costs to find a module: one that is in the cache, and one on a server of this machine.

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>

#include "base/file.h"
#include "hub/resolver.h"
#include "resolve/testing.h"
#include "resolve/testing_server.h"

namespace hub::testing {
namespace {

struct Setup {
  TempDirectory temp;
  ResolveOptions options{.cache_dir = temp.path() + "/cache", .config_file = "/dev/null"};
};

std::string archive(std::size_t bytes) {
  return Tar()
      .add("saved_model.pb", std::string(1000, 'g'))
      .add("variables/variables.index", std::string(1000, 'i'))
      .add("variables/variables.data-00000-of-00001", std::string(bytes, 'v'))
      .finished();
}

void Hit(benchmark::State& state) {
  const Setup setup;
  TestServer server(
      [](const TestServer::Request& request) { return TestServer::file(request, archive(1000)); });
  const std::string handle = server.url("/m/1");
  resolve(handle, setup.options);
  for (auto _ : state) benchmark::DoNotOptimize(resolve(handle, setup.options));
}
BENCHMARK(Hit)->Unit(benchmark::kMicrosecond);

void Download(benchmark::State& state) {
  const Setup setup;
  constexpr std::size_t kBytes = std::size_t{256} << 20;
  TestServer server([content = archive(kBytes)](const TestServer::Request& request) {
    return TestServer::file(request, content);
  });
  int number = 0;
  for (auto _ : state) resolve(server.url(cat("/", ++number)), setup.options);
  state.SetBytesProcessed(static_cast<std::int64_t>(kBytes) * state.iterations());
}
BENCHMARK(Download)->Unit(benchmark::kMillisecond)->Iterations(3)->UseRealTime();

// What the disk takes of the same bytes.
void WriteAndSync(benchmark::State& state) {
  const TempDirectory temp;
  constexpr std::size_t kBytes = std::size_t{256} << 20;
  const std::string bytes(kBytes, 'v');
  int number = 0;
  for (auto _ : state) write_file_atomically(cat(temp.path(), "/", ++number), bytes);
  state.SetBytesProcessed(static_cast<std::int64_t>(kBytes) * state.iterations());
}
BENCHMARK(WriteAndSync)->Unit(benchmark::kMillisecond)->Iterations(3)->UseRealTime();

}  // namespace
}  // namespace hub::testing
