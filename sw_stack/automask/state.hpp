#pragma once
// What is known after an epoch: enough to go on with the same result.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "automask/train.hpp"

namespace espalier::automask {

struct State {
  std::uint64_t digest = 0;  ///< of what is trained, how and on what
  Epoch before;
  std::vector<Epoch> epochs;  ///< done
  int best = 0;
  std::vector<std::uint8_t> environment;  ///< of the best epoch, as its file
  std::string parameters, adam;           ///< as LibTorch writes them
};

/// Whole or not at all. Errors: kIo.
Status save_state(const State& state, const std::string& path);
/// Errors: kIo, kMalformed; kMismatch where it is of another training.
Result<State> load_state(const std::string& path, std::uint64_t digest);

}  // namespace espalier::automask
