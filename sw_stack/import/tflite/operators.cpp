#include "import/tflite/operators.hpp"

#include <algorithm>
#include <array>

#include "import/operators.hpp"

namespace espalier::import_ {
namespace {

using Op = lite::BuiltinOperator;
using Importer = LiteImporter;

constexpr std::string_view kPad = "the window's padding, or a convolution";
constexpr std::string_view kClamp = "clamp of the layer before";

constexpr auto kOperators = std::to_array<LiteOperator>({
    {Op::BuiltinOperator_ADD, &Importer::add, "residual add", "two activations of one shape"},
    {Op::BuiltinOperator_AVERAGE_POOL_2D, &Importer::pool, "average pool", "padding same or valid"},
    {Op::BuiltinOperator_CONCATENATION, &Importer::concat, "a placement in memory",
     "along channels"},
    {Op::BuiltinOperator_CONV_2D, &Importer::conv, "convolution", kWindowConditions},
    {Op::BuiltinOperator_DEPTHWISE_CONV_2D, &Importer::conv, "convolution",
     "expanded to all channels"},
    {Op::BuiltinOperator_DEQUANTIZE, &Importer::dequantise, "nothing", "the last operator"},
    {Op::BuiltinOperator_EXPAND_DIMS, &Importer::rename, "nothing", ""},
    {Op::BuiltinOperator_FULLY_CONNECTED, &Importer::conv, "convolution whose kernel is the image",
     "constant matrix"},
    {Op::BuiltinOperator_MAX_POOL_2D, &Importer::pool, "max pool", "padding same or valid"},
    {Op::BuiltinOperator_MEAN, &Importer::mean, "sums in post, or an average pool",
     "over rows and columns"},
    {Op::BuiltinOperator_PAD, &Importer::pad, kPad, "constant"},
    {Op::BuiltinOperator_PADV2, &Importer::pad, kPad, "constant"},
    {Op::BuiltinOperator_QUANTIZE, &Importer::quantise,
     "a convolution that changes the scale, or nothing at the ends", ""},
    {Op::BuiltinOperator_RELU, &Importer::activation, kClamp, ""},
    {Op::BuiltinOperator_RELU6, &Importer::activation, kClamp, ""},
    {Op::BuiltinOperator_RELU_N1_TO_1, &Importer::activation, kClamp, ""},
    {Op::BuiltinOperator_RESHAPE, &Importer::rename, "nothing", "keeps the order of the axes"},
    {Op::BuiltinOperator_SOFTMAX, &Importer::softmax, "on the host", "the last operator"},
    {Op::BuiltinOperator_SQUEEZE, &Importer::rename, "nothing", ""},
});

}  // namespace

std::span<const LiteOperator> lite_operators() { return kOperators; }

const LiteOperator* find_lite_operator(lite::BuiltinOperator code) {
  const auto found = std::ranges::find(kOperators, code, &LiteOperator::code);
  return found == kOperators.end() ? nullptr : &*found;
}

}  // namespace espalier::import_
