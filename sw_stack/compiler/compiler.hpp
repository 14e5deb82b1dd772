#pragma once
// Quantised graph in, program out, by the passes of passes.hpp.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.hpp"
#include "isa/generated/configs.hpp"
#include "program/program.hpp"
#include "base/result.hpp"

namespace espalier::compiler {

/// Which weights of a convolution an environment leaves out.
enum class Leaves : std::uint8_t {
  kAny,
  kTwoOfFour,  ///< two of every four consecutive input channels of a tap
};
/// By the convolution's name.
using Switched = std::map<std::string, Leaves>;

struct Options {
  bool relay_input = true;  ///< re-lay the lanes of the first convolution's input
  /// 0: the fastest tiles that the timing model finds. Otherwise random ones that fit, drawn from
  /// this seed: any choice must give the same outputs, and tests say so.
  std::uint64_t vary = 0;
  /// false: the tiles that the costs say, without the search over whole programs: for programs that
  /// are compiled often and run little.
  bool refine = true;
  bool maskable = false;  ///< a program that takes any mask (docs/pack.md)
  /// Fetch and run weight tiles that are zero as well (docs/tiles.md). With an odd `vary` every
  /// layer that fits is sparse, whatever its weights.
  bool dense_tiles = false;
  bool fine = true;  ///< fine CONVs where weights allow (docs/fine.md)
  /// A program that takes environments, which mask these convolutions (docs/automask.md). Not with
  /// `maskable`.
  std::optional<Switched> switched;
};

/// Called after each pass with its name; `dump` says what it found, a line for each item.
using AfterPass =
    std::function<void(std::string_view pass, const std::function<std::string()>& dump)>;

/// In the order in which they run.
std::vector<std::string_view> pass_names();

/// Compiles a graph for a configuration. The program's graph may have more nodes than the one
/// given: copies (1x1 convolutions with weights of 1) stand where an add has no convolution to
/// join, or a tensor is needed in two places.
/// Errors: what ir::verify complains of; kUnsupported and kCapacity, with the node and the limit.
Result<program::Program> compile(const ir::QuantGraph& graph, const isa::Config& config,
                                 const Options& options = {}, const AfterPass& after = {});

/// A program whose scales may change: they are parameters, fields of adds and tables of pools, and
/// no tile, order or address depends on them.
class Rescalable {
 public:
  /// Errors: those of compile().
  static Result<Rescalable> compile(const ir::QuantGraph& graph, const isa::Config& config,
                                    const Options& options = {});
  ~Rescalable();
  Rescalable(Rescalable&&) noexcept;
  Rescalable& operator=(Rescalable&&) noexcept;

  [[nodiscard]] const program::Program& program() const;
  /// Writes the scales and multipliers of `graph`, which is the one compiled in all else; program()
  /// is then, byte for byte, what compile() makes of it. Errors: what ir::verify complains of.
  Status rescale(const ir::QuantGraph& graph);

 private:
  struct Impl;
  explicit Rescalable(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace espalier::compiler
