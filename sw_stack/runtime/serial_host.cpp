#include "runtime/serial_host.hpp"

#include <algorithm>
#include <string>

#include "isa/generated/registers.hpp"
#include "base/integers.hpp"

namespace espalier::runtime {
namespace {

namespace reg = isa::reg;

constexpr std::size_t kMostHalfwords = 256;  // of one command
constexpr std::uint32_t kAlignment = 32;     // of base registers
constexpr std::uint32_t kWatchdog = 1U << 20;
constexpr int kPolls = 1 << 20;  // of STATUS, before the machine is given up
constexpr std::uint32_t kDone = 2, kFaulted = 4;
constexpr char kPlace[] = "serial port";

std::uint8_t low(std::uint32_t value) { return static_cast<std::uint8_t>(value); }

std::uint32_t aligned(std::uint64_t bytes) {
  return static_cast<std::uint32_t>(round_up(bytes, kAlignment));
}

}  // namespace

Status SerialHost::acknowledged() {
  std::array<std::uint8_t, 1> answer{};
  if (const Status s = port_->receive(answer); !s) return s;
  if (answer[0] == 'K') return {};
  return fail(ErrorCode::kDevice,
              "answered byte " + std::to_string(answer[0]) + " to a write, not 'K'", kPlace);
}

Status SerialHost::write_register(std::uint32_t offset, std::uint32_t value) {
  const std::array<std::uint8_t, 7> command = {'W',
                                               low(offset),
                                               low(offset >> 8),
                                               low(value),
                                               low(value >> 8),
                                               low(value >> 16),
                                               low(value >> 24)};
  if (const Status s = port_->send(command); !s) return s;
  return acknowledged();
}

Result<std::uint32_t> SerialHost::read_register(std::uint32_t offset) {
  const std::array<std::uint8_t, 3> command = {'R', low(offset), low(offset >> 8)};
  if (const Status s = port_->send(command); !s) return s.error();
  std::array<std::uint8_t, 4> bytes{};
  if (const Status s = port_->receive(bytes); !s) return s.error();
  return std::uint32_t{bytes[0]} | std::uint32_t{bytes[1]} << 8 | std::uint32_t{bytes[2]} << 16 |
         std::uint32_t{bytes[3]} << 24;
}

Status SerialHost::write_memory(std::uint32_t address, std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const std::size_t n = std::min(kMostHalfwords, (bytes.size() + 1) / 2);
    std::vector<std::uint8_t> command = {'w', low(address), low(address >> 8),
                                         low(static_cast<std::uint32_t>(n))};
    const auto part = bytes.first(std::min(bytes.size(), 2 * n));
    command.insert(command.end(), part.begin(), part.end());
    command.resize(4 + 2 * n);  // an odd last byte is followed by 0
    if (const Status s = port_->send(command); !s) return s;
    if (const Status s = acknowledged(); !s) return s;
    address += static_cast<std::uint32_t>(2 * n);
    bytes = bytes.subspan(part.size());
  }
  return {};
}

Status SerialHost::read_memory(std::uint32_t address, std::span<std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const std::size_t n = std::min(kMostHalfwords, (bytes.size() + 1) / 2);
    const std::array<std::uint8_t, 4> command = {'r', low(address), low(address >> 8),
                                                 low(static_cast<std::uint32_t>(n))};
    if (const Status s = port_->send(command); !s) return s;
    std::vector<std::uint8_t> data(2 * n);
    if (const Status s = port_->receive(data); !s) return s;
    const std::size_t taken = std::min(bytes.size(), data.size());
    std::copy_n(data.begin(), taken, bytes.begin());
    address += static_cast<std::uint32_t>(2 * n);
    bytes = bytes.subspan(taken);
  }
  return {};
}

Result<SerialHost> SerialHost::open(const program::Program& program, SerialPort& port,
                                    std::uint32_t memory) {
  SerialHost host(program, port);
  if (const Status s = host.prepare(memory); !s) return s.error();
  return host;
}

