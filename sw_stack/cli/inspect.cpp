// `espalier inspect`: what a program file holds.

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "report/json.hpp"
#include "report/inspect.hpp"

namespace espalier::cli {
namespace {

struct InspectOptions {
  std::string program;
  bool disassemble = false, json = false;
};

constexpr const char* kFooter =
    "Shows the layers with their tiles and transfers, the memory map, and which tensors are "
    "stored\n"
    "where: memory is used again, so a tensor is whole once so many STOREs have retired.\n"
    "\n"
    "examples:\n"
    "  espalier inspect net.espl\n"
    "  espalier inspect net.espl --disassemble | less";

int inspect(const InspectOptions& options) {
  const auto inspection = flows::inspect(options.program);
  if (!inspection) return complain(inspection.error());
  print(options.json ? report::json_text(report::to_json(*inspection, options.disassemble))
                     : report::text(*inspection, options.disassemble));
  return kOk;
}

}  // namespace

void add_inspect(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command =
      app.add_subcommand("inspect", "show a program's layers, tiles, instructions and memory map");
  command->footer(kFooter);
  command->add_option("PROGRAM", options->program, "program file that `compile` wrote")
      ->type_name("FILE")
      ->required();
  command->add_flag("--disassemble", options->disassemble, "list every instruction");
  command->add_flag("--json", options->json, "print as JSON");
  command->callback([options, &chosen] { chosen = [options] { return inspect(*options); }; });
}

}  // namespace espalier::cli
