// The execute engine: weight sequencer, feeder and accumulator halves.

#include "timing/model.hpp"

namespace espalier::timing {

using isa::Conv;
using isa::Engine;

namespace {

/// Cycles that the pass generator takes for iy0 * row_pitch: two bits each.
Time origin_cycles(std::int32_t iy0) {
  if (iy0 == 0) return 0;
  Time cycles = 1;
  for (; iy0 != -1 && (iy0 >> 2) != 0; iy0 >>= 2) ++cycles;
  return cycles;
}

int pieces(const Conv& conv) {
  return conv.w_tapwise != 0 ? static_cast<int>(conv.kh * conv.kw) : 1;
}

/// Passes of a piece.
std::int64_t piece_passes(const Conv& conv) {
  return std::int64_t{conv.k_blocks} * conv.n_blocks *
         (conv.w_tapwise != 0 ? 1 : conv.kh * conv.kw);
}

constexpr Time kFineLatency = 3;  // of an array whose weights take one of four channels

}  // namespace

/// Cycles of a pass: two pixels are at work together where CONVs may be fine.
Time Model::pass_cycles(Time pixels) const {
  return std::max(pixels + (config_.fine != 0 ? pixels % 2 : 0), lanes_);
}

bool Model::try_exec() {
  bool moved = false;
  for (bool more = true; more; moved |= more) {
    more = try_nop(Engine::kExec, queues_[index(Engine::kExec)]);
    more |= try_accept_weights();
    more |= try_accept_conv();
    more |= try_sequence();
    more |= passes_.busy && try_piece();
  }
  return moved;
}

/// The sequencer takes a CONV once the last tile of the one before is begun.
bool Model::try_accept_weights() {
  if (weight_queue_.empty() || sequencer_.busy) return false;
  const Time time = std::max(weight_queue_.head_valid(), sequencer_.end);
  const std::size_t instruction = weight_queue_.head().instruction;
  weight_queue_.leave(time);
  sequencer_.job = {instruction, time + 2, sequencer_.base};
  const Conv& conv = as<Conv>(instruction);
  sequencer_.piece = 0;
  sequencer_.next_code = 0;
  sequencer_.header_read = false;
  sequencer_.code_time = time + 1;
  sequencer_.stream_at = sequencer_.base + conv.w_offset;
  if (conv.w_release != 0) {
    sequencer_.base += std::int64_t{conv.w_piece} * pieces(conv);
  }
  sequencer_.busy = true;
  return true;
}

bool Model::try_accept_conv() {
  Queue& queue = queues_[index(Engine::kExec)];
  if (passes_.busy || queue.empty() || head_is_nop(queue)) return false;
  const Queued& head = queue.head();
  const Time valid = queue.head_valid();
  const Time ready = board_.ready(head, valid);
  if (!known(ready)) return false;
  const Conv& conv = as<Conv>(head.instruction);
  const Time time = std::max(ready, passes_.idle);
  passes_.conv = head.instruction;
  passes_.busy = true;
  passes_.piece = 0;
  passes_.pieces = pieces(conv);
  passes_.codes_left = codes_[passes_.conv].size();
  passes_.valid = time + 1 + origin_cycles(conv.iy0);
  passes_.showing = {};
  passes_.showing.layer = conv.layer;
  passes_.showing.begin = std::max(passes_.shown_end, valid);
  passes_.showing.activations = std::max<Time>(0, ready - passes_.showing.begin);
  queue.leave(time);
  return true;
}

/// Of a CONV that is not sparse the first tile of a piece; the others follow its passes.
bool Model::try_tile(const Conv& conv) {
  if (sequencer_.begun || sequencer_.starts.size() != passes_.tiles_taken) return false;
  const std::int64_t need =
      sequencer_.job.base + conv.w_offset +
      std::int64_t{conv.w_piece} * (conv.w_tapwise != 0 ? sequencer_.piece + 1 : 1);
  const Time loaded = weights_.there(need);
  if (!known(loaded)) return false;
  passes_.tile_start = std::max(
      {sequencer_.job.active, passes_.tile_start + lanes_, passes_.tile_taken + 1, loaded + 1});
  sequencer_.starts.push_back(passes_.tile_start);
  sequencer_.begun = true;
  if (piece_passes(conv) == 1) end_tiles(conv);
  return true;
}

/// The last tile of a piece is begun.
void Model::end_tiles(const Conv& conv) {
  if (conv.w_release != 0) weights_.release(conv.w_piece, passes_.tile_start + lanes_);
  sequencer_.begun = false;
  if (++sequencer_.piece < pieces(conv)) return;
  sequencer_.end = passes_.tile_start;
  sequencer_.busy = false;
}

/// The passes of one piece of weights: only the first of them may have to wait.
bool Model::try_piece() {
  const Conv& conv = as<Conv>(passes_.conv);
  if (conv.n_blocks == 0) return pass_on_empty(conv);
  if (conv.w_sparse != 0) return try_codes();
  if (sequencer_.starts.size() == passes_.tiles_taken) return false;
  const Time pixels = static_cast<Time>(conv.rows) * conv.cols;
  const Time length = pass_cycles(pixels);
  const std::int64_t passes = piece_passes(conv);
  const Time half = passes_.half_free[passes_.half];
  if (!known(half)) return false;

  // A pass is taken up in the last cycle of the one before, and starts in the next at the earliest.
  const Time ready = std::max(passes_.valid, passes_.end) + 1;
  const Time start = sequencer_.starts[passes_.tiles_taken];
  const Time tile = start + lanes_ / 2 + 1;
  const Time go = std::max({ready, tile, half});
  passes_.showing.post += std::max<Time>(0, half - ready);
  passes_.showing.weights += std::max<Time>(0, tile - std::max(ready, half));
  passes_.showing.fed += passes * pixels;
  passes_.showing.spare += passes * (length - pixels);

  const Time last_go = go + (passes - 1) * length;
  passes_.tile_taken = last_go;
  ++passes_.tiles_taken;
  passes_.valid = last_go + 1;
  const Time last_taken = passes == 1 ? ready - 1 : last_go - 1;
  passes_.end = last_go + length - 1;
  if (passes > 1) {
    const Time slack = std::min(go - start + (passes - 1) * (length - lanes_), length - 1);
    passes_.tile_start = last_go - slack;
    end_tiles(conv);
  }
  if (++passes_.piece < passes_.pieces) return true;
  finish_conv(conv, last_go, last_taken);
  return true;
}

/// The last pass of a CONV has begun.
void Model::finish_conv(const Conv& conv, Time last_go, Time last_taken) {
  const Time pixels = static_cast<Time>(conv.rows) * conv.cols;
  passes_.busy = false;
  passes_.idle = last_taken + 1;
  const Time last_fed = last_go + pixels - 1;
  board_.retire(Engine::kExec, last_fed + 2);
  passes_.showing.end = passes_.shown_end = passes_.end + 1;
  passes_.shown.push_back(passes_.showing);
  if (conv.last == 0) return;
  // The last sums have run through array and accumulators.
  const Time through = lanes_ + lanes_ / 2 + 3 + (config_.fine != 0 ? kFineLatency : 0);
  post_.jobs.push_back({passes_.conv, passes_.half, last_fed + through});
  passes_.half_free[passes_.half] = kNever;
  passes_.half ^= 1U;
}

/// A CONV without channels: handed to post without a pass, and without exchanging halves.
bool Model::pass_on_empty(const Conv& conv) {
  const Time taken = std::max(passes_.valid, passes_.end + 1);
  passes_.busy = false;
  passes_.idle = taken + 1;
  board_.retire(Engine::kExec, taken + 2);
  passes_.showing.end = passes_.shown_end = taken + 1;
  passes_.shown.push_back(passes_.showing);
  if (conv.last != 0) post_.jobs.push_back({passes_.conv, passes_.half, taken + 1});
  return true;
}

}  // namespace espalier::timing
