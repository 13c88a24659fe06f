// A file that may be compressed with gzip, read and written as if it were not.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <zlib.h>

#include <vitals/core/error.hpp>
#include <vitals/io/atomic_file.hpp>

namespace vitals::inline v0::io::detail {

/// Reads from the front to the end. `reader` names the calling function in messages.
class GzipReader {
 public:
  GzipReader(const std::filesystem::path& file, std::string reader)
      : where_(file.string()), reader_("[" + std::move(reader) + "] ") {
    std::error_code error;
    const auto status = std::filesystem::status(file, error);
    if (!std::filesystem::exists(status)) throw IoError(reader_ + "does not exist", where_, "check the name");
    if (!std::filesystem::is_regular_file(status)) throw IoError(reader_ + "is not a regular file", where_);
    size_ = std::filesystem::file_size(file, error);
    file_ = ::gzopen(file.c_str(), "rb");
    if (error || !file_) throw IoError(reader_ + "cannot be opened", where_, "check its permissions");
    ::gzbuffer(file_, 1 << 18);
    compressed_ = ::gzdirect(file_) == 0;
  }
  ~GzipReader() { ::gzclose(file_); }
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  bool compressed() const { return compressed_; }
  /// The most bytes that the content can have: deflate makes its input at most 1032 times smaller (RFC 1951: 258 bytes for two
  /// bits).
  std::size_t most() const {
    if (!compressed_) return size_;
    return size_ > std::numeric_limits<std::size_t>::max() / 1032 ? std::numeric_limits<std::size_t>::max()
                                                                  : size_ * 1032;
  }
  /// Fills `bytes` as far as the content goes and gives how many there were. Throws FormatError for a damaged stream.
  std::size_t read(std::span<std::byte> bytes) {
    std::size_t got = 0;
    while (got < bytes.size()) {
      const auto piece = static_cast<unsigned>(std::min<std::size_t>(bytes.size() - got, 1 << 30));
      const int n = ::gzread(file_, bytes.data() + got, piece);
      if (n <= 0) {
        check();
        break;
      }
      got += static_cast<std::size_t>(n);
    }
    return got;
  }
  /// All of `bytes`. Throws FormatError where the content ends before.
  void read_all(std::span<std::byte> bytes) {
    if (read(bytes) != bytes.size())
      throw FormatError(reader_ + "ends before its data", where_, "the file is truncated");
  }
  void skip(std::size_t count) {
    std::vector<std::byte> piece(std::min<std::size_t>(count, 1 << 16));
    while (count > 0) {
      const std::size_t n = std::min(count, piece.size());
      read_all(std::span(piece).first(n));
      count -= n;
    }
  }
  /// Where the content has been read to its end, the checksum of the stream is looked at. Throws FormatError.
  void check_end() {
    std::byte more{};
    read({&more, 1});
    check();
  }

 private:
  void check() const {
    int number = Z_OK;
    ::gzerror(file_, &number);
    if (number == Z_OK) return;
    if (number == Z_ERRNO) throw IoError(reader_ + "cannot be read", where_);
    if (number == Z_BUF_ERROR)
      throw FormatError(reader_ + "the gzip stream ends early", where_, "the file is truncated");
    throw FormatError(reader_ + "the gzip stream is damaged", where_, "fetch the file again");
  }

  std::string where_, reader_;
  std::size_t size_ = 0;
  gzFile file_ = nullptr;
  bool compressed_ = false;
};

/// Writes pieces to an AtomicFile, compressed or as they are. The same bytes give the same file: no name, no time.
class GzipWriter {
 public:
  GzipWriter(const std::filesystem::path& file, bool compress) : out_(file), compress_(compress) {
    if (compress_ && ::deflateInit2(&stream_, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
      throw IoError("cannot compress: not enough memory", file.string());
  }
  ~GzipWriter() {
    if (compress_) ::deflateEnd(&stream_);
  }
  GzipWriter(const GzipWriter&) = delete;
  GzipWriter& operator=(const GzipWriter&) = delete;

  void write(std::span<const std::byte> bytes) {
    if (!compress_) return out_.write(bytes);
    while (!bytes.empty()) {
      const auto piece = bytes.first(std::min<std::size_t>(bytes.size(), 1 << 30));
      deflate_piece(piece, Z_NO_FLUSH);
      bytes = bytes.subspan(piece.size());
    }
  }
  void commit() {
    if (compress_) deflate_piece({}, Z_FINISH);
    out_.commit();
  }

 private:
  void deflate_piece(std::span<const std::byte> piece, int flush) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(piece.data()));
    stream_.avail_in = static_cast<uInt>(piece.size());
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
      stream_.avail_out = static_cast<uInt>(buffer_.size());
      ::deflate(&stream_, flush);
      out_.write(std::span(buffer_).first(buffer_.size() - stream_.avail_out));
    } while (stream_.avail_out == 0);
  }

  AtomicFile out_;
  bool compress_;
  z_stream stream_{};
  std::vector<std::byte> buffer_ = std::vector<std::byte>(1 << 16);
};

}  // namespace vitals::inline v0::io::detail
