#include "report/written.hpp"

#include <algorithm>

#include "flows/models.hpp"
#include "report/json.hpp"
#include "report/text.hpp"

namespace espalier::report {
namespace {

int outputs(const ir::QuantGraph& graph) {
  return graph.tensors[static_cast<std::size_t>(graph.output)].shape.c;
}

}  // namespace

std::string text(const flows::Written& made, const flows::QuantiseOptions& options) {
  Page page;
  page.add("{}: {} operators, {}\n", printable(made.graph.name), made.graph.nodes.size(),
           bytes_text(made.bytes));
  if (made.calibrated > 0)
    page.add("  quantised on {} images of {}\n", made.calibrated, options.calibration.images);
  page.add("  written to {}, form {}\n", options.output, export_::name(options.form));
  return std::move(page).text();
}

Json to_json(const flows::Written& made, const flows::PruneOptions& options) {
  return Json{{"network", made.graph.name},
              {"output", options.output},
              {"form", export_::name(options.form)},
              {"macs", {{"model", made.macs_before}, {"written", flows::macs(made.graph)}}},
              {"outputs", outputs(made.graph)},
              {"bytes", made.bytes}};
}

std::string text(const flows::Written& made, const flows::PruneOptions& options) {
  const std::int64_t now = flows::macs(made.graph);
  Page page;
  page.add("{}: {} operators, {} outputs, {}\n", printable(made.graph.name),
           made.graph.nodes.size(), outputs(made.graph), bytes_text(made.bytes));
  page.add("  {} of {} multiply-accumulates ({:.1f} %)\n", grouped(now), grouped(made.macs_before),
           100 * static_cast<double>(now) /
               static_cast<double>(std::max<std::int64_t>(made.macs_before, 1)));
  page.add("  written to {}, form {}\n", options.output, export_::name(options.form));
  return std::move(page).text();
}

}  // namespace espalier::report
