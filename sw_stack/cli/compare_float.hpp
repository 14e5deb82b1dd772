#pragma once
// The float model beside the quantised one: how much of each layer's signal the noise leaves.

#include <algorithm>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/common.hpp"
#include "golden/float_reference.hpp"
#include "golden/golden.hpp"
#include "ir/graph.hpp"
#include "base/result.hpp"

namespace espalier::cli {

class FloatComparison {
 public:
  /// Both graphs must outlive it. Tensors are matched by name.
  /// Errors: kMismatch (another network), with `place`.
  static Result<std::unique_ptr<FloatComparison>> open(const ir::FloatGraph& model,
                                                       const ir::QuantGraph& graph,
                                                       const std::string& place);

  /// One image: the network's float input and golden's tensors; several threads may call.
  void add(std::span<const float> input, std::span<const golden::Tensor> tensors,
           std::optional<int> label);

  /// Share of the labelled images that the float model gets right.
  [[nodiscard]] std::optional<double> top1() const;
  /// `layers`: name, op and sqnr_db of each (null where there is no noise).
  [[nodiscard]] Json report() const;
  void print() const;

 private:
  struct Pair {
    int float_tensor = -1, quant_tensor = -1;
    std::string name, op;
    golden::SqnrMeter meter;
  };
  FloatComparison(const ir::FloatGraph& model, const ir::QuantGraph& graph)
      : model_(model), graph_(graph) {}

  const ir::FloatGraph& model_;
  const ir::QuantGraph& graph_;
  std::vector<Pair> pairs_;
  std::mutex mutex_;
  std::size_t images_ = 0, labelled_ = 0, correct_ = 0;
};

/// Index of the first largest value.
template <typename T>
int arg_max(std::span<const T> values) {
  return static_cast<int>(std::max_element(values.begin(), values.end()) - values.begin());
}

}  // namespace espalier::cli
