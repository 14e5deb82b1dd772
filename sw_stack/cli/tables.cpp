// `espalier ops` and `espalier configs`.

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "cli/operators.hpp"
#include "isa/generated/clocks.hpp"
#include "isa/generated/configs.hpp"
#include "report/json.hpp"
#include "report/text.hpp"
#include "runtime/device.hpp"

namespace espalier::cli {
namespace {

using report::bytes_text;
using report::Json;
using report::Table;

struct OpsOptions {
  bool json = false, markdown = false;
};

int show_operators(const OpsOptions& options) {
  if (options.markdown) {
    print(operators_page());
    return kOk;
  }
  if (options.json) {
    Json list = Json::array();
    for (const Operator& op : operators()) {
      list.push_back({{"format", op.format},
                      {"name", op.name},
                      {"becomes", op.becomes},
                      {"conditions", op.conditions}});
    }
    print(report::json_text(list));
    return kOk;
  }
  Table table({"format", "operator", "becomes", "conditions"});
  for (const Operator& op : operators()) {
    table.add({std::string(op.format), std::string(op.name), std::string(op.becomes),
               std::string(op.conditions)});
  }
  print(table.text());
  return kOk;
}

int show_configs(bool as_json) {
  Json list = Json::array();
  Table table({"name", "array", "activations", "weights", "accumulators", "bus", "addresses",
               "pool", "clock", "rtl here", "waves", "fingerprint"});
  for (const isa::Config& config : isa::kConfigs) {
    const auto bytes = [&config](int words) {
      return static_cast<std::uint64_t>(words) * config.lanes;
    };
    const std::uint64_t halves = std::uint64_t{4} * config.acc_halves;  // bytes
    const isa::Clock clock = isa::clock_of(config.name.view());
    const bool rtl = runtime::has_rtl(config), waves = runtime::has_waves(config.name);
    list.push_back({{"name", config.name.view()},
                    {"lanes", config.lanes},
                    {"activation_bytes", bytes(config.act_words)},
                    {"weight_bytes", bytes(config.weight_words)},
                    {"accumulator_bytes", halves * bytes(config.acc_words)},
                    {"bus_bytes", config.bus_bytes},
                    {"address_bits", config.address_bits},
                    {"pool", config.pool_lanes != 0},
                    {"mhz", clock.mhz},
                    {"clock_from", clock.from},
                    {"rtl", rtl},
                    {"waves", waves},
                    {"fingerprint", fmt::format("{:08x}", config.hash)}});
    table.add({std::string(config.name), fmt::format("{} x {}", config.lanes, config.lanes),
               bytes_text(bytes(config.act_words)), bytes_text(bytes(config.weight_words)),
               bytes_text(halves * bytes(config.acc_words)),
               fmt::format("{} bit", 8 * config.bus_bytes),
               fmt::format("{} bit", config.address_bits), config.pool_lanes != 0 ? "yes" : "no",
               fmt::format("{:g} MHz", clock.mhz), rtl ? "yes" : "no", waves ? "yes" : "no",
               fmt::format("{:08x}", config.hash)});
  }
  if (as_json) {
    print(report::json_text(list));
  } else {
    print(table.text());
  }
  return kOk;
}

}  // namespace

void add_ops(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<OpsOptions>();
  CLI::App* command = app.add_subcommand(
      "ops", "list the operators of models that can be compiled, with conditions");
  command->add_flag("--json", options->json, "print as JSON");
  command->add_flag("--markdown", options->markdown, "print the page docs/reference/operators.md");
  command->callback(
      [options, &chosen] { chosen = [options] { return show_operators(*options); }; });
}

void add_configs(CLI::App& app, Action& chosen) {
  auto as_json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("configs", "list the configurations of the machine");
  command->add_flag("--json", *as_json, "print as JSON");
  command->callback([as_json, &chosen] { chosen = [as_json] { return show_configs(*as_json); }; });
}

}  // namespace espalier::cli
