// What a convolution slides over what: sizes, all at run time.
#pragma once

#include <cstddef>

namespace vitals::inline v0::backend {

/// Maps (batch, height, width, in) under a kernel (kernel_height, kernel_width), `padding` rows and columns of zeros around.
struct WindowShape {
  std::size_t batch = 0, height = 0, width = 0, in = 0;
  std::size_t kernel_height = 1, kernel_width = 1, stride = 1, padding = 0;

  /// 0 where the kernel does not fit.
  std::size_t out_height() const { return steps(height, kernel_height); }
  std::size_t out_width() const { return steps(width, kernel_width); }

 private:
  std::size_t steps(std::size_t size, std::size_t kernel) const {
    return size + 2 * padding < kernel ? 0 : (size + 2 * padding - kernel) / stride + 1;
  }
};

/// One of several maps (B, h, w, channels) that stand for their concatenation.
template <class T>
struct MapPart {
  T* data = nullptr;
  std::size_t channels = 0;
  bool add = false;  ///< of a gradient: added to what is there
};

}  // namespace vitals::inline v0::backend
