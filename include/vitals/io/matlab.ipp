// Implementation of matlab.hpp, through the C interface of HDF5.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include <hdf5.h>

#include <vitals/core/error.hpp>
#include <vitals/io/bytes.hpp>
#include <vitals/io/mapped_file.hpp>
#include <vitals/io/matlab.hpp>

namespace vitals::inline v0::io {

namespace detail {

/// A handle of HDF5 and the function that closes it.
class H5Handle {
 public:
  H5Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  ~H5Handle() {
    if (id_ >= 0) close_(id_);
  }
  H5Handle(const H5Handle&) = delete;
  H5Handle& operator=(const H5Handle&) = delete;
  operator hid_t() const { return id_; }
  bool valid() const { return id_ >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

/// HDF5 prints its errors by itself; while this lives it does not.
class H5Quiet {
 public:
  H5Quiet() {
    H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~H5Quiet() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }
  H5Quiet(const H5Quiet&) = delete;
  H5Quiet& operator=(const H5Quiet&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

inline hid_t open_matlab(const std::filesystem::path& file) {
  {  // the usual errors in our words
    const MappedFile map(file);
    const auto head = as_text(map.bytes().first(std::min<std::size_t>(map.bytes().size(), 128)));
    if (head.rfind("MATLAB 5.0", 0) == 0)
      throw FormatError("[read_matlab] a .mat file of a version before 7.3", file.string(), "save it again with -v7.3");
  }
  const hid_t id = H5Fopen(file.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  if (id < 0)
    throw FormatError("[read_matlab] not an HDF5 file, or damaged", file.string(), "name a .mat file of version 7.3");
  return id;
}

/// Names of numbers, level by level. Links that lead back or out of the file are not followed.
inline void collect_matlab_names(hid_t group, const std::string& prefix, int depth, std::vector<std::string>& names) {
  hsize_t count = 0;
  if (depth > 8 || H5Gget_num_objs(group, &count) < 0) return;
  for (hsize_t i = 0; i < count && names.size() < 10000; ++i) {
    char text[256];
    const ssize_t length =
        H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, text, sizeof text, H5P_DEFAULT);
    if (length <= 0 || length >= static_cast<ssize_t>(sizeof text) || text[0] == '#') continue;  // #refs#: MATLAB's own
    H5L_info_t link;
    if (H5Lget_info(group, text, &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD) continue;
    const H5Handle object(H5Oopen(group, text, H5P_DEFAULT), H5Oclose);
    if (!object.valid()) continue;
    const H5I_type_t kind = H5Iget_type(object);
    if (kind == H5I_GROUP) collect_matlab_names(object, prefix + text + "/", depth + 1, names);
    if (kind != H5I_DATASET) continue;
    const H5Handle type(H5Dget_type(object), H5Tclose);
    const H5T_class_t number = H5Tget_class(type);
    if (number == H5T_INTEGER || number == H5T_FLOAT) names.push_back(prefix + text);
  }
}

inline std::optional<std::pair<DType, hid_t>> matlab_type(hid_t type) {
  const std::size_t size = H5Tget_size(type);
  if (H5Tget_class(type) == H5T_FLOAT) {
    if (size == 8) return std::pair(DType::f64, H5T_NATIVE_DOUBLE);
    if (size == 4) return std::pair(DType::f32, H5T_NATIVE_FLOAT);
    return std::nullopt;
  }
  if (H5Tget_class(type) != H5T_INTEGER) return std::nullopt;
  const bool sign = H5Tget_sign(type) == H5T_SGN_2;
  switch (size) {
    case 1:
      return sign ? std::pair(DType::i8, H5T_NATIVE_INT8) : std::pair(DType::u8, H5T_NATIVE_UINT8);
    case 2:
      return sign ? std::pair(DType::i16, H5T_NATIVE_INT16) : std::pair(DType::u16, H5T_NATIVE_UINT16);
    case 4:
      return sign ? std::pair(DType::i32, H5T_NATIVE_INT32) : std::pair(DType::u32, H5T_NATIVE_UINT32);
    case 8:
      return sign ? std::pair(DType::i64, H5T_NATIVE_INT64) : std::pair(DType::u64, H5T_NATIVE_UINT64);
    default:
      return std::nullopt;
  }
}

/// Column-major numbers of width bytes in the order of HDF5's axes, which MATLAB writes reversed, to row-major.
inline std::vector<std::byte> row_major_of_matlab(const std::vector<std::byte>& in,
                                                  const std::vector<std::size_t>& shape, std::size_t width) {
  std::vector<std::byte> out(in.size());
  std::vector<std::size_t> at(shape.size(), 0);
  for (std::size_t n = 0; n * width < out.size(); ++n) {
    std::size_t from = 0;
    for (std::size_t d = shape.size(); d-- > 0;) from = from * shape[d] + at[d];
    std::copy_n(&in[from * width], width, &out[n * width]);
    for (std::size_t d = shape.size(); d-- > 0;) {
      if (++at[d] < shape[d]) break;
      at[d] = 0;
    }
  }
  return out;
}

}  // namespace detail

VITALS_INLINE std::vector<std::string> matlab_names(const std::filesystem::path& file) {
  const detail::H5Quiet quiet;
  const detail::H5Handle in(detail::open_matlab(file), H5Fclose);
  std::vector<std::string> names;
  detail::collect_matlab_names(in, "", 0, names);
  std::sort(names.begin(), names.end());
  return names;
}

VITALS_INLINE NpyArray read_matlab(const std::filesystem::path& file, const std::string& name) {
  const detail::H5Quiet quiet;
  const std::string where = file.string() + " array " + detail::printable(name);
  const detail::H5Handle in(detail::open_matlab(file), H5Fclose);
  const detail::H5Handle data(name.empty() ? -1 : H5Dopen2(in, name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!data.valid()) throw DataError("[read_matlab] no such array", where, "matlab_names lists what is there");
  const detail::H5Handle type(H5Dget_type(data), H5Tclose), space(H5Dget_space(data), H5Sclose);
  const auto kind = detail::matlab_type(type);
  if (!kind) throw FormatError("[read_matlab] neither integers nor float", where);
  const int rank = H5Sget_simple_extent_ndims(space);
  std::vector<hsize_t> extents(static_cast<std::size_t>(std::clamp(rank, 0, 32)));
  if (rank < 0 || rank > 32 || (rank > 0 && H5Sget_simple_extent_dims(space, extents.data(), nullptr) < 0))
    throw FormatError("[read_matlab] a shape that cannot be read", where, "the file is damaged");
  NpyArray array;
  array.dtype = kind->first;
  array.shape.assign(extents.rbegin(), extents.rend());  // MATLAB writes its column-major arrays with the axes reversed
  std::size_t numbers = 1;
  for (const std::size_t extent : array.shape)
    if (!detail::multiply_fits(numbers, extent) || numbers > (std::size_t{1} << 28))
      throw FormatError("[read_matlab] an array of " + to_string(array.shape), where, "at most 2^28 numbers are read");
  std::error_code error;
  if (numbers / 1032 > std::filesystem::file_size(file, error))
    throw FormatError("[read_matlab] an array of " + to_string(array.shape) + ", more than the file can hold", where,
                      "the file is damaged");
  std::vector<std::byte> raw(numbers * size_of(array.dtype));
  if (numbers > 0 && H5Dread(data, kind->second, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw.data()) < 0)
    throw FormatError("[read_matlab] the numbers cannot be read", where, "the file is truncated or damaged");
  array.bytes =
      array.shape.size() < 2 ? std::move(raw) : detail::row_major_of_matlab(raw, array.shape, size_of(array.dtype));
  return array;
}

VITALS_INLINE BrainTumorSlice read_brain_tumor(const std::filesystem::path& file) {
  BrainTumorSlice slice;
  const auto picture = [&](const NpyArray& array) {
    if (array.shape.size() != 2 || array.size() == 0)
      throw DataError("[read_brain_tumor] a picture of shape " + to_string(array.shape), file.string(),
                      "(H, W) is expected");
    return std::array<std::size_t, 2>{array.shape[0], array.shape[1]};
  };
  const auto image = read_matlab(file, "cjdata/image");
  const auto [height, width] = picture(image);
  slice.image = Tensor<float, dyn, dyn, dyn>({height, width, 1}, image.to_float());
  const auto label = read_matlab(file, "cjdata/label").to_double();
  if (label.size() != 1 || !(label[0] >= 1 && label[0] <= 3) || label[0] != std::floor(label[0]))
    throw DataError("[read_brain_tumor] a label that is none of 1, 2, 3", file.string());
  slice.label = static_cast<int>(label[0]);
  for (const double c : read_matlab(file, "cjdata/PID").to_double())
    if (c > 32 && c < 127) slice.patient += static_cast<char>(c);
  const auto names = matlab_names(file);
  if (std::binary_search(names.begin(), names.end(), std::string("cjdata/tumorMask"))) {
    const auto mask = read_matlab(file, "cjdata/tumorMask");
    if (picture(mask) != std::array<std::size_t, 2>{height, width})
      throw DataError(
          "[read_brain_tumor] a mask of " + to_string(mask.shape) + " for a picture of " + to_string(image.shape),
          file.string());
    slice.mask = Tensor<std::uint8_t, dyn, dyn>({height, width});
    const auto inside = mask.to_double();
    for (std::size_t i = 0; i < inside.size(); ++i) slice.mask.data()[i] = inside[i] != 0;
  }
  return slice;
}

}  // namespace vitals::inline v0::io
