// Sparse CONVs: the weight sequencer's walk over codes, and the passes that follow it.

#include "isa/tile_codes.hpp"
#include "timing/model.hpp"

namespace espalier::timing {

using isa::Conv;

namespace {

constexpr std::size_t kCodes = 4;  // between sequencer and passes

}  // namespace

/// A header takes three cycles, a code one. A tile that runs is begun when the array's shadow
/// weights are free and the one before is read; codes wait for a place.
bool Model::try_sequence() {
  if (!sequencer_.busy) return false;
  const Conv& conv = as<Conv>(sequencer_.job.instruction);
  if (conv.w_sparse == 0) return try_tile(conv);
  const program::TileCodes& codes = codes_[sequencer_.job.instruction];
  const auto there = [&] {
    return weights_.there(conv.w_release != 0 ? sequencer_.stream_at + lanes_
                                              : sequencer_.job.base + conv.w_offset + conv.w_piece);
  };
  const auto read = [&](Time words, Time shows) {
    sequencer_.stream_at += words;
    if (conv.w_release != 0) weights_.release(words, shows);
  };
  bool moved = false;
  for (; sequencer_.next_code < codes.size(); moved = true) {
    if (!sequencer_.header_read && sequencer_.next_code % isa::kHeaderTiles == 0) {
      const Time header =
          std::max({sequencer_.code_time, passes_.tile_start + lanes_ - 1, there()});
      if (!known(header)) return moved;
      read(1, header + 2);
      sequencer_.code_time = header + 3;
      sequencer_.header_read = moved = true;
    }
    const bool runs = codes[sequencer_.next_code] != 0;
    if (!sequencer_.examined) {
      Time time = sequencer_.code_time;
      if (sequencer_.pushed.size() >= kCodes) {
        const std::size_t blocking = sequencer_.pushed.size() - kCodes;
        if (blocking >= passes_.popped.size()) return moved;
        time = std::max(time, passes_.popped[blocking] + 1);
      }
      sequencer_.pushed.push_back({time, runs});
      sequencer_.code_time = time + 1;
      sequencer_.examined = moved = true;
    }
    if (runs) {
      if (sequencer_.starts.size() != passes_.tiles_taken)
        return moved;  // the shadow weights are full
      const Time begun = std::max(
          {sequencer_.code_time, passes_.tile_taken, passes_.tile_start + lanes_ - 1, there()});
      if (!known(begun)) return moved;
      sequencer_.code_time = passes_.tile_start = begun + 1;
      sequencer_.starts.push_back(passes_.tile_start);
      read(lanes_, passes_.tile_start + lanes_);
    }
    ++sequencer_.next_code;
    sequencer_.header_read = sequencer_.examined = false;
  }
  sequencer_.end = sequencer_.code_time;
  sequencer_.busy = false;
  return true;
}

/// A code a cycle; one that runs is offered in the next, a pass as any other.
bool Model::try_codes() {
  const Conv& conv = as<Conv>(passes_.conv);
  const Time pixels = static_cast<Time>(conv.rows) * conv.cols;
  const Time length = pass_cycles(pixels);
  bool moved = false;
  while (true) {
    if (passes_.taken_at < 0) {
      if (passes_.popped.size() == sequencer_.pushed.size()) return moved;
      const SequencerState::Pushed& code = sequencer_.pushed[passes_.popped.size()];
      const Time time = std::max(code.time + 1, passes_.valid);
      passes_.popped.push_back(time);
      passes_.valid = time + 1;
      --passes_.codes_left;
      moved = true;
      if (!code.runs) continue;
      passes_.taken_at = std::max(time + 1, passes_.end);
      passes_.valid = passes_.taken_at + 1;
    }
    if (sequencer_.starts.size() == passes_.tiles_taken) return moved;
    const Time half = passes_.half_free[passes_.half];
    if (!known(half)) return moved;
    const Time ready = passes_.taken_at + 1;
    const Time tile = sequencer_.starts[passes_.tiles_taken] + lanes_ / 2 + 1;
    const Time go = std::max({ready, tile, half});
    const Time due =
        passes_.piece == 0 ? ready : passes_.end + 1;  // later where codes are to be skipped
    passes_.showing.post += std::max<Time>(0, half - ready);
    passes_.showing.weights += ready - due + std::max<Time>(0, tile - std::max(ready, half));
    passes_.showing.fed += pixels;
    passes_.showing.spare += length - pixels;
    passes_.tile_taken = go;
    ++passes_.tiles_taken;
    ++passes_.piece;
    passes_.end = go + length - 1;
    const Time taken = passes_.taken_at;
    passes_.taken_at = -1;
    moved = true;
    if (passes_.codes_left > 0) continue;
    finish_conv(conv, go, taken);
    return true;
  }
}

}  // namespace espalier::timing
