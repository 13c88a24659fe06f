// The umbrella of segmentation: decoders on a frozen or adapted backbone, their losses and layers, the study's protocol.
#pragma once

#include <vitals/autograd/relu.hpp>
#include <vitals/autograd/resize.hpp>
#include <vitals/data/segmentation_dataset.hpp>
#include <vitals/eval/masks.hpp>
#include <vitals/eval/segmentation.hpp>
#include <vitals/eval/token_store.hpp>
#include <vitals/evaluation.hpp>
#include <vitals/heads/linear_segmenter.hpp>
#include <vitals/heads/unet_decoder.hpp>
#include <vitals/losses/segmentation.hpp>
#include <vitals/nn/batch_norm.hpp>
#include <vitals/nn/convolution.hpp>
#include <vitals/train/decoder_of.hpp>
#include <vitals/training.hpp>
