// hub::resolve and the registry.

#include "hub/resolver.h"

#include <algorithm>

#include "base/errors.h"
#include "resolve/local.h"
#include "resolve/remote.h"
#include "resolve/settings.h"

namespace hub {
namespace {

class FunctionResolver final : public Resolver {
 public:
  FunctionResolver(std::string name,
                   std::function<bool(std::string_view, const ResolveOptions&)> supports,
                   std::function<std::string(std::string_view, const ResolveOptions&)> resolve)
      : name_(std::move(name)), supports_(std::move(supports)), resolve_(std::move(resolve)) {}

  std::string name() const override { return name_; }
  bool supports(std::string_view handle, const ResolveOptions& options) const override {
    return supports_(handle, options);
  }
  std::string resolve(std::string_view handle, const ResolveOptions& options) const override {
    return resolve_(handle, options);
  }

 private:
  std::string name_;
  std::function<bool(std::string_view, const ResolveOptions&)> supports_;
  std::function<std::string(std::string_view, const ResolveOptions&)> resolve_;
};

}  // namespace

Resolver::~Resolver() = default;

std::shared_ptr<const Resolver> make_resolver(
    std::string name, std::function<bool(std::string_view, const ResolveOptions&)> supports,
    std::function<std::string(std::string_view, const ResolveOptions&)> resolve) {
  return std::make_shared<FunctionResolver>(std::move(name), std::move(supports),
                                            std::move(resolve));
}

ResolverRegistry::ResolverRegistry(std::string name) : name_(std::move(name)) {}

ResolverRegistry ResolverRegistry::standard() {
  ResolverRegistry registry;
  registry.add(path_resolver());
  registry.add(local_archive_resolver());
  registry.add(http_uncompressed_resolver());
  registry.add(storage_folder_resolver());
  registry.add(storage_archive_resolver());
  registry.add(http_compressed_resolver());
  return registry;
}

void ResolverRegistry::add(std::shared_ptr<const Resolver> resolver) {
  resolvers_.push_back(std::move(resolver));
}

void ResolverRegistry::clear() { resolvers_.clear(); }

std::string ResolverRegistry::resolve(std::string_view handle,
                                      const ResolveOptions& options) const {
  const auto found =
      std::find_if(resolvers_.rbegin(), resolvers_.rend(),
                   [&](const auto& resolver) { return resolver->supports(handle, options); });
  if (found != resolvers_.rend()) return (*found)->resolve(handle, options);
  std::vector<std::string> tried;
  for (auto resolver = resolvers_.rbegin(); resolver != resolvers_.rend(); ++resolver) {
    tried.push_back(cat("'", (*resolver)->name(), "'"));
  }
  throw runtime_error("Missing implementation that supports: ", name_, "(*('", printable(handle),
                      "',), **{}). Tried [", join(tried), "].");
}

std::string resolve(std::string_view handle, const ResolveOptions& options) {
  const ResolveOptions complete = complete_options(options);
  if (complete.registry != nullptr) return complete.registry->resolve(handle, complete);
  return ResolverRegistry::standard().resolve(handle, complete);
}

}  // namespace hub
