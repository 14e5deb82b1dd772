// Region 4 of an environment, from a program that says where its weights' bits lie.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/integers.hpp"
#include "program/apply_mask.hpp"

namespace espalier::program {
namespace {

constexpr std::size_t kParamBytes = 8;  // of a row
constexpr std::size_t kFour = 4, kTwo = 2;

std::size_t words_of(const Switchable::Layer& layer, int lanes) {
  return index(layer.order.n_blocks) * index(lanes) * index(layer.order.taps()) *
         index(layer.order.k_blocks);
}

/// A layer's environment: whether each byte of its rows is a weight that stays.
class Chooser {
 public:
  Chooser(const Switchable::Layer& layer, int lanes, const ir::QuantConv& conv)
      : layer_(layer), lanes_(index(lanes)), keep_(words_of(layer, lanes) * index(lanes)) {
    const std::size_t row = keep_.size() / (index(layer.order.n_blocks) * lanes_);
    const std::int8_t* weight = conv.weights.data();
    for (const int n : layer.rows) {
      for (const Switchable::Run& run : layer.runs) {
        for (std::uint32_t i = 0; i < run.size; ++i)
          keep_[index(n) * row + run.offset + i] = *weight++ != 0;
      }
    }
  }

  /// Sets the bits of all units. Errors: kMalformed where of four weights more than two stay.
  Status put(std::span<std::uint8_t> region, const std::string& place) const {
    std::size_t at = layer_.bits_at;
    for (int group = 0; group < layer_.order.groups(); ++group) {
      for (const WeightOrder::Part& part : layer_.order.parts) {
        const auto words = layer_.order.unit(static_cast<int>(lanes_), group, part);
        for (std::size_t i = 0; i < words.size(); ++i) {
          const auto word = std::span(keep_).subspan(words[i] * lanes_, lanes_);
          if (part.selected && !two_of_four(word)) {
            return fail(ErrorCode::kMalformed,
                        "of four weights more than two stay; the program selects two", place);
          }
          for (std::size_t k = 0; k < lanes_; ++k) {
            const std::size_t bit = i * lanes_ + k;
            region[at + bit / 8] |= static_cast<std::uint8_t>(word[k] << (bit % 8));
          }
        }
        at += round_up((words.size() * lanes_ + 7) / 8, lanes_);
      }
    }
    return {};
  }

 private:
  static bool two_of_four(std::span<const std::uint8_t> word) {
    for (std::size_t k = 0; k < word.size(); k += kFour)
      if (std::ranges::count(word.subspan(k, kFour), 1) > static_cast<std::ptrdiff_t>(kTwo))
        return false;
    return true;
  }

