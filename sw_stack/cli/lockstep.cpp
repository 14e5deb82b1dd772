#include "cli/lockstep.hpp"

#include <nlohmann/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "runtime/interrupt.hpp"

namespace espalier::cli {
namespace {

void add(runtime::BatchResult& batch, const program::Program& program, std::size_t image,
         runtime::Execution execution) {
  if (!execution.complete) {
    batch.outputs.emplace_back();
    batch.partial.push_back({image, {}, execution.timing});
    return;
  }
  batch.outputs.push_back(std::move(execution.output));
  ++batch.images;
  if (!batch.timing) batch.timing.emplace().cycles_by_layer.resize(program.layers.size());
  batch.timing->cycles += execution.timing->cycles;
  batch.timing->cpu_seconds += execution.timing->cpu_seconds;
  for (std::size_t l = 0; l < program.layers.size(); ++l)
    batch.timing->cycles_by_layer[l] += execution.timing->cycles_by_layer[l];
  for (std::size_t c = 0; c < isa::kCounters; ++c)
    batch.timing->counters[c] += execution.timing->counters[c];
  if (!batch.traffic) batch.traffic.emplace();
  batch.traffic->read += execution.traffic->read;
  batch.traffic->written += execution.traffic->written;
}

constexpr std::size_t kChainShown = 12;  // instructions of a chain

}  // namespace

bool can_wave(const program::Program& program) {
  const std::vector<std::string> traced = runtime::wave_configs();
  return std::ranges::find(traced, program.config) != traced.end();
}

std::string wave_name(const std::string& program) {
  return std::filesystem::path(program).stem().string() + ".lockstep.fst";
}

Result<runtime::BatchResult> run_in_lockstep(const program::Program& program,
                                             const runtime::BatchOptions& options,
                                             std::size_t count, const runtime::LoadImage& load,
                                             const runtime::Progress& progress,
                                             LockstepReport& report) {
  runtime::BatchResult batch;
  runtime::LockstepOptions lockstep;
  const std::vector<ir::ChannelMask>& masks = options.device.masks;
  const std::vector<ir::QuantGraph>& graphs = options.device.graphs;
  lockstep.device = options.device;
  lockstep.check = options.check;
  for (std::size_t i = 0; i < count; ++i) {
    if (report.result.difference || runtime::interrupted() != 0) {
      batch.outputs.emplace_back();
      continue;
    }
    const auto image = load(i);
    if (!image) return image.error();
    if (!masks.empty()) lockstep.device.masks = {masks[i % masks.size()]};
    if (!graphs.empty()) lockstep.device.graphs = {graphs[i % graphs.size()]};
    if (const auto& all = options.device.applied) {
      lockstep.device.applied =
          std::make_shared<const std::vector<program::Masked>>(1, (*all)[i % masks.size()]);
    }
    auto result = runtime::run_lockstep(program, *image, lockstep);
    if (!result) return result.error();
    report.image = i;
    report.result.instructions += result->instructions;
    report.result.bytes += result->bytes;
    report.result.difference = std::move(result->difference);
    batch.comparison.values += result->values;
    add(batch, program, i, std::move(result->execution));
    progress(i + 1);
  }
  batch.interrupted = runtime::interrupted();
  return batch;
}

Json to_json(const LockstepReport& report) {
  Json json{{"instructions", report.result.instructions},
            {"bytes", report.result.bytes},
            {"difference", nullptr}};
  if (const auto& d = report.result.difference) {
    json["difference"] = {{"image", report.image},
                          {"instruction", d->instruction},
                          {"disassembly", d->disassembly},
                          {"layer", d->layer},
                          {"cycle", d->cycle},
                          {"what", d->what},
                          {"chain", d->chain},
                          {"missing_dependency", d->hazard.empty() ? Json() : Json(d->hazard)},
                          {"wave", d->wave.empty() ? Json() : Json(d->wave)}};
  }
  return json;
}

void print(const LockstepReport& report) {
  const auto& difference = report.result.difference;
  fmt::print("  {:<17}{} instructions retired, {} bytes read and written: {}\n", "lockstep",
             grouped(report.result.instructions), grouped(report.result.bytes),
             difference ? "then a difference" : "all equal");
  if (!difference) return;
  fmt::print("\nfirst difference: image {}, instruction {}, layer {}, cycle {}\n", report.image,
             difference->instruction, printable(difference->layer), grouped(difference->cycle));
  fmt::print("  {}\n  {}\n", difference->disassembly, printable(difference->what));
  if (!difference->chain.empty()) fmt::print("its data come from\n");
  for (std::size_t i = 0; i < std::min(kChainShown, difference->chain.size()); ++i)
    fmt::print("  {}\n", difference->chain[i]);
  if (difference->chain.size() > kChainShown)
    fmt::print("  and {} more\n", difference->chain.size() - kChainShown);
  if (!difference->hazard.empty())
    fmt::print("the program lacks a dependency\n  {}\n", difference->hazard);
  if (!difference->wave.empty()) fmt::print("  {:<17}{}\n", "wave", difference->wave);
}

}  // namespace espalier::cli
