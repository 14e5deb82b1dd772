#include <algorithm>

#include "compiler/steps.hpp"

namespace espalier::compiler {
namespace {

constexpr std::int64_t kAlign = 64;

std::int64_t bytes_of(const Root& root, int lanes) {
  const std::int64_t bytes = std::int64_t{root.blocks} * root.h * root.w * lanes;
  return round_up(bytes, kAlign);
}

/// From the first step that writes a root to the last that reads it. What nothing reads stays to
/// the end, for whoever looks at memory: no LOAD of it is there for later STOREs to wait for.
std::vector<Span> lifetimes(const Schedule& schedule, const std::vector<Root>& roots) {
  std::vector<Span> out(roots.size(), {-1, -1});
  const auto extend = [&](int root, int step) {
    Span& span = at(out, root);
    span.low = span.low < 0 ? step : std::min(span.low, step);
    span.high = std::max(span.high, step);
  };
  for (std::size_t r = 0; r < roots.size(); ++r) {
    for (const Write& write : schedule.writes[r]) {
      extend(static_cast<int>(r), at(at(schedule.global, write.layer), write.step));
    }
  }
  std::vector<bool> read(roots.size(), false);
  for (const Piece& piece : schedule.pieces) {
    if (piece.root < 0) continue;
    extend(piece.root, piece.first_step);
    at(read, piece.root) = true;
  }
  for (std::size_t r = 0; r < roots.size(); ++r) {
    if (roots[r].keep || !read[r])
      extend(static_cast<int>(r), static_cast<int>(schedule.order.size()));
  }
  return out;
}

bool meet(const Span& a, const Span& b) { return a.low <= b.high && b.low <= a.high; }

}  // namespace

Result<std::uint32_t> allocate(const Schedule& schedule, int lanes, Layout& layout) {
  const std::vector<Span> lives = lifetimes(schedule, layout.roots);
  std::vector<int> order;
  for (std::size_t r = 0; r < layout.roots.size(); ++r) {
    const Root& root = layout.roots[r];
    if (!root.is_input && !root.is_output) order.push_back(static_cast<int>(r));
  }
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return bytes_of(at(layout.roots, a), lanes) > bytes_of(at(layout.roots, b), lanes);
  });
  std::vector<int> placed;
  std::int64_t size = 0;
  for (const int r : order) {
    // The smallest gap that holds it among those that live at the same time.
    std::vector<std::pair<std::int64_t, std::int64_t>> taken;
    for (const int other : placed) {
      if (!meet(at(lives, r), at(lives, other))) continue;
      const std::int64_t low = at(layout.roots, other).offset;
      taken.emplace_back(low, low + bytes_of(at(layout.roots, other), lanes));
    }
    std::sort(taken.begin(), taken.end());
    const std::int64_t need = bytes_of(at(layout.roots, r), lanes);
    std::int64_t best = -1, best_gap = 0, end = 0;
    for (const auto& [low, high] : taken) {
      if (low - end >= need && (best < 0 || low - end < best_gap)) {
        best = end;
        best_gap = low - end;
      }
      end = std::max(end, high);
    }
    if (best < 0) best = end;
    if (best + need > program::kRegionLimit) {
      return fail(ErrorCode::kCapacity, "activations take " + std::to_string(best + need) +
                                            " bytes; a region has " +
                                            std::to_string(program::kRegionLimit));
    }
    at(layout.roots, r).offset = static_cast<std::uint32_t>(best);
    size = std::max(size, best + need);
    placed.push_back(r);
  }
  return static_cast<std::uint32_t>(size);
}

std::vector<std::vector<int>> predecessors(const Schedule& schedule, int lanes,
                                           const Layout& layout) {
  const std::vector<Span> lives = lifetimes(schedule, layout.roots);
  std::vector<std::vector<int>> out(layout.roots.size());
  const auto apart = [&](const Root& root) { return root.is_input || root.is_output; };
  for (std::size_t r = 0; r < layout.roots.size(); ++r) {
    const Root& root = layout.roots[r];
    if (apart(root)) continue;
    for (std::size_t q = 0; q < layout.roots.size(); ++q) {
      const Root& other = layout.roots[q];
      if (q == r || apart(other) || lives[q].low >= lives[r].low) continue;
      if (root.offset < other.offset + bytes_of(other, lanes) &&
          other.offset < root.offset + bytes_of(root, lanes)) {
        out[r].push_back(static_cast<int>(q));
      }
    }
  }
  return out;
}

}  // namespace espalier::compiler
