#include "runtime/device.hpp"

#include <algorithm>

#include "runtime/devices.hpp"

namespace espalier::runtime {
namespace {

constexpr std::array<DeviceKind, 4> kKinds = {DeviceKind::kGolden, DeviceKind::kIss,
                                              DeviceKind::kRtl, DeviceKind::kFpga};

/// Refuses what would not fit into this host's memory, however large a file says it is.
Status check_size(const program::Program& program, std::uint64_t mask_bytes) {
  std::uint64_t elements = 0;
  for (const auto& tensor : program.graph.tensors) elements += tensor.shape.count();
  const std::uint64_t memory = std::uint64_t{program.constant_bytes()} + program.activation_bytes +
                               program.input_bytes + program.output_bytes + mask_bytes;
  const std::uint64_t largest = std::max(elements, memory);
  if (largest <= kMemoryLimit) return {};
  return fail(ErrorCode::kCapacity, "needs " + std::to_string(largest) +
                                        " bytes of memory; the limit is " +
                                        std::to_string(kMemoryLimit));
}

}  // namespace

std::string_view name(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::kGolden:
      return "golden";
    case DeviceKind::kIss:
      return "iss";
    case DeviceKind::kRtl:
      return "rtl";
    case DeviceKind::kFpga:
      return "fpga";
  }
  return "unknown";
}

bool has_waves(std::string_view config) {
  const std::vector<std::string> traced = wave_configs();
  return std::ranges::find(traced, config) != traced.end();
}

std::optional<DeviceKind> find_device(std::string_view text) {
  for (const DeviceKind kind : kKinds) {
    if (name(kind) == text) return kind;
  }
  return std::nullopt;
}

const ir::QuantGraph& graph_of(const program::Program& program, const DeviceOptions& options,
                               std::size_t mask) {
  return options.graphs.empty() ? program.graph : options.graphs[mask];
}

Result<program::Masked> masked(const program::Program& program, const DeviceOptions& options,
                               std::size_t mask) {
  if (options.applied != nullptr) return (*options.applied)[mask];
  return program::apply_mask(program, options.masks[mask],
                             options.graphs.empty() ? nullptr : &options.graphs[mask]);
}

namespace {

/// What the resident masks make of the program; golden needs none of it.
Result<std::vector<program::Masked>> apply_all(const program::Program& program,
                                               const DeviceOptions& options, DeviceKind kind) {
  std::vector<program::Masked> list;
  for (std::size_t m = 0; kind != DeviceKind::kGolden && m < options.masks.size(); ++m) {
    auto made = masked(program, options, m);
    if (!made) return made.error();
    list.push_back(std::move(made).value());
  }
  return list;
}

}  // namespace

Result<std::vector<DevicePtr>> open(const program::Program& program, DeviceKind kind,
                                    const DeviceOptions& options, int count) {
  if (program.switchable && options.masks.empty() && kind != DeviceKind::kGolden) {
    DeviceOptions own = options;  // the environment of the graph as it is
    own.masks = {program::all_channels(program.graph)};
    return open(program, kind, own, count);
  }
  std::vector<std::shared_ptr<const golden::Runner>> runners;
  auto masks = options.applied;
  if (kind == DeviceKind::kGolden || masks == nullptr) {
    auto made = apply_all(program, options, kind);
    if (!made) return made.error();
    masks = std::make_shared<const std::vector<program::Masked>>(std::move(*made));
  }
  std::uint64_t mask_bytes = 0;
  for (const program::Masked& mask : *masks) mask_bytes += mask.region_bytes();
  if (kind == DeviceKind::kGolden) {
    for (std::size_t m = 0; m < options.masks.size(); ++m) {
      runners.push_back(
          std::make_shared<const golden::Runner>(graph_of(program, options, m), options.masks[m]));
    }
    if (runners.empty()) runners.push_back(std::make_shared<const golden::Runner>(program.graph));
  }
  if (const Status status = check_size(program, mask_bytes); !status) return status.error();
  std::vector<DevicePtr> devices;
  for (int i = 0; i < count; ++i) {
    switch (kind) {
      case DeviceKind::kGolden:
        devices.push_back(make_golden(program, options, runners));
        break;
      case DeviceKind::kIss: {
        auto device = make_iss(program, options, masks);
        if (!device) return device.error();
        devices.push_back(std::move(device).value());
        break;
      }
      case DeviceKind::kRtl: {
        DeviceOptions own = options;
        own.seed += static_cast<std::uint64_t>(i);
        auto device = make_rtl(program, own, masks);
        if (!device) return device.error();
        devices.push_back(std::move(device).value());
        break;
      }
      case DeviceKind::kFpga: {
        if (count > 1) {
          return fail(ErrorCode::kUsage,
                      "is one machine; " + std::to_string(count) + " are asked for",
                      options.fpga.uio);
        }
        auto device = make_fpga(program, options, masks);
        if (!device) return device.error();
        devices.push_back(std::move(device).value());
      }
    }
  }
  return devices;
}

std::uint64_t macs(const program::Layer& layer) {
  return layer.macs > 0 ? static_cast<std::uint64_t>(layer.macs) : 0;
}

std::uint64_t macs(const program::Program& program) {
  std::uint64_t sum = 0;
  for (const auto& layer : program.layers) sum += macs(layer);
  return sum;
}

}  // namespace espalier::runtime
