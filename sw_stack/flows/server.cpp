#include "flows/server.hpp"

namespace espalier::flows {

Server::Server(runtime::DeviceKind kind, runtime::DeviceOptions device, int jobs) {
  options_.kind = kind;
  options_.device = std::move(device);
  options_.jobs = kind == runtime::DeviceKind::kFpga ? 1 : jobs;
}

Result<std::vector<std::int8_t>> Server::answer(const program::Program& program,
                                                std::span<const std::int8_t> inputs) {
  const auto size = static_cast<std::size_t>(ir::input_elements(program.graph));
  const auto load = [&](std::size_t i) -> Result<std::vector<std::int8_t>> {
    const auto image = inputs.subspan(i * size, size);
    return std::vector<std::int8_t>(image.begin(), image.end());
  };
  const auto batch = runtime::run_batch(program, options_, inputs.size() / size, load);
  if (!batch) return batch.error();
  if (batch->interrupted != 0) return fail(ErrorCode::kDevice, "the run was interrupted");
  std::vector<std::int8_t> outputs;
  for (const auto& one : batch->outputs) outputs.insert(outputs.end(), one.begin(), one.end());
  images_ += batch->images;
  if (batch->timing) cycles_ += batch->timing->cycles;
  return outputs;
}

}  // namespace espalier::flows
