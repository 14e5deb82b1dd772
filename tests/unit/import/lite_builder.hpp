#pragma once
// Small TensorFlow Lite models for tests.

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "tflite_generated.h"

namespace espalier::tests {

namespace lite = espalier::lite;

/// Quantisation of one tensor; none where it has no scale.
struct LiteQuant {
  std::vector<float> scale;
  std::vector<std::int64_t> zero;
  int axis = 0;
};

/// Collects tensors and operators, then writes the file.
class LiteBuilder {
 public:
  using Quant = LiteQuant;

  LiteBuilder() { buffers_.push_back(lite::CreateBuffer(fb_)); }

  int tensor(const std::string& name, const std::vector<int>& dims, lite::TensorType type,
             const Quant& quant = {}) {
    return add(name, dims, type, quant, 0);
  }
  /// An activation of int8.
  int int8(const std::string& name, const std::vector<int>& dims, float scale, int zero) {
    return tensor(name, dims, lite::TensorType_INT8, {{scale}, {zero}});
  }
  template <typename T>
  int constant(const std::string& name, const std::vector<int>& dims, lite::TensorType type,
               const std::vector<T>& values, const Quant& quant = {}) {
    std::vector<std::uint8_t> bytes(values.size() * sizeof(T));
    std::memcpy(bytes.data(), values.data(), bytes.size());
    buffers_.push_back(lite::CreateBuffer(fb_, fb_.CreateVector(bytes)));
    return add(name, dims, type, quant, static_cast<std::uint32_t>(buffers_.size()) - 1);
  }
  int floats(const std::string& name, const std::vector<int>& dims,
             const std::vector<float>& values) {
    return constant(name, dims, lite::TensorType_FLOAT32, values);
  }
  int ints(const std::string& name, const std::vector<int>& dims,
           const std::vector<std::int32_t>& values) {
    return constant(name, dims, lite::TensorType_INT32, values);
  }

  void op(lite::BuiltinOperator code, const std::vector<int>& inputs,
          const std::vector<int>& outputs, lite::Options type = lite::Options_NONE,
          flatbuffers::Offset<void> options = 0) {
    const bool small = code < 127;
    codes_.push_back(lite::CreateOperatorCode(
        fb_, small ? static_cast<std::int8_t>(code) : std::int8_t{127}, 0, 1, code));
    ops_.push_back(lite::CreateOperator(fb_, static_cast<std::uint32_t>(codes_.size()) - 1,
                                        fb_.CreateVector(inputs), fb_.CreateVector(outputs), type,
                                        options));
  }
  void conv(const std::vector<int>& inputs, int output, lite::Padding padding = lite::Padding_VALID,
            int stride = 1, lite::Activation activation = lite::Activation_NONE) {
    op(lite::BuiltinOperator_CONV_2D, inputs, {output}, lite::Options_Conv2DOptions,
       lite::CreateConv2DOptions(fb_, padding, stride, stride, activation).Union());
  }
  void pool(lite::BuiltinOperator code, int input, int output, int size, int stride,
            lite::Padding padding = lite::Padding_VALID) {
    op(code, {input}, {output}, lite::Options_Pool2DOptions,
       lite::CreatePool2DOptions(fb_, padding, stride, stride, size, size).Union());
  }
  void add_op(int a, int b, int output, lite::Activation activation = lite::Activation_NONE) {
    op(lite::BuiltinOperator_ADD, {a, b}, {output}, lite::Options_AddOptions,
       lite::CreateAddOptions(fb_, activation).Union());
  }
  void concat(const std::vector<int>& inputs, int output, int axis = 3) {
    op(lite::BuiltinOperator_CONCATENATION, inputs, {output}, lite::Options_ConcatenationOptions,
       lite::CreateConcatenationOptions(fb_, axis).Union());
  }
  void softmax(int input, int output, float beta = 1) {
    op(lite::BuiltinOperator_SOFTMAX, {input}, {output}, lite::Options_SoftmaxOptions,
       lite::CreateSoftmaxOptions(fb_, beta).Union());
  }

  std::string finish(const std::vector<int>& inputs, const std::vector<int>& outputs,
                     std::uint32_t version = 3) {
    const auto graph =
        lite::CreateSubGraph(fb_, fb_.CreateVector(tensors_), fb_.CreateVector(inputs),
                             fb_.CreateVector(outputs), fb_.CreateVector(ops_));
    const auto graphs = fb_.CreateVector(std::vector{graph});
    lite::FinishModelBuffer(fb_, lite::CreateModel(fb_, version, fb_.CreateVector(codes_), graphs,
                                                   0, fb_.CreateVector(buffers_)));
    return {reinterpret_cast<const char*>(fb_.GetBufferPointer()), fb_.GetSize()};
  }
  flatbuffers::FlatBufferBuilder& fb() { return fb_; }

 private:
  int add(const std::string& name, const std::vector<int>& dims, lite::TensorType type,
          const Quant& quant, std::uint32_t buffer) {
    flatbuffers::Offset<lite::Quantization> quantised = 0;
    if (!quant.scale.empty()) {
      quantised = lite::CreateQuantization(fb_, 0, 0, fb_.CreateVector(quant.scale),
                                           fb_.CreateVector(quant.zero), 0, 0, quant.axis);
    }
    tensors_.push_back(lite::CreateTensor(fb_, fb_.CreateVector(dims), type, buffer,
                                          fb_.CreateString(name), quantised));
    return static_cast<int>(tensors_.size()) - 1;
  }

  flatbuffers::FlatBufferBuilder fb_;
  std::vector<flatbuffers::Offset<lite::Buffer>> buffers_;
  std::vector<flatbuffers::Offset<lite::Tensor>> tensors_;
  std::vector<flatbuffers::Offset<lite::OperatorCode>> codes_;
  std::vector<flatbuffers::Offset<lite::Operator>> ops_;
};

}  // namespace espalier::tests
