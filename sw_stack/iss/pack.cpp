#include "iss/pack.hpp"

#include <algorithm>
#include <vector>

namespace espalier::iss {
namespace {

constexpr std::int64_t kNone = -1;

/// Where a layer's words lie, dense or packed: `k_blocks` of them in all, units as the instruction
/// has them.
class Image {
 public:
  Image(const isa::Pack& p, std::uint64_t lanes, std::uint64_t k_blocks, std::uint64_t rows)
      : p_(p), lanes_(lanes), k_blocks_(k_blocks), rows_(rows) {}

  /// Byte offset of a word.
  [[nodiscard]] std::uint64_t word(std::uint64_t row, std::uint64_t tap, std::uint64_t k) const {
    const std::uint64_t group_rows = p_.nb * lanes_;
    const std::uint64_t group = row / group_rows, chunk = k / p_.kc;
    const std::uint64_t blocks = std::min<std::uint64_t>(p_.kc, k_blocks_ - chunk * p_.kc);
    const std::uint64_t unit = p_.weights + group * p_.group_stride + chunk * p_.chunk_stride;
    const std::uint64_t r = row % group_rows, b = k % p_.kc;
    if (p_.tapwise != 0) return unit + tap * p_.tap_stride + (r * blocks + b) * lanes_;
    return unit + ((r * p_.taps + tap) * blocks + b) * lanes_;
  }
  /// The byte after the last.
  [[nodiscard]] std::uint64_t end() const {
    std::uint64_t last = 0;
    if (rows_ == 0 || k_blocks_ == 0) return last;
    for (std::uint64_t k : {k_blocks_ - 1, (k_blocks_ - 1) / p_.kc * p_.kc,
                            std::min<std::uint64_t>(p_.kc, k_blocks_) - 1}) {
      for (std::uint64_t row : {rows_ - 1, std::min<std::uint64_t>(p_.nb * lanes_, rows_) - 1}) {
        last = std::max(last, word(row, p_.taps - 1U, k) + lanes_);
      }
    }
    return last;
  }

 private:
  const isa::Pack& p_;
  std::uint64_t lanes_, k_blocks_, rows_;
};

/// The dense lane of every packed lane: live ones in order, each segment filled up to a block.
std::vector<std::int64_t> live_lanes(std::span<const std::uint8_t> masks, std::size_t lanes) {
  std::vector<std::int64_t> list;
  for (std::size_t block = 0; block < masks.size() / kMaskBytes; ++block) {
    const auto bit = [&](unsigned i) {
      return ((masks[block * kMaskBytes + i / 8] >> (i % 8)) & 1U) != 0;
    };
    for (unsigned lane = 0; lane < lanes; ++lane) {
      if (bit(lane)) list.push_back(static_cast<std::int64_t>(block * lanes + lane));
    }
    if (bit(kSegmentEnd) || block + 1 == masks.size() / kMaskBytes) {
      while (list.size() % lanes != 0) list.push_back(kNone);
    }
  }
  return list;
}

}  // namespace

Status pack(const isa::Pack& p, const isa::Config& config, std::span<const std::uint8_t> dense,
            std::span<std::uint8_t> packed) {
  const auto fault = [](isa::Fault cause, const std::string& detail) {
    return fail(ErrorCode::kDevice, std::string(isa::name(cause)) + ": " + detail);
  };
  const auto lanes = static_cast<std::uint64_t>(config.lanes);
  if (std::uint64_t{p.k_blocks} + p.n_blocks > kMaps) {
    return fault(isa::Fault::kCapacity, std::to_string(p.k_blocks + p.n_blocks) +
                                            " bit maps; the machine has " + std::to_string(kMaps));
  }
  const std::uint64_t mask_end =
      std::uint64_t{p.masks} + (std::uint64_t{p.k_blocks} + p.n_blocks) * kMaskBytes;
  if (mask_end > packed.size()) {
    return fault(isa::Fault::kReadWindow, "masks reach byte " + std::to_string(mask_end) +
                                              " of region 4, which has " +
                                              std::to_string(packed.size()));
  }
  const auto masks = std::span<const std::uint8_t>(packed).subspan(p.masks);
  const std::vector<std::int64_t> k = live_lanes(masks.first(p.k_blocks * kMaskBytes), lanes);
  const std::vector<std::int64_t> n =
      live_lanes(masks.subspan(p.k_blocks * kMaskBytes, p.n_blocks * kMaskBytes), lanes);
  const Image from(p, lanes, p.k_blocks, p.n_blocks * lanes);
  const Image to(p, lanes, k.size() / lanes, n.size());
  const std::uint64_t dense_end =
      std::max(from.end(), std::uint64_t{p.params} + p.n_blocks * lanes * 8);
  const std::uint64_t packed_end = std::max(to.end(), std::uint64_t{p.params} + n.size() * 8);
  if (dense_end > dense.size()) {
    return fault(isa::Fault::kReadWindow, "reaches byte " + std::to_string(dense_end) +
                                              " of region 0, which has " +
                                              std::to_string(dense.size()));
  }
  if (packed_end > packed.size()) {
    return fault(isa::Fault::kWriteWindow, "reaches byte " + std::to_string(packed_end) +
                                               " of region 4, which has " +
                                               std::to_string(packed.size()));
  }
  for (std::size_t row = 0; row < n.size(); ++row) {
    for (std::uint64_t tap = 0; tap < p.taps; ++tap) {
      for (std::size_t lane = 0; lane < k.size(); ++lane) {
        std::uint8_t value = 0;
        if (n[row] != kNone && k[lane] != kNone) {
          const auto source = static_cast<std::uint64_t>(k[lane]);
          value = dense[from.word(static_cast<std::uint64_t>(n[row]), tap, source / lanes) +
                        source % lanes];
        }
        packed[to.word(row, tap, lane / lanes) + lane % lanes] = value;
      }
    }
    std::uint8_t* out = packed.data() + p.params + row * 8;
    if (n[row] == kNone) {
      std::fill_n(out, 8, std::uint8_t{0});
    } else {
      std::copy_n(dense.data() + p.params + static_cast<std::uint64_t>(n[row]) * 8, 8, out);
    }
  }
  return {};
}

}  // namespace espalier::iss
