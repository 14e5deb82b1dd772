#pragma once
// Functional simulator of the instructions: the machine's queues, rings, streams and dependencies
// without its clock. Engines run in any order that the rules of docs/machine.md allow: a fixed one,
// or one drawn from a seed, which brings missing dependencies to light. It refuses programs that
// the machine would fault on or hang in.

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <random>
#include <span>
#include <vector>

#include "isa/clip.hpp"
#include "base/result.hpp"

namespace espalier::iss {

/// Entries of the instruction queues, by engine code, as in rtl/esp_core.sv.
inline constexpr std::array<std::size_t, 7> kQueueDepth = {0, 16, 16, 4, 0, 4, 16};

/// Called after each retired instruction: engine and its count since start (not modulo).
using RetireHook = std::function<void(isa::Engine engine, std::uint64_t count)>;

struct Options {
  std::uint64_t order_seed = 0;  ///< 0: a fixed order; otherwise a random legal one
};

/// Bytes behind the five base registers.
using Regions = std::array<std::vector<std::uint8_t>, 5>;

class Iss {
 public:
  explicit Iss(const isa::Config& config, const Options& options = {});

  /// Runs a program to its end. Transfers are checked against the regions' sizes.
  /// Errors: kDevice, with the fault's name and the instruction, or what every engine waits for.
  Status run(std::span<const isa::Instruction> program, Regions& regions,
             const RetireHook& on_retire = {});

 private:
  struct Ring {
    std::uint64_t loaded = 0, base = 0;  // bytes since start
    std::vector<std::uint8_t> data;
    [[nodiscard]] std::uint64_t room() const { return data.size() - (loaded - base); }
  };
  struct PostJob {
    std::size_t index;
    unsigned half;
  };
  template <typename T>
  const T& as(std::size_t index) const {
    return std::get<T>(program_[index]);
  }
  std::deque<std::size_t>& queue(isa::Engine engine) {
    return queues_[static_cast<std::size_t>(engine)];
  }
  [[nodiscard]] bool ready(std::size_t index) const;
  [[nodiscard]] bool store_ready(isa::StoreSource source) const;
  void retire(isa::Engine engine);
  void fault(isa::Fault cause, std::size_t index, const std::string& detail);

  /// Faults what names the pool, on a configuration without one.
  bool check_no_pool(std::size_t index);
  bool step_fetch();
  /// Shortens the instruction to be fetched; false while the layer table is still to be loaded.
  bool clip_next();
  bool load_table(const isa::Load& load, std::size_t index);
  bool load_squeezer(const isa::Load& load, std::size_t index);
  bool step_load_a();
  bool step_load_w();
  bool step_exec();
  bool step_post();
  /// The words in which a block's sums leave.
  void leave(const isa::Conv& conv, std::vector<std::int8_t>& out);
  bool step_pool();
  bool step_store();
  bool step_nop(isa::Engine engine);

  /// Byte offset of word i of a strided transfer.
  template <typename Transfer>
  [[nodiscard]] std::uint64_t address(const Transfer& transfer, std::uint64_t word) const;
  template <typename Transfer>
  [[nodiscard]] bool inside(const Transfer& transfer) const;
  [[nodiscard]] const std::int8_t* act_word(std::uint64_t word) const;
  void run_taps(const isa::Conv& conv, int from, int to);
  /// A sparse CONV; false, and a fault, where its stream is not as long as w_piece says.
  bool run_stream(const isa::Conv& conv, std::size_t index);
  /// Adds the products of one tile, whose first word is `word` of the ring.
  void run_tile(const isa::Conv& conv, int tap, std::uint32_t kb, std::uint32_t nb,
                std::uint64_t word, std::uint64_t n_stride);
  /// Writes a word of weights into the ring, or keeps what is for words to come.
  void push_weights(const std::uint8_t* word, isa::LoadForm form);
  void push_ring(std::span<const std::uint8_t> word, std::span<const std::uint8_t> indices);
  /// The bit of a weight of the word that is next.
  [[nodiscard]] bool bit(std::size_t weight) const {
    const std::uint64_t at = next_bits_ + weight;
    return (bits_[at / 8] >> (at % 8) & 1U) != 0;
  }
  /// What stays of a word by its bits: of each four at most two, and their indices.
  void select(const std::uint8_t* word, std::vector<std::uint8_t>& two,
              std::vector<std::uint8_t>& indices) const;
  [[nodiscard]] std::string waiting() const;

  isa::Config config_;
  std::size_t lanes_;
  std::uint64_t order_seed_;
  std::vector<isa::Instruction> program_;  // clipped, as far as it is fetched
  Regions* regions_ = nullptr;
  const RetireHook* on_retire_ = nullptr;

  std::vector<std::int8_t> act_;
  Ring weights_, params_;
  std::vector<std::uint8_t> indices_;       // of the weight ring's words, one a byte
  std::vector<std::uint8_t> plain_;         // of a word of dense weights
  std::vector<std::uint8_t> next_indices_;  // of the words of an indexed LOAD that follow
  std::vector<std::uint8_t> bits_;          // that the last LOAD of bits has left
  std::uint64_t next_bits_ = 0;             // the first of the next word's
  std::vector<std::uint8_t> first_two_;     // what stays of the first of two selected words
  std::vector<std::uint8_t> first_index_;   // and its indices
  std::array<std::uint32_t, 128> pool_table_{};
  std::vector<std::uint8_t> layer_table_;  // its RAM, rows and bit maps, as far as it is loaded
  std::deque<std::uint32_t> tables_due_;   // LOADs of it that are fetched and not done: layers
  isa::ClipState clip_state_;
  std::array<std::vector<std::int32_t>, 2> acc_;
  std::array<bool, 2> half_full_{};
  unsigned half_ = 0;
  std::array<std::deque<std::size_t>, 7> queues_;
  std::array<std::uint64_t, 7> retired_{};
  std::size_t fetched_ = 0;
  std::uint64_t load_w_word_ = 0;  // progress of the load_w head
  int exec_piece_ = 0;             // pieces done of the exec head
  std::uint64_t exec_start_ = 0;   // ring base at its start
  bool exec_started_ = false;
  std::vector<std::int32_t> tile_;  // weights of the tile under way
  std::deque<PostJob> post_;
  std::array<std::deque<std::vector<std::int8_t>>, 2> streams_;  // one entry a STORE, by source
  std::deque<std::uint8_t> squeezed_;  // words for STOREs of pool's stream
  std::size_t segment_ = 0;            // squeezed rows of the segment of output channels
  std::vector<std::int64_t> gap_sums_;
  bool ended_ = false;
  Status status_;
};

}  // namespace espalier::iss
