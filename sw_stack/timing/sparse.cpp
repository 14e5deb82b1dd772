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
  if (!sequencing_) return false;
  const Conv& conv = as<Conv>(weight_job_.instruction);
  if (conv.w_sparse == 0) return false;
  const program::TileCodes& codes = codes_[weight_job_.instruction];
  const auto there = [&] {
    return weights_.there(conv.w_release != 0 ? stream_at_ + lanes_
                                              : weight_job_.base + conv.w_offset + conv.w_piece);
  };
  const auto read = [&](Time words, Time shows) {
    stream_at_ += words;
    if (conv.w_release != 0) weights_.release(words, shows);
  };
  bool moved = false;
  for (; next_code_ < codes.size(); moved = true) {
    if (!header_read_ && next_code_ % isa::kHeaderTiles == 0) {
      const Time header = std::max(code_time_, there());
      if (!known(header)) return moved;
      read(1, header + 1);
      code_time_ = header + 2;
      header_read_ = moved = true;
    }
    Time time = code_time_;
    if (pushed_.size() >= kCodes) {
      const std::size_t blocking = pushed_.size() - kCodes;
      if (blocking >= popped_.size()) return moved;
      time = std::max(time, popped_[blocking] + 1);
    }
    const std::uint8_t code = codes[next_code_];
    if (code == 0) {
      code_time_ = time + 1;
    } else {
      if (tiles_begun_ != tiles_taken_) return moved;  // the shadow weights are full
      time = std::max({time, tile_taken_ + 1, there()});
      if (!known(time)) return moved;
      ++tiles_begun_;
      tile_start_ = time;
      code_time_ = time + lanes_;
      read(lanes_, code_time_);
    }
    pushed_.push_back({time, code != 0});
    ++next_code_;
    header_read_ = false;
  }
  sequencer_end_ = code_time_ - 1;
  sequencing_ = false;
  return true;
}

/// A code a cycle; one that runs is a pass as any other.
bool Model::try_codes() {
  const Conv& conv = as<Conv>(conv_);
  const Time pixels = static_cast<Time>(conv.rows) * conv.cols;
  const Time length = std::max(pixels, lanes_);
  bool moved = false;
  while (true) {
    if (taken_at_ < 0) {
      if (popped_.size() == pushed_.size()) return moved;
      const Pushed& code = pushed_[popped_.size()];
      Time time = std::max(code.time + 1, pass_valid_);
      if (code.runs) time = std::max(time, pass_end_);
      popped_.push_back(time);
      pass_valid_ = time + 1;
      --codes_left_;
      moved = true;
      if (!code.runs) continue;
      taken_at_ = time;
      taken_start_ = code.time;
    }
    const Time half = half_free_[half_];
    if (!known(half)) return moved;
    const Time ready = taken_at_ + 1, tile = taken_start_ + lanes_ / 2 + 1;
    const Time go = std::max({ready, tile, half});
    const Time due = piece_ == 0 ? ready : pass_end_ + 1;  // later where codes are to be skipped
    showing_.post += std::max<Time>(0, half - ready);
    showing_.weights += ready - due + std::max<Time>(0, tile - std::max(ready, half));
    showing_.fed += pixels;
    showing_.spare += length - pixels;
    tile_taken_ = go;
    ++tiles_taken_;
    ++piece_;
    pass_end_ = go + length - 1;
    const Time taken = taken_at_;
    taken_at_ = -1;
    moved = true;
    if (codes_left_ > 0) continue;
    finish_conv(conv, go, taken);
    return true;
  }
}

}  // namespace espalier::timing
