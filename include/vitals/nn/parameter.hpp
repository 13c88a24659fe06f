// Parameters: what a checkpoint holds and an optimiser moves. A matrix that products read is kept packed and only
// packed; everything else is plain numbers.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>

#include <vitals/backend/concept.hpp>
#include <vitals/core/error.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/tensor.hpp>

namespace vitals::inline v0::nn {

/// A parameter without its extents in the type: what the table of a model points to. Up to 4 axes.
template <backend::Backend B>
class ParameterStorage {
 public:
  using Scalar = typename B::Scalar;

  std::span<const std::size_t> shape() const { return {shape_.data(), rank_}; }
  std::size_t size() const {
    std::size_t n = 1;
    for (auto s : shape()) n *= s;
    return n;
  }
  /// Takes host values in row-major order; a matrix is packed. Throws ShapeError where the count differs.
  void assign(Executor& executor, std::span<const float> values) {
    if (values.size() != size())
      throw ShapeError("[Parameter] " + std::to_string(values.size()) + " values for shape " + to_string(shape()));
    if (matrix_) {
      packed_ = B::pack(executor, values.data(), shape_[0], size() / shape_[0]);
    } else {
      if (plain_.size() != size()) plain_ = typename B::Buffer(size());
      B::upload(values.data(), size(), plain_.data());
    }
  }
  /// The values in row-major order; out.size() == size().
  void copy_to(std::span<float> out) const {
    if (matrix_)
      B::unpack(packed_, out.data());
    else
      B::download(plain_.data(), size(), out.data());
  }
  /// For parameters that are not matrices.
  const Scalar* data() const { return plain_.data(); }
  /// For matrices: (out, in).
  const typename B::Weight& packed() const { return packed_; }

 protected:
  template <std::size_t Rank>
  ParameterStorage(bool matrix, const std::array<std::size_t, Rank>& shape) : rank_(Rank), matrix_(matrix) {
    static_assert(Rank <= 4);
    std::copy(shape.begin(), shape.end(), shape_.begin());
  }

 private:
  std::array<std::size_t, 4> shape_{};
  std::size_t rank_;
  bool matrix_;
  typename B::Buffer plain_;
  typename B::Weight packed_;
};

/// Plain numbers of a fixed shape: a bias, a norm's gamma, a token.
template <class B, std::size_t... E>
struct Parameter : ParameterStorage<B> {
  Parameter() : ParameterStorage<B>(false, std::array<std::size_t, sizeof...(E)>{E...}) {}
};

/// The matrix of a product, (Out, In...): the axes after the first are one for it (a convolution's (D, 3, P, P)).
template <class B, std::size_t Out, std::size_t... In>
struct Weight : ParameterStorage<B> {
  Weight() : ParameterStorage<B>(true, std::array<std::size_t, 1 + sizeof...(In)>{Out, In...}) {}
};

}  // namespace vitals::inline v0::nn
