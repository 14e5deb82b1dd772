#include "program/pack.hpp"

#include "base/integers.hpp"

#include "isa/maps.hpp"

namespace espalier::program {
namespace {

constexpr std::uint32_t kParamWords = 8;      // of a block: 8 bytes a channel
constexpr std::uint32_t kMostWords = 0xFFFF;  // of a run

std::uint32_t u(std::int64_t value) { return static_cast<std::uint32_t>(value); }

/// Rows of a part at equal distances: one LOAD. Units: rows.
struct Rows {
  int first = 0, count = 1, step = 1;
  bool fill = false;  ///< a segment of output channels ends with the last one
};

/// The live rows by maps of the n blocks.
std::vector<Rows> live_rows(const isa::Maps& n, int lanes) {
  std::vector<Rows> list;
  bool joins = false;  // the next row may go into the last item
  for (std::size_t block = 0; block < n.live.size(); ++block) {
    for (int lane = 0; lane < lanes; ++lane) {
      if (!n.live[block][static_cast<std::size_t>(lane)]) continue;
      const int row = static_cast<int>(block) * lanes + lane;
      const int step =
          joins ? row - list.back().first - (list.back().count - 1) * list.back().step : 0;
      if (joins && list.back().count == 1) list.back().step = step;
      joins = joins && step == list.back().step;
      if (joins) {
        ++list.back().count;
      } else {
        list.push_back({.first = row});
        joins = true;
      }
    }
    if (!n.ends[block]) continue;
    if (joins) list.back().fill = true;  // the segment has a live row
    joins = false;
  }
  return list;
}

class Packer {
 public:
  Packer(const Program& program, std::span<const std::uint8_t> maps, std::uint32_t maps_offset)
      : program_(program), machine_(program.machine()), maps_(maps), maps_offset_(maps_offset) {}

  std::vector<std::uint8_t> run(const std::vector<bool>& packed) {
    for (std::size_t l = 0; l < packed.size(); ++l) {
      if (packed[l]) layer(static_cast<std::uint32_t>(l), *program_.maskable->layers[l].weights);
    }
    isa::End end;
    end.layer = u(static_cast<std::int64_t>(program_.layers.size()) - 1);
    isa::encode(end, out_);
    return std::move(out_);
  }

 private:
  /// Words of L bytes that so many bytes take.
  [[nodiscard]] std::uint32_t words(std::uint32_t bytes) const {
    const std::uint32_t lanes = u(machine_.lanes);
    return ceil_div(bytes, lanes);
  }

  void layer(std::uint32_t layer, const Maskable::Weights& w) {
    layer_ = layer;
    const auto row = static_cast<std::uint32_t>(isa::kRowBytes);
    table(layer * row, row, isa::row_word(machine_, layer));
    table(w.maps, map_bytes(w.k_blocks), isa::k_maps_word(machine_));
    table(w.n_maps(), map_bytes(w.n_blocks), isa::n_maps_word(machine_));
    const auto n = isa::read_maps(maps_.subspan(w.n_maps() - maps_offset_),
                                  static_cast<std::size_t>(machine_.lanes));
    ESP_CHECK(n.ok());
    const std::vector<Rows> rows = live_rows(*n, machine_.lanes);
    const std::int64_t block = w.block_words(machine_.lanes, w.k_blocks);
    // STOREs stand in front of the LOADs whose words they take: more LOADs than queues hold would
    // keep them from being sent, and then nobody takes the words.
    for (int part = 0; part < w.parts(); ++part) {
      const std::uint32_t offset = w.weights + u(part * w.part_bytes(machine_.lanes));
      store(offset, u(block), w, true);
      for (const Rows& r : rows) squeeze_rows(offset, r, w);
    }
    store(w.params, kParamWords, w, false);
    isa::Load params;
    params.offset = w.params;
    set_blocks(params, kParamWords, w.n_blocks);
    params.sram_address = isa::kSqueezeParams;
    squeeze(params);
  }

