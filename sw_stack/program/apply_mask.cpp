#include "program/apply_mask.hpp"

#include <algorithm>
#include <numeric>
#include <iterator>

#include "isa/maps.hpp"
#include "program/pack.hpp"
#include "base/integers.hpp"

namespace espalier::program {
namespace {

using isa::kMapBytes;

class Masker {
 public:
  Masker(const Program& program, const ir::ChannelMask& live, const ir::QuantGraph* weights)
      : program_(program),
        graph_(program.graph),
        weights_(weights),
        maskable_(*program.maskable),
        lanes_(program.machine().lanes),
        spot_(graph_.tensors.size(), nullptr) {
    ESP_CHECK(live.size() == graph_.tensors.size());
    out_.live = live;
    for (const Maskable::Spot& spot : maskable_.spots) spot_[index(spot.tensor)] = &spot;
  }

  Result<Masked> run() {
    find_stored();
    out_.moved.assign(graph_.tensors.size(), 0);
    for (const Maskable::Spot& spot : maskable_.spots) {
      out_.moved[index(spot.tensor)] = moved_blocks(spot) * image_bytes(spot.tensor);
    }
    out_.maps_offset = static_cast<std::uint32_t>(program_.constants.size());
    out_.maps.assign(mask_region_bytes(program_) - program_.constants.size(), 0);
    packed_.assign(maskable_.layers.size(), false);
    for (std::size_t l = 0; l < maskable_.layers.size(); ++l) {
      if (const Status status = layer(l); !status) return status.error();
    }
    out_.packs = pack_program(program_, packed_, out_.maps, out_.maps_offset);
    return std::move(out_);
  }

 private:
  [[nodiscard]] const std::vector<bool>& live(int tensor) const { return out_.live[index(tensor)]; }
  [[nodiscard]] static bool any(const std::vector<bool>& list) {
    return std::ranges::any_of(list, [](bool b) { return b; });
  }
  [[nodiscard]] static bool all(const std::vector<bool>& list) {
    return std::ranges::all_of(list, [](bool b) { return b; });
  }

  /// Tensors with live channels that reach the output.
  void find_stored() {
    std::vector<bool> read(graph_.tensors.size(), false);
    read[index(graph_.output)] = true;
    out_.stored.assign(graph_.tensors.size(), false);
    for (std::size_t n = graph_.nodes.size(); n-- > 0;) {
      const ir::QuantNode& node = graph_.nodes[n];
      if (!read[index(node.output)] || !any(live(node.output))) continue;
      out_.stored[index(node.output)] = true;
      for (const int input : node.inputs) read[index(input)] = true;
    }
  }

  /// Calls f(first dense block, dense blocks, live channels) for every segment.
  template <typename F>
  void segments(const Maskable::Spot& spot, F f) const {
    int block = 0;
    auto channel = live(spot.tensor).begin();
    for (const int channels : spot.segments) {
      const auto count = static_cast<int>(std::count(channel, channel + channels, true));
      f(block, ceil_div(channels, lanes_), count);
      block += ceil_div(channels, lanes_);
      channel += channels;
    }
  }

  [[nodiscard]] int live_blocks(int tensor) const {
    int blocks = 0;
    segments(*spot_[index(tensor)],
             [&](int, int, int count) { blocks += ceil_div(count, lanes_); });
    return blocks;
  }

  /// From a tensor's dense blocks in its root to its packed ones; 0 or less.
  [[nodiscard]] std::int64_t moved_blocks(const Maskable::Spot& spot) const {
    std::int64_t blocks = -spot.block;
    segments(*spot_[index(spot.root)], [&](int first, int, int count) {
      if (first < spot.block) blocks += ceil_div(count, lanes_);
    });
    return blocks;
  }

  [[nodiscard]] std::int64_t image_bytes(int tensor) const {
    const ir::Shape& shape = graph_.tensors[index(tensor)].shape;
    return std::int64_t{shape.h} * shape.w * lanes_;
  }

  [[nodiscard]] std::int32_t shift(int tensor) const {
    if (tensor < 0) return 0;
    return static_cast<std::int32_t>(out_.moved[index(tensor)] / program_.machine().bus_bytes);
  }

