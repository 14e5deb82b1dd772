#include "report/run.hpp"

#include "report/json.hpp"
#include "report/lockstep.hpp"
#include "report/noise.hpp"

namespace espalier::report {
namespace {

using flows::Run;

/// Whether the device tells each layer's cycles.
bool knows_layers(const std::optional<runtime::Timing>& timing) {
  return timing && !timing->cycles_by_layer.empty();
}

std::optional<double> cycles_an_image(const Run& run) {
  if (!run.result.timing || run.images == 0) return std::nullopt;
  return static_cast<double>(run.result.timing->cycles) / static_cast<double>(run.images);
}

Json layer_json(const Run& run, std::size_t index) {
  const program::Layer& layer = run.program.layers[index];
  const std::uint64_t macs = run.macs(index) * run.images;
  Json json{{"name", layer.name},
            {"op", layer.op},
            {"cycles", nullptr},
            {"macs", macs},
            {"utilisation", nullptr}};
  if (knows_layers(run.result.timing)) {
    const std::uint64_t cycles = run.result.timing->cycles_by_layer[index];
    json["cycles"] = cycles;
    json["utilisation"] = utilisation(macs, run.program.machine().lanes, cycles);
  }
  return json;
}

/// What was done of an image before the interrupt.
Json partial_json(const Run& run, const runtime::BatchResult::Partial& partial) {
  Json json{{"image", partial.image},
            {"values_checked", partial.comparison.values},
            {"mismatches", partial.comparison.mismatches},
            {"cycles", nullptr}};
  if (!partial.timing) return json;
  json["cycles"] = partial.timing->cycles;
  if (!knows_layers(partial.timing)) return json;
  json["layers"] = Json::array();
  for (std::size_t i = 0; i < run.program.layers.size(); ++i) {
    json["layers"].push_back(
        {{"name", run.program.layers[i].name}, {"cycles", partial.timing->cycles_by_layer[i]}});
  }
  return json;
}

Json packings_json(const Run& run) {
  Json list = Json::array();
  for (std::size_t m = 0; m < run.result.packings.size(); ++m) {
    const runtime::Packing& packing = run.result.packings[m];
    Json json{{"mask", run.masks[m]}, {"layers", packing.layers}};
    json["cycles"] = packing.cycles ? Json(*packing.cycles) : Json();
    json["bytes_read"] = packing.traffic ? Json(packing.traffic->read) : Json();
    json["bytes_written"] = packing.traffic ? Json(packing.traffic->written) : Json();
    list.push_back(std::move(json));
  }
  return list;
}

void add_layers(Page& page, const Run& run) {
  const bool timed = knows_layers(run.result.timing);
  Table table(timed ? std::vector<std::string>{"layer", "operator", "MACs", "cycles", "share",
                                               "utilisation"}
                    : std::vector<std::string>{"layer", "operator", "MACs"});
  const int lanes = run.program.machine().lanes;
  for (std::size_t i = 0; i < run.program.layers.size(); ++i) {
    const program::Layer& layer = run.program.layers[i];
    const std::uint64_t macs = run.macs(i);
    std::vector<std::string> row{printable(layer.name), printable(layer.op), grouped(macs)};
    if (timed) {
      const runtime::Timing& timing = *run.result.timing;
      const std::uint64_t cycles = timing.cycles_by_layer[i];
      row.push_back(grouped(cycles / run.images));
      row.push_back(fmt::format(
          "{:.1f} %", 100.0 * static_cast<double>(cycles) / static_cast<double>(timing.cycles)));
      row.push_back(
          macs == 0 ? "-"
                    : fmt::format("{:.1f} %", 100 * utilisation(macs * run.images, lanes, cycles)));
    }
    table.add(std::move(row));
  }
  page.add("\nby layer, one image\n");
  page.add(table);
}

void add_answers(Page& page, const flows::RunResult& result) {
  for (const flows::Answer& answer : result.answers) {
    page.add("{}:", printable(answer.image));
    for (const flows::Answer::Class& c : answer.best)
      page.add("  {} {:.4g}", printable(c.name), c.score);
    if (answer.label) page.add("  (is {})", printable(*answer.label));
    page.add("\n");
  }
  if (!result.answers.empty()) page.add("\n");
}

void add_verdict(Page& page, const Run& run) {
  if (run.correct) {
    page.line("top-1", fmt::format("{:.2f} % ({} of {})",
                                   100.0 * static_cast<double>(*run.correct) /
                                       static_cast<double>(run.images),
                                   *run.correct, run.images));
  }
  const runtime::Comparison& comparison = run.result.comparison;
  if (!run.options.check || comparison.values == 0) return;
  const std::string tensors =
      run.options.kind == runtime::DeviceKind::kFpga
          ? "the tensors left in memory"
          : fmt::format("{} tensors an image", run.program.placements.size());
  page.line("check", comparison.mismatches == 0
                         ? fmt::format("{} values of {}: all equal to golden",
                                       grouped(comparison.values), tensors)
                         : fmt::format("{} of {} values differ from golden",
                                       grouped(comparison.mismatches), grouped(comparison.values)));
}

void add_work(Page& page, const Run& run) {
  const std::uint64_t macs = run.macs(), dense = runtime::macs(run.program);
  page.line("work", grouped(dense) + " multiply-accumulates an image");
  if (run.live_macs.empty()) return;
  page.line(run.masks.size() > 1 ? "with the masks" : "with the mask",
            fmt::format("{} ({:.1f} %)", grouped(macs),
                        100 * static_cast<double>(macs) / static_cast<double>(dense)));
}

void add_switching(Page& page, const Run& run) {
  const auto& switching = run.result.switching;
  if (!switching) return;
  const auto cost = static_cast<std::int64_t>(switching->after - switching->same);
  std::string text =
      fmt::format("{:+} cycles to an image: {} behind another mask, {} behind its own", cost,
                  grouped(switching->after), grouped(switching->same));
  if (switching->layer_table)
    text += fmt::format("; the layer table is read after {}", grouped(*switching->layer_table));
  page.line("switch", text);
}

/// Cycles, bytes and times, as far as the device measures them.
void add_measured(Page& page, const Run& run) {
  const auto& timing = run.result.timing;
  if (timing) {
    page.line("cycles", grouped(timing->cycles / run.images) + " an image");
    // A board's own time stands below.
    if (timing->seconds <= 0) add_time(page, run, cycles_an_image(run).value_or(0));
    page.line("utilisation",
              fmt::format("{:.1f} % of the multipliers' cycles",
                          100 * utilisation(run.macs() * run.images, run.program.machine().lanes,
                                            timing->cycles)));
  }
  if (const auto& traffic = run.result.traffic) {
    page.line("memory", grouped(traffic->read / run.images) + " bytes read, " +
                            grouped(traffic->written / run.images) + " written an image");
  }
  if (timing && timing->seconds > 0) {
    page.line("time", fmt::format("{:.3f} ms an image from start to interrupt",
                                  1e3 * timing->seconds / static_cast<double>(run.images)));
  }
  if (timing && timing->cpu_seconds > 0) {
    const double rate = static_cast<double>(timing->cycles) / timing->cpu_seconds;
    page.line("simulation",
              grouped(static_cast<std::uint64_t>(rate)) + " cycles a second of CPU time");
  }
}

/// Where it went wrong or stopped.
void add_ends(Page& page, const Run& run) {
  const runtime::BatchResult& result = run.result;
  if (const auto& first = result.comparison.first) {
    page.add("\nfirst difference: {}\n", printable(first->text(runtime::name(run.options.kind))));
  }
  if (result.interrupted == 0) return;
  page.add("\ninterrupted after {} image{}\n", run.images, run.images == 1 ? "" : "s");
  for (const auto& partial : result.partial) {
    page.add("  image {}: {} cycles run, {} values checked, {} differ\n", partial.image,
             grouped(partial.timing ? partial.timing->cycles : 0),
             grouped(partial.comparison.values), grouped(partial.comparison.mismatches));
  }
}

}  // namespace

double utilisation(std::uint64_t macs, int lanes, std::uint64_t cycles) {
  if (cycles == 0) return 0;
  return static_cast<double>(macs) /
         (static_cast<double>(lanes) * lanes * static_cast<double>(cycles));
}

void add_time(Json& json, const Run& run, std::optional<double> cycles) {
  const double mhz = run.clock.mhz;
  const bool some = cycles.value_or(0) > 0;
  json["mhz"] = mhz;
  json["ms_per_image"] = some ? Json(*cycles / mhz / 1e3) : Json();
  json["images_per_second"] = some ? Json(mhz * 1e6 / *cycles) : Json();
}

void add_time(Page& page, const Run& run, double cycles) {
  if (cycles <= 0) return;
  const auto& clock = run.clock;
  page.line("at the clock",
            fmt::format("{:.3f} ms an image, {:.4g} images a second at {:g} MHz ({})",
                        cycles / clock.mhz / 1e3, clock.mhz * 1e6 / cycles, clock.mhz, clock.from));
}

void add_overlay(Page& page, const Run& run) {
  if (!run.overlay) return;
  const flows::OverlayUse& use = *run.overlay;
  page.line("overlay",
            fmt::format("{} of {} weights stay ({:.1f} %)", grouped(use.live), grouped(use.weights),
                        100 * static_cast<double>(use.live) / static_cast<double>(use.weights)));
}

/// How many images each environment served.
std::vector<std::size_t> served(const flows::Picking& picking) {
  std::vector<std::size_t> list(picking.names.size());
  for (const auto& pick : picking.images) ++list[pick.environment];
  return list;
}

void add_picking(Page& page, const Run& run) {
  if (!run.picking) return;
  const flows::Picking& picking = *run.picking;
  const auto list = served(picking);
  std::string text;
  for (std::size_t e = 0; e < list.size(); ++e) {
    if (list[e] > 0)
      text +=
          fmt::format("{}{} {}", text.empty() ? "" : ", ", printable(picking.names[e]), list[e]);
  }
  page.line("environments", fmt::format("{}; {} switch{}", text.empty() ? "none" : text,
                                        picking.switches, picking.switches == 1 ? "" : "es"));
  if (!picking.images.empty()) {
    page.line("at the end", fmt::format("{}, {:.0f} % sure",
                                        printable(picking.names[picking.images.back().environment]),
                                        100 * picking.images.back().sure));
  }
  if (picking.probe_cycles && run.images > 0)
    page.line("to pick", grouped(*picking.probe_cycles / run.images) + " cycles an image");
}

Json picking_json(const flows::Picking& picking) {
  Json json{{"switches", picking.switches}, {"served", Json::object()}, {"images", Json::array()}};
  const auto list = served(picking);
  for (std::size_t e = 0; e < list.size(); ++e) json["served"][picking.names[e]] = list[e];
  for (const auto& pick : picking.images)
    json["images"].push_back(
        {{"environment", picking.names[pick.environment]}, {"sure", pick.sure}});
  json["probe_cycles"] = picking.probe_cycles ? Json(*picking.probe_cycles) : Json();
  return json;
}

void add_environment(Page& page, const Run& run) {
  if (!run.environment) return;
  const flows::OverlayUse& use = *run.environment;
  page.line("environment",
            use.weights == 0 ? printable(use.file) + ", no mask"
                             : fmt::format("{}, {} of {} masked weights stay", printable(use.file),
                                           grouped(use.live), grouped(use.weights)));
}

void add_packings(Page& page, const Run& run) {
  for (std::size_t m = 0; m < run.result.packings.size(); ++m) {
    const runtime::Packing& packing = run.result.packings[m];
    std::string text = fmt::format("{} layers for {}", packing.layers, run.masks[m]);
    if (packing.cycles) text = grouped(*packing.cycles) + " cycles once, " + text;
    page.line("packing", text);
  }
}

Json to_json(const Run& run) {
  const program::Program& program = run.program;
  const runtime::BatchResult& result = run.result;
  const std::uint64_t macs = run.macs(), dense = runtime::macs(program);
  Json json;
  json["network"] = program.graph.name;
  json["config"] = program.config.name.view();
  json["fingerprint"] = fingerprint_text(run.fingerprint);
  json["device"] = runtime::name(run.options.kind);
  json["images"] = run.images;
  json["top1"] = run.correct
                     ? Json(static_cast<double>(*run.correct) / static_cast<double>(run.images))
                     : Json();
  json["checked"] = run.options.check;
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
      json["partial"].push_back(partial_json(run, partial));
  }
  for (const char* key : {"cycles", "cycles_per_image"}) json[key] = nullptr;
  json["macs_per_image"] = dense;
  if (!run.live_macs.empty()) json["live_macs_per_image"] = macs;
  if (const auto& use = run.overlay)
    json["overlay"] = {{"file", use->file}, {"weights", use->weights}, {"live", use->live}};
  if (const auto& use = run.environment)
    json["environment"] = {{"file", use->file}, {"weights", use->weights}, {"live", use->live}};
  if (run.picking) json["picking"] = picking_json(*run.picking);
  if (!run.result.packings.empty()) json["packing"] = packings_json(run);
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
  const auto cycles = cycles_an_image(run);
  add_time(json, run, cycles);
  if (result.timing) {
    const runtime::Timing& timing = *result.timing;
    json["cycles"] = timing.cycles;
    json["cycles_per_image"] = or_null(cycles);
    json["utilisation"] = utilisation(macs * run.images, program.machine().lanes, timing.cycles);
    if (run.options.kind == runtime::DeviceKind::kFpga) {
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
  if (run.options.kind == runtime::DeviceKind::kRtl) {
    const runtime::DeviceOptions& device = run.options.device;
    json["memory"] = {{"read_latency", device.read_latency},
                      {"write_latency", device.write_latency},
                      {"stall", device.stall},
                      {"seed", device.seed}};
  }
  json["layers"] = Json::array();
  for (std::size_t i = 0; i < program.layers.size(); ++i)
    json["layers"].push_back(layer_json(run, i));
  if (result.timing) {
    for (std::size_t i = 0; i < isa::kCounters; ++i) {
      json["counters"][std::string(isa::kCounterNames[i])] = result.timing->counters[i];
    }
  }
  return json;
}

Json to_json(const flows::RunResult& result) {
  Json json = to_json(result.run);
  if (result.lockstep) json["lockstep"] = to_json(*result.lockstep);
  if (result.noise) json["float"] = to_json(*result.noise);
  return json;
}

Json answers_json(const flows::RunResult& result) {
  Json list = Json::array();
  for (const flows::Answer& answer : result.answers) {
    Json item{{"image", answer.image}};
    if (answer.label) item["label"] = printable(*answer.label);
    for (const flows::Answer::Class& c : answer.best) {
      item["classes"].push_back(
          {{"class", c.index}, {"name", printable(c.name)}, {"score", c.score}});
    }
    list.push_back(std::move(item));
  }
  return list;
}

std::string text(const flows::RunResult& result, bool layers) {
  const Run& run = result.run;
  Page page;
  add_answers(page, result);
  page.add("{} for {}, {}: {} image{}\n", printable(run.program.graph.name),
           run.program.config.name.view(), runtime::name(run.options.kind), run.images,
           run.images == 1 ? "" : "s");
  add_verdict(page, run);
  add_work(page, run);
  add_overlay(page, run);
  add_environment(page, run);
  add_picking(page, run);
  add_packings(page, run);
  add_switching(page, run);
  add_measured(page, run);
  for (const std::string& op : run.program.graph.host_ops) page.line("on the host", printable(op));
  if (layers) add_layers(page, run);
  add_ends(page, run);
  if (result.noise) {
    if (result.noise->top1)
      page.line("float top-1", fmt::format("{:.2f} %", 100 * *result.noise->top1));
    page.add("\n{}", text(*result.noise));
  }
  if (result.lockstep) {
    page.add("{}", text(*result.lockstep));
  } else if (!run.options.device.wave.empty()) {
    page.line("wave", run.options.device.wave);
  }
  return std::move(page).text();
}

}  // namespace espalier::report
