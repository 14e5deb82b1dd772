#include "report/compile.hpp"

#include "report/json.hpp"
#include "report/noise.hpp"
#include "report/text.hpp"
#include "runtime/device.hpp"
#include "timing/timing.hpp"

namespace espalier::report {

Json to_json(const flows::Compiled& made, const flows::CompileOptions& options) {
  const program::Program& program = made.program;
  Json json{{"network", program.graph.name},
            {"config", program.config.name.view()},
            {"output", options.output},
            {"fingerprint", fingerprint_text(program::fingerprint(program))},
            {"calibrated", made.calibrated},
            {"layers", program.layers.size()},
            {"macs_per_image", runtime::macs(program)},
            {"constant_bytes", program.constants.size()},
            {"instruction_bytes", program.instructions.size()},
            {"activation_bytes", program.activation_bytes},
            {"estimated_cycles", or_null(made.cycles)},
            {"tiles_skipped", made.skipped},
            {"host_ops", program.graph.host_ops}};
  if (made.noise) json["float"] = to_json(*made.noise);
  return json;
}

std::string text(const flows::Compiled& made, const flows::CompileOptions& options) {
  const program::Program& program = made.program;
  Page page;
  page.add("{} for {}: {} layers, {} multiply-accumulates an image\n",
           printable(program.graph.name), program.config.name.view(), program.layers.size(),
           grouped(runtime::macs(program)));
  if (made.unpruned_macs > 0)
    page.add("  pruned from {} multiply-accumulates\n", grouped(made.unpruned_macs));
  if (made.calibrated > 0)
    page.add("  quantised on {} images of {}\n", made.calibrated, options.calibration.images);
  if (made.cycles) {
    const double share = timing::utilisation(program, *made.cycles);
    page.add("  about {} cycles an image, {:.1f} % of the multipliers' cycles{}\n",
             grouped(*made.cycles), 100 * share,
             share > 1 ? ", products that are left out among them" : "");
  }
  if (made.skipped > 0) {
    page.add("  {:.1f} % of the tiles of layers with zero weights are skipped\n",
             100 * made.skipped);
  }
  page.add("  {} of constants, {} of instructions, {} of activations\n",
           bytes_text(program.constants.size()), bytes_text(program.instructions.size()),
           bytes_text(program.activation_bytes));
  for (const std::string& op : program.graph.host_ops)
    page.add("  on the host: {}\n", printable(op));
  page.add("  written to {}\n", options.output);
  if (made.noise) page.add("\n{}", text(*made.noise));
  return std::move(page).text();
}

}  // namespace espalier::report
