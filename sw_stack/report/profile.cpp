#include "report/profile.hpp"

#include "report/json.hpp"
#include "report/run.hpp"

namespace espalier::report {
namespace {

using flows::Profile;

/// One layer's numbers, or all layers' together.
struct Row {
  std::string name, op;
  std::uint64_t macs = 0;
  timing::LayerEstimate estimate;
  double bound = 0;
  std::optional<double> measured;  ///< cycles an image

  [[nodiscard]] std::optional<double> error() const {
    if (!measured || *measured <= 0) return std::nullopt;
    return static_cast<double>(estimate.cycles) / *measured - 1;
  }
  [[nodiscard]] double bytes_a_cycle() const {
    if (estimate.cycles <= 0) return 0;
    return static_cast<double>(estimate.bytes_read + estimate.bytes_written) /
           static_cast<double>(estimate.cycles);
  }
};

const program::Program& program_of(const Profile& profile) { return profile.run.program; }

std::optional<double> an_image(const Profile& profile, std::optional<std::uint64_t> cycles) {
  if (!cycles || profile.run.images == 0) return std::nullopt;
  return static_cast<double>(*cycles) / static_cast<double>(profile.run.images);
}

/// The mask's live channels; empty without one.
const ir::ChannelMask& live_of(const Profile& profile) {
  static const ir::ChannelMask kAll;
  const auto& masks = profile.run.options.device.masks;
  return masks.empty() ? kAll : masks.front();
}

std::vector<Row> rows_of(const Profile& profile) {
  const program::Program& program = program_of(profile);
  const auto& timing = profile.run.result.timing;
  std::vector<Row> rows;
  for (std::size_t i = 0; i < program.layers.size(); ++i) {
    const program::Layer& layer = program.layers[i];
    Row row{layer.name,
            layer.op,
            profile.run.macs(i),
            profile.estimate.layers[i],
            timing::bound(program, layer, live_of(profile)),
            {}};
    if (timing) row.measured = an_image(profile, timing->cycles_by_layer[i]);
    rows.push_back(std::move(row));
  }
  return rows;
}

Row total_of(const Profile& profile) {
  const program::Program& program = program_of(profile);
  const auto& timing = profile.run.result.timing;
  Row all{"all", "", profile.run.macs(), {}, timing::bound(program, live_of(profile)), {}};
  all.estimate.cycles = profile.estimate.cycles;
  for (const timing::LayerEstimate& layer : profile.estimate.layers) {
    for (std::size_t c = 0; c < timing::kCauses; ++c) all.estimate.by_cause[c] += layer.by_cause[c];
    all.estimate.tiles += layer.tiles;
    all.estimate.tiles_run += layer.tiles_run;
  }
  all.estimate.bytes_read = profile.estimate.bytes_read;
  all.estimate.bytes_written = profile.estimate.bytes_written;
  if (timing) all.measured = an_image(profile, timing->cycles);
  return all;
}

void add_to(Json& json, const Row& row, int lanes) {
  json["estimate"] = row.estimate.cycles;
  json["bound"] = row.bound;
  json["error"] = or_null(row.error());
  json["estimated_utilisation"] =
      utilisation(row.macs, lanes, static_cast<std::uint64_t>(row.estimate.cycles));
  Json& causes = json["estimate_by_cause"];
  for (std::size_t c = 0; c < timing::kCauses; ++c)
    causes[std::string(timing::kCauseNames[c])] = row.estimate.by_cause[c];
  json["tiles"] = row.estimate.tiles;
  json["tiles_skipped"] = row.estimate.tiles_skipped();
  json["estimated_bytes_read"] = row.estimate.bytes_read;
  json["estimated_bytes_written"] = row.estimate.bytes_written;
}

/// RFC 4180.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : printable(text)) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

std::string percent(double value, int digits = 1) {
  return fmt::format("{:.{}f} %", 100 * value, digits);
}

double share(std::int64_t part, std::int64_t all) {
  return all > 0 ? static_cast<double>(part) / static_cast<double>(all) : 0;
}

std::vector<std::string> cells(const Row& row, const Row& all, int lanes, bool measured) {
  const auto cycles = row.estimate.cycles;
  std::vector<std::string> list{
      printable(row.name), printable(row.op), grouped(cycles),
      percent(share(cycles, all.estimate.cycles)),
      row.macs == 0 ? "-"
                    : percent(utilisation(row.macs, lanes, static_cast<std::uint64_t>(cycles)))};
  for (std::size_t c = 1; c < timing::kCauses; ++c) {
    const std::int64_t part = row.estimate.by_cause[c];
    list.push_back(part == 0 ? "-" : percent(share(part, cycles)));
  }
  list.push_back(row.bound > 0 ? fmt::format("{:.3f}", static_cast<double>(cycles) / row.bound)
                               : "-");
  list.push_back(bytes_text(row.estimate.bytes_read));
  list.push_back(bytes_text(row.estimate.bytes_written));
  list.push_back(fmt::format("{:.2f}", row.bytes_a_cycle()));
  if (!measured) return list;
  list.push_back(grouped(static_cast<std::uint64_t>(row.measured.value_or(0))));
  list.push_back(row.error() ? fmt::format("{:+.2f} %", 100 * *row.error()) : "-");
  return list;
}

void add_totals(Page& page, const Profile& profile, const Row& all) {
  const program::Program& program = program_of(profile);
  const isa::Config& machine = program.machine();
  // What was measured goes before what was estimated.
  const double cycles = all.measured.value_or(static_cast<double>(all.estimate.cycles));
  page.line("work", grouped(all.macs) + " multiply-accumulates an image");
  if (!profile.run.live_macs.empty()) {
    const std::uint64_t dense = runtime::macs(program);
    page.line("mask",
              fmt::format("leaves {} of {} multiply-accumulates",
                          percent(static_cast<double>(all.macs) / static_cast<double>(dense)),
                          grouped(dense)));
    add_packings(page, profile.run);
    if (const auto packing = profile.packing_estimate) {
      page.line("packing", fmt::format("{} cycles once by the timing model", grouped(*packing)));
    }
  }
  add_overlay(page, profile.run);
  page.line("cycles", fmt::format("{} an image by the timing model", grouped(all.estimate.cycles)));
  if (all.measured) {
    page.line("measured", fmt::format("{} an image; the model is off by {:+.3f} %",
                                      grouped(static_cast<std::uint64_t>(*all.measured)),
                                      100 * all.error().value_or(0)));
  }
  add_time(page, profile.run, cycles);
  if (all.measured && profile.run.result.timing->layer_table) {
    page.line("layer table", grouped(*profile.run.result.timing->layer_table) +
                                 " cycles from start until it is read");
  }
  if (profile.run.options.check && all.measured) {
    const runtime::Comparison& comparison = profile.run.result.comparison;
    page.line("check",
              comparison.mismatches == 0
                  ? grouped(comparison.values) + " values: all equal to golden"
                  : fmt::format("{} of {} values differ from golden",
                                grouped(comparison.mismatches), grouped(comparison.values)));
  }
  if (all.estimate.tiles > 0) {
    const std::uint64_t skipped = all.estimate.tiles_skipped();
    page.line("tiles", fmt::format("{} of {} in layers with zero weights are skipped ({})",
                                   grouped(skipped), grouped(all.estimate.tiles),
                                   percent(static_cast<double>(skipped) /
                                           static_cast<double>(all.estimate.tiles))));
  }
  page.line("bound", fmt::format("{} by the roofline; {:.4f} times that",
                                 grouped(static_cast<std::uint64_t>(all.bound)),
                                 all.bound > 0 ? cycles / all.bound : 0));
  page.line("utilisation", fmt::format("{} of the multipliers' cycles",
                                       percent(utilisation(all.macs, machine.lanes,
                                                           static_cast<std::uint64_t>(cycles)))));
  page.line(
      "bandwidth",
      fmt::format("{} read, {} written an image: {:.2f} and {:.2f} bytes a cycle of {} each way",
                  bytes_text(all.estimate.bytes_read), bytes_text(all.estimate.bytes_written),
                  static_cast<double>(all.estimate.bytes_read) / cycles,
                  static_cast<double>(all.estimate.bytes_written) / cycles, machine.bus_bytes));
  if (all.measured) {
    const double seconds = profile.run.result.timing->cpu_seconds;
    page.line(
        "simulation",
        fmt::format("{:.1f} s of CPU time, {} cycles a second; {:.1f} s for the rest, {:.1f} s "
                    "by the clock",
                    seconds, grouped(static_cast<std::uint64_t>(*all.measured / seconds)),
                    profile.other_cpu_seconds, profile.wall_seconds));
  }
  page.line("memory",
            fmt::format("{} of constants and instructions, at most {} of activations, {} of "
                        "input, {} of output",
                        bytes_text(program.constant_bytes()), bytes_text(program.activation_bytes),
                        bytes_text(program.input_bytes), bytes_text(program.output_bytes)));
}

}  // namespace

Json to_json(const Profile& profile) {
  Json json = to_json(profile.run);
  const int lanes = program_of(profile).machine().lanes;
  if (profile.run.images == 0) json["device"] = nullptr;
  const Row all = total_of(profile);
  add_to(json, all, lanes);
  add_time(json, profile.run, all.measured.value_or(static_cast<double>(all.estimate.cycles)));
  if (profile.packing_estimate) json["estimated_packing_cycles"] = *profile.packing_estimate;
  if (profile.run.images > 0) {
    json["other_cpu_seconds"] = profile.other_cpu_seconds;
    json["wall_seconds"] = profile.wall_seconds;
    json["layer_table"] = or_null(profile.run.result.timing->layer_table);
  }
  const std::vector<Row> rows = rows_of(profile);
  for (std::size_t i = 0; i < rows.size(); ++i) add_to(json["layers"][i], rows[i], lanes);
  return json;
}

std::string to_csv(const Profile& profile) {
  std::string text = "layer,operator,macs,estimate,bound,estimated_utilisation";
  for (const auto cause : timing::kCauseNames) text += "," + std::string(cause);
  text += ",bytes_read,bytes_written,cycles,error\n";
  const int lanes = program_of(profile).machine().lanes;
  for (const Row& row : rows_of(profile)) {
    text +=
        fmt::format("{},{},{},{},{:.1f},{:.4f}", quoted(row.name), quoted(row.op), row.macs,
                    row.estimate.cycles, row.bound,
                    utilisation(row.macs, lanes, static_cast<std::uint64_t>(row.estimate.cycles)));
    for (const std::int64_t cycles : row.estimate.by_cause) text += fmt::format(",{}", cycles);
    text += fmt::format(",{},{},{},{}\n", row.estimate.bytes_read, row.estimate.bytes_written,
                        row.measured ? fmt::format("{:.0f}", *row.measured) : "",
                        row.error() ? fmt::format("{:.5f}", *row.error()) : "");
  }
  return text;
}

std::string text(const Profile& profile) {
  Page page;
  const program::Program& program = program_of(profile);
  const Row all = total_of(profile);
  page.add("{} for {}\n", printable(program.graph.name), program.config.name.view());
  add_totals(page, profile, all);
  const bool measured = all.measured.has_value();
  std::vector<std::string> header{"layer", "operator", "cycles", "share", "utilisation"};
  for (std::size_t c = 1; c < timing::kCauses; ++c) {
    header.emplace_back(timing::kCauseNames[c]);
    if (header.back() == "start_end") header.back() = "start, end";
  }
  for (const char* name : {"/bound", "read", "written", "bytes/cycle"}) header.emplace_back(name);
  if (measured) {
    header.emplace_back("measured");
    header.emplace_back("error");
  }
  Table table(std::move(header));
  for (const Row& row : rows_of(profile))
    table.add(cells(row, all, program.machine().lanes, measured));
  table.add(cells(all, all, program.machine().lanes, measured));
  page.add("\nby layer, one image; what its cycles go to beside the network's own products\n");
  page.add(table);
  return std::move(page).text();
}

}  // namespace espalier::report
