// `espalier mask`: makes masks and shows them.

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/commands.hpp"
#include "cli/file_options.hpp"
#include "cli/mask_overlay.hpp"
#include "cli/mask_show.hpp"
#include "program/program.hpp"
#include "prune/choose.hpp"

namespace espalier::cli {
namespace {

struct MaskOptions {
  std::string program, output, scope = "internal";
  double keep = 0.5;
  int align = 0;  ///< 0: the machine's lanes
  bool no_align = false;
  std::uint64_t seed = 1;
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

/// Makes a mask of the kind that `choose` is.
template <typename Choose>
Result<int> make(const MaskOptions& options, Choose choose) {
  const auto program = program::load(options.program);
  if (!program) return program.error();
  const prune::Channels channels = prune::find_channels(program->graph);
  if (channels.groups.empty()) {
    return fail(ErrorCode::kUnsupported, "has no channels that could go", options.program);
  }
  prune::Choice choice;
  choice.keep = options.keep;
  choice.scope = options.scope == "all" ? prune::Scope::kAll : prune::Scope::kInternal;
  choice.align = options.align > 0 ? options.align : program->machine().lanes;
  if (options.no_align) choice.align = 1;
  const prune::Mask mask = choose(program->graph, channels, choice);
  const prune::MaskFile file = prune::to_file(program->graph, channels, mask);
  if (const Status status = prune::save_mask(file, options.output); !status) return status.error();
  std::size_t all = 0, live = 0;
  for (std::size_t c = 0; c < channels.classes(); ++c) {
    if (!channels.prunable[c]) continue;
    ++all;
    live += mask.live[c] ? 1 : 0;
  }
  fmt::print("{}: {} of {} channels stay, in {} groups\n  written to {}\n",
             printable(program->graph.name), live, all, channels.groups.size(), options.output);
  return kOk;
}

void add_program(CLI::App& command, MaskOptions& options) {
  command.add_option("PROGRAM", options.program, "program file that `compile` wrote")
      ->check(reads())
      ->type_name("P.espl")
      ->required();
  command.add_option("-o,--output", options.output, "mask file to write")
      ->check(writes())
      ->type_name("U.mask")
      ->required();
}

void add_choice(CLI::App& command, MaskOptions& options) {
  command.add_option("--keep", options.keep, "share of the channels that stays")
      ->type_name("F")
      ->check(between(0.001, 1))
      ->capture_default_str();
  command
      .add_option("--scope", options.scope,
                  "internal: tensors inside a block, in no residual add and no concatenation; all: "
                  "every one")
      ->type_name("SCOPE")
      ->check(CLI::IsMember({"internal", "all"}))
      ->capture_default_str();
  CLI::Option* align =
      command
          .add_option("--align", options.align,
                      "live channels come in blocks of so many (the machine's lanes)")
          ->type_name("L")
          ->transform(whole(1, 65536));
  command.add_flag("--no-align", options.no_align, "count single channels")->excludes(align);
}

template <typename Choose>
CLI::App* add_maker(CLI::App& mask, const char* name, const char* what, bool choice,
                    const std::shared_ptr<MaskOptions>& options, Action& chosen, Choose choose) {
  CLI::App* command = mask.add_subcommand(name, what);
  add_program(*command, *options);
  if (choice) add_choice(*command, *options);
  command->callback([options, choose, &chosen] {
    chosen = [options, choose] {
      const auto code = make(*options, choose);
      return code ? *code : complain(code.error());
    };
  });
  return command;
}

}  // namespace

void add_mask(CLI::App& app, Action& chosen) {
  CLI::App* mask = app.add_subcommand("mask", "make masks of channels or weights, and show them");
  mask->footer(kFooter);
  mask->require_subcommand(1);
  auto random = std::make_shared<MaskOptions>();
  CLI::App* command = add_maker(
      *mask, "random", "keep channels by chance, the same share of every tensor", true, random,
      chosen, [random](const auto&, const auto& channels, const prune::Choice& choice) {
        return prune::random_mask(channels, choice, random->seed);
      });
  command->add_option("--seed", random->seed, "the same seed gives the same mask")
      ->type_name("N")
      ->transform(whole(0, 1'000'000'000'000'000'000))
      ->capture_default_str();
  add_maker(*mask, "magnitude",
            "keep the channels of most weight, each relative to its layer, over all tensors", true,
            std::make_shared<MaskOptions>(), chosen,
            [](const auto& graph, const auto& channels, const prune::Choice& choice) {
              return prune::magnitude_mask(graph, channels, choice);
            });
  add_maker(*mask, "zeroed", "leave out the channels that the model itself has zeroed", false,
            std::make_shared<MaskOptions>(), chosen,
            [](const auto& graph, const auto& channels, const prune::Choice&) {
              return prune::zeroed_mask(graph, channels);
            });
  add_mask_overlay(*mask, chosen);
  add_mask_show(*mask, chosen);
}

}  // namespace espalier::cli
