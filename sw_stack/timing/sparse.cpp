// Sparse CONVs: the weight sequencer's walk over codes, and the passes that follow it.

#include "isa/tile_codes.hpp"
#include "timing/model.hpp"

namespace espalier::timing {

using isa::Conv;

namespace {

constexpr std::size_t kCodes = 4;  // between sequencer and passes

}  // namespace

/// A header takes two cycles, a code one, a tile that runs L; codes wait for a place.
bool Model::try_sequence() {
  if (!sequencer_.busy) return false;
  const Conv& conv = as<Conv>(sequencer_.job.instruction);
  if (conv.w_sparse == 0) return false;
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
      const Time header = std::max(sequencer_.code_time, there());
      if (!known(header)) return moved;
      read(1, header + 1);
      sequencer_.code_time = header + 2;
      sequencer_.header_read = moved = true;
    }
    Time time = sequencer_.code_time;
    if (sequencer_.pushed.size() >= kCodes) {
      const std::size_t blocking = sequencer_.pushed.size() - kCodes;
      if (blocking >= passes_.popped.size()) return moved;
      time = std::max(time, passes_.popped[blocking] + 1);
    }
    const std::uint8_t code = codes[sequencer_.next_code];
    if (code == 0) {
      sequencer_.code_time = time + 1;
    } else {
      if (sequencer_.tiles_begun != passes_.tiles_taken)
        return moved;  // the shadow weights are full
      time = std::max({time, passes_.tile_taken + 1, there()});
      if (!known(time)) return moved;
      ++sequencer_.tiles_begun;
      passes_.tile_start = time;
      sequencer_.code_time = time + lanes_;
      read(lanes_, sequencer_.code_time);
    }
    sequencer_.pushed.push_back({time, code != 0});
    ++sequencer_.next_code;
    sequencer_.header_read = false;
  }
  sequencer_.end = sequencer_.code_time - 1;
  sequencer_.busy = false;
  return true;
}

/// A code a cycle; one that runs is a pass as any other.
bool Model::try_codes() {
  const Conv& conv = as<Conv>(passes_.conv);
  const Time pixels = static_cast<Time>(conv.rows) * conv.cols;
  const Time length = std::max(pixels, lanes_);
  bool moved = false;
  while (true) {
    if (passes_.taken_at < 0) {
      if (passes_.popped.size() == sequencer_.pushed.size()) return moved;
      const SequencerState::Pushed& code = sequencer_.pushed[passes_.popped.size()];
      Time time = std::max(code.time + 1, passes_.valid);
      if (code.runs) time = std::max(time, passes_.end);
      passes_.popped.push_back(time);
      passes_.valid = time + 1;
      --passes_.codes_left;
      moved = true;
      if (!code.runs) continue;
      passes_.taken_at = time;
      passes_.taken_start = code.time;
    }
    const Time half = passes_.half_free[passes_.half];
    if (!known(half)) return moved;
    const Time ready = passes_.taken_at + 1, tile = passes_.taken_start + lanes_ / 2 + 1;
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
