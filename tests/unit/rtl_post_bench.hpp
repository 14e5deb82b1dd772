#pragma once
// esp_post between a fake accumulator, parameter ring, port B and store stream.

#include <array>
#include <bit>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "catch.hpp"
#include "golden/numerics.hpp"
#include "isa/instruction.hpp"
#include "verilated_bench.hpp"

namespace espalier::tests {

/// One CONV as post sees it. `product` follows `add`.
class Job {
 public:
  Job& pixels(int rows, int cols) {
    conv.rows = static_cast<std::uint32_t>(rows);
    conv.cols = static_cast<std::uint32_t>(cols);
    return *this;
  }
  Job& blocks(int n) {
    conv.n_blocks = static_cast<std::uint32_t>(n);
    return *this;
  }
  Job& keep_parameters(int offset = 0) {
    conv.p_release = 0;
    conv.p_offset = static_cast<std::uint32_t>(offset);
    return *this;
  }
  Job& bounds(int zero, int lo, int hi) {
    conv.zy = zero;
    conv.lo = lo;
    conv.hi = hi;
    return *this;
  }
  Job& add(int base, std::uint32_t ma = 9000, std::uint32_t mb = 12000, int shift = 14, int zb = -5,
           int zy = 3) {
    conv.add = 1;
    conv.add_base = static_cast<std::uint32_t>(base);
    conv.add_ma = ma;
    conv.add_mb = mb;
    conv.add_shift = static_cast<std::uint32_t>(shift);
    conv.add_zb = zb;
    conv.add_zy = zy;
    conv.add_lo = -120;
    conv.add_hi = 125;
    return *this;
  }
  Job& product(int least, int greatest) {
    conv.product = 1;
    conv.add_zb = least;
    conv.add_hi = greatest;
    return *this;
  }
  Job& gap(bool first, bool last, float scale = 0.02F, int zero = -7) {
    conv.gap = 1;
    conv.gap_first = first;
    conv.gap_last = last;
    conv.gap_scale = std::bit_cast<std::uint32_t>(scale);
    conv.gap_zy = zero;
    return *this;
  }
  isa::Conv conv = [] {
    isa::Conv c;
    c.last = 1;
    c.lo = -128;
    c.hi = 127;
    c.p_release = 1;
    return c;
  }();
};

/// What the surroundings withhold. Units: probability in each cycle.
struct PostStalls {
  double conv = 0, parameters = 0, port = 0, out = 0;
};

/// Cycles of one run, counted from the first.
struct PostRun {
  std::uint64_t first_issue = 0, last_issue = 0, issues = 0, last_word = 0;
  std::uint64_t wait_out = 0, wait_operand = 0;
};

/// Lanes L, PostLanes P, whether products are there, and the model's sizes.
template <typename Model, int L, int P, bool Prune = true>
class PostTester {
 public:
  static constexpr int kActWords = 256, kAccWords = 128, kParamBlocks = 16, kSlices = L / P;
  static constexpr bool kProducts = Prune;

  explicit PostTester(std::uint64_t seed) : draw_(seed) {
    for (auto& byte : act_) byte = draw_.byte();
  }

  PostTester& stalls(const PostStalls& stalls) {
    stalls_ = stalls;
    return *this;
  }

  PostTester& job(const Job& job) {
    const isa::Conv& c = job.conv;
    Pending pending{c, {}, {}};
    pending.acc.resize(std::size_t{c.n_blocks} * c.rows * c.cols * L);
    for (auto& acc : pending.acc) acc = static_cast<std::int32_t>(draw_.word()) >> 8;
    while (params_.size() < static_cast<std::size_t>(base_ + c.p_offset + c.n_blocks) * L) {
      // Accumulators of 24 bits come out within a few hundred.
      const float scale = std::bit_cast<float>(0x37000000U + (draw_.word() >> 8));
      params_.push_back(
          {static_cast<std::int32_t>(draw_.word()) >> 10, params_.size() % 13 == 5 ? 0.0F : scale});
    }
    expect(pending);
    if (c.p_release != 0) base_ += c.n_blocks;
    jobs_.push_back(std::move(pending));
    return *this;
  }

