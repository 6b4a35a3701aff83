#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "hub/export.h"

namespace hub {

// TensorFlow's canonical status codes, with its numbers.
enum class ErrorCode : std::uint8_t {
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// "INVALID_ARGUMENT" and so on.
HUB_EXPORT std::string_view error_code_name(ErrorCode code);

// What kind of mistake it was: the exception class that tensorflow_hub raises in Python.
enum class ErrorKind : std::uint8_t {
  kStatus,          // tf.errors.*: the code says which
  kValue,           // ValueError
  kType,            // TypeError
  kKey,             // KeyError
  kRuntime,         // RuntimeError
  kIo,              // OSError
  kNotImplemented,  // NotImplementedError
  kDecode,          // the bytes of a message cannot be parsed
};

// The one exception of the library. `message()` says the rule and the details, the
// context lines say where, from the innermost place outwards; `what()` is all of it.
// A value type: copying shares nothing, any thread may read it.
class HUB_EXPORT Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message, ErrorKind kind = ErrorKind::kStatus);

  ErrorCode code() const { return code_; }
  ErrorKind kind() const { return kind_; }
  const std::string& message() const { return message_; }
  const std::vector<std::string>& context() const { return context_; }

  // Adds a line that says where it happened, such as: in node "conv1".
  Error& add_context(std::string line);

  const char* what() const noexcept override { return what_.c_str(); }

 private:
  ErrorCode code_;
  ErrorKind kind_;
  std::string message_;
  std::vector<std::string> context_;
  std::string what_;
};

}  // namespace hub
