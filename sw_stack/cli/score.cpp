// `espalier score`: how much each channel matters for images of some classes, measured on a device.

#include <CLI/CLI.hpp>
#include <memory>

#include "base/whole_file.hpp"
#include "cli/classes_option.hpp"
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "cli/device_option.hpp"
#include "cli/file_options.hpp"
#include "cli/scope_option.hpp"
#include "cli/terminal.hpp"
#include "report/json.hpp"
#include "report/score.hpp"

namespace espalier::cli {
namespace {

constexpr const char* kFooter =
    "Runs each image forward, takes the gradient of the cross-entropy over the classes at the\n"
    "network's output, and runs a backward pass of int8 gradients down to the lowest tensor that\n"
    "is scored: how much the loss would change without each channel (docs/backward.md). Prints\n"
    "what that takes in cycles: measured on rtl, by the timing model elsewhere.\n"
    "\n"
    "examples:\n"
    "  espalier score net.espl --images photos/ --classes 3,5,8 -o scores.csv\n"
    "  espalier score net.espl --images test_batch.bin --labels given --count 2 --device rtl "
    "--check\n"
    "  espalier score resnet50.espl --images x.npy --count 1 --from layer4";

struct Options {
  flows::ScoreOptions score;
  std::string classes, output, device{runtime::name(score.device)}, scope{masks::name(score.scope)};
  bool json = false;
};

int score(Options& options) {
  auto classes = parse_classes(options.classes);
  if (!classes) return complain(classes.error());
  options.score.classes = std::move(*classes);
  options.score.device = device_kind(options.device);
  options.score.scope = scope_of(options.scope);
  const auto scored = watched(options.json, [&](const flows::Listener& listener) {
    return flows::score(options.score, listener);
  });
  if (!scored) return complain(scored.error());
  if (!options.output.empty()) {
    if (const Status s = write_file(options.output, report::to_csv(*scored)); !s)
      return complain(s.error());
  }
  const bool check = options.score.check;
  print(options.json ? report::json_text(report::to_json(*scored, check))
                     : report::text(*scored, check, options.device));
  const auto differ = scored->forward_check.mismatches + scored->backward_check.mismatches;
  return differ > 0 ? kDiffers : kOk;
}

}  // namespace

void add_score(CLI::App& app, Action& chosen) {
  auto o = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("score", "how much each channel matters for some images, on a device");
  command->footer(kFooter);
  command->add_option("PROGRAM", o->score.program, "program file that `compile` wrote")
      ->check(reads())
      ->type_name("P.espl")
      ->required();
  command->add_option("--images", o->score.images, "images, as `run` takes them")
      ->check(reads())
      ->type_name("IMAGES")
      ->required();
  command->add_option("--classes", o->classes, "outputs that compete, from 0 (all)")
      ->type_name("A,B,...");
  CLI::Option* labels =
      command
          ->add_option(
              "--labels", o->score.labels,
              "given (those of the images), predicted (the network's best of the classes), or "
              "a file with a\nlabel a line")
          ->type_name("LABELS")
          ->capture_default_str();
  add_scope(*command, o->scope);
  command
      ->add_option("--from", o->score.from,
                   "score only what the first node with this in its name makes, and those after")
      ->type_name("NAME");
  command->add_option("--first", o->score.first, "first image, counted from 0")
      ->type_name("N")
      ->transform(whole(0, 1'000'000'000'000));
  command->add_option("--count", o->score.count, "images to score")
      ->type_name("N")
      ->transform(whole(1, 1'000'000))
      ->capture_default_str();
  command->add_option("--device", o->device, "what runs the passes: golden, iss or rtl")
      ->type_name("DEVICE")
      ->check(CLI::IsMember({"golden", "iss", "rtl"}))
      ->capture_default_str();
  command->add_flag("--check", o->score.check,
                    "compare every activation, gradient and sum that the device stores with "
                    "golden;\nexit code 1 if one differs");
  command->add_option("-o,--output", o->output, "table of scores to write")
      ->check(writes())
      ->type_name("F.csv");
  command
      ->add_option("--backward", o->score.backward,
                   "program of the backward pass to write, for `inspect` and `profile`")
      ->check(writes())
      ->type_name("B.espl");
  command->add_option("--jobs", o->score.jobs, "golden: threads (every core)")
      ->type_name("J")
      ->transform(whole(1, 256));
  command->add_flag("--json", o->json, "print the report as JSON");
  command->callback([o, labels, &chosen] {
    if (o->score.labels != "given" && o->score.labels != "predicted") labels->check(reads());
    chosen = [o] { return score(*o); };
  });
}

}  // namespace espalier::cli
