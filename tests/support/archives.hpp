// Hand-assembled files for the tests of the readers: pickles opcode by opcode, zip archives, PyTorch checkpoints.
// Everything can be made to lie.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <zlib.h>

namespace test {

/// `text` compressed; window_bits as zlib's deflateInit2 takes them: -15 raw deflate, 31 gzip.
inline std::string deflated(const std::string& text, int window_bits, int level) {
  z_stream stream{};
  deflateInit2(&stream, level, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

template <class T>
std::string le(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}
inline std::string le16(std::uint64_t v) { return le(static_cast<std::uint16_t>(v)); }
inline std::string le32(std::uint64_t v) { return le(static_cast<std::uint32_t>(v)); }
inline std::string le64(std::uint64_t v) { return le(v); }

inline std::string floats(const std::vector<float>& values) {
  std::string bytes;
  for (const float v : values) bytes += le(v);
  return bytes;
}

inline void save(const std::filesystem::path& file, std::string_view bytes) {
  std::ofstream(file, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t crc = 0xffffffffu;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (crc & 1u ? 0xedb88320u : 0u);
  }
  return ~crc;
}

/// What torch.save's pickler emits, one call an opcode.
struct PickleText {
  std::string bytes;

  PickleText& raw(std::string_view text) { return bytes += text, *this; }
  PickleText& proto() { return raw("\x80\x02"); }
  PickleText& stop() { return raw("."); }
  PickleText& global(const std::string& module, const std::string& name) {
    return raw("c" + module + "\n" + name + "\n");
  }
  PickleText& text(const std::string& s) { return raw("X" + le32(s.size()) + s); }
  PickleText& integer(std::int64_t v) { return raw("\x8a\x08" + le(v)); }
  PickleText& integers(const std::vector<std::int64_t>& values) {
    raw("(");
    for (const auto v : values) integer(v);
    return raw("t");
  }
  /// A tensor made by torch._utils._rebuild_tensor_v2 over a storage.
  PickleText& tensor(const std::string& key, std::int64_t numel, std::int64_t offset,
                     const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& strides,
                     const std::string& type = "FloatStorage") {
    global("torch._utils", "_rebuild_tensor_v2").raw("(");
    raw("(").text("storage").global("torch", type).text(key).text("cpu").integer(numel).raw("tQ");
    integer(offset).integers(shape).integers(strides);
    return raw("\x89").global("collections", "OrderedDict").raw(")RtR");
  }
};

struct ZipItem {
  std::string name, data;
  std::uint16_t method = 0;
  std::string unpacked{};  ///< where packed: what it unpacks to
  bool zip64 = false;      ///< sizes and offset in the zip64 extra field
};

inline std::string zip(const std::vector<ZipItem>& items, const std::string& comment = {}, bool zip64_end = false) {
  std::string file, directory;
  for (const auto& item : items) {
    const auto& plain = item.method ? item.unpacked : item.data;
    const std::uint64_t offset = file.size();
    const auto common = le16(item.method) + le32(0) + le32(crc32(plain));
    file += le32(0x04034b50) + le16(20) + le16(0) + common + le32(item.data.size()) + le32(plain.size()) +
            le16(item.name.size()) + le16(0) + item.name + item.data;
    const auto extra =
        item.zip64 ? le16(1) + le16(24) + le64(plain.size()) + le64(item.data.size()) + le64(offset) : std::string();
    const std::uint64_t ones = 0xffffffff;
    directory += le32(0x02014b50) + le16(20) + le16(20) + le16(0) + common +
                 le32(item.zip64 ? ones : item.data.size()) + le32(item.zip64 ? ones : plain.size()) +
                 le16(item.name.size()) + le16(extra.size()) + le16(0) + le16(0) + le16(0) + le32(0) +
                 le32(item.zip64 ? ones : offset) + item.name + extra;
  }
  const std::uint64_t at = file.size(), n = items.size();
  file += directory;
  if (zip64_end) {
    const std::uint64_t record = file.size();
    file += le32(0x06064b50) + le64(44) + le16(45) + le16(45) + le32(0) + le32(0) + le64(n) + le64(n) +
            le64(directory.size()) + le64(at);
    file += le32(0x07064b50) + le32(0) + le64(record) + le32(1);
    return file + le32(0x06054b50) + le16(0) + le16(0) + le16(0xffff) + le16(0xffff) + le32(0xffffffff) +
           le32(0xffffffff) + le16(comment.size()) + comment;
  }
  return file + le32(0x06054b50) + le16(0) + le16(0) + le16(n) + le16(n) + le32(directory.size()) + le32(at) +
         le16(comment.size()) + comment;
}

struct Storage {
  std::string key, data;
  std::uint64_t numel;
};

/// A checkpoint as torch.save writes it since 1.6.
inline std::string torch_zip(const std::string& pickle, const std::vector<Storage>& storages,
                             const std::string& byteorder = "little") {
  std::vector<ZipItem> items{{"m/data.pkl", pickle}, {"m/byteorder", byteorder}};
  for (const auto& s : storages) items.push_back({"m/data/" + s.key, s.data});
  items.push_back({"m/version", "3\n"});
  return zip(items);
}

/// A checkpoint as torch.save wrote it before 1.6.
inline std::string torch_legacy(const std::string& pickle, const std::vector<Storage>& storages, bool little = true) {
  std::string file = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
  file += PickleText().proto().raw("M" + le16(1001)).stop().bytes;
  file += PickleText().proto().raw("}(").text("little_endian").raw(little ? "\x88u" : "\x89u").stop().bytes;
  file += pickle;
  PickleText keys;
  keys.proto().raw("](");
  for (const auto& s : storages) keys.text(s.key);
  file += keys.raw("e").stop().bytes;
  for (const auto& s : storages) file += le64(s.numel) + s.data;
  return file;
}

}  // namespace test
