#pragma once
// Parts of the timing model: what the machine's small blocks know and when they know it.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "isa/event.hpp"
#include "isa/instruction.hpp"

#include "base/integers.hpp"

namespace espalier::timing {

using Time = std::int64_t;
/// Not known yet.
inline constexpr Time kNever = std::numeric_limits<Time>::max() / 4;
constexpr bool known(Time time) { return time < kNever; }
/// Beats that are read go through a register to their client.
inline constexpr Time kRegister = 1;

inline constexpr std::size_t kEngines = 7;

/// An instruction in a queue. Dependencies are counts since start, not modulo.
struct Queued {
  std::size_t instruction = 0;
  bool nop = false;
  Time pushed = 0;
  std::array<std::uint64_t, 3> count{};
  std::array<isa::Engine, 3> engine{};
};

/// The queue of one engine: its instructions so far, and when they left. Depth: without the head's
/// register.
class Queue {
 public:
  explicit Queue(std::size_t depth) : depth_(depth) {}
  /// The first cycle in which one more may enter.
  [[nodiscard]] Time room() const {
    if (items_.size() <= depth_) return 0;
    const std::size_t blocking = items_.size() - depth_ - 1;
    return blocking < left_.size() ? left_[blocking] + 1 : kNever;
  }
  void push(const Queued& item) { items_.push_back(item); }
  [[nodiscard]] bool empty() const { return left_.size() == items_.size(); }
  [[nodiscard]] const Queued& head() const { return items_[left_.size()]; }
  /// When the head's register holds it. There is a head.
  [[nodiscard]] Time head_valid() const {
    return std::max(head().pushed + 1, left_.empty() ? 0 : left_.back() + 1);
  }
  void leave(Time time) { left_.push_back(time); }
  [[nodiscard]] std::size_t left() const { return left_.size(); }

 private:
  std::size_t depth_;
  std::vector<Queued> items_;
  std::vector<Time> left_;
};

/// When each engine's retired counts show.
class Scoreboard {
 public:
  void retire(isa::Engine engine, Time shows) {
    auto& list = shows_[index(engine)];
    list.push_back(list.empty() ? shows : std::max(shows, list.back()));
  }
  [[nodiscard]] std::uint64_t retired(isa::Engine engine) const {
    return shows_[index(engine)].size();
  }
  /// All retirements. A count shows in the cycle after the one that retires.
  [[nodiscard]] std::vector<isa::Event> events() const;
  /// When `count` instructions of the engine show as retired.
  [[nodiscard]] Time shows(isa::Engine engine, std::uint64_t count) const {
    const auto& list = shows_[index(engine)];
    if (count == 0) return 0;
    return count <= list.size() ? list[count - 1] : kNever;
  }
  /// When an instruction that is at the head from `valid` on may leave: it is read, then its
  /// dependencies are looked at, one a cycle.
  [[nodiscard]] Time ready(const Queued& item, Time valid) const {
    Time time = valid;
    for (std::size_t d = 0; d < 3; ++d) {
      if (item.engine[d] == isa::Engine::kNone) continue;
      time = std::max(time + 1, shows(item.engine[d], item.count[d]));
    }
    return known(time) ? time + 1 : kNever;
  }

 private:
  std::array<std::vector<Time>, kEngines> shows_;
};

/// A ring: when each word can be read, and when room was given back. Units: words.
class Ring {
 public:
  explicit Ring(std::int64_t size) : size_(size) {}
  /// `words` more, the first readable at `first`, each `step` cycles after the one before.
  void load(std::int64_t words, Time first, Time step) {
    parts_.push_back({loaded_ + words, loaded_, first, step});
    loaded_ += words;
  }
  /// When the words up to `position` can be read.
  [[nodiscard]] Time there(std::int64_t position) const;
  /// From `shows` on `words` more are given back.
  void release(std::int64_t words, Time shows) {
    base_ += words;
    bases_.push_back({base_, shows});
  }
  /// When words up to `position` have room.
  [[nodiscard]] Time room(std::int64_t position) const;

