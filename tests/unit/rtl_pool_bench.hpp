#pragma once
// esp_pool between a fake port B, pool table and store stream.

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

#include "catch.hpp"
#include "golden/numerics.hpp"
#include "isa/instruction.hpp"
#include "verilated_bench.hpp"

namespace espalier::tests {

/// One POOL. By default one 1 x 1 window of a 1 x 1 tile.
class Window {
 public:
  static Window maximum(int rows, int cols) { return Window(rows, cols); }
  static Window average(int rows, int cols) {
    Window w(rows, cols);
    w.pool.average = 1;
    return w;
  }
  Window& stride(int y, int x) {
    pool.stride_y = static_cast<std::uint32_t>(y);
    pool.stride_x = static_cast<std::uint32_t>(x);
    return *this;
  }
  Window& stride(int both) { return stride(both, both); }
  /// Rows and columns of the tile, first window at -padding; as many windows as fit, or in
  /// ceiling mode as start inside tile and padding.
  Window& tile(int rows, int cols, int padding = 0, bool ceiling = false) {
    pool.in_rows = static_cast<std::uint32_t>(rows);
    pool.in_cols = static_cast<std::uint32_t>(cols);
    origin(-padding, -padding);
    const auto count = [&](int size, int window, int step) {
      const int span = size + 2 * padding - window;
      return span / step + (ceiling && span % step != 0 ? 1 : 0) + 1;
    };
    return output(count(rows, static_cast<int>(pool.kh), static_cast<int>(pool.stride_y)),
                  count(cols, static_cast<int>(pool.kw), static_cast<int>(pool.stride_x)));
  }
  Window& origin(int y, int x) {
    pool.iy0 = y;
    pool.ix0 = x;
    return *this;
  }
  Window& output(int rows, int cols) {
    pool.rows = static_cast<std::uint32_t>(rows);
    pool.cols = static_cast<std::uint32_t>(cols);
    return *this;
  }
  Window& blocks(int n) {
    pool.blocks = static_cast<std::uint32_t>(n);
    return *this;
  }
  /// Where the tile lies in the buffer.
  Window& placed(int base, int pitch, int plane) {
    pool.act_base = static_cast<std::uint32_t>(base);
    pool.row_pitch = static_cast<std::uint32_t>(pitch);
    pool.plane = static_cast<std::uint32_t>(plane);
    return *this;
  }
  Window& zeros(int input, int output) {
    pool.zx = input;
    pool.zy = output;
    return *this;
  }
  Window& clamp(int lo, int hi) {
    pool.lo = lo;
    pool.hi = hi;
    return *this;
  }
  Window& scale(float scale) {
    pool.scale = std::bit_cast<std::uint32_t>(scale);
    return *this;
  }
  /// The multiplier comes from the table, by the window's rows and columns within these.
  Window& table(int y_lo, int y_hi, int x_lo, int x_hi) {
    pool.use_table = 1;
    pool.cy_lo = y_lo;
    pool.cy_hi = y_hi;
    pool.cx_lo = x_lo;
    pool.cx_hi = x_hi;
    return *this;
  }
  isa::Pool pool;

 private:
  Window(int rows, int cols) {
    pool.kh = static_cast<std::uint32_t>(rows);
    pool.kw = static_cast<std::uint32_t>(cols);
    pool.lo = -128;
    pool.hi = 127;
    pool.plane = 64;
    pool.row_pitch = 8;
    pool.scale = std::bit_cast<std::uint32_t>(1.0F);
  }
};

/// What the surroundings withhold. Units: probability in each cycle.
struct PoolStalls {
  double instruction = 0, port = 0, out = 0;
};

struct PoolRun {
  std::uint64_t first_read = 0, last_read = 0, reads = 0, busy = 0, wait = 0, retired = 0;
  bool fault = false;
};

/// `P`: bytes of a step of PACK.
template <typename Model, int L, int P = 4>
class PoolTester {
 public:
  static constexpr int kActWords = 256;

