#pragma once
// What writing a model as ONNX tells.

#include "flows/quantise.hpp"
#include "report/json_fwd.hpp"

namespace espalier::report {

std::string text(const flows::Written& made, const flows::QuantiseOptions& options);

Json to_json(const flows::Written& made, const flows::PruneOptions& options);
std::string text(const flows::Written& made, const flows::PruneOptions& options);

}  // namespace espalier::report
