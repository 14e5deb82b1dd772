#include "flows/lockstep.hpp"

#include <algorithm>
#include <filesystem>

#include "runtime/interrupt.hpp"

namespace espalier::flows {
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
                                             const runtime::Progress& progress, LockstepRun& run) {
  runtime::BatchResult batch;
  runtime::LockstepOptions lockstep;
  const std::vector<ir::ChannelMask>& masks = options.device.masks;
  const std::vector<ir::QuantGraph>& graphs = options.device.graphs;
  lockstep.device = options.device;
  lockstep.check = options.check;
  for (std::size_t i = 0; i < count; ++i) {
    if (run.result.difference || runtime::interrupted() != 0) {
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
    run.image = i;
    run.result.instructions += result->instructions;
    run.result.bytes += result->bytes;
    run.result.difference = std::move(result->difference);
    batch.comparison.values += result->values;
    add(batch, program, i, std::move(result->execution));
    progress(i + 1);
  }
  batch.interrupted = runtime::interrupted();
  return batch;
}

}  // namespace espalier::flows
