#include <algorithm>

#include "runtime/capture.hpp"
#include "runtime/devices.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/lockstep.hpp"

#ifdef ESPALIER_HAVE_RTL
#include "runtime/rtl_host.hpp"
#endif

namespace espalier::runtime {

#ifndef ESPALIER_HAVE_RTL

bool has_rtl(const isa::Config&) { return false; }
std::vector<std::string> wave_configs() { return {}; }

namespace {
Diagnostic no_machine() {
  return fail(ErrorCode::kUsage,
              "this build has no verilated machine; build with ESPALIER_RTL=ON, "
              "or take golden or iss",
              "device rtl");
}
}  // namespace

Result<DevicePtr> make_rtl(const program::Program&, const DeviceOptions&) { return no_machine(); }
Result<LockstepResult> run_lockstep(const program::Program&, std::span<const std::int8_t>,
                                    const LockstepOptions&) {
  return no_machine();
}

#else

namespace {

class RtlDevice final : public Device {
 public:
  RtlDevice(const program::Program& program, const DeviceOptions& options,
            std::unique_ptr<RtlHost> host)
      : program_(program),
        host_(std::move(host)),
        capture_(program, options.keep_tensors, [this](isa::Region region) {
          return std::span<const std::uint8_t>(host_->bytes(region));
        }) {}

  Result<std::vector<Execution> > run(std::span<const std::int8_t> images) override {
    const ir::QuantGraph& graph = program_.graph;
    const auto count = static_cast<std::size_t>(
        graph.tensors[static_cast<std::size_t>(graph.input)].shape.count());
    std::vector<Execution> list;
    for (std::size_t at = 0; at + count <= images.size(); at += count) {
      auto execution = run_one(images.subspan(at, count));
      if (!execution) return execution.error();
      list.push_back(std::move(execution).value());
    }
    return list;
  }

 private:
  Result<Execution> run_one(std::span<const std::int8_t> image) {
    host_->put_image(image);
    capture_.start();
    const auto result = host_->run([this](isa::Engine engine, std::uint64_t count) {
      capture_.retired(engine, count);
      if (interrupted()) host_->simulation().stop();
    });
    if (!result) return result.error();
    Execution execution;
    execution.complete = !result->stopped;
    capture_.finish(execution);
    host_->measure(*result, execution);
    return execution;
  }

  const program::Program& program_;
  std::unique_ptr<RtlHost> host_;
  Capture capture_;
};

bool contains(const std::vector<std::string>& list, std::string_view wanted) {
  return std::ranges::find(list, wanted) != list.end();
}

}  // namespace

bool has_rtl(const isa::Config& config) { return contains(tb::fast_models(), config.name); }
std::vector<std::string> wave_configs() { return tb::traced_models(); }

Result<DevicePtr> make_rtl(const program::Program& program, const DeviceOptions& options) {
  auto host = RtlHost::open(program, options);
  if (!host) return host.error();
  return DevicePtr(std::make_unique<RtlDevice>(program, options, std::move(host).value()));
}

#endif

}  // namespace espalier::runtime
