#pragma once
// The subcommands. Each adds itself to the application and leaves what it is to do in `chosen`.

#include <functional>

namespace CLI {
class App;
}  // namespace CLI

namespace espalier::cli {

/// What the chosen subcommand does; returns the exit code.
using Action = std::function<int()>;

void add_compile(CLI::App& app, Action& chosen);
void add_quantise(CLI::App& app, Action& chosen);
void add_prune(CLI::App& app, Action& chosen);
void add_mask(CLI::App& app, Action& chosen);
void add_images(CLI::App& app, Action& chosen);
void add_score(CLI::App& app, Action& chosen);
void add_personalise(CLI::App& app, Action& chosen);
void add_run(CLI::App& app, Action& chosen);
void add_profile(CLI::App& app, Action& chosen);
void add_inspect(CLI::App& app, Action& chosen);
void add_ops(CLI::App& app, Action& chosen);
void add_configs(CLI::App& app, Action& chosen);

}  // namespace espalier::cli
