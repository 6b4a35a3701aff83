#pragma once

// How the library raises: `throw invalid_argument("the rule. ", "Details: ", value)`.

#include "base/strings.h"
#include "hub/error.h"

namespace hub {

template <class... Pieces>
Error cancelled(const Pieces&... pieces) {
  return Error(ErrorCode::kCancelled, cat(pieces...));
}
template <class... Pieces>
Error invalid_argument(const Pieces&... pieces) {
  return Error(ErrorCode::kInvalidArgument, cat(pieces...));
}
template <class... Pieces>
Error deadline_exceeded(const Pieces&... pieces) {
  return Error(ErrorCode::kDeadlineExceeded, cat(pieces...));
}
template <class... Pieces>
Error not_found(const Pieces&... pieces) {
  return Error(ErrorCode::kNotFound, cat(pieces...));
}
template <class... Pieces>
Error already_exists(const Pieces&... pieces) {
  return Error(ErrorCode::kAlreadyExists, cat(pieces...));
}
template <class... Pieces>
Error permission_denied(const Pieces&... pieces) {
  return Error(ErrorCode::kPermissionDenied, cat(pieces...));
}
template <class... Pieces>
Error resource_exhausted(const Pieces&... pieces) {
  return Error(ErrorCode::kResourceExhausted, cat(pieces...));
}
template <class... Pieces>
Error failed_precondition(const Pieces&... pieces) {
  return Error(ErrorCode::kFailedPrecondition, cat(pieces...));
}
template <class... Pieces>
Error aborted(const Pieces&... pieces) {
  return Error(ErrorCode::kAborted, cat(pieces...));
}
template <class... Pieces>
Error out_of_range(const Pieces&... pieces) {
  return Error(ErrorCode::kOutOfRange, cat(pieces...));
}
template <class... Pieces>
Error unimplemented(const Pieces&... pieces) {
  return Error(ErrorCode::kUnimplemented, cat(pieces...));
}
template <class... Pieces>
Error internal_error(const Pieces&... pieces) {
  return Error(ErrorCode::kInternal, cat(pieces...));
}
template <class... Pieces>
Error data_loss(const Pieces&... pieces) {
  return Error(ErrorCode::kDataLoss, cat(pieces...));
}

// The kinds that tensorflow_hub raises as plain Python classes.
template <class... Pieces>
Error value_error(const Pieces&... pieces) {
  return Error(ErrorCode::kInvalidArgument, cat(pieces...), ErrorKind::kValue);
}
template <class... Pieces>
Error type_error(const Pieces&... pieces) {
  return Error(ErrorCode::kInvalidArgument, cat(pieces...), ErrorKind::kType);
}
template <class... Pieces>
Error key_error(const Pieces&... pieces) {
  return Error(ErrorCode::kNotFound, cat(pieces...), ErrorKind::kKey);
}
template <class... Pieces>
Error runtime_error(const Pieces&... pieces) {
  return Error(ErrorCode::kFailedPrecondition, cat(pieces...), ErrorKind::kRuntime);
}
template <class... Pieces>
Error io_error(ErrorCode code, const Pieces&... pieces) {
  return Error(code, cat(pieces...), ErrorKind::kIo);
}
template <class... Pieces>
Error decode_error(const Pieces&... pieces) {
  return Error(ErrorCode::kDataLoss, cat(pieces...), ErrorKind::kDecode);
}

// An error that carries errno's code and text.
Error errno_error(int error_number, std::string_view doing, std::string_view path);

// Runs `body`; an Error that leaves it gets the context line that `line()` makes.
template <class Body, class Line>
decltype(auto) with_context(Body&& body, Line&& line) {
  try {
    return body();
  } catch (Error& error) {
    error.add_context(line());
    throw;
  }
}

namespace internal {
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);
}

}  // namespace hub

// Our own invariants: never reachable from input. Throws INTERNAL, in every build.
#define HUB_ASSERT(condition) \
  ((condition) ? void(0) : ::hub::internal::assertion_failed(#condition, __FILE__, __LINE__))
