#pragma once
// ONNX Runtime, run through node.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ir/graph.hpp"
#include "base/result.hpp"

namespace espalier::peers {

/// Where things are.
struct Places {
  std::string modules;  ///< folder with node_modules
  std::string script;   ///< run_ort.mjs
  std::string work;     ///< folder for files in between
};

/// Values of one image by name, as int8: uint8 ones are shifted by 128. Floats are left out.
using Values = std::map<std::string, std::vector<std::int8_t>>;

/// Runs a model with the named values as outputs, beside its own. Shapes: images are
/// [count][C][H][W]. Errors: kIo, kMalformed, kDevice where ONNX Runtime refuses the model.
Result<std::vector<Values>> run_runtime(const Places& places, const std::string& label,
                                        const std::string& model, const ir::Shape& shape,
                                        const std::vector<float>& images,
                                        const std::vector<std::string>& wanted);

}  // namespace espalier::peers