  explicit PoolTester(std::uint64_t seed) : draw_(seed) {
    for (auto& byte : act_) byte = draw_.byte();
    for (auto& entry : table_) entry = 0x3C000000U + (draw_.word() >> 7);  // 2^-7 to 2
  }

  PoolTester& stalls(const PoolStalls& stalls) {
    stalls_ = stalls;
    return *this;
  }
  PoolTester& table(int entry, float multiplier) {
    table_[static_cast<std::size_t>(entry)] = std::bit_cast<std::uint32_t>(multiplier);
    return *this;
  }
  /// Every lane of a word of the buffer.
  PoolTester& word(int address, int value) {
    for (int lane = 0; lane < L; ++lane) act_[address * L + lane] = static_cast<std::int8_t>(value);
    return *this;
  }

  PoolTester& job(const Window& window) {
    Pending pending{window.pool, {}};
    pending.pool.y_step = pending.pool.stride_y * pending.pool.row_pitch & 0xFFFFU;
    pending.pool.layer = static_cast<std::uint32_t>(jobs_.size() + 1);
    expect(pending);
    jobs_.push_back(std::move(pending));
    return *this;
  }

  /// Makes one byte of the last job's first word wrong: run() must notice it.
  PoolTester& spoil() {
    std::int8_t& byte = jobs_.back().words.front()[L - 1];
    byte = static_cast<std::int8_t>(byte ^ 1);
    ++spoiled_;
    return *this;
  }

  /// Runs until every job has retired, or the engine raises a fault. Checks every word.
  PoolRun run() {
    PoolRun result;
    std::uint64_t limit = 2000;
    for (const Pending& job : jobs_) {
      limit += 400 + 12 * job.words.size() * (job.pool.kh * job.pool.kw + 2 * L + 16);
    }
    const std::uint64_t start = bench_.cycle();
    while (out_job_ < jobs_.size() && !result.fault) {
      if (bench_.cycle() - start > limit) {
        FAIL("no end after " << limit << " cycles; " << retired_ << " of " << jobs_.size()
                             << " retired");
      }
      step(result, start);
    }
    for (int i = 0; i < 40; ++i) step(result, start);
    if (!result.fault) {
      CHECK(retired_ == jobs_.size());
      CHECK(bench_->layer_valid_o == 0);
    }
    CHECK(out_word_ == 0);
    CHECK(wrong_ == spoiled_);
    return result;
  }

  /// Steps of PACK, when all jobs have retired: random bytes under random masks, padded now and
  /// then and, to whole words, at the end. Checks every word. Returns the cycles until the last
  /// step is taken.
  std::uint64_t pack(int steps, double share, double pads) {
    struct Step {
      std::array<std::int8_t, P> data{};
      std::uint32_t mask = 0;
      bool pad = false, zero = false;
    };
    std::vector<Step> list;
    std::vector<std::int8_t> want;
    for (int i = 0; i < steps || want.size() % L != 0; ++i) {
      Step& step = list.emplace_back();
      step.pad = i >= steps || draw_.chance(pads);
      step.zero = step.pad || draw_.chance(pads);
      for (int lane = 0; lane < P; ++lane) {
        step.data[lane] = draw_.byte();
        if (!draw_.chance(share)) continue;
        step.mask |= 1U << lane;
        if (!step.pad) want.push_back(step.zero ? std::int8_t{0} : step.data[lane]);
      }
      if (step.pad) want.resize((want.size() / P + 1) * P);
    }
    auto& m = *bench_;
    const std::uint64_t start = bench_.cycle();
    std::uint64_t cycles = 0;
    std::size_t next = 0, byte = 0, wrong = 0;
    bool offering = false;
    while (next < list.size() || byte < want.size()) {
      REQUIRE(bench_.cycle() - start < 200 * list.size() + 1000);
      offering = offering || (next < list.size() && !draw_.chance(stalls_.instruction));
      if (offering) {
        const Step& step = list[next];
        for (int lane = 0; lane < P; ++lane) set_port_byte(m.pack_data_i, lane, step.data[lane]);
        m.pack_mask_i = static_cast<std::uint8_t>(step.mask);
        m.pack_pad_i = step.pad;
        m.pack_zero_i = step.zero;
      }
      m.pack_valid_i = offering;
      m.out_ready_i = !draw_.chance(stalls_.out);
      bench_.settle();
      CHECK(m.retire_o == 0);
      CHECK(m.layer_valid_o == 0);
      if (offering && m.pack_ready_o) {
        offering = false;
        ++next;
        cycles = bench_.cycle() - start + 1;
      }
      if (m.out_valid_o && m.out_ready_i) {
        REQUIRE(byte + L <= want.size());
        for (int lane = 0; lane < L; ++lane) wrong += port_byte(m.out_data_o, lane) != want[byte++];
      }
      bench_.tick();
    }
    m.pack_valid_i = 0;
    CHECK(wrong == 0);
    return cycles;
  }

