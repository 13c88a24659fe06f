// Implementation of neighbours.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <vitals/backend/cpu/product.hpp>
#include <vitals/core/error.hpp>
#include <vitals/eval/neighbours.hpp>

namespace vitals::inline v0::eval {

namespace detail {

// Runs tasks on the calling thread: for work inside a task.
class OneThread final : public Executor {
 public:
  unsigned threads() const override { return 1; }
  void run(std::size_t count, TaskRef task) override {
    for (std::size_t i = 0; i < count; ++i) task(i);
  }
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

inline std::vector<double> row_norms(TensorView<const float, dyn, dyn> x, const char* matrix, Executor& executor) {
  const std::size_t n = x.extent(0), dim = x.extent(1);
  std::vector<double> norms(n);
  parallel_for(executor, n, 1024, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) norms[i] = std::sqrt(dot(x.data() + i * dim, x.data() + i * dim, dim));
  });
  for (std::size_t i = 0; i < n; ++i)
    if (!std::isfinite(norms[i]))
      throw DataError("[neighbours] a number that is not finite", std::string(matrix) + " row " + std::to_string(i));
  return norms;
}

// Rows first .. first + count, divided by their norms, to `unit` (count, D).
inline void unit_rows(TensorView<const float, dyn, dyn> x, const std::vector<double>& norms, std::size_t first,
                      std::size_t count, float* unit) {
  const std::size_t dim = x.extent(1);
  for (std::size_t i = 0; i < count; ++i) {
    const double scale = norms[first + i] > 0 ? 1 / norms[first + i] : 0;
    const float* from = x.data() + (first + i) * dim;
    for (std::size_t d = 0; d < dim; ++d) unit[i * dim + d] = static_cast<float>(from[d] * scale);
  }
}

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
  // `count` similarities of the items from `first` on.
  void add(const float* similarity, std::size_t count, std::size_t first) {
    constexpr std::size_t chunk = 32;
    std::size_t j = 0;
    for (; j + chunk <= count; j += chunk) {
      int any = 0;  // most chunks hold nothing: one branch for all of it
      for (std::size_t c = 0; c < chunk; ++c) any |= similarity[j + c] >= threshold_;
      if (any)
        for (std::size_t c = 0; c < chunk; ++c) add_one(similarity[j + c], first + j + c);
    }
    for (; j < count; ++j) add_one(similarity[j], first + j);
  }
  const std::vector<Item>& finish() {
    if (items_.size() > k_) prune();
    return items_;
  }

 private:
  void add_one(float similarity, std::size_t index) {
    if (similarity < threshold_) return;
    items_.push_back({similarity, static_cast<std::uint32_t>(index)});
    if (items_.size() >= limit_) prune();
  }
  void prune() {
    std::nth_element(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(k_ - 1), items_.end(),
                     [](const Item& a, const Item& b) { return a.similarity > b.similarity; });
    threshold_ = items_[k_ - 1].similarity - margin_;
    std::erase_if(items_, [this](const Item& item) { return item.similarity < threshold_; });
    limit_ = std::max(limit_, 2 * items_.size());  // many nearly equal items: prune less often
  }
  std::size_t k_ = 0, limit_ = 0;
  float margin_ = 0, threshold_ = 0;
  std::vector<Item> items_;
};

// One search: the packed items and what measures a candidate exactly.
class NeighbourSearch {
 public:
  NeighbourSearch(TensorView<const float, dyn, dyn> train, TensorView<const float, dyn, dyn> queries, std::size_t k,
                  Executor& executor)
      : train_(train),
        queries_(queries),
        k_(k),
        train_norms_(row_norms(train, "items", executor)),
        query_norms_(row_norms(queries, "queries", executor)) {
    const std::size_t n = train.extent(0), dim = train.extent(1);
    std::vector<float> unit(std::min(n, item_block) * dim);
    for (std::size_t first = 0; first < n; first += item_block) {
      const std::size_t count = std::min(item_block, n - first);
      parallel_for(executor, count, 128, [&](std::size_t begin, std::size_t end) {
        unit_rows(train, train_norms_, first + begin, end - begin, unit.data() + begin * dim);
      });
      packed_.emplace_back(executor, unit.data(), dim, count, dim);
    }
  }

