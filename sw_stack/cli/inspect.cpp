// `espalier inspect`: what a program file holds.

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <fmt/format.h>

#include <memory>
#include <optional>

#include "cli/commands.hpp"
#include "runtime/device.hpp"
#include "timing/timing.hpp"

namespace espalier::cli {
namespace {

struct InspectOptions {
  std::string program;
  bool disassemble = false, json = false;
};

constexpr const char* kFooter =
    "Shows the layers with their tiles and transfers, the memory map, and which tensors are "
    "stored\n"
    "where: memory is used again, so a tensor is whole once so many STOREs have retired.\n"
    "\n"
    "examples:\n"
    "  espalier inspect net.espl\n"
    "  espalier inspect net.espl --disassemble | less";

/// The instructions of one layer, counted.
struct LayerCount {
  std::uint64_t convs = 0, pools = 0, instructions = 0, loaded = 0, stored = 0;
};

template <typename Transfer>
std::uint64_t bytes_of(const Transfer& transfer, int lanes) {
  return std::uint64_t{transfer.x_words} * transfer.y_count * transfer.z_count *
         static_cast<std::uint64_t>(lanes);
}

std::vector<LayerCount> count_layers(const program::Program& program,
                                     const std::vector<isa::Instruction>& list) {
  std::vector<LayerCount> counts(program.layers.size());
  const int lanes = program.machine().lanes;
  for (const isa::Instruction& instruction : list) {
    LayerCount& count = counts[isa::layer(instruction)];
    ++count.instructions;
    if (std::holds_alternative<isa::Conv>(instruction)) ++count.convs;
    if (std::holds_alternative<isa::Pool>(instruction)) ++count.pools;
    if (const auto* load = std::get_if<isa::Load>(&instruction))
      count.loaded += bytes_of(*load, lanes);
    if (const auto* store = std::get_if<isa::Store>(&instruction))
      count.stored += bytes_of(*store, lanes);
  }
  return counts;
}

std::string tile_text(const std::vector<int>& tile) {
  return tile.empty() ? "-" : fmt::format("{}", fmt::join(tile, "x"));
}

std::string shape_text(const ir::Shape& shape) {
  return fmt::format("{}x{}x{}", shape.c, shape.h, shape.w);
}

std::string cycles_text(std::int64_t cycles) { return grouped(static_cast<std::uint64_t>(cycles)); }

std::string skipped_text(const timing::LayerEstimate& layer) {
  if (layer.tiles == 0) return "-";
  return fmt::format("{:.1f} %", 100 * static_cast<double>(layer.tiles_skipped()) /
                                     static_cast<double>(layer.tiles));
}

class Inspection {
 public:
  /// Without an estimate where the configuration has no timing model.
  Inspection(const program::Program& program, std::optional<timing::Estimate> estimate)
      : program_(program),
        list_(program::decode_all(program)),
        counts_(count_layers(program, list_)),
        estimate_(std::move(estimate)) {}

  [[nodiscard]] Json json(bool disassemble) const {
    Json json;
    json["network"] = program_.graph.name;
    json["config"] = program_.config;
    json["fingerprint"] = fmt::format("{:016x}", program::fingerprint(program_));
    json["instructions"] = list_.size();
    json["macs_per_image"] = runtime::macs(program_);
    json["estimated_cycles"] = estimate_ ? Json(estimate_->cycles) : Json();
    json["host_ops"] = program_.graph.host_ops;
    json["input"] = tensor_json(program_.graph.input);
    json["output"] = tensor_json(program_.graph.output);
    json["layers"] = Json::array();
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      const program::Layer& layer = program_.layers[i];
      const LayerCount& count = counts_[i];
      json["layers"].push_back(
          {{"name", layer.name},
           {"op", layer.op},
           {"macs", runtime::macs(layer)},
           {"tile", layer.tile},
           {"convs", count.convs},
           {"pools", count.pools},
           {"instructions", count.instructions},
           {"bytes_loaded", count.loaded},
           {"bytes_stored", count.stored},
           {"tiles", estimate_ ? estimate_->layers[i].tiles : 0},
           {"tiles_skipped", estimate_ ? estimate_->layers[i].tiles_skipped() : 0},
           {"estimated_cycles", estimate_ ? Json(estimate_->layers[i].cycles) : Json()}});
    }
    json["memory"] = {
        {"constants", program_.constants.size()}, {"code_offset", program_.code_offset()},
        {"code", program_.instructions.size()},   {"activations", program_.activation_bytes},
        {"input", program_.input_bytes},          {"output", program_.output_bytes}};
    json["tensors"] = Json::array();
    for (const program::Placement& placement : program_.placements) {
      Json item = tensor_json(placement.tensor);
      item["region"] = static_cast<int>(placement.region);
      item["offset"] = placement.offset;
      item["bytes"] = bytes(placement);
      item["stores"] = placement.stores;
      json["tensors"].push_back(std::move(item));
    }
    if (!disassemble) return json;
    json["disassembly"] = Json::array();
    for (const isa::Instruction& instruction : list_)
      json["disassembly"].push_back(isa::disassemble(instruction));
    return json;
  }

  void print() const {
    fmt::print("{} for {} ({} x {} array), fingerprint {:016x}\n", printable(program_.graph.name),
               program_.config, program_.machine().lanes, program_.machine().lanes,
               program::fingerprint(program_));
    print_end("input", program_.graph.input);
    print_end("output", program_.graph.output);
    const ir::Preprocess& preprocess = program_.graph.preprocess;
    if (preprocess.mean.empty()) {
      fmt::print("  pixels  0..255 as they are\n");
    } else {
      fmt::print("  pixels  (pixel/255 - mean) / std, mean {}, std {}\n",
                 fmt::join(preprocess.mean, ","), fmt::join(preprocess.std, ","));
    }
    for (const std::string& op : program_.graph.host_ops)
      fmt::print("  host    {}\n", printable(op));
    print_layers();
    print_memory();
  }

