#pragma once
// A model in, the quantised model out as ONNX, whole or without what a mask leaves out.

#include <cstdint>
#include <string>
#include <vector>

#include "export/onnx_writer.hpp"
#include "flows/calibrate.hpp"
#include "flows/listener.hpp"

namespace espalier::flows {

struct QuantiseOptions {
  std::string model, output;
  export_::Form form = export_::Form::kQdq;
  CalibrationOptions calibration;  ///< of a float model
};

/// A model that was written.
struct Written {
  ir::QuantGraph graph;
  std::uint64_t calibrated = 0;  ///< images
  std::int64_t macs_before = 0;  ///< multiply-accumulates of one image of the model as it was
  std::size_t bytes = 0;         ///< of the file
};

/// Errors: those of the model, the images and export_::write_onnx; kUsage for images that a
/// quantised model does not need.
Result<Written> quantise(const QuantiseOptions& options, const Listener& listener = {});

struct PruneOptions {
  std::string model;                   ///< .onnx, .tflite or a program
  std::string mask;                    ///< file; empty: none
  std::vector<std::uint64_t> classes;  ///< outputs that stay; empty: all
  bool two_of_four = false;            ///< of every four weights the two largest stay
  std::string output;
  export_::Form form = export_::Form::kQdq;
  CalibrationOptions calibration;  ///< of a float model
};

/// Errors: as quantise; those of the mask; kUsage where there is nothing to leave out, or a class
/// that the model lacks; kUnsupported where classes cannot go.
Result<Written> prune(const PruneOptions& options, const Listener& listener = {});

}  // namespace espalier::flows
