// Implementation of neighbours.hpp.
//
// Why the candidates hold every neighbour. Let q and t be unit rows, c = q . t their cosine, and z one row for all (the mean
// of some items). With q' = q - z and t' = t - z
//   c = q' . t' + z . t' + something of q alone,
// so the score s = q' . t' + z . t' orders the items as c does; features share a large common part, and without it the
// rounded numbers and so the errors are smaller. What is multiplied is q^ and t^, q' and t' rounded to float32 or
// bfloat16. With |x| a length and l(x) = |x' - x^| what the rounding of a row lost,
//   |s - computed s| <= l(q) |t'| + |q^| l(t) + (D + 32) 2^-23 (|q^| |t^| + |z| |t'|) =: E,
// the last term twice what float32 sums of D products, the added z . t' and the roundings on the way can lose. Lost
// lengths are measured for each row: for bfloat16 that is less than half of what 2^-8 |x'| allows. Items of a larger
// E stand for all. At least k items have s >= (k-th best computed s) - E, so an item whose computed s is below that by
// more than E is none of the k nearest: the margin is 2 E.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <vitals/backend/cpu/product.hpp>
#include <vitals/backend/cpu/scan.hpp>
#include <vitals/core/error.hpp>
#include <vitals/eval/neighbours.hpp>

namespace vitals::inline v0::eval {

namespace detail {

// The items of one query that may still be among its k best: those whose score is at least the k-th best one so far
// less `margin`.
class Candidates {
 public:
  // Scores lie in [-bound, bound].
  void reset(std::size_t k, float margin, float bound) {
    k_ = k, margin_ = margin, bound_ = bound, limit_ = 2 * k + 64, threshold_ = -bound - margin;
    scores_.clear(), index_.clear();
    scores_.reserve(limit_), index_.reserve(limit_);
  }
  void add(float score, std::uint32_t index) { scores_.push_back(score), index_.push_back(index); }
  bool full() const { return scores_.size() >= limit_; }
  float threshold() const { return threshold_; }
  const std::vector<std::uint32_t>& index() const { return index_; }

  // Raises the threshold and drops what is below it. A threshold is right as soon as k items reach it, so the search for
  // it may stop when few more than that do; `slack` of them.
  void prune(const backend::cpu::ScanKernels& scan, std::size_t slack, std::vector<std::uint32_t>& scratch) {
    const std::size_t size = scores_.size();
    if (size <= k_) return;
    float low = threshold_, high = bound_;
    for (int step = 0; step < 40; ++step) {
      const float middle = 0.5f * (low + high);
      if (!(low < middle && middle < high)) break;
      const std::size_t count = scan.count_at_least(scores_.data(), size, middle);
      (count >= k_ ? low : high) = middle;
      if (count >= k_ && count <= k_ + slack) break;
    }
    threshold_ = std::max(threshold_, low - margin_);
    if (scratch.size() < size) scratch.resize(size);
    const std::size_t kept = scan.at_least(scores_.data(), 1, size, &threshold_, scratch.data());
    for (std::size_t i = 0; i < kept; ++i) scores_[i] = scores_[scratch[i]], index_[i] = index_[scratch[i]];
    scores_.resize(kept), index_.resize(kept);
    limit_ = std::max(limit_, 2 * kept);  // many nearly equal items: prune less often
  }

 private:
  std::size_t k_ = 0, limit_ = 0;
  float margin_ = 0, bound_ = 0, threshold_ = 0;
  std::vector<float> scores_;
  std::vector<std::uint32_t> index_;
};

// Both matrices, the norms of their rows and the row z that is taken from all of them.
class NeighbourRows {
 public:
  NeighbourRows(TensorView<const float, dyn, dyn> items, TensorView<const float, dyn, dyn> queries, Executor& executor)
      : items(items),
        queries(queries),
        dim(items.extent(1)),
        scan(backend::cpu::scan_kernels(backend::cpu::active_isa())),
        item_norms(norms(items, "items", executor)),
        query_norms(norms(queries, "queries", executor)),
        centre(dim) {
    const std::size_t n = items.extent(0), some = std::min<std::size_t>(n, 512);
    std::vector<double> sum(dim);
    for (std::size_t i = 0; i < some; ++i) {
      const std::size_t row = i * n / some;
      const double scale = inverse(item_norms[row]) / static_cast<double>(some);
      for (std::size_t d = 0; d < dim; ++d) sum[d] += items.data()[row * dim + d] * scale;
    }
    for (std::size_t d = 0; d < dim; ++d) centre[d] = static_cast<float>(sum[d]);
  }

