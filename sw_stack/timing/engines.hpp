#pragma once
// What each of the machine's engines knows of itself in the timing model. What they share (queues,
// scoreboard, rings, ports, streams) is in parts.hpp.

#include <array>
#include <deque>
#include <map>
#include <vector>

#include "timing/parts.hpp"
#include "timing/squeeze.hpp"

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

/// Words of the program: asked for, in the FIFO, handed to the decoder.
struct FetchState {
  std::size_t words = 0;  ///< of the whole program
  std::size_t asked = 0;
  Time visible = 1;  ///< when the next burst may be asked for
  Time next = 0;     ///< and not before this
  std::vector<Time> arrived, taken;
};

struct DecodeState {
  std::size_t decoded = 0;  ///< instructions
  std::size_t taken = 0;    ///< words of the one at work
  Time free = 1;
  std::array<std::uint64_t, kEngines> dispatched{};
  /// load_w's counts with the last two LOADs of the layer table, and the last one's layer.
  std::uint64_t table_before = 0, table_last = 0;
  std::uint32_t table_layer = 0;
  bool ended = false;
  Time end = 0;
};

/// The read bus and its clients.
struct BusState {
  enum Client : std::size_t { kFetch = 0, kLoadA = 1, kLoadW = 2, kClients = 3 };
  std::deque<Time> outstanding;  ///< last beats
  std::array<Time, kClients> requests{};
  Time free = 0, grant_free = 1;
  std::size_t last_client = 0;
  std::int64_t weights_asked = 0, params_asked = 0;  ///< beats, without those of words left out
  /// When words under way that do not stay in the weight ring give their room back.
  std::deque<Time> left_out;
};

/// An engine that loads.
struct LoadState {
  isa::Engine engine;
  Queue* queue;
  Walker walker;
  std::vector<Time> done;             ///< last beats of the LOADs so far
  std::vector<std::size_t> accepted;  ///< instructions
  std::size_t bursts_of = 0;          ///< which of them the next burst is of
  std::int64_t words = 0;             ///< of that LOAD, in the bursts before
  Time written = 0;                   ///< the last cycle of the pool table's last word
};

struct SqueezerState {
  Squeezes rows;
  Time free = 0, row_start = 0;
  std::int64_t row_beats = 0;  ///< of its row so far
};

/// Reads the weights of a CONV, ahead of its activations.
struct SequencerState {
  struct Job {
    std::size_t instruction;
    Time active;
    std::int64_t base;
  };
  /// A code that has been examined.
  struct Pushed {
    Time time;
    bool runs;
  };
  Job job{};
  bool busy = false;
  std::int64_t base = 0;  ///< words given back by the CONVs accepted so far
  Time end = 0;           ///< when the next CONV may be taken
  int piece = 0;
  bool begun = false;        ///< the first tile of the piece, the last one not
  std::vector<Time> starts;  ///< first reads of tiles, of a piece's the first
  // Of sparse CONVs.
  std::vector<Pushed> pushed;
  std::size_t next_code = 0;
  std::int64_t stream_at = 0;  ///< the next word, as position in the ring
  bool header_read = false, examined = false;
  Time code_time = 0;  ///< when it can go on
};

/// The passes of CONVs through the array, into accumulator halves.
struct PassState {
  bool busy = false;
  std::size_t conv = 0;  ///< instruction
  int piece = 0, pieces = 0;
  Time valid = 0, idle = 0, end = -1;           ///< last cycle of the last pass
  Time tile_start = -1000, tile_taken = -1000;  ///< of the last tile
  std::uint64_t tiles_taken = 0;                ///< of the sequencer's starts
  unsigned half = 0;
  std::array<Time, 2> half_free{};
  // Of sparse CONVs.
  std::vector<Time> popped;  ///< when codes were taken
  std::size_t codes_left = 0;
  Time taken_at = -1;  ///< the pass that waits for its tile and half, -1: none
  Shown showing;
  Time shown_end = 0;
  std::vector<Shown> shown;
};

/// The slots of post that are left empty for sums that come back.
class Holds {
 public:
  void add(Time first, Time last) { holds_.push_back({first, last}); }
  /// Where a word of `slices` vectors that could be issued from `issue` on is: moves `issue` to its
  /// first vector, and returns its last. `issue` never falls.
  Time pass(Time& issue, Time slices);

 private:
  struct Hold {
    Time first, last;
  };
  std::deque<Hold> holds_;
};

struct PostState {
  struct Job {
    std::size_t instruction;
    unsigned half;
    Time valid;
  };
  std::deque<Job> jobs;
  bool busy = false;
  Job job{};
  std::int64_t word = 0, words = 0, block_words = 0;
  int round = 0;  ///< of a scored block's last word
  Time next_issue = 0, first_issue = -1000, last_issue = -1000, advance = 0;
  Time fetch_free = 0, operand_request = 0;
  std::vector<Time> operand_reads;  ///< cycles in which it reads port B, before pool
  std::size_t operand_hint = 0;
  std::vector<Time> operand_pops;  ///< when operand words left their FIFO
  std::size_t port_hint = 0;
  std::int64_t param_base = 0;
  Time sums_back = 0;
  Holds holds;
  Outlet out;
};

struct PoolState {
  bool busy = false;
  std::size_t instruction = 0;
  Time free = 0, window_begin = 0, window_end = -1000;
  std::vector<Time> takes;  ///< when the instruction's windows left the generator
  std::uint32_t block = 0, row = 0, col = 0;
  Time begin = 0;
  std::size_t port_hint = 0;
  Outlet out;
  std::vector<Shown> shown;
};

struct StoreState {
  explicit StoreState(const isa::Config& config) : walker(config) {}
  Walker walker;
  std::size_t instruction = 0;
  std::array<std::int64_t, 2> gathered{};  ///< beats that bursts have taken
  std::vector<Time> answers;
  Time write_free = 0, send_free = 0;
};

}  // namespace espalier::timing
