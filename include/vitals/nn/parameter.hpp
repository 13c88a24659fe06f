// Parameters: what a checkpoint holds and an optimiser moves. A matrix that products read is kept packed and only
// packed; everything else is plain numbers.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <vitals/autograd/slot.hpp>
#include <vitals/backend/concept.hpp>
#include <vitals/core/error.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/tensor.hpp>

namespace vitals::inline v0::backend {
template <class B>
struct Gradients;  // gradients.hpp, needed by those who train
}

namespace vitals::inline v0::nn {

template <backend::Backend B>
struct LowRank;

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
      if (keeps_master_) {
        if (master_.size() != size()) master_ = typename B::Buffer(size());
        B::upload(values.data(), size(), master_.data());
      }
    } else {
      if (plain_.size() != size()) plain_ = typename B::Buffer(size());
      B::upload(values.data(), size(), plain_.data());
    }
    version_ = ++versions;
  }
  /// The values in row-major order; out.size() == size().
  void copy_to(std::span<float> out) const {
    if (master_.size())
      B::download(master_.data(), size(), out.data());
    else if (matrix_)
      B::unpack(packed_, out.data());
    else
      B::download(plain_.data(), size(), out.data());
  }
  /// For parameters that are not matrices.
  const Scalar* data() const { return plain_.data(); }
  /// For matrices: (out, in).
  const typename B::Weight& packed() const { return packed_; }
  /// Changes with the values; no other parameter ever has the same.
  std::uint64_t version() const { return version_; }

  // --- for those who train ------------------------------------------------------------------------------------------

  /// Whether a tape computes its gradient. True at first.
  bool trainable() const { return trainable_; }
  void set_trainable(bool trainable) {
    trainable_ = trainable;
    if (!trainable) gradient_.release();
  }
  /// Row-major, shaped like the values; a tape adds to it, an optimiser empties it. It belongs to the training, not to the
  /// value, so that a pass through a const model may write it.
  Slot<B>& gradient() const {
    gradient_.size = size();
    return gradient_;
  }
  /// Keeps a matrix in Scalar too where the packed form is of lower precision (bfloat16), from the next assign or update
  /// on: small steps must not be lost in rounding. Before loading, so that nothing of the file is lost.
  void keep_master() { keeps_master_ = matrix_ && !backend::Gradients<B>::exact_weights; }
  /// Changes the values: f(values, begin, n) for pieces [begin, begin + n) of the row-major values, from several threads.
  template <class F>
  void update(Executor& executor, F&& f) {
    if (matrix_) {
      keep_master();
      if (keeps_master_ && master_.size() != size()) {
        master_ = typename B::Buffer(size());
        backend::Gradients<B>::unpack(executor, packed_, master_.data());
      }
      backend::Gradients<B>::update(executor, packed_, keeps_master_ ? master_.data() : nullptr, f);
    } else {
      parallel_for(executor, size(), 16384,
                   [&](std::size_t begin, std::size_t end) { f(plain_.data() + begin, begin, end - begin); });
    }
    version_ = ++versions;
  }
  /// Low-rank terms that are added to a matrix (LoRA); empty for most.
  const std::vector<std::shared_ptr<LowRank<B>>>& low_rank() const { return low_rank_; }
  std::vector<std::shared_ptr<LowRank<B>>>& low_rank() { return low_rank_; }
  /// Whether a term does something.
  bool has_low_rank() const {
    return std::any_of(low_rank_.begin(), low_rank_.end(), [](const auto& term) { return !term->merged; });
  }

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
  typename B::Buffer master_;
  bool trainable_ = true, keeps_master_ = false;
  inline static std::atomic<std::uint64_t> versions{0};
  std::uint64_t version_ = 0;
  mutable Slot<B> gradient_;
  std::vector<std::shared_ptr<LowRank<B>>> low_rank_;
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

/// A matrix whose shape is known at run time only.
template <backend::Backend B>
struct RuntimeWeight : ParameterStorage<B> {
  RuntimeWeight(std::size_t out, std::size_t in) : ParameterStorage<B>(true, std::array<std::size_t, 2>{out, in}) {}
};

/// A low-rank term of a weight W (out, in): rows first .. first + rows of x W^T get scale * (x A^T) B^T added.
/// Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685, equation 3.
template <backend::Backend B>
struct LowRank {
  LowRank(std::string part_name, std::size_t first_row, std::size_t row_count, std::size_t in, std::size_t rank)
      : part(std::move(part_name)), first(first_row), rows(row_count), a(rank, in), b(row_count, rank) {}

  std::string part;  ///< "q", "k", "v", or empty for all rows
  std::size_t first, rows;
  RuntimeWeight<B> a;  ///< (rank, in)
  RuntimeWeight<B> b;  ///< (rows, rank)
  double scale = 1;
  double dropout = 0;        ///< of x on its way into A, on a tape only
  std::uint64_t stream = 0;  ///< names its random numbers
  bool merged = false;       ///< its values are in the weight; it does nothing

  /// scale * gamma of its rows, (rows); gamma (out) may be null, which is 1.
  typename B::Buffer row_scale(const typename B::Scalar* gamma) const {
    using Scalar = typename B::Scalar;
    typename B::Buffer all(rows);
    for (std::size_t i = 0; i < rows; ++i)
      all.data()[i] = static_cast<Scalar>(scale) * (gamma ? gamma[first + i] : Scalar(1));
    return all;
  }
};

}  // namespace vitals::inline v0::nn
