#include "flows/profile.hpp"

#include <chrono>
#include <ctime>

#include "flows/images.hpp"
#include "runtime/interrupt.hpp"

namespace espalier::flows {
namespace {

Status check_options(const ProfileOptions& options) {
  const auto usage = [](const char* option, const char* message) {
    return fail(ErrorCode::kUsage, message, option);
  };
  if (options.check && !options.measure) return usage("--check", "needs --device rtl");
  if (options.measure && options.images.empty()) return usage("--device", "needs --images");
  if (!options.measure && !options.images.empty()) return usage("--images", "needs --device rtl");
  return {};
}

Status load(const ProfileOptions& options, Run& run) {
  auto program = program::load(options.program);
  if (!program) return program.error();
  run.program = std::move(*program);
  run.fingerprint = program::fingerprint(run.program);
  run.options.kind = runtime::DeviceKind::kRtl;
  run.options.check = options.check;
  run.clock = clock_of(run.program, options.mhz);
  options.memory.set(run.options.device);
  return {};
}

Status estimate(const ProfileOptions& options, Profile& profile) {
  const program::Program& program = profile.run.program;
  const runtime::DeviceOptions& device = profile.run.options.device;
  const timing::Memory memory{options.memory.read_latency, options.memory.write_latency};
  std::vector<std::uint8_t> table;  // of layers; without a mask the program's own
  ir::ChannelMask live;
  if (!device.masks.empty()) {
    const program::Masked& masked = device.applied->front();
    const auto packing = timing::estimate_pack(program, masked, memory);
    if (!packing) return packing.error();
    profile.packing_estimate = *packing;
    table = masked.table;
    live = device.masks.front();
  }
  auto estimate = timing::estimate(program, memory, table, live);
  if (!estimate) return estimate.error();
  profile.estimate = std::move(estimate).value();
  return {};
}

Status measure(const ProfileOptions& options, Profile& profile, const Listener& listener) {
  const program::Program& program = profile.run.program;
  const auto input = static_cast<std::size_t>(program.graph.input);
  auto dataset = open_images(options.images, program.graph.tensors[input].shape, listener);
  if (!dataset) return dataset.error();
  if (const auto some = count_images(*dataset, options.images, options.first, 1); !some)
    return some.error();
  const auto load = [&](std::size_t i) {
    return load_input(*dataset, program.graph, options.first + i);
  };
  runtime::note_interrupts();
  const auto started = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  auto result = runtime::run_batch(program, profile.run.options, 1, load);
  if (!result) return result.error();
  const double simulated = result->timing ? result->timing->cpu_seconds : 0;
  profile.other_cpu_seconds = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC - simulated;
  profile.wall_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  profile.run.images = result->images;
  profile.run.result = std::move(result).value();
  return {};
}

}  // namespace

Result<Profile> profile(const ProfileOptions& options, const Listener& listener) {
  Profile profile;
  if (const Status s = check_options(options); !s) return s.error();
  if (const Status s = load(options, profile.run); !s) return s.error();
  if (const Status s = apply_masks(profile.run, options.masks, options.overlay, true); !s)
    return s.error();
  if (const Status s = estimate(options, profile); !s) return s.error();
  if (options.measure) {
    if (const Status s = measure(options, profile, listener); !s) return s.error();
  }
  return profile;
}

}  // namespace espalier::flows
