// Implementation of trainable_presets.hpp: where the compiled library instantiates it.
#pragma once

#include <vitals/train/trainable_presets.hpp>

#if !VITALS_HEADER_ONLY
namespace vitals::inline v0::train {
template std::unique_ptr<TrainableBackbone> load_trainable<Cpu<float>>(const TrainableOptions&);
template std::unique_ptr<TrainableBackbone> load_trainable<Cpu<bfloat16>>(const TrainableOptions&);
}  // namespace vitals::inline v0::train
#endif
