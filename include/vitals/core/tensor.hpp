// Tensor and TensorView: row-major arrays whose extents are part of the type, static or dynamic (the vocabulary of
// std::mdspan). A (B, 384) feature matrix is Tensor<float, dyn, 384>; it does not fit a 768-wide head at compile time.
//
//   Tensor<float, dyn, 384> cls({batch, 384});        // owns its memory (64-byte aligned), zero at first
//   TensorView<const float, dyn, dyn> any = cls;       // static extents convert to dynamic ones, never silently back
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <new>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include <vitals/core/error.hpp>

namespace vitals::inline v0 {

/// An extent known at run time only.
inline constexpr std::size_t dyn = std::dynamic_extent;

/// "(2, 3, 224, 224)", for error messages.
inline std::string to_string(std::span<const std::size_t> shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + ")";
}

/// The extents of a tensor: E... are static sizes or `dyn`. Values are always held, so shape()[i] is uniform.
template <std::size_t... E>
class Extents {
 public:
  static constexpr std::size_t rank = sizeof...(E);
  static constexpr std::array<std::size_t, rank> statics{E...};

  constexpr Extents() : values_{(E == dyn ? 0 : E)...} {}
  /// Throws ShapeError where a value contradicts a static extent.
  constexpr Extents(const std::array<std::size_t, rank>& values) : values_(values) {
    for (std::size_t i = 0; i < rank; ++i)
      if (statics[i] != dyn && statics[i] != values_[i])
        throw ShapeError("[Extents] expected " + to_string(statics_text()) + ", got " + to_string(values_));
  }

  constexpr std::size_t operator[](std::size_t i) const { return values_[i]; }
  constexpr const std::array<std::size_t, rank>& values() const { return values_; }
  constexpr std::size_t size() const {
    std::size_t n = 1;
    for (auto v : values_) n *= v;
    return n;
  }
  friend constexpr bool operator==(const Extents&, const Extents&) = default;

 private:
  std::array<std::size_t, rank> statics_text() const {
    auto text = values_;
    for (std::size_t i = 0; i < rank; ++i)
      if (statics[i] != dyn) text[i] = statics[i];
    return text;
  }
  std::array<std::size_t, rank> values_;
};

namespace detail {

template <std::size_t... To, std::size_t... From>
constexpr bool extents_fit(Extents<To...>, Extents<From...>) {
  if constexpr (sizeof...(To) != sizeof...(From)) return false;
  else return ((To == dyn || To == From) && ...);
}

template <std::size_t First, std::size_t... Rest>
struct DropFirst { template <template <class, std::size_t...> class V, class T> using apply = V<T, Rest...>; };

inline std::size_t flat_index(std::span<const std::size_t> shape, std::initializer_list<std::size_t> at) {
  std::size_t flat = 0, d = 0;
  for (auto i : at) flat = flat * shape[d++] + i;
  return flat;
}

}  // namespace detail

/// A view of row-major memory that someone else owns. T may be const. Copying it copies the pointer only.
template <class T, std::size_t... E>
class TensorView {
 public:
  using value_type = std::remove_const_t<T>;
  using extents_type = Extents<E...>;
  static constexpr std::size_t rank = sizeof...(E);

  TensorView() = default;
  TensorView(T* data, const std::array<std::size_t, rank>& shape) : data_(data), extents_(shape) {}
  /// From another view whose static extents fit (any extent fits `dyn`; `dyn` does not fit a static one).
  template <class U, std::size_t... F>
    requires(std::is_convertible_v<U (*)[], T (*)[]> && detail::extents_fit(Extents<E...>{}, Extents<F...>{}))
  TensorView(const TensorView<U, F...>& other) : data_(other.data()), extents_(other.shape()) {}

  T* data() const { return data_; }
  const std::array<std::size_t, rank>& shape() const { return extents_.values(); }
  std::size_t extent(std::size_t i) const { return extents_[i]; }
  std::size_t size() const { return extents_.size(); }
  bool empty() const { return size() == 0; }
  std::span<T> span() const { return {data_, size()}; }
  T* begin() const { return data_; }
  T* end() const { return data_ + size(); }

