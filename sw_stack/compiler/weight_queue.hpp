#pragma once
// The weight ring and the parameter ring while instructions are emitted: what may be loaded when,
// and where a convolution finds its own.

#include <optional>
#include <utility>
#include <vector>

#include "compiler/constants.hpp"
#include "compiler/steps.hpp"

namespace espalier::compiler {

/// How LOADs are kept from using more of a ring.
enum class Hold : std::uint8_t {
  kOrder,  ///< they stand behind the CONV that gives the room, and may overtake it
  kWhole,  ///< they wait for that CONV to end
  kFirst,  ///< for the one that gives room for their first words
};

/// The parts of the rings that are used; 0: all. Weights that come too early keep the bus from what
/// is needed now.
struct RingRoom {
  int weight_words = 0, param_blocks = 0;
  Hold hold = Hold::kOrder;
  bool operator==(const RingRoom&) const = default;
};

class WeightQueue {
 public:
  /// `room`: the parts of the rings that are used, in programs without masks.
  WeightQueue(const isa::Config& config, const std::vector<Layer>& layers, const Schedule& schedule,
              const Constants& constants, bool maskable, const RingRoom& room);

  /// The next LOAD, for a step up to `limit`, if the convolutions that are out leave it room. Where
  /// masks may shorten them it waits for its room in the machine's queue instead: convolutions that
  /// a mask leaves out fill the queue of exec, and what comes behind them would come too late.
  std::optional<isa::Load> next(int limit);
  /// What the LOAD handed out last waits for, so that no more of the ring is used: counts of exec
  /// and of post with the convolution that gives the room; 0: none.
  [[nodiscard]] std::int64_t exec_wait() const { return weights_.wait; }
  [[nodiscard]] std::int64_t post_wait() const { return params_.wait; }
  /// True when all that step `index` needs has been loaded.
  [[nodiscard]] bool loaded(int index) const { return step_ > index; }
  /// Loads handed out for steps after `index`.
  [[nodiscard]] int ahead(int index) const;
  /// Sets a convolution's ring fields, and gives back what it gives back.
  void use(const Step& step, isa::Conv& conv);
  /// That convolution is out: exec's and post's counts with it.
  void out(std::int64_t exec, std::int64_t post) {
    weights_.given.push_back({weights_.base, exec});
    params_.given.push_back({params_.base, post});
  }

 private:
  struct Ring {
    std::int64_t loaded = 0, base = 0, size = 0;
    bool held = false;  // LOADs wait for room: only a part of the ring is used
    std::int64_t wait = 0;
    /// Base, and the engine's count, with each convolution that is out.
    std::vector<std::pair<std::int64_t, std::int64_t>> given;
    std::size_t next = 0;  // how many of them the LOADs so far have waited for
    [[nodiscard]] bool fits(std::int64_t words) const { return loaded - base + words <= size; }
    /// A LOAD that begins when there is room for its first `first` words.
    void load(std::int64_t words, std::int64_t first);
  };
  /// Where a step's weights lie in a program that takes no masks.
  [[nodiscard]] const Unit& unit(const Layer& layer, const Step& step) const;
  [[nodiscard]] std::int64_t unit_words(const Layer& layer, const Step& step) const;
  /// Words of the ring that words of indices take beside a step's weights until they are out of it.
  [[nodiscard]] std::int64_t index_words(const Layer& layer, const Step& step) const;
  /// LOADs of a unit: where a mask may shorten it, a tap each if its weights are tapwise; where
  /// bits choose from its weights, of bits and of weights in turn.
  [[nodiscard]] int weight_loads(const Layer& layer, const Step& step) const;
  [[nodiscard]] isa::Load weight_load(const Layer& layer, const Step& step) const;
  /// Words of the ring of one of them.
  [[nodiscard]] std::int64_t load_words(const Layer& layer, const Step& step, int load) const;
  /// One LOAD of bits, or of the weights that take them.
  [[nodiscard]] isa::Load switched_load(const Layer& layer, const Step& step, int load) const;
  /// The same where a mask may shorten it; `tap`: of the unit's, where tapwise.
  [[nodiscard]] isa::Load unit_load(const Layer& layer, const Step& step, int tap) const;
  [[nodiscard]] isa::Load param_load(const Step& step) const;
  std::int64_t& weight_position(const Step& step);
  std::int64_t& param_position(const Step& step);

  const isa::Config& config_;
  const std::vector<Layer>& layers_;
  const Schedule& schedule_;
  const Constants& constants_;
  bool maskable_, early_;
  Ring weights_, params_;
  int step_ = 0;          // next step whose loads are to come
  int weight_load_ = 0;   // those of its weights that are out
  std::vector<int> out_;  // steps of the loads handed out
  std::vector<std::vector<std::int64_t>> weight_at_, param_at_;  // by layer, by unit
};

}  // namespace espalier::compiler
