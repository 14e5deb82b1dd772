// More memory is never slower, and what the search over whole programs promises.

#include <fmt/format.h>

#include <algorithm>
#include <catch.hpp>
#include <string>
#include <utility>

#include "base/integers.hpp"
#include "compiler/compiler.hpp"
#include "graphs.hpp"
#include "seed.hpp"
#include "timing/timing.hpp"

namespace espalier::tests {
namespace {

constexpr double kMostRise = 0.001;
/// Of random graphs: the share of machines that rise by more, and the highest rise.
constexpr double kMostAbove = 0.15, kHighest = 0.02;
constexpr std::uint64_t kRandomSeed = 7100;

struct Knob {
  const char* name;
  int isa::Config::*size;
  int doublings;  ///< of edge's size
};
constexpr Knob kKnobs[] = {{"activation words", &isa::Config::act_words, 3},
                           {"weight words", &isa::Config::weight_words, 1},
                           {"accumulator words", &isa::Config::acc_words, 3},
                           {"parameter blocks", &isa::Config::param_blocks, 3}};

const isa::Config& edge() { return *isa::find_config("edge"); }

/// Cycles on a machine, -1 where the network does not fit.
std::int64_t cycles(const ir::QuantGraph& graph, const isa::Config& machine,
                    const compiler::Options& options = {}) {
  const auto program = compiler::compile(graph, machine, options);
  if (!program) return -1;
  const auto times = timing::estimate(*program, machine);
  if (!times) FAIL(times.error().text());
  return times->cycles;
}

/// What a sweep found.
struct Rises {
  int compared = 0;    ///< machines with one that has less
  int above = 0;       ///< that rise by more than kMostRise
  double largest = 0;  ///< of all rises
  void note(double rise) {
    ++compared;
    above += rise > kMostRise ? 1 : 0;
    largest = std::max(largest, rise);
  }
};

/// Every knob from an eighth of edge's upward: rises against the best of those with less.
/// `whole`: beyond edge's sizes and with 16 post lanes too.
Rises sweep(const std::string& name, const ir::QuantGraph& graph, bool whole) {
  Rises rises;
  for (const int lanes : {8, 16}) {
    if (lanes != edge().post_lanes && !whole) continue;
    for (const Knob& knob : kKnobs) {
      std::int64_t best = -1;
      for (int step = -3; step <= (whole ? knob.doublings : 0); ++step) {
        isa::Config machine = edge();
        machine.post_lanes = lanes;
        int& size = machine.*knob.size;
        size = step < 0 ? size >> -step : size << step;
        const std::int64_t now = cycles(graph, machine);
        if (now < 0) continue;
        if (best >= 0) {
          const double rise = static_cast<double>(now) / static_cast<double>(best) - 1;
          rises.note(rise);
          if (rise > kMostRise) {
            WARN(name << ", " << lanes << " post lanes, " << size << " " << knob.name << ": " << now
                      << " cycles, with less " << best);
          }
        }
        best = best < 0 ? now : std::min(best, now);
      }
    }
  }
  return rises;
}

}  // namespace

TEST_CASE("compiler: more memory is not slower") {
  const auto check = [](const std::string& name, const ir::QuantGraph& graph) {
    const Rises rises = sweep(name, graph, true);
    CHECK(rises.compared >= 40);
    CHECK(rises.above == 0);
  };
  check("ResNet-8", resnet8());
  if (long_run()) check("ResNet-20", cifar_resnet(3));
}

// The search ends on a hill, and another memory may lead it to another: few, and low ones.
TEST_CASE("compiler: more memory is hardly ever slower on random graphs") {
  Rises all;
  const std::uint64_t base = seed(kRandomSeed);
  for (std::uint64_t s = base; s < base + (long_run() ? 20 : 2); ++s) {
    const Rises rises = sweep(fmt::format("seed {}", s), random_graph(s), long_run());
    all.compared += rises.compared;
    all.above += rises.above;
    all.largest = std::max(all.largest, rises.largest);
  }
  INFO(all.above << " of " << all.compared << " rise, the most by " << 100 * all.largest << " %");
  CHECK(all.compared >= (long_run() ? 600 : 20));
  CHECK(all.above <= kMostAbove * all.compared);
  CHECK(all.largest <= kHighest);
}

TEST_CASE("compiler: a plain program is as fast as one that takes masks, to a thousandth") {
  compiler::Options maskable;
  maskable.maskable = true;
  for (const auto& [name, graph] :
       {std::pair{"ResNet-8", resnet8()}, std::pair{"ResNet-50", resnet50()}}) {
    const std::int64_t plain = cycles(graph, edge()), masked = cycles(graph, edge(), maskable);
    INFO(name << ": " << plain << " and " << masked);
    REQUIRE(masked > 0);
    CHECK(plain <= masked + masked / 1000);  // each is searched by itself
  }
}

// Who looks at memory while a program runs sees a tensor once its last STORE has retired; a STORE
// over it could be under way by then if it waited for no reader.
TEST_CASE("compiler: what nothing reads is not written over") {
  int looked_at = 0;
  for (std::uint64_t seed = 7100; seed < 7130; ++seed) {
    const ir::QuantGraph graph = random_graph(seed);
    isa::Config machine = edge();
    machine.weight_words /= 8;  // small tiles, many STOREs
    compiler::Options options;
    options.refine = false;
    const auto program = compiler::compile(graph, machine, options);
    if (!program) continue;
    const auto readers = [&](int tensor) {
      return std::ranges::count_if(program->graph.nodes, [tensor](const ir::QuantNode& node) {
        return std::ranges::count(node.inputs, tensor) > 0;
      });
    };
    const auto span = [&](const program::Placement& place) {
      const ir::Shape& shape = program->graph.tensors[index(place.tensor)].shape;
      const int bytes = round_up(shape.c, machine.lanes) * shape.h * shape.w;
      return std::pair{std::int64_t{place.offset}, std::int64_t{place.offset} + bytes};
    };
    for (const program::Placement& dead : program->placements) {
      if (dead.region != isa::Region::kActivations || readers(dead.tensor) > 0) continue;
      for (const program::Placement& other : program->placements) {
        if (other.tensor == dead.tensor || other.region != dead.region) continue;
        if (other.stores <= dead.stores) continue;
        INFO("seed " << seed << ", tensors " << dead.tensor << " and " << other.tensor);
        const auto [from, to] = span(dead);
        const auto [other_from, other_to] = span(other);
        CHECK((other_to <= from || to <= other_from));
        ++looked_at;
      }
    }
  }
  CHECK(looked_at > 5);
}

}  // namespace espalier::tests
