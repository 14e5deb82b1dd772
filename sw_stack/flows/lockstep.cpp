#include "flows/lockstep.hpp"

#include <filesystem>

#include "runtime/interrupt.hpp"

namespace espalier::flows {
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
    batch.add(i, std::move(result->execution));
    progress(i + 1);
  }
  batch.interrupted = runtime::interrupted();
  return batch;
}

}  // namespace espalier::flows
