#pragma once
// The float model beside the quantised one: how much of each layer's signal the noise leaves.

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "golden/float_reference.hpp"
#include "golden/golden.hpp"
#include "ir/graph.hpp"
#include "base/result.hpp"

namespace espalier::flows {

/// What the comparison found.
struct FloatNoise {
  struct Layer {
    std::string name, op;
    double sqnr_db = 0;  ///< infinite where there is no noise
  };
  std::size_t images = 0;
  std::optional<double> top1;  ///< share of the labelled images that the float model gets right
  std::vector<Layer> layers;
};

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

  [[nodiscard]] FloatNoise noise() const;

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

}  // namespace espalier::flows
