#include "runtime/capture.hpp"
#include "runtime/devices.hpp"
#include "runtime/fpga_bus.hpp"
#include "runtime/host.hpp"

namespace espalier::runtime {
namespace {

class FpgaDevice final : public Device {
 public:
  FpgaDevice(const program::Program& program, const DeviceOptions& options, Masks masks,
             std::unique_ptr<FpgaBus> bus, std::unique_ptr<Host> host)
      : program_(program),
        keep_(options.keep_tensors),
        masks_(std::move(masks)),
        bus_(std::move(bus)),
        host_(std::move(host)),
        capture_(program, options.keep_tensors, [this](isa::Region region) {
          return std::span<const std::uint8_t>(host_->bytes(region));
        }) {
    if (!masks_->empty()) capture_.use(&masks_->front());
  }

  void use(std::size_t mask) override {
    host_->use(mask);
    capture_.use(&(*masks_)[mask]);
  }
  [[nodiscard]] std::vector<Packing> packings() const override { return host_->packings(); }

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
    if (Status status = host_->put_image(image, keep_); !status) return status.error();
    capture_.start();
    const auto started = std::chrono::steady_clock::now();
    const auto run = host_->run();
    if (!run) return run.error();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - started;
    if (Status status = host_->fetch(isa::Region::kOutput); !status) return status.error();
    if (keep_) {
      if (Status status = host_->fetch(isa::Region::kActivations); !status) return status.error();
      if (!run->stopped) capture_.take_remaining();
    }
    Execution execution;
    execution.complete = !run->stopped;
    capture_.finish(0, execution);
    Timing timing;
    timing.cycles = run->outcome.counter(isa::Counter::kCycles);
    timing.counters = run->outcome.counters;
    timing.seconds = seconds.count();
    execution.timing = std::move(timing);
    execution.traffic = host_->traffic(run->outcome);
    return execution;
  }

  const program::Program& program_;
  bool keep_;
  Masks masks_;
  std::unique_ptr<FpgaBus> bus_;
  std::unique_ptr<Host> host_;
  Capture capture_;
};

}  // namespace

Result<DevicePtr> make_fpga(const program::Program& program, const DeviceOptions& options,
                            Masks masks) {
  auto bus = FpgaBus::open(options.fpga);
  if (!bus) return bus.error();
  auto host = Host::open(program, **bus, options.watchdog, *masks);
  if (!host) return host.error();
  return DevicePtr(std::make_unique<FpgaDevice>(program, options, std::move(masks),
                                                std::move(bus).value(), std::move(host).value()));
}

}  // namespace espalier::runtime
