#pragma once

// For tests: downloads into a cache of the test's own.

#include <gmock/gmock.h>

#include <map>
#include <string>

#include "hub/resolver.h"
#include "resolve/testing.h"
#include "resolve/testing_server.h"

namespace hub::testing {

// The archive of the tests, and what is in it.
inline std::string module_tar() {
  return Tar()
      .directory("./")
      .add("./file1", "one")
      .add("./file2", "two")
      .directory("./sub")
      .add("./sub/file3", std::string(200000, 'x'))
      .finished();
}
MATCHER(IsModuleTree, "is what module_tar packs") {
  return arg == std::map<std::string, std::string>{
                    {"file1", "one"}, {"file2", "two"}, {"sub/file3", std::string(200000, 'x')}};
}

class Download : public ::testing::Test {
 protected:
  Download() {
    options_.cache_dir = cache_;
    options_.config_file = "/dev/null";
    options_.network.retries = 2;
    options_.network.retry_wait_seconds = 0.01;
    options_.network.stall_timeout_seconds = 0.5;
  }

  Error refused(const std::string& handle) {
    const auto error = error_of([&] { resolve(handle, options_); });
    EXPECT_TRUE(error) << handle;
    // Whatever happened, nothing is left.
    if (path_exists(cache_)) {
      EXPECT_THAT(list_directory(cache_), ::testing::IsEmpty());
    }
    return error ? *error : internal_error("no error");
  }

  TempDirectory temp_;
  std::string cache_ = temp_.path() + "/cache";
  ResolveOptions options_;
  Environment no_cache_dir_{"TFHUB_CACHE_DIR", nullptr};
  Environment no_format_{"TFHUB_MODEL_LOAD_FORMAT", nullptr};
  Environment no_offline_{"TF1HUB_OFFLINE", nullptr};
  Environment no_proxy_{"no_proxy", "127.0.0.1,localhost"};
};

}  // namespace hub::testing
