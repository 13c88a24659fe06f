// The umbrella of the models: tensors, files and pictures, transforms, backends, layers, presets. What measures them (data
// sets, protocols, metrics, reports) is in evaluation.hpp, so that a program that only runs a model stays quick to build.
// Every header can also be included alone, and costs less.
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
#include <vitals/data/transforms.hpp>
#include <vitals/io/atomic_file.hpp>
#include <vitals/io/image.hpp>
#include <vitals/io/safetensors.hpp>
#include <vitals/io/tensor_file.hpp>
#include <vitals/models/backbone.hpp>
#include <vitals/models/checkpoint.hpp>
#include <vitals/models/demo.hpp>
#include <vitals/models/dinov2.hpp>
#include <vitals/models/vit.hpp>
#include <vitals/nn/linear.hpp>
