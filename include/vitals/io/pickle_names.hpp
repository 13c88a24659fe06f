// The list of names that a pickle may ask for; whatever is not here is refused.
#pragma once

#include <cstdint>
#include <string_view>

#include <vitals/io/tensor_entry.hpp>

namespace vitals::inline v0::io::detail {

/// What a name of the list stands for.
enum class PickleGlobal : std::uint8_t {
  ordered_dict,
  size,
  rebuild_tensor,
  rebuild_tensor_v3,
  rebuild_parameter,
  tensor_class,
  storage_type,
  dtype,
  opaque
};

struct PickleName {
  std::string_view module, name;
  PickleGlobal global;
  DType dtype = DType::f32;
};

// All that a pickle may ask for. `opaque` classes occur in training checkpoints beside the weights: their content is
// dropped unread. The tensor classes are how PyTorch before 0.4 wrote tensors and parameters. Types of storages and numbers without a DType (complex, quantised) are left out on purpose.
inline constexpr PickleName pickle_names[] = {
    {"collections", "OrderedDict", PickleGlobal::ordered_dict},
    {"torch", "Size", PickleGlobal::size},
    {"torch._utils", "_rebuild_tensor", PickleGlobal::rebuild_tensor},
    {"torch._utils", "_rebuild_tensor_v2", PickleGlobal::rebuild_tensor},
    {"torch._utils", "_rebuild_tensor_v3", PickleGlobal::rebuild_tensor_v3},
    {"torch._utils", "_rebuild_parameter", PickleGlobal::rebuild_parameter},
    {"torch._utils", "_rebuild_parameter_with_state", PickleGlobal::rebuild_parameter},
    {"torch.nn.parameter", "Parameter", PickleGlobal::tensor_class},
    {"torch", "FloatTensor", PickleGlobal::tensor_class},
    {"torch.cuda", "FloatTensor", PickleGlobal::tensor_class},
    {"torch", "LongTensor", PickleGlobal::tensor_class},
    {"torch.cuda", "LongTensor", PickleGlobal::tensor_class},
    {"torch", "DoubleStorage", PickleGlobal::storage_type, DType::f64},
    {"torch", "FloatStorage", PickleGlobal::storage_type, DType::f32},
    {"torch", "HalfStorage", PickleGlobal::storage_type, DType::f16},
    {"torch", "BFloat16Storage", PickleGlobal::storage_type, DType::bf16},
    {"torch", "LongStorage", PickleGlobal::storage_type, DType::i64},
    {"torch", "IntStorage", PickleGlobal::storage_type, DType::i32},
    {"torch", "ShortStorage", PickleGlobal::storage_type, DType::i16},
    {"torch", "CharStorage", PickleGlobal::storage_type, DType::i8},
    {"torch", "ByteStorage", PickleGlobal::storage_type, DType::u8},
    {"torch", "BoolStorage", PickleGlobal::storage_type, DType::boolean},
    {"torch", "UntypedStorage", PickleGlobal::storage_type, DType::u8},
    {"torch.storage", "UntypedStorage", PickleGlobal::storage_type, DType::u8},
    {"torch.cuda", "DoubleStorage", PickleGlobal::storage_type, DType::f64},
    {"torch.cuda", "FloatStorage", PickleGlobal::storage_type, DType::f32},
    {"torch.cuda", "HalfStorage", PickleGlobal::storage_type, DType::f16},
    {"torch.cuda", "BFloat16Storage", PickleGlobal::storage_type, DType::bf16},
    {"torch.cuda", "LongStorage", PickleGlobal::storage_type, DType::i64},
    {"torch", "float64", PickleGlobal::dtype, DType::f64},
    {"torch", "float32", PickleGlobal::dtype, DType::f32},
    {"torch", "float16", PickleGlobal::dtype, DType::f16},
    {"torch", "bfloat16", PickleGlobal::dtype, DType::bf16},
    {"torch", "float8_e4m3fn", PickleGlobal::dtype, DType::f8_e4m3},
    {"torch", "float8_e5m2", PickleGlobal::dtype, DType::f8_e5m2},
    {"torch", "int64", PickleGlobal::dtype, DType::i64},
    {"torch", "int32", PickleGlobal::dtype, DType::i32},
    {"torch", "int16", PickleGlobal::dtype, DType::i16},
    {"torch", "int8", PickleGlobal::dtype, DType::i8},
    {"torch", "uint64", PickleGlobal::dtype, DType::u64},
    {"torch", "uint32", PickleGlobal::dtype, DType::u32},
    {"torch", "uint16", PickleGlobal::dtype, DType::u16},
    {"torch", "uint8", PickleGlobal::dtype, DType::u8},
    {"torch", "bool", PickleGlobal::dtype, DType::boolean},
    {"torch", "device", PickleGlobal::opaque},
    {"argparse", "Namespace", PickleGlobal::opaque},
    {"numpy", "dtype", PickleGlobal::opaque},
    {"numpy.core.multiarray", "scalar", PickleGlobal::opaque},
    {"numpy._core.multiarray", "scalar", PickleGlobal::opaque},
    {"_codecs", "encode", PickleGlobal::opaque},
};

}  // namespace vitals::inline v0::io::detail
