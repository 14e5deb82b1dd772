#include "program/apply_overlay.hpp"

#include <algorithm>
#include <cstring>

#include "base/integers.hpp"

namespace espalier::program {
namespace {

/// Where the weights of one layer lie in its dense image (docs/pack.md, section 2). What is
/// compiled for a layer follows from its Weights, its tensors' segments and the input's layout.
class Places {
 public:
  Places(const Program& program, std::size_t layer, const ir::QuantConv& conv)
      : program_(program),
        name_(program.layers[layer].name),
        layer_(program.maskable->layers[layer]),
        w_(*layer_.weights),
        conv_(conv),
        lanes_(static_cast<std::size_t>(program.machine().lanes)),
        rows_(lanes_of(layer_.output)) {}

  /// Bytes of the image.
  [[nodiscard]] std::size_t bytes() const {
    return static_cast<std::size_t>(w_.part_bytes(program_.machine().lanes) * w_.parts());
  }
  /// Output channels and weights of each, in the order of the graph.
  [[nodiscard]] std::size_t channels() const { return rows_.size(); }
  [[nodiscard]] std::size_t weights() const { return columns_.size(); }
  /// Lane of channel `n`, over all blocks.
  [[nodiscard]] std::size_t lane(std::size_t n) const { return rows_[n]; }
  /// Byte of weight `i` of channel `n`.
  [[nodiscard]] std::size_t byte(std::size_t n, std::size_t i) const {
    return rows_[n] * row_bytes() + columns_[i];
  }

  /// Errors: as image_bits.
  Status find() {
    const ir::Shape& x = tensor(layer_.input).shape;
    const int kh = conv_.window.kh, kw = conv_.window.kw;
    const std::vector<std::size_t> lane = lanes_of(layer_.input);
    const Fold fold = layer_.whole_input ? input_fold() : Fold{};
    const bool flat = layer_.whole_input && fold.y * fold.x == 1 && w_.taps != kh * kw;
    const int columns = ceil_div(kw, fold.x), rows = ceil_div(kh, fold.y);
    const std::size_t taps = flat ? 1 : index(rows) * index(columns);
    if (index(w_.taps) != taps || rows_.size() != index(conv_.out_channels) ||
        lane.size() != index(x.c) || (flat && (kh != x.h || kw != x.w)))
      return bad();
    for (int ky = 0; ky < kh; ++ky) {
      for (int kx = 0; kx < kw; ++kx) {
        for (int c = 0; c < x.c; ++c) {
          std::size_t tap = index(ky / fold.y) * index(columns) + index(kx / fold.x);
          std::size_t k = lane[index(c)];
          if (flat) {
            tap = 0;
            k = ((k / lanes_ * index(x.h) + index(ky)) * index(x.w) + index(kx)) * lanes_ +
                k % lanes_;
          } else if (layer_.whole_input) {
            k = index((ky % fold.y * fold.x + kx % fold.x) * x.c + c);
          }
          if (k / lanes_ >= index(w_.k_blocks)) return bad();
          columns_.push_back(column(tap, k));
        }
      }
    }
    if (columns_.size() * rows_.size() != conv_.weights.size()) return bad();
    for (std::size_t n = 0; n < rows_.size(); ++n) {
      for (std::size_t i = 0; i < columns_.size(); ++i) {
        if (byte(n, i) >= bytes()) return bad();
      }
    }
    return w_.weights + bytes() > program_.constants.size() ? bad() : Status();
  }

 private:
  /// Taps that the input's layout puts into lanes.
  struct Fold {
    int y = 1, x = 1;
  };

  /// From one row of a part to the next.
  [[nodiscard]] std::size_t row_bytes() const {
    return index(w_.part_taps()) * index(w_.k_blocks) * lanes_;
  }
  /// Byte of a weight of the first row.
  [[nodiscard]] std::size_t column(std::size_t tap, std::size_t k) const {
    const std::size_t part =
        tap * (w_.tapwise ? static_cast<std::size_t>(w_.part_bytes(program_.machine().lanes))
                          : index(w_.k_blocks) * lanes_);
    return part + k;
  }

  /// Lanes of a tensor's channels, over all of its blocks.
  [[nodiscard]] std::vector<std::size_t> lanes_of(int id) const {
    const auto& spots = program_.maskable->spots;
    const auto spot = std::ranges::find(spots, id, &Maskable::Spot::tensor);
    std::vector<std::size_t> list;
    if (spot == spots.end()) return list;
    std::size_t lane = 0;
    for (const int channels : spot->segments) {
      for (int c = 0; c < channels; ++c) list.push_back(lane++);
      lane = round_up(lane, lanes_);
    }
    return list;
  }

