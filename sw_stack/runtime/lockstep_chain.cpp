// Where an instruction's data come from.

#include <algorithm>
#include <map>

#include "runtime/lockstep.hpp"

namespace espalier::runtime {
namespace {

using isa::Conv;
using isa::Load;
using isa::LoadTarget;
using isa::Pool;
using isa::Store;

/// Walks the program in its order and remembers who filled what.
class Tracer {
 public:
  explicit Tracer(const isa::Config& config)
      : words_(static_cast<std::size_t>(config.act_words), kNone) {}

  /// Takes instruction i; gives what a STORE's data come from.
  std::vector<std::size_t> take(std::size_t i, const isa::Instruction& instruction) {
    return std::visit([&](const auto& x) { return add(i, x); }, instruction);
  }

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};
  static constexpr std::int64_t kParamWords = 8;
  using List = std::vector<std::size_t>;

  List add(std::size_t, const isa::Nop&) { return {}; }
  List add(std::size_t, const isa::End&) { return {}; }
  List add(std::size_t i, const Load& x) {
    const std::int64_t count = std::int64_t{x.x_words} * x.y_count * x.z_count;
    switch (static_cast<LoadTarget>(x.target)) {
      case LoadTarget::kActivations:
        for (std::int64_t w = 0; w < count; ++w) {
          words_[isa::act_address(x, static_cast<std::uint64_t>(w)) % words_.size()] = i;
        }
        break;
      case LoadTarget::kPoolTable:
        table_ = i;
        break;
      case LoadTarget::kWeights:
        weights_loaded_ += static_cast<std::int64_t>(isa::ring_words(x));
        weights_[weights_loaded_] = i;
        break;
      case LoadTarget::kParameters:
        params_loaded_ += count / kParamWords;
        params_[params_loaded_] = i;
        break;
      case LoadTarget::kLayerTable:
      case LoadTarget::kSqueezer:  // none in an image's program
        break;
    }
    return {};
  }
  List add(std::size_t i, const Conv& x) {
    if (x.first != 0) filling_.clear();
    filling_.push_back(i);
    tile(x.act_base, x.plane, x.row_pitch, x.k_blocks, x.in_rows, x.in_cols, filling_);
    if (x.fine != 0)  // the second words
      tile(x.act_base + x.pair - x.pair_cols, x.plane, x.row_pitch, x.k_blocks, x.in_rows,
           x.in_cols, filling_);
    const std::int64_t pieces = x.w_tapwise != 0 ? x.kh * x.kw : 1;
    const std::int64_t from = weight_base_ + x.w_offset;
    ring(weights_, from, from + pieces * x.w_piece, filling_);
    if (x.w_release != 0) weight_base_ += pieces * x.w_piece;
    if (x.last == 0) return {};
    if (x.add != 0) {
      const std::size_t count = std::size_t{x.n_blocks} * x.rows * x.cols;
      for (std::size_t w = 0; w < count; ++w) note(word(x.add_base + w), filling_);
    }
    ring(params_, param_base_ + x.p_offset, param_base_ + x.p_offset + x.n_blocks, filling_);
    if (x.p_release != 0) param_base_ += x.n_blocks;
    if (x.gap != 0 && x.gap_first == 0) {
      filling_.insert(filling_.end(), sums_.begin(), sums_.end());
    }
    if (x.gap != 0 && x.gap_last == 0) {
      sums_ = filling_;
    } else {
      streams_[0].push_back(filling_);
    }
    return {};
  }
  List add(std::size_t i, const Pool& x) {
    List list{i};
    tile(x.act_base, x.plane, x.row_pitch, x.blocks, x.in_rows, x.in_cols, list);
    if (x.use_table != 0) note(table_, list);
    streams_[1].push_back(std::move(list));
    return {};
  }
  List add(std::size_t, const Store& x) {
    auto& stream = streams_[x.source];
    return next_[x.source] < stream.size() ? std::move(stream[next_[x.source]++]) : List{};
  }

  [[nodiscard]] std::size_t word(std::size_t address) const {
    return words_[address % words_.size()];
  }
  static void note(std::size_t instruction, List& list) {
    if (instruction == kNone || std::ranges::find(list, instruction) != list.end()) return;
    list.push_back(instruction);
  }
  void tile(std::uint32_t base, std::uint32_t plane, std::uint32_t pitch, std::uint32_t blocks,
            std::uint32_t rows, std::uint32_t cols, List& list) const {
    for (std::size_t b = 0; b < blocks; ++b) {
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t c = 0; c < cols; ++c) note(word(base + b * plane + r * pitch + c), list);
      }
    }
  }
  /// LOADs of positions from .. to of a ring.
  static void ring(const std::map<std::int64_t, std::size_t>& loads, std::int64_t from,
                   std::int64_t to, List& list) {
    for (auto it = loads.upper_bound(from); it != loads.end(); ++it) {
      note(it->second, list);
      if (it->first >= to) break;
    }
  }

  std::vector<std::size_t> words_;  // of the activation buffer: the LOAD that wrote it
  std::size_t table_ = kNone;
  std::map<std::int64_t, std::size_t> weights_, params_;  // by the position after the last word
  std::int64_t weights_loaded_ = 0, params_loaded_ = 0, weight_base_ = 0, param_base_ = 0;
  List filling_, sums_;
  std::array<std::vector<List>, 2> streams_;
  std::array<std::size_t, 2> next_{};
};

}  // namespace

std::vector<std::size_t> chain_of(const isa::Config& config, std::span<const isa::Instruction> list,
                                  std::size_t instruction) {
  Tracer tracer(config);
  for (std::size_t i = 0; i < list.size(); ++i) {
    auto chain = tracer.take(i, list[i]);
    if (i == instruction) return chain;
  }
  return {};
}

}  // namespace espalier::runtime
