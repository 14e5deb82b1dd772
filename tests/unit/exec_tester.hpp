#pragma once
// Drives a verilated esp_exec with fake memories, a fake post and random arrivals, and compares
// every accumulator word with a direct convolution.

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "isa/instruction.hpp"

namespace espalier::tests {

/// Sizes of the model under test.
struct ExecSizes {
  int lanes = 4, act_words = 2048, weight_words = 1024, acc_words = 128;
};

/// What a run did.
struct ExecReport {
  std::string error;  ///< first difference; empty where all agree
  int cycles = 0;     ///< from the first pixel fed to the last CONV's retirement
  int fed = 0, ragged = 0, passes = 0, wait_weights = 0, wait_acc = 0;
  int retired = 0, posted = 0, faults = 0;
};

/// The CONVs of a test, their weights and the sums they must give.
class ExecTester {
 public:
  explicit ExecTester(ExecSizes sizes, std::uint64_t seed) : sizes_(sizes), random_(seed) {
    activations_.resize(static_cast<std::size_t>(sizes.act_words * sizes.lanes));
    for (auto& value : activations_) value = int8();
    acc_.resize(static_cast<std::size_t>(sizes.acc_words * sizes.lanes));
  }

  /// Blocks of input and output channels.
  ExecTester& channels(int k_blocks, int n_blocks) {
    k_blocks_ = k_blocks, n_blocks_ = n_blocks;
    return *this;
  }
  ExecTester& kernel(int kh, int kw) {
    kh_ = kh, kw_ = kw;
    return *this;
  }
  ExecTester& stride(int y, int x) {
    stride_y_ = y, stride_x_ = x;
    return *this;
  }
  ExecTester& dilation(int y, int x) {
    dil_y_ = y, dil_x_ = x;
    return *this;
  }
  /// First buffer row and column; negative in the padding.
  ExecTester& origin(int y, int x) {
    iy0_ = y, ix0_ = x;
    return *this;
  }
  ExecTester& pad(int pixels) { return origin(-pixels, -pixels); }
  ExecTester& input(int rows, int cols, int slack = 0) {
    in_rows_ = rows, in_cols_ = cols, slack_ = slack;
    return *this;
  }
  ExecTester& tile(int rows, int cols) {
    rows_ = rows, cols_ = cols;
    return *this;
  }
  ExecTester& zero_point(int zx) {
    zx_ = zx;
    return *this;
  }
  ExecTester& tapwise(bool on) {
    tapwise_ = on;
    return *this;
  }
  ExecTester& chunk(bool first, bool last) {
    first_ = first, last_ = last;
    return *this;
  }
  /// CONVs to come are sparse: a tile is skipped with this chance (docs/tiles.md).
  ExecTester& sparse(double skip) {
    sparse_ = true, skip_chance_ = skip;
    return *this;
  }
  ExecTester& dense() {
    sparse_ = false;
    return *this;
  }
  /// Every activation -128, zero point 127, every weight -128.
  ExecTester& extremes();

  /// Appends a CONV that streams its weights through the ring and gives them back.
  ExecTester& conv();
  /// Appends a CONV whose weights stay in the ring behind those already there.
  ExecTester& resident();
  /// Appends the last resident CONV again on another place of the buffer, or the first one again
  /// with all resident words given back.
  ExecTester& reuse();
  ExecTester& give_back();
  /// Appends a CONV without n blocks: no weights, no passes, no half; with `last` it goes to post.
  ExecTester& empty();
  /// Appends a CONV as it stands and weights for it, with no expectation.
  ExecTester& raw(const isa::Conv& conv) {
    add_weights(weights_of(conv));
    jobs_.push_back(conv);
    return *this;
  }
  isa::Conv last_conv() const { return jobs_.back(); }

  /// Chances in a cycle: a weight word arrives (above 1: so many words); post moves; a CONV is
  /// offered.
  ExecTester& weights_arrive(double chance) {
    load_chance_ = chance;
    return *this;
  }
  ExecTester& post_moves(double chance) {
    post_chance_ = chance;
    return *this;
  }
  ExecTester& convs_come(double chance) {
    offer_chance_ = chance;
    return *this;
  }
  /// Adds one to an expected sum: the run must notice.
  ExecTester& spoil() {
    expected_.back().sums.back() += 1;
    return *this;
  }

