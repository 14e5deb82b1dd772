#include <algorithm>

#include "program/chain.hpp"
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

Result<DevicePtr> make_rtl(const program::Program&, const DeviceOptions&, Masks) {
  return no_machine();
}
Result<LockstepResult> run_lockstep(const program::Program&, std::span<const std::int8_t>,
                                    const LockstepOptions&) {
  return no_machine();
}

#else

namespace {

/// Runs images in chains: one start, one interrupt, and no gap between them.
class RtlDevice final : public Device {
 public:
  RtlDevice(const program::Program& program, const DeviceOptions& options, Masks masks)
      : program_(program), options_(options), graph_(program.graph), masks_(std::move(masks)) {}

  /// Builds the machine for so many images at a time.
  Status prepare(std::size_t images) {
    if (chain_.images == images && host_ != nullptr) return {};
    auto chain = program::chain(program_, images);
    if (!chain) return chain.error();
    chain_ = std::move(chain).value();
    auto host = RtlHost::open(chain_.program, options_, *masks_);
    if (!host) return host.error();
    host_ = std::move(host).value();
    if (!masks_->empty()) host_->use(mask_);
    return {};
  }

  void use(std::size_t mask) override {
    mask_ = mask;
    if (host_ != nullptr) host_->use(mask);
  }
  [[nodiscard]] std::vector<Packing> packings() const override {
    return host_ == nullptr ? std::vector<Packing>{} : host_->packings();
  }

  [[nodiscard]] std::size_t batch() const override { return program::chain_length(program_); }

  Result<std::vector<Execution> > run(std::span<const std::int8_t> images,
                                      const Finished& finished) override {
    const auto size = static_cast<std::size_t>(ir::input_elements(graph_));
    const std::size_t count = images.size() / size;
    if (count == 0) return std::vector<Execution>{};
    auto together = run_chain(images, count, finished);
    if (together || count == 1) return together;
    // One by one, so that a fault names the image's instruction; or it was the chain's.
    for (std::size_t i = 0; i < count; ++i) {
      auto alone = run_chain(images.subspan(i * size, size), 1, {});
      if (!alone) return alone.error();
    }
    return together.error();
  }

 private:
  Result<std::vector<Execution> > run_chain(std::span<const std::int8_t> images, std::size_t count,
                                            const Finished& finished) {
    if (Status status = prepare(count); !status) return status.error();
    put_images(images);
    Capture capture(
        chain_.program, options_.keep_tensors,
        [this](isa::Region region) { return std::span<const std::uint8_t>(host_->bytes(region)); },
        count);
    if (!masks_->empty()) capture.use(&(*masks_)[mask_]);
    capture.start();
    const std::uint64_t stores = chain_.stores;
    std::size_t done = 0;
    std::optional<std::uint64_t> layer_table;
    const auto result = host_->run([&](isa::Engine engine, std::uint64_t retired) {
      // A program's layer table is its first LOAD.
      if (program_.maskable && engine == isa::Engine::kLoadW && retired == 1)
        layer_table = host_->simulation().cycle();
      capture.retired(engine, retired);
      if (engine == isa::Engine::kStore && retired == (done + 1) * stores && ++done < count) {
        host_->simulation().lap();
        if (finished) finished(done);
      }
      if (interrupted() != 0) host_->simulation().stop();
    });
    if (!result) return result.error();
    if (!result->stopped) done = count;
    std::vector<Execution> list(count);
    split(*result, list);
    for (std::size_t i = 0; i < count; ++i) {
      list[i].complete = i < done;
      capture.finish(i, list[i]);
    }
    list[0].timing->layer_table = layer_table;
    Execution sums;
    host_->measure(*result, sums);
    Execution& last = list[done == 0 ? 0 : done - 1];
    if (has_counters()) last.traffic = sums.traffic;
    last.timing->counters = sums.timing->counters;
    last.timing->cpu_seconds = sums.timing->cpu_seconds;
    if (finished && done == count) finished(count);
    return list;
  }

  /// Images where the program expects them, and poison where it must not look.
  void put_images(std::span<const std::int8_t> images) {
    std::ranges::fill(host_->bytes(isa::Region::kActivations), kPoison);
    std::ranges::fill(host_->bytes(isa::Region::kOutput), kPoison);
    const std::span<std::uint8_t> input = host_->bytes(isa::Region::kInput);
    const std::size_t size = images.size() / chain_.images;
    for (std::size_t i = 0; i < chain_.images; ++i) {
      std::ranges::copy(program::pack_input(program_, images.subspan(i * size, size)),
                        input.subspan(i * chain_.input_stride).begin());
    }
  }

  /// Each image's cycles: from the last store of the one before to its own; the last one's to the
  /// interrupt.
  void split(const tb::RunResult& result, std::vector<Execution>& list) const {
    tb::Lap before;
    before.cycles_by_layer.resize(program_.layers.size());
    for (std::size_t i = 0; i < list.size() && i <= result.laps.size(); ++i) {
      tb::Lap after =
          i < result.laps.size() ? result.laps[i] : tb::Lap{result.cycles, result.cycles_by_layer};
      after.cycles_by_layer.resize(program_.layers.size());
      Timing& timing = list[i].timing.emplace();
      timing.cycles = after.cycles - before.cycles;
      for (std::size_t l = 0; l < program_.layers.size(); ++l) {
        timing.cycles_by_layer.push_back(after.cycles_by_layer[l] - before.cycles_by_layer[l]);
      }
      if (has_counters()) list[i].traffic.emplace();
      before = std::move(after);
    }
  }

  /// Of beats; some machines count cycles only.
  [[nodiscard]] bool has_counters() const { return program_.machine().counters; }

  const program::Program& program_;
  DeviceOptions options_;
  const ir::QuantGraph& graph_;
  Masks masks_;
  std::size_t mask_ = 0;
  program::Chain chain_;
  std::unique_ptr<RtlHost> host_;
};

bool contains(const std::vector<std::string>& list, std::string_view wanted) {
  return std::ranges::find(list, wanted) != list.end();
}

}  // namespace

bool has_rtl(const isa::Config& config) {
  const isa::Config* known = isa::find_config(config.name);
  return known != nullptr && *known == config && contains(tb::fast_models(), config.name);
}
std::vector<std::string> wave_configs() { return tb::traced_models(); }

Result<DevicePtr> make_rtl(const program::Program& program, const DeviceOptions& options,
                           Masks masks) {
  auto device = std::make_unique<RtlDevice>(program, options, std::move(masks));
  if (Status status = device->prepare(1); !status) return status.error();
  return DevicePtr(std::move(device));
}

#endif

}  // namespace espalier::runtime
