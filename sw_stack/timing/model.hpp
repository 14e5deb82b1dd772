#pragma once
// The timing model's state and its engines. Every `try_*` goes as far as what is known allows and
// says whether it got further; the read bus alone is run in the order of time, because who asks
// first is served first.

#include <deque>
#include <map>
#include <string>

#include "program/tile_codes.hpp"
#include "timing/parts.hpp"
#include "timing/squeeze.hpp"
#include "timing/timing.hpp"

namespace espalier::timing {

/// A stretch in which a CONV or a POOL is what the trace port shows.
struct Shown {
  Time begin = 0, end = 0;
  std::uint32_t layer = 0;
  Time fed = 0, spare = 0;  ///< cycles of passes, and cycles that fill passes shorter than L
  Time weights = 0, activations = 0, post = 0;  ///< waits
};

/// By instruction: the rows of a squeezer's LOAD that are still to come.
using Squeezes = std::map<std::size_t, std::deque<SqueezedRow>>;

class Model {
 public:
  /// `list`: the program as the engines get it; `lengths`: the words of each instruction in memory;
  /// `codes`: of the tiles of sparse CONVs.
  Model(const program::Program& program, const isa::Config& machine, const Memory& memory,
        std::vector<isa::Instruction> list, std::vector<unsigned> lengths,
        std::vector<program::TileCodes> codes, Squeezes squeezes = {});
  Result<Estimate> run();

 private:
  enum Client : std::size_t { kFetch = 0, kLoadA = 1, kLoadW = 2, kClients = 3 };

  // ------------------------------------------------------------ fetch, decode (model.cpp)
  bool try_fetch();
  bool try_decode();
  void push(isa::Engine engine, std::size_t instruction, Time time);
  /// A nop at the head of a queue retires when all before it have.
  bool try_nop(isa::Engine engine, Queue& queue);
  [[nodiscard]] bool head_is_nop(const Queue& queue) const;
  [[nodiscard]] std::string waiting() const;

  // ------------------------------------------------------------ reads (loads.cpp)
  struct Loader {
    isa::Engine engine;
    Queue* queue;
    Walker walker;
    std::vector<Time> done;             // last beats of the LOADs so far
    std::vector<std::size_t> accepted;  // instructions
    std::size_t bursts_of = 0;          // which of them the next burst is of
    std::int64_t words = 0;             // of that LOAD, in the bursts before
  };
  bool try_load(Loader& loader);
  [[nodiscard]] Time request(std::size_t client);
  [[nodiscard]] Time next_grant();
  void grant(Time now);
  void grant_fetch(Time first);
  void grant_load(Loader& loader, const Burst& burst, Time first);
  Time squeeze(std::size_t load, Time first, std::int64_t beats);  // squeeze.cpp

  // ------------------------------------------------------------ exec (exec.cpp)
  bool try_exec();
  bool try_accept_weights();
  bool try_accept_conv();
  bool try_piece();
  bool pass_on_empty(const isa::Conv& conv);
  void finish_conv(const isa::Conv& conv, Time last_go, Time last_taken);
  bool try_sequence();  // sparse.cpp
  bool try_codes();

  // ------------------------------------------------------------ post, pool, store
  bool try_post();
  bool start_post();
  bool post_word();
  bool retire_empty();
  void finish_post();
  bool try_leave(isa::Engine engine, Outlet& outlet, Stream& stream);
  bool try_pool();
  bool start_pool();
  bool pool_window();
  [[nodiscard]] Time pool_port(Time from, std::int64_t n) const;
  bool try_store();

  /// Whether loads that are still to be granted may write in or before cycle `time`.
  [[nodiscard]] bool too_early(Time time) {
    const Time gate = time - memory_.read_latency;
    if (gate <= now_) return false;
    gate_ = std::min(gate_, gate);
    return true;
  }

  template <typename T>
  const T& as(std::size_t instruction) const {
    return std::get<T>(list_[instruction]);
  }

  const program::Program& program_;
  Memory memory_;
  isa::Config config_;
  Time lanes_, slices_;  // L; cycles of a word in post
  std::int64_t word_beats_;
  std::vector<isa::Instruction> list_;
  std::vector<unsigned> lengths_;
  std::vector<program::TileCodes> codes_;
  Time now_ = 0, gate_ = 0;