  /// Runs for some cycles, then clears the block and forgets its jobs, as after a fault.
  PoolTester& abandon(int cycles) {
    PoolRun ignored;
    const std::uint64_t start = bench_.cycle();
    for (int i = 0; i < cycles; ++i) step(ignored, start);
    bench_->clear_i = 1;
    bench_->pool_valid_i = 0;
    bench_.tick();
    bench_->clear_i = 0;
    jobs_.clear();
    offered_ = retired_ = out_job_ = out_word_ = 0;
    offering_ = req_waited_ = out_waited_ = false;
    return *this;
  }

  /// Byte `lane` of the word that a job must send; set by job().
  [[nodiscard]] int expected(std::size_t job, std::size_t word, int lane = 0) const {
    return jobs_[job].words[word][lane];
  }

 private:
  struct Pending {
    isa::Pool pool;
    std::vector<std::array<std::int8_t, L>> words;
  };

  void expect(Pending& pending) {
    const isa::Pool& p = pending.pool;
    const int kh = static_cast<int>(p.kh), kw = static_cast<int>(p.kw);
    const auto counted = [](int from, int size, int lo, int hi) {
      int n = 0;
      for (int i = from; i < from + size; ++i) n += i >= lo && i < hi;
      return std::max(n, 1);
    };
    for (std::uint32_t block = 0; block < p.blocks; ++block) {
      for (int oy = 0; oy < static_cast<int>(p.rows); ++oy) {
        for (int ox = 0; ox < static_cast<int>(p.cols); ++ox) {
          const int y0 = p.iy0 + oy * static_cast<int>(p.stride_y);
          const int x0 = p.ix0 + ox * static_cast<int>(p.stride_x);
          std::array<int, L> sum{}, max{};
          max.fill(std::numeric_limits<int>::min());
          for (int y = y0; y < y0 + kh; ++y) {
            for (int x = x0; x < x0 + kw; ++x) {
              if (y < 0 || y >= static_cast<int>(p.in_rows) || x < 0 ||
                  x >= static_cast<int>(p.in_cols))
                continue;
              const std::uint64_t address = p.act_base + std::uint64_t{block} * p.plane +
                                            static_cast<std::uint64_t>(y) * p.row_pitch +
                                            static_cast<std::uint64_t>(x);
              for (int lane = 0; lane < L; ++lane) {
                const int v = act_[address % kActWords * L + lane] - p.zx;
                sum[lane] += v;
                max[lane] = std::max(max[lane], v);
              }
            }
          }
          std::uint32_t scale = p.scale;
          if (p.use_table != 0) {
            const int entry = (counted(y0, kh, p.cy_lo, p.cy_hi) - 1) * kw +
                              counted(x0, kw, p.cx_lo, p.cx_hi) - 1;
            scale = entry < 128 ? table_[static_cast<std::size_t>(entry)] : 0;
          }
          auto& word = pending.words.emplace_back();
          for (int lane = 0; lane < L; ++lane) {
            const bool empty = max[lane] == std::numeric_limits<int>::min();
            word[lane] = golden::requantise_clamp(empty            ? 0
                                                  : p.average != 0 ? sum[lane]
                                                                   : max[lane],
                                                  std::bit_cast<float>(scale), p.zy, p.lo, p.hi);
          }
        }
      }
    }
  }

