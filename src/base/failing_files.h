#pragma once

// For tests: a file system whose n-th change fails, as a full disk would.

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "base/errors.h"
#include "base/file.h"

namespace hub::testing {

class FailingFiles final : public FileSystem {
 public:
  // Counts from 1.
  explicit FailingFiles(int fail_at) : fail_at_(fail_at) {}
  bool failed() const { return count_ >= fail_at_; }

  std::unique_ptr<OutputFile> create(const std::string& path) const override {
    step();
    return std::make_unique<File>(*this, FileSystem::create(path));
  }
  void create_directories(const std::string& path) const override {
    step();
    FileSystem::create_directories(path);
  }
  void rename(const std::string& from, const std::string& to) const override {
    step();
    FileSystem::rename(from, to);
  }
  void rename_new(const std::string& from, const std::string& to) const override {
    step();
    FileSystem::rename_new(from, to);
  }
  void exchange(const std::string& one, const std::string& other) const override {
    step();
    FileSystem::exchange(one, other);
  }
  void copy_file(const std::string& from, const std::string& to) const override {
    step();
    FileSystem::copy_file(from, to);
  }
  void sync_file(const std::string& path) const override {
    step();
    FileSystem::sync_file(path);
  }
  void sync_directory(const std::string& path) const override {
    step();
    FileSystem::sync_directory(path);
  }
  void remove_all(const std::string& path) const override {
    step();
    FileSystem::remove_all(path);
  }

 private:
  class File final : public OutputFile {
   public:
    File(const FailingFiles& owner, std::unique_ptr<OutputFile> file)
        : owner_(owner), file_(std::move(file)) {}
    void append(std::string_view bytes) override {
      owner_.step();
      file_->append(bytes);
    }
    void sync() override {
      owner_.step();
      file_->sync();
    }
    void close() override {
      owner_.step();
      file_->close();
    }

   private:
    const FailingFiles& owner_;
    std::unique_ptr<OutputFile> file_;
  };

  void step() const {
    if (++count_ == fail_at_) throw resource_exhausted("No space left on the test's device.");
  }

  int fail_at_;
  mutable std::atomic<int> count_ = 0;
};

}  // namespace hub::testing
