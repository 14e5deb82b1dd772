#include "timing/squeeze.hpp"

#include <algorithm>

#include "isa/clip.hpp"
#include "program/pack.hpp"
#include "timing/model.hpp"

namespace espalier::timing {
namespace {

constexpr Time kStart = 3;               // of a LOAD: its first map is read
constexpr std::int64_t kParamBytes = 8;  // a lane's parameters

/// Where the bytes of live lanes stand between whole words, and what it takes to pad them.
class Padding {
 public:
  /// `unit`: bytes to which segments are filled up; `step`: bytes of a cycle.
  Padding(std::int64_t unit, std::int64_t step) : unit_(unit), step_(step) {}
  void add(std::int64_t bytes) { bytes_ += bytes; }
  /// Ends a segment; returns the cycles of its padding.
  Time end() {
    const std::int64_t over = bytes_ % unit_;
    bytes_ += over == 0 ? 0 : unit_ - over;
    return over == 0 ? 0 : unit_ / step_ - over / step_;
  }
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }

 private:
  std::int64_t unit_, step_, bytes_ = 0;
};

std::int64_t live_lanes(const std::vector<bool>& lanes) {
  return std::count(lanes.begin(), lanes.end(), true);
}

std::vector<SqueezedRow> weight_rows(const isa::Config& c, const isa::Load& load, int taps,
                                     const isa::Maps& k, std::int64_t& segment) {
  Padding row(c.lanes, c.pack_lanes);
  Time pads = 0;
  for (std::size_t block = 0; block < k.live.size(); ++block) {
    row.add(live_lanes(k.live[block]));
    if (k.ends[block]) pads += row.end();
  }
  pads *= taps;
  const auto blocks = static_cast<std::int64_t>(k.live.size()) * taps;
  const std::int64_t words = row.bytes() / c.lanes * taps;
  const std::int64_t rows = std::int64_t{load.x_words} * load.y_count * load.z_count / blocks;
  std::vector<SqueezedRow> list(static_cast<std::size_t>(rows),
                                {blocks * (c.lanes / c.bus_bytes), 0, pads, words});
  list.front().lead = kStart;
  segment += rows;
  if ((load.sram_address & isa::kSqueezeFill) != 0) {
    const std::int64_t fill = (c.lanes - segment % c.lanes) % c.lanes;
    list.back().tail += fill * (blocks * (c.lanes / c.pack_lanes) + pads);
    list.back().words += fill * words;
    segment = 0;
  }
  return list;
}

std::vector<SqueezedRow> param_rows(const isa::Config& c, const isa::Maps& n) {
  Padding bytes(kParamBytes * c.lanes, c.pack_lanes);
  std::vector<SqueezedRow> list;
  std::int64_t words = 0;  // that have left
  for (std::size_t block = 0; block < n.live.size(); ++block) {
    bytes.add(live_lanes(n.live[block]) * kParamBytes);
    SqueezedRow& row = list.emplace_back();
    row.beats = kParamBytes * c.lanes / c.bus_bytes;
    if (n.ends[block]) row.tail = bytes.end();
    row.words = bytes.bytes() / c.lanes - words;
    words += row.words;
  }
  list.front().lead = kStart;
  return list;
}

}  // namespace

std::vector<SqueezedRow> squeezed_rows(const isa::Load& load, const isa::Config& config,
                                       const program::Maskable::Weights& w, const isa::Maps& k,
                                       const isa::Maps& n, std::int64_t& segment) {
  return program::squeezes_params(load) ? param_rows(config, n)
                                        : weight_rows(config, load, w.part_taps(), k, segment);
}

/// The beats of a burst go into the squeezer, which may hold up the bus. Returns the last one's
/// cycle.
Time Model::squeeze(std::size_t load, Time first, std::int64_t beats) {
  const Time step = std::max(1, config_.bus_bytes / config_.pack_lanes);
  const Time through = squeeze_cycles(config_);
  auto& rows = squeezer_.rows[load];
  Time last = first;
  for (std::int64_t beat = 0; beat < beats; ++beat) {
    const SqueezedRow& row = rows.front();
    if (squeezer_.row_beats == 0) {
      squeezer_.free = std::max(squeezer_.free, first + beat) + row.lead;
      squeezer_.row_start = squeezer_.free;
    }
    last = std::max(squeezer_.free, first + beat);
    squeezer_.free = last + step;
    if (++squeezer_.row_beats < row.beats) continue;
    squeezer_.free += row.tail;
    const Time length = squeezer_.free - squeezer_.row_start;
    for (std::int64_t word = 1; word <= row.words; ++word) {
      streams_[static_cast<std::size_t>(isa::StoreSource::kPool)].pushed.push_back(
          squeezer_.row_start + length * word / row.words + through - 1);
    }
    squeezer_.row_beats = 0;
    rows.pop_front();
  }
  return last;
}

Result<std::int64_t> estimate_pack(const program::Program& program, const program::Masked& masked,
                                   const Memory& memory) {
  const isa::Config& machine = program.machine();
  program::Program packing;  // what the model asks for
  packing.config = program.config;
  packing.instructions = masked.packs;
  packing.layers = program.layers;
  packing.graph.name = program.graph.name;
  const auto list = program::decode_all(packing);
  auto clipped = isa::clip_all(list, masked.table, machine);
  if (!clipped) return clipped.error();
  std::vector<unsigned> lengths;
  Squeezes squeezes;
  std::int64_t segment = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    lengths.push_back(isa::words(list[i]));
    const auto* load = std::get_if<isa::Load>(&list[i]);
    if (load == nullptr || static_cast<isa::LoadTarget>(load->target) != isa::LoadTarget::kSqueezer)
      continue;
    const program::Maskable::Weights& w = *program.maskable->layers[load->layer].weights;
    const auto maps = [&](std::uint32_t at) {
      return isa::read_maps(std::span(masked.maps).subspan(at - masked.maps_offset),
                            static_cast<std::size_t>(machine.lanes));
    };
    const auto k = maps(w.maps), n = maps(w.n_maps());
    if (!k) return k.error();
    if (!n) return n.error();
    const auto rows = squeezed_rows(*load, machine, w, *k, *n, segment);
    squeezes[i].assign(rows.begin(), rows.end());
  }
  const std::size_t count = list.size();
  const auto estimate = Model(packing, machine, memory, std::move(*clipped), std::move(lengths),
                              std::vector<program::TileCodes>(count), std::move(squeezes))
                            .run();
  if (!estimate) return estimate.error();
  return estimate->cycles;
}

}  // namespace espalier::timing
