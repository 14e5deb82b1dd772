#include "compiler/weight_tiles.hpp"

#include <algorithm>
#include <array>

#include "isa/instruction.hpp"
#include "isa/tile_codes.hpp"

namespace espalier::compiler {
namespace {

constexpr double kLeastShare = 0.03;  // of a layer's tiles that are zero

/// Cuts one layer into tiles.
class Cutter {
 public:
  Cutter(const Layer& layer, std::span<const std::uint8_t> dense, int lanes)
      : layer_(layer), dense_(dense), lanes_(static_cast<std::size_t>(lanes)) {}

  /// Codes of every chunk of a group whose n blocks are `blocks`.
  [[nodiscard]] std::vector<std::vector<std::uint8_t>> codes(const Span& blocks) {
    std::vector<std::vector<std::uint8_t>> out;
    std::vector<bool> written(static_cast<std::size_t>(blocks.size()), false);
    for (const Chunk& chunk : layer_.chunks) {
      out.emplace_back();
      const std::size_t tiles =
          static_cast<std::size_t>(chunk.taps()) * chunk.kb.size() * blocks.size();
      walk(chunk, blocks, [&](std::size_t first_row, std::size_t column) {
        std::vector<std::uint8_t>& list = out.back();
        const std::size_t block = list.size() % written.size();
        const bool zero = is_zero(first_row, column);
        zero_tiles_ += zero ? 1 : 0;
        ++tiles_;
        std::uint8_t code = isa::kTileSkips;
        if (!zero || list.size() + 1 == tiles) {  // the last tile hands the sums on
          code = written[block] ? isa::kTileRuns : isa::kTileOverwrites;
          written[block] = true;
        }
        list.push_back(code);
      });
    }
    // A block without any: its first tile clears the sums. The chunk's last tile has run already.
    for (std::size_t block = 0; block < written.size(); ++block) {
      if (!written[block]) out[0][block] = isa::kTileOverwrites;
    }
    return out;
  }

  /// Appends a chunk's headers and tiles.
  void put(const Chunk& chunk, const Span& blocks, std::span<const std::uint8_t> codes,
           std::vector<std::uint8_t>& out) const {
    std::size_t tile = 0;
    walk(chunk, blocks, [&](std::size_t first_row, std::size_t column) {
      if (tile % isa::kHeaderTiles == 0) {
        const std::size_t header = out.size();
        out.resize(header + lanes_, 0);
        for (std::size_t i = 0; i < isa::kHeaderTiles && tile + i < codes.size(); ++i) {
          out[header + i / 4] |= static_cast<std::uint8_t>(codes[tile + i] << (i % 4 * 2));
        }
      }
      if (codes[tile++] == isa::kTileSkips) return;
      for (std::size_t n = 0; n < lanes_; ++n) {
        const auto word = dense_.subspan((first_row + n) * row_bytes() + column, lanes_);
        out.insert(out.end(), word.begin(), word.end());
      }
    });
  }

  [[nodiscard]] double zero_share() const {
    return static_cast<double>(zero_tiles_) / static_cast<double>(tiles_);
  }

 private:
  [[nodiscard]] std::size_t row_bytes() const {
    return static_cast<std::size_t>(layer_.conv.taps()) * layer_.conv.kb * lanes_;
  }
  /// Calls with the first row of each tile and the byte in the row, in the machine's order.
  template <typename F>
  void walk(const Chunk& chunk, const Span& blocks, F&& f) const {
    for (int ky = chunk.ky.low; ky < chunk.ky.high; ++ky) {
      for (int kx = chunk.kx.low; kx < chunk.kx.high; ++kx) {
        for (int kb = chunk.kb.low; kb < chunk.kb.high; ++kb) {
          for (int nb = blocks.low; nb < blocks.high; ++nb) {
            const int tap = ky * layer_.conv.x.kernel + kx;
            f(static_cast<std::size_t>(nb) * lanes_,
              static_cast<std::size_t>(tap * layer_.conv.kb + kb) * lanes_);
          }
        }
      }
    }
  }
  [[nodiscard]] bool is_zero(std::size_t first_row, std::size_t column) const {
    for (std::size_t n = 0; n < lanes_; ++n) {
      const auto word = dense_.subspan((first_row + n) * row_bytes() + column, lanes_);
      if (std::any_of(word.begin(), word.end(), [](std::uint8_t b) { return b != 0; }))
        return false;
    }
    return true;
  }

