#include "flows/profile.hpp"

#include <chrono>
#include <ctime>

#include "flows/images.hpp"
#include "images/input.hpp"
#include "prune/channels.hpp"
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
  run.options.device.read_latency = options.memory.read_latency;
  run.options.device.write_latency = options.memory.write_latency;
  run.options.device.stall = options.memory.stall;
  return {};
}

Status take_masks(const ProfileOptions& options, Profile& profile) {
  Run& run = profile.run;
  if (options.masks.masks.empty() && options.overlay.empty()) return {};
  const std::uint64_t model = prune::fingerprint(run.program.graph);
  runtime::DeviceOptions& device = run.options.device;
  if (!options.masks.masks.empty()) {
    if (Status s = load_masks(run.program, model, options.masks, true, device); !s) return s;
    const auto packing =
        timing::estimate_pack(run.program, device.applied->front(),
                              timing::Memory{device.read_latency, device.write_latency});
    if (!packing) return packing.error();
    profile.packing_estimate = *packing;
    run.masks = options.masks.masks;
    run.live_macs = live_macs(run.program, device.masks);
  }
  if (options.overlay.empty()) return {};
  auto use = use_overlay(run.program, model, options.overlay, true);
  if (!use) return use.error();
  run.overlay = std::move(use).value();
  return {};
}

Status estimate(Profile& profile) {
  const runtime::DeviceOptions& device = profile.run.options.device;
  std::vector<std::uint8_t> table;  // of layers; without a mask the program's own
  ir::ChannelMask live;
  if (!device.masks.empty()) {
    table = device.applied->front().table;
    live = device.masks.front();
  }
  auto estimate = timing::estimate(
      profile.run.program, timing::Memory{device.read_latency, device.write_latency}, table, live);
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
  const auto load = [&](std::size_t i) -> Result<std::vector<std::int8_t>> {
    const auto pixels = dataset->load(options.first + i);
    if (!pixels) return pixels.error();
    return images::quantise_input(program.graph, *pixels, dataset->raw_float());
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
  if (const Status s = take_masks(options, profile); !s) return s.error();
  if (const Status s = estimate(profile); !s) return s.error();
  if (options.measure) {
    if (const Status s = measure(options, profile, listener); !s) return s.error();
  }
  return profile;
}

}  // namespace espalier::flows
