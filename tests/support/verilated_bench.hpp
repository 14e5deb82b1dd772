#pragma once
// A verilated block under test: its clock, its reset, and its wide ports as words of any width.

#include <verilated.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <type_traits>
#include <vector>

namespace espalier::tests {

/// Word `index` (32 bits) of a port, whatever type Verilator gave it.
template <typename Port>
std::uint32_t port_word(const Port& port, std::size_t index) {
  if constexpr (std::is_integral_v<Port>) {
    return static_cast<std::uint32_t>(static_cast<std::uint64_t>(port) >> (32 * index));
  } else {
    return port[index];
  }
}

template <typename Port>
void set_port_word(Port& port, std::size_t index, std::uint32_t value) {
  if constexpr (std::is_integral_v<Port>) {
    const std::uint64_t mask = std::uint64_t{0xFFFFFFFF} << (32 * index);
    port = static_cast<Port>((static_cast<std::uint64_t>(port) & ~mask) |
                             (static_cast<std::uint64_t>(value) << (32 * index)));
  } else {
    port[index] = value;
  }
}

/// Byte `index` of a port, signed.
template <typename Port>
std::int8_t port_byte(const Port& port, std::size_t index) {
  return static_cast<std::int8_t>(port_word(port, index / 4) >> (8 * (index % 4)));
}

template <typename Port>
void set_port_byte(Port& port, std::size_t index, std::int8_t value) {
  const unsigned shift = 8 * (index % 4);
  const std::uint32_t rest = port_word(port, index / 4) & ~(std::uint32_t{0xFF} << shift);
  set_port_word(port, index / 4,
                rest | (static_cast<std::uint32_t>(static_cast<std::uint8_t>(value)) << shift));
}

/// A port from little-endian bytes.
template <typename Port>
void set_port_bytes(Port& port, std::span<const std::uint8_t> bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    set_port_byte(port, i, static_cast<std::int8_t>(bytes[i]));
  }
}

/// One model with ports clk_i, rst_ni and clear_i, out of reset. Inputs are set between ticks;
/// before a tick settle() brings the outputs that depend on them up to date.
template <typename Model>
class VerilatedBench {
 public:
  VerilatedBench() : context_(std::make_unique<VerilatedContext>()) {
    model_ = std::make_unique<Model>(context_.get(), "");
    model_->clk_i = 0;
    model_->clear_i = 0;
    model_->rst_ni = 1;
    model_->eval();
    model_->rst_ni = 0;  // an edge
    model_->eval();
    tick();
    model_->rst_ni = 1;
    model_->eval();
  }
  VerilatedBench(const VerilatedBench&) = delete;
  VerilatedBench& operator=(const VerilatedBench&) = delete;
  ~VerilatedBench() { model_->final(); }

  Model* operator->() { return model_.get(); }
  Model& operator*() { return *model_; }
  [[nodiscard]] std::uint64_t cycle() const { return cycle_; }

  void settle() { model_->eval(); }

  /// One rising edge.
  void tick() {
    model_->clk_i = 1;
    model_->eval();
    model_->clk_i = 0;
    model_->eval();
    ++cycle_;
  }

 private:
  std::unique_ptr<VerilatedContext> context_;
  std::unique_ptr<Model> model_;
  std::uint64_t cycle_ = 0;
};

/// Draws of a random test.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t bits() { return engine_(); }
  std::uint32_t word() { return static_cast<std::uint32_t>(engine_() >> 32); }
  /// Uniform in [low, high].
  int range(int low, int high) {
    return low + static_cast<int>(bits() % (static_cast<std::uint64_t>(high - low) + 1));
  }
  bool chance(double probability) {
    return static_cast<double>(bits() >> 11) * 0x1p-53 < probability;
  }
  std::int8_t byte() { return static_cast<std::int8_t>(word()); }

 private:
  std::mt19937_64 engine_;
};

}  // namespace espalier::tests
