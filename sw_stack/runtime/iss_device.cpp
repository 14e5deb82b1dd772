#include <algorithm>

#include "isa/clip.hpp"
#include "iss/run.hpp"
#include "runtime/capture.hpp"
#include "runtime/devices.hpp"

namespace espalier::runtime {
namespace {

/// Bytes that a program moves: the simulator has no bus to count them on.
Traffic count_traffic(const program::Program& program, std::span<const isa::Instruction> list) {
  const auto lanes = static_cast<std::uint64_t>(program.machine().lanes);
  Traffic traffic;
  const auto bus = static_cast<std::uint64_t>(program.machine().bus_bytes);  // whole beats
  traffic.read = (program.instructions.size() + bus - 1) / bus * bus;
  for (const isa::Instruction& instruction : list) {
    if (const auto* load = std::get_if<isa::Load>(&instruction)) {
      traffic.read += std::uint64_t{load->x_words} * load->y_count * load->z_count * lanes;
    } else if (const auto* store = std::get_if<isa::Store>(&instruction)) {
      traffic.written += std::uint64_t{store->x_words} * store->y_count * store->z_count * lanes;
    }
  }
  return traffic;
}

class IssDevice final : public Device {
 public:
  IssDevice(const program::Program& program, const DeviceOptions& options, Masks masks)
      : program_(program),
        options_{options.order_seed},
        instructions_(program::decode_all(program)),
        masks_(std::move(masks)),
        regions_{constant_region(program), std::vector<std::uint8_t>(program.activation_bytes),
                 std::vector<std::uint8_t>(program.input_bytes),
                 std::vector<std::uint8_t>(program.output_bytes), program.constants},
        capture_(program, options.keep_tensors, [this](isa::Region region) {
          return std::span<const std::uint8_t>(regions_[static_cast<std::size_t>(region)]);
        }) {}

  /// Packs the weights for each mask.
  Status prepare() {
    for (const program::Masked& masked : *masks_) {
      regions_[4].clear();
      if (Status status = iss::pack(program_, masked, regions_, options_); !status) return status;
      images_.push_back(std::move(regions_[4]));
      if (!masked.packs.empty()) packings_.push_back({masked.pack_count(), {}, {}});
    }
    regions_[4] = program_.constants;
    for (std::size_t m = 0; m < std::max<std::size_t>(1, masks_->size()); ++m) {
      const auto list =
          isa::clip_all(instructions_, masks_->empty() ? program_.constants : (*masks_)[m].table,
                        program_.machine());
      if (!list) return list.error();
      traffic_.push_back(count_traffic(program_, *list));
    }
    if (!masks_->empty()) use(0);
    return {};
  }

  void use(std::size_t mask) override {
    // The image in use stands in its region.
    if (in_use_) regions_[4].swap(images_[mask_]);
    mask_ = mask;
    in_use_ = true;
    regions_[4].swap(images_[mask_]);
    capture_.use(&(*masks_)[mask_]);
  }
  [[nodiscard]] std::vector<Packing> packings() const override { return packings_; }

  Result<std::vector<Execution>> run(std::span<const std::int8_t> images,
                                     const Finished& finished) override {
    const ir::QuantGraph& graph = program_.graph;
    const auto count = static_cast<std::size_t>(ir::input_elements(graph));
    std::vector<Execution> list;
    for (std::size_t at = 0; at + count <= images.size(); at += count) {
      auto execution = run_one(images.subspan(at, count));
      if (!execution) return execution.error();
      list.push_back(std::move(execution).value());
      if (finished) finished(list.size());
    }
    return list;
  }

 private:
  Result<Execution> run_one(std::span<const std::int8_t> image) {
    std::ranges::fill(regions_[1], kPoison);
    regions_[2] = program::pack_input(program_, image);
    std::ranges::fill(regions_[3], kPoison);
    capture_.start();
    iss::Iss machine(program_.machine(), options_);
    const Status status = machine.run(
        instructions_, regions_,
        [this](isa::Engine engine, std::uint64_t count) { capture_.retired(engine, count); });
    if (!status) return status.error();
    Execution execution;
    capture_.finish(0, execution);
    execution.traffic = traffic_[mask_];
    return execution;
  }

  const program::Program& program_;
  iss::Options options_;
  std::vector<isa::Instruction> instructions_;
  Masks masks_;
  std::vector<Traffic> traffic_;                   // by mask
  std::vector<std::vector<std::uint8_t>> images_;  // of region 4, by mask
  std::vector<Packing> packings_;
  std::size_t mask_ = 0;
  bool in_use_ = false;
  iss::Regions regions_;
  Capture capture_;
};

}  // namespace

Result<DevicePtr> make_iss(const program::Program& program, const DeviceOptions& options,
                           Masks masks) {
  auto device = std::make_unique<IssDevice>(program, options, std::move(masks));
  if (Status status = device->prepare(); !status) return status.error();
  return DevicePtr(std::move(device));
}

}  // namespace espalier::runtime
