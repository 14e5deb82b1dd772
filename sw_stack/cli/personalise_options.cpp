// Options of `espalier personalise`.

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "cli/commands.hpp"
#include "cli/device_option.hpp"
#include "cli/file_options.hpp"
#include "cli/personalise.hpp"
#include "base/file_id.hpp"

namespace espalier::cli {
namespace {

constexpr const char* kFooter =
    "Answers the images one after the other, first with the generic model, and scores every\n"
    "channel by what the loss over the user's classes would change without it. Once enough images\n"
    "are scored, keeps the best channels within the budget, corrects what remains, without labels\n"
    "or training, and answers with this model from then on. Writes the mask, and a program of its\n"
    "own with the corrections, whose outputs are the user's classes in ascending order.\n"
    "docs/personalise.md tells how. Stopped at any moment, it goes on from its scores.\n"
    "\n"
    "--budget cycles=0.5: half the cycles by the timing model; macs=0.5: half the\n"
    "multiplications; loss=1.0: as little as loses at most a point of accuracy.\n"
    "\n"
    "examples:\n"
    "  espalier personalise net.espl --images photos/ --classes 3,5,8 -o user.mask\n"
    "  espalier personalise net.espl --images test_batch.bin --labels given --classes 3,5 \\\n"
    "                       --budget loss=1.0 --align 1 --watch --svg user.svg -o user.mask";

}  // namespace

void add_personalise(CLI::App& app, Action& chosen) {
  auto o = std::make_shared<PersonaliseOptions>();
  CLI::App* command =
      app.add_subcommand("personalise", "a user's own mask and program, from their images");
  command->footer(kFooter);
  command->add_option("PROGRAM", o->program, "program file that `compile` wrote")
      ->check(reads())
      ->type_name("P.espl")
      ->required();
  command->add_option("--images", o->images, "the user's images, as `run` takes them")
      ->check(reads())
      ->type_name("IMAGES")
      ->required();
  command->add_option("--classes", o->classes, "outputs that the user needs, from 0")
      ->type_name("A,B,...")
      ->required();
  command->add_option("-o,--output", o->output, "mask file to write")
      ->check(writes())
      ->type_name("U.mask")
      ->required();
  CLI::Option* program =
      command->add_option("--program", o->personal, "program to write; without it U.espl")
          ->check(writes())
          ->type_name("U.espl");
  command
      ->add_option(
          "--patch", o->patch,
          "file to write the corrections to as well: `run --mask U.mask --patch U.patch` of "
          "the\nprogram that takes masks then is the user's model")
      ->check(writes())
      ->type_name("U.patch");
  CLI::Option* labels =
      command
          ->add_option(
              "--labels", o->labels,
              "given (those of the images), predicted (the network's own), or a file with a "
              "label a line")
          ->type_name("LABELS")
          ->capture_default_str();
  command->add_option("--budget", o->budget, "cycles=SHARE, macs=SHARE or loss=POINTS")
      ->type_name("BUDGET")
      ->capture_default_str();
  command->add_option("--correct", o->correct, "corrections after pruning")
      ->type_name("LEVEL")
      ->check(CLI::IsMember({"none", "fold", "all"}))
      ->capture_default_str();
  command->add_option("--by", o->by, "what ranks the channels")
      ->type_name("SCORE")
      ->check(CLI::IsMember({"taylor", "magnitude", "activation", "random"}))
      ->capture_default_str();
  command->add_option("--scope", o->scope, "as `mask random` has it")
      ->type_name("SCOPE")
      ->check(CLI::IsMember({"internal", "all"}))
      ->capture_default_str();
  command->add_option("--align", o->align, "live channels come in blocks of so many (lanes)")
      ->type_name("L")
      ->transform(whole(1, 65536));
  command
      ->add_option("--least", o->least,
                   "share of a tensor's channels that always stays (a block does)")
      ->type_name("F")
      ->check(between(0, 1));
  command->add_option("--count", o->count, "images to score")
      ->type_name("N")
      ->transform(whole(16, 1'000'000))
      ->capture_default_str();
  command->add_option("--held", o->held, "images held back to measure accuracy on")
      ->type_name("N")
      ->transform(whole(16, 1'000'000))
      ->capture_default_str();
  command
      ->add_option("--device", o->device,
                   "what answers and runs the passes of images that are scored: golden, iss, rtl\n"
                   "or fpga:/dev/uioN")
      ->type_name("DEVICE")
      ->check(refuse_device, kDeviceNames)
      ->capture_default_str();
  command
      ->add_option("--buffer", o->buffer,
                   "fpga: u-dma-buf device of the memory that the machine works in "
                   "(/dev/udmabuf0)")
      ->type_name("FILE");
  command->add_option("--every", o->every, "score every N-th of the user's images")
      ->type_name("N")
      ->transform(whole(1, 1'000'000));
  command->add_option("--serve", o->serve, "images to answer with the new model (all that follow)")
      ->type_name("N")
      ->transform(whole(0, 1'000'000'000'000'000'000));
  command->add_flag("--watch", o->watch,
                    "return to the generic model where unsure answers become many");
  CLI::Option* scores =
      command
          ->add_option("--scores", o->scores,
                       "file that keeps the scores, and is gone on from; without it U.scores")
          ->check(writes())
          ->type_name("U.scores");
  command->add_option("--svg", o->svg, "picture of the live channels to write")
      ->check(writes())
      ->type_name("F.svg");
  command->add_option("--answers", o->answers, "table of all answers to write")
      ->check(writes())
      ->type_name("F.csv");
  command->add_option("--seed", o->seed, "of --by random")
      ->type_name("N")
      ->transform(whole(0, 1'000'000'000'000'000'000));
  command->add_option("--jobs", o->jobs, "threads (every core)")
      ->type_name("J")
      ->transform(whole(1, 256));
  command->add_flag("--json", o->json, "print the report as JSON");
  command->callback([o, program, scores, labels, &chosen] {
    const auto derive = [&](CLI::Option* option, std::string& name, const char* extension) {
      if (!name.empty()) return;
      if (!file_id(o->output)) {
        throw CLI::ValidationError(option->get_name(),
                                   "is missing: " + o->output + " is no file to name it after");
      }
      name = std::filesystem::path(o->output).replace_extension(extension).string();
      option->add_result(name);
    };
    derive(program, o->personal, ".espl");
    derive(scores, o->scores, ".scores");
    if (o->labels != "given" && o->labels != "predicted") labels->check(reads());
    chosen = [o] {
      const auto code = personalise_job(*o);
      return code ? *code : complain(code.error());
    };
  });
}

}  // namespace espalier::cli
