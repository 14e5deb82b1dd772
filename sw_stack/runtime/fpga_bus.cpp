#include "runtime/fpga_bus.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include "isa/generated/registers.hpp"
#include "runtime/devices.hpp"
#include "runtime/interrupt.hpp"

namespace espalier::runtime {
namespace {

constexpr std::uint64_t kRegisterBytes = 4096;
constexpr std::uint64_t kAddressEnd = std::uint64_t{1} << 32;
constexpr std::chrono::milliseconds kSlice{50};  // between looks at IRQ_STATUS and at Ctrl-C
constexpr std::chrono::microseconds kPoll{100};  // the same without an interrupt
constexpr std::uint32_t kToDevice = 1, kFromDevice = 2;  // directions of u-dma-buf

std::string reason(int error) {
  if (error == ENOENT) return "there is no such device";
  if (error == EACCES || error == EPERM)
    return "permission denied; it must be readable and writable";
  return std::strerror(error);
}

/// What came before in program order is done, for CPU and devices alike.
void barrier() {
#if defined(__arm__) || defined(__aarch64__)
  asm volatile("dsb sy" ::: "memory");
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

/// The kernel's name of a device file: of /dev/board, a link to /dev/uio3, uio3.
std::string kernel_name(const std::string& path) {
  std::error_code error;
  const auto real = std::filesystem::canonical(path, error);
  return (error ? std::filesystem::path(path) : real).filename().string();
}

/// A file that holds one number, decimal or 0x. Errors: kIo, kMalformed.
Result<std::uint64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  if (!file || !std::getline(file, text)) {
    return fail(ErrorCode::kIo, "cannot be read", path);
  }
  char* end = nullptr;
  errno = 0;
  const std::uint64_t value = std::strtoull(text.c_str(), &end, 0);
  if (errno != 0 || end == text.c_str() || *end != '\0' || text[0] == '-') {
    return fail(ErrorCode::kMalformed, "`" + text + "` is not a number", path);
  }
  return value;
}

std::string hex(std::uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llX", static_cast<unsigned long long>(value));
  return text;
}

}  // namespace

Mapping::~Mapping() {
  if (!bytes_.empty()) munmap(bytes_.data(), bytes_.size());
}

Result<Mapping> Mapping::map(int file, std::uint64_t bytes, const std::string& path) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (at == MAP_FAILED) {
    return fail(ErrorCode::kIo,
                "cannot map " + std::to_string(bytes) + " bytes: " + std::strerror(errno), path);
  }
  Mapping mapping;
  mapping.bytes_ = {static_cast<std::uint8_t*>(at), bytes};
  return mapping;
}

File::~File() {
  if (descriptor_ >= 0) close(descriptor_);
}

Result<File> File::open(const std::string& path, int flags) {
  File file;
  file.descriptor_ = ::open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY);
  if (!file) return fail(ErrorCode::kIo, reason(errno), path);
  return file;
}

Result<std::unique_ptr<FpgaBus>> FpgaBus::open(const FpgaOptions& options) {
  std::unique_ptr<FpgaBus> bus(new FpgaBus(options));
  if (Status status = bus->open_registers(); !status) return status.error();
  if (Status status = bus->open_buffer(); !status) return status.error();
  return bus;
}

FpgaBus::~FpgaBus() {
  constexpr std::uint32_t kBusy = 1;
  if (started_ && (read_register(isa::reg::kStatus) & kBusy) != 0) {
    (void)driver::make_ready(*this, place());
  }
}

Status FpgaBus::open_registers() {
  auto file = File::open(options_.uio, O_RDWR | O_SYNC);
  if (!file) return file.error();
  const std::string map = options_.sysfs + "/class/uio/" + kernel_name(options_.uio) + "/maps/map0";
  const auto size = read_number(map + "/size");
  if (!size) return size.error();
  if (*size < kRegisterBytes) {
    return fail(ErrorCode::kCapacity,
                "maps " + std::to_string(*size) + " bytes of registers; the machine has " +
                    std::to_string(kRegisterBytes),
                options_.uio);
  }
  auto mapping = Mapping::map(file->get(), kRegisterBytes, options_.uio);
  if (!mapping) return mapping.error();
  registers_ = std::move(mapping).value();
  if (options_.interrupt.empty()) {
    interrupt_ = std::move(file).value();
  } else {
    auto other = File::open(options_.interrupt, O_RDWR);
    if (!other) return other.error();
    interrupt_ = std::move(other).value();
  }
  return {};
}