  /// Element access; indices are not checked.
  template <class... I>
    requires(sizeof...(I) == rank && (std::is_convertible_v<I, std::size_t> && ...))
  T& operator()(I... i) const {
    return data_[detail::flat_index(shape(), {static_cast<std::size_t>(i)...})];
  }
  /// The sub-tensor at index i of the first axis; for a matrix, row i.
  auto operator[](std::size_t i) const
    requires(rank >= 2)
  {
    using Sub = typename detail::DropFirst<E...>::template apply<TensorView, T>;
    std::array<std::size_t, rank - 1> rest;
    std::copy(shape().begin() + 1, shape().end(), rest.begin());
    std::size_t stride = 1;
    for (auto v : rest) stride *= v;
    return Sub(data_ + i * stride, rest);
  }

 private:
  T* data_ = nullptr;
  Extents<E...> extents_;
};

/// A tensor that owns its memory: 64-byte aligned, zero-initialised. Movable and copyable.
template <class T, std::size_t... E>
class Tensor {
  static_assert(std::is_trivially_copyable_v<T>, "Tensor holds plain numbers");

 public:
  using value_type = T;
  static constexpr std::size_t rank = sizeof...(E);
  using view_type = TensorView<T, E...>;
  using const_view_type = TensorView<const T, E...>;
  using shape_type = std::array<std::size_t, rank>;

  Tensor() = default;
  explicit Tensor(const shape_type& shape) : extents_(shape), data_(allocate(extents_.size())) {
    std::fill_n(data_, size(), T{});
  }
  Tensor(const shape_type& shape, std::span<const T> values) : Tensor(shape) {
    if (values.size() != size())
      throw ShapeError("[Tensor] " + std::to_string(values.size()) + " values for shape " + to_string(shape));
    std::copy(values.begin(), values.end(), data_);
  }
  Tensor(const Tensor& other) : extents_(other.extents_), data_(allocate(other.size())) {
    std::copy(other.begin(), other.end(), data_);
  }
  Tensor(Tensor&& other) noexcept
      : extents_(std::exchange(other.extents_, {})), data_(std::exchange(other.data_, nullptr)) {}
  /// From an owner with other static extents; throws ShapeError where run-time values contradict them.
  template <std::size_t... F>
    requires(sizeof...(F) == rank && !std::is_same_v<Extents<E...>, Extents<F...>>)
  explicit Tensor(Tensor<T, F...>&& other) : extents_(other.shape()), data_(other.release()) {}
  Tensor& operator=(Tensor other) noexcept {
    std::swap(extents_, other.extents_);
    std::swap(data_, other.data_);
    return *this;
  }
  ~Tensor() { ::operator delete(data_, std::align_val_t{64}); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  const shape_type& shape() const { return extents_.values(); }
  std::size_t extent(std::size_t i) const { return extents_[i]; }
  std::size_t size() const { return data_ ? extents_.size() : 0; }
  bool empty() const { return size() == 0; }
  std::span<T> span() { return {data_, size()}; }
  std::span<const T> span() const { return {data_, size()}; }
  T* begin() { return data_; }
  T* end() { return data_ + size(); }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size(); }

  view_type view() { return {data_, shape()}; }
  const_view_type view() const { return {data_, shape()}; }
  operator view_type() { return view(); }
  operator const_view_type() const { return view(); }
  /// Views with other (fitting) extents: Tensor<float, dyn, 384> enters a function that takes (dyn, dyn).
  template <class U, std::size_t... F>
    requires(std::is_same_v<U, const T> && detail::extents_fit(Extents<F...>{}, Extents<E...>{}))
  operator TensorView<U, F...>() const { return view(); }
  template <class U, std::size_t... F>
    requires(std::is_same_v<std::remove_const_t<U>, T> && detail::extents_fit(Extents<F...>{}, Extents<E...>{}))
  operator TensorView<U, F...>() { return view(); }

  template <class... I>
    requires(sizeof...(I) == rank && (std::is_convertible_v<I, std::size_t> && ...))
  T& operator()(I... i) { return view()(i...); }
  template <class... I>
    requires(sizeof...(I) == rank && (std::is_convertible_v<I, std::size_t> && ...))
  const T& operator()(I... i) const { return view()(i...); }
  auto operator[](std::size_t i) requires(rank >= 2) { return view()[i]; }
  auto operator[](std::size_t i) const requires(rank >= 2) { return view()[i]; }

  /// Gives up the memory (freed with the aligned operator delete); used by the converting move.
  T* release() {
    extents_ = {};
    return std::exchange(data_, nullptr);
  }

 private:
  static T* allocate(std::size_t n) {
    return n ? static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t{64})) : nullptr;
  }
  Extents<E...> extents_;
  T* data_ = nullptr;
};

}  // namespace vitals::inline v0
