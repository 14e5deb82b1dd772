#pragma once
// The weight ring and the parameter ring while instructions are emitted: what may be loaded when,
// and where a convolution finds its own.

#include <optional>
#include <vector>

#include "compiler/constants.hpp"
#include "compiler/steps.hpp"

namespace espalier::compiler {

class WeightQueue {
 public:
  WeightQueue(const isa::Config& config, const std::vector<Layer>& layers, const Schedule& schedule,
              const Constants& constants, bool maskable);

  /// The next LOAD, for a step up to `limit`, if the convolutions that are out leave it room. Where
  /// masks may shorten them it waits for its room in the machine's queue instead: convolutions that
  /// a mask leaves out fill the queue of exec, and what comes behind them would come too late.
  std::optional<isa::Load> next(int limit);
  /// True when all that step `index` needs has been loaded.
  [[nodiscard]] bool loaded(int index) const { return step_ > index; }
  /// Loads handed out for steps after `index`.
  [[nodiscard]] int ahead(int index) const;
  /// Sets a convolution's ring fields, and gives back what it gives back.
  void use(const Step& step, isa::Conv& conv);

 private:
  struct Ring {
    std::int64_t loaded = 0, base = 0, size = 0;
    [[nodiscard]] bool fits(std::int64_t words) const { return loaded - base + words <= size; }
  };
  /// Where a step's weights lie in a program that takes no masks.
  [[nodiscard]] const Unit& unit(const Layer& layer, const Step& step) const;
  [[nodiscard]] std::int64_t unit_words(const Layer& layer, const Step& step) const;
  /// LOADs of a unit: where a mask may shorten it, a tap each if its weights are tapwise.
  [[nodiscard]] int weight_loads(const Layer& layer, const Step& step) const;
  [[nodiscard]] isa::Load weight_load(const Layer& layer, const Step& step) const;
  /// The same where a mask may shorten it; `tap`: of the unit's, where tapwise.
  [[nodiscard]] isa::Load unit_load(const Layer& layer, const Step& step, int tap) const;
  [[nodiscard]] isa::Load param_load(const Step& step) const;
  std::int64_t& weight_position(const Step& step);
  std::int64_t& param_position(const Step& step);

  const isa::Config& config_;
  const std::vector<Layer>& layers_;
  const Schedule& schedule_;
  const Constants& constants_;
  bool maskable_;
  Ring weights_, params_;
  int step_ = 0;          // next step whose loads are to come
  int weight_load_ = 0;   // those of its weights that are out
  std::vector<int> out_;  // steps of the loads handed out
  std::vector<std::vector<std::int64_t>> weight_at_, param_at_;  // by layer, by unit
};

}  // namespace espalier::compiler