  const Layer& layer_;
  std::span<const std::uint8_t> dense_;
  std::size_t lanes_, tiles_ = 0, zero_tiles_ = 0;
};

/// The most words that the ring holds at once for this layer.
std::int64_t kept_words(const Layer& layer, const std::vector<Unit>& units) {
  const std::size_t chunks = layer.chunks.size();
  std::int64_t all = 0, group = 0, unit = 0, sum = 0;
  for (std::size_t s = 0; s < units.size(); ++s) {
    if (s % chunks == 0) sum = 0;
    sum += units[s].words;
    all += units[s].words;
    group = std::max(group, sum);
    unit = std::max<std::int64_t>(unit, units[s].words);
  }
  if (!layer.conv_plan.weights_stay) return unit;
  return layer.conv_plan.by_group ? group : all;
}

/// The n blocks of each output group.
std::vector<Span> groups_of(const Layer& layer) {
  std::vector<Span> list;
  for (int low = 0; low < layer.conv.nb; low += layer.conv_plan.nb)
    list.push_back({low, std::min(low + layer.conv_plan.nb, layer.conv.nb)});
  return list;
}

}  // namespace

namespace {

/// The columns of a fine chunk's weights with their indices: of each group of four channels two.
class Indexer {
 public:
  explicit Indexer(std::size_t lanes) : lanes_(lanes) {}

  /// Appends the column of which `low` and `high` are the words of both channels' blocks or taps.
  void put(std::span<const std::uint8_t> low, std::span<const std::uint8_t> high) {
    constexpr std::size_t kFour = 4, kTwo = 2;
    for (std::size_t k = 0; k < lanes_; k += kFour) {
      for (const auto& word : {low, high}) {
        const auto four = word.subspan(k, kFour);
        std::size_t kept = 0;
        std::array<std::size_t, kTwo> index{};
        for (std::size_t c = 0; c < kFour; ++c) {
          if (four[c] == 0) continue;
          ESP_CHECK(kept < kTwo);
          index[kept++] = c;
        }
        for (std::size_t slot = 0; slot < kTwo; ++slot) {
          words_.push_back(slot < kept ? four[index[slot]] : 0);
          indices_.push_back(static_cast<std::uint8_t>(index[slot]));
        }
      }
    }
  }

  /// Appends all columns so far, four by four behind a word of their indices.
  void flush(std::vector<std::uint8_t>& out) {
    const std::size_t group = lanes_ * (isa::kIndexedGroup - 1);
    ESP_CHECK(words_.size() % group == 0);
    for (std::size_t at = 0; at < words_.size(); at += group) {
      for (std::size_t i = 0; i < group; i += 4) {
        const std::uint8_t* two = indices_.data() + at + i;
        out.push_back(static_cast<std::uint8_t>(two[0] | two[1] << 2 | two[2] << 4 | two[3] << 6));
      }
      const auto first = words_.begin() + static_cast<std::ptrdiff_t>(at);
      out.insert(out.end(), first, first + static_cast<std::ptrdiff_t>(group));
    }
    words_.clear();
    indices_.clear();
  }