  Status layer(std::size_t l) {
    const Maskable::Layer& x = maskable_.layers[l];
    isa::LayerRow row;
    row.dense = 1;
    row.in_shift = shift(x.input);
    row.operand_shift = shift(x.operand);
    row.out_shift = shift(x.output);
    const bool runs = out_.stored[index(x.output)];
    row.n_live = static_cast<std::uint32_t>(runs ? live_blocks(x.output) : 0);
    if (x.weights) {
      if (const Status status = conv(l, runs, row); !status) return status;
    }
    isa::encode(row, out_.table);
    return {};
  }

  /// The rest of a convolution's row, and its bit maps where the mask leaves out something of it.
  Status conv(std::size_t l, bool runs, isa::LayerRow& row) {
    const Maskable::Layer& x = maskable_.layers[l];
    const Maskable::Weights& w = *x.weights;
    const std::string& name = graph_.tensors[index(x.input)].name;
    const bool less_input = !all(live(x.input));
    if (runs && !any(live(x.input))) {
      return fail(ErrorCode::kRange,
                  "needs a live input channel; the mask leaves none of tensor '" + name + "'",
                  "conv '" + program_.layers[l].name + "'");
    }
    if (runs && x.whole_input && less_input) {
      return fail(ErrorCode::kUnsupported,
                  "reads all pixels of tensor '" + name +
                      "' as channels: a mask must keep them, or be compiled in (--prune)",
                  "conv '" + program_.layers[l].name + "'");
    }
    const int k_live = x.whole_input ? w.k_blocks : live_blocks(x.input);
    set_counts(w, k_live, static_cast<int>(row.n_live), lanes_, row);
    if (!runs) return {};
    const auto changes = patch(l);
    if (!changes) return changes.error();
    if (!less_input && all(live(x.output)) && !*changes) return {};
    row.dense = 0;
    packed_[l] = true;
    std::uint8_t* k_maps = out_.maps.data() + (w.maps - out_.maps_offset);
    if (x.whole_input) {
      for (int block = 0; block < w.k_blocks; ++block) {
        for (int lane = 0; lane < lanes_; ++lane)
          set(k_maps + index(block) * kMapBytes, static_cast<unsigned>(lane));
      }
      set(k_maps + index(w.k_blocks - 1) * kMapBytes, isa::kSegmentEnd);
    } else {
      put_map(x.input, k_maps);
    }
    set(k_maps + index(w.k_blocks - 1) * kMapBytes, isa::kListEnd);
    std::uint8_t* n_maps = out_.maps.data() + (w.n_maps() - out_.maps_offset);
    put_map(x.output, n_maps);
    set(n_maps + index(w.n_blocks - 1) * kMapBytes, isa::kListEnd);
    return {};
  }

  /// Whether a layer's weights are the user's own; then PACK finds them in place of the program's.
  Result<bool> patch(std::size_t l) {
    if (weights_ == nullptr) return false;
    const int node = conv_node(program_, program_.layers[l]);
    ESP_CHECK(node >= 0);
    const auto& before = std::get<ir::QuantConv>(graph_.nodes[index(node)].op);
    const auto& now = std::get<ir::QuantConv>(weights_->nodes[index(node)].op);
    if (now.weights == before.weights && now.bias == before.bias && now.scale == before.scale)
      return false;
    auto image = layer_image(program_, l, now);
    if (!image) return image.error();
    std::ranges::move(*image, std::back_inserter(out_.patch));
    return true;
  }

  static void set(std::uint8_t* map, unsigned bit) {
    map[bit / 8] = static_cast<std::uint8_t>(map[bit / 8] | 1U << (bit % 8));
  }

  void put_map(int tensor, std::uint8_t* map) const {
    auto channel = live(tensor).begin();
    for (const int channels : spot_[index(tensor)]->segments) {
      for (int c = 0; c < channels; ++c, ++channel) {
        if (*channel) set(map + index(c / lanes_) * kMapBytes, static_cast<unsigned>(c % lanes_));
      }
      map += index(ceil_div(channels, lanes_)) * kMapBytes;
      set(map - kMapBytes, isa::kSegmentEnd);
    }
  }

