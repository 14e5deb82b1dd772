// Post: words out of a full accumulator half, one every L / PostLanes cycles at best.

#include "timing/model.hpp"

namespace espalier::timing {

using isa::Conv;
using isa::Engine;

namespace {

constexpr Time kFieldsEnter = 9;    // from a CONV's first issue until the next may start
constexpr Time kToOutput = 15;      // from a word's last issue to the output FIFO's far end
constexpr Time kToOperandPop = 10;  // to the operand's use
constexpr Time kToSums = 15;        // to the cycle in which sums come back

}  // namespace

bool Model::try_post() {
  bool moved = false;
  for (bool more = true; more; moved |= more) {
    more = post_busy_ ? post_word() : start_post();
    more |= try_leave(Engine::kPost, post_out_, streams_[0]);
  }
  return moved;
}

bool Model::try_leave(Engine engine, Outlet& outlet, Stream& stream) {
  bool moved = false;
  while (outlet.left.size() < outlet.words.size()) {
    const Outlet::Word& word = outlet.words[outlet.left.size()];
    Time time = std::max(word.ready, outlet.left.empty() ? 0 : outlet.left.back() + 1);
    if (!word.empty) {
      time = std::max(time, stream.room());
      if (!known(time)) break;
      stream.pushed.push_back(time);
    }
    outlet.left.push_back(time);
    moved = true;
  }
  while (outlet.retired < outlet.last.size() &&
         outlet.last[outlet.retired].words <= outlet.left.size()) {
    const Outlet::Last& last = outlet.last[outlet.retired++];
    const Time time = outlet.left[last.words - 1] + 1;
    board_.retire(engine, time);
    if (engine == Engine::kPool) {
      Shown shown;
      shown.begin = last.begin;
      shown.end = time;
      shown.layer = last.layer;
      pools_shown_.push_back(shown);
    }
    moved = true;
  }
  return moved;
}

bool Model::start_post() {
  if (post_jobs_.empty()) return false;
  post_ = post_jobs_.front();
  post_jobs_.pop_front();
  const Conv& conv = as<Conv>(post_.instruction);
  const Time accept = std::max(post_.valid, advance_ + 1);
  const bool nothing = conv.n_blocks == 0;  // one vector, which only retires
  Time ready = accept + 1;
  if (conv.add != 0 && !nothing) {
    operand_request_ = std::max(accept + 1, fetch_free_);
    ready = operand_request_ + 1;
    ++operand_request_;
  }
  advance_ = std::max({ready, last_issue_, first_issue_ + kFieldsEnter});
  next_issue_ = advance_ + 1;
  // Sums under way go first.
  if (conv.gap == 0 || nothing) next_issue_ = std::max(next_issue_, sums_back_);
  first_issue_ = -1;
  word_ = 0;
  block_words_ = nothing ? 1 : std::int64_t{conv.rows} * conv.cols;
  post_words_ = nothing ? 1 : block_words_ * conv.n_blocks;
  post_busy_ = true;
  return true;
}

bool Model::post_word() {
  const Conv& conv = as<Conv>(post_.instruction);
  if (conv.n_blocks == 0) return retire_empty();
  const bool block_end = (word_ + 1) % block_words_ == 0;
  const bool leaves = conv.gap == 0 || block_end;
  // Scored sums leave as four words: the block's last word is issued as often.
  const int rounds = conv.product != 0 && leaves && conv.gap != 0 && conv.gap_last != 0 ? 4 : 1;
  const bool empty = conv.gap != 0 && conv.gap_last == 0;
  Time issue = next_issue_;
  if (word_ % block_words_ == 0) {
    const std::int64_t block = word_ / block_words_;
    issue = std::max(issue, params_.there(param_base_ + conv.p_offset + block + 1));
    if (!known(issue)) return false;
  }
  const std::size_t depth = slices_ > 1 ? 16 : 32;
  if (leaves) issue = std::max(issue, post_out_.place(depth));
  if (!known(issue)) return false;
  if (conv.add != 0 && round_ == 0) {
    Time request = operand_request_;
    if (operand_pops_.size() >= depth) {
      request = std::max(request, operand_pops_[operand_pops_.size() - depth] + 1);
    }
    request = port_.read_operand(request, conv.add_base + word_, port_hint_post_);
    if (too_early(request)) return false;
    issue = std::max(issue, request + 2);
    operand_request_ = request + 1;
    operand_reads_.push_back(request);
    if (word_ + 1 == post_words_) fetch_free_ = request;
  }
  const Time last = issue + slices_ - 1;
  Time out = last + kToOutput;
  if (conv.gap != 0) out += kToSums;
  if (leaves) post_out_.words.push_back({out, empty});
  if (conv.add != 0 && round_ == 0) operand_pops_.push_back(last + kToOperandPop);
  if (first_issue_ < 0) first_issue_ = issue;
  last_issue_ = last;
  next_issue_ = last + 1;
  if (++round_ < rounds) return true;
  round_ = 0;
  if (conv.gap != 0 && block_end) {
    // The sums come back in slots that are left empty.
    sums_back_ = last + kToSums + 1;
    next_issue_ += rounds * slices_;
  }
  if (++word_ == post_words_) finish_post();
  return true;
}

/// A CONV without channels.
bool Model::retire_empty() {
  const Time issue = std::max(next_issue_, post_out_.place(slices_ > 1 ? 16 : 32));
  if (!known(issue)) return false;
  first_issue_ = last_issue_ = issue;
  next_issue_ = issue + 1;
  post_out_.words.push_back({issue + kToOutput, true});
  post_out_.last.push_back({post_out_.words.size(), 0, as<Conv>(post_.instruction).layer});
  post_busy_ = false;
  return true;
}

void Model::finish_post() {
  const Conv& conv = as<Conv>(post_.instruction);
  half_free_[post_.half] = last_issue_ + 2;
  if (conv.p_release != 0) {
    params_.release(conv.n_blocks, last_issue_ + 1);
    param_base_ += conv.n_blocks;
  }
  post_out_.last.push_back({post_out_.words.size(), 0, conv.layer});
  post_busy_ = false;
}

}  // namespace espalier::timing