Status FpgaBus::open_buffer() {
  const std::string name = kernel_name(options_.buffer);
  // Until version 1.4.7 the class was called udmabuf.
  buffer_sysfs_ = options_.sysfs + "/class/u-dma-buf/" + name;
  if (const std::string old = options_.sysfs + "/class/udmabuf/" + name;
      !std::filesystem::exists(buffer_sysfs_) && std::filesystem::exists(old)) {
    buffer_sysfs_ = old;
  }
  const bool cached = std::filesystem::exists(buffer_sysfs_ + "/sync_for_device") &&
                      std::filesystem::exists(buffer_sysfs_ + "/sync_for_cpu");
  auto file = File::open(options_.buffer, O_RDWR | (cached ? 0 : O_SYNC));
  if (!file) return file.error();
  const auto size = read_number(buffer_sysfs_ + "/size");
  if (!size) return size.error();
  const auto address = read_number(buffer_sysfs_ + "/phys_addr");
  if (!address) return address.error();
  if (*address % kPage != 0 || *size > kAddressEnd || *address > kAddressEnd - *size) {
    return fail(ErrorCode::kCapacity,
                "lies at " + hex(*address) + " with " + hex(*size) +
                    " bytes; the machine reaches pages below " + hex(kAddressEnd),
                options_.buffer);
  }
  if (cached) {
    auto to = File::open(buffer_sysfs_ + "/sync_for_device", O_WRONLY);
    if (!to) return to.error();
    auto from = File::open(buffer_sysfs_ + "/sync_for_cpu", O_WRONLY);
    if (!from) return from.error();
    sync_for_device_ = std::move(to).value();
    sync_for_cpu_ = std::move(from).value();
  }
  auto mapping = Mapping::map(file->get(), *size, options_.buffer);
  if (!mapping) return mapping.error();
  memory_ = std::move(mapping).value();
  address_ = static_cast<std::uint32_t>(*address);
  return {};
}

void FpgaBus::write_register(std::uint32_t offset, std::uint32_t value) {
  barrier();
  *reinterpret_cast<volatile std::uint32_t*>(registers_.bytes().data() + offset) = value;
}

std::uint32_t FpgaBus::read_register(std::uint32_t offset) {
  const std::uint32_t value =
      *reinterpret_cast<volatile std::uint32_t*>(registers_.bytes().data() + offset);
  barrier();
  return value;
}

Status FpgaBus::reserve(std::uint64_t bytes) {
  if (bytes <= memory_.bytes().size()) return {};
  return fail(ErrorCode::kCapacity,
              "has " + std::to_string(memory_.bytes().size()) + " bytes; the program needs " +
                  std::to_string(bytes),
              options_.buffer);
}

Status FpgaBus::to_machine(std::uint64_t offset, std::uint64_t bytes) {
  return sync(sync_for_device_, "sync_for_device", offset, bytes, kToDevice);
}

Status FpgaBus::from_machine(std::uint64_t offset, std::uint64_t bytes) {
  return sync(sync_for_cpu_, "sync_for_cpu", offset, bytes, kFromDevice);
}

Status FpgaBus::sync(const File& file, const char* name, std::uint64_t offset, std::uint64_t bytes,
                     std::uint32_t direction) {
  barrier();
  if (!file || bytes == 0) return {};
  // One number: offset, size (a multiple of 16), direction, go.
  char text[24];
  const int length =
      std::snprintf(text, sizeof text, "0x%08X%08X", static_cast<unsigned>(offset),
                    static_cast<unsigned>(bytes & 0xFFFFFFF0U) | direction << 2U | 1U);
  if (write(file.get(), text, static_cast<std::size_t>(length)) == length) return {};
  return fail(ErrorCode::kIo, std::string("cannot write ") + text + ": " + std::strerror(errno),
              buffer_sysfs_ + "/" + name);
}

Status FpgaBus::arm() {
  started_ = true;
  if (!interrupt_) return {};
  const std::uint32_t enable = 1;
  if (write(interrupt_.get(), &enable, sizeof enable) == sizeof enable) return {};
  interrupt_ = File();  // a UIO device without an interrupt: poll
  return {};
}

Result<WaitEnd> FpgaBus::wait() {
  const auto end = std::chrono::steady_clock::now() + options_.timeout;
  while (true) {
    if (driver::interrupts(*this) != 0) return WaitEnd::kInterrupt;
    if (interrupted() != 0) return WaitEnd::kStopped;
    if (std::chrono::steady_clock::now() >= end) return WaitEnd::kTimeout;
    if (!interrupt_) {
      std::this_thread::sleep_for(kPoll);
      continue;
    }
    pollfd ready{interrupt_.get(), POLLIN, 0};
    const int count = poll(&ready, 1, static_cast<int>(kSlice.count()));
    if (count <= 0) continue;  // a look, or a signal
    std::uint32_t events = 0;
    if (read(interrupt_.get(), &events, sizeof events) != sizeof events) {
      interrupt_ = File();
    } else if (driver::interrupts(*this) == 0) {
      (void)arm();  // an old interrupt: the kernel has switched it off
    }
  }
}

}  // namespace espalier::runtime
