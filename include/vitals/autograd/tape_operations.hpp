// The operations that a tape can record, declared. Layers are written once against `ops`; these overloads are defined one
// in a file, forward and backward side by side, and reached through tape.hpp by those who train.
#pragma once

#include <cstddef>
#include <cstdint>

#include <vitals/backend/concept.hpp>
#include <vitals/core/tensor.hpp>

namespace vitals::inline v0 {

template <backend::Backend B>
class Tape;
template <backend::Backend B, std::size_t... E>
class Variable;

namespace ops {

/// Where a residual branch stands in a model, for drop path.
struct BranchPlace {
  std::uint64_t number = 0;  ///< 2 i the attention of block i, 2 i + 1 its feed-forward part
  double depth = 0;          ///< of its block: 0 the first, 1 the last
};

template <std::size_t Out, class B, std::size_t In, class Weight, class Bias>
Variable<B, dyn, dyn, Out> linear(Tape<B>& tape, const Variable<B, dyn, dyn, In>& x, const Weight& weight,
                                  const Bias& bias);
template <std::size_t Out, class B, std::size_t In, class Weight, class Bias>
Variable<B, dyn, dyn, Out> linear_gelu(Tape<B>& tape, const Variable<B, dyn, dyn, In>& x, const Weight& weight,
                                       const Bias& bias);
template <class B, std::size_t Out, std::size_t In, class Weight, class Bias, class Gamma>
Variable<B, dyn, dyn, Out> linear_scale_add(Tape<B>& tape, Variable<B, dyn, dyn, Out> residual,
                                            const Variable<B, dyn, dyn, In>& x, const Weight& weight, const Bias& bias,
                                            const Gamma& gamma);
template <std::size_t Hidden, class B, std::size_t D, class Weight1, class Bias1, class Weight2, class Bias2, class Gamma>
Variable<B, dyn, dyn, D> feed_forward(Tape<B>& tape, Variable<B, dyn, dyn, D> residual,
                                      const Variable<B, dyn, dyn, D>& x, const Weight1& w1, const Bias1& b1,
                                      const Weight2& w2, const Bias2& b2, const Gamma& gamma);
template <class B, std::size_t D, class Gamma, class Beta>
Variable<B, dyn, dyn, D> layer_norm(Tape<B>& tape, const Variable<B, dyn, dyn, D>& x, const Gamma& gamma,
                                    const Beta& beta, double eps);
template <std::size_t Heads, class B, std::size_t D3>
Variable<B, dyn, dyn, D3 / 3> attention(Tape<B>& tape, const Variable<B, dyn, dyn, D3>& qkv, std::size_t queries);
template <class B, std::size_t F2>
Variable<B, dyn, dyn, F2 / 2> silu_gate(Tape<B>& tape, const Variable<B, dyn, dyn, F2>& x);
template <std::size_t P, class B>
Variable<B, dyn, dyn, 3 * P * P> patches(Tape<B>& tape, TensorView<const float, dyn, 3, dyn, dyn> pixels);
template <std::size_t R, class B, std::size_t D, class Cls, class Registers, class Positions>
Variable<B, dyn, dyn, D> assemble_tokens(Tape<B>& tape, const Variable<B, dyn, dyn, D>& patches, const Cls& cls,
                                         const Registers& registers, const Positions& positions);
template <class B, std::size_t D>
Variable<B, dyn, dyn, D> take_tokens(Tape<B>& tape, const Variable<B, dyn, dyn, D>& x, std::size_t first,
                                     std::size_t count);
template <class B, class Body, std::size_t... E>
Variable<B, E...> residual_branch(Tape<B>& tape, Variable<B, E...> x, const BranchPlace& place, const Body& body);
template <class B, class Body, std::size_t... E>
Variable<B, E...> block(Tape<B>& tape, Variable<B, E...> x, const Body& body);

}  // namespace ops

}  // namespace vitals::inline v0
