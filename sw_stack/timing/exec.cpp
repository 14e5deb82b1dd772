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

}  // namespace

bool Model::try_exec() {
  bool moved = false;
  for (bool more = true; more; moved |= more) {
    more = try_nop(Engine::kExec, queues_[index(Engine::kExec)]);
    more |= try_accept_weights();
    more |= try_accept_conv();
    more |= try_sequence();
    more |= conv_busy_ && try_piece();
  }
  return moved;
}

/// The sequencer takes a CONV in the cycle of the last word that it reads for the one before.
bool Model::try_accept_weights() {
  if (weight_queue_.empty() || sequencing_) return false;
  const Time time = std::max(weight_queue_.head_valid(), sequencer_end_);
  const std::size_t instruction = weight_queue_.head().instruction;
  weight_queue_.leave(time);
  weight_job_ = {instruction, time + 1, weight_base_};
  const Conv& conv = as<Conv>(instruction);
  next_code_ = 0;
  header_read_ = false;
  code_time_ = time + 1;
  stream_at_ = weight_base_ + conv.w_offset;
  if (conv.w_release != 0) {
    weight_base_ += std::int64_t{conv.w_piece} * (conv.w_tapwise != 0 ? conv.kh * conv.kw : 1);
  }
  sequencing_ = true;
  return true;
}

bool Model::try_accept_conv() {
  Queue& queue = queues_[index(Engine::kExec)];
  if (conv_busy_ || queue.empty() || head_is_nop(queue)) return false;
  const Queued& head = queue.head();
  const Time valid = queue.head_valid();
  const Time ready = board_.ready(head, valid);
  if (!known(ready)) return false;
  const Conv& conv = as<Conv>(head.instruction);
  const Time time = std::max(ready, passes_idle_);
  conv_ = head.instruction;
  conv_busy_ = true;
  piece_ = 0;
  pieces_ = conv.w_tapwise != 0 ? static_cast<int>(conv.kh * conv.kw) : 1;
  codes_left_ = codes_[conv_].size();
  pass_valid_ = time + 1 + origin_cycles(conv.iy0);
  showing_ = {};
  showing_.layer = conv.layer;
  showing_.begin = std::max(shown_end_, valid);
  showing_.activations = std::max<Time>(0, ready - showing_.begin);
  queue.leave(time);
  return true;
}

/// The passes of one piece of weights: only the first of them may have to wait.
bool Model::try_piece() {
  const Conv& conv = as<Conv>(conv_);
  if (conv.n_blocks == 0) return pass_on_empty(conv);
  if (conv.w_sparse != 0) return try_codes();
  if (!sequencing_ || weight_job_.instruction != conv_) return false;
  const Time pixels = static_cast<Time>(conv.rows) * conv.cols;
  const Time length = std::max(pixels, lanes_);
  const std::int64_t passes =
      std::int64_t{conv.k_blocks} * conv.n_blocks * (pieces_ == 1 ? conv.kh * conv.kw : 1);
  const std::int64_t need = weight_job_.base + conv.w_offset +
                            std::int64_t{conv.w_piece} * (conv.w_tapwise != 0 ? piece_ + 1 : 1);
  const Time loaded = weights_.there(need);
  const Time half = half_free_[half_];
  if (!known(loaded) || !known(half)) return false;

  // A pass is taken up in the last cycle of the one before, and starts in the next at the earliest.
  const Time ready = std::max(pass_valid_, pass_end_) + 1;
  const Time start = std::max({weight_job_.active, tile_start_ + lanes_, tile_taken_ + 1, loaded});
  const Time tile = start + lanes_ / 2 + 1;
  const Time go = std::max({ready, tile, half});
  showing_.post += std::max<Time>(0, half - ready);
  showing_.weights += std::max<Time>(0, tile - std::max(ready, half));
  showing_.fed += passes * pixels;
  showing_.spare += passes * (length - pixels);

  const Time slack = std::min(go - start + (passes - 1) * (length - lanes_), length - 1);
  const Time last_go = go + (passes - 1) * length;
  tile_start_ = passes == 1 ? start : last_go - slack;
  tile_taken_ = last_go;
  pass_valid_ = last_go + 1;
  const Time last_taken = passes == 1 ? ready - 1 : last_go - 1;
  pass_end_ = last_go + length - 1;
  if (conv.w_release != 0) weights_.release(conv.w_piece, tile_start_ + lanes_);
  if (++piece_ < pieces_) return true;

  sequencer_end_ = tile_start_ + lanes_ - 1;
  sequencing_ = false;
  finish_conv(conv, last_go, last_taken);
  return true;
}

/// The last pass of a CONV has begun.
void Model::finish_conv(const Conv& conv, Time last_go, Time last_taken) {
  const Time pixels = static_cast<Time>(conv.rows) * conv.cols;
  conv_busy_ = false;
  passes_idle_ = last_taken + 1;
  const Time last_fed = last_go + pixels - 1;
  board_.retire(Engine::kExec, last_fed + 2);
  showing_.end = shown_end_ = pass_end_ + 1;
  convs_shown_.push_back(showing_);
  if (conv.last == 0) return;
  // The last sums have run through array and accumulators.
  post_jobs_.push_back({conv_, half_, last_fed + lanes_ + lanes_ / 2 + 3});
  half_free_[half_] = kNever;
  half_ ^= 1U;
}

/// A CONV without channels: handed to post without a pass, and without exchanging halves.
bool Model::pass_on_empty(const Conv& conv) {
  const Time taken = std::max(pass_valid_, pass_end_ + 1);
  conv_busy_ = false;
  passes_idle_ = taken + 1;
  board_.retire(Engine::kExec, taken + 2);
  showing_.end = shown_end_ = taken + 1;
  convs_shown_.push_back(showing_);
  if (conv.last != 0) post_jobs_.push_back({conv_, half_, taken + 1});
  return true;
}

}  // namespace espalier::timing