  int ideal_cycles() const { return ideal_cycles_; }
  int pixels() const { return pixels_; }
  int passes() const { return passes_; }
  int random(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  /// Runs all CONVs from reset (or, with `cleared`, on the same model after clear_i).
  template <typename Model>
  ExecReport run(Model& model, int limit, bool cleared = false);

 private:
  struct Expected {
    isa::Conv conv;
    std::vector<std::int32_t> sums;
  };

  std::int8_t int8() {
    return extreme_ ? std::int8_t{-128} : static_cast<std::int8_t>(random(-128, 127));
  }
  bool chance(double p) { return p >= 1.0 || std::uniform_real_distribution<>(0, 1)(random_) < p; }
  isa::Conv shape();
  int weights_of(const isa::Conv& conv) const {
    if (conv.w_sparse != 0) return static_cast<int>(conv.w_piece);
    return static_cast<int>(conv.kh * conv.kw * conv.k_blocks * conv.n_blocks) * sizes_.lanes;
  }
  void add_weights(int words) {
    for (int i = 0; i < words * sizes_.lanes; ++i) stream_.push_back(int8());
  }
  void put_weights(isa::Conv& conv);
  /// Draws the codes of a sparse CONV and its stream; its length goes into the CONV.
  void add_stream(isa::Conv& conv);
  /// Adds the products of one tile whose first word is `word` of the stream.
  void add_tile(const isa::Conv& conv, int tap, int kb, int nb, std::size_t word,
                std::size_t n_stride);
  void expect(const isa::Conv& conv);

  ExecSizes sizes_;
  std::mt19937_64 random_;
  std::vector<std::int8_t> activations_, stream_;
  std::vector<isa::Conv> jobs_, resident_;
  std::vector<std::int32_t> acc_;
  std::deque<Expected> expected_;
  std::size_t base_ = 0;  // of the ring, in words since the start
  int resident_words_ = 0;
  int ideal_cycles_ = 0, pixels_ = 0, passes_ = 0;
  bool extreme_ = false;

  int k_blocks_ = 1, n_blocks_ = 1, kh_ = 1, kw_ = 1, stride_y_ = 1, stride_x_ = 1, dil_y_ = 1,
      dil_x_ = 1;
  int iy0_ = 0, ix0_ = 0, in_rows_ = 8, in_cols_ = 8, slack_ = 0, rows_ = 4, cols_ = 4, zx_ = 0;
  bool sparse_ = false;
  double skip_chance_ = 0;
  std::vector<bool> written_;  // n blocks whose sums a tile has overwritten
  bool tapwise_ = true, first_ = true, last_ = true;
  double load_chance_ = 1, post_chance_ = 1, offer_chance_ = 1;
};

/// The bytes of a port of any width.
template <typename Port>
std::span<std::uint8_t> port_bytes(Port& port) {
  return {reinterpret_cast<std::uint8_t*>(&port), sizeof port};
}

inline std::vector<std::uint8_t> conv_bytes(isa::Conv conv) {
  const auto encoded = [&](std::uint32_t n_blocks) {
    conv.n_blocks = n_blocks;
    std::vector<std::uint8_t> bytes;
    isa::encode(isa::Instruction{conv}, bytes);
    return bytes;
  };
  if (conv.n_blocks != 0) return encoded(conv.n_blocks);
  // No program has it, the machine makes it of a clip word: 1 without the bit that 2 and 3 differ
  // in.
  std::vector<std::uint8_t> bytes = encoded(1);
  const std::vector<std::uint8_t> two = encoded(2), three = encoded(3);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::uint8_t>(bytes[i] & ~(two[i] ^ three[i]));
  return bytes;
}

template <typename Model>
ExecReport ExecTester::run(Model& m, int limit, bool cleared) {
  const auto lanes = static_cast<std::size_t>(sizes_.lanes);
  ExecReport report;
  const auto ring_words = static_cast<std::size_t>(sizes_.weight_words);
  std::vector<std::int8_t> ring(ring_words * lanes);
  std::size_t loaded = 0, base = 0, wnext = 0, next = 0;
  const std::size_t mask = ring_words * 2 - 1;
  bool wvalid = false, valid = false, half = false, reading = false;
  std::size_t read_word = 0;
  Expected post;
  int halves = 0;  // given to post
  int first_cycle = -1, drain = 200;

  m.clk_i = 0;
  m.rst_ni = cleared ? 1 : 0;
  m.clear_i = cleared ? 1 : 0;
  m.wconv_valid_i = m.conv_valid_i = m.post_ready_i = m.acc_ren_i = m.acc_free_i = 0;
  m.wgt_loaded_i = 0;
  m.eval();
  m.clk_i = 1;
  m.eval();
  m.rst_ni = 1;
  m.clear_i = 0;

  for (int cycle = 0; cycle < limit && report.error.empty(); ++cycle) {
    while (wnext < jobs_.size() && jobs_[wnext].n_blocks == 0) ++wnext;
    wvalid = wvalid || (wnext < jobs_.size() && chance(offer_chance_));
    valid = valid || (next < jobs_.size() && chance(offer_chance_));
    m.wconv_valid_i = wvalid;
    m.conv_valid_i = valid;
    if (wvalid) std::ranges::copy(conv_bytes(jobs_[wnext]), port_bytes(m.wconv_i).begin());
    if (valid) std::ranges::copy(conv_bytes(jobs_[next]), port_bytes(m.conv_i).begin());
    m.wgt_loaded_i = static_cast<std::remove_reference_t<decltype(m.wgt_loaded_i)>>(loaded & mask);
    m.post_ready_i = !reading && chance(post_chance_);
    m.acc_ren_i = reading && chance(post_chance_);
    m.acc_half_i = half;
    m.acc_raddr_i = static_cast<std::remove_reference_t<decltype(m.acc_raddr_i)>>(read_word);
    m.acc_free_i = m.acc_ren_i && (read_word + 1) * lanes == post.sums.size();
    m.clk_i = 0;
    m.eval();

    const bool wtaken = wvalid && m.wconv_ready_o, taken = valid && m.conv_ready_o;
    const bool act_read = m.act_ren_o, wgt_read = m.wgt_ren_o, acc_read = m.acc_ren_i;
    const std::size_t act_word = m.act_raddr_o, wgt_word = m.wgt_raddr_o;
    report.fed += m.ev_fed_o, report.ragged += m.ev_ragged_o, report.passes += m.ev_pass_o;
    report.wait_weights += m.ev_wait_weights_o, report.wait_acc += m.ev_wait_acc_o;
    report.faults += m.fault_o;
    if (m.ev_fed_o && first_cycle < 0) first_cycle = cycle;
    if (m.retire_o) {
      ++report.retired;
      report.cycles = cycle - first_cycle;
    }
    base += (m.wgt_base_o - base) & mask;
    if (base > loaded) report.error = "gave back words that were never loaded";
    if (m.post_valid_o && m.post_ready_i) {
      ++report.posted;
      if (expected_.empty()) {
        report.error = "post got a CONV too many";
        break;
      }
      post = expected_.front();
      expected_.pop_front();
      if (!std::ranges::equal(conv_bytes(post.conv), port_bytes(m.post_conv_o)))
        report.error = "post got another CONV";
      reading = !post.sums.empty();
      if (reading && m.post_half_o != (halves++ & 1)) report.error = "post got the wrong half";
      half = m.post_half_o;
      read_word = 0;
    }
    m.clk_i = 1;
    m.eval();

    for (std::size_t i = 0; i < lanes; ++i) {  // nothing may depend on data that were not asked for
      port_bytes(m.act_rdata_i)[i] =
          static_cast<std::uint8_t>(act_read ? activations_[act_word * lanes + i] : int8());
      port_bytes(m.wgt_rdata_i)[i] =
          static_cast<std::uint8_t>(wgt_read ? ring[wgt_word * lanes + i] : int8());
    }
    if (acc_read) {
      for (std::size_t n = 0; n < lanes; ++n) {
        const auto sum = static_cast<std::int32_t>(m.acc_rdata_o[n]);
        const std::int32_t want = post.sums[read_word * lanes + n];
        if (sum != want && report.error.empty()) {
          report.error = "output " + std::to_string(report.posted) + " word " +
                         std::to_string(read_word) + " column " + std::to_string(n) + " is " +
                         std::to_string(sum) + "; it should be " + std::to_string(want);
        }
      }
      ++read_word;
      reading = read_word * lanes < post.sums.size();
    }
    const auto room = [&] { return loaded * lanes < stream_.size() && loaded - base < ring_words; };
    for (int words = 0; words < std::max(1.0, load_chance_) && room() && chance(load_chance_);
         ++words, ++loaded) {
      std::copy_n(stream_.begin() + static_cast<std::ptrdiff_t>(loaded * lanes), lanes,
                  ring.begin() + static_cast<std::ptrdiff_t>(loaded % ring_words * lanes));
    }
    if (wtaken) ++wnext, wvalid = false;
    if (taken) ++next, valid = false;
    if (report.faults > 0 ||
        (report.retired == static_cast<int>(jobs_.size()) && expected_.empty() && !reading)) {
      if (--drain == 0) return report;
    }
  }
  if (report.error.empty()) {
    report.error = "not done after " + std::to_string(limit) +
                   " cycles: " + std::to_string(report.retired) + " of " +
                   std::to_string(jobs_.size()) + " CONVs retired, " +
                   std::to_string(report.posted) + " posted";
  }
  return report;
}

}  // namespace espalier::tests