  // The lengths that the bound of the error is made of.
  struct Lengths {
    double row, lost;
  };
  // x / norm - z to `out` (D).
  template <class T>
  Lengths prepare(const float* x, double norm, float* out) const {
    scan.scale_and_shift(x, inverse(norm), centre.data(), dim, out);
    const double row = std::sqrt(dot(out, out));
    double lost = 0x1p-23 * row + 1e-15;  // rounding to float32; squares that are too small for it
    if constexpr (std::is_same_v<T, bfloat16>) lost += 1.001 * std::sqrt(double{scan.rounding_loss(out, dim)});
    return {row, lost};
  }
  double dot(const float* a, const float* b) const {
    double result;
    scan.dots(&a, &b, 1, dim, &result);
    return result;
  }

  const TensorView<const float, dyn, dyn> items, queries;
  const std::size_t dim;
  const backend::cpu::ScanKernels& scan;
  const std::vector<double> item_norms, query_norms;
  std::vector<float> centre;

 private:
  static double inverse(double norm) { return norm > 0 ? 1 / norm : 0; }

  std::vector<double> norms(TensorView<const float, dyn, dyn> x, const char* matrix, Executor& executor) const {
    const std::size_t n = x.extent(0);
    std::vector<double> out(n);
    parallel_for(executor, n, 1024, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) out[i] = std::sqrt(dot(x.data() + i * dim, x.data() + i * dim));
    });
    for (std::size_t i = 0; i < n; ++i)
      if (!std::isfinite(out[i]))
        throw DataError("[neighbours] a number that is not finite", std::string(matrix) + " row " + std::to_string(i));
    return out;
  }
};

// The items packed as T, float or bfloat16, and the search through them.
template <class T>
class NeighbourSearch {
 public:
  NeighbourSearch(const NeighbourRows& rows, std::size_t k, Executor& executor)
      : rows_(rows), k_(k), kernel_(backend::cpu::product_kernels<T>(backend::cpu::active_isa())) {
    const std::size_t n = rows.items.extent(0), dim = rows.dim, blocks = (n + item_block - 1) / item_block;
    packed_.resize(blocks), bias_.resize(n);
    std::vector<typename NeighbourRows::Lengths> longest(blocks, {0, 0});
    executor.run(blocks, [&](std::size_t b) {
      const std::size_t first = b * item_block, count = std::min(item_block, n - first);
      std::vector<float> unit(count * dim);
      for (std::size_t i = 0; i < count; ++i) {
        float* row = unit.data() + i * dim;
        const auto at =
            rows.template prepare<T>(rows.items.data() + (first + i) * dim, rows.item_norms[first + i], row);
        longest[b] = {std::max(longest[b].row, at.row), std::max(longest[b].lost, at.lost)};
        bias_[first + i] = static_cast<float>(rows.dot(rows.centre.data(), row));
      }
      SerialExecutor here;
      packed_[b] = backend::cpu::PackedMatrix<T>(here, unit.data(), dim, count, dim);
    });
    for (const auto& at : longest) longest_ = {std::max(longest_.row, at.row), std::max(longest_.lost, at.lost)};
  }

  // The neighbours of `count` queries from `first` on. False, and nothing is written, if more than `budget` candidates
  // would have to be measured exactly.
  bool find(std::size_t first, std::size_t count, std::size_t budget, Neighbours& result) const {
    const std::size_t dim = rows_.dim;
    std::vector<float> unit(count * dim);
    Task task;
    task.candidates.resize(count), task.thresholds.resize(count);
    const double centre = std::sqrt(rows_.dot(rows_.centre.data(), rows_.centre.data()));
    for (std::size_t r = 0; r < count; ++r) {
      const auto at = rows_.template prepare<T>(rows_.queries.data() + (first + r) * dim, rows_.query_norms[first + r],
                                                unit.data() + r * dim);
      const double size = (at.row + at.lost) * (longest_.row + longest_.lost) + centre * longest_.row;
      const double error = at.lost * longest_.row + (at.row + at.lost) * longest_.lost +
                           (static_cast<double>(dim) + 32) * 0x1p-23 * size + 1e-12;
      task.candidates[r].reset(k_, static_cast<float>(2.002 * error), static_cast<float>(1.001 * size + error));
      task.thresholds[r] = task.candidates[r].threshold();
    }
    if (!(kernel_ ? scan_tiles(unit.data(), budget, task) : scan_blocks(unit.data(), budget, task))) return false;
    for (auto& c : task.candidates) c.prune(rows_.scan, 0, task.scratch);
    if (over(budget, task)) return false;
    measure(first, task.candidates, result);
    return true;
  }

