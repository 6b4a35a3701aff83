// The registry, and handles that name something on this machine.

#include "hub/resolver.h"

#include <gmock/gmock.h>

#include "resolve/local.h"
#include "resolve/testing.h"

namespace hub::testing {
namespace {

using ::testing::HasSubstr;

// Takes handles of one letter, gives them back with its own name.
std::shared_ptr<const Resolver> letter(std::string name, std::string_view handle) {
  return make_resolver(
      name,
      [wanted = std::string(handle)](std::string_view given, const ResolveOptions&) {
        return given == wanted;
      },
      [name](std::string_view given, const ResolveOptions&) {
        return name + ":" + std::string(given);
      });
}

TEST(ResolverRegistry, Y01_AnUnsupportedLaterEntryIsSkipped) {
  ResolverRegistry registry;
  registry.add(letter("first", "a"));
  registry.add(letter("second", "b"));
  EXPECT_EQ(registry.resolve("a", {}), "first:a");
}

TEST(ResolverRegistry, Y02_TheOneThatSupportsTheHandleIsAsked) {
  ResolverRegistry registry;
  registry.add(letter("first", "a"));
  registry.add(letter("second", "b"));
  registry.add(letter("third", "c"));
  EXPECT_EQ(registry.resolve("b", {}), "second:b");
}

TEST(ResolverRegistry, Y03_LaterRegistrationWins) {
  ResolverRegistry registry;
  registry.add(letter("first", "a"));
  registry.add(letter("second", "a"));
  EXPECT_EQ(registry.resolve("a", {}), "second:a");
}

TEST(ResolverRegistry, Y04_WithoutAnyTheErrorSaysWhatWasTried) {
  ResolverRegistry registry("resolver");
  registry.add(letter("First", "a"));
  registry.add(letter("Second", "b"));
  const auto error = error_of([&] { registry.resolve("c", {}); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind(), ErrorKind::kRuntime);
  EXPECT_EQ(error->message(),
            "Missing implementation that supports: resolver(*('c',), **{}). "
            "Tried ['Second', 'First'].");
  registry.clear();
  EXPECT_THAT(error_of([&] { registry.resolve("a", {}); })->message(), HasSubstr("Tried []."));
}

TEST(Resolver, UserDefinedOnesAreAskedFirst) {
  auto registry = std::make_shared<ResolverRegistry>(ResolverRegistry::standard());
  registry->add(make_resolver(
      "Own", [](std::string_view handle, const auto&) { return handle.starts_with("own:"); },
      [](std::string_view, const auto&) { return std::string("/there"); }));
  const ResolveOptions options = {.registry = registry};
  EXPECT_EQ(resolve("own:x", options), "/there");
  EXPECT_EQ(resolve("/", options), "/");
}

TEST(Resolver, R02_AnExistingFolderIsReturnedUnchanged) {
  const TempDirectory temp;
  EXPECT_EQ(resolve(temp.path()), temp.path());
  EXPECT_EQ(resolve("./"), "./");
}

TEST(Resolver, R03_WhatDoesNotExistIsAnIoError) {
  const auto error = error_of([] { resolve("/foo/"); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind(), ErrorKind::kIo);
  EXPECT_EQ(error->code(), ErrorCode::kNotFound);
  EXPECT_EQ(error->message(), "/foo/ does not exist.");
  EXPECT_EQ(error_of([] { resolve(""); })->message(), " does not exist.");
}

TEST(Resolver, R01_ThePathResolverTakesEveryHandle) {
  for (const char* handle : {"/tmp", "nonsense:3", "ftp://host/m", "gs://a/b", ""}) {
    EXPECT_TRUE(path_resolver()->supports(handle, {})) << handle;
  }
  EXPECT_EQ(error_of([] { resolve("nonsense:3"); })->message(), "nonsense:3 does not exist.");
  EXPECT_THAT(error_of([] { resolve("ftp://host/m"); })->message(),
              HasSubstr("ftp://host/m does not exist. No resolver takes URLs of this kind."));
}

TEST(Resolver, FileUrlsArePaths) {
  const TempDirectory temp;
  const std::string path = temp.path() + "/a b%41";
  file_system().create_directories(path);
  EXPECT_EQ(resolve("file://" + path), path);
  EXPECT_EQ(resolve("file://localhost" + path), path);
  EXPECT_EQ(resolve("file://" + temp.path() + "/a%20b%2541"), path);
  const auto error = error_of([] { resolve("file:///no/such"); });
  EXPECT_EQ(error->message(), "file:///no/such does not exist.");
}

}  // namespace
}  // namespace hub::testing
