// Post: words out of a full accumulator half, one every L / PostLanes cycles at best.

#include "timing/model.hpp"

namespace espalier::timing {

using isa::Conv;
using isa::Engine;

namespace {

constexpr Time kFieldsEnter = 10;   // from a CONV's first issue until the next may start
constexpr Time kToOutput = 16;      // from a word's last issue to the output FIFO's far end
constexpr Time kToOperandPop = 11;  // to the operand's use
constexpr Time kToSums = 15;        // to the slot in which sums come back
constexpr Time kPlace = 2;          // from a word that leaves a FIFO until its place is free
constexpr Time kParams = 1;         // from parameters that came to the issue

}  // namespace

bool Model::try_post() {
  bool moved = false;
  for (bool more = true; more; moved |= more) {
    more = post_.busy ? post_word() : start_post();
    more |= try_leave(Engine::kPost, post_.out, streams_[0]);
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
  while (outlet.over < outlet.last.size() && outlet.last[outlet.over].words <= outlet.left.size()) {
    const Outlet::Last& last = outlet.last[outlet.over++];
    const Time time = outlet.left[last.words - 1] + 1;
    if (engine == Engine::kPost) board_.retire(engine, time + 1);
    if (engine == Engine::kPool) {  // it has retired
      Shown shown;
      shown.begin = last.begin;
      shown.end = time;
      shown.layer = last.layer;
      pool_.shown.push_back(shown);
    }
    moved = true;
  }
  return moved;
}

Time Holds::pass(Time& issue, Time slices) {
  while (!holds_.empty() && holds_.front().last < issue) holds_.pop_front();
  Time last = issue + slices - 1;
  for (const Hold& hold : holds_) {
    if (hold.first > last) break;
    if (hold.first <= issue) {
      issue = hold.last + 1;
      last = issue + slices - 1;
    } else {
      last += hold.last - hold.first + 1;
    }
  }
  return last;
}

bool Model::start_post() {
  if (post_.jobs.empty()) return false;
  post_.job = post_.jobs.front();
  post_.jobs.pop_front();
  const Conv& conv = as<Conv>(post_.job.instruction);
  const Time accept = std::max(post_.job.valid, post_.advance + 1);
  const bool nothing = conv.n_blocks == 0;  // one vector, which only retires
  Time ready = accept + 1;
  if (conv.add != 0 && !nothing) {
    post_.operand_request = std::max(accept + 1, post_.fetch_free);
    ready = post_.operand_request + 1;
    ++post_.operand_request;
  }
  post_.advance = std::max({ready, post_.last_issue, post_.first_issue + kFieldsEnter});
  post_.next_issue = post_.advance + 1;
  // Sums under way go first.
  if (conv.gap == 0 || nothing) post_.next_issue = std::max(post_.next_issue, post_.sums_back);
  post_.first_issue = -1;
  post_.word = 0;
  post_.block_words = nothing ? 1 : std::int64_t{conv.rows} * conv.cols;
  post_.words = nothing ? 1 : post_.block_words * conv.n_blocks;
  post_.busy = true;
  return true;
}

bool Model::post_word() {
  const Conv& conv = as<Conv>(post_.job.instruction);
  if (conv.n_blocks == 0) return retire_empty();
  const bool block_end = (post_.word + 1) % post_.block_words == 0;
  const bool leaves = conv.gap == 0 || block_end;
  // Scored sums leave as four words: the block's last word is issued as often.
  const int rounds = conv.product != 0 && leaves && conv.gap != 0 && conv.gap_last != 0 ? 4 : 1;
  const bool empty = conv.gap != 0 && conv.gap_last == 0;
  Time issue = post_.next_issue;
  if (post_.word % post_.block_words == 0) {
    const std::int64_t block = post_.word / post_.block_words;
    issue = std::max(issue, params_.there(post_.param_base + conv.p_offset + block + 1) + kParams);
    if (!known(issue)) return false;
  }
  const std::size_t depth = slices_ > 1 ? 16 : 32;
  if (leaves) issue = std::max(issue, post_.out.place(depth, kPlace));
  if (!known(issue)) return false;
  if (conv.add != 0 && post_.round == 0) {
    Time request = post_.operand_request;
    if (post_.operand_pops.size() >= depth) {
      request = std::max(request, post_.operand_pops[post_.operand_pops.size() - depth] + kPlace);
    }
    request = port_.read_operand(request, conv.add_base + post_.word, post_.port_hint);
    if (too_early(request)) return false;
    issue = std::max(issue, request + 2);
    post_.operand_request = request + 1;
    post_.operand_reads.push_back(request);
    if (post_.word + 1 == post_.words) post_.fetch_free = request;
  }
  const Time last = post_.holds.pass(issue, slices_);
  Time out = last + kToOutput;
  if (conv.gap != 0) out += kToSums;
  if (leaves) post_.out.words.push_back({out, empty});
  if (conv.add != 0 && post_.round == 0) post_.operand_pops.push_back(last + kToOperandPop);
  if (post_.first_issue < 0) post_.first_issue = issue;
  post_.last_issue = last;
  post_.next_issue = last + 1;
  if (conv.gap != 0 && block_end) post_.holds.add(issue + kToSums, last + kToSums);
  if (++post_.round < rounds) return true;
  post_.round = 0;
  if (conv.gap != 0 && block_end) {
    post_.sums_back = last + kToSums + 2;
  }
  if (++post_.word == post_.words) finish_post();
  return true;
}

/// A CONV without channels.
bool Model::retire_empty() {
  const Time issue = std::max(post_.next_issue, post_.out.place(slices_ > 1 ? 16 : 32, kPlace));
  if (!known(issue)) return false;
  post_.first_issue = post_.last_issue = issue;
  post_.next_issue = issue + 1;
  post_.out.words.push_back({issue + kToOutput, true});
  post_.out.last.push_back({post_.out.words.size(), 0, as<Conv>(post_.job.instruction).layer});
  post_.busy = false;
  return true;
}

void Model::finish_post() {
  const Conv& conv = as<Conv>(post_.job.instruction);
  passes_.half_free[post_.job.half] = post_.last_issue + 2;
  if (conv.p_release != 0) {
    params_.release(conv.n_blocks, post_.last_issue + 2);
    post_.param_base += conv.n_blocks;
  }
  post_.out.last.push_back({post_.out.words.size(), 0, conv.layer});
  post_.busy = false;
}

}  // namespace espalier::timing