  const Program& program_;
  const ir::QuantGraph& graph_;
  const ir::QuantGraph* weights_;
  const Maskable& maskable_;
  int lanes_;
  std::vector<const Maskable::Spot*> spot_;  // by tensor
  std::vector<bool> packed_;                 // by layer
  Masked out_;
};

}  // namespace

std::size_t Masked::pack_count() const {
  const auto list = decode_list(packs);
  ESP_CHECK(list.ok());
  return static_cast<std::size_t>(std::ranges::count_if(*list, [](const isa::Instruction& x) {
    const auto* load = std::get_if<isa::Load>(&x);
    return load != nullptr &&
           static_cast<isa::LoadTarget>(load->target) == isa::LoadTarget::kSqueezer &&
           squeezes_params(*load);
  }));
}

void set_counts(const Maskable::Weights& w, int k_live, int n_live, int lanes, isa::LayerRow& row) {
  const auto piece = [&](int nb, int kc) {
    return static_cast<std::uint32_t>(w.block_words(lanes, kc) * nb);
  };
  row.k_live = static_cast<std::uint32_t>(k_live);
  row.n_live = static_cast<std::uint32_t>(n_live);
  row.piece = piece(w.nb, w.kc);
  row.piece_k = piece(w.nb, k_live % w.kc);
  row.piece_n = piece(n_live % w.nb, w.kc);
  row.piece_nk = piece(n_live % w.nb, k_live % w.kc);
  row.n_stride = static_cast<std::uint32_t>(k_live % w.kc * w.part_taps());
  row.block_words = static_cast<std::uint32_t>(w.block_words(lanes, k_live));
}

Result<Masked> apply_mask(const Program& program, const ir::ChannelMask& live,
                          const ir::QuantGraph* weights) {
  if (program.switchable) return apply_environment(program, weights ? *weights : program.graph);
  if (!program.maskable) {
    return fail(ErrorCode::kUsage,
                "takes no masks; compile with --maskable, or the mask in with --prune",
                "program '" + program.graph.name + "'");
  }
  return Masker(program, live, weights).run();
}

std::vector<std::uint8_t> mask_region(const Masked& masked, std::uint8_t fill) {
  std::vector<std::uint8_t> bytes = masked.table;
  bytes.resize(masked.maps_offset, fill);
  bytes.insert(bytes.end(), masked.maps.begin(), masked.maps.end());
  return bytes;
}

std::vector<int> packed_channels(const Program& program, const Masked& masked, int tensor) {
  if (!program.maskable) {  // an environment moves nothing
    std::vector<int> all(masked.live[index(tensor)].size());
    std::iota(all.begin(), all.end(), 0);
    return all;
  }
  const auto& spots = program.maskable->spots;
  const auto spot = std::ranges::find(spots, tensor, &Maskable::Spot::tensor);
  ESP_CHECK(spot != spots.end());
  const auto lanes = static_cast<std::size_t>(program.machine().lanes);
  std::vector<int> list;
  int channel = 0;
  for (const int channels : spot->segments) {
    for (const int end = channel + channels; channel < end; ++channel) {
      if (masked.live[index(tensor)][index(channel)]) list.push_back(channel);
    }
    list.resize(round_up(list.size(), lanes), -1);
  }
  return list;
}

std::vector<std::int8_t> unpack(const Program& program, const Masked& masked,
                                const Placement& placement, std::span<const std::uint8_t> region) {
  const auto tensor = index(placement.tensor);
  const ir::QuantTensor& values = program.graph.tensors[tensor];
  if (!program.maskable) {
    return unpack(
        values.shape, program.machine().lanes,
        region.subspan(placement.offset, blocked_bytes(values.shape, program.machine().lanes)));
  }
  const auto lanes = static_cast<std::size_t>(program.machine().lanes);
  const std::size_t pixels = index(values.shape.h) * index(values.shape.w);
  std::vector<std::int8_t> out(static_cast<std::size_t>(values.shape.count()),
                               static_cast<std::int8_t>(values.quant.zero));
  const auto start = static_cast<std::int64_t>(placement.offset) + masked.moved[tensor];
  ESP_CHECK(start >= 0);
  const auto packed = region.subspan(static_cast<std::size_t>(start));
  const std::vector<int> channels = packed_channels(program, masked, placement.tensor);
  for (std::size_t lane = 0; lane < channels.size(); ++lane) {
    if (channels[lane] < 0) continue;
    const std::size_t from = lane / lanes * pixels * lanes + lane % lanes;
    for (std::size_t p = 0; p < pixels; ++p) {
      out[index(channels[lane]) * pixels + p] = static_cast<std::int8_t>(packed[from + p * lanes]);
    }
  }
  return out;
}

std::size_t mask_region_bytes(const Program& program) {
  std::size_t end = program.constants.size();
  for (const Maskable::Layer& layer : program.maskable->layers) {
    if (layer.weights) end = std::max<std::size_t>(end, layer.weights->maps_end());
  }
  return end;
}

}  // namespace espalier::program
