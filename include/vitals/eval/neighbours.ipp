// Implementation of neighbours.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/eval/neighbours.hpp>

namespace vitals::inline v0::eval {

namespace detail {

// Rows divided by their Euclidean norm, and the norms.
struct UnitRows {
  Tensor<float, dyn, dyn> rows;
  std::vector<double> norms;
};

// Sum of products in double, in eight fixed lanes, so that the order does not depend on anything.
inline double dot(const float* a, const float* b, std::size_t n) {
  double lane[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (std::size_t j = 0; j < 8; ++j) lane[j] += static_cast<double>(a[i + j]) * static_cast<double>(b[i + j]);
  for (std::size_t j = 0; i < n; ++i, ++j) lane[j] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return ((lane[0] + lane[4]) + (lane[1] + lane[5])) + ((lane[2] + lane[6]) + (lane[3] + lane[7]));
}

inline UnitRows unit_rows(TensorView<const float, dyn, dyn> x, const char* matrix, Executor& executor) {
  const std::size_t n = x.extent(0), dim = x.extent(1);
  UnitRows unit{Tensor<float, dyn, dyn>({n, dim}), std::vector<double>(n)};
  parallel_for(executor, n, 256, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const float* from = x.data() + i * dim;
      float* to = unit.rows.data() + i * dim;
      const double norm = std::sqrt(dot(from, from, dim));
      if (!std::isfinite(norm))
        throw DataError("[neighbours] a number that is not finite", std::string(matrix) + " row " + std::to_string(i));
      unit.norms[i] = norm;
      const double scale = norm > 0 ? 1 / norm : 0;
      for (std::size_t d = 0; d < dim; ++d) to[d] = static_cast<float>(from[d] * scale);
    }
  });
  return unit;
}

// Items laid out for the product: panels of 16, each (D, 16), the last filled up with zeros.
class ItemPanels {
 public:
  static constexpr std::size_t width = 16;

  ItemPanels(TensorView<const float, dyn, dyn> items, Executor& executor)
      : panels_((items.extent(0) + width - 1) / width), dim_(items.extent(1)), packed_({panels_, dim_, width}) {
    const std::size_t n = items.extent(0);
    parallel_for(executor, panels_, 16, [&](std::size_t begin, std::size_t end) {
      for (std::size_t p = begin; p < end; ++p)
        for (std::size_t j = 0; j < std::min(width, n - p * width); ++j)
          for (std::size_t d = 0; d < dim_; ++d) packed_(p, d, j) = items(p * width + j, d);
    });
  }
  std::size_t panels() const { return panels_; }

  // out (rows, width): products of rows x (rows, D) with the items of panel p.
  void similarities(const float* x, std::size_t rows, std::size_t p, float* out) const {
    const float* panel = packed_.data() + p * dim_ * width;
    for (std::size_t r = 0; r < rows; ++r) {
      float sum[width] = {};
      for (std::size_t d = 0; d < dim_; ++d)
        for (std::size_t j = 0; j < width; ++j) sum[j] += x[r * dim_ + d] * panel[d * width + j];
      std::copy_n(sum, width, out + r * width);
    }
  }

 private:
  std::size_t panels_, dim_;
  Tensor<float, dyn, dyn, dyn> packed_;
};

// Keeps every item that may still be among the k best of one query: those whose float32 similarity is at least the
// k-th best one so far less `margin`.
class Candidates {
 public:
  struct Item {
    float similarity;
    std::uint32_t index;
  };

  void reset(std::size_t k, float margin) {
    k_ = k, margin_ = margin, limit_ = 2 * k + 64, threshold_ = -std::numeric_limits<float>::infinity();
    items_.clear();
  }
  float threshold() const { return threshold_; }
  void add(float similarity, std::size_t index) {
    items_.push_back({similarity, static_cast<std::uint32_t>(index)});
    if (items_.size() >= limit_) prune();
  }
  const std::vector<Item>& finish() {
    if (items_.size() > k_) prune();
    return items_;
  }