  void step(PoolRun& result, std::uint64_t start) {
    auto& m = *bench_;
    if (!offering_ && offered_ < jobs_.size() && !draw_.chance(stalls_.instruction)) {
      std::vector<std::uint8_t> bytes;
      isa::encode(jobs_[offered_].pool, bytes);
      set_port_bytes(m.pool_i, bytes);
      offering_ = true;
      ++offered_;
    }
    m.pool_valid_i = offering_;
    m.req_ready_i = !draw_.chance(stalls_.port);
    m.out_ready_i = !draw_.chance(stalls_.out);
    bench_.settle();
    const std::uint64_t now = bench_.cycle() - start;

    const bool taken = m.pool_valid_i && m.pool_ready_o;
    const bool read = m.req_valid_o && m.req_ready_i;
    const std::size_t address = m.req_addr_o;
    if (req_waited_) {
      CHECK(m.req_valid_o);
      CHECK(address == req_addr_);
    }
    req_waited_ = m.req_valid_o && !m.req_ready_i;
    req_addr_ = address;
    if (read) {
      if (result.reads++ == 0) result.first_read = now;
      result.last_read = now;
    }
    result.busy += m.ev_busy_o;
    result.wait += m.ev_wait_o;
    if (m.retire_o) result.retired = now;
    result.fault = result.fault || m.fault_o != 0;
    if (m.layer_valid_o) CHECK(m.layer_o <= offered_);
    const bool lookup = m.tab_ren_o;
    const std::size_t entry = m.tab_raddr_o;
    take_word();

    bench_.tick();

    if (taken) offering_ = false;
    m.tab_rdata_i = lookup ? table_[entry] : draw_.word();
    m.req_rvalid_i = read;
    for (int lane = 0; lane < L; ++lane) {
      set_port_byte(m.req_rdata_i, lane, read ? act_[address * L + lane] : draw_.byte());
    }
  }

  void take_word() {
    auto& m = *bench_;
    // A job retires before its last word leaves, or in that cycle.
    if (m.retire_o) REQUIRE(++retired_ <= jobs_.size());
    if (out_waited_) CHECK(m.out_valid_o);
    out_waited_ = m.out_valid_o && !m.out_ready_i;
    if (m.out_valid_o && m.out_ready_i) {
      REQUIRE(out_job_ < jobs_.size());
      const auto& want = jobs_[out_job_].words[out_word_];
      for (int lane = 0; lane < L; ++lane) {
        if (port_byte(m.out_data_o, lane) != want[lane] && ++wrong_ > spoiled_) {
          FAIL_CHECK("job " << out_job_ << ", word " << out_word_ << ", lane " << lane << ": "
                            << int{port_byte(m.out_data_o, lane)} << " instead of "
                            << int{want[lane]});
        }
      }
      if (++out_word_ == jobs_[out_job_].words.size()) {
        ++out_job_;
        out_word_ = 0;
        CHECK(retired_ >= out_job_);
      }
    }
  }

  VerilatedBench<Model> bench_;
  Draw draw_;
  PoolStalls stalls_;
  std::vector<std::int8_t> act_ = std::vector<std::int8_t>(kActWords * L);
  std::array<std::uint32_t, 128> table_{};
  std::vector<Pending> jobs_;
  std::size_t offered_ = 0, retired_ = 0, out_job_ = 0, out_word_ = 0;
  std::size_t wrong_ = 0, spoiled_ = 0;
  bool offering_ = false, req_waited_ = false, out_waited_ = false;
  std::size_t req_addr_ = 0;
};

}  // namespace espalier::tests
