// Implementation of torch_archive.hpp.
#pragma once

#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/io/bytes.hpp>
#include <vitals/io/pickle.hpp>
#include <vitals/io/torch_archive.hpp>
#include <vitals/io/zip.hpp>

namespace vitals::inline v0::io::detail {

// Bounds on what nested and shared containers may unfold to, far above any checkpoint.
inline constexpr std::size_t torch_depth_limit = 64, torch_axes_limit = 32, torch_tensor_limit = std::size_t{1} << 18;
inline constexpr std::size_t torch_visit_limit = std::size_t{1} << 22, torch_name_limit = std::size_t{1} << 26;

// Walks the nested dictionaries (without recursion) and makes an entry of each tensor.
class TorchFlattener {
 public:
  TorchFlattener(const Pickle& pickle, std::span<const std::span<const std::byte>> storages, const std::string& where)
      : pickle_(pickle), storages_(storages), where_(where) {}

  std::vector<TensorEntry> run() {
    if (pickle_[pickle_.root()].kind == PickleKind::tensor) name_ = "tensor";
    visit(pickle_.root());
    while (!open_.empty()) {
      auto& level = open_.back();
      name_.resize(level.name_size);
      if (level.next == level.items.size()) {
        open_.pop_back();
        continue;
      }
      if (!name_.empty()) name_ += '.';
      if (level.dict) {
        const auto key = key_text(pickle_[level.items[level.next]]);
        visits_ += key.size() / 64;  // a long key costs more than a short one
        name_ += key;
        level.next += 2;
        visit(level.items[level.next - 1]);
      } else {
        name_ += std::to_string(level.next);
        visit(level.items[level.next++]);
      }
    }
    std::unordered_set<std::string_view> names;
    for (const auto& entry : entries_)
      if (!names.insert(entry.name).second)
        throw FormatError("two tensors of one name", where_ + ", tensor " + printable(entry.name));
    return std::move(entries_);
  }

 private:
  struct Level {
    std::span<const std::uint32_t> items;
    bool dict;
    std::size_t next, name_size;
  };

  std::string key_text(const PickleValue& key) const {
    if (key.kind == PickleKind::text) return std::string(pickle_.text(key));
    if (key.kind == PickleKind::integer) return std::to_string(key.integer);
    return "(key)";  // nothing that names a weight
  }

  // Opens a container (which ends the use of references into open_) or makes an entry.
  void visit(std::uint32_t index) {
    if (++visits_ > torch_visit_limit)
      throw FormatError("containers that unfold to more values than any checkpoint has", where_,
                        "the file may be hostile");
    const auto& value = pickle_[index];
    if (value.kind == PickleKind::tensor) return add(pickle_.tensor(value));
    const bool dict = value.kind == PickleKind::dict;
    if (!dict && value.kind != PickleKind::list && value.kind != PickleKind::tuple) return;
    if (open_.size() >= torch_depth_limit)
      throw FormatError("containers nested deeper than " + std::to_string(torch_depth_limit) + ", or in themselves",
                        where_ + ", at " + printable(name_), "the file may be hostile");
    open_.push_back({pickle_.items(value), dict, 0, name_.size()});
  }

  std::vector<std::size_t> numbers(std::uint32_t tuple, const char* what) const {
    std::vector<std::size_t> result;
    const auto items = pickle_.items(pickle_[tuple]);
    if (items.size() > torch_axes_limit) throw lie("a tensor of " + std::to_string(items.size()) + " axes");
    for (const auto item : items) {
      const auto& value = pickle_[item];
      if (value.kind != PickleKind::integer || value.integer < 0) throw lie(std::string(what) + " that is not a count");
      result.push_back(static_cast<std::size_t>(value.integer));
    }
    return result;
  }