 private:
  void prune() {
    std::nth_element(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(k_ - 1), items_.end(),
                     [](const Item& a, const Item& b) { return a.similarity > b.similarity; });
    threshold_ = items_[k_ - 1].similarity - margin_;
    std::erase_if(items_, [this](const Item& item) { return item.similarity < threshold_; });
    limit_ = std::max(limit_, 2 * items_.size());  // many nearly equal items: prune less often, not for ever
  }
  std::size_t k_ = 0, limit_ = 0;
  float margin_ = 0, threshold_ = 0;
  std::vector<Item> items_;
};

// True where one of the 16 values is at or above the threshold.
inline bool any_at_least(const float* values, float threshold) {
  int any = 0;
  for (std::size_t j = 0; j < ItemPanels::width; ++j) any |= values[j] >= threshold;
  return any != 0;
}

}  // namespace detail

VITALS_INLINE Neighbours neighbours(TensorView<const float, dyn, dyn> train, TensorView<const float, dyn, dyn> queries,
                                    std::size_t k, const NeighbourOptions& options) {
  const std::size_t n = train.extent(0), m = queries.extent(0), dim = train.extent(1);
  if (dim != queries.extent(1))
    throw ShapeError("[neighbours] queries " + to_string(queries.shape()) + " against items " +
                     to_string(train.shape()));
  if (n > std::numeric_limits<std::uint32_t>::max()) throw ShapeError("[neighbours] more than 2^32 items");
  if (k == 0 || k > n)
    throw ArgumentError("[neighbours] k = " + std::to_string(k) + " of " + std::to_string(n) + " items", "",
                        "take k from 1 to " + std::to_string(n));
  Executor& executor = options.executor ? *options.executor : default_pool();
  const auto items = detail::unit_rows(train, "items", executor);
  const auto wanted = detail::unit_rows(queries, "queries", executor);
  const detail::ItemPanels panels(items.rows, executor);

  // A float32 product of unit vectors is off by at most about (D + 4) 2^-24, two of them by twice that; doubled once
  // more for the roundings of the unit rows themselves.
  const float margin = static_cast<float>(4 * (static_cast<double>(dim) + 8) * 0x1p-24);
  constexpr std::size_t block = 64;
  const std::size_t blocks = (m + block - 1) / block;
  Neighbours result{Tensor<std::uint32_t, dyn, dyn>({m, k}), Tensor<double, dyn, dyn>({m, k})};

  const auto search = [&](std::size_t b) {
    const std::size_t first = b * block, rows = std::min(block, m - first);
    std::vector<float> products(block * detail::ItemPanels::width);
    std::vector<detail::Candidates> candidates(rows);
    for (auto& c : candidates) c.reset(k, margin);
    for (std::size_t p = 0; p < panels.panels(); ++p) {
      panels.similarities(wanted.rows.data() + first * dim, rows, p, products.data());
      const std::size_t start = p * detail::ItemPanels::width, count = std::min(detail::ItemPanels::width, n - start);
      for (std::size_t r = 0; r < rows; ++r) {
        const float* row = products.data() + r * detail::ItemPanels::width;
        if (!detail::any_at_least(row, candidates[r].threshold())) continue;
        for (std::size_t j = 0; j < count; ++j)
          if (row[j] >= candidates[r].threshold()) candidates[r].add(row[j], start + j);
      }
    }
    std::vector<std::pair<double, std::uint32_t>> exact;
    for (std::size_t r = 0; r < rows; ++r) {
      const float* query = queries.data() + (first + r) * dim;
      exact.clear();
      for (const auto& item : candidates[r].finish()) {
        const double norms = wanted.norms[first + r] * items.norms[item.index];
        const double product = detail::dot(query, train.data() + item.index * dim, dim);
        exact.emplace_back(norms > 0 ? product / norms : 0.0, item.index);
      }
      std::partial_sort(exact.begin(), exact.begin() + static_cast<std::ptrdiff_t>(k), exact.end(),
                        [](const auto& a, const auto& b) {
                          return a.first > b.first || (a.first == b.first && a.second < b.second);
                        });
      for (std::size_t j = 0; j < k; ++j) {
        result.cosine(first + r, j) = exact[j].first;
        result.index(first + r, j) = exact[j].second;
      }
    }
  };
  // Waves of blocks, so that progress is told by one thread and in order.
  const std::size_t wave = options.progress ? 4 * std::size_t{executor.threads()} : blocks;
  for (std::size_t b = 0; b < blocks; b += wave) {
    executor.run(std::min(wave, blocks - b), [&](std::size_t i) { search(b + i); });
    if (options.progress) options.progress("neighbours", std::min(m, (b + wave) * block), m);
  }
  return result;
}

}  // namespace vitals::inline v0::eval