 private:
  std::size_t lanes_;
  std::vector<std::uint8_t> words_, indices_;
};

}  // namespace

program::WeightOrder weight_order(const Layer& layer) {
  program::WeightOrder order;
  order.n_blocks = layer.conv.nb;
  order.k_blocks = layer.conv.kb;
  order.kernel_y = layer.conv.y.kernel;
  order.kernel_x = layer.conv.x.kernel;
  order.nb = layer.conv_plan.nb;
  order.tapwise = layer.conv_plan.tapwise;
  for (const Chunk& chunk : layer.chunks) {
    auto& part = order.parts.emplace_back();
    part.ky = chunk.ky.low;
    part.kx = chunk.kx.low;
    part.kb = chunk.kb.low;
    part.rows = chunk.ky.size();
    part.cols = chunk.kx.size();
    part.blocks = chunk.kb.size();
    part.step = chunk.second == Second::kTap ? 2 : 1;
    part.selected = chunk.second != Second::kNone;
  }
  return order;
}

std::uint32_t bit_words(std::uint32_t weight_words) {
  return (weight_words + isa::kWordsOfBits - 1) / isa::kWordsOfBits;
}

namespace {

/// The weights of a layer that bits come beside: all of them.
UnitWeights switched_weights(const Layer& layer, std::span<const std::uint8_t> dense, int lanes) {
  const auto word = static_cast<std::size_t>(lanes);
  UnitWeights out;
  out.units = units_of(layer, lanes);
  out.bytes.reserve(dense.size());
  const program::WeightOrder order = weight_order(layer);
  for (int group = 0; group < order.groups(); ++group) {
    for (const program::WeightOrder::Part& part : order.parts) {
      for (const std::uint32_t at : order.unit(lanes, group, part)) {
        const auto from = dense.subspan(at * word, word);
        out.bytes.insert(out.bytes.end(), from.begin(), from.end());
      }
    }
  }
  return out;
}

}  // namespace

UnitWeights unit_weights(const Layer& layer, std::span<const std::uint8_t> dense, int lanes) {
  const ConvGeometry& g = layer.conv;
  if (g.switched) return switched_weights(layer, dense, lanes);
  const auto word = static_cast<std::size_t>(lanes);
  UnitWeights out;
  out.units = units_of(layer, lanes);
  out.bytes.reserve(dense.size());
  Indexer indexer(word);
  const auto words = [&](int row, int ky, int kx, int kb, int count) {
    const std::size_t tap = static_cast<std::size_t>(ky) * g.x.kernel + kx;
    const std::size_t first = (row * static_cast<std::size_t>(g.taps()) + tap) * g.kb + kb;
    return dense.subspan(first * word, count * word);
  };
  /// One output channel's words of a tap, or of two.
  const auto put = [&](const Chunk& chunk, int row, int ky, int kx) {
    if (chunk.second == Second::kNone) {
      const auto run = words(row, ky, kx, chunk.kb.low, chunk.kb.size());
      out.bytes.insert(out.bytes.end(), run.begin(), run.end());
      return;
    }
    for (int kb = chunk.kb.low; kb < chunk.kb.high; kb += chunk.second == Second::kBlock ? 2 : 1) {
      const bool block = chunk.second == Second::kBlock;
      indexer.put(words(row, ky, kx, kb, 1),
                  block ? words(row, ky, kx, kb + 1, 1) : words(row, ky, kx + 1, kb, 1));
    }
  };
  const auto each_tap = [](const Chunk& chunk, auto&& f) {
    for (int ky = chunk.ky.low; ky < chunk.ky.high; ++ky)
      for (int c = 0; c < chunk.columns(); ++c)
        f(ky, chunk.kx.low + (chunk.second == Second::kTap ? 2 * c : c));
  };
  for (const Span& group : groups_of(layer)) {
    const Span rows{group.low * lanes, group.high * lanes};
    for (const Chunk& chunk : layer.chunks) {
      if (layer.conv_plan.tapwise) {
        each_tap(chunk, [&](int ky, int kx) {
          for (int row = rows.low; row < rows.high; ++row) put(chunk, row, ky, kx);
        });
      } else {
        for (int row = rows.low; row < rows.high; ++row)
          each_tap(chunk, [&](int ky, int kx) { put(chunk, row, ky, kx); });
      }
      indexer.flush(out.bytes);
    }
  }
  const Unit& last = out.units.back();
  ESP_CHECK(out.bytes.size() == (std::size_t{last.offset} + last.words) * word);
  return out;
}

std::vector<Unit> units_of(const Layer& layer, int lanes) {
  std::vector<Unit> units;
  std::uint32_t start = 0, bits = 0;
  for (const Span& group : groups_of(layer)) {
    for (const Chunk& chunk : layer.chunks) {
      const auto ring = static_cast<std::uint32_t>(group.size() * lanes * chunk.passes());
      const std::uint32_t words = chunk.second == Second::kNone ? ring
                                  : layer.conv.switched
                                      ? 2 * ring
                                      : ring / (isa::kIndexedGroup - 1) * isa::kIndexedGroup;
      units.push_back({start, words, ring, bits});
      start += words;
      bits += bit_words(words);
    }
  }
  return units;
}

std::optional<UnitWeights> sparse_weights(const Layer& layer, std::span<const std::uint8_t> dense,
                                          const isa::Config& config, bool always) {
  Cutter cutter(layer, dense, config.lanes);
  struct Group {
    Span blocks;
    std::vector<std::vector<std::uint8_t>> codes;  // by chunk
  };
  std::vector<Group> groups;
  for (const Span& blocks : groups_of(layer)) groups.push_back({blocks, cutter.codes(blocks)});
  if (!always && cutter.zero_share() < kLeastShare) return std::nullopt;
  UnitWeights out;
  const auto lanes = static_cast<std::size_t>(config.lanes);
  for (const Group& group : groups) {
    for (std::size_t c = 0; c < group.codes.size(); ++c) {
      const std::size_t start = out.bytes.size();
      cutter.put(layer.chunks[c], group.blocks, group.codes[c], out.bytes);
      const auto words = static_cast<std::uint32_t>((out.bytes.size() - start) / lanes);
      out.units.push_back({static_cast<std::uint32_t>(start / lanes), words, words, 0});
    }
  }
  if (kept_words(layer, out.units) > config.weight_words) return std::nullopt;
  return out;
}

}  // namespace espalier::compiler
