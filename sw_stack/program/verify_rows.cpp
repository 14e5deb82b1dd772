#include "program/verify_rows.hpp"

namespace espalier::program {
namespace {

constexpr auto kBytes = static_cast<std::uint32_t>(isa::kRowBytes);

}  // namespace

Rows::Rows(const isa::Config& config)
    : config_(config), rows_(static_cast<std::size_t>(config.mask_layers)) {}

std::string Rows::take(const isa::Instruction& instruction) {
  const auto* x = std::get_if<isa::Load>(&instruction);
  if (x != nullptr && static_cast<isa::LoadTarget>(x->target) == isa::LoadTarget::kLayerTable)
    return load(*x);
  if (isa::clip_of(instruction) == nullptr) return {};
  const std::uint32_t layer = isa::layer(instruction);
  if (rows_.empty()) return "a clip word; configuration " + std::string(config_.name) + " has none";
  const Row& row = rows_[layer % rows_.size()];
  if (row.layer == layer && row.since <= layer) return {};
  return "the row of layer " + std::to_string(layer) + " is not in the layer table";
}

std::string Rows::load(const isa::Load& x) {
  const auto lanes = static_cast<std::uint32_t>(config_.lanes);
  const std::uint64_t to = std::uint64_t{x.sram_address} * lanes;
  const std::uint64_t bytes = std::uint64_t{x.x_words} * lanes;
  if (x.y_count != 1 || x.z_count != 1 || x.offset % kBytes != 0 || to % kBytes != 0 ||
      bytes % kBytes != 0)
    return "loads parts of rows of the layer table";
  if ((to + bytes) / kBytes > rows_.size())
    return "layer table has " + std::to_string(rows_.size()) + " rows";
  for (std::uint64_t i = 0; i < bytes / kBytes; ++i) {
    rows_[to / kBytes + i] = {static_cast<std::int64_t>(x.offset / kBytes + i), x.layer};
  }
  return {};
}

}  // namespace espalier::program