 private:
  static constexpr std::size_t item_block = 256;

  // Some queries on their way through the items.
  struct Task {
    std::vector<Candidates> candidates;
    std::vector<float> thresholds;
    std::vector<std::uint32_t> positions, scratch;
  };

  static bool over(std::size_t budget, const Task& task) {
    std::size_t total = 0;
    for (const auto& c : task.candidates) total += c.index().size();
    return total > budget;
  }

  // A tile of the queries against a panel of the items: the scores never leave the level-1 cache.
  bool scan_tiles(const float* unit, std::size_t budget, Task& task) const {
    const std::size_t dim = rows_.dim, count = task.candidates.size(), lanes = packed_[0].lanes();
    const std::size_t mr = kernel_->mr, nr = kernel_->nr, tiles = (count + mr - 1) / mr;
    backend::cpu::Buffer<backend::cpu::Lane<T>> packed(tiles * mr * lanes);
    for (std::size_t t = 0; t < tiles; ++t)
      kernel_->pack(unit + t * mr * dim, dim, std::min(mr, count - t * mr), dim, mr, packed.data() + t * mr * lanes);
    backend::cpu::Buffer<float> scores(mr * nr);
    task.positions.resize(mr * nr);
    for (std::size_t b = 0; b < packed_.size(); ++b) {
      for (std::size_t column = 0; column < packed_[b].rows(); column += nr) {
        const std::size_t cols = std::min(nr, packed_[b].rows() - column), item = b * item_block + column;
        if (cols < nr) std::fill_n(scores.data(), mr * nr, -std::numeric_limits<float>::infinity());
        const auto* panel = packed_[b].panel(column / nr, nr);
        const auto* next = column + nr < packed_[b].rows() ? panel + nr * lanes
                           : b + 1 < packed_.size()        ? packed_[b + 1].data()
                                                           : panel;
        for (std::size_t t = 0; t < tiles; ++t) {
          const std::size_t here = std::min(mr, count - t * mr);
          const auto* tile = packed.data() + t * mr * lanes;
          // The first eight tiles fetch the next panel between them.
          kernel_->product_tile(tile, panel, lanes, scores.data(), nr, here, cols,
                                {backend::cpu::Store::plain, bias_.data() + item, nullptr},
                                t < 8 ? next + t * nr * lanes / 8 : tile);
          take(scores.data(), t * mr, here, nr, item, task);
        }
      }
      if (over(budget, task)) return false;
    }
    return true;
  }

  // Where this build has no kernels: block after block of products by what product() has.
  bool scan_blocks(const float* unit, std::size_t budget, Task& task) const {
    const std::size_t count = task.candidates.size();
    SerialExecutor here;
    std::vector<float> scores(count * item_block);
    task.positions.resize(count * item_block);
    for (std::size_t b = 0; b < packed_.size(); ++b) {
      const std::size_t items = packed_[b].rows(), item = b * item_block;
      backend::cpu::product<T>(here, unit, rows_.dim, count, packed_[b], scores.data(), items,
                               {backend::cpu::Store::plain, bias_.data() + item, nullptr});
      take(scores.data(), 0, count, items, item, task);
      if (over(budget, task)) return false;
    }
    return true;
  }

  // Scores (count, cols) of the queries from `row` on and the items from `item` on.
  void take(const float* scores, std::size_t row, std::size_t count, std::size_t cols, std::size_t item,
            Task& task) const {
    const std::size_t found =
        rows_.scan.at_least(scores, count, cols, task.thresholds.data() + row, task.positions.data());
    std::size_t r = 0, end = cols;
    for (std::size_t i = 0; i < found; ++i) {
      const std::size_t position = task.positions[i];
      while (position >= end) ++r, end += cols;
      auto& candidates = task.candidates[row + r];
      candidates.add(scores[position], static_cast<std::uint32_t>(item + position + cols - end));
      if (!candidates.full()) continue;
      candidates.prune(rows_.scan, k_ / 16, task.scratch);
      task.thresholds[row + r] = candidates.threshold();
    }
  }

