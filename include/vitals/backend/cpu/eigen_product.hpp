// Y = X W^T through Eigen: for double, and for compilers without vector extensions. Apart from product.hpp because
// including Eigen costs every program more than the rest of the backend.
#pragma once

#include <cstddef>

#if __has_include(<Eigen/Core>)
#include <Eigen/Core>
#elif __has_include(<eigen3/Eigen/Core>)
#include <eigen3/Eigen/Core>
#else
#error "vitals needs Eigen 3.4 (Debian: libeigen3-dev)"
#endif

#include <vitals/backend/cpu/kernels.hpp>
#include <vitals/backend/cpu/portable.hpp>
#include <vitals/core/parallel.hpp>

namespace vitals::inline v0::backend::cpu::detail {

/// X (m, k) with row stride ldx, W (n, k) row-major. In row blocks of a fixed size, so that the bits do not depend on
/// the number of threads.
template <class T>
void eigen_product(Executor& executor, const T* x, std::size_t ldx, std::size_t m, const T* w, std::size_t n,
                   std::size_t k, T* y, std::size_t ldy, const Epilogue<T>& epilogue) {
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Rows = Eigen::Map<const Matrix, 0, Eigen::OuterStride<>>;
  const auto index = [](std::size_t i) { return static_cast<Eigen::Index>(i); };
  const Eigen::Map<const Matrix> weights(w, index(n), index(k));
  parallel_for(executor, m, 64, [&](std::size_t begin, std::size_t end) {
    Matrix acc(index(end - begin), index(n));
    acc.noalias() =
        Rows(x + begin * ldx, index(end - begin), index(k), Eigen::OuterStride<>(index(ldx))) * weights.transpose();
    for (std::size_t i = begin; i < end; ++i) {
      const T* a = acc.data() + (i - begin) * n;
      T* row = y + i * ldy;
      for (std::size_t j = 0; j < n; ++j) {
        const T value = epilogue.bias ? a[j] + epilogue.bias[j] : a[j];
        if (epilogue.store == Store::plain)
          row[j] = value;
        else if (epilogue.store == Store::gelu)
          row[j] = portable::gelu(value);
        else
          row[j] += epilogue.gamma ? epilogue.gamma[j] * value : value;
      }
    }
  });
}

}  // namespace vitals::inline v0::backend::cpu::detail
