// The umbrella: everything there is. Every other header can also be included alone, and costs less.
#pragma once

#include <vitals/backend/cpu/cpu.hpp>
#include <vitals/core/config.hpp>
#include <vitals/core/error.hpp>
#include <vitals/core/half.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/progress.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/core/sha256.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/core/version.hpp>
#include <vitals/io/atomic_file.hpp>
#include <vitals/io/safetensors.hpp>
#include <vitals/io/tensor_file.hpp>
#include <vitals/metrics/score.hpp>
#include <vitals/models/backbone.hpp>
#include <vitals/models/checkpoint.hpp>
#include <vitals/models/dinov2.hpp>
#include <vitals/models/vit.hpp>
#include <vitals/nn/linear.hpp>
