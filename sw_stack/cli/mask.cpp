// `espalier mask`: makes masks and overlays, and shows them.

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "cli/file_options.hpp"
#include "cli/scope_option.hpp"
#include "report/json.hpp"
#include "report/mask.hpp"

namespace espalier::cli {
namespace {

struct Options {
  flows::MaskOptions mask;
  std::string scope{masks::name(mask.scope)};
  bool no_align = false;
};
struct OverlayOptions {
  flows::OverlayOptions overlay;
  std::string rank = "magnitude";
};
struct ShowOptions {
  std::string mask, program;
  bool json = false;
};

constexpr const char* kFooter =
    "A mask says which channels of a network stay; docs/masks.md has its file format. Tensors "
    "that\n"
    "meet in a residual add share one. --scope internal leaves those alone, and concatenations.\n"
    "Live channels come in whole blocks of the machine's lanes, as its cycles do; --no-align "
    "counts\n"
    "single channels.\n"
    "\n"
    "examples:\n"
    "  espalier mask random net.espl --keep 0.5 --seed 7 -o random.mask\n"
    "  espalier mask magnitude net.espl --keep 0.7 --scope all -o light.mask\n"
    "  espalier mask overlay net.espl --keep 0.5 --by magnitude -o half.overlay\n"
    "  espalier mask show light.mask net.espl\n"
    "  espalier run net.espl --device golden --mask light.mask --images test_batch.bin\n"
    "  espalier compile net.espl --prune light.mask -o light.espl";

int make(Options& options) {
  options.mask.scope = scope_of(options.scope);
  if (options.no_align) options.mask.align = 1;
  const auto made = flows::make_mask(options.mask);
  if (!made) return complain(made.error());
  print(report::text(*made, options.mask));
  return kOk;
}

int make_overlay(OverlayOptions& options) {
  options.overlay.choice.rank =
      options.rank == "random" ? masks::WeightRank::kRandom : masks::WeightRank::kMagnitude;
  const auto made = flows::make_overlay(options.overlay);
  if (!made) return complain(made.error());
  print(report::text(*made, options.overlay));
  return kOk;
}

int show(const ShowOptions& options) {
  const auto shown = flows::show_mask(options.mask, options.program);
  if (!shown) return complain(shown.error());
  print(options.json ? report::json_text(report::to_json(*shown))
                     : report::text(*shown, options.mask));
  return kOk;
}

void add_program(CLI::App& command, Options& options) {
  command.add_option("PROGRAM", options.mask.program, "program file that `compile` wrote")
      ->check(reads())
      ->type_name("P.espl")
      ->required();
  command.add_option("-o,--output", options.mask.output, "mask file to write")
      ->check(writes())
      ->type_name("U.mask")
      ->required();
}

void add_choice(CLI::App& command, Options& options) {
  command.add_option("--keep", options.mask.keep, "share of the channels that stays")
      ->type_name("F")
      ->check(between(0.001, 1))
      ->capture_default_str();
  add_scope(command, options.scope,
            "internal: tensors inside a block, in no residual add and no concatenation; all: every "
            "one");
  CLI::Option* align =
      command
          .add_option("--align", options.mask.align,
                      "live channels come in blocks of so many (the machine's lanes)")
          ->type_name("L")
          ->transform(whole(1, 65536));
  command.add_flag("--no-align", options.no_align, "count single channels")->excludes(align);
}

/// A command that makes a mask in one way, with options of its own.
CLI::App* add_maker(CLI::App& mask, flows::MaskBy by, const char* name, const char* what,
                    const std::shared_ptr<Options>& options, Action& chosen) {
  options->mask.by = by;
  CLI::App* command = mask.add_subcommand(name, what);
  add_program(*command, *options);
  if (by != flows::MaskBy::kZeroed) add_choice(*command, *options);
  command->callback([options, &chosen] { chosen = [options] { return make(*options); }; });
  return command;
}

void add_overlay(CLI::App& mask, Action& chosen) {
  auto options = std::make_shared<OverlayOptions>();
  CLI::App* command =
      mask.add_subcommand("overlay", "keep single weights: an overlay, one bit a weight");
  command->add_option("PROGRAM", options->overlay.program, "program file that `compile` wrote")
      ->check(reads())
      ->type_name("P.espl")
      ->required();
  command->add_option("-o,--output", options->overlay.output, "overlay file to write")
      ->check(writes())
      ->type_name("U.overlay")
      ->required();
  command
      ->add_option("--keep", options->overlay.choice.keep,
                   "share of each layer's weights that stays")
      ->type_name("F")
      ->check(between(0, 1))
      ->capture_default_str();
  command
      ->add_option("--by", options->rank,
                   "magnitude: the largest of each layer stay; random: some by chance")
      ->type_name("HOW")
      ->check(CLI::IsMember({"magnitude", "random"}))
      ->capture_default_str();
  command
      ->add_option("--layers", options->overlay.choice.layers,
                   "shell pattern of the layers that lose weights; the others keep all")
      ->type_name("GLOB")
      ->capture_default_str();
  command
      ->add_option("--seed", options->overlay.choice.seed,
                   "random: the same seed gives the same file")
      ->type_name("N")
      ->transform(whole(0, 1'000'000'000'000'000'000))
      ->capture_default_str();
  command->callback([options, &chosen] { chosen = [options] { return make_overlay(*options); }; });
}

void add_show(CLI::App& mask, Action& chosen) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* command = mask.add_subcommand(
      "show", "what a mask leaves; with PROGRAM its MACs, expected cycles and storage too");
  command->add_option("MASK", options->mask, "mask or overlay file")
      ->type_name("U.mask")
      ->required();
  command->add_option("PROGRAM", options->program, "program that it is for")->type_name("P.espl");
  command->add_flag("--json", options->json, "print it as JSON");
  command->callback([options, &chosen] { chosen = [options] { return show(*options); }; });
}

}  // namespace

void add_mask(CLI::App& app, Action& chosen) {
  CLI::App* mask = app.add_subcommand("mask", "make masks of channels or weights, and show them");
  mask->footer(kFooter);
  mask->require_subcommand(1);
  const auto random = std::make_shared<Options>();
  add_maker(*mask, flows::MaskBy::kRandom, "random",
            "keep channels by chance, the same share of every tensor", random, chosen)
      ->add_option("--seed", random->mask.seed, "the same seed gives the same mask")
      ->type_name("N")
      ->transform(whole(0, 1'000'000'000'000'000'000))
      ->capture_default_str();
  add_maker(*mask, flows::MaskBy::kMagnitude, "magnitude",
            "keep the channels of most weight, each relative to its layer, over all tensors",
            std::make_shared<Options>(), chosen);
  add_maker(*mask, flows::MaskBy::kZeroed, "zeroed",
            "leave out the channels that the model itself has zeroed", std::make_shared<Options>(),
            chosen);
  add_overlay(*mask, chosen);
  add_show(*mask, chosen);
}

}  // namespace espalier::cli