  /// Makes one byte of the last job's first word wrong: run() must notice it.
  PostTester& spoil() {
    std::int8_t& byte = jobs_.back().words.front()[L - 1];
    byte = static_cast<std::int8_t>(byte ^ 1);
    ++spoiled_;
    return *this;
  }

  /// Runs until every job has retired and checks every word. Fails the test where it takes longer
  /// than anything sensible.
  PostRun run() {
    PostRun result;
    std::uint64_t limit = 2000;
    for (const Pending& job : jobs_) limit += 400 + 40 * (job.acc.size() / P + job.words.size());
    const std::uint64_t start = bench_.cycle();
    while (retired_ < jobs_.size()) {
      if (bench_.cycle() - start > limit) {
        FAIL("no end after " << limit << " cycles; " << retired_ << " of " << jobs_.size()
                             << " retired");
      }
      step(result, start);
    }
    for (int i = 0; i < 40; ++i) step(result, start);
    CHECK(freed_ == jobs_.size());
    CHECK(retired_ == jobs_.size());
    CHECK(bench_->par_base_o == base_ % (2 * kParamBlocks));
    CHECK(sent_ == due_);
    CHECK(wrong_ == spoiled_);
    return result;
  }

  /// Runs for some cycles, then clears the block and forgets its jobs, as after a fault.
  PostTester& abandon(int cycles) {
    PostRun ignored;
    const std::uint64_t start = bench_.cycle();
    for (int i = 0; i < cycles; ++i) step(ignored, start);
    bench_->clear_i = 1;
    bench_->conv_valid_i = 0;
    bench_.tick();
    bench_->clear_i = 0;
    jobs_.clear();
    params_.clear();
    base_ = offered_ = freed_ = retired_ = 0;
    sending_ = out_word_ = sent_ = sent_before_ = due_ = 0;
    loaded_ = 0;
    offering_ = res_waited_ = out_waited_ = false;
    return *this;
  }

 private:
  struct Parameter {
    std::int32_t bias;
    float scale;
  };
  struct Pending {
    isa::Conv conv;
    std::vector<std::int32_t> acc;
    std::vector<std::vector<std::int8_t>> words;
  };

  /// What a pixel's channel comes to before pooling, or adds to the sums where it is scored.
  static int output(const isa::Conv& c, std::int32_t acc, const Parameter& p, std::int8_t operand) {
    const std::int8_t y = golden::requantise_clamp(acc + p.bias, p.scale, c.zy, c.lo, c.hi);
    if (c.add == 0) return y;
    if (c.product != 0 && c.gap != 0) {
      const std::int64_t ma = c.add_ma / 256 * 256 + static_cast<unsigned>(operand + 128);
      const std::int64_t low = ((y - c.zy) * ma + std::int64_t{y - c.add_zb} * c.add_mb) & 0xFFFF;
      return static_cast<int>(low < 0x8000 ? low : low - 0x10000);
    }
    if (c.product != 0) return operand >= c.add_zb && operand <= c.add_hi ? y : 0;
    return golden::residual_add(y, operand,
                                {c.zy, c.add_zb, c.add_zy, c.add_ma, c.add_mb,
                                 static_cast<int>(c.add_shift), c.add_lo, c.add_hi});
  }

