#include "fake_board.hpp"

#include <fcntl.h>
#include <pty.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "isa/generated/registers.hpp"

namespace espalier::tests {
namespace {

namespace reg = isa::reg;

constexpr std::size_t kSyncChars = 18;  // 0x, 16 digits

void* map_file(const std::string& path, std::size_t bytes) {
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  ESP_CHECK(file >= 0);
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ESP_CHECK(at != MAP_FAILED);
  close(file);
  return at;
}

int fifo(const std::string& path) {
  ESP_CHECK(mkfifo(path.c_str(), 0600) == 0);
  const int file = open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  ESP_CHECK(file >= 0);
  return file;
}

/// The whole writes that have arrived.
std::vector<FakeBoard::Sync> read_syncs(int file, std::string& text) {
  char part[4096];
  for (ssize_t n; (n = read(file, part, sizeof part)) > 0;)
    text.append(part, static_cast<std::size_t>(n));
  std::vector<FakeBoard::Sync> list;
  while (text.size() >= kSyncChars) {
    const std::uint64_t word = std::stoull(text.substr(0, kSyncChars), nullptr, 16);
    text.erase(0, kSyncChars);
    ESP_CHECK((word & 1U) == 1);
    list.push_back({static_cast<std::uint32_t>(word >> 32U),
                    static_cast<std::uint32_t>(word & 0xFFFFFFF0U),
                    static_cast<std::uint32_t>(word >> 2U & 3U)});
  }
  return list;
}

}  // namespace

FakeBoard::FakeBoard(const Options& options) : options_(options) {
  auto made = tb::make_simulation(*isa::find_config(options.config), {});
  ESP_CHECK(made.ok());
  machine_ = std::move(made).value();
  machine_->memory().assign(kAddress + options.buffer_bytes, 0xEE);

  for (std::uint32_t at = reg::kId; at <= reg::kFaultEngine; at += 4) offsets_.push_back(at);
  for (std::uint32_t i = 0; i < 2 * isa::kCounters; ++i)
    offsets_.push_back(reg::kCountersBase + 4 * i);
  shown_.resize(1024);

  (void)scratch_.write("dev/uio0", std::string(4096, '\0'));
  (void)scratch_.write("sys/class/uio/uio0/maps/map0/size", "0x00001000\n");
  (void)scratch_.write("dev/udmabuf0", std::string(options.buffer_bytes, '\0'));
  const std::string sysfs = "sys/class/u-dma-buf/udmabuf0/";
  (void)scratch_.write(sysfs + "size", std::to_string(options.buffer_bytes) + "\n");
  (void)scratch_.write(sysfs + "phys_addr", "0x00100000\n");
  if (options.cached) {
    to_device_ = fifo(path(sysfs + "sync_for_device"));
    to_cpu_ = fifo(path(sysfs + "sync_for_cpu"));
  }
  registers_ = static_cast<std::uint32_t*>(map_file(path("dev/uio0"), 4096));
  buffer_ = static_cast<std::uint8_t*>(map_file(path("dev/udmabuf0"), options.buffer_bytes));

  char name[256];
  termios raw{};
  cfmakeraw(&raw);
  ESP_CHECK(openpty(&terminal_, &slave_, name, &raw, nullptr) == 0);
  ESP_CHECK(fcntl(terminal_, F_SETFL, O_NONBLOCK) == 0);
  // A file at its end gives no event, as a UIO device without an interrupt.
  interrupt_path_ = options.interrupt ? name : scratch_.write("dev/no_interrupt", "");
  show_registers();
  thread_ = std::thread([this] { serve(); });
}

FakeBoard::~FakeBoard() {
  end_ = true;
  thread_.join();
  for (const int file : {terminal_, slave_, to_device_, to_cpu_}) {
    if (file >= 0) close(file);
  }
  munmap(registers_, 4096);
  munmap(buffer_, options_.buffer_bytes);
}

runtime::FpgaOptions FakeBoard::fpga() const {
  runtime::FpgaOptions options;
  options.uio = path("dev/uio0");
  options.buffer = path("dev/udmabuf0");
  options.interrupt = interrupt_path_;
  options.sysfs = path("sys");
  options.timeout = std::chrono::minutes(2);  // the machine is simulated
  return options;
}

std::vector<FakeBoard::Sync> FakeBoard::to_cpu() {
  for (const Sync& sync : to_cpu_ >= 0 ? read_syncs(to_cpu_, cpu_text_) : std::vector<Sync>())
    cpu_.push_back(sync);
  return cpu_;
}

bool FakeBoard::idle() { return (std::atomic_ref(registers_[reg::kStatus / 4]).load() & 1U) == 0; }

void FakeBoard::serve() {
  while (!end_) {
    serve_writes();
    if ((machine_->read_register(reg::kStatus) & 1U) != 0) {
      machine_->idle(500);
    } else {
      std::this_thread::yield();
    }
    show_registers();
    raise_interrupt();
  }
}

// The host writes CONTROL last and hands memory over before: so CONTROL is looked at first, and
// passed on last.
void FakeBoard::serve_writes() {
  const std::uint32_t control = std::atomic_ref(registers_[reg::kControl / 4]).load();
  if (options_.cached) serve_syncs();
  for (const std::uint32_t offset : offsets_) {
    if (offset == reg::kControl) continue;
    const std::uint32_t value = std::atomic_ref(registers_[offset / 4]).load();
    if (value == shown_[offset / 4]) continue;
    machine_->write_register(offset, value);
    shown_[offset / 4] = value;
  }
  if (control == 0) return;
  if (!options_.cached) {
    std::copy_n(buffer_, options_.buffer_bytes, machine_->memory().begin() + kAddress);
  }
  if (!options_.dead) machine_->write_register(reg::kControl, control);
  std::atomic_ref(registers_[reg::kControl / 4]).store(0);
}

void FakeBoard::serve_syncs() {
  for (const Sync& sync : read_syncs(to_device_, device_text_)) {
    ESP_CHECK(sync.offset + std::uint64_t{sync.bytes} <= options_.buffer_bytes);
    ESP_CHECK(sync.direction == 1);
    std::copy_n(buffer_ + sync.offset, sync.bytes,
                machine_->memory().begin() + kAddress + sync.offset);
  }
}

// IRQ_STATUS comes last: a host that sees an interrupt may look at everything else.
void FakeBoard::show_registers() {
  const std::uint32_t raised = machine_->read_register(reg::kIrqStatus);
  const bool line = (raised & machine_->read_register(reg::kIrqEnable)) != 0;
  if (line && !line_) {
    std::copy_n(machine_->memory().begin() + kAddress, options_.buffer_bytes, buffer_);
  }
  line_ = line;
  for (const std::uint32_t offset : offsets_) {
    if (offset == reg::kControl || offset == reg::kIrqStatus) continue;
    show(offset, machine_->read_register(offset));
  }
  show(reg::kIrqStatus, raised);
}

// A register that the host has written since it was last shown keeps what the host wrote.
void FakeBoard::show(std::uint32_t offset, std::uint32_t value) {
  std::uint32_t before = std::exchange(shown_[offset / 4], value);
  std::atomic_ref(registers_[offset / 4]).compare_exchange_strong(before, value);
}

void FakeBoard::raise_interrupt() {
  std::uint32_t word = 0;
  while (read(terminal_, &word, sizeof word) == sizeof word) enabled_ = word == 1;
  if (!line_ || !enabled_) return;
  enabled_ = false;
  const auto count = static_cast<std::uint32_t>(++raised_);
  ESP_CHECK(write(terminal_, &count, sizeof count) == sizeof count);
}

}  // namespace espalier::tests
