// `espalier profile`: where a program's cycles go.

#include <CLI/CLI.hpp>
#include <memory>

#include "base/whole_file.hpp"
#include "cli/clock_option.hpp"
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "cli/device_option.hpp"
#include "cli/file_options.hpp"
#include "cli/terminal.hpp"
#include "report/json.hpp"
#include "report/profile.hpp"

namespace espalier::cli {
namespace {

struct Options {
  flows::ProfileOptions profile;
  std::string report, csv, device, latency, mask, patch;
  bool json = false;
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

int profile(Options& options) {
  flows::ProfileOptions& profile = options.profile;
  const auto memory = parse_latency(options.latency);
  if (!memory) return complain(memory.error());
  profile.memory = *memory;
  profile.measure = !options.device.empty();
  if (!options.mask.empty()) profile.masks.masks = {options.mask};
  if (!options.patch.empty()) profile.masks.patches = {options.patch};
  const auto result = watched(options.json, [&](const flows::Listener& listener) {
    return flows::profile(profile, listener);
  });
  if (!result) return complain(result.error());
  if (!options.csv.empty()) {
    if (const Status s = write_file(options.csv, report::to_csv(*result)); !s)
      return complain(s.error());
  }
  const std::string json = report::json_text(report::to_json(*result));
  if (!options.report.empty()) {
    if (const Status s = write_file(options.report, json); !s) return complain(s.error());
  }
  print(options.json ? json : report::text(*result));
  return exit_code(result->run.result);
}

}  // namespace

void add_profile(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("profile", "say where a program's cycles go, layer by layer");
  command->footer(kFooter);
  command->add_option("PROGRAM", options->profile.program, "program file that `compile` wrote")
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
  command
      ->add_option("--images", options->profile.images,
                   "where the image to measure with is, as for run")
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
      ->add_option("--overlay", options->profile.overlay,
                   "with these weights only, the others 0: no cycle changes, but --check sees them")
      ->check(reads())
      ->type_name("U.overlay")
      ->excludes(patch);
  command->add_flag("--check", options->profile.check,
                    "compare every layer's output with golden; exit code 1 if one differs");
  command->add_option("--first", options->profile.first, "which of them, counted from 0")
      ->type_name("N")
      ->transform(whole(0, 1'000'000'000'000));
  command
      ->add_option("--mem-latency", options->latency,
                   "cycles that memory takes: R or R,W, reads and write responses (60,40)")
      ->type_name("R[,W]");
  add_clock(*command, options->profile.mhz);
  command->add_flag("--json", options->json, "print the profile as JSON");
  command->callback([options, &chosen] { chosen = [options] { return profile(*options); }; });
}

}  // namespace espalier::cli
