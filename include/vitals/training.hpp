// The umbrella of training: vitals.hpp; the tape, losses, optimisers and adapters that move a model's parameters; the
// trainer and the protocol of fine-tuning.
#pragma once

#include <vitals/adapt/freeze.hpp>
#include <vitals/adapt/lora.hpp>
#include <vitals/adapt/peft.hpp>
#include <vitals/adapt/trainable.hpp>
#include <vitals/autograd/tape.hpp>
#include <vitals/eval/fine_tune.hpp>
#include <vitals/losses/cross_entropy.hpp>
#include <vitals/train/optimizer.hpp>
#include <vitals/train/schedule.hpp>
#include <vitals/train/trainable_presets.hpp>
#include <vitals/vitals.hpp>