  [[nodiscard]] Fold input_fold() const {
    if (layer_.input != program_.graph.input) return {};
    const auto& lanes = program_.input.lanes;
    int all = 0, row = 0;
    for (const InputLayout::Lane& lane : lanes) {
      if (lane.c != 0) continue;
      ++all;
      row += lane.dy == lanes.front().dy ? 1 : 0;
    }
    return row == 0 ? Fold{} : Fold{all / row, row};
  }

  [[nodiscard]] const ir::QuantTensor& tensor(int id) const {
    return program_.graph.tensors[index(id)];
  }
  [[nodiscard]] Status bad() const {
    return fail(ErrorCode::kMalformed, "what is said of its weights contradicts them",
                "conv '" + name_ + "'");
  }

  const Program& program_;
  const std::string& name_;
  const Maskable::Layer& layer_;
  const Maskable::Weights& w_;
  const ir::QuantConv& conv_;
  std::size_t lanes_;
  std::vector<std::size_t> rows_;     // by output channel
  std::vector<std::size_t> columns_;  // by weight of a channel
};

}  // namespace

int conv_node(const Program& program, const Layer& layer) {
  for (const int n : layer.nodes) {
    if (std::holds_alternative<ir::QuantConv>(program.graph.nodes[index(n)].op)) return n;
  }
  return -1;
}

Result<std::vector<Bytes>> layer_image(const Program& program, std::size_t layer,
                                       const ir::QuantConv& conv) {
  constexpr std::size_t kParamBytes = 8;  // bias and multiplier of a channel
  const Maskable::Weights& w = *program.maskable->layers[layer].weights;
  Places places(program, layer, conv);
  if (const Status status = places.find(); !status) return status.error();
  const auto lanes = static_cast<std::size_t>(program.machine().lanes);
  std::vector<Bytes> out{
      {w.weights, std::vector<std::uint8_t>(places.bytes(), 0)},
      {w.params, std::vector<std::uint8_t>(index(w.n_blocks) * lanes * kParamBytes, 0)}};
  auto weight = conv.weights.begin();
  for (std::size_t n = 0; n < places.channels(); ++n) {
    for (std::size_t i = 0; i < places.weights(); ++i)
      out[0].bytes[places.byte(n, i)] = static_cast<std::uint8_t>(*weight++);
    std::uint8_t* const params = out[1].bytes.data() + places.lane(n) * kParamBytes;
    std::memcpy(params, &conv.bias[n], 4);
    std::memcpy(params + 4, &conv.scale[n], 4);
  }
  return out;
}

Result<std::vector<std::uint8_t>> image_bits(const Program& program, std::size_t layer,
                                             std::span<const std::uint8_t> bits) {
  const int node = conv_node(program, program.layers[layer]);
  ESP_CHECK(program.maskable->layers[layer].weights && node >= 0);
  const auto& conv = std::get<ir::QuantConv>(program.graph.nodes[index(node)].op);
  ESP_CHECK(bits.size() == ir::bit_bytes(conv.weights.size()));
  Places places(program, layer, conv);
  if (const Status status = places.find(); !status) return status.error();
  std::vector<std::uint8_t> out(ir::bit_bytes(places.bytes()), 0);
  std::size_t bit = 0;
  for (std::size_t n = 0; n < places.channels(); ++n) {
    for (std::size_t i = 0; i < places.weights(); ++i, ++bit) {
      if (ir::get_bit(bits, bit)) ir::set_bit(out, places.byte(n, i));
    }
  }
  return out;
}

Status apply_overlay(Program& program, const ir::WeightMask& mask) {
  if (!program.maskable) {
    return fail(ErrorCode::kUsage,
                "does not say where its weights lie; compile with --maskable, or take --device "
                "golden",
                "program '" + program.graph.name + "'");
  }
  ESP_CHECK(mask.size() == program.graph.nodes.size());
  for (std::size_t layer = 0; layer < program.layers.size(); ++layer) {
    const auto& weights = program.maskable->layers[layer].weights;
    if (!weights) continue;
    const auto& bits = mask[index(conv_node(program, program.layers[layer]))];
    if (bits.empty()) continue;
    const auto stays = image_bits(program, layer, bits);
    if (!stays) return stays.error();
    const std::size_t bytes =
        std::min(stays->size() * 8, program.constants.size() - weights->weights);
    for (std::size_t i = 0; i < bytes; ++i) {
      if (!ir::get_bit(*stays, i)) program.constants[weights->weights + i] = 0;
    }
  }
  ir::zero_weights(program.graph, mask);
  return {};
}

}  // namespace espalier::program
