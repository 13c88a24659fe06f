// PyTorch's checkpoint files: the zip archive that torch.save writes since version 1.6 (.pth, .pt) and the stream of
// pickles that it wrote before. TensorFile reads them; this header is what it reads them with.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include <vitals/core/config.hpp>
#include <vitals/io/safetensors.hpp>

namespace vitals::inline v0::io::detail {

/// Whether the bytes begin like a zip archive or like a pickle.
bool looks_like_torch(std::span<const std::byte> file);

/// Every tensor of the checkpoint, its numbers checked to lie inside their storage and the storage inside the file.
/// `where` names the file in errors. Throws FormatError.
ParsedTensors parse_torch(std::span<const std::byte> file, const std::string& where);

}  // namespace vitals::inline v0::io::detail

#if VITALS_HEADER_ONLY
#include <vitals/io/torch_archive.ipp>
#endif
