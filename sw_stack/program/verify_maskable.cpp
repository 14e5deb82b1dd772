#include <algorithm>

#include "base/integers.hpp"
#include "isa/maps.hpp"
#include "program/program.hpp"

namespace espalier::program {
namespace {

struct Checker {
  const Program& program;
  const Maskable& maskable;
  int lanes;
  std::vector<const Maskable::Spot*> spots;  // by tensor

  static Diagnostic bad(std::string what, std::string place) {
    return fail(ErrorCode::kMalformed, std::move(what), std::move(place));
  }
  [[nodiscard]] const Maskable::Spot* spot(int tensor) const {
    const bool known = tensor >= 0 && static_cast<std::size_t>(tensor) < spots.size();
    return known ? spots[static_cast<std::size_t>(tensor)] : nullptr;
  }
  [[nodiscard]] const ir::QuantTensor& tensor(int id) const {
    return program.graph.tensors[static_cast<std::size_t>(id)];
  }
  /// Whether one of a spot's segments starts with this block; its end counts as one.
  [[nodiscard]] bool starts(const Maskable::Spot& x, int block) const {
    int first = 0;
    for (const int channels : x.segments) {
      if (first == block) return true;
      first += ceil_div(channels, lanes);
    }
    return first == block;
  }
  [[nodiscard]] int blocks(const Maskable::Spot& x) const {
    int sum = 0;
    for (const int channels : x.segments) sum += ceil_div(channels, lanes);
    return sum;
  }

  Status check_spots() {
    const std::string place = "masks: tensors";
    for (const Maskable::Spot& x : maskable.spots) {
      if (x.tensor < 0 || static_cast<std::size_t>(x.tensor) >= spots.size())
        return bad("names tensor " + std::to_string(x.tensor), place);
      if (spot(x.tensor) != nullptr) return bad("names a tensor twice", place);
      std::int64_t sum = 0;
      for (const int channels : x.segments) {
        if (channels < 1 || channels > (1 << 24)) return bad("has an empty segment", place);
        sum += channels;
      }
      if (sum != tensor(x.tensor).shape.c)
        return bad("segments have " + std::to_string(sum) + " channels", place);
      spots[static_cast<std::size_t>(x.tensor)] = &x;
    }
    for (const Maskable::Spot& x : maskable.spots) {
      const Maskable::Spot* root = spot(x.root);
      if (root == nullptr || root->root != root->tensor || root->block != 0 ||
          tensor(x.root).shape.h != tensor(x.tensor).shape.h ||
          tensor(x.root).shape.w != tensor(x.tensor).shape.w)
        return bad("lies in tensor " + std::to_string(x.root), place);
      if (x.block < 0 || !starts(*root, x.block) || x.block + blocks(x) > blocks(*root))
        return bad("lies at block " + std::to_string(x.block) + " of its root", place);
    }
    for (const Placement& placement : program.placements) {
      const Maskable::Spot* x = spot(placement.tensor);
      const ir::Shape& shape = tensor(placement.tensor).shape;
      const std::uint64_t image = std::uint64_t{blocked_bytes({1, shape.h, shape.w}, lanes)};
      if (x == nullptr || blocks(*x) * image != blocked_bytes(shape, lanes) ||
          x->block * image > placement.offset)
        return bad("contradicts its placement", "masks: tensor " + tensor(placement.tensor).name);
    }
    return {};
  }

  Status check_layers() const {
    const std::string place = "masks: layers";
    if (maskable.layers.size() != program.layers.size()) {
      return bad("has " + std::to_string(maskable.layers.size()) + " layers; the program has " +
                     std::to_string(program.layers.size()),
                 place);
    }
    for (const Maskable::Layer& x : maskable.layers) {
      if (spot(x.input) == nullptr || spot(x.output) == nullptr ||
          (x.operand != -1 && spot(x.operand) == nullptr))
        return bad("names a tensor that is not stored", place);
    }
    return {};
  }

  /// Empty, or what is wrong with where a layer's weights lie.
  [[nodiscard]] std::string trouble(const Maskable::Layer& x) const {
    const Maskable::Weights& w = *x.weights;
    const isa::Config& machine = program.machine();
    const auto most = static_cast<int>(isa::kMaps);
    if (w.taps < 1 || w.taps > 255 || w.k_blocks < 1 || w.k_blocks > most || w.n_blocks < 1 ||
        w.n_blocks > most)
      return "have " + std::to_string(w.taps) + " taps, " + std::to_string(w.k_blocks) + " and " +
             std::to_string(w.n_blocks) + " blocks";
    if (w.n_blocks != blocks(*spot(x.output)) ||
        (!x.whole_input && w.k_blocks != blocks(*spot(x.input))))
      return "have other blocks than its tensors";
    if (w.kc < 1 || w.nb < 1 || w.kc > w.k_blocks || w.nb > w.n_blocks ||
        w.block_words(lanes, w.kc) * w.nb > machine.weight_words)
      return "have groups of " + std::to_string(w.nb) + " blocks and chunks of " +
             std::to_string(w.kc);
    if (w.block_words(lanes, w.k_blocks) > 0xFFFF)
      return "have n blocks of " + std::to_string(w.block_words(lanes, w.k_blocks)) + " words";
    const auto bus = static_cast<std::uint32_t>(machine.bus_bytes);
    const std::int64_t end = w.weights + w.part_bytes(lanes) * w.parts();
    const std::int64_t params_end = w.params + std::int64_t{w.n_blocks} * lanes * 8;
    if (w.weights % bus != 0 || w.params % bus != 0 ||
        std::max(end, params_end) > static_cast<std::int64_t>(program.constants.size()))
      return "lie at bytes " + std::to_string(w.weights) + " and " + std::to_string(w.params);
    if (w.maps % 32 != 0 || w.maps < program.constants.size() || w.maps > kRegionLimit)
      return "have their bit maps at byte " + std::to_string(w.maps);
    return {};
  }

  Status check_weights() const {
    for (std::size_t l = 0; l < maskable.layers.size(); ++l) {
      const std::string place = "masks: layer " + program.layers[l].name;
      const Maskable::Layer& x = maskable.layers[l];
      const bool weights = std::ranges::any_of(program.layers[l].nodes, [this](int n) {
        return std::holds_alternative<ir::QuantConv>(
            program.graph.nodes[static_cast<std::size_t>(n)].op);
      });
      if (weights != x.weights.has_value())
        return bad("has weights and does not say where, or the other way round", place);
      if (!weights) continue;
      if (std::string text = trouble(x); !text.empty())
        return bad("its weights " + std::move(text), place);
    }
    return {};
  }
};

}  // namespace

Status verify_maskable(const Program& program) {
  Checker checker{program, *program.maskable, program.machine().lanes,
                  std::vector<const Maskable::Spot*>(program.graph.tensors.size(), nullptr)};
  if (const Status status = checker.check_spots(); !status) return status;
  if (const Status status = checker.check_layers(); !status) return status;
  return checker.check_weights();
}

}  // namespace espalier::program