  /// Fills in the words that a job sends, in order, from the sums so far.
  void expect(Pending& pending) {
    const isa::Conv& c = pending.conv;
    const std::size_t pixels = std::size_t{c.rows} * c.cols;
    for (std::size_t nb = 0; nb < c.n_blocks; ++nb) {
      const bool scored = c.product != 0 && c.gap != 0;
      std::vector<std::vector<std::int8_t>> pooled(scored ? 4 : 1);
      for (int lane = 0; lane < L; ++lane) {
        const Parameter& p = params_[(base_ + c.p_offset + nb) * L + lane];
        if (c.gap != 0 && c.gap_first != 0) sums_[lane] = 0;
        for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
          const std::size_t at = nb * pixels + pixel;
          const int y = output(c, pending.acc[at * L + lane], p,
                               act_[((c.add_base + at) % kActWords) * L + lane]);
          if (c.gap != 0) {
            sums_[lane] += scored ? y : y - (c.add != 0 ? c.add_zy : c.zy);
          } else {
            if (pending.words.size() <= at)
              pending.words.resize(at + 1, std::vector<std::int8_t>(L));
            pending.words[at][lane] = static_cast<std::int8_t>(y);
          }
        }
        if (c.gap == 0 || c.gap_last == 0) continue;
        for (std::size_t word = 0; word < pooled.size(); ++word) {
          if (word != 0) sums_[lane] >>= 8;
          pooled[word].push_back(
              golden::requantise_clamp(scored ? static_cast<std::int8_t>(sums_[lane]) : sums_[lane],
                                       std::bit_cast<float>(c.gap_scale), c.gap_zy, -128, 127));
        }
      }
      if (c.gap != 0 && c.gap_last != 0) {
        pending.words.insert(pending.words.end(), pooled.begin(), pooled.end());
      }
    }
  }

  void step(PostRun& result, std::uint64_t start) {
    auto& m = *bench_;
    drive();
    bench_.settle();
    const std::uint64_t now = bench_.cycle() - start;

    // Handshakes of this cycle.
    const bool conv_taken = m.conv_valid_i && m.conv_ready_o;
    const bool res_taken = m.res_valid_o && m.res_ready_i;
    if (res_waited_) {
      CHECK(m.res_valid_o);
      CHECK(m.res_addr_o == res_addr_);
    }
    res_waited_ = m.res_valid_o && !m.res_ready_i;
    res_addr_ = m.res_addr_o;
    const bool acc_read = m.acc_ren_o;
    const int acc_word = m.acc_raddr_o;
    const int acc_half = m.acc_half_o;
    const bool par_read = m.par_ren_o;
    const int par_word = m.par_raddr_o;
    if (acc_read) {
      if (result.issues++ == 0) result.first_issue = now;
      result.last_issue = now;
    }
    CHECK(m.ev_busy_o == acc_read);
    result.wait_out += m.ev_wait_out_o;
    result.wait_operand += m.ev_wait_operand_o;
    if (m.acc_free_o) {
      REQUIRE(freed_ < offered_);
      ++freed_;  // from now on its accumulators read as rubbish
    }
    take_word(result, now);

    bench_.tick();

    if (conv_taken) offering_ = false;
    answer_accumulators(acc_read, acc_half, acc_word);
    answer_parameters(par_read, par_word);
    m.res_rvalid_i = res_taken;
    for (int lane = 0; lane < L; ++lane) {
      set_port_byte(m.res_rdata_i, lane, res_taken ? act_[res_addr_ * L + lane] : draw_.byte());
    }
  }

  void drive() {
    auto& m = *bench_;
    if (!offering_ && offered_ < jobs_.size() && offered_ < freed_ + 2 &&
        !draw_.chance(stalls_.conv)) {
      std::vector<std::uint8_t> bytes;
      isa::encode(jobs_[offered_].conv, bytes);
      set_port_bytes(m.conv_i, bytes);
      m.half_i = offered_ % 2;
      offering_ = true;
      ++offered_;
    }
    m.conv_valid_i = offering_;
    const int held =
        (static_cast<int>(loaded_ % (2 * kParamBlocks)) - m.par_base_o + 2 * kParamBlocks) %
        (2 * kParamBlocks);
    REQUIRE(held <= kParamBlocks);
    if (loaded_ * L < params_.size() && held < kParamBlocks && !draw_.chance(stalls_.parameters))
      ++loaded_;
    m.par_loaded_i = loaded_ % (2 * kParamBlocks);
    m.res_ready_i = !draw_.chance(stalls_.port);
    m.out_ready_i = !draw_.chance(stalls_.out);
  }

