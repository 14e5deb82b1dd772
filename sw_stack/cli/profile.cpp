// `espalier profile`: where a program's cycles go.

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <chrono>
#include <ctime>
#include <memory>

#include "cli/commands.hpp"
#include "cli/file_options.hpp"
#include "cli/images.hpp"
#include "cli/masks.hpp"
#include "cli/models.hpp"
#include "cli/profile_report.hpp"
#include "cli/run_job.hpp"
#include "images/dataset.hpp"
#include "images/input.hpp"
#include "prune/channels.hpp"
#include "runtime/interrupt.hpp"
#include "base/whole_file.hpp"

namespace espalier::cli {
namespace {

struct ProfileOptions {
  std::string program, report, csv, device, images, latency, mask, patch, overlay;
  std::uint64_t first = 0;
  bool check = false, json = false;
};

constexpr const char* kFooter =
    "The timing model follows the program's instructions through the machine's queues, rings,\n"
    "accumulator halves and bus. What a layer's cycles go to: compute (the network's own "
    "products,\n"
    "the utilisation), ragged (blocks of channels and passes with room to spare), weights and\n"
    "activations (that have not come yet), post (no accumulator half is free), pool, and start, "
    "end.\n"
    "/bound: cycles over max(MACs / L^2, bytes of the larger direction / bus width), every tensor\n"
    "moved once.\n"
    "\n"
    "With --device rtl one image runs through the verilated machine, and its cycles stand beside\n"
    "with the model's error.\n"
    "\n"
    "examples:\n"
    "  espalier profile net.espl\n"
    "  espalier profile net.espl --csv layers.csv --report profile.json\n"
    "  espalier profile any.espl --mask user.mask\n"
    "  espalier profile net.espl --device rtl --images x.npy";

Status measure(const ProfileOptions& options, Profile& profile) {
  const program::Program& program = *profile.report.program;
  const auto input = static_cast<std::size_t>(program.graph.input);
  auto dataset = open_images(options.images, program.graph.tensors[input].shape);
  if (!dataset) return dataset.error();
  if (options.first >= dataset->size()) {
    return fail(ErrorCode::kUsage,
                "is " + std::to_string(options.first) + "; " + options.images + " has " +
                    std::to_string(dataset->size()) + " images",
                "--first");
  }
  const auto load = [&](std::size_t i) -> Result<std::vector<std::int8_t>> {
    const auto pixels = dataset->load(options.first + i);
    if (!pixels) return pixels.error();
    return images::quantise_input(program.graph, *pixels, dataset->raw_float());
  };
  profile.report.options.check = options.check;
  runtime::note_interrupts();
  const auto started = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  auto result = runtime::run_batch(program, profile.report.options, 1, load);
  if (!result) return result.error();
  const double simulated = result->timing ? result->timing->cpu_seconds : 0;
  profile.other_cpu_seconds = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC - simulated;
  profile.wall_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  profile.report.images = result->images;
  profile.report.result = std::move(result).value();
  return {};
}

Result<int> profile(const ProfileOptions& options) {
  const auto usage = [](const char* option, const char* message) {
    return fail(ErrorCode::kUsage, message, option);
  };
  if (options.check && options.device.empty()) return usage("--check", "needs --device rtl");
  if (options.device.empty() != options.images.empty()) {
    return options.device.empty() ? usage("--images", "needs --device rtl")
                                  : usage("--device", "needs --images");
  }
  auto program = program::load(options.program);
  if (!program) return program.error();
  Profile profile;
  profile.report.program = &*program;
  profile.report.fingerprint = program::fingerprint(*program);
  profile.report.options.kind = runtime::DeviceKind::kRtl;
  runtime::DeviceOptions& device = profile.report.options.device;
  if (Status status = parse_latency(options.latency, device); !status) return status.error();
  const bool of_model = !options.mask.empty() || !options.overlay.empty();
  const std::uint64_t model = of_model ? prune::fingerprint(program->graph) : 0;
  std::vector<std::uint8_t> table;  // of layers; without a mask the program's own
  if (!options.mask.empty()) {
    MaskFiles files{{options.mask}, {}};
    if (!options.patch.empty()) files.patches = {options.patch};
    if (Status s = load_masks(*program, model, files, true, device); !s) return s.error();
    const program::Masked& masked = device.applied->front();
    const auto packing = timing::estimate_pack(
        *program, masked, timing::Memory{device.read_latency, device.write_latency});
    if (!packing) return packing.error();
    profile.packing_estimate = *packing;
    table = masked.table;
    profile.report.masks = {options.mask};
    profile.report.live_macs = live_macs(*program, device.masks);
  }
  if (!options.overlay.empty()) {
    auto use = use_overlay(*program, model, options.overlay, true);
    if (!use) return use.error();
    profile.report.overlay = std::move(use).value();
  }
  const ir::ChannelMask live = device.masks.empty() ? ir::ChannelMask() : device.masks.front();
  auto estimate = timing::estimate(
      *program, timing::Memory{device.read_latency, device.write_latency}, table, live);
  if (!estimate) return estimate.error();
  profile.estimate = std::move(estimate).value();
  if (!options.device.empty()) {
    if (Status status = measure(options, profile); !status) return status.error();
  }
  if (!options.csv.empty()) {
    if (Status status = write_file(options.csv, to_csv(profile)); !status) return status.error();
  }
  const Json json = to_json(profile);
  if (!options.report.empty()) {
    if (Status status = write_file(options.report, json_text(json)); !status) return status.error();
  }
  if (options.json) {
    print_json(json);
  } else {
    print(profile);
  }
  const runtime::BatchResult& result = profile.report.result;
  if (result.interrupted != 0) return kInterrupted + result.interrupted;
  return result.comparison.mismatches == 0 ? kOk : kDiffers;
}

}  // namespace

void add_profile(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<ProfileOptions>();
  CLI::App* command =
      app.add_subcommand("profile", "say where a program's cycles go, layer by layer");
  command->footer(kFooter);
  command->add_option("PROGRAM", options->program, "program file that `compile` wrote")
      ->check(reads())
      ->type_name("FILE")
      ->required();
  command->add_option("--report", options->report, "write the profile as JSON")
      ->check(writes())
      ->type_name("R.json");
  command->add_option("--csv", options->csv, "write a line for each layer")
      ->check(writes())
      ->type_name("F.csv");
  command->add_option("--device", options->device, "measure too: rtl, the verilated machine")
      ->type_name("DEVICE")
      ->check(CLI::IsMember({"rtl"}));
  command->add_option("--images", options->images, "where the image to measure with is, as for run")
      ->check(reads())
      ->type_name("IMAGES");
  command->add_option("--mask", options->mask, "profile the program with this mask")
      ->check(reads())
      ->type_name("U.mask");
  CLI::Option* patch =
      command->add_option("--patch", options->patch, "with a user's own weights for the mask")
          ->check(reads())
          ->type_name("U.patch")
          ->needs("--mask");
  command
      ->add_option("--overlay", options->overlay,
                   "with these weights only, the others 0: no cycle changes, but --check sees them")
      ->check(reads())
      ->type_name("U.overlay")
      ->excludes(patch);
  command->add_flag("--check", options->check,
                    "compare every layer's output with golden; exit code 1 if one differs");
  command->add_option("--first", options->first, "which of them, counted from 0")
      ->type_name("N")
      ->transform(whole(0, 1'000'000'000'000));
  command
      ->add_option("--mem-latency", options->latency,
                   "cycles that memory takes: R or R,W, reads and write responses (60,40)")
      ->type_name("R[,W]");
  command->add_flag("--json", options->json, "print the profile as JSON");
  command->callback([options, &chosen] {
    chosen = [options] {
      const auto code = profile(*options);
      return code ? *code : complain(code.error());
    };
  });
}

}  // namespace espalier::cli