 private:
  struct Part {
    std::int64_t high, low;
    Time first, step;
  };
  struct Base {
    std::int64_t base;
    Time shows;
  };
  std::int64_t size_, loaded_ = 0, base_ = 0;
  std::vector<Part> parts_;
  std::vector<Base> bases_;
};

/// The cycles in which loads write the activation buffer: port B is theirs then, but for reads of
/// operands from the other bank (docs/machine.md, section 5).
class PortB {
 public:
  /// `address`: of the first word; only its bank matters.
  void write(std::int64_t words, Time first, Time step, std::int64_t address) {
    parts_.push_back({first, words, step, address});
  }
  /// The first cycle from `from` on in which the operand at `address` may be read. `hint` as below.
  [[nodiscard]] Time read_operand(Time from, std::int64_t address, std::size_t& hint) const;
  /// The n-th cycle from `from` on that is free. `hint`: the caller's own, 0 at first; `from` never
  /// falls.
  [[nodiscard]] Time take(Time from, std::int64_t n, std::size_t& hint) const;

 private:
  struct Part {
    Time first;
    std::int64_t words;
    Time step;
    std::int64_t address;
    [[nodiscard]] Time last() const { return first + (words - 1) * step; }
  };
  std::vector<Part> parts_;
};

/// One burst of a strided transfer.
struct Burst {
  std::uint32_t beats = 0;
  bool last = false;
};

/// Cuts a transfer into bursts of at most 16 beats, none across 4 KiB, one in two cycles; a
/// register holds the burst until it is taken, and in its first cycle there it is looked at.
class Walker {
 public:
  explicit Walker(const isa::Config& config)
      : bus_(static_cast<std::uint32_t>(config.bus_bytes)),
        word_(static_cast<std::uint32_t>(config.lanes)) {}
  /// The first cycle in which a transfer may be taken; kNever while one is being cut.
  [[nodiscard]] Time accepts() const { return active_ ? kNever : accepts_; }
  template <typename Transfer>
  void accept(const Transfer& t, Time time) {
    row_ = plane_ = address_ = t.offset;
    y_stride_ = t.y_stride;
    z_stride_ = t.z_stride;
    row_bytes_ = left_ = std::uint64_t{t.x_words} * word_;
    y_left_ = y_count_ = t.y_count;
    z_left_ = t.z_count;
    active_ = true;
    may_step_ = time + 2;
    step();
  }
  [[nodiscard]] bool has_burst() const { return shown_; }
  [[nodiscard]] const Burst& burst() const { return burst_; }
  [[nodiscard]] Time visible() const { return visible_; }
  void take(Time time) {
    shown_ = false;
    may_step_ = std::max(may_step_, time);
    step();
  }

 private:
  void step();

  std::uint32_t bus_, word_;
  bool active_ = false, shown_ = false;
  Time accepts_ = 0, may_step_ = 0, visible_ = 0;
  Burst burst_;
  std::uint64_t address_ = 0, row_ = 0, plane_ = 0, left_ = 0, row_bytes_ = 0;
  std::uint64_t y_stride_ = 0, z_stride_ = 0;
  std::uint32_t y_left_ = 0, y_count_ = 0, z_left_ = 0;
};

/// Words from post or pool to the store engine: when each entered its FIFO and when it left.
struct Stream {
  static constexpr std::size_t kDepth = 64;
  std::vector<Time> pushed, popped;
  /// When the next word may enter.
  [[nodiscard]] Time room() const {
    if (pushed.size() < kDepth) return 0;
    const std::size_t blocking = pushed.size() - kDepth;
    return blocking < popped.size() ? popped[blocking] + 1 : kNever;
  }
};

/// Words that wait in an engine's own output FIFO for the stream, in order.
struct Outlet {
  struct Word {
    Time ready;
    bool empty;  ///< only retires its instruction
  };
  struct Last {
    std::size_t words;  ///< the instruction is over when so many have left
    Time begin;
    std::uint32_t layer;
  };
  std::vector<Word> words;
  std::vector<Time> left;
  std::vector<Last> last;
  std::size_t over = 0;  ///< instructions
  /// When the place that word `words.size()` takes is free, of `depth`; `back`: cycles that it
  /// takes to come back.
  [[nodiscard]] Time place(std::size_t depth, Time back) const {
    if (words.size() < depth) return 0;
    const std::size_t blocking = words.size() - depth;
    return blocking < left.size() ? left[blocking] + back : kNever;
  }
};

}  // namespace espalier::timing