  void answer_accumulators(bool read, int half, int word) {
    // The job whose accumulators are in this half and not given back.
    std::size_t job = freed_;
    if (static_cast<int>(job % 2) != half) ++job;
    for (int lane = 0; lane < L; ++lane) {
      const std::size_t at = static_cast<std::size_t>(word) * L + lane;
      const bool good = read && job < offered_ && at < jobs_[job].acc.size();
      set_port_word(bench_->acc_rdata_i, lane,
                    good ? static_cast<std::uint32_t>(jobs_[job].acc[at]) : draw_.word());
    }
  }

  void answer_parameters(bool read, int word) {
    for (int i = 0; i < P; ++i) {
      std::uint32_t bias = draw_.word(), scale = draw_.word();
      if (read) {
        // The newest block at this place of the ring.
        std::int64_t block = word / kSlices;
        while (block + kParamBlocks < static_cast<std::int64_t>(loaded_)) block += kParamBlocks;
        const std::size_t at = static_cast<std::size_t>(block) * L + (word % kSlices) * P + i;
        if (block < static_cast<std::int64_t>(loaded_)) {
          bias = static_cast<std::uint32_t>(params_[at].bias);
          scale = std::bit_cast<std::uint32_t>(params_[at].scale);
        }
      }
      set_port_word(bench_->par_rdata_i, 2 * i, bias);
      set_port_word(bench_->par_rdata_i, 2 * i + 1, scale);
    }
  }

  void take_word(PostRun& result, std::uint64_t now) {
    auto& m = *bench_;
    sent_before_ = sent_;
    if (out_waited_) {
      CHECK(m.out_valid_o);
    }
    out_waited_ = m.out_valid_o && !m.out_ready_i;
    if (m.retire_o) {  // in the cycle after the job's last word
      REQUIRE(retired_ < jobs_.size());
      due_ += jobs_[retired_].words.size();
      CHECK(sent_before_ == due_);
      ++retired_;
    }
    if (m.out_valid_o && m.out_ready_i) {
      REQUIRE(sending_ < jobs_.size());
      while (out_word_ == jobs_[sending_].words.size()) {
        out_word_ = 0;
        REQUIRE(++sending_ < jobs_.size());
      }
      const std::size_t job = sending_;
      const auto& want = jobs_[job].words[out_word_];
      for (int lane = 0; lane < L; ++lane) {
        if (port_byte(m.out_data_o, lane) != want[lane] && ++wrong_ > spoiled_) {
          FAIL_CHECK("job " << job << ", word " << out_word_ << ", lane " << lane << ": "
                            << int{port_byte(m.out_data_o, lane)} << " instead of "
                            << int{want[lane]});
        }
      }
      ++out_word_;
      ++sent_;
      result.last_word = now;
    }
  }

  VerilatedBench<Model> bench_;
  Draw draw_;
  PostStalls stalls_;
  std::vector<std::int8_t> act_ = std::vector<std::int8_t>(kActWords * L);
  std::vector<Parameter> params_;
  std::vector<Pending> jobs_;
  std::array<std::int32_t, L> sums_{};
  std::size_t base_ = 0;  // of the parameter ring, after the jobs so far
  std::uint64_t loaded_ = 0;
  std::size_t offered_ = 0, freed_ = 0, retired_ = 0;
  std::size_t sending_ = 0, out_word_ = 0;  // the job whose words leave, and how many have
  std::size_t sent_ = 0, sent_before_ = 0, due_ = 0;  // words that left, those of retired jobs
  std::size_t wrong_ = 0, spoiled_ = 0;
  bool offering_ = false, res_waited_ = false, out_waited_ = false;
  unsigned res_addr_ = 0;
};

}  // namespace espalier::tests
