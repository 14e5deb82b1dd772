#include "compiler/inspect.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/estimate.hpp"

namespace espalier::compiler {

std::string describe_layers(const program::Program& program) {
  const Estimate times = estimate(program);
  const double array = static_cast<double>(program.machine().lanes) * program.machine().lanes;
  std::size_t width = 5;
  for (const program::Layer& layer : program.layers)
    width = std::max(width, std::min<std::size_t>(layer.name.size(), 40));
  std::string text = fmt::format("{:>4} {:<{}} {:<13} {:>17} {:>13} {:>10} {:>6}\n", "", "layer",
                                 width, "op", "tile HxW, n, k", "MACs", "cycles", "used");
  const auto line = [&](const std::string& number, const std::string& name, const std::string& op,
                        const std::string& tile, std::int64_t macs, double cycles) {
    const double used = cycles > 0 ? 100 * static_cast<double>(macs) / (cycles * array) : 0;
    text += fmt::format("{:>4} {:<{}} {:<13} {:>17} {:>13} {:>10.0f} {:>5.1f}%\n", number, name,
                        width, op, tile, macs, cycles, used);
  };
  std::int64_t macs = 0;
  for (std::size_t i = 0; i < program.layers.size(); ++i) {
    const program::Layer& layer = program.layers[i];
    std::string tile;
    if (layer.tile.size() == 4) {
      tile =
          fmt::format("{}x{}, {}, {}", layer.tile[0], layer.tile[1], layer.tile[2], layer.tile[3]);
    }
    line(std::to_string(i), layer.name.substr(0, 40), layer.op, tile, layer.macs, times.layers[i]);
    macs += layer.macs;
  }
  line("", "all", "", "", macs, times.cycles);
  return text;
}

std::string describe_memory(const program::Program& program) {
  std::string text = fmt::format(
      "region 0 constants    {:>10} bytes, with {} of instructions\nregion 1 activations  {:>10} "
      "bytes\n"
      "region 2 input        {:>10} bytes\nregion 3 output       {:>10} bytes\n",
      program.constant_bytes(), program.instructions.size(), program.activation_bytes,
      program.input_bytes, program.output_bytes);
  for (const program::Placement& placement : program.placements) {
    const ir::QuantTensor& tensor =
        program.graph.tensors[static_cast<std::size_t>(placement.tensor)];
    text += fmt::format("  region {} {:#010x} {:>10} bytes  {} {}x{}x{}, whole after {} stores\n",
                        static_cast<unsigned>(placement.region), placement.offset,
                        program::blocked_bytes(tensor.shape, program.machine().lanes), tensor.name,
                        tensor.shape.c, tensor.shape.h, tensor.shape.w, placement.stores);
  }
  return text;
}

}  // namespace espalier::compiler