  // Orders the candidates of the queries from `first` on by their cosines in double, equal ones by number. The items are
  // walked through once for all queries together, so that they come from memory in order.
  void measure(std::size_t first, const std::vector<Candidates>& candidates, Neighbours& result) const {
    const std::size_t dim = rows_.dim, n = rows_.items.extent(0);
    using Exact = std::pair<double, std::uint32_t>;
    std::vector<std::vector<Exact>> exact(candidates.size());
    for (std::size_t r = 0; r < candidates.size(); ++r) exact[r].reserve(candidates[r].index().size());
    std::vector<const float*> left, right;
    std::vector<double> dots;
    for (std::size_t begin = 0; begin < n; begin += item_block) {
      left.clear(), right.clear();
      for (std::size_t r = 0; r < candidates.size(); ++r) {
        const auto& index = candidates[r].index();
        for (std::size_t j = exact[r].size(); j < index.size() && index[j] < begin + item_block; ++j) {
          exact[r].emplace_back(0.0, index[j]);
          left.push_back(rows_.queries.data() + (first + r) * dim);
          right.push_back(rows_.items.data() + index[j] * dim);
        }
      }
      dots.resize(left.size());
      rows_.scan.dots(left.data(), right.data(), left.size(), dim, dots.data());
      std::size_t next = 0;
      for (std::size_t r = 0; next < dots.size(); ++r) {
        std::size_t j = exact[r].size();
        while (j > 0 && exact[r][j - 1].second >= begin) --j;
        for (; j < exact[r].size(); ++j) {
          const double norms = rows_.query_norms[first + r] * rows_.item_norms[exact[r][j].second];
          exact[r][j].first = norms > 0 ? dots[next] / norms : 0.0;
          ++next;
        }
      }
    }
    for (std::size_t r = 0; r < candidates.size(); ++r) {
      const auto nearer = [](const Exact& a, const Exact& b) {
        return a.first > b.first || (a.first == b.first && a.second < b.second);
      };
      const auto end = exact[r].begin() + static_cast<std::ptrdiff_t>(k_);
      if (end != exact[r].end()) std::nth_element(exact[r].begin(), end, exact[r].end(), nearer);
      std::sort(exact[r].begin(), end, nearer);
      for (std::size_t j = 0; j < k_; ++j) {
        result.cosine(first + r, j) = exact[r][j].first;
        result.index(first + r, j) = exact[r][j].second;
      }
    }
  }

  const NeighbourRows& rows_;
  std::size_t k_;
  const backend::cpu::ProductKernels<T>* kernel_;
  std::vector<backend::cpu::PackedMatrix<T>> packed_;
  std::vector<float> bias_;
  typename NeighbourRows::Lengths longest_{0, 0};
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
  Neighbours result{Tensor<std::uint32_t, dyn, dyn>({m, k}), Tensor<double, dyn, dyn>({m, k})};
  const detail::NeighbourRows rows(train, queries, executor);

  // Where the processor multiplies bfloat16 they are faster, unless they leave too many candidates. The result is the same.
  std::unique_ptr<const detail::NeighbourSearch<bfloat16>> rough;
  std::unique_ptr<const detail::NeighbourSearch<float>> fine;
  std::once_flag packed;
  std::atomic<bool> rough_is_useful = backend::cpu::active_isa() == backend::cpu::Isa::avx512bf16;
  if (rough_is_useful)
    rough = std::make_unique<detail::NeighbourSearch<bfloat16>>(rows, k, executor);
  else
    fine = std::make_unique<detail::NeighbourSearch<float>>(rows, k, executor);
  const auto find = [&](std::size_t first, std::size_t count) {
    if (rough_is_useful) {
      if (rough->find(first, count, count * (2 * k + std::max<std::size_t>(1024, n / 25)), result)) return;
      rough_is_useful = false;
    }
    std::call_once(packed, [&] {
      SerialExecutor here;
      if (!fine) fine = std::make_unique<detail::NeighbourSearch<float>>(rows, k, here);
    });
    fine->find(first, count, std::numeric_limits<std::size_t>::max(), result);
  };

  // Any cut of the queries gives the same result: blocks fit the cache, and every thread gets as many.
  // With a progress sink the blocks go in waves, so that it is called from one thread and in order.
  const std::size_t threads = executor.threads(), rounds = (m + 240 * threads - 1) / (240 * threads);
  const std::size_t share = rounds ? (m + rounds * threads - 1) / (rounds * threads) : 1;
  const std::size_t block = (share + 11) / 12 * 12;  // whole tiles of the widest kernels
  const std::size_t blocks = (m + block - 1) / block;
  const std::size_t wave = options.progress ? 4 * threads : blocks;
  for (std::size_t b = 0; b < blocks; b += wave) {
    executor.run(std::min(wave, blocks - b), [&](std::size_t i) {
      const std::size_t first = (b + i) * block;
      find(first, std::min(block, m - first));
    });
    if (options.progress) options.progress("neighbours", std::min(m, (b + wave) * block), m);
  }
  return result;
}

}  // namespace vitals::inline v0::eval
