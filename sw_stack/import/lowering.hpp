#pragma once
// The state of one lowering of a quantised work graph: see quant_lower.hpp.

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "import/names.hpp"
#include "import/quant_lower.hpp"

namespace espalier::import_ {

/// What a tensor of the work graph is.
struct LoweredState {
  enum Kind {
    kInput,    ///< the model's input in float
    kStored,   ///< int8 in the graph
    kReal,     ///< the real numbers that a stored tensor stands for
    kPending,  ///< made by a float operator, not stored yet
    kSoftmax,  ///< softmax of a stored tensor, for the host
  } kind = kInput;
  int id = -1;                      ///< tensor of the graph
  bool alone = false;               ///< nothing else reads that tensor, in any form
  Stored type = Stored::kInt8;      ///< of kStored
  const WorkNode* maker = nullptr;  ///< of kPending
  std::vector<int> inputs;          ///< of kPending: tensors of the graph
  std::vector<int> source;          ///< of a pending Border: channels that a Select before took
  float lo = -std::numeric_limits<float>::infinity();  ///< of kPending: clamped to
  float hi = std::numeric_limits<float>::infinity();

  [[nodiscard]] bool clamped() const {
    return lo != -std::numeric_limits<float>::infinity() ||
           hi != std::numeric_limits<float>::infinity();
  }
};

class Lowering {
 public:
  Lowering(const WorkGraph& work, const StoredConstants& constants, const Producer& producer)
      : work_(work), constants_(constants), producer_(producer) {}
  Result<ir::QuantGraph> run(const std::string& name);

 private:
  using State = LoweredState;
  struct Clamp {
    int lo = -128, hi = 127;
  };

  // What the nodes mean, in their order: quant_lower.cpp.
  Status lower(const WorkNode& node);
  Status lower_real(const WorkNode& node);
  /// Operators that mean the same on stored integers as on real numbers.
  Status lower_stored(const WorkNode& node);
  Status quantise(const WorkNode& node, const Quantise& q);
  Status dequantise(const WorkNode& node, const Dequantise& d);
  /// The model's input as it is stored first. Errors: kUnsupported, another scale.
  Result<int> store_input(const WorkNode& node, const ir::Quant& quant);
  /// A pending tensor, which may be stored already.
  Result<int> store_once(const WorkNode& node, const State& x, const ir::Quant& quant);
  Status take_output();
  /// The selection of channels around which the node puts a border, if that is all it is for.
  [[nodiscard]] const Select* pending_select(const WorkNode& node) const;
  [[nodiscard]] bool all_pixels(const Select& select, const State& x) const;
  [[nodiscard]] Diagnostic island(const WorkNode& node, int tensor, const State& x) const;

  // Integer operators: quant_store.cpp.
  /// Emits the operator that makes a pending tensor, with its result stored.
  Result<int> store(const WorkNode& node, const State& x, const ir::Quant& y);
  Result<int> store_dense(const ir::FloatConv& conv, const State& x, int to, const ir::Quant& y,
                          Clamp clamp);
  Result<int> store_sum(const State& x, int to, const ir::Quant& y, Clamp clamp);
  Result<int> store_pool(const WorkNode& node, const ir::FloatPool& pool, const State& x,
                         const ir::Quant& y, Clamp clamp);
  Result<int> store_concat(const State& x, int to, const ir::Quant& y);
  Result<int> store_border(const Border& border, const State& x, int to, const ir::Quant& y,
                           Clamp clamp);
  /// The tensor clamped where it is made, if nothing else reads it unclamped, or else after it.
  Result<int> clamp_stored(const WorkNode& node, const State& x, Clamp clamp);
  /// A tensor in another scale, or clamped: the residual adder with b absent, or a convolution.
  Result<int> rescale(const WorkNode& node, int from, const ir::Quant& y, Clamp clamp);
  /// A tensor moved channel by channel (empty: every one) amid a border, by a convolution.
  Result<int> copy(const WorkNode& node, int from, const std::vector<int>& source,
                   const Border& border, int to, const ir::Quant& y, Clamp clamp);
  /// Appends a node that makes tensor `to` of the work graph, or a step before it.
  int emit(const WorkNode& node, int to, std::vector<int> inputs, const ir::Quant& quant,
           ir::QuantOp op);
  int add_tensor(int tensor, const ir::Shape& shape, const ir::Quant& quant);

  State& state(int tensor) { return states_[static_cast<std::size_t>(tensor)]; }
  [[nodiscard]] const State& state(int tensor) const {
    return states_[static_cast<std::size_t>(tensor)];
  }
  [[nodiscard]] bool sole(int tensor) const { return uses_[tensor] == 1; }
  [[nodiscard]] const ir::Quant& quant(int id) const { return graph_.tensors[id].quant; }

  const WorkGraph& work_;
  const StoredConstants& constants_;
  const Producer& producer_;
  ir::QuantGraph graph_;
  std::vector<State> states_;                ///< by tensor of the work graph
  std::vector<int> uses_;                    ///< of each tensor of the work graph
  std::vector<std::pair<int, int>> stored_;  ///< pending tensors and what stores them
  Names tensor_names_, node_names_;
};

}  // namespace espalier::import_
