#pragma once
// The state of one import of a quantised TensorFlow Lite model.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "import/tflite/reader.hpp"

namespace espalier::import_ {

/// A value of the model: a tensor of the graph and, where a PAD waits for its consumers, a border.
struct LiteValue {
  int id = -1;
  Border border;
};

struct Bounds {
  int lo = -128, hi = 127;
};

class QuantImporter {
 public:
  QuantImporter(const LiteGraph& graph, Refusals* refusals) : lite_(graph), refusals_(refusals) {}
  Result<ir::QuantGraph> run(const std::string& name);

 private:
  Status import_one(const LiteOp& op);
  bool stand_in(int tensor);
  Status import(const LiteOp& op);
  Status conv(const LiteOp& op);
  Status add(const LiteOp& op);
  Status pool(const LiteOp& op);
  Status mean(const LiteOp& op);
  Status concat(const LiteOp& op);
  Status pad(const LiteOp& op);
  Status relu(const LiteOp& op);
  Status requantise(const LiteOp& op);
  Status rename(const LiteOp& op);
  Status softmax(const LiteOp& op);

  Result<ir::Quant> quant_of(const LiteOp& op, const LiteTensor& tensor) const;
  Result<Bounds> bounds(const LiteOp& op, lite::Activation activation, const ir::Quant& y) const;
  Result<LiteValue> value(const LiteOp& op, std::size_t i) const;
  /// As value(), but an image without a border.
  Result<int> image(const LiteOp& op, std::size_t i) const;
  const LiteTensor& output_tensor(const LiteOp& op) const { return lite_.tensors[op.outputs[0]]; }
  int add_tensor(int lite_tensor, const ir::Shape& shape, const ir::Quant& quant);
  void emit(const LiteOp& op, int id, std::vector<int> inputs, ir::QuantOp node);
  void define(const LiteOp& op, int id) { values_[op.outputs[0]] = {id, {}}; }
  /// Emits an image moved channel by channel into another scale, with a border of zero points.
  Result<int> copy(const LiteOp& op, int from, const std::vector<int>& source, const Border& border,
                   int to, const ir::Quant& quant, Bounds limits);
  [[nodiscard]] bool border_fits(const LiteOp& op, const LitePad& pad, int from) const;
  /// The node that makes a tensor, or -1 for the input.
  [[nodiscard]] int producer(int id) const { return made_[static_cast<std::size_t>(id)].node; }

  const LiteGraph& lite_;
  Refusals* refusals_;
  ir::QuantGraph graph_;
  std::map<int, LiteValue> values_;
  struct Made {
    int node = -1;         ///< of the graph
    int lite_tensor = -1;  ///< of the model
  };
  std::vector<Made> made_;  ///< of each tensor of the graph
  std::set<std::string> names_, tensor_names_;
};

/// Channels 0 .. count - 1.
std::vector<int> every_channel(int count);

/// Weight `at` as a symmetric int8, if it is one.
std::optional<std::int8_t> symmetric_weight(const LiteTensor& w, std::int64_t at,
                                            std::int64_t zero);

}  // namespace espalier::import_