  const Switchable::Layer& layer_;
  std::size_t lanes_;
  std::vector<std::uint8_t> keep_;
};

/// Whether what is not 0 is as it was.
bool only_masked(const ir::QuantConv& from, const ir::QuantConv& to) {
  return std::ranges::equal(from.weights, to.weights,
                            [](std::int8_t a, std::int8_t b) { return b == 0 || a == b; });
}

}  // namespace

std::vector<std::uint32_t> WeightOrder::unit(int lanes, int group, const Part& part) const {
  std::vector<std::uint32_t> list;
  const int first = group * nb * lanes, last = std::min((group + 1) * nb, n_blocks) * lanes;
  const auto taps_of = [&](int n, int ky, int kx) {
    for (int s = 0; s < part.step; ++s) {
      for (int kb = 0; kb < part.blocks; ++kb) {
        const std::int64_t tap = std::int64_t{ky} * kernel_x + kx + s;
        list.push_back(
            static_cast<std::uint32_t>((std::int64_t{n} * taps() + tap) * k_blocks + part.kb + kb));
      }
    }
  };
  const auto each_tap = [&](auto&& f) {
    for (int ky = part.ky; ky < part.ky + part.rows; ++ky)
      for (int kx = part.kx; kx < part.kx + part.cols; kx += part.step) f(ky, kx);
  };
  list.reserve(index(last - first) * index(part.rows) * index(part.cols) * index(part.blocks));
  if (tapwise) {
    each_tap([&](int ky, int kx) {
      for (int n = first; n < last; ++n) taps_of(n, ky, kx);
    });
  } else {
    for (int n = first; n < last; ++n) each_tap([&](int ky, int kx) { taps_of(n, ky, kx); });
  }
  return list;
}

ir::ChannelMask all_channels(const ir::QuantGraph& graph) {
  ir::ChannelMask all;
  for (const ir::QuantTensor& tensor : graph.tensors) all.emplace_back(index(tensor.shape.c), true);
  return all;
}

Result<Masked> apply_environment(const Program& program, const ir::QuantGraph& graph) {
  ESP_CHECK(program.switchable.has_value());
  const Switchable& s = *program.switchable;
  const std::string name = "program '" + program.graph.name + "'";
  if (graph.nodes.size() != program.graph.nodes.size())
    return fail(ErrorCode::kMismatch, "has other nodes than the environment's model", name);
  Masked out;
  out.table.assign(s.bytes, 0);
  out.maps_offset = s.bytes;
  for (const Switchable::Layer& layer : s.layers) {
    const ir::QuantNode& node = at(program.graph.nodes, layer.node);
    const std::string place = "layer '" + node.name + "'";
    const auto& from = std::get<ir::QuantConv>(node.op);
    const auto* to = std::get_if<ir::QuantConv>(&at(graph.nodes, layer.node).op);
    if (to == nullptr || to->weights.size() != from.weights.size() ||
        to->bias.size() != from.bias.size() || !only_masked(from, *to))
      return fail(ErrorCode::kMismatch, "has other weights than the program's", place);
    if (layer.bits) {
      const Chooser chooser(layer, program.machine().lanes, *to);
      if (const Status status = chooser.put(out.table, place); !status) return status.error();
    } else if (to->weights != from.weights) {
      return fail(ErrorCode::kMismatch,
                  "the environment masks its weights; the program takes all: compile it with "
                  "--switchable and an environment that masks them",
                  place);
    }
    for (std::size_t n = 0; n < layer.rows.size(); ++n) {
      std::uint8_t* target =
          out.table.data() + layer.params_at + kParamBytes * index(layer.rows[n]);
      std::memcpy(target, &to->bias[n], 4);
      std::memcpy(target + 4, &to->scale[n], 4);
    }
  }
  out.live = all_channels(program.graph);
  out.stored.assign(program.graph.tensors.size(), true);
  out.moved.assign(program.graph.tensors.size(), 0);
  return out;
}

Program without_environment(const Program& program) {
  ESP_CHECK(program.switchable.has_value());
  const Switchable::Clean& clean = program.switchable->clean;
  Program out;
  out.config = program.config;
  out.graph = program.graph;
  out.instructions = clean.instructions;
  out.constants = program.constants;
  out.activation_bytes = clean.activation_bytes;
  out.input_bytes = program.input_bytes;
  out.output_bytes = program.output_bytes;
  out.input = program.input;
  out.placements = clean.placements;
  out.layers = program.layers;
  return out;
}

Status verify_switchable(const Program& program) {
  const Switchable& s = *program.switchable;
  const auto lanes = std::uint64_t{index(program.machine().lanes)};
  if (program.machine().fine == 0) {
    return fail(ErrorCode::kMalformed, "for a machine that selects no weights", "switchable");
  }
  if (s.bytes > std::uint64_t{kRegionLimit})
    return fail(ErrorCode::kMalformed, "region 4 is too large", "switchable");
  for (const Switchable::Layer& layer : s.layers) {
    const auto bad = [&](const std::string& what) {
      return fail(ErrorCode::kMalformed, what, fmt::format("switchable: node {}", layer.node));
    };
    if (layer.node < 0 || index(layer.node) >= program.graph.nodes.size())
      return bad("is not in the graph");
    const auto* conv = std::get_if<ir::QuantConv>(&at(program.graph.nodes, layer.node).op);
    if (conv == nullptr) return bad("is no convolution");
    const WeightOrder& order = layer.order;
    constexpr int kMost = 1 << 16;
    for (const int value :
         {order.n_blocks, order.k_blocks, order.kernel_y, order.kernel_x, order.nb})
      if (value < 1 || value > kMost) return bad("has an order out of range");
    const std::uint64_t rows = index(order.n_blocks) * lanes;
    const std::uint64_t row = std::uint64_t{index(order.kernel_y)} * index(order.kernel_x) *
                              index(order.k_blocks) * lanes;
    if (rows * row > std::uint64_t{kRegionLimit}) return bad("has weights out of range");
    if (layer.rows.size() != conv->bias.size() ||
        std::ranges::any_of(layer.rows, [&](int n) { return n < 0 || index(n) >= rows; }))
      return bad("has rows out of range");
    if (layer.params_at % lanes != 0 || layer.params_at + rows * kParamBytes > s.bytes)
      return bad("has parameters past region 4");
    if (!layer.bits) continue;
    std::uint64_t weights = 0;
    for (const Switchable::Run& run : layer.runs) {
      weights += run.size;
      if (std::uint64_t{run.offset} + run.size > row) return bad("has weights past their row");
    }
    if (weights * conv->bias.size() != conv->weights.size()) return bad("has other weights");
    std::uint64_t bits = 0;
    for (const WeightOrder::Part& p : order.parts) {
      if (p.ky < 0 || p.kx < 0 || p.kb < 0 || p.rows < 1 || p.cols < 1 || p.blocks < 1 ||
          p.step < 1 || p.ky > kMost || p.kx > kMost || p.kb > kMost || p.rows > kMost ||
          p.cols > kMost || p.blocks > kMost || p.ky + p.rows > order.kernel_y ||
          p.kx + p.cols > order.kernel_x || p.kb + p.blocks > order.k_blocks ||
          p.cols % p.step != 0)
        return bad("has a part out of range");
      for (int group = 0; group < order.groups(); ++group) {
        const std::uint64_t blocks = std::min(order.nb, order.n_blocks - group * order.nb);
        const std::uint64_t words =
            blocks * lanes * index(p.rows) * index(p.cols) * index(p.blocks);
        bits += round_up((words * lanes + 7) / 8, lanes);
        if (bits > s.bytes) break;
      }
    }
    if (layer.bits_at % lanes != 0 || layer.bits_at + bits > s.bytes)
      return bad("has bits past region 4");
  }
  const Status clean = verify(without_environment(program), program.config);
  return clean ? Status() : Status(placed(clean.error(), "without an environment"));
}

}  // namespace espalier::program
