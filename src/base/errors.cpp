#include "base/errors.h"

#include <cerrno>
#include <cmath>
#include <cstring>

namespace hub {

std::string_view error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kCancelled: return "CANCELLED";
    case ErrorCode::kUnknown: return "UNKNOWN";
    case ErrorCode::kInvalidArgument: return "INVALID_ARGUMENT";
    case ErrorCode::kDeadlineExceeded: return "DEADLINE_EXCEEDED";
    case ErrorCode::kNotFound: return "NOT_FOUND";
    case ErrorCode::kAlreadyExists: return "ALREADY_EXISTS";
    case ErrorCode::kPermissionDenied: return "PERMISSION_DENIED";
    case ErrorCode::kResourceExhausted: return "RESOURCE_EXHAUSTED";
    case ErrorCode::kFailedPrecondition: return "FAILED_PRECONDITION";
    case ErrorCode::kAborted: return "ABORTED";
    case ErrorCode::kOutOfRange: return "OUT_OF_RANGE";
    case ErrorCode::kUnimplemented: return "UNIMPLEMENTED";
    case ErrorCode::kInternal: return "INTERNAL";
    case ErrorCode::kUnavailable: return "UNAVAILABLE";
    case ErrorCode::kDataLoss: return "DATA_LOSS";
    case ErrorCode::kUnauthenticated: return "UNAUTHENTICATED";
  }
  return "UNKNOWN";
}

Error::Error(ErrorCode code, std::string message, ErrorKind kind)
    : code_(code), kind_(kind), message_(std::move(message)), what_(message_) {}

Error& Error::add_context(std::string line) {
  what_ += "\n  ";
  what_ += line;
  context_.push_back(std::move(line));
  return *this;
}

Error errno_error(int error_number, std::string_view doing, std::string_view path) {
  const auto code = [&] {
    switch (error_number) {
      case ENOENT: return ErrorCode::kNotFound;
      case EACCES:
      case EPERM:
      case EROFS: return ErrorCode::kPermissionDenied;
      case EEXIST:
      case ENOTEMPTY: return ErrorCode::kAlreadyExists;
      case ENOSPC:
      case EDQUOT:
      case ENOMEM:
      case EMFILE: return ErrorCode::kResourceExhausted;
      case ENOTDIR:
      case EISDIR: return ErrorCode::kFailedPrecondition;
      default: return ErrorCode::kUnknown;
    }
  }();
  char buffer[128];
  const char* reason = strerror_r(error_number, buffer, sizeof buffer);
  return Error(code, cat(doing, " ", path, " failed: ", reason));
}

namespace internal {

void assertion_failed(const char* condition, const char* file, int line) {
  throw internal_error("internal invariant broken: ", condition, " at ", file, ":", line,
                       ". Please report this.");
}

}  // namespace internal
}  // namespace hub