  static std::uint32_t map_bytes(int blocks) {
    return u(blocks) * static_cast<std::uint32_t>(isa::kMapBytes);
  }

  /// So many bytes of region 4 into the RAM of the layer table, once all STOREs so far are done.
  void table(std::uint32_t offset, std::uint32_t bytes, std::uint32_t address) {
    isa::Load load;
    load.target = u(static_cast<int>(isa::LoadTarget::kLayerTable));
    load.region = u(static_cast<int>(isa::Region::kMask));
    load.offset = offset;
    load.x_words = words(bytes);
    load.sram_address = address;
    load.layer = layer_;
    if (stores_ > 0) {
      load.dep0_engine = u(static_cast<int>(isa::Engine::kStore));
      load.dep0_count = stores_ & 0xFFFFU;
    }
    isa::encode(load, out_);
    tables_loaded_ = ++loads_;
  }

  /// Neighbours are one run of words, as long as its length fits.
  void squeeze_rows(std::uint32_t part, const Rows& rows, const Maskable::Weights& w) {
    const std::uint32_t words = u(std::int64_t{w.k_blocks} * w.part_taps());
    const std::uint32_t bytes = words * u(machine_.lanes);
    isa::Load load;
    load.offset = part + u(rows.first) * bytes;
    load.x_words = words;
    if (rows.step == 1 && std::uint64_t{words} * u(rows.count) <= kMostWords) {
      load.x_words *= u(rows.count);
    } else {
      load.y_count = u(rows.count);
      load.y_stride = rows.count > 1 ? u(rows.step) * bytes : 0;
    }
    load.sram_address = u(w.part_taps()) | (rows.fill ? isa::kSqueezeFill : 0);
    squeeze(load);
  }

  /// Waits for the bit maps, and them alone: STOREs take words in the order of LOADs.
  void squeeze(isa::Load load) {
    load.layer = layer_;
    load.target = u(static_cast<int>(isa::LoadTarget::kSqueezer));
    load.dep0_engine = u(static_cast<int>(isa::Engine::kLoadW));
    load.dep0_count = tables_loaded_ & 0xFFFFU;
    isa::encode(load, out_);
    ++loads_;
  }

  void store(std::uint32_t offset, std::uint32_t block, const Maskable::Weights& w, bool weights) {
    isa::Store store;
    store.layer = layer_;
    store.source = u(static_cast<int>(isa::StoreSource::kPool));
    store.region = u(static_cast<int>(isa::Region::kActivations));
    store.offset = offset;
    set_blocks(store, block, w.n_blocks);
    isa::Clip clip;
    clip.nb = u(w.n_blocks);
    clip.cut = clip.need_n = 1;
    if (weights) {
      clip.kc = u(w.k_blocks);
      clip.need_k = clip.words = 1;
    }
    store.clip = clip;
    isa::encode(store, out_);
    ++stores_;
  }

  template <typename Transfer>
  void set_blocks(Transfer& t, std::uint32_t block, int blocks) const {
    t.x_words = block;
    t.z_count = u(blocks);
    t.z_stride = blocks > 1 ? block * u(machine_.lanes) : 0;
  }

  const Program& program_;
  const isa::Config& machine_;
  std::vector<std::uint8_t> out_;
  std::span<const std::uint8_t> maps_;
  std::uint32_t maps_offset_;
  std::uint32_t layer_ = 0, loads_ = 0, stores_ = 0;
  std::uint32_t tables_loaded_ = 0;  // `loads_` behind the last row and bit maps
};

}  // namespace

std::vector<std::uint8_t> pack_program(const Program& program, const std::vector<bool>& packed,
                                       std::span<const std::uint8_t> maps,
                                       std::uint32_t maps_offset) {
  return Packer(program, maps, maps_offset).run(packed);
}

bool squeezes_params(const isa::Load& load) {
  return (load.sram_address & isa::kSqueezeParams) != 0;
}

}  // namespace espalier::program