  // Fetch and decode.
  std::vector<Time> arrived_, taken_;  // words of the program: in the FIFO, handed to the decoder
  std::size_t asked_ = 0, program_words_ = 0, decoded_ = 0;
  std::size_t decode_taken_ = 0;  // words of the instruction in the decoder
  Time fetch_visible_ = 1, decode_free_ = 1;
  std::array<std::uint64_t, kEngines> dispatched_{};
  // load_w's counts with the last two LOADs of the layer table, and the last one's layer.
  std::uint64_t table_before_ = 0, table_last_ = 0;
  std::uint32_t table_layer_ = 0;
  std::array<Queue, kEngines> queues_;
  Queue weight_queue_;
  Scoreboard board_;
  bool ended_ = false;
  Time end_ = 0;

  // Reads.
  std::array<Loader, 2> loaders_;
  std::deque<Time> outstanding_;  // last beats
  std::array<Time, kClients> requests_{};
  Time bus_free_ = 0, grant_free_ = 1;
  std::size_t last_client_ = 0;
  Ring weights_, params_;
  std::int64_t weights_asked_ = 0, params_asked_ = 0;  // beats
  PortB port_;
  Squeezes squeezes_;
  Time squeeze_free_ = 0, row_start_ = 0;  // the squeezer; its row
  std::int64_t row_beats_ = 0;             // of its row so far

  // Exec. Weights of a CONV are read by the sequencer ahead of its activations.
  struct WeightJob {
    std::size_t instruction;
    Time active;
    std::int64_t base;
  };
  WeightJob weight_job_{};
  bool sequencing_ = false;
  std::int64_t weight_base_ = 0;  // words given back by the CONVs accepted so far
  bool conv_busy_ = false;
  std::size_t conv_ = 0;
  int piece_ = 0, pieces_ = 0;
  Time pass_valid_ = 0, passes_idle_ = 0, pass_end_ = -1;  // last cycle of the last pass
  Time tile_start_ = -1000, tile_taken_ = -1000;           // of the last tile
  Time sequencer_end_ = 0;                                 // the last word of the last CONV's tiles
  unsigned half_ = 0;
  std::array<Time, 2> half_free_{};

  // Sparse CONVs: codes that the sequencer has examined, and when the passes took them.
  struct Pushed {
    Time time;
    bool runs;  ///< its tile is read from this cycle on
  };
  std::vector<Pushed> pushed_;
  std::vector<Time> popped_;
  std::size_t next_code_ = 0, codes_left_ = 0;  // of weight_job_; of conv_
  std::uint64_t tiles_begun_ = 0, tiles_taken_ = 0;
  std::int64_t stream_at_ = 0;  // the next word, as position in the ring
  bool header_read_ = false;
  Time code_time_ = 0;                    // when the sequencer can go on
  Time taken_at_ = -1, taken_start_ = 0;  // the pass that waits for its half, -1: none
  Shown showing_;
  Time shown_end_ = 0;
  std::vector<Shown> convs_shown_, pools_shown_;

  // Post.
  struct PostJob {
    std::size_t instruction;
    unsigned half;
    Time valid;
  };
  std::deque<PostJob> post_jobs_;
  bool post_busy_ = false;
  PostJob post_{};
  std::int64_t word_ = 0, post_words_ = 0, block_words_ = 0;
  int round_ = 0;  // of a scored block's last word
  Time next_issue_ = 0, first_issue_ = -1000, last_issue_ = -1000, advance_ = 0;
  Time fetch_free_ = 0, operand_request_ = 0;
  std::vector<Time> operand_reads_;  // cycles in which post reads port B, before pool
  std::size_t operand_hint_ = 0;
  std::vector<Time> operand_pops_;  // when operand words left their FIFO
  std::size_t port_hint_post_ = 0, port_hint_pool_ = 0;
  std::int64_t param_base_ = 0;
  Time sums_back_ = 0;
  std::array<Stream, 2> streams_;
  Outlet post_out_, pool_out_;

  // Pool.
  bool pool_busy_ = false;
  std::size_t pool_ = 0;
  Time pool_free_ = 0, window_emit_ = 0, window_take_ = 0, window_end_ = -1000;
  std::uint32_t pool_block_ = 0, pool_row_ = 0, pool_col_ = 0;
  Time pool_begin_ = 0;

  // Store.
  Walker store_walker_;
  std::size_t store_ = 0;
  std::array<std::int64_t, 2> gathered_{};  // beats that bursts have taken
  std::vector<Time> answers_;
  Time write_free_ = 0, send_free_ = 0;
};

/// Charges the cycles to layers as the trace port does (docs/machine.md). `out` has the layers, and
/// their tiles.
void charge(std::span<const Shown> convs, std::span<const Shown> pools, Time cycles, Estimate& out);

/// Moves of the cycles of passes those that the network's own products need to compute.
void charge_compute(const program::Program& program, const ir::ChannelMask& live, Estimate& out);

}  // namespace espalier::timing
