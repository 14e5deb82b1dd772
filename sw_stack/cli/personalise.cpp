// `espalier personalise`: serves a stream of images, learns from them what its user needs, and
// goes on with a model of the user's own.

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/file_id.hpp"
#include "base/whole_file.hpp"
#include "cli/classes_option.hpp"
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "cli/device_option.hpp"
#include "cli/file_options.hpp"
#include "cli/named.hpp"
#include "cli/scope_option.hpp"
#include "cli/terminal.hpp"
#include "report/json.hpp"
#include "report/personalise.hpp"

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

struct Options {
  flows::PersonaliseOptions flow;
  std::string classes, budget = "cycles=0.5", buffer;
  std::string correct{personal::name(flow.correct)}, by{flows::name(flow.by)};
  std::string scope{masks::name(flow.scope)}, device{runtime::name(flow.device)};
  std::string svg, answers;  ///< files to write; empty: none
  bool json = false;
};

/// `cycles=0.5`, `macs=0.5` or `loss=1.0`. Errors: kUsage.
Result<flows::Budget> read_budget(const std::string& text) {
  const std::size_t at = text.find('=');
  const std::string kind = text.substr(0, at);
  const auto value = parse_list("--budget", at == std::string::npos ? "" : text.substr(at + 1));
  const bool share = kind == "cycles" || kind == "macs";
  if ((!share && kind != "loss") || !value || value->size() != 1) {
    return fail(ErrorCode::kUsage,
                fmt::format("`{}` is not cycles=SHARE, macs=SHARE or loss=POINTS", text),
                "--budget");
  }
  const double limit = value->front();
  if (limit < 0 || (share && (limit > 1 || limit == 0)) || limit > 100) {
    return fail(
        ErrorCode::kUsage,
        fmt::format("`{}` is out of range; shares are above 0, up to 1, losses 0 to 100", text),
        "--budget");
  }
  return flows::Budget{kind == "cycles" ? flows::Budget::Kind::kCycles
                       : kind == "macs" ? flows::Budget::Kind::kMacs
                                        : flows::Budget::Kind::kLoss,
                       limit};
}

/// The options that are written otherwise than the flow has them. Errors: kUsage.
Status read(Options& options) {
  flows::PersonaliseOptions& flow = options.flow;
  using flows::RankBy;
  using personal::Correction;
  flow.correct = named(options.correct, {Correction::kNone, Correction::kFold, Correction::kAll});
  flow.by = named(options.by,
                  {RankBy::kTaylor, RankBy::kMagnitude, RankBy::kActivation, RankBy::kRandom});
  flow.scope = scope_of(options.scope);
  flow.keep_answers = !options.answers.empty();
  auto classes = parse_classes(options.classes);
  if (!classes) return classes.error();
  flow.classes = std::move(*classes);
  const auto budget = read_budget(options.budget);
  if (!budget) return budget.error();
  flow.budget = *budget;
  auto board = board_of(options.device, options.buffer);
  if (!board) return board.error();
  flow.fpga = std::move(*board);
  flow.device = device_kind(options.device);
  return {};
}

Status deliver(const Options& options, const flows::Personalised& made) {
  if (!options.svg.empty()) {
    if (Status s = write_file(options.svg, report::to_svg(made)); !s) return s;
  }
  if (options.answers.empty()) return {};
  return write_file(options.answers, report::answers_csv(made));
}

int personalise(Options& options) {
  if (const Status s = read(options); !s) return complain(s.error());
  const auto result = watched(options.json, [&](const flows::Listener& listener) {
    return flows::personalise(options.flow, listener, [&](const flows::Personalised& made) {
      return deliver(options, made);
    });
  });
  if (!result) return complain(result.error());
  print(options.json ? report::json_text(report::to_json(*result, options.flow))
                     : report::text(*result, options.flow));
  return kOk;
}

}  // namespace

void add_personalise(CLI::App& app, Action& chosen) {
  auto o = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("personalise", "a user's own mask and program, from their images");
  command->footer(kFooter);
  command->add_option("PROGRAM", o->flow.program, "program file that `compile` wrote")
      ->check(reads())
      ->type_name("P.espl")
      ->required();
  command->add_option("--images", o->flow.images, "the user's images, as `run` takes them")
      ->check(reads())
      ->type_name("IMAGES")
      ->required();
  command->add_option("--classes", o->classes, "outputs that the user needs, from 0")
      ->type_name("A,B,...")
      ->required();
  command->add_option("-o,--output", o->flow.mask, "mask file to write")
      ->check(writes())
      ->type_name("U.mask")
      ->required();
  CLI::Option* program =
      command->add_option("--program", o->flow.personal, "program to write; without it U.espl")
          ->check(writes())
          ->type_name("U.espl");
  command
      ->add_option(
          "--patch", o->flow.patch,
          "file to write the corrections to as well: `run --mask U.mask --patch U.patch` of "
          "the\nprogram that takes masks then is the user's model")
      ->check(writes())
      ->type_name("U.patch");
  CLI::Option* labels =
      command
          ->add_option(
              "--labels", o->flow.labels,
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
  add_scope(*command, o->scope);
  command->add_option("--align", o->flow.align, "live channels come in blocks of so many (lanes)")
      ->type_name("L")
      ->transform(whole(1, 65536));
  command
      ->add_option("--least", o->flow.least,
                   "share of a tensor's channels that always stays (a block does)")
      ->type_name("F")
      ->check(between(0, 1));
  command->add_option("--count", o->flow.count, "images to score")
      ->type_name("N")
      ->transform(whole(16, 1'000'000))
      ->capture_default_str();
  command->add_option("--held", o->flow.held, "images held back to measure accuracy on")
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
  command->add_option("--every", o->flow.every, "score every N-th of the user's images")
      ->type_name("N")
      ->transform(whole(1, 1'000'000));
  command
      ->add_option("--serve", o->flow.serve,
                   "images to answer with the new model (all that follow)")
      ->type_name("N")
      ->transform(whole(0, 1'000'000'000'000'000'000));
  command->add_flag("--watch", o->flow.watch,
                    "return to the generic model where unsure answers become many");
  CLI::Option* scores =
      command
          ->add_option("--scores", o->flow.scores,
                       "file that keeps the scores, and is gone on from; without it U.scores")
          ->check(writes())
          ->type_name("U.scores");
  command->add_option("--svg", o->svg, "picture of the live channels to write")
      ->check(writes())
      ->type_name("F.svg");
  command->add_option("--answers", o->answers, "table of all answers to write")
      ->check(writes())
      ->type_name("F.csv");
  command->add_option("--seed", o->flow.seed, "of --by random")
      ->type_name("N")
      ->transform(whole(0, 1'000'000'000'000'000'000));
  command->add_option("--jobs", o->flow.jobs, "threads (every core)")
      ->type_name("J")
      ->transform(whole(1, 256));
  command->add_flag("--json", o->json, "print the report as JSON");
  command->callback([o, program, scores, labels, &chosen] {
    const auto derive = [&](CLI::Option* option, std::string& name, const char* extension) {
      if (!name.empty()) return;
      if (!file_id(o->flow.mask)) {
        throw CLI::ValidationError(option->get_name(),
                                   "is missing: " + o->flow.mask + " is no file to name it after");
      }
      name = std::filesystem::path(o->flow.mask).replace_extension(extension).string();
      option->add_result(name);
    };
    derive(program, o->flow.personal, ".espl");
    derive(scores, o->flow.scores, ".scores");
    if (o->flow.labels != "given" && o->flow.labels != "predicted") labels->check(reads());
    chosen = [o] { return personalise(*o); };
  });
}

}  // namespace espalier::cli
