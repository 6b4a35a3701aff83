#pragma once

// Bytes that arrive one after another: of a file, of a connection.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/file.h"

namespace hub {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // The next bytes, valid until the next call; empty at the end. Errors: of whatever it reads.
  virtual std::string_view read() = 0;
  // True where the end was announced beforehand, so that a cut would have been an error.
  virtual bool knows_its_end() const = 0;
};

class FileSource final : public ByteSource {
 public:
  explicit FileSource(const std::string& path);
  std::string_view read() override;
  bool knows_its_end() const override { return false; }
  std::uint64_t size() const { return file_.size(); }
  std::uint64_t position() const { return position_; }

 private:
  InputFile file_;
  std::uint64_t position_ = 0;
  std::string piece_;
};

// The bytes of `source`, decompressed where they are a gzip stream, else as they are.
// Errors: also DATA_LOSS for a stream that is cut or whose checksum is wrong.
std::unique_ptr<ByteSource> gunzipped(ByteSource& source);

}  // namespace hub
