// A tape and every operation that it can record; recording.hpp explains how it works.
#pragma once

#include <vitals/autograd/attention.hpp>
#include <vitals/autograd/block.hpp>
#include <vitals/autograd/drop_path.hpp>
#include <vitals/autograd/feed_forward.hpp>
#include <vitals/autograd/gelu.hpp>
#include <vitals/autograd/layer_norm.hpp>
#include <vitals/autograd/linear.hpp>
#include <vitals/autograd/linear_scale_add.hpp>
#include <vitals/autograd/recording.hpp>
#include <vitals/autograd/silu_gate.hpp>
#include <vitals/autograd/tokens.hpp>
