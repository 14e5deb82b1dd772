// `espalier mask show`: what a mask leaves of a network, and what that is worth.

#include "cli/mask_show.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "cli/mask_overlay.hpp"
#include "compiler/compiler.hpp"
#include "program/mask.hpp"
#include "program/program.hpp"
#include "prune/prune.hpp"
#include "runtime/device.hpp"
#include "timing/timing.hpp"

namespace espalier::cli {
namespace {

struct ShowOptions {
  std::string mask, program;
  bool json = false;
};

/// A program's size and cycles.
struct Cost {
  std::uint64_t macs = 0, constants = 0;
  std::int64_t cycles = 0;
};

struct LayerRow {
  std::string name;
  std::int64_t inputs = 0, live_inputs = 0, outputs = 0, live_outputs = 0, macs = 0, live_macs = 0;
  std::int64_t weights = 0;  ///< of the dense layer
};

Result<Cost> cost_of(const program::Program& program) {
  const auto estimate = timing::estimate(program);
  if (!estimate) return estimate.error();
  return Cost{runtime::macs(program), program.constants.size(), estimate->cycles};
}

std::vector<LayerRow> rows(const ir::QuantGraph& graph, const ir::ChannelMask& mask) {
  std::vector<LayerRow> list;
  for (const ir::QuantNode& node : graph.nodes) {
    if (!std::holds_alternative<ir::QuantConv>(node.op) || prune::is_copy(graph, node)) continue;
    const auto& in = mask[static_cast<std::size_t>(node.inputs[0])];
    const auto& out = mask[static_cast<std::size_t>(node.output)];
    list.push_back({node.name, static_cast<std::int64_t>(in.size()), std::ranges::count(in, true),
                    static_cast<std::int64_t>(out.size()), std::ranges::count(out, true),
                    ir::macs(graph, node), ir::macs(graph, node, mask),
                    static_cast<std::int64_t>(std::get<ir::QuantConv>(node.op).weights.size())});
  }
  return list;
}

/// The mask alone.
int show_file(const prune::MaskFile& file, bool json) {
  if (json) {
    Json list = Json::array();
    for (const auto& entry : file.entries) {
      list.push_back({{"tensor", entry.tensor},
                      {"layer", entry.layer},
                      {"channels", entry.live.size()},
                      {"live", std::ranges::count(entry.live, true)}});
    }
    print_json({{"network", file.model},
                {"model_fingerprint", fmt::format("{:016x}", file.fingerprint)},
                {"tensors", std::move(list)}});
    return kOk;
  }
  fmt::print("mask for {}, fingerprint {:016x}\n\n", printable(file.model), file.fingerprint);
  Table table({"tensor", "layer", "live", "channels"});
  for (const auto& entry : file.entries) {
    table.add({printable(entry.tensor), printable(entry.layer),
               std::to_string(std::ranges::count(entry.live, true)),
               std::to_string(entry.live.size())});
  }
  table.print();
  return kOk;
}

double ratio(auto a, auto b) { return static_cast<double>(a) / static_cast<double>(b); }

class Shown {
 public:
  explicit Shown(const ShowOptions& options) : options_(options) {}

  Result<int> go(const prune::MaskFile& file) {
    const auto program = program::load(options_.program);
    if (!program) return program.error();
    const ir::QuantGraph& graph = program->graph;
    const prune::Channels channels = prune::find_channels(graph);
    const auto mask = prune::from_file(file, graph, channels, options_.mask);
    if (!mask) return mask.error();
    const ir::ChannelMask tensors = prune::by_tensor(channels, *mask);
    rows_ = rows(graph, tensors);
    for (const LayerRow& row : rows_) live_macs_ += row.live_macs;
    for (const auto& entry : file.entries) mask_bytes_ += (entry.live.size() + 7) / 8;
    const auto pruned = prune::prune(graph, channels, *mask);
    if (!pruned) return placed(pruned.error());
    const auto compiled =
        compiler::compile(prune::without_copies(pruned->graph), program->machine());
    if (!compiled) return placed(compiled.error());
    const auto dense = cost_of(*program), light = cost_of(*compiled);
    if (!dense) return dense.error();
    if (!light) return placed(light.error());
    dense_ = *dense;
    light_ = *light;
    if (program->maskable) {
      const auto masked = program::apply_mask(*program, tensors);
      if (!masked) return placed(masked.error());
      const auto estimate = timing::estimate(*program, {}, masked->table);
      if (!estimate) return placed(estimate.error());
      masked_cycles_ = estimate->cycles;
    }
    if (options_.json) {
      print_json(json(*program));
    } else {
      print(*program);
    }
    return kOk;
  }

