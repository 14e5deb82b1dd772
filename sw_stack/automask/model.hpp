#pragma once
// The model to train for: a program's graph, which `espalier compile` makes where it is none yet.

#include <string>
#include <vector>

#include "ir/graph.hpp"
#include "base/result.hpp"

namespace espalier::automask {

struct ModelOptions {
  std::string model;                 ///< a program, or .onnx or .tflite
  std::string program;               ///< where to write the program of one that is none
  std::vector<std::string> compile;  ///< options of `espalier compile`, for one that is none
};

/// Whether the file begins as a program does.
bool is_program(const std::string& path);

/// The graph, without copies. `espalier`, beside this executable, runs as a process of its own: the
/// readers of ONNX and LibTorch do not go together in one. It tells what is wrong by itself; then
/// the error's message is empty.
/// Errors: those of program::load; kIo where there is no such command.
Result<ir::QuantGraph> load_model(const ModelOptions& options);

}  // namespace espalier::automask
