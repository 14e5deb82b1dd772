#pragma once
// Windows of ONNX convolutions and pools.

#include <vector>

#include "import/onnx/context.hpp"

namespace espalier::import_ {

/// A window and the extent of what it makes.
struct PlacedWindow {
  ir::Window window;
  int h = 0, w = 0;
};

/// Reads kernel_shape, strides, pads, dilations and auto_pad. Shapes: kernel is {rows, columns},
/// or empty where only the attribute says it. Errors: at the node.
Result<PlacedWindow> read_window(const OnnxNode& node, const ir::Shape& in,
                                 std::vector<std::int64_t> kernel, bool ceil_mode);

}  // namespace espalier::import_
