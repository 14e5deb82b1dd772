// The command `espalier`.

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <csignal>
#include <exception>
#include <new>

#include "base/processor.hpp"
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "cli/file_options.hpp"

namespace {

using namespace espalier;

constexpr const char* kFooter =
    "examples:\n"
    "  espalier compile resnet8_int8.tflite -o resnet8.espl\n"
    "  espalier compile resnet20.onnx -o resnet20.espl --calibrate data_batch_1.bin --count 500 "
    "\\\n"
    "                   --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225\n"
    "  espalier inspect resnet20.espl\n"
    "  espalier profile resnet20.espl\n"
    "  espalier run resnet20.espl --device golden --images test_batch.bin\n"
    "  espalier run resnet20.espl --device rtl --images test_batch.bin --count 10 --check "
    "--layers\n"
    "\n"
    "`espalier SUBCOMMAND --help` tells more of each.\n"
    "exit codes: 0 done; 1 a comparison failed; 2 a file, a model or an option is at fault";

int start(int argc, char** argv) {
  CLI::App app(
      "Espalier compiles int8 and float networks for its systolic array, and runs them on the\n"
      "golden model, the simulator of its instructions, or the verilated machine, bit for bit "
      "alike.",
      "espalier");
  app.set_version_flag("--version", "espalier " ESPALIER_VERSION);
  app.require_subcommand(1);
  app.footer(kFooter);
  cli::Action chosen;
  cli::add_compile(app, chosen);
  cli::add_quantise(app, chosen);
  cli::add_prune(app, chosen);
  cli::add_mask(app, chosen);
  cli::add_score(app, chosen);
  cli::add_personalise(app, chosen);
  cli::add_run(app, chosen);
  cli::add_profile(app, chosen);
  cli::add_inspect(app, chosen);
  cli::add_images(app, chosen);
  cli::add_ops(app, chosen);
  cli::add_configs(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    const std::vector<std::string> unknown = app.remaining();
    if (app.get_subcommands().empty() && !unknown.empty()) {
      return cli::complain(
          fail(ErrorCode::kUsage, "`" + unknown[0] + "` is no subcommand; see espalier --help"));
    }
    return cli::complain(
        fail(ErrorCode::kUsage, std::string(error.what()) + "; see espalier --help"));
  }
  if (const Status status = check_processor(); !status) return cli::complain(status.error());
  if (const Status status = cli::check_files(app); !status) return cli::complain(status.error());
  return chosen();
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of writing like others
  try {
    return start(argc, argv);
  } catch (const std::bad_alloc&) {
    return cli::complain(fail(ErrorCode::kCapacity, "out of memory"));
  } catch (const std::exception& error) {
    return cli::complain(fail(ErrorCode::kIo, error.what()));
  }
}
