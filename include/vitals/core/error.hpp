// Typed errors. Each says what is wrong, where (file, key, row, slice) and what to do about it, in one line:
//   "WHAT, WHERE; ADVICE"
// They are raised at the border of the room that knows the cause. The library never aborts and prints nothing.
#pragma once

#include <stdexcept>
#include <string>

namespace vitals::inline v0 {

/// Base of everything the library throws on purpose.
class Error : public std::runtime_error {
 public:
  /// `where` names the file, key, row or slice; `advice` says what to do. Either may be empty.
  explicit Error(const std::string& what, const std::string& where = {}, const std::string& advice = {})
      : std::runtime_error(what + (where.empty() ? "" : ", " + where) + (advice.empty() ? "" : "; " + advice)) {}
};

/// Sizes that do not fit each other: a tensor, an image against the patch size, a weight against its model.
struct ShapeError : Error { using Error::Error; };
/// A file that is not what its format demands: truncated, lying about sizes, hostile, of an unknown kind.
struct FormatError : Error { using Error::Error; };
/// Well-formed input whose content cannot be used: NaN pixels, a class absent in a split, patients in two splits.
struct DataError : Error { using Error::Error; };
/// The operating system refused: file missing, not readable, disk full.
struct IoError : Error { using Error::Error; };
/// A parameter out of its range: k too large, an unknown preset, a learning rate that is not a number.
struct ArgumentError : Error { using Error::Error; };

namespace detail {

// Runs f and puts in front of its errors what they are about: an image, a slice.
template <class F>
auto naming(const std::string& what, F&& f) {
  try {
    return f();
  } catch (const IoError& e) {
    throw IoError(what + ": " + e.what());
  } catch (const FormatError& e) {
    throw FormatError(what + ": " + e.what());
  } catch (const DataError& e) {
    throw DataError(what + ": " + e.what());
  } catch (const ShapeError& e) {
    throw ShapeError(what + ": " + e.what());
  }
}

}  // namespace detail

}  // namespace vitals::inline v0
