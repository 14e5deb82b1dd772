#include "flows/quantise.hpp"

#include <algorithm>

#include "flows/classes.hpp"
#include "flows/models.hpp"
#include "masks/two_of_four.hpp"
#include "personal/correct.hpp"
#include "base/whole_file.hpp"

namespace espalier::flows {
namespace {

/// The model as a quantised graph, and what it took.
Result<Written> quantised(import_::Model model, const std::string& path,
                          const CalibrationOptions& calibration, const Listener& listener) {
  Written made;
  if (auto* graph = std::get_if<ir::QuantGraph>(&model)) {
    if (const Status s = check_no_calibration(calibration, path); !s) return s.error();
    made.graph = std::move(*graph);
  } else {
    auto calibrated = calibrate(std::get<ir::FloatGraph>(model), calibration, path, listener);
    if (!calibrated) return calibrated.error();
    made.graph = std::move(calibrated->graph);
    made.calibrated = calibrated->count;
  }
  made.macs_before = macs(made.graph);
  return made;
}

Status write(Written& made, export_::Form form, const std::string& model,
             const std::string& output) {
  const auto bytes = export_::write_onnx(made.graph, {form, false});
  if (!bytes) return placed(bytes.error(), model);
  made.bytes = bytes->size();
  return write_file(output, *bytes);
}

Status apply_mask(ir::QuantGraph& graph, const std::string& file) {
  const masks::Channels channels = masks::find_channels(graph);
  const auto mask = masks::load_mask_for(graph, channels, file);
  if (!mask) return mask.error();
  if (std::ranges::all_of(mask->live, [](bool live) { return live; })) {
    return fail(ErrorCode::kRange, "leaves nothing out: every channel of the model stays", file);
  }
  auto light = pruned(graph, channels, *mask, file);
  if (!light) return light.error();
  graph = std::move(light->graph);
  return {};
}

Status keep_classes(ir::QuantGraph& graph, const std::vector<std::uint64_t>& chosen,
                    const std::string& model) {
  const auto outputs = [&graph] {
    return graph.tensors[static_cast<std::size_t>(graph.output)].shape.c;
  };
  const auto classes = choose_classes(chosen, outputs());
  if (!classes) return classes.error();
  graph = personal::keep_outputs(std::move(graph), *classes);
  if (outputs() == static_cast<int>(classes->size())) return {};
  return fail(ErrorCode::kUnsupported,
              "no convolution or fully connected layer makes the output: classes cannot go", model);
}

}  // namespace

Result<Written> quantise(const QuantiseOptions& options, const Listener& listener) {
  auto model = load_model(options.model);
  if (!model) return model.error();
  auto made = quantised(std::move(*model), options.model, options.calibration, listener);
  if (!made) return made.error();
  if (const Status s = write(*made, options.form, options.model, options.output); !s)
    return s.error();
  return made;
}

Result<Written> prune(const PruneOptions& options, const Listener& listener) {
  if (options.mask.empty() && options.classes.empty() && !options.two_of_four &&
      !is_program(options.model)) {
    return fail(ErrorCode::kUsage,
                "nothing to leave out; name a --mask, --classes or --two-of-four", options.model);
  }
  auto model = load_model_or_program(options.model);
  if (!model) return model.error();
  auto made = quantised(std::move(*model), options.model, options.calibration, listener);
  if (!made) return made.error();
  if (!options.mask.empty()) {
    if (const Status s = apply_mask(made->graph, options.mask); !s) return s.error();
  }
  if (!options.classes.empty()) {
    if (const Status s = keep_classes(made->graph, options.classes, options.model); !s)
      return s.error();
  }
  if (options.two_of_four && masks::keep_two_of_four(made->graph) == 0) {
    return fail(ErrorCode::kRange,
                "--two-of-four leaves nothing out: no convolution behind the first "
                "has more than two weights of four channels",
                options.model);
  }
  if (const Status s = write(*made, options.form, options.model, options.output); !s)
    return s.error();
  return made;
}

}  // namespace espalier::flows
