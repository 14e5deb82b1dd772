#include "cli/report.hpp"

#include <nlohmann/json.hpp>
#include <fmt/format.h>

namespace espalier::cli {
namespace {

/// Whether the device tells each layer's cycles.
bool knows_layers(const std::optional<runtime::Timing>& timing) {
  return timing && !timing->cycles_by_layer.empty();
}

Json layer_json(const Report& report, std::size_t index) {
  const program::Layer& layer = report.program->layers[index];
  const std::uint64_t macs = report.macs(index) * report.images;
  Json json{{"name", layer.name},
            {"op", layer.op},
            {"cycles", nullptr},
            {"macs", macs},
            {"utilisation", nullptr}};
  if (knows_layers(report.result.timing)) {
    const std::uint64_t cycles = report.result.timing->cycles_by_layer[index];
    json["cycles"] = cycles;
    json["utilisation"] = utilisation(macs, report.program->machine().lanes, cycles);
  }
  return json;
}

/// What was done of an image before the interrupt.
Json partial_json(const Report& report, const runtime::BatchResult::Partial& partial) {
  Json json{{"image", partial.image},
            {"values_checked", partial.comparison.values},
            {"mismatches", partial.comparison.mismatches},
            {"cycles", nullptr}};
  if (!partial.timing) return json;
  json["cycles"] = partial.timing->cycles;
  if (!knows_layers(partial.timing)) return json;
  json["layers"] = Json::array();
  for (std::size_t i = 0; i < report.program->layers.size(); ++i) {
    json["layers"].push_back(
        {{"name", report.program->layers[i].name}, {"cycles", partial.timing->cycles_by_layer[i]}});
  }
  return json;
}

void line(const char* what, const std::string& value) { fmt::print("  {:<17}{}\n", what, value); }

void print_layers(const Report& report) {
  const bool timed = knows_layers(report.result.timing);
  Table table(timed ? std::vector<std::string>{"layer", "operator", "MACs", "cycles", "share",
                                               "utilisation"}
                    : std::vector<std::string>{"layer", "operator", "MACs"});
  const int lanes = report.program->machine().lanes;
  for (std::size_t i = 0; i < report.program->layers.size(); ++i) {
    const program::Layer& layer = report.program->layers[i];
    const std::uint64_t macs = report.macs(i);
    std::vector<std::string> row{printable(layer.name), printable(layer.op), grouped(macs)};
    if (timed) {
      const runtime::Timing& timing = *report.result.timing;
      const std::uint64_t cycles = timing.cycles_by_layer[i];
      row.push_back(grouped(cycles / report.images));
      row.push_back(fmt::format(
          "{:.1f} %", 100.0 * static_cast<double>(cycles) / static_cast<double>(timing.cycles)));
      row.push_back(macs == 0 ? "-"
                              : fmt::format("{:.1f} %", 100 * utilisation(macs * report.images,
                                                                          lanes, cycles)));
    }
    table.add(std::move(row));
  }
  fmt::print("\nby layer, one image\n");
  table.print();
}

}  // namespace

std::uint64_t Report::macs(std::size_t layer) const {
  return live_macs.empty() ? runtime::macs(program->layers[layer]) : live_macs[layer];
}

std::uint64_t Report::macs() const {
  std::uint64_t sum = 0;
  for (std::size_t layer = 0; layer < program->layers.size(); ++layer) sum += macs(layer);
  return sum;
}

double utilisation(std::uint64_t macs, int lanes, std::uint64_t cycles) {
  if (cycles == 0) return 0;
  return static_cast<double>(macs) /
         (static_cast<double>(lanes) * lanes * static_cast<double>(cycles));
}

void print_overlay(const Report& report) {
  if (!report.overlay) return;
  const OverlayUse& use = *report.overlay;
  line("overlay",
       fmt::format("{} of {} weights stay ({:.1f} %)", grouped(use.live), grouped(use.weights),
                   100 * static_cast<double>(use.live) / static_cast<double>(use.weights)));
}

Json packings_json(const Report& report) {
  Json list = Json::array();
  for (std::size_t m = 0; m < report.result.packings.size(); ++m) {
    const runtime::Packing& packing = report.result.packings[m];
    Json json{{"mask", report.masks[m]}, {"layers", packing.layers}};
    json["cycles"] = packing.cycles ? Json(*packing.cycles) : Json();
    json["bytes_read"] = packing.traffic ? Json(packing.traffic->read) : Json();
    json["bytes_written"] = packing.traffic ? Json(packing.traffic->written) : Json();
    list.push_back(std::move(json));
  }
  return list;
}

void print_packings(const Report& report) {
  for (std::size_t m = 0; m < report.result.packings.size(); ++m) {
    const runtime::Packing& packing = report.result.packings[m];
    std::string text = fmt::format("{} layers for {}", packing.layers, report.masks[m]);
    if (packing.cycles) text = grouped(*packing.cycles) + " cycles once, " + text;
    line("packing", text);
  }
}

void print_switching(const Report& report) {
  const auto& switching = report.result.switching;
  if (!switching) return;
  const auto cost = static_cast<std::int64_t>(switching->after - switching->same);
  std::string text =
      fmt::format("{:+} cycles to an image: {} behind another mask, {} behind its own", cost,
                  grouped(switching->after), grouped(switching->same));
  if (switching->layer_table)
    text += fmt::format("; the layer table is read after {}", grouped(*switching->layer_table));
  line("switch", text);
}

Json to_json(const Report& report) {
  const program::Program& program = *report.program;
  const runtime::BatchResult& result = report.result;
  const std::uint64_t macs = report.macs(), dense = runtime::macs(program);
  Json json;
  json["network"] = program.graph.name;
  json["config"] = program.config;
  json["fingerprint"] = fmt::format("{:016x}", report.fingerprint);
  json["device"] = runtime::name(report.options.kind);
  json["images"] = report.images;
  json["top1"] =
      report.correct
          ? Json(static_cast<double>(*report.correct) / static_cast<double>(report.images))
          : Json();
  json["checked"] = report.options.check;
  json["values_checked"] = result.comparison.values;
  json["mismatches"] = result.comparison.mismatches;
  if (const auto& first = result.comparison.first) {
    json["first_mismatch"] = {{"image", first->image},   {"layer", first->layer},
                              {"tensor", first->tensor}, {"channel", first->channel},
                              {"y", first->y},           {"x", first->x},
                              {"device", first->device}, {"golden", first->golden}};
  }
  if (result.interrupted != 0) {
    json["interrupted"] = result.interrupted;
    json["partial"] = Json::array();
    for (const auto& partial : result.partial)
      json["partial"].push_back(partial_json(report, partial));
  }
  for (const char* key : {"cycles", "cycles_per_image"}) json[key] = nullptr;
  json["macs_per_image"] = dense;
  if (!report.live_macs.empty()) json["live_macs_per_image"] = macs;
  if (const auto& use = report.overlay)
    json["overlay"] = {{"file", use->file}, {"weights", use->weights}, {"live", use->live}};
  if (!report.result.packings.empty()) json["packing"] = packings_json(report);
  if (const auto& switching = result.switching) {
    json["switch"] = {{"cycles", static_cast<std::int64_t>(switching->after - switching->same)},
                      {"after", switching->after},
                      {"same", switching->same},
                      {"layer_table", nullptr}};
    if (switching->layer_table) json["switch"]["layer_table"] = *switching->layer_table;
  }
  for (const char* key : {"utilisation", "bytes_read", "bytes_written",
                          "simulated_cycles_per_second", "cpu_seconds", "seconds"}) {
    json[key] = nullptr;
  }
  if (result.timing) {
    const runtime::Timing& timing = *result.timing;
    json["cycles"] = timing.cycles;
    json["cycles_per_image"] =
        static_cast<double>(timing.cycles) / static_cast<double>(report.images);
    json["utilisation"] = utilisation(macs * report.images, program.machine().lanes, timing.cycles);
    if (report.options.kind == runtime::DeviceKind::kFpga) {
      json["seconds"] = timing.seconds;
    } else {
      json["cpu_seconds"] = timing.cpu_seconds;
    }
    if (timing.cpu_seconds > 0) {
      json["simulated_cycles_per_second"] = static_cast<double>(timing.cycles) / timing.cpu_seconds;
    }
  }
  if (result.traffic) {
    json["bytes_read"] = result.traffic->read;
    json["bytes_written"] = result.traffic->written;
  }
  json["host_ops"] = program.graph.host_ops;
  if (report.options.kind == runtime::DeviceKind::kRtl) {
    const runtime::DeviceOptions& device = report.options.device;
    json["memory"] = {{"read_latency", device.read_latency},
                      {"write_latency", device.write_latency},
                      {"stall", device.stall},
                      {"seed", device.seed}};
  }
  json["layers"] = Json::array();
  for (std::size_t i = 0; i < program.layers.size(); ++i)
    json["layers"].push_back(layer_json(report, i));
  if (result.timing) {
    for (std::size_t i = 0; i < isa::kCounters; ++i) {
      json["counters"][std::string(isa::kCounterNames[i])] = result.timing->counters[i];
    }
  }
  return json;
}

void print(const Report& report, bool layers) {
  const program::Program& program = *report.program;
  const runtime::BatchResult& result = report.result;
  const std::string device(runtime::name(report.options.kind));
  fmt::print("{} for {}, {}: {} image{}\n", printable(program.graph.name), program.config, device,
             report.images, report.images == 1 ? "" : "s");
  if (report.correct) {
    line("top-1", fmt::format("{:.2f} % ({} of {})",
                              100.0 * static_cast<double>(*report.correct) /
                                  static_cast<double>(report.images),
                              *report.correct, report.images));
  }
  if (report.options.check && result.comparison.values > 0) {
    const runtime::Comparison& comparison = result.comparison;
    const std::string tensors = report.options.kind == runtime::DeviceKind::kFpga
                                    ? "the tensors left in memory"
                                    : fmt::format("{} tensors an image", program.placements.size());
    line("check", comparison.mismatches == 0
                      ? fmt::format("{} values of {}: all equal to golden",
                                    grouped(comparison.values), tensors)
                      : fmt::format("{} of {} values differ from golden",
                                    grouped(comparison.mismatches), grouped(comparison.values)));
  }
  const std::uint64_t macs = report.macs(), dense = runtime::macs(program);
  line("work", grouped(dense) + " multiply-accumulates an image");
  if (!report.live_macs.empty()) {
    line(report.masks.size() > 1 ? "with the masks" : "with the mask",
         fmt::format("{} ({:.1f} %)", grouped(macs),
                     100 * static_cast<double>(macs) / static_cast<double>(dense)));
  }
  print_overlay(report);
  print_packings(report);
  print_switching(report);
  if (result.timing) {
    const runtime::Timing& timing = *result.timing;
    line("cycles", grouped(timing.cycles / report.images) + " an image");
    line("utilisation", fmt::format("{:.1f} % of the multipliers' cycles",
                                    100 * utilisation(macs * report.images, program.machine().lanes,
                                                      timing.cycles)));
  }
  if (result.traffic) {
    line("memory", grouped(result.traffic->read / report.images) + " bytes read, " +
                       grouped(result.traffic->written / report.images) + " written an image");
  }
  if (result.timing && result.timing->seconds > 0) {
    line("time", fmt::format("{:.3f} ms an image from start to interrupt",
                             1e3 * result.timing->seconds / static_cast<double>(report.images)));
  }
  if (result.timing && result.timing->cpu_seconds > 0) {
    const runtime::Timing& timing = *result.timing;
    line("simulation", grouped(static_cast<std::uint64_t>(static_cast<double>(timing.cycles) /
                                                          timing.cpu_seconds)) +
                           " cycles a second of CPU time");
  }
  for (const std::string& op : program.graph.host_ops) line("on the host", printable(op));
  if (layers) print_layers(report);
  if (const auto& first = result.comparison.first) {
    fmt::print("\nfirst difference: {}\n", printable(first->text(device)));
  }
  if (result.interrupted != 0) {
    fmt::print("\ninterrupted after {} image{}\n", report.images, report.images == 1 ? "" : "s");
    for (const auto& partial : result.partial) {
      fmt::print("  image {}: {} cycles run, {} values checked, {} differ\n", partial.image,
                 grouped(partial.timing ? partial.timing->cycles : 0),
                 grouped(partial.comparison.values), grouped(partial.comparison.mismatches));
    }
  }
}

}  // namespace espalier::cli
