#pragma once
// The timing model's state and its engines. Every `try_*` goes as far as what is known allows and
// says whether it got further; the read bus alone is run in the order of time, because who asks
// first is served first.

#include <string>

#include "program/tile_codes.hpp"
#include "timing/engines.hpp"
#include "timing/timing.hpp"

namespace espalier::timing {

class Model {
 public:
  /// `list`: the program as the engines get it; `lengths`: the words of each instruction in memory;
  /// `codes`: of the tiles of sparse CONVs.
  Model(const program::Program& program, const isa::Config& machine, const Memory& memory,
        std::vector<isa::Instruction> list, std::vector<unsigned> lengths,
        std::vector<program::TileCodes> codes, Squeezes squeezes = {});
  Result<Estimate> run();
  /// After run().
  [[nodiscard]] std::vector<isa::Event> events() const { return board_.events(); }

 private:
  // ------------------------------------------------------------ fetch, decode (model.cpp)
  bool try_fetch();
  bool try_decode();
  void push(isa::Engine engine, std::size_t instruction, Time time);
  /// A nop at the head of a queue retires when all before it have.
  bool try_nop(isa::Engine engine, Queue& queue);
  [[nodiscard]] bool head_is_nop(const Queue& queue) const;
  [[nodiscard]] std::string waiting() const;

  // ------------------------------------------------------------ reads (loads.cpp)
  bool try_load(LoadState& loader);
  [[nodiscard]] Time request(std::size_t client);
  [[nodiscard]] Time weight_room(std::int64_t position) const;
  [[nodiscard]] Time next_grant();
  void grant(Time now);
  void grant_fetch(Time now, Time first);
  void grant_load(LoadState& loader, const Burst& burst, Time first);
  Time write_table(LoadState& loader, Time first, std::int64_t beats);
  Time squeeze(std::size_t load, Time first, std::int64_t beats);  // squeeze.cpp

  // ------------------------------------------------------------ exec (exec.cpp)
  bool try_exec();
  bool try_accept_weights();
  bool try_accept_conv();
  bool try_tile(const isa::Conv& conv);
  void end_tiles(const isa::Conv& conv);
  bool try_piece();
  bool pass_on_empty(const isa::Conv& conv);
  [[nodiscard]] Time pass_cycles(Time pixels) const;
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

  // What the engines share.
  std::array<Queue, kEngines> queues_;
  Queue weight_queue_;
  Scoreboard board_;
  Ring weights_, params_;
  PortB port_;
  std::array<Stream, 2> streams_;

  FetchState fetch_;
  DecodeState decode_;
  BusState bus_;
  std::array<LoadState, 2> loaders_;
  SqueezerState squeezer_;
  SequencerState sequencer_;
  PassState passes_;
  PostState post_;
  PoolState pool_;
  StoreState store_;
};

/// Charges the cycles to layers as the trace port does (docs/machine.md). `out` has the layers, and
/// their tiles.
void charge(std::span<const Shown> convs, std::span<const Shown> pools, Time cycles, Estimate& out);

/// Moves of the cycles of passes those that the network's own products need to compute.
void charge_compute(const program::Program& program, const ir::ChannelMask& live, Estimate& out);

}  // namespace espalier::timing
