#pragma once
// A model in, a program out.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "compiler/compiler.hpp"
#include "environment/environment.hpp"
#include "flows/calibrate.hpp"
#include "flows/float_comparison.hpp"
#include "flows/listener.hpp"
#include "program/program.hpp"

namespace espalier::flows {

struct CompileOptions {
  std::string model;            ///< .onnx, .tflite or a program
  std::string output;           ///< program file to write; empty: none
  std::string config = "edge";  ///< of the machine
  std::string mask;             ///< leave out what this file's mask does; empty: nothing
  std::string environment;    ///< compile this file's masks, biases and multipliers in; empty: none
  bool switchable = false;    ///< the environment's masks stay outside: `run` loads any like it
  bool prune_zeroed = false;  ///< leave out channels that are all zero
  bool maskable = false;      ///< make a program that takes any mask
  bool dense_tiles = false;   ///< fetch and run tiles of zeros as well
  bool no_fine = false;       ///< no fine CONVs
  std::string dump_after;     ///< a pass of the compiler, or `all`; empty: none
  bool compare_float = false;      ///< run the float model beside on some of the images
  CalibrationOptions calibration;  ///< of a float model
};

struct Compiled {
  program::Program program;
  std::uint64_t calibrated = 0;        ///< images
  std::uint64_t unpruned_macs = 0;     ///< of one image before pruning; 0: nothing was pruned
  std::optional<std::int64_t> cycles;  ///< of one image, where there is a timing model
  double skipped = 0;                  ///< share of the tiles of sparse layers
  std::optional<FloatNoise> noise;     ///< with compare_float
};

using Dump = std::function<void(std::string_view pass, const std::string& text)>;

/// What an environment leaves out of the weights, for a program that takes it and others like it.
compiler::Switched switched_by(const environment::Environment& environment);

/// `dump` gets what the passes of dump_after found, as text, as soon as they did.
/// Errors: those of the model, the images, the mask and the compiler; kUsage for options that
/// contradict each other; where nodes of a model are refused, all of them.
Result<Compiled> compile(const CompileOptions& options, const Listener& listener = {},
                         const Dump& dump = {});

}  // namespace espalier::flows