  void print_code() const {
    fmt::print("\ninstructions\n");
    std::size_t offset = 0;
    for (std::size_t i = 0; i < list_.size(); ++i) {
      fmt::print("{:6}  {:08x}  {}\n", i, program_.code_offset() + offset,
                 isa::disassemble(list_[i]));
      const auto decoded = isa::decode(program_.instructions, offset);
      ESP_CHECK(decoded.ok());
    }
  }

 private:
  [[nodiscard]] const ir::QuantTensor& tensor(int id) const {
    return program_.graph.tensors[static_cast<std::size_t>(id)];
  }
  [[nodiscard]] std::uint32_t bytes(const program::Placement& placement) const {
    return program::blocked_bytes(tensor(placement.tensor).shape, program_.machine().lanes);
  }
  [[nodiscard]] Json tensor_json(int id) const {
    const ir::QuantTensor& t = tensor(id);
    return {{"name", t.name},
            {"shape", {t.shape.c, t.shape.h, t.shape.w}},
            {"scale", t.quant.scale},
            {"zero", t.quant.zero}};
  }
  void print_end(const char* what, int id) const {
    const ir::QuantTensor& t = tensor(id);
    fmt::print("  {:<7} {}  {}, scale {}, zero {}\n", what, printable(t.name), shape_text(t.shape),
               t.quant.scale, t.quant.zero);
  }

  void print_layers() const {
    fmt::print(
        "\nlayers (tile: rows x columns x output blocks x input blocks; skipped: zero tiles of "
        "weights)\n");
    Table table({"#", "layer", "operator", "MACs", "tile", "convs", "pools", "instructions",
                 "loaded", "stored", "skipped", "about cycles"});
    LayerCount sum;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      const program::Layer& layer = program_.layers[i];
      const LayerCount& count = counts_[i];
      table.add({std::to_string(i), printable(layer.name), printable(layer.op),
                 grouped(runtime::macs(layer)), tile_text(layer.tile), std::to_string(count.convs),
                 std::to_string(count.pools), std::to_string(count.instructions),
                 bytes_text(count.loaded), bytes_text(count.stored),
                 estimate_ ? skipped_text(estimate_->layers[i]) : "-",
                 estimate_ ? cycles_text(estimate_->layers[i].cycles) : "-"});
      sum.convs += count.convs;
      sum.pools += count.pools;
      sum.instructions += count.instructions;
      sum.loaded += count.loaded;
      sum.stored += count.stored;
    }
    table.add({"", "all", "", grouped(runtime::macs(program_)), "", std::to_string(sum.convs),
               std::to_string(sum.pools), std::to_string(sum.instructions), bytes_text(sum.loaded),
               bytes_text(sum.stored), "", estimate_ ? cycles_text(estimate_->cycles) : "-"});
    table.print();
  }

  void print_memory() const {
    fmt::print("\nmemory map\n");
    Table regions({"region", "holds", "from", "bytes"});
    const auto row = [&regions](int region, const char* what, std::uint64_t from,
                                std::uint64_t size) {
      regions.add({std::to_string(region), what, fmt::format("0x{:08x}", from), grouped(size)});
    };
    row(0, "constants", 0, program_.constants.size());
    row(0, "instructions", program_.code_offset(), program_.instructions.size());
    row(1, "activations", 0, program_.activation_bytes);
    row(2, "input", 0, program_.input_bytes);
    row(3, "output", 0, program_.output_bytes);
    regions.print();
    fmt::print("\nstored tensors\n");
    Table tensors({"region", "from", "bytes", "stores", "shape", "tensor"});
    for (const program::Placement& placement : program_.placements) {
      const ir::QuantTensor& t = tensor(placement.tensor);
      tensors.add({std::to_string(static_cast<int>(placement.region)),
                   fmt::format("0x{:08x}", placement.offset), grouped(bytes(placement)),
                   std::to_string(placement.stores), shape_text(t.shape), printable(t.name)});
    }
    tensors.print();
  }

  const program::Program& program_;
  std::vector<isa::Instruction> list_;
  std::vector<LayerCount> counts_;
  std::optional<timing::Estimate> estimate_;
};

int inspect(const InspectOptions& options) {
  const auto program = program::load(options.program);
  if (!program) return complain(program.error());
  std::optional<timing::Estimate> times;
  if (!program->machine().compact) {
    auto estimate = timing::estimate(*program);
    if (!estimate) return complain(estimate.error());
    times = std::move(estimate).value();
  }
  const Inspection inspection(*program, std::move(times));
  if (options.json) {
    print_json(inspection.json(options.disassemble));
    return kOk;
  }
  inspection.print();
  if (options.disassemble) inspection.print_code();
  return kOk;
}

}  // namespace

void add_inspect(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command =
      app.add_subcommand("inspect", "show a program's layers, tiles, instructions and memory map");
  command->footer(kFooter);
  command->add_option("PROGRAM", options->program, "program file that `compile` wrote")
      ->type_name("FILE")
      ->required();
  command->add_flag("--disassemble", options->disassemble, "list every instruction");
  command->add_flag("--json", options->json, "print as JSON");
  command->callback([options, &chosen] { chosen = [options] { return inspect(*options); }; });
}

}  // namespace espalier::cli