Status SerialHost::prepare(std::uint32_t memory) {
  const auto id = read_register(reg::kId);
  if (!id) return id.error();
  if (*id != reg::kIdValue) {
    return fail(ErrorCode::kMismatch, "is no Espalier: ID reads " + std::to_string(*id), kPlace);
  }
  const auto hash = read_register(reg::kConfigHash);
  if (!hash) return hash.error();
  if (*hash != program_->config.hash) {
    return fail(ErrorCode::kMismatch,
                "the machine is not configuration " + std::string(program_->config.name) +
                    " of the program",
                kPlace);
  }
  // Constants, instructions, activations, input, output.
  const std::uint32_t code = aligned(program_->constants.size());
  std::uint64_t at = aligned(code + program_->instructions.size());
  for (const auto& [region, size] :
       {std::pair{1U, program_->activation_bytes}, std::pair{2U, program_->input_bytes},
        std::pair{3U, program_->output_bytes}}) {
    base_[region] = static_cast<std::uint32_t>(at);
    at += aligned(size);
  }
  if (at > memory) {
    return fail(ErrorCode::kCapacity,
                "the program takes " + std::to_string(at) + " bytes of memory; the machine has " +
                    std::to_string(memory),
                kPlace);
  }
  if (const Status s = write_register(reg::kControl, 2); !s) return s;
  if (const Status s = write_memory(0, program_->constants); !s) return s;
  if (const Status s = write_memory(code, program_->instructions); !s) return s;
  const std::array<std::pair<std::uint32_t, std::uint32_t>, 13> registers = {{
      {reg::kProgramHash, program_->config.hash},
      {reg::kProgramAddress, code},
      {reg::kProgramWords, static_cast<std::uint32_t>(program_->instructions.size() / 16)},
      {reg::kBase0, 0},
      {reg::kBase0 + 4, base_[1]},
      {reg::kBase0 + 8, base_[2]},
      {reg::kBase0 + 12, base_[3]},
      {reg::kReadLow, 0},
      {reg::kReadHigh, static_cast<std::uint32_t>(at)},
      {reg::kWriteLow, base_[1]},
      {reg::kWriteHigh, static_cast<std::uint32_t>(at)},
      {reg::kWatchdog, kWatchdog},
      {reg::kIrqEnable, 3},
  }};
  for (const auto& [offset, value] : registers) {
    if (const Status s = write_register(offset, value); !s) return s;
  }
  return {};
}

Result<std::vector<std::int8_t>> SerialHost::run(std::span<const std::int8_t> image) {
  if (const Status s = write_memory(base_[2], program::pack_input(*program_, image)); !s)
    return s.error();
  if (const Status s = write_register(reg::kIrqStatus, 3); !s) return s.error();
  if (const Status s = write_register(reg::kControl, 1); !s) return s.error();
  bool done = false;
  for (int poll = 0; poll < kPolls && !done; ++poll) {
    const auto status = read_register(reg::kStatus);
    if (!status) return status.error();
    if ((*status & kFaulted) != 0) {
      const auto cause = read_register(reg::kFaultCause);
      if (!cause) return cause.error();
      const auto where = read_register(reg::kFaultAddress);
      if (!where) return where.error();
      return fail(ErrorCode::kDevice,
                  "fault " + std::string(isa::name(static_cast<isa::Fault>(*cause))) +
                      " of the instruction at byte " + std::to_string(*where),
                  kPlace);
    }
    done = (*status & kDone) != 0;
  }
  if (!done) return fail(ErrorCode::kDevice, "the machine is still busy", kPlace);
  const auto cycles = read_register(reg::kCountersBase);
  if (!cycles) return cycles.error();
  cycles_ = *cycles;
  for (const program::Placement& placement : program_->placements) {
    if (placement.tensor != program_->graph.output || placement.region != isa::Region::kOutput)
      continue;
    const auto& tensor = program_->graph.tensors[static_cast<std::size_t>(placement.tensor)];
    const int lanes = program_->machine().lanes;
    std::vector<std::uint8_t> bytes(program::blocked_bytes(tensor.shape, lanes));
    if (const Status s = read_memory(base_[3] + placement.offset, bytes); !s) return s.error();
    return program::unpack(tensor.shape, lanes, bytes);
  }
  return fail(ErrorCode::kMalformed, "the output is not stored", "placements");
}

}  // namespace espalier::runtime
