// A reader of Python pickles that executes nothing. It knows the opcodes as moves of a stack machine and a short list
// of names (PyTorch's storages and rebuild functions, OrderedDict, torch.Size, a few harmless classes whose content is
// dropped); any other name that a pickle asks for is an error that says which. What comes out are values in an arena,
// referred to by number, so that self-containing or deeply nested data need no recursion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/io/pickle_values.hpp>

namespace vitals::inline v0::io::detail {

/// The values of one pickle.
class Pickle {
 public:
  /// Reads one pickle from the head of `bytes` (which must outlive this). `where` names the file in errors.
  /// Throws FormatError: a global that is not on the list, truncated, damaged, or larger than any checkpoint.
  Pickle(std::span<const std::byte> bytes, const std::string& where);

  std::uint32_t root() const { return root_; }
  /// Bytes up to and with its STOP.
  std::size_t consumed() const { return consumed_; }
  const PickleValue& operator[](std::uint32_t value) const { return arena_.values[value]; }
  /// Items of a tuple or list; of a dict: key, value, key, value ...
  std::span<const std::uint32_t> items(const PickleValue& container) const {
    return arena_.containers[container.index];
  }
  std::string_view text(const PickleValue& value) const { return {value.text, value.index}; }
  const std::vector<PickleStorage>& storages() const { return arena_.storages; }
  const PickleTensor& tensor(const PickleValue& value) const { return arena_.tensors[value.index]; }

 private:
  PickleArena arena_;
  std::uint32_t root_ = 0;
  std::size_t consumed_ = 0;
};

}  // namespace vitals::inline v0::io::detail

#if VITALS_HEADER_ONLY
#include <vitals/io/pickle.ipp>
#endif
