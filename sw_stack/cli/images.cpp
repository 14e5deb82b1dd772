// `espalier images`: sets of images out of others.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>

#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "cli/file_options.hpp"
#include "cli/terminal.hpp"
#include "report/degrade.hpp"
#include "report/json.hpp"

namespace espalier::cli {
namespace {

struct Options {
  flows::DegradeOptions degrade;
  std::map<std::string, std::string> kinds;  ///< text of each option that was given
  std::string corruption;
  int severity = 0;
  bool json = false;
};

constexpr const char* kFooter =
    "Pictures as an edge makes them, to measure what a network loses by them. Kinds are done in "
    "the\n"
    "order of their options. IMAGES is a CIFAR-10 .bin file, an .npy file of uint8, or a folder "
    "of\n"
    "pictures; the output becomes the same, pictures as PNG. docs/degraded-images.md has the "
    "definitions.\n"
    "\n"
    "examples:\n"
    "  espalier images degrade test_batch.bin -o jpeg10.bin --jpeg 10\n"
    "  espalier images degrade photos/ -o dusk/ --dark 0.3 --noise 0.05 --seed 7\n"
    "  espalier images degrade test_batch.bin -o fog3.bin --corruption fog --severity 3";

/// The kinds as the command line has them, one after the other. Errors: kUsage.
Result<std::vector<images::Degradation>> kinds_of(const CLI::App& command, const Options& options) {
  std::vector<images::Degradation> list;
  for (const CLI::Option* option : command.parse_order()) {
    const std::string name = option->get_lnames().empty() ? "" : option->get_lnames()[0];
    if (name == "corruption") {
      if (options.severity == 0)
        return fail(ErrorCode::kUsage, "needs --severity 1 to 5", "--corruption");
      const auto made = images::corruption(options.corruption, options.severity);
      if (!made) return made.error();
      list.push_back(*made);
    } else if (const auto text = options.kinds.find(name);
               text != options.kinds.end() && !text->second.empty()) {
      const auto made = images::parse_degradation(name, text->second);
      if (!made) return made.error();
      list.push_back(*made);
    }
  }
  if (options.severity != 0 && options.corruption.empty())
    return fail(ErrorCode::kUsage, "is of a --corruption, and none is named", "--severity");
  if (list.empty()) {
    std::string known;
    for (const images::DegradeKind& kind : images::degrade_kinds())
      known += std::string(known.empty() ? "--" : ", --") + kind.name;
    return fail(ErrorCode::kUsage, "name a kind of degradation: " + known + " or --corruption");
  }
  return list;
}

/// `dusk/` names the folder `dusk`.
std::string without_slash(std::string& path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return {};
}

int degrade(const CLI::App& command, Options& options) {
  auto kinds = kinds_of(command, options);
  if (!kinds) return complain(kinds.error());
  options.degrade.kinds = std::move(*kinds);
  const auto made = watched(options.json, [&](const flows::Listener& listener) {
    return flows::degrade(options.degrade, listener);
  });
  if (!made) return complain(made.error());
  print(options.json ? report::json_text(report::to_json(*made, options.degrade))
                     : report::text(*made, options.degrade));
  return kOk;
}

void add_degrade(CLI::App& images, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = images.add_subcommand("degrade", "make pictures worse, as an edge does");
  command->footer(kFooter);
  command
      ->add_option("IMAGES", options->degrade.images, "CIFAR-10 .bin, .npy of uint8, or a folder")
      ->check(reads())
      ->type_name("FILE")
      ->required();
  command->add_option("-o,--output", options->degrade.output, "a file or folder like it, to write")
      ->transform(CLI::Validator(without_slash, "", "folder"))
      ->check(writes())
      ->type_name("IMAGES")
      ->required();
  for (const images::DegradeKind& kind : images::degrade_kinds()) {
    command->add_option(std::string("--") + kind.name, options->kinds[kind.name], kind.does)
        ->type_name(kind.takes);
  }
  command->add_option("--corruption", options->corruption, "one of CIFAR-10-C, by its name there")
      ->type_name("NAME");
  command->add_option("--severity", options->severity, "how bad it is, 1 to 5")
      ->type_name("N")
      ->transform(whole(1, 5));
  command->add_option("--seed", options->degrade.seed, "the same seed gives the same pictures")
      ->type_name("N")
      ->transform(whole(0, 1'000'000'000'000'000'000))
      ->capture_default_str();
  command->add_option("--jobs", options->degrade.jobs, "threads; 0: every core")
      ->type_name("N")
      ->transform(whole(0, 1024))
      ->capture_default_str();
  command->add_flag("--json", options->json, "print what was made as JSON");
  command->callback([command, options, &chosen] {
    chosen = [command, options] { return degrade(*command, *options); };
  });
}

}  // namespace

void add_images(CLI::App& app, Action& chosen) {
  CLI::App* images = app.add_subcommand("images", "make sets of images out of others");
  images->require_subcommand(1);
  add_degrade(*images, chosen);
}

}  // namespace espalier::cli
