// Spatial<Cpu<T>>: the operations on maps of the CPU backend; see backend/spatial.hpp for what each means. With bfloat16,
// convolutions are made of rounded numbers; maps, sums and gradients are float32.
#pragma once

#include <cstddef>
#include <span>

#include <vitals/backend/cpu/convolution.hpp>
#include <vitals/backend/cpu/gradients.hpp>
#include <vitals/backend/cpu/map_resize.hpp>
#include <vitals/backend/cpu/maps.hpp>
#include <vitals/backend/spatial.hpp>

namespace vitals::inline v0::backend {

template <class T>
requires(!std::is_same_v<T, std::int8_t>) struct Spatial<Cpu<T>> {
  using Scalar = typename Cpu<T>::Scalar;
  using Kernel = cpu::PackedKernel<T>;
  using TransposedKernel = cpu::PackedMatrix<T>;
  using Inputs = std::span<const MapPart<const Scalar>>;

  static Kernel pack_kernel(Executor& e, const Scalar* weight, std::size_t out, const WindowShape& s) {
    return cpu::pack_kernel<T>(e, weight, out, s);
  }
  static void convolution(Executor& e, Inputs inputs, const WindowShape& s, const Kernel& kernel, const Scalar* bias,
                          Scalar* y) {
    cpu::convolution<T>(e, inputs, s, kernel, bias, y);
  }
  static void convolution_input_gradient(Executor& e, const Scalar* dy, std::size_t out, const Scalar* weight,
                                         const WindowShape& s, std::span<const MapPart<Scalar>> gradients) {
    cpu::convolution_input_gradient<T>(e, dy, out, weight, s, gradients);
  }
  static void convolution_weight_gradient(Executor& e, Inputs inputs, const Scalar* dy, std::size_t out,
                                          const WindowShape& s, Scalar* dw) {
    cpu::convolution_weight_gradient<T>(e, inputs, dy, out, s, dw);
  }
  static TransposedKernel pack_transposed_kernel(Executor& e, const Scalar* weight, std::size_t in, std::size_t out,
                                                 std::size_t k) {
    return cpu::pack_transposed_kernel<T>(e, weight, in, out, k);
  }
  static void transposed_convolution(Executor& e, const Scalar* x, std::size_t batch, std::size_t h, std::size_t w,
                                     const TransposedKernel& kernel, std::size_t k, const Scalar* bias, Scalar* y) {
    cpu::transposed_convolution<T>(e, x, batch, h, w, kernel, k, bias, y);
  }
  static void transposed_convolution_input_gradient(Executor& e, const Scalar* dy, std::size_t batch, std::size_t h,
                                                    std::size_t w, const Scalar* weight, std::size_t in,
                                                    std::size_t out, std::size_t k, bool add, Scalar* dx) {
    cpu::transposed_convolution_input_gradient<T>(e, dy, batch, h, w, weight, in, out, k, add, dx);
  }
  static void transposed_convolution_weight_gradient(Executor& e, const Scalar* x, const Scalar* dy, std::size_t batch,
                                                     std::size_t h, std::size_t w, std::size_t in, std::size_t out,
                                                     std::size_t k, Scalar* dw) {
    cpu::transposed_convolution_weight_gradient<T>(e, x, dy, batch, h, w, in, out, k, dw);
  }
  static void column_moments(Executor& e, const Scalar* x, std::size_t rows, std::size_t n, Scalar* mean,
                             Scalar* variance) {
    cpu::column_moments(e, x, rows, n, mean, variance);
  }
  static void scale_shift(Executor& e, const Scalar* x, std::size_t rows, std::size_t n, const Scalar* scale,
                          const Scalar* shift, bool relu, Scalar* y) {
    cpu::scale_shift(e, x, rows, n, scale, shift, relu, y);
  }
  static void norm_sums(Executor& e, const Scalar* x, const Scalar* dy, std::size_t rows, std::size_t n,
                        const Scalar* scale, const Scalar* shift, const Scalar* mean, bool relu, Scalar* sums,
                        Scalar* dots) {
    cpu::norm_sums(e, x, dy, rows, n, scale, shift, mean, relu, sums, dots);
  }
  static void norm_backward(Executor& e, const Scalar* x, const Scalar* dy, std::size_t rows, std::size_t n,
                            const Scalar* scale, const Scalar* shift, const Scalar* mean, const Scalar* first,
                            const Scalar* second, bool relu, bool add, Scalar* dx) {
    cpu::norm_backward(e, x, dy, rows, n, scale, shift, mean, first, second, relu, add, dx);
  }
  static void relu(Executor& e, const Scalar* x, std::size_t n, Scalar* y) { cpu::relu(e, x, n, y); }
  static void relu_backward(Executor& e, const Scalar* y, const Scalar* dy, std::size_t n, Scalar* dx) {
    cpu::relu_backward(e, y, dy, n, dx);
  }
  static void max_pool(Executor& e, const Scalar* x, std::size_t batch, std::size_t h, std::size_t w, std::size_t n,
                       std::size_t size, Scalar* y) {
    cpu::max_pool(e, x, batch, h, w, n, size, y);
  }
  static void max_pool_backward(Executor& e, const Scalar* x, const Scalar* dy, std::size_t batch, std::size_t h,
                                std::size_t w, std::size_t n, std::size_t size, Scalar* dx) {
    cpu::max_pool_backward(e, x, dy, batch, h, w, n, size, dx);
  }
  static void exponentials(const Scalar* x, std::size_t n, Scalar* y) {
    cpu::map_kernels<Scalar>(cpu::active_isa()).exponentials(x, n, y);
  }
  static void resize(Executor& e, const Scalar* x, std::size_t batch, std::size_t n, const Taps<Scalar>& down,
                     const Taps<Scalar>& across, bool add, Scalar* y) {
    cpu::resize_map(e, x, batch, n, down, across, add, y);
  }
};

static_assert(SpatialBackend<Cpu<float>> && SpatialBackend<Cpu<bfloat16>>);

}  // namespace vitals::inline v0::backend
