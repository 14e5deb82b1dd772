#include <algorithm>

#include "program/program.hpp"

namespace espalier::program {
namespace {

constexpr std::uint64_t kRegionLimit = 0x7FFF0000;

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
      first += (channels + lanes - 1) / lanes;
    }
    return first == block;
  }
  [[nodiscard]] int blocks(const Maskable::Spot& x) const {
    int sum = 0;
    for (const int channels : x.segments) sum += (channels + lanes - 1) / lanes;
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

  Status check_packs() const {
    const auto list = decode_list(maskable.packs);
    if (!list) return list.error();
    std::int64_t before = -1;
    std::vector<bool> packed(program.layers.size(), false);
    for (const isa::Instruction& instruction : *list) {
      const auto* pack = std::get_if<isa::Pack>(&instruction);
      const std::string place = "masks: pack of layer " + std::to_string(isa::layer(instruction));
      if (pack == nullptr) return bad("is no PACK", place);
      if (pack->layer <= before || pack->layer >= maskable.layers.size())
        return bad("names a layer that is not there, or out of order", place);
      before = pack->layer;
      packed[pack->layer] = true;
      const Maskable::Layer& x = maskable.layers[pack->layer];
      if (pack->n_blocks != static_cast<std::uint32_t>(blocks(*spot(x.output))) ||
          (!x.whole_input && pack->k_blocks != static_cast<std::uint32_t>(blocks(*spot(x.input)))))
        return bad("has other blocks than its tensors", place);
      const std::uint64_t masks_end =
          pack->masks + 8 * (std::uint64_t{pack->k_blocks} + pack->n_blocks);
      if (pack->masks % 32 != 0 || pack->masks < program.constants.size() ||
          masks_end > kRegionLimit)
        return bad("has its bit maps at byte " + std::to_string(pack->masks), place);
    }
    for (std::size_t l = 0; l < packed.size(); ++l) {
      const bool weights = std::ranges::any_of(program.layers[l].nodes, [this](int n) {
        return std::holds_alternative<ir::QuantConv>(
            program.graph.nodes[static_cast<std::size_t>(n)].op);
      });
      if (weights != packed[l])
        return bad("has weights and no PACK, or the other way round",
                   "masks: layer " + program.layers[l].name);
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
  return checker.check_packs();
}

}  // namespace espalier::program
