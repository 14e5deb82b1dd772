#pragma once
// Golden against ONNX Runtime, node by node and as a whole.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/peers/runtime.hpp"

namespace espalier::peers {

/// Differences of one kind of operator, each fed with ONNX Runtime's own inputs.
struct Tally {
  std::uint64_t nodes = 0, values = 0, differ = 0;
  int worst = 0;
  std::string first;  ///< the first node that differs
};

struct Comparison {
  std::map<std::string, Tally> kinds;
  std::uint64_t images = 0, same_top = 0;         ///< of whole networks
  std::uint64_t outputs = 0, outputs_differ = 0;  ///< values of the last tensor
  int outputs_worst = 0;

  void add(const Comparison& other);
  /// Convolutions, matrix products, global averages and maxima agree bit for bit; the rest, which
  /// ONNX Runtime computes in fp32, differs by at most 1 in at most 1 of 10,000 values; averages in
  /// their input's scale by at most 1.
  [[nodiscard]] bool within_bounds() const;
  void print(const std::string& title) const;
};

/// Compares a model of ours or others. Shapes: images [count][C][H][W], network inputs in float.
/// Errors: those of the importer and of run_runtime().
Result<Comparison> compare(const Places& places, const std::string& label, const std::string& model,
                           const std::vector<float>& images);

}  // namespace espalier::peers
