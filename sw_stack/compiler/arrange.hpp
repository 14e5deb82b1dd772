#pragma once
// From tiles to instructions: order, addresses and emission, and the search for the tiles and the
// order with which the whole program is fastest.

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "compiler/constants.hpp"
#include "compiler/emit.hpp"
#include "compiler/steps.hpp"

namespace espalier::compiler {

/// What is decided beside the tiles.
struct Arrangement {
  Order order;
  RingRoom room;  ///< how far ahead weights and parameters are loaded
  bool operator==(const Arrangement&) const = default;
};

/// Instructions, and all that they follow from.
struct Arranged {
  std::vector<Layer> layers;
  Layout layout;  ///< with addresses
  Schedule schedule;
  Emitted emitted;
  std::uint32_t activation_bytes = 0;
};

/// The same for every choice of tiles.
struct Fixed {
  const ir::QuantGraph& graph;
  const isa::Config& config;
  const Layout& layout;
  const std::vector<PoolWindow>& windows;
  const Constants& constants;  ///< units of dense weights follow from the tiles
};

/// A layer's tiles to choose from, cheapest first.
struct Choices {
  std::vector<ConvPlan> conv;
  std::vector<PoolPlan> pool;
  bool operator==(const Choices&) const = default;
};

/// Of all layers or of some. Errors: kCapacity where the activations exceed a region.
Result<Arranged> arrange(const Fixed& fixed, std::vector<Layer> layers,
                         const Arrangement& arrangement, const Span& some = kAllLayers);

/// A hash of what arrange() follows from beside `fixed`.
std::uint64_t program_key(const std::vector<Layer>& layers, const Arrangement& how);

/// The longest programs that are worth the search, in cycles.
inline constexpr double kMostRefined = 7.5e7;

/// Layers with the tiles that cost least, and what there is to choose from.
struct Planned {
  std::vector<Layer> layers;
  std::vector<Choices> choices;
};
/// Plans for a machine of less memory; nothing where the network does not fit.
using Planner = std::function<std::optional<Planned>(const isa::Config& machine)>;

/// Replaces tiles of `layers` by alternatives, and the order by others, as long as the timing model
/// finds the whole program faster and its work stays within bounds. `choices`: by layer; `less`
/// gives those of machines that have less memory; `start`:
/// what it begins with, whose order programs that take masks keep. Errors: kCapacity as above.
Result<Arrangement> refine(const Fixed& fixed, const std::vector<Choices>& choices,
                           const Planner& less, const Arrangement& start,
                           std::vector<Layer>& layers);

}  // namespace espalier::compiler