  void add(const PickleTensor& tensor) {
    TensorEntry entry;
    entry.name = name_;
    entry.dtype = tensor.dtype;
    entry.shape = numbers(tensor.shape, "a size");
    entry.strides = numbers(tensor.strides, "a stride");
    if (entry.strides.size() != entry.shape.size()) throw lie("a shape and strides of different length");
    const auto storage = storages_[tensor.storage];
    const std::size_t width = size_of(entry.dtype), numel = storage.size() / width;
    std::size_t elements = 1, last = tensor.offset;
    bool fits = true, empty = false;
    for (std::size_t i = 0; i < entry.shape.size(); ++i) {
      fits = fits && multiply_fits(elements, entry.shape[i]);
      empty = empty || entry.shape[i] == 0;
      std::size_t reach = entry.strides[i];
      fits = fits && (entry.shape[i] == 0 || (multiply_fits(reach, entry.shape[i] - 1) && add_fits(last, reach)));
    }
    if (!fits || (empty ? tensor.offset > numel : last >= numel))
      throw lie("shape " + to_string(entry.shape) + ", strides " + to_string(entry.strides) + " and offset " +
                std::to_string(tensor.offset) + " reach beyond a storage of " + std::to_string(numel) + " numbers");
    if (elements > numel)  // an expanded view (stride 0) could claim any size
      throw lie("shape " + to_string(entry.shape) + " repeats a storage of " + std::to_string(numel) +
                " numbers; save tensor.contiguous()");
    entry.data = storage.data() + tensor.offset * width;
    name_bytes_ += name_.size();
    if (entries_.size() >= torch_tensor_limit || name_bytes_ > torch_name_limit)
      throw FormatError("more tensors than any checkpoint has", where_, "the file may be hostile");
    entries_.push_back(std::move(entry));
  }

  FormatError lie(const std::string& what) const { return FormatError(what, where_ + ", tensor " + printable(name_)); }

  const Pickle& pickle_;
  std::span<const std::span<const std::byte>> storages_;
  const std::string& where_;
  std::string name_;
  std::vector<Level> open_;
  std::vector<TensorEntry> entries_;
  std::size_t visits_ = 0, name_bytes_ = 0;
};

// The bytes that a storage claims, if it has them.
inline std::span<const std::byte> torch_storage(std::span<const std::byte> record, const PickleStorage& storage,
                                                const std::string& where) {
  std::size_t bytes = size_of(storage.dtype);
  if (!multiply_fits(bytes, storage.numel) || bytes > record.size())
    throw FormatError("a storage of " + std::to_string(storage.numel) + " numbers (" + name(storage.dtype) + ") in " +
                          std::to_string(record.size()) + " bytes",
                      where + ", storage " + printable(storage.key), "the file is damaged");
  return record.first(bytes);
}

// NAME/data.pkl is the pickle, NAME/data/KEY the numbers of a storage, NAME/byteorder "little" or "big".
inline ParsedTensors parse_torch_zip(std::span<const std::byte> file, const std::string& where) {
  const auto directory = read_zip_directory(file, where);
  std::unordered_map<std::string_view, const ZipEntry*> records;
  std::string_view folder;
  for (const auto& entry : directory) {
    records.emplace(entry.name, &entry);
    if (entry.name.ends_with("/data.pkl") && entry.name.find('/') + 9 == entry.name.size())
      folder = entry.name.substr(0, entry.name.size() - 8);
  }
  const auto record = [&](std::string_view name) -> const ZipEntry* {
    const auto found = records.find(std::string(folder) + std::string(name));
    if (found == records.end()) return nullptr;
    if (found->second->method != 0)
      throw FormatError("a packed record, which torch.save never writes", where + ", record " + printable(found->first),
                        "unpack the archive and pack it without compression, or save it anew");
    return found->second;
  };
  const ZipEntry* data = folder.empty() ? nullptr : record("data.pkl");
  if (!data) throw FormatError("a zip archive without data.pkl", where, "it is not a PyTorch checkpoint");
  if (record("constants.pkl"))
    throw FormatError("a TorchScript program, not a checkpoint", where,
                      "save the weights alone, with torch.save(model.state_dict(), file)");
  if (const auto* order = record("byteorder"); order && as_text(order->data) != "little")
    throw FormatError("byte order " + printable(as_text(order->data)), where, "only little-endian files are read");

  const Pickle pickle(data->data, where);
  std::vector<std::span<const std::byte>> storages;
  for (const auto& storage : pickle.storages()) {
    const auto* numbers = record("data/" + std::string(storage.key));
    if (!numbers)
      throw FormatError("the record of a storage is missing", where + ", storage " + printable(storage.key));
    storages.push_back(torch_storage(numbers->data, storage, where));
  }
  return {"torch zip", TorchFlattener(pickle, storages, where).run(), {}};
}

// Pickles one after the other: a magic number, the protocol, a dictionary about the machine, the data, the list of
// storage keys; then for each key the number of elements (int64) and the elements.
inline ParsedTensors parse_torch_legacy(std::span<const std::byte> file, const std::string& where) {
  std::size_t at = 0;
  const auto next = [&] {
    Pickle pickle(file.subspan(at), where);
    at += pickle.consumed();
    return pickle;
  };
  static constexpr unsigned char magic[] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
  const auto first = next();
  const auto& number = first[first.root()];
  if (number.kind != PickleKind::big_integer ||
      first.text(number) != std::string_view(reinterpret_cast<const char*>(magic), sizeof magic))
    throw FormatError("a pickle without PyTorch's magic number", where, "it is not a PyTorch checkpoint");
  const auto protocol = next();
  if (const auto& v = protocol[protocol.root()]; v.kind != PickleKind::integer || v.integer != 1001)
    throw FormatError("an unknown version of PyTorch's legacy format", where, "save it anew with a current PyTorch");
  const auto machine = next();
  if (const auto& about = machine[machine.root()]; about.kind == PickleKind::dict) {
    const auto items = machine.items(about);
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      const auto &key = machine[items[i]], &value = machine[items[i + 1]];
      if (key.kind == PickleKind::text && machine.text(key) == "little_endian" &&
          (value.kind != PickleKind::boolean || value.integer != 1))
        throw FormatError("a file of a big-endian machine", where, "only little-endian files are read");
    }
  }
  const auto data = next();
  const auto keys = next();
  const auto& list = keys[keys.root()];
  if (list.kind != PickleKind::list) throw FormatError("the list of storages is missing", where, "the file is damaged");

