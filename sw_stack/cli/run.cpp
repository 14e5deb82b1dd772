// `espalier run`: images through a device.

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
#include "report/run.hpp"

namespace espalier::cli {
namespace {

struct Options {
  flows::RunOptions run;
  std::string device, buffer, latency, report;
  double stall = 0;
  bool layers = false, json = false;
};

constexpr const char* kFooter =
    "IMAGES is a CIFAR-10 .bin file, an .npy array (N x C x H x W: uint8 pixels, or float32 that "
    "is\n"
    "fed to the network as it is), or a folder of pictures, one sub-folder a class.\n"
    "How pixels become the network's input is in the program.\n"
    "\n"
    "The report R.json counts over all images: cycles, bytes_read, bytes_written, and cycles and "
    "macs\n"
    "of each layer; utilisation is MACs without padding / (L^2 x cycles). What a device does not\n"
    "measure is null: golden and iss have no clock, fpga does not tell layers apart.\n"
    "Ctrl-C or SIGTERM ends a run early: the report then counts the images that were finished, "
    "holds what\n"
    "was done of the others as `partial`, and names the signal as `interrupted`; exit code 130 or "
    "143.\n"
    "\n"
    "examples:\n"
    "  espalier run net.espl --device golden --images test_batch.bin\n"
    "  espalier run net.espl --device rtl --images test_batch.bin --first 100 --count 5 --check\n"
    "  espalier run net.espl --images x.npy --count 1 --lockstep --check\n"
    "  espalier run any.espl --images test_batch.bin --mask user.mask --check\n"
    "  espalier run any.espl --images test_batch.bin --mask anne.mask --mask bert.mask\n"
    "  espalier run any.espl --images test_batch.bin --overlay anne.overlay --mask anne.mask\n"
    "  espalier run net.espl --images test_batch.bin --environments kinds/ --auto\n"
    "  espalier run net.espl --images photos/ --top 3 --classes names.txt\n"
    "  espalier run net.espl --images x.npy --count 1 --wave net.fst --wave-cycles 20000\n"
    "  espalier run net.espl --images test_batch.bin --count 20 --mem-latency 200 --mem-stall 0.2";

/// The options that are written otherwise than the flow has them. Errors: kUsage.
Status read(Options& options) {
  flows::RunOptions& run = options.run;
  auto board = board_of(options.device, options.buffer);
  if (!board) return board.error();
  run.fpga = std::move(*board);
  if (!options.device.empty()) run.device = device_kind(options.device);
  if (options.latency.empty() && options.stall <= 0) return {};
  const auto memory = parse_latency(options.latency);
  if (!memory) return memory.error();
  run.memory = *memory;
  run.memory->stall = options.stall;
  return {};
}

int run(Options& options) {
  if (const Status s = read(options); !s) return complain(s.error());
  const auto result = watched(options.json, [&](const flows::Listener& listener) {
    return flows::run(options.run, listener);
  });
  if (!result) return complain(result.error());
  report::Json json = report::to_json(*result);
  if (!options.report.empty()) {
    if (const Status s = write_file(options.report, report::json_text(json)); !s)
      return complain(s.error());
  }
  if (options.json) {
    if (options.run.top > 0) json["top"] = report::answers_json(*result);
    print(report::json_text(json));
  } else {
    print(report::text(*result, options.layers));
  }
  const int code = exit_code(result->run.result);
  return code == kOk && result->lockstep && result->lockstep->result.difference ? kDiffers : code;
}

}  // namespace

void add_run(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("run", "run images through a program on a device");
  command->footer(kFooter);
  command->add_option("PROGRAM", options->run.program, "program file that `compile` wrote")
      ->check(reads())
      ->type_name("FILE")
      ->required();
  command->add_option("--images", options->run.images, "images to run; see below")
      ->check(reads())
      ->type_name("IMAGES")
      ->required();
  command
      ->add_option("--device", options->device,
                   "golden (whole layers), iss (instructions), rtl (the verilated machine, cycle "
                   "by cycle)\n"
                   "or fpga:/dev/uioN (a machine in an FPGA); without it rtl where this build has "
                   "it,\notherwise iss")
      ->type_name("DEVICE")
      ->check(refuse_device, kDeviceNames);
  command
      ->add_option(
          "--mask", options->run.masks.masks,
          "run with these channels only; all devices but golden need a program that takes\n"
          "masks (compile --maskable). Several times: all are resident, and images take\n"
          "turns, image 0 the first mask, image 1 the second")
      ->check(reads())
      ->type_name("U.mask")
      ->allow_extra_args(false);
  CLI::Option* patch =
      command
          ->add_option("--patch", options->run.masks.patches,
                       "a user's own weights for the mask of the same place, as `personalise` "
                       "writes them")
          ->check(reads())
          ->type_name("U.patch")
          ->allow_extra_args(false)
          ->needs("--mask");
  command
      ->add_option(
          "--overlay", options->run.overlay,
          "run with these weights only, the others 0; as for masks, all devices but golden\n"
          "need a program that takes masks")
      ->check(reads())
      ->type_name("U.overlay")
      ->excludes(patch);
  command
      ->add_option(
          "--environment", options->run.environment,
          "run with the masks, biases and multipliers that `espalier-automask` trained for "
          "one\nkind of pictures; devices other than golden need a program that takes them "
          "(compile\n--switchable)")
      ->check(reads())
      ->type_name("U.env")
      ->excludes(patch)
      ->excludes("--mask")
      ->excludes("--overlay");
  command
      ->add_option("--environments", options->run.environments,
                   "folder of environments; with --auto each image has the one that its pictures "
                   "are for")
      ->check(reads())
      ->type_name("DIR");
  command->add_flag("--auto", options->run.pick,
                    "pick an environment by what the first convolution makes of a picture, on the "
                    "device");
  command
      ->add_option("--buffer", options->buffer,
                   "fpga: u-dma-buf device of the memory that the machine works in "
                   "(/dev/udmabuf0)")
      ->type_name("FILE");
  command->add_option("--first", options->run.first, "first image, counted from 0")
      ->type_name("N")
      ->transform(whole(0, 1'000'000'000'000));
  command->add_option("--count", options->run.count, "how many images; without it all that follow")
      ->type_name("N")
      ->transform(whole(1, 1'000'000'000'000));
  command->add_flag(
      "--check", options->run.check,
      "compare every layer's output with golden, value by value; exit code 1 if one differs");
  command->add_flag(
      "--lockstep", options->run.lockstep,
      "rtl: run the simulator of the instructions beside, and compare what every LOAD reads and "
      "every\n"
      "STORE writes (with --check: with golden too); stop at the first difference, and leave a "
      "wave\n"
      "of the last 1000 cycles before it (--wave, --wave-cycles)");
  command->add_option("--report", options->report, "write the results as JSON")
      ->check(writes())
      ->type_name("R.json");
  command->add_flag("--layers", options->layers, "show cycles and utilisation layer by layer");
  command
      ->add_option("--output", options->run.scores,
                   "write the scores as an .npy array of float32, images x outputs")
      ->check(writes())
      ->type_name("O.npy");
  command->add_option("--top", options->run.top, "print the best K classes of every image")
      ->type_name("K")
      ->transform(whole(1, 65536));
  command
      ->add_option("--classes", options->run.classes,
                   "text file that names the classes, one a line")
      ->check(reads())
      ->type_name("FILE");
  command
      ->add_option(
          "--compare-float", options->run.float_model,
          "the float model that the program was compiled from: run it beside, and print the\n"
          "signal-to-quantisation-noise ratio of every layer")
      ->check(reads())
      ->type_name("MODEL");
  CLI::Option* wave =
      command->add_option("--wave", options->run.wave, "rtl: write a wave file (FST) for GTKWave")
          ->check(writes())
          ->type_name("F.fst");
  command
      ->add_option("--wave-cycles", options->run.wave_cycles, "end the wave after so many cycles")
      ->type_name("N")
      ->transform(whole(1, 1'000'000'000'000));
  command
      ->add_option("--mem-latency", options->latency,
                   "rtl: cycles that memory takes: R or R,W, reads and write responses (60,40)")
      ->type_name("R[,W]");
  command
      ->add_option("--mem-stall", options->stall,
                   "rtl: probability that a bus channel waits in a cycle")
      ->type_name("P")
      ->check(between(0, 0.95));
  command
      ->add_option("--seed", options->run.seed,
                   "seed of the stalls; on iss, of the order of the engines")
      ->type_name("N")
      ->transform(whole(0, 1'000'000'000'000'000'000));
  command
      ->add_option(
          "--jobs", options->run.jobs,
          "devices at work at once: golden in as many threads (every core), iss and rtl in "
          "as many\nprocesses (1)")
      ->type_name("J")
      ->transform(whole(1, 256));
  add_clock(*command, options->run.mhz);
  command->add_flag("--json", options->json, "print the report as JSON");
  command->callback([options, wave, &chosen] {
    if (options->run.lockstep && options->run.wave.empty())
      wave->add_result(flows::wave_name(options->run.program));
    chosen = [options] { return run(*options); };
  });
}

}  // namespace espalier::cli
