#include "resolve/local.h"

#include "base/errors.h"
#include "base/file.h"

namespace hub {
namespace {

constexpr std::string_view kFileScheme = "file://";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_escape = text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
                           hex_digit(text[i + 2]) >= 0;
    if (is_escape) {
      decoded += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

class PathResolver final : public Resolver {
 public:
  std::string name() const override { return "PathResolver"; }
  bool supports(std::string_view, const ResolveOptions&) const override { return true; }
  std::string resolve(std::string_view handle, const ResolveOptions&) const override {
    std::string path = local_path(handle);
    if (path.empty() || !path_exists(path)) {
      const bool is_url = handle.find("://") != handle.npos && !handle.starts_with(kFileScheme);
      throw io_error(ErrorCode::kNotFound, printable(handle, 4096), " does not exist.",
                     is_url ? " No resolver takes URLs of this kind." : "");
    }
    return path;
  }
};

}  // namespace

std::string local_path(std::string_view handle) {
  if (!handle.starts_with(kFileScheme)) return std::string(handle);
  std::string_view rest = handle.substr(kFileScheme.size());
  constexpr std::string_view kLocalHost = "localhost/";
  if (rest.starts_with(kLocalHost)) rest.remove_prefix(kLocalHost.size() - 1);
  std::string path(rest);
  if (path_exists(path)) return path;
  return percent_decoded(path);
}

std::shared_ptr<const Resolver> path_resolver() { return std::make_shared<PathResolver>(); }

}  // namespace hub
