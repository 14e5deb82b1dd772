#pragma once
// Whether every instruction that a mask shortens finds its layer's row in the layer table.

#include <string>
#include <vector>

#include "isa/instruction.hpp"

namespace espalier::program {

/// Follows a program's LOADs of the layer table, whose rows are taken modulo its size.
/// Source: docs/pack.md, section 3.
class Rows {
 public:
  explicit Rows(const isa::Config& config);
  /// Takes the next instruction; empty, or what is wrong with it.
  std::string take(const isa::Instruction& instruction);

 private:
  std::string load(const isa::Load& x);

  const isa::Config& config_;
  struct Row {
    std::int64_t layer = -1;  ///< whose it is
    std::uint32_t since = 0;  ///< earlier layers do not wait for its LOAD
  };
  std::vector<Row> rows_;
};

}  // namespace espalier::program
