#include "program/pack.hpp"

#include "isa/maps.hpp"

namespace espalier::program {
namespace {

constexpr std::uint32_t kParamWords = 8;  // of a block: 8 bytes a channel

std::uint32_t u(std::int64_t value) { return static_cast<std::uint32_t>(value); }

class Packer {
 public:
  explicit Packer(const Program& program) : program_(program), machine_(program.machine()) {}

  std::vector<std::uint8_t> run(const std::vector<bool>& packed) {
    isa::Load table;
    table.target = u(static_cast<int>(isa::LoadTarget::kLayerTable));
    table.region = u(static_cast<int>(isa::Region::kMask));
    table.x_words = words(program_.layers.size() * isa::kRowBytes);
    put(table, false);
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
  [[nodiscard]] std::uint32_t words(std::size_t bytes) const {
    const auto lanes = static_cast<std::size_t>(machine_.lanes);
    return static_cast<std::uint32_t>((bytes + lanes - 1) / lanes);
  }

  void layer(std::uint32_t layer, const Maskable::Weights& w) {
    layer_ = layer;
    maps(w.maps, w.k_blocks, isa::k_maps_word(machine_));
    maps(w.n_maps(), w.n_blocks, isa::n_maps_word(machine_));
    const std::int64_t block = w.block_words(machine_.lanes, w.k_blocks);
    for (int part = 0; part < w.parts(); ++part) {
      const std::uint32_t offset = w.weights + u(part * w.part_bytes(machine_.lanes));
      squeeze(offset, u(block), w, u(w.part_taps()));
      store(offset, u(block), w, true);
    }
    squeeze(w.params, kParamWords, w, isa::kSqueezeParams);
    store(w.params, kParamWords, w, false);
  }

  void maps(std::uint32_t offset, int blocks, std::uint32_t address) {
    isa::Load load;
    load.target = u(static_cast<int>(isa::LoadTarget::kLayerTable));
    load.region = u(static_cast<int>(isa::Region::kMask));
    load.offset = offset;
    load.x_words = words(static_cast<std::size_t>(blocks) * isa::kMapBytes);
    load.sram_address = address;
    put(load, false);
  }

  void squeeze(std::uint32_t offset, std::uint32_t block, const Maskable::Weights& w,
               std::uint32_t parameter) {
    isa::Load load;
    load.target = u(static_cast<int>(isa::LoadTarget::kSqueezer));
    load.offset = offset;
    set_blocks(load, block, w.n_blocks);
    load.sram_address = parameter;
    put(load, true);
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

  /// A LOAD that waits for all STOREs so far, and where `loads` for all LOADs.
  void put(isa::Load load, bool loads) {
    load.layer = layer_;
    if (stores_ > 0) {
      load.dep0_engine = u(static_cast<int>(isa::Engine::kStore));
      load.dep0_count = stores_ & 0xFFFFU;
    }
    if (loads) {
      load.dep1_engine = u(static_cast<int>(isa::Engine::kLoadW));
      load.dep1_count = loads_ & 0xFFFFU;
    }
    isa::encode(load, out_);
    ++loads_;
  }

  const Program& program_;
  const isa::Config& machine_;
  std::vector<std::uint8_t> out_;
  std::uint32_t layer_ = 0, loads_ = 0, stores_ = 0;
};

}  // namespace

std::vector<std::uint8_t> pack_program(const Program& program, const std::vector<bool>& packed) {
  return Packer(program).run(packed);
}

bool squeezes_params(const isa::Load& load) {
  return (load.sram_address & isa::kSqueezeParams) != 0;
}

}  // namespace espalier::program
