#pragma once
// Builds the graph of learn/backward.hpp, node by node from the output down.

#include <functional>
#include <string>

#include "personal/backward.hpp"

namespace espalier::personal {

class BackwardBuilder {
 public:
  BackwardBuilder(const ir::QuantGraph& forward, const std::vector<bool>& scored);
  Backward run();

 private:
  /// One axis of a convolution that reads input o + t for output o and some offsets t.
  struct Axis {
    int kernel = 1, dilation = 1, before = 0, after = 0;
    int base = 0;  ///< offset of tap 0
    [[nodiscard]] int tap(int offset) const { return (offset - base) / dilation; }
  };
  static Axis make_axis(int in, int out, const std::vector<int>& offsets);
  /// A phase of an axis of a window's input, every stride-th pixel from `first` on: how many there
  /// are, and for each tap that reaches them the offset from such a pixel to the output.
  struct Phase {
    int first = 0, stride = 1, size = 0;
    std::vector<int> taps, offsets;
  };
  static std::vector<Phase> phases(int in, int out, int kernel, int stride, int dilation, int pad);
  struct WindowPhases {
    std::vector<Phase> y, x;
  };
  static WindowPhases phases(const ir::Window& window, const ir::Shape& x, const ir::Shape& y);

  /// What a reader of a tensor adds to its gradient: a tensor that is there, or a convolution yet
  /// to be put in, which may be asked for phase by phase.
  struct Part {
    int whole = -1;
    const ir::QuantNode* conv = nullptr;
    int gradient = -1;  ///< of the convolution's output
  };

  int tensor(const std::string& name, const ir::Shape& shape, const ir::Quant& quant);
  int gradient_tensor(const std::string& name, const ir::Shape& shape, Backward::Value value);
  std::size_t node(std::vector<int> inputs, int output, ir::QuantOp op);
  int new_slot();
  int kept(int activation);
  [[nodiscard]] const ir::Shape& shape(int tensor) const;
  [[nodiscard]] const Backward::Value& value(int tensor) const;
  [[nodiscard]] bool reaches(const ir::QuantNode& node) const;

  /// A convolution whose windows are these axes; weights are zero.
  static ir::QuantConv conv(int in, int out, const Axis& y, const Axis& x);
  /// A copy of a tensor moved by an offset, cut to h x w; 0 (the zero point) from outside.
  int shifted(int from, int h, int w, int offset_y, int offset_x, const std::string& name);

  int combine(int activation, const std::vector<Part>& parts);
  /// The sum of two parts; slots are the activation's.
  int add(int activation, int part, int whole);
  /// The same phase by phase, where that saves a part's empty phases; -1 where it does not.
  int combine_phases(int activation, const std::vector<Part>& parts);
  void finish(const ir::QuantNode& node, int gradient);
  void hand_down(const ir::QuantNode& node, int gradient);
  int through_conv(const Part& part);
  int conv_phase(const Part& part, const Phase& y, const Phase& x);
  /// Of a convolution of one tap: its gradient at one phase of the pixels.
  int point_phase(const Part& part, const Phase& y, const Phase& x);
  /// A tap of a convolution, and the one of the transposed one that has its weights.
  struct TapPair {
    int forward = 0, back = 0;
  };
  int put_transposed(const Part& part, ir::QuantConv back, const std::vector<TapPair>& taps,
                     const Phase& y, const Phase& x);
  [[nodiscard]] WindowPhases phases(const Part& part) const;
  int slot_for(int activation);
  int through_average(const ir::QuantPool& pool, const ir::QuantNode& node, int gradient);
  int through_maximum(const ir::QuantPool& pool, const ir::QuantNode& node, int gradient);
  /// One phase of the latter, as parts that are to be added.
  std::vector<int> maximum_phase(const ir::QuantNode& node, int gradient, const Phase& y,
                                 const Phase& x);
  /// Runs `make` for each phase and puts the results together.
  int interleaved(int activation, const WindowPhases& all, Backward::Value value,
                  const std::function<int(const Phase&, const Phase&)>& make);

  const ir::QuantGraph& forward_;
  const std::vector<bool>& scored_;
  std::vector<bool> needed_;
  std::vector<std::vector<Part>> parts_;  ///< by tensor of the forward graph
  std::vector<int> slot_of_;              ///< by tensor of the forward graph: of its parts; -1
  std::vector<int> kept_;                 ///< by tensor of the forward graph: tensor of the other
  Backward out_;
};

}  // namespace espalier::personal