  // The neighbours of `rows` queries from `first` on.
  void find(std::size_t first, std::size_t rows, Neighbours& result) const {
    const std::size_t dim = train_.extent(1);
    std::vector<float> unit(rows * dim), products(rows * std::min(item_block, train_.extent(0)));
    unit_rows(queries_, query_norms_, first, rows, unit.data());
    // A float32 product of unit vectors is off by at most about (D + 4) 2^-24; the difference of two of them by twice
    // that. Doubled once more for the roundings of the unit rows.
    const auto margin = static_cast<float>(4 * (static_cast<double>(dim) + 8) * 0x1p-24);
    std::vector<Candidates> candidates(rows);
    for (auto& c : candidates) c.reset(k_, margin);
    OneThread here;
    for (std::size_t b = 0; b < packed_.size(); ++b) {
      const std::size_t count = packed_[b].rows();
      backend::cpu::product<float>(here, unit.data(), dim, rows, packed_[b], products.data(), count);
      for (std::size_t r = 0; r < rows; ++r) candidates[r].add(products.data() + r * count, count, b * item_block);
    }
    std::vector<std::pair<double, std::uint32_t>> exact;
    for (std::size_t r = 0; r < rows; ++r) {
      exact.clear();
      for (const auto& item : candidates[r].finish()) exact.emplace_back(cosine(first + r, item.index), item.index);
      std::partial_sort(exact.begin(), exact.begin() + static_cast<std::ptrdiff_t>(k_), exact.end(),
                        [](const auto& a, const auto& b) {
                          return a.first > b.first || (a.first == b.first && a.second < b.second);
                        });
      for (std::size_t j = 0; j < k_; ++j) {
        result.cosine(first + r, j) = exact[j].first;
        result.index(first + r, j) = exact[j].second;
      }
    }
  }

 private:
  // Similarities of one block of items and one task's queries stay in a core's cache.
  static constexpr std::size_t item_block = 1024;

  double cosine(std::size_t query, std::size_t item) const {
    const std::size_t dim = train_.extent(1);
    const double norms = query_norms_[query] * train_norms_[item];
    return norms > 0 ? dot(queries_.data() + query * dim, train_.data() + item * dim, dim) / norms : 0.0;
  }

  TensorView<const float, dyn, dyn> train_, queries_;
  std::size_t k_;
  std::vector<double> train_norms_, query_norms_;
  std::vector<backend::cpu::PackedMatrix<float>> packed_;
};

}  // namespace detail

VITALS_INLINE Neighbours neighbours(TensorView<const float, dyn, dyn> train, TensorView<const float, dyn, dyn> queries,
                                    std::size_t k, const NeighbourOptions& options) {
  const std::size_t n = train.extent(0), m = queries.extent(0);
  if (train.extent(1) != queries.extent(1))
    throw ShapeError("[neighbours] queries " + to_string(queries.shape()) + " against items " +
                     to_string(train.shape()));
  if (n > std::numeric_limits<std::uint32_t>::max()) throw ShapeError("[neighbours] more than 2^32 items");
  if (k == 0 || k > n)
    throw ArgumentError("[neighbours] k = " + std::to_string(k) + " of " + std::to_string(n) + " items", "",
                        "take k from 1 to " + std::to_string(n));
  Executor& executor = options.executor ? *options.executor : default_pool();
  const detail::NeighbourSearch search(train, queries, k, executor);
  Neighbours result{Tensor<std::uint32_t, dyn, dyn>({m, k}), Tensor<double, dyn, dyn>({m, k})};

  // Any cut of the queries gives the same result: few queries are shared out, many go in blocks that fit the cache.
  // With a progress sink the blocks go in waves, so that it is called from one thread and in order.
  const std::size_t block = std::clamp<std::size_t>(m / executor.threads(), 16, 256);
  const std::size_t blocks = (m + block - 1) / block;
  const std::size_t wave = options.progress ? 4 * std::size_t{executor.threads()} : blocks;
  for (std::size_t b = 0; b < blocks; b += wave) {
    executor.run(std::min(wave, blocks - b), [&](std::size_t i) {
      const std::size_t first = (b + i) * block;
      search.find(first, std::min(block, m - first), result);
    });
    if (options.progress) options.progress("neighbours", std::min(m, (b + wave) * block), m);
  }
  return result;
}

}  // namespace vitals::inline v0::eval
