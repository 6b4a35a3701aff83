#include "resolve/byte_source.h"

#include <zlib.h>

#include <algorithm>

#include "base/errors.h"

namespace hub {
namespace {

constexpr std::size_t kPiece = std::size_t{256} << 10;
constexpr std::string_view kGzipMagic = "\x1f\x8b";

class GunzipSource final : public ByteSource {
 public:
  explicit GunzipSource(ByteSource& source) : source_(source), out_(kPiece, '\0') {
    // Enough to recognise a gzip stream.
    std::string_view more = source_.read();
    while (!more.empty() && held_.size() + more.size() < kGzipMagic.size()) {
      held_ += more;
      more = source_.read();
    }
    held_ += more;
    pending_ = held_;
    is_gzip_ = pending_.starts_with(kGzipMagic);
    if (is_gzip_) start();
  }
  ~GunzipSource() override {
    if (is_gzip_) ::inflateEnd(&stream_);
  }
  GunzipSource(const GunzipSource&) = delete;
  GunzipSource& operator=(const GunzipSource&) = delete;

  bool knows_its_end() const override { return is_gzip_ || source_.knows_its_end(); }

  std::string_view read() override {
    if (is_gzip_) return inflate_some();
    const std::string_view bytes = pending_.empty() ? source_.read() : pending_;
    pending_ = {};
    return bytes;
  }

 private:
  void start() {
    constexpr int kGzipWindow = 15 + 16;  // the largest window, with the gzip header
    if (::inflateInit2(&stream_, kGzipWindow) != Z_OK) {
      throw resource_exhausted("No memory to decompress with.");
    }
  }

  bool refill() {
    if (pending_.empty()) pending_ = source_.read();
    return !pending_.empty();
  }

  std::string_view inflate_some() {
    while (!ended_) {
      if (!refill()) throw data_loss("A gzip stream is cut.");
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(pending_.data()));
      stream_.avail_in = static_cast<uInt>(std::min(pending_.size(), kPiece));
      stream_.next_out = reinterpret_cast<Bytef*>(out_.data());
      stream_.avail_out = static_cast<uInt>(out_.size());
      const uInt given = stream_.avail_in;
      const int result = ::inflate(&stream_, Z_NO_FLUSH);
      pending_.remove_prefix(given - stream_.avail_in);
      if (result == Z_STREAM_END) {
        next_member();
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        throw data_loss("A gzip stream is damaged. Details: ",
                        stream_.msg == nullptr ? "no header" : stream_.msg, ".");
      }
      const std::size_t count = out_.size() - stream_.avail_out;
      if (count > 0) return std::string_view(out_).substr(0, count);
    }
    return {};
  }

  // Streams may follow each other; what is no stream after one is padding.
  void next_member() {
    ended_ = !refill() || pending_.front() != kGzipMagic.front();
    if (!ended_) {
      ::inflateReset(&stream_);
      return;
    }
    while (refill()) pending_ = {};
  }

  ByteSource& source_;
  std::string held_;
  std::string_view pending_;
  std::string out_;
  z_stream stream_ = {};
  bool is_gzip_ = false;
  bool ended_ = false;
};

}  // namespace

FileSource::FileSource(const std::string& path) : file_(path) {}

std::string_view FileSource::read() {
  const std::uint64_t count = std::min<std::uint64_t>(kPiece, file_.size() - position_);
  piece_.resize(static_cast<std::size_t>(count));
  file_.read_at(position_, piece_.data(), piece_.size());
  position_ += count;
  return piece_;
}

std::unique_ptr<ByteSource> gunzipped(ByteSource& source) {
  return std::make_unique<GunzipSource>(source);
}

}  // namespace hub
