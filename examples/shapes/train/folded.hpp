#pragma once
// The demo's network as plain numbers: batch norms folded into convolutions, ready for a file.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace espalier::shapes {

/// A square convolution with bias, padded so that stride 1 keeps the size.
struct FoldedConv {
  std::int64_t inputs = 0;
  std::int64_t outputs = 0;
  std::int64_t kernel = 1;
  std::int64_t stride = 1;
  std::vector<float> weights;  ///< Shapes: [outputs][inputs][kernel][kernel].
  std::vector<float> bias;
};

/// relu(second(relu(first(x))) + shortcut(x)), where no shortcut is the identity.
struct FoldedBlock {
  FoldedConv first;
  FoldedConv second;
  std::optional<FoldedConv> shortcut;
};

/// The whole network: stem, ReLU, residual blocks, global average, fully connected.
struct FoldedNet {
  FoldedConv stem;
  std::vector<FoldedBlock> blocks;
  FoldedConv classifier;  ///< kernel 1

  [[nodiscard]] std::size_t parameters() const;
};

/// A network that write_onnx() wrote. Errors: kIo; kMalformed where it is none.
Result<FoldedNet> read_onnx(const std::string& path);

/// Writes the network as ONNX, operator set 13, for input `image` [1, 3, side, side] and output
/// `logits` [1, classes].
/// Errors: kIo.
Status write_onnx(const FoldedNet& net, std::int64_t side, const std::string& path);

}  // namespace espalier::shapes
