#include "report/inspect.hpp"

#include <fmt/ranges.h>

#include "report/json.hpp"
#include "report/text.hpp"
#include "runtime/device.hpp"

namespace espalier::report {
namespace {

std::string tile_text(const std::vector<int>& tile) {
  return tile.empty() ? "-" : fmt::format("{}", fmt::join(tile, "x"));
}

std::string shape_text(const ir::Shape& shape) {
  return fmt::format("{}x{}x{}", shape.c, shape.h, shape.w);
}

std::string skipped_text(const timing::LayerEstimate& layer) {
  if (layer.tiles == 0) return "-";
  return fmt::format("{:.1f} %", 100 * static_cast<double>(layer.tiles_skipped()) /
                                     static_cast<double>(layer.tiles));
}

class Report {
 public:
  explicit Report(const flows::Inspection& inspection)
      : inspection_(inspection),
        program_(inspection.program),
        list_(inspection.instructions),
        counts_(inspection.layers),
        estimate_(inspection.estimate) {}

  [[nodiscard]] Json json(bool disassemble) const {
    Json json;
    json["network"] = program_.graph.name;
    json["config"] = program_.config.name.view();
    json["fingerprint"] = fingerprint_text(inspection_.fingerprint);
    json["instructions"] = list_.size();
    json["macs_per_image"] = runtime::macs(program_);
    json["estimated_cycles"] = estimate_ ? Json(estimate_->cycles) : Json();
    json["host_ops"] = program_.graph.host_ops;
    json["input"] = tensor_json(program_.graph.input);
    json["output"] = tensor_json(program_.graph.output);
    json["layers"] = Json::array();
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      const program::Layer& layer = program_.layers[i];
      const flows::Inspection::Layer& count = counts_[i];
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

  void add_all(Page& page) const {
    page.add("{} for {} ({} x {} array), fingerprint {:016x}\n", printable(program_.graph.name),
             program_.config.name.view(), program_.machine().lanes, program_.machine().lanes,
             inspection_.fingerprint);
    add_end(page, "input", program_.graph.input);
    add_end(page, "output", program_.graph.output);
    const ir::Preprocess& preprocess = program_.graph.preprocess;
    if (preprocess.mean.empty()) {
      page.add("  pixels  0..255 as they are\n");
    } else {
      page.add("  pixels  (pixel/255 - mean) / std, mean {}, std {}\n",
               fmt::join(preprocess.mean, ","), fmt::join(preprocess.std, ","));
    }
    for (const std::string& op : program_.graph.host_ops) page.add("  host    {}\n", printable(op));
    add_layers(page);
    add_memory(page);
  }

  void add_code(Page& page) const {
    page.add("\ninstructions\n");
    std::size_t offset = 0;
    for (std::size_t i = 0; i < list_.size(); ++i) {
      page.add("{:6}  {:08x}  {}\n", i, program_.code_offset() + offset,
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
  void add_end(Page& page, const char* what, int id) const {
    const ir::QuantTensor& t = tensor(id);
    page.add("  {:<7} {}  {}, scale {}, zero {}\n", what, printable(t.name), shape_text(t.shape),
             t.quant.scale, t.quant.zero);
  }

  void add_layers(Page& page) const {
    page.add(
        "\nlayers (tile: rows x columns x output blocks x input blocks; skipped: zero tiles of "
        "weights)\n");
    Table table({"#", "layer", "operator", "MACs", "tile", "convs", "pools", "instructions",
                 "loaded", "stored", "skipped", "about cycles"});
    flows::Inspection::Layer sum;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      const program::Layer& layer = program_.layers[i];
      const flows::Inspection::Layer& count = counts_[i];
      table.add({std::to_string(i), printable(layer.name), printable(layer.op),
                 grouped(runtime::macs(layer)), tile_text(layer.tile), std::to_string(count.convs),
                 std::to_string(count.pools), std::to_string(count.instructions),
                 bytes_text(count.loaded), bytes_text(count.stored),
                 estimate_ ? skipped_text(estimate_->layers[i]) : "-",
                 estimate_ ? grouped(estimate_->layers[i].cycles) : "-"});
      sum.convs += count.convs;
      sum.pools += count.pools;
      sum.instructions += count.instructions;
      sum.loaded += count.loaded;
      sum.stored += count.stored;
    }
    table.add({"", "all", "", grouped(runtime::macs(program_)), "", std::to_string(sum.convs),
               std::to_string(sum.pools), std::to_string(sum.instructions), bytes_text(sum.loaded),
               bytes_text(sum.stored), "", estimate_ ? grouped(estimate_->cycles) : "-"});
    page.add(table);
  }

  void add_memory(Page& page) const {
    page.add("\nmemory map\n");
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
    page.add(regions);
    page.add("\nstored tensors\n");
    Table tensors({"region", "from", "bytes", "stores", "shape", "tensor"});
    for (const program::Placement& placement : program_.placements) {
      const ir::QuantTensor& t = tensor(placement.tensor);
      tensors.add({std::to_string(static_cast<int>(placement.region)),
                   fmt::format("0x{:08x}", placement.offset), grouped(bytes(placement)),
                   std::to_string(placement.stores), shape_text(t.shape), printable(t.name)});
    }
    page.add(tensors);
  }

  const flows::Inspection& inspection_;
  const program::Program& program_;
  const std::vector<isa::Instruction>& list_;
  const std::vector<flows::Inspection::Layer>& counts_;
  const std::optional<timing::Estimate>& estimate_;
};

}  // namespace

Json to_json(const flows::Inspection& inspection, bool disassemble) {
  return Report(inspection).json(disassemble);
}

std::string text(const flows::Inspection& inspection, bool disassemble) {
  const Report report(inspection);
  Page page;
  report.add_all(page);
  if (disassemble) report.add_code(page);
  return std::move(page).text();
}

}  // namespace espalier::report
