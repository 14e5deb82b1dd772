#pragma once
// The state of one import of a TensorFlow Lite model, and the handlers of its operators. Every
// activation is real numbers; in a quantised model each result is stored, and read back.

#include <map>
#include <string>
#include <vector>

#include "import/model.hpp"
#include "import/quant_lower.hpp"
#include "import/tflite/reader.hpp"

namespace espalier::import_ {

class LiteImporter {
 public:
  LiteImporter(const LiteGraph& graph, Refusals* refusals);
  Result<Model> run(const std::string& name);

  // Handlers, by subject.
  Status conv(const LiteOp& op);
  Status add(const LiteOp& op);
  Status pool(const LiteOp& op);
  Status mean(const LiteOp& op);
  Status concat(const LiteOp& op);
  Status pad(const LiteOp& op);
  Status activation(const LiteOp& op);
  Status quantise(const LiteOp& op);
  Status dequantise(const LiteOp& op);
  Status rename(const LiteOp& op);
  Status softmax(const LiteOp& op);

 private:
  Status read_input();
  Status import_all();
  Status import_one(const LiteOp& op);
  bool stand_in(int tensor);

  [[nodiscard]] const LiteTensor& output_tensor(const LiteOp& op) const {
    return lite_.tensors[static_cast<std::size_t>(op.outputs[0])];
  }
  [[nodiscard]] Result<int> value(const LiteOp& op, std::size_t i) const;
  /// As value(), but an image.
  [[nodiscard]] Result<int> image(const LiteOp& op, std::size_t i) const;
  /// A constant as real numbers.
  [[nodiscard]] Result<std::vector<float>> reals(const LiteOp& op, std::size_t i) const;
  /// Scale and zero point of a stored activation; those of uint8 move by 128.
  [[nodiscard]] Result<ir::Quant> quant_of(const LiteOp& op, const LiteTensor& tensor) const;
  /// Weights [N][kh][kw][C] of a convolution, and as they are stored in a quantised model.
  [[nodiscard]] Result<std::vector<float>> weights(const LiteOp& op, const WeightLayout& layout,
                                                   StoredDense& stored) const;
  [[nodiscard]] Status bias(const LiteOp& op, ir::FloatConv& conv, StoredDense& stored) const;

  /// Emits an operator; the activation function that is fused into it is still to come.
  int add_node(const LiteOp& op, WorkOp node, std::vector<int> inputs, const ir::Shape& shape);
  /// As add_node, with the activation function, and defines the output.
  Status emit(const LiteOp& op, WorkOp node, std::vector<int> inputs, const ir::Shape& shape);
  Status activate(const LiteOp& op, int tensor, lite::Activation activation);
  /// What an operator makes, stored in a quantised model, is its output.
  Status define(const LiteOp& op, int tensor);
  /// Emits the storing of real numbers as the model's tensor `as`, and the reading back.
  int stored(const LiteOp& op, int tensor, int as, const ir::Quant& quant);

  const LiteGraph& lite_;
  Refusals* refusals_;
  bool quantised_ = false;
  WorkGraph work_;
  StoredConstants constants_;
  std::map<int, int> values_;  ///< tensor of the model to tensor of the graph
};

}  // namespace espalier::import_
