// The options of the linear probe, shared by linear_probe and few_shot.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <vitals/eval/linear_probe.hpp>

#include "command_line.hpp"
#include "model.hpp"
#include "run.hpp"

namespace support {

/// --epochs, --batch, --lrs, --blocks, --avgpool, --augment, --paper-mode.
struct ProbeOptions {
  ProbeOptions(CommandLine& line, std::size_t default_epochs);
  ProbeOptions(const ProbeOptions&) = delete;

  std::size_t epochs, batch = 128;
  std::vector<double> lrs{1e-3, 5e-3, 1e-2, 5e-2};
  std::vector<std::size_t> blocks{1, 4}, avgpool{0, 1};
  std::string augment = "none";
  bool paper_mode = false;

  /// What the library takes. Throws UsageError, vitals::ArgumentError.
  vitals::eval::LinearProbeOptions of(Run& run, const ModelOptions& model) const;
  void add_conditions(Run& run) const;
};

}  // namespace support