  std::unordered_map<std::string_view, std::span<const std::byte>> records;
  std::unordered_map<std::string_view, const PickleStorage*> known;
  for (const auto& storage : data.storages()) known.emplace(storage.key, &storage);
  for (const auto item : keys.items(list)) {
    const auto& key = keys[item];
    const auto found = key.kind == PickleKind::text ? known.find(keys.text(key)) : known.end();
    if (found == known.end()) throw FormatError("a storage that no tensor uses", where, "the file is damaged");
    if (file.size() - at < 8) throw FormatError("the file ends before its storages", where, "the file is damaged");
    const auto& storage = *found->second;
    if (load<std::uint64_t>(file.data() + at) != storage.numel)
      throw FormatError("a storage with two sizes", where + ", storage " + printable(storage.key),
                        "the file is damaged");
    const auto numbers = torch_storage(file.subspan(at + 8), storage, where);
    at += 8 + numbers.size();
    if (!records.emplace(storage.key, numbers).second)
      throw FormatError("a storage stands twice", where + ", storage " + printable(storage.key), "the file is damaged");
  }
  std::vector<std::span<const std::byte>> storages;
  for (const auto& storage : data.storages()) {
    const auto found = records.find(storage.key);
    if (found == records.end())
      throw FormatError("a storage is missing", where + ", storage " + printable(storage.key));
    storages.push_back(found->second);
  }
  return {"torch legacy", TorchFlattener(data, storages, where).run(), {}};
}

VITALS_INLINE bool looks_like_torch(std::span<const std::byte> file) {
  if (file.size() >= 4 && load<std::uint32_t>(file.data()) == 0x04034b50u) return true;
  return file.size() >= 2 && file[0] == std::byte{0x80} && file[1] <= std::byte{5};
}

VITALS_INLINE ParsedTensors parse_torch(std::span<const std::byte> file, const std::string& where) {
  return file[0] == std::byte{0x80} ? parse_torch_legacy(file, where) : parse_torch_zip(file, where);
}

}  // namespace vitals::inline v0::io::detail
