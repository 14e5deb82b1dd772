#pragma once
// The clock and the reset of one verilated block.

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "isa/instruction.hpp"
#include "verilated.h"

namespace espalier::tests {

template <typename Model>
class VerilatedBlock {
 public:
  VerilatedBlock() : top_(std::make_unique<Model>(&context_)) {}
  ~VerilatedBlock() { top_->final(); }

  Model& operator*() { return *top_; }
  Model* operator->() { return top_.get(); }

  /// For proofs that assertions can fail: `context().fatalOnError(false)`, then `gotError()`.
  VerilatedContext& context() { return context_; }

  /// Lets the outputs follow the inputs, without a clock edge.
  void settle() {
    top_->clk_i = 0;
    top_->eval();
  }
  /// The rising edge.
  void edge() {
    top_->clk_i = 1;
    top_->eval();
  }
  void reset() {
    top_->clear_i = 0;
    top_->rst_ni = 0;
    settle();
    edge();
    top_->rst_ni = 1;
    settle();
  }

 private:
  VerilatedContext context_;
  std::unique_ptr<Model> top_;
};

/// Puts an instruction's words on a port.
template <typename Port>
void put_instruction(Port& port, const isa::Instruction& instruction) {
  std::vector<std::uint8_t> bytes;
  isa::encode(instruction, bytes);
  std::memset(&port, 0, sizeof port);
  std::memcpy(&port, bytes.data(), std::min(sizeof port, bytes.size()));
}

}  // namespace espalier::tests
