// The segmentation programs' common part: the options of `segment`, its data (a manifest or one of the study's archives), its
// run and what it writes.
#pragma once

#include <string_view>

#include "command_line.hpp"

namespace support {

/// The whole of `segment`. `benchmark`: the name of the data set whose archive --root names; empty: --data or --dataset says it.
void segment(CommandLine& line, int argc, char** argv, std::string_view benchmark = {});

}  // namespace support
