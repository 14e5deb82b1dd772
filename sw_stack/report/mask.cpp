#include "report/mask.hpp"

#include <algorithm>

#include "report/json.hpp"
#include "report/text.hpp"

namespace espalier::report {
namespace {

using flows::MaskValue;
using flows::OverlayValue;

double share(std::uint64_t part, std::uint64_t all) { return all == 0 ? 0 : ratio(part, all); }
Json json_of(const masks::MaskFile& file) {
  Json list = Json::array();
  for (const auto& entry : file.entries) {
    list.push_back({{"tensor", entry.tensor},
                    {"layer", entry.layer},
                    {"channels", entry.live.size()},
                    {"live", std::ranges::count(entry.live, true)}});
  }
  return {{"network", file.model},
          {"model_fingerprint", fingerprint_text(file.fingerprint)},
          {"tensors", std::move(list)}};
}

Json json_of(const MaskValue& value) {
  Json json{
      {"network", value.network},
      {"config", value.config},
      {"macs", {{"dense", value.dense.macs}, {"live", value.live_macs}}},
      {"estimated_cycles", {{"dense", value.dense.cycles}, {"pruned", value.pruned.cycles}}},
      {"constant_bytes", {{"dense", value.dense.constants}, {"pruned", value.pruned.constants}}},
      {"mask_bytes", value.mask_bytes},
      {"speedup", value.speedup()},
      {"realised", value.realised()},
      {"layers", Json::array()}};
  if (value.masked_cycles) {
    const double speed = ratio(value.dense.cycles, *value.masked_cycles);
    json["estimated_cycles"]["masked"] = *value.masked_cycles;
    json["masked_speedup"] = speed;
    json["masked_realised"] = speed * ratio(value.live_macs, value.dense.macs);
  }
  for (const MaskValue::Layer& layer : value.layers) {
    json["layers"].push_back({{"name", layer.name},
                              {"inputs", layer.inputs},
                              {"live_inputs", layer.live_inputs},
                              {"outputs", layer.outputs},
                              {"live_outputs", layer.live_outputs},
                              {"macs", layer.macs},
                              {"live_macs", layer.live_macs},
                              {"weights", layer.weights}});
  }
  return json;
}

Json json_of(const OverlayValue& value) {
  const masks::Overlay& overlay = value.overlay;
  Json list = Json::array();
  for (std::size_t l = 0; l < overlay.layers.size(); ++l) {
    const masks::Overlay::Layer& layer = overlay.layers[l];
    list.push_back({{"name", layer.name},
                    {"channels", layer.channels},
                    {"weights", layer.count()},
                    {"live", layer.live()}});
    if (!value.nonzero.empty()) list.back()["nonzero"] = value.nonzero[l];
  }
  return {{"network", overlay.model},
          {"model_fingerprint", fingerprint_text(overlay.fingerprint)},
          {"bytes", masks::serialise(overlay).size()},
          {"weights", value.overlay.count()},
          {"live", value.overlay.live()},
          {"layers", std::move(list)}};
}

void add(Page& page, const masks::MaskFile& file, const std::string&) {
  page.add("mask for {}, fingerprint {}\n\n", printable(file.model),
           fingerprint_text(file.fingerprint));
  Table table({"tensor", "layer", "live", "channels"});
  for (const auto& entry : file.entries) {
    table.add({printable(entry.tensor), printable(entry.layer),
               std::to_string(std::ranges::count(entry.live, true)),
               std::to_string(entry.live.size())});
  }
  page.add(table);
}

void add(Page& page, const MaskValue& value, const std::string& file) {
  page.add("{} for {} with {}\n\n", printable(value.network), value.config, file);
  Table table({"layer", "inputs", "of", "outputs", "of", "MACs", "share"});
  for (const MaskValue::Layer& layer : value.layers) {
    table.add({printable(layer.name), std::to_string(layer.live_inputs),
               std::to_string(layer.inputs), std::to_string(layer.live_outputs),
               std::to_string(layer.outputs), grouped(layer.live_macs),
               fmt::format("{:.1f} %", 100 * ratio(layer.live_macs, layer.macs))});
  }
  page.add(table);
  page.add("\n  MACs       {} of {} ({:.1f} %)\n", grouped(value.live_macs),
           grouped(value.dense.macs), 100 * ratio(value.live_macs, value.dense.macs));
  page.add("  cycles     {} of {}, hard-pruned, by the timing model\n",
           grouped(value.pruned.cycles), grouped(value.dense.cycles));
  page.add("  speed-up   {:.2f}, {:.1f} % of what the MACs promise\n", value.speedup(),
           100 * value.realised());
  if (value.masked_cycles) {
    const double speed = ratio(value.dense.cycles, *value.masked_cycles);
    page.add(
        "  masked     {} cycles, packed instead of pruned ({:+.2f} %); speed-up {:.2f}, {:.1f} "
        "%\n",
        grouped(*value.masked_cycles), 100 * (ratio(*value.masked_cycles, value.pruned.cycles) - 1),
        speed, 100 * speed * ratio(value.live_macs, value.dense.macs));
  }
  page.add("  constants  {} of {}; the mask {}\n", bytes_text(value.pruned.constants),
           bytes_text(value.dense.constants), bytes_text(value.mask_bytes));
}

void add(Page& page, const OverlayValue& value, const std::string&) {
  const masks::Overlay& overlay = value.overlay;
  page.add("overlay for {}, fingerprint {}\n\n", printable(overlay.model),
           fingerprint_text(overlay.fingerprint));
  std::vector<std::string> header{"layer", "weights", "stay", "share"};
  if (!value.nonzero.empty()) header.emplace_back("not zero");
  Table table(std::move(header));
  for (std::size_t l = 0; l < overlay.layers.size(); ++l) {
    const masks::Overlay::Layer& layer = overlay.layers[l];
    std::vector<std::string> row{printable(layer.name), grouped(layer.count()),
                                 grouped(layer.live()),
                                 fmt::format("{:.1f} %", 100 * share(layer.live(), layer.count()))};
    if (!value.nonzero.empty()) row.push_back(grouped(value.nonzero[l]));
    table.add(std::move(row));
  }
  page.add(table);
  page.add("\n  {} of {} weights stay ({:.1f} %)\n", grouped(value.overlay.live()),
           grouped(value.overlay.count()),
           100 * share(value.overlay.live(), value.overlay.count()));
}

}  // namespace

std::string text(const flows::MaskMade& made, const flows::MaskOptions& options) {
  return fmt::format("{}: {} of {} channels stay, in {} groups\n  written to {}\n",
                     printable(made.network), made.live, made.channels, made.groups,
                     options.output);
}

std::string text(const flows::OverlayMade& made, const flows::OverlayOptions& options) {
  return fmt::format("{}: {} of {} weights stay, in {} layers\n  {} written to {}\n",
                     printable(made.network), grouped(made.live), grouped(made.weights),
                     made.layers, bytes_text(made.bytes), options.output);
}

Json to_json(const flows::MaskShown& shown) {
  return std::visit([](const auto& value) { return json_of(value); }, shown);
}

std::string text(const flows::MaskShown& shown, const std::string& file) {
  Page page;
  std::visit([&](const auto& value) { add(page, value, file); }, shown);
  return std::move(page).text();
}

}  // namespace espalier::report
