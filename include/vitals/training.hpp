// The umbrella of training: vitals.hpp, and the tape, losses, optimisers and adapters that move a model's parameters.
#pragma once

#include <vitals/autograd/tape.hpp>
#include <vitals/losses/cross_entropy.hpp>
#include <vitals/vitals.hpp>
