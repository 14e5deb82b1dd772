#include "compiler/act_buffer.hpp"

#include <algorithm>

namespace espalier::compiler {

ActBuffer::ActBuffer(const isa::Config& config, const std::vector<Layer>& layers,
                     const std::vector<Piece>& pieces)
    : layers_(layers),
      pieces_(pieces),
      words_(static_cast<std::size_t>(config.act_words), -1),
      rings_(layers.size()) {}

ActBuffer::Ring ActBuffer::make_ring(const Piece& piece) const {
  const Layer& layer = at(layers_, piece.layer);
  Ring ring;
  if (layer.is_pool()) {
    ring = {layer.pool_plan.base, layer.pool_plan.slot_words, layer.pool_plan.slots, 0};
  } else if (piece.kind == PieceKind::kOperand) {
    const ConvPlan& plan = layer.conv_plan;
    ring = {plan.budget - plan.operand_slots * plan.operand_words, plan.operand_words,
            plan.operand_slots, 0};
  } else {
    ring = {0, layer.conv_plan.slot_words, layer.conv_plan.slots, 0};
  }
  // Start at the slot that the layers before leave first.
  int best = piece.first_step + 1;
  for (int slot = 0; slot < ring.slots; ++slot) {
    int busy = -1;
    for (int w = 0; w < ring.slot_words; ++w) {
      const int id = at(words_, ring.base + slot * ring.slot_words + w);
      if (id >= 0) busy = std::max(busy, at(pieces_, id).last_step);
    }
    if (busy < best) {
      best = busy;
      ring.next = slot;
    }
  }
  return ring;
}

ActBuffer::Ring& ActBuffer::ring_of(const Piece& piece) {
  Ring& ring = at(rings_, piece.layer)[piece.kind == PieceKind::kOperand ? 1 : 0];
  if (ring.next < 0) ring = make_ring(piece);
  return ring;
}

int ActBuffer::address(const Piece& piece) {
  if (piece.kind == PieceKind::kPoolTable) return 0;
  const Ring& ring = ring_of(piece);
  return ring.base + ring.next * ring.slot_words;
}

std::vector<int> ActBuffer::occupants(const Piece& piece, int address) const {
  std::vector<int> list;
  if (piece.kind == PieceKind::kPoolTable) {
    if (table_ >= 0) list.push_back(table_);
    return list;
  }
  for (int w = 0; w < piece.words; ++w) {
    const int id = at(words_, address + w);
    if (id >= 0 && (list.empty() || list.back() != id)) list.push_back(id);
  }
  return list;
}

void ActBuffer::place(int id, int address) {
  const Piece& piece = at(pieces_, id);
  if (piece.kind == PieceKind::kPoolTable) {
    table_ = id;
    return;
  }
  ESP_CHECK(address >= 0 && static_cast<std::size_t>(address + piece.words) <= words_.size());
  std::fill_n(words_.begin() + address, piece.words, id);
  Ring& ring = ring_of(piece);
  ESP_CHECK(piece.words <= ring.slot_words);
  ring.next = (ring.next + 1) % ring.slots;
}

}  // namespace espalier::compiler
