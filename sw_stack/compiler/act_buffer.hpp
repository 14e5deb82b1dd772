#pragma once
// Who occupies the activation buffer while instructions are emitted.

#include <vector>

#include "compiler/steps.hpp"

namespace espalier::compiler {

class ActBuffer {
 public:
  ActBuffer(const isa::Config& config, const std::vector<Layer>& layers,
            const std::vector<Piece>& pieces);

  /// The address that the piece will get.
  int address(const Piece& piece);
  /// The pieces that lie at the address now; the piece may go there once their last steps are out.
  [[nodiscard]] std::vector<int> occupants(const Piece& piece, int address) const;
  /// Puts piece `id` there.
  void place(int id, int address);

 private:
  /// A layer's slots for one kind of piece, filled in turn.
  struct Ring {
    int base = 0, slot_words = 0, slots = 0;
    int next = -1;
  };
  [[nodiscard]] Ring make_ring(const Piece& piece) const;
  Ring& ring_of(const Piece& piece);

  const std::vector<Layer>& layers_;
  const std::vector<Piece>& pieces_;
  std::vector<int> words_;                  // piece in each word of the buffer, -1: none yet
  int table_ = -1;                          // piece in the pool table
  std::vector<std::array<Ring, 2>> rings_;  // by layer: tiles, operands
};

}  // namespace espalier::compiler
