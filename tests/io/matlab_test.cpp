// .mat files of version 7.3, written through HDF5's own interface as MATLAB writes them: column-major, axes reversed.
#include <vitals/io/matlab.hpp>

#include <string>
#include <vector>

#include <hdf5.h>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>

#include "archives.hpp"
#include "paths.hpp"

namespace vt = vitals;
using Catch::Matchers::Contains;
using vt::io::DType;

namespace {

const test::TemporaryFolder folder;

// `extents` in MATLAB's order, numbers column by column.
template <class T>
void put(hid_t file, const char* name, hid_t type, std::vector<hsize_t> extents, const std::vector<T>& numbers) {
  const hid_t links = H5Pcreate(H5P_LINK_CREATE);
  H5Pset_create_intermediate_group(links, 1);
  std::vector<hsize_t> reversed(extents.rbegin(), extents.rend());
  const hid_t space = H5Screate_simple(static_cast<int>(reversed.size()), reversed.data(), nullptr);
  const hid_t data = H5Dcreate2(file, name, type, space, links, H5P_DEFAULT, H5P_DEFAULT);
  if (!numbers.empty()) REQUIRE(H5Dwrite(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers.data()) >= 0);
  H5Dclose(data), H5Sclose(space), H5Pclose(links);
}
std::filesystem::path tumour(const std::string& name, double label = 2) {
  const auto path = folder / name;
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  put<std::int16_t>(file, "cjdata/image", H5T_NATIVE_INT16, {2, 3}, {1, 4, 2, 5, 3, 6});
  put<double>(file, "cjdata/label", H5T_NATIVE_DOUBLE, {1, 1}, {label});
  put<std::uint16_t>(file, "cjdata/PID", H5T_NATIVE_UINT16, {1, 5}, {'1', '0', '0', '3', '6'});
  put<std::uint8_t>(file, "cjdata/tumorMask", H5T_NATIVE_UINT8, {2, 3}, {0, 1, 0, 0, 1, 0});
  H5Fclose(file);
  return path;
}

}  // namespace

TEST_CASE("A slice of the Brain Tumor set: rows and columns as MATLAB has them") {
  const auto path = tumour("1.mat");
  CHECK(vt::io::matlab_names(path) ==
        std::vector<std::string>{"cjdata/PID", "cjdata/image", "cjdata/label", "cjdata/tumorMask"});
  const auto image = vt::io::read_matlab(path, "cjdata/image");
  CHECK(image.dtype == DType::i16);
  CHECK(image.shape == std::vector<std::size_t>{2, 3});
  CHECK(image.to_double() == std::vector<double>{1, 2, 3, 4, 5, 6});
  const auto slice = vt::io::read_brain_tumor(path);
  CHECK(slice.image.shape() == std::array<std::size_t, 3>{2, 3, 1});
  CHECK(slice.image(1, 0, 0) == 4);
  CHECK(slice.label == 2);
  CHECK(slice.patient == "10036");
  CHECK(slice.mask(1, 0) == 1);
  CHECK(slice.mask(0, 2) == 1);
  CHECK(slice.mask(0, 0) == 0);
}

TEST_CASE("Other shapes and types of .mat") {
  const auto path = folder / "shapes.mat";
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  std::vector<float> numbers(24);
  for (std::size_t n = 0; n < 24; ++n) numbers[n] = float(n);
  put<float>(file, "volume", H5T_IEEE_F32BE, {2, 3, 4}, {});
  H5Fclose(file);
  const hid_t again = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const hid_t data = H5Dopen2(again, "volume", H5P_DEFAULT);
  REQUIRE(H5Dwrite(data, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers.data()) >= 0);
  H5Dclose(data), H5Fclose(again);
  const auto volume = vt::io::read_matlab(path, "volume");
  CHECK(volume.shape == std::vector<std::size_t>{2, 3, 4});
  for (std::size_t i = 0; i < 2; ++i)
    for (std::size_t j = 0; j < 3; ++j)
      for (std::size_t k = 0; k < 4; ++k)
        CHECK(volume.values<float>()[(i * 3 + j) * 4 + k] == float(i + 2 * j + 6 * k));
}

TEST_CASE("What is missing or damaged") {
  const auto path = tumour("2.mat");
  CHECK_THROWS_AS(vt::io::read_matlab(path, "cjdata/nothing"), vt::DataError);
  CHECK_THROWS_WITH(vt::io::read_matlab(path, "cjdata/nothing"), Contains("2.mat") && Contains("cjdata/nothing"));
  CHECK_THROWS_AS(vt::io::read_matlab(path, ""), vt::DataError);
  CHECK_THROWS_AS(vt::io::read_matlab(folder / "none.mat", "x"), vt::IoError);
  CHECK_THROWS_AS(vt::io::read_brain_tumor(tumour("3.mat", 4)), vt::DataError);
  test::save(folder / "old.mat", "MATLAB 5.0 MAT-file, Platform: GLNXA64" + std::string(200, ' '));
  CHECK_THROWS_WITH(vt::io::matlab_names(folder / "old.mat"), Contains("before 7.3"));
  test::save(folder / "text.mat", "not a file of numbers");
  CHECK_THROWS_AS(vt::io::matlab_names(folder / "text.mat"), vt::FormatError);
}
