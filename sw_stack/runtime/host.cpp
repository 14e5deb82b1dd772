#include "runtime/host.hpp"

#include <algorithm>
#include <cstdio>

#include "isa/generated/registers.hpp"
#include "runtime/devices.hpp"
#include "base/integers.hpp"

namespace espalier::runtime {
namespace {

namespace reg = isa::reg;

std::uint64_t paged(std::uint64_t bytes) { return round_up(bytes, kPage); }

}  // namespace

std::vector<std::uint8_t> constant_region(const program::Program& program) {
  std::vector<std::uint8_t> bytes = program.constants;
  bytes.resize(program.code_offset());
  bytes.insert(bytes.end(), program.instructions.begin(), program.instructions.end());
  return bytes;
}

Host::Host(const program::Program& program, Bus& bus, std::span<const program::Masked> masks)
    : program_(program),
      bus_(bus),
      masks_(masks),
      code_{program.code_offset(), program.instructions},
      size_{program.constant_bytes(), program.activation_bytes, program.input_bytes,
            program.output_bytes, program.constants.size()} {
  const auto take = [this](std::uint64_t bytes) {
    const std::uint64_t offset = total_;
    total_ += paged(bytes);
    return offset;
  };
  offset_[0] = offset_[4] = take(size_[0]);
  for (const program::Masked& masked : masks) {
    packs_.push_back({take(masked.packs.size()), masked.packs});
  }
  // What an image may write lies together, and behind it what packing does.
  for (const std::size_t region : {2U, 1U, 3U}) offset_[region] = take(size_[region]);
  first_mask_ = total_;
  for (const program::Masked& masked : masks) mask_offset_.push_back(take(masked.region_bytes()));
}

Result<std::unique_ptr<Host>> Host::open(const program::Program& program, Bus& bus,
                                         std::uint32_t watchdog,
                                         std::span<const program::Masked> masks) {
  if (Status status = driver::identify(bus, program.machine(), bus.place()); !status)
    return status.error();
  if (Status status = driver::make_ready(bus, bus.place()); !status) return status.error();
  std::unique_ptr<Host> host(new Host(program, bus, masks));
  if (Status status = host->setup(watchdog); !status) return status.error();
  return host;
}

Status Host::setup(std::uint32_t watchdog) {
  if (Status status = bus_.reserve(total_); !status) return status;
  std::ranges::copy(constant_region(program_), bytes(isa::Region::kConstants).begin());
  if (Status status = hand_over(isa::Region::kConstants); !status) return status;
  for (std::uint32_t region = 0; region < 4; ++region) {
    set(reg::kBase0 + 4 * region, base(static_cast<isa::Region>(region)));
  }
  if (program_.machine().mask_layers > 0 || program_.machine().fine > 0)
    set(reg::kBase4, base(isa::Region::kMask));
  set(reg::kReadLow, bus_.address());
  set(reg::kReadHigh, bus_.address() + total_);
  set(reg::kWatchdog, watchdog);
  set(reg::kProgramHash, program_.config.hash);
  set(reg::kIrqEnable, 3);
  for (std::size_t m = 0; m < masks_.size(); ++m) {
    if (Status status = pack(m); !status) return status;
  }
  if (!masks_.empty()) use(0);
  set_code(code_, offset_[1], first_mask_);
  return {};
}

void Host::set_code(const Code& code, std::uint64_t low, std::uint64_t high) {
  set(reg::kProgramAddress, bus_.address() + code.offset);
  set(reg::kProgramWords, code.bytes.size() / 16);
  set(reg::kWriteLow, bus_.address() + low);
  set(reg::kWriteHigh, bus_.address() + high);
}

void Host::use(std::size_t mask) {
  offset_[4] = mask_offset_[mask];
  size_[4] = masks_[mask].region_bytes();
  set(reg::kBase4, base(isa::Region::kMask));
}

Status Host::swap(std::vector<program::Bytes>& patch) {
  if (patch.empty()) return {};
  for (program::Bytes& part : patch) {
    std::ranges::swap_ranges(
        part.bytes, bytes(isa::Region::kConstants).subspan(part.offset, part.bytes.size()));
  }
  return hand_over(isa::Region::kConstants);
}

Status Host::pack(std::size_t mask) {
  use(mask);
  std::vector<program::Bytes> patch = masks_[mask].patch;
  if (Status status = swap(patch); !status) return status;
  std::ranges::copy(program::mask_region(masks_[mask], kPoison), bytes(isa::Region::kMask).begin());
  if (Status status = hand_over(isa::Region::kMask); !status) return status;
  if (masks_[mask].packs.empty()) return {};
  const Code& code = packs_[mask];
  std::ranges::copy(code.bytes, bus_.memory().subspan(code.offset).begin());
  if (Status status = bus_.to_machine(code.offset, paged(code.bytes.size())); !status)
    return status;
  set_code(code, mask_offset_[mask], mask_offset_[mask] + paged(size_[4]));
  // STOREs write into the mask's part of region 4 as region 1.
  set(reg::kBase0 + 4, base(isa::Region::kMask));
  const auto run = run_code(code);
  set(reg::kBase0 + 4, base(isa::Region::kActivations));
  if (!run) return run.error();
  if (Status status = swap(patch); !status) return status;
  packings_.push_back({masks_[mask].pack_count(), run->outcome.counter(isa::Counter::kCycles),
                       traffic(run->outcome)});
  return {};
}

Status Host::hand_over(isa::Region region) {
  const auto r = static_cast<std::size_t>(region);
  return bus_.to_machine(offset_[r], paged(size_[r]));
}

Status Host::fetch(isa::Region region) {
  const auto r = static_cast<std::size_t>(region);
  return bus_.from_machine(offset_[r], paged(size_[r]));
}

Status Host::put_image(std::span<const std::int8_t> image, bool poison) {
  std::ranges::copy(program::pack_input(program_, image), bytes(isa::Region::kInput).begin());
  if (Status status = hand_over(isa::Region::kInput); !status) return status;
  if (!poison) return {};
  for (const isa::Region region : {isa::Region::kActivations, isa::Region::kOutput}) {
    std::ranges::fill(bytes(region), kPoison);
    if (Status status = hand_over(region); !status) return status;
  }
  return {};
}

Result<Host::Run> Host::run() { return run_code(code_); }

Result<Host::Run> Host::run_code(const Code& code) {
  if (Status status = driver::make_ready(bus_, bus_.place()); !status) return status.error();
  if (Status status = bus_.arm(); !status) return status.error();
  driver::start(bus_);
  const Result<WaitEnd> end = bus_.wait();
  if (!end) return end.error();
  Run run{driver::outcome(bus_), *end == WaitEnd::kStopped};
  if (*end == WaitEnd::kTimeout) {
    char status[16];
    std::snprintf(status, sizeof status, "0x%X", bus_.read_register(reg::kStatus));
    return fail(ErrorCode::kDevice,
                "no interrupt in time; STATUS reads " + std::string(status) + " after " +
                    std::to_string(run.outcome.counter(isa::Counter::kCycles)) + " cycles",
                bus_.place());
  }
  if (run.outcome.fault != isa::Fault::kNone) return describe(run.outcome, code);
  return run;
}

Traffic Host::traffic(const driver::Outcome& outcome) const {
  const auto bus = static_cast<std::uint64_t>(program_.machine().bus_bytes);
  return {outcome.counter(isa::Counter::kReadBeats) * bus,
          outcome.counter(isa::Counter::kWriteBeats) * bus};
}

Diagnostic Host::describe(const driver::Outcome& outcome, const Code& code) const {
  std::string message = "fault " + std::string(isa::name(outcome.fault));
  if (outcome.fault_engine != 0) {
    message += " in " + std::string(isa::name(static_cast<isa::Engine>(outcome.fault_engine)));
  }
  std::size_t offset = 0, index = 0;
  while (offset < code.bytes.size()) {
    const std::size_t start = offset;
    const auto instruction = isa::decode(code.bytes, offset);
    ESP_CHECK(instruction.ok());
    if (bus_.address() + code.offset + start == outcome.fault_address) {
      message += ": " + isa::disassemble(*instruction);
      return fail(ErrorCode::kDevice, message, "instruction " + std::to_string(index));
    }
    ++index;
  }
  return fail(ErrorCode::kDevice, message, bus_.place());
}

}  // namespace espalier::runtime
