#include "cli/mask_overlay.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <memory>

#include "cli/file_options.hpp"
#include "program/program.hpp"
#include "prune/overlay.hpp"

namespace espalier::cli {
namespace {

struct OverlayOptions {
  std::string program, output, rank = "magnitude";
  prune::OverlayChoice choice;
};

double share(std::uint64_t part, std::uint64_t all) {
  return all == 0 ? 0 : static_cast<double>(part) / static_cast<double>(all);
}

struct Sums {
  std::uint64_t weights = 0, live = 0;
};
Sums sums(const prune::Overlay& overlay) {
  Sums all;
  for (const prune::Overlay::Layer& layer : overlay.layers) {
    all.weights += layer.count();
    all.live += layer.live();
  }
  return all;
}

Result<int> make(const OverlayOptions& options) {
  const auto program = program::load(options.program);
  if (!program) return program.error();
  prune::OverlayChoice choice = options.choice;
  choice.rank =
      options.rank == "random" ? prune::WeightRank::kRandom : prune::WeightRank::kMagnitude;
  const auto overlay = prune::choose_weights(program->graph, choice);
  if (!overlay) return overlay.error();
  if (const Status status = prune::save_overlay(*overlay, options.output); !status)
    return status.error();
  const Sums all = sums(*overlay);
  fmt::print("{}: {} of {} weights stay, in {} layers\n  {} written to {}\n",
             printable(program->graph.name), grouped(all.live), grouped(all.weights),
             overlay->layers.size(), bytes_text(std::filesystem::file_size(options.output)),
             options.output);
  return kOk;
}

/// Weights of a layer that stay and are not 0.
std::uint64_t effective(const ir::QuantGraph& graph, const prune::Overlay::Layer& layer) {
  const auto node = std::ranges::find_if(graph.nodes, [&](const ir::QuantNode& n) {
    return n.name == layer.name && std::holds_alternative<ir::QuantConv>(n.op);
  });
  const auto& weights = std::get<ir::QuantConv>(node->op).weights;
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < weights.size(); ++i)
    count += weights[i] != 0 && ir::get_bit(layer.bits, i) ? 1 : 0;
  return count;
}

}  // namespace

bool is_overlay_file(const std::string& path) {
  std::array<char, 8> head{};
  std::ifstream in(path, std::ios::binary);
  in.read(head.data(), head.size());
  return prune::is_overlay(
      {reinterpret_cast<const std::uint8_t*>(head.data()), static_cast<std::size_t>(in.gcount())});
}

Result<int> show_overlay(const std::string& path, const std::string& program_path, bool json) {
  const auto overlay = prune::load_overlay(path);
  if (!overlay) return overlay.error();
  std::vector<std::uint64_t> left;  // by layer, with a program
  if (!program_path.empty()) {
    const auto program = program::load(program_path);
    if (!program) return program.error();
    const auto mask = prune::from_overlay(*overlay, program->graph, path);
    if (!mask) return mask.error();
    for (const auto& layer : overlay->layers) left.push_back(effective(program->graph, layer));
  }
  const Sums all = sums(*overlay);
  const std::string fingerprint = fmt::format("{:016x}", overlay->fingerprint);
  if (json) {
    Json list = Json::array();
    for (std::size_t l = 0; l < overlay->layers.size(); ++l) {
      const prune::Overlay::Layer& layer = overlay->layers[l];
      list.push_back({{"name", layer.name},
                      {"channels", layer.channels},
                      {"weights", layer.count()},
                      {"live", layer.live()}});
      if (!left.empty()) list.back()["nonzero"] = left[l];
    }
    print_json({{"network", overlay->model},
                {"model_fingerprint", fingerprint},
                {"bytes", prune::serialise(*overlay).size()},
                {"weights", all.weights},
                {"live", all.live},
                {"layers", std::move(list)}});
    return kOk;
  }
  fmt::print("overlay for {}, fingerprint {}\n\n", printable(overlay->model), fingerprint);
  std::vector<std::string> header{"layer", "weights", "stay", "share"};
  if (!left.empty()) header.emplace_back("not zero");
  Table table(std::move(header));
  for (std::size_t l = 0; l < overlay->layers.size(); ++l) {
    const prune::Overlay::Layer& layer = overlay->layers[l];
    std::vector<std::string> row{printable(layer.name), grouped(layer.count()),
                                 grouped(layer.live()),
                                 fmt::format("{:.1f} %", 100 * share(layer.live(), layer.count()))};
    if (!left.empty()) row.push_back(grouped(left[l]));
    table.add(std::move(row));
  }
  table.print();
  fmt::print("\n  {} of {} weights stay ({:.1f} %)\n", grouped(all.live), grouped(all.weights),
             100 * share(all.live, all.weights));
  return kOk;
}

void add_mask_overlay(CLI::App& mask, Action& chosen) {
  auto options = std::make_shared<OverlayOptions>();
  CLI::App* command =
      mask.add_subcommand("overlay", "keep single weights: an overlay, one bit a weight");
  command->add_option("PROGRAM", options->program, "program file that `compile` wrote")
      ->check(reads())
      ->type_name("P.espl")
      ->required();
  command->add_option("-o,--output", options->output, "overlay file to write")
      ->check(writes())
      ->type_name("U.overlay")
      ->required();
  command->add_option("--keep", options->choice.keep, "share of each layer's weights that stays")
      ->type_name("F")
      ->check(between(0, 1))
      ->capture_default_str();
  command
      ->add_option("--by", options->rank,
                   "magnitude: the largest of each layer stay; random: some by chance")
      ->type_name("HOW")
      ->check(CLI::IsMember({"magnitude", "random"}))
      ->capture_default_str();
  command
      ->add_option("--layers", options->choice.layers,
                   "shell pattern of the layers that lose weights; the others keep all")
      ->type_name("GLOB")
      ->capture_default_str();
  command->add_option("--seed", options->choice.seed, "random: the same seed gives the same file")
      ->type_name("N")
      ->transform(whole(0, 1'000'000'000'000'000'000))
      ->capture_default_str();
  command->callback([options, &chosen] {
    chosen = [options] {
      const auto code = make(*options);
      return code ? *code : complain(code.error());
    };
  });
}

}  // namespace espalier::cli
