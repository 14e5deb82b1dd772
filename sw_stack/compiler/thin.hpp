#pragma once
// Machines of less memory, whose programs are programs for the machine that is compiled for.

#include <algorithm>

#include "isa/generated/configs.hpp"

namespace espalier::compiler {

/// Memories that there is less of, a bit each.
inline constexpr unsigned kLessWeights = 1, kLessActivations = 2, kLessAccumulators = 4,
                          kLessParameters = 8;
/// All sets of them, those first that lead furthest.
inline constexpr unsigned kThin[] = {1, 2, 4, 8, 15, 3, 5, 9, 7, 13, 11, 14, 6, 10, 12};

/// A machine with an eighth of what configurations have, or with what it has if that is less: the
/// same for all machines that have more.
inline isa::Config thin(isa::Config machine, unsigned less) {
  const auto limit = [less](unsigned bit, int& size, int most) {
    if ((less & bit) != 0) size = std::min(size, most);
  };
  limit(kLessWeights, machine.weight_words, 32 * machine.lanes);
  limit(kLessActivations, machine.act_words, 64 * machine.lanes);
  limit(kLessAccumulators, machine.acc_words, 4 * machine.lanes);
  limit(kLessParameters, machine.param_blocks, 8);
  return machine;
}

}  // namespace espalier::compiler