 private:
  [[nodiscard]] Diagnostic placed(Diagnostic error) const {
    error.place = options_.mask + (error.place.empty() ? "" : ": " + error.place);
    return error;
  }
  [[nodiscard]] double speedup() const { return ratio(dense_.cycles, light_.cycles); }
  /// How much of the saving in MACs is saved in cycles.
  [[nodiscard]] double realised() const { return speedup() * ratio(live_macs_, dense_.macs); }

  [[nodiscard]] Json json(const program::Program& program) const {
    Json json{{"network", program.graph.name},
              {"config", program.config},
              {"macs", {{"dense", dense_.macs}, {"live", live_macs_}}},
              {"estimated_cycles", {{"dense", dense_.cycles}, {"pruned", light_.cycles}}},
              {"constant_bytes", {{"dense", dense_.constants}, {"pruned", light_.constants}}},
              {"mask_bytes", mask_bytes_},
              {"speedup", speedup()},
              {"realised", realised()},
              {"layers", Json::array()}};
    if (masked_cycles_) {
      const double speed = ratio(dense_.cycles, *masked_cycles_);
      json["estimated_cycles"]["masked"] = *masked_cycles_;
      json["masked_speedup"] = speed;
      json["masked_realised"] = speed * ratio(live_macs_, dense_.macs);
    }
    for (const LayerRow& row : rows_) {
      json["layers"].push_back({{"name", row.name},
                                {"inputs", row.inputs},
                                {"live_inputs", row.live_inputs},
                                {"outputs", row.outputs},
                                {"live_outputs", row.live_outputs},
                                {"macs", row.macs},
                                {"live_macs", row.live_macs},
                                {"weights", row.weights}});
    }
    return json;
  }

  void print(const program::Program& program) const {
    fmt::print("{} for {} with {}\n\n", printable(program.graph.name), program.config,
               options_.mask);
    Table table({"layer", "inputs", "of", "outputs", "of", "MACs", "share"});
    for (const LayerRow& row : rows_) {
      table.add({printable(row.name), std::to_string(row.live_inputs), std::to_string(row.inputs),
                 std::to_string(row.live_outputs), std::to_string(row.outputs),
                 grouped(static_cast<std::uint64_t>(row.live_macs)),
                 fmt::format("{:.1f} %", 100 * ratio(row.live_macs, row.macs))});
    }
    table.print();
    fmt::print("\n  MACs       {} of {} ({:.1f} %)\n",
               grouped(static_cast<std::uint64_t>(live_macs_)), grouped(dense_.macs),
               100 * ratio(live_macs_, dense_.macs));
    fmt::print("  cycles     {} of {}, hard-pruned, by the timing model\n",
               grouped(static_cast<std::uint64_t>(light_.cycles)),
               grouped(static_cast<std::uint64_t>(dense_.cycles)));
    fmt::print("  speed-up   {:.2f}, {:.1f} % of what the MACs promise\n", speedup(),
               100 * realised());
    if (masked_cycles_) {
      const double speed = ratio(dense_.cycles, *masked_cycles_);
      fmt::print(
          "  masked     {} cycles, packed instead of pruned ({:+.2f} %); speed-up {:.2f}, {:.1f} "
          "%\n",
          grouped(static_cast<std::uint64_t>(*masked_cycles_)),
          100 * (ratio(*masked_cycles_, light_.cycles) - 1), speed,
          100 * speed * ratio(live_macs_, dense_.macs));
    }
    fmt::print("  constants  {} of {}; the mask {}\n", bytes_text(light_.constants),
               bytes_text(dense_.constants), bytes_text(mask_bytes_));
  }

  const ShowOptions& options_;
  std::vector<LayerRow> rows_;
  Cost dense_, light_;
  std::optional<std::int64_t> masked_cycles_;  // of a program that takes masks
  std::int64_t live_macs_ = 0;
  std::uint64_t mask_bytes_ = 0;
};

Result<int> show(const ShowOptions& options) {
  if (is_overlay_file(options.mask))
    return show_overlay(options.mask, options.program, options.json);
  const auto file = prune::load_mask(options.mask);
  if (!file) return file.error();
  if (options.program.empty()) return show_file(*file, options.json);
  return Shown(options).go(*file);
}

}  // namespace

void add_mask_show(CLI::App& mask, Action& chosen) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* command = mask.add_subcommand(
      "show", "what a mask leaves; with PROGRAM its MACs, expected cycles and storage too");
  command->add_option("MASK", options->mask, "mask or overlay file")
      ->type_name("U.mask")
      ->required();
  command->add_option("PROGRAM", options->program, "program that it is for")->type_name("P.espl");
  command->add_flag("--json", options->json, "print it as JSON");
  command->callback([options, &chosen] {
    chosen = [options] {
      const auto code = show(*options);
      return code ? *code : complain(code.error());
    };
  });
}

}  // namespace espalier::cli
