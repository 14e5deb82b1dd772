// esp_regs alone: a reset by CONTROL, written in any cycle after a start, ends the program.

#include "Vrtl_regs.h"
#include "catch.hpp"
#include "isa/generated/registers.hpp"
#include "verilated.h"

using namespace espalier;

namespace {

class RegsTester {
 public:
  RegsTester() : top_(std::make_unique<Vrtl_regs>(&context_)) {
    top_->s_axil_bready_i = top_->s_axil_rready_i = 1;
    top_->quiet_i = 1;
    top_->rst_ni = 0;
    clock();
    clock();
    top_->rst_ni = 1;
    clock();
  }
  ~RegsTester() { top_->final(); }

  /// A cycle; what `running_o` was in it.
  bool clock() {
    top_->clk_i = 0;
    top_->eval();
    const bool running = top_->running_o;
    clears_ += top_->clear_o;
    top_->clk_i = 1;
    top_->eval();
    return running;
  }
  /// Writes in the first cycle that takes it, and no more cycles than that.
  void write(std::uint32_t offset, std::uint32_t value) {
    top_->s_axil_awaddr_i = static_cast<std::uint16_t>(offset);
    top_->s_axil_wdata_i = value;
    top_->s_axil_wstrb_i = 0xF;
    top_->s_axil_awvalid_i = top_->s_axil_wvalid_i = 1;
    for (bool taken = false; !taken;) {
      top_->clk_i = 0;
      top_->eval();
      taken = top_->s_axil_awready_o;
      clock();
    }
    top_->s_axil_awvalid_i = top_->s_axil_wvalid_i = 0;
  }
  std::uint32_t status() {
    top_->s_axil_araddr_i = isa::reg::kStatus;
    top_->s_axil_arvalid_i = 1;
    clock();
    top_->s_axil_arvalid_i = 0;
    top_->eval();
    for (int i = 0; top_->s_axil_rvalid_o == 0; ++i) {
      REQUIRE(i < 8);
      clock();
      top_->eval();
    }
    const std::uint32_t value = top_->s_axil_rdata_o;
    clock();
    return value;
  }
  Vrtl_regs& operator*() { return *top_; }
  [[nodiscard]] int clears() const { return clears_; }

 private:
  VerilatedContext context_;
  std::unique_ptr<Vrtl_regs> top_;
  int clears_ = 0;
};

}  // namespace

TEST_CASE("regs: a reset in any cycle after a start ends the program") {
  for (int gap = 0; gap < 12; ++gap) {
    for (const int busy : {0, 1, 5}) {  // cycles until nothing is under way
      INFO("reset " << gap << " cycles after the start, quiet after " << busy);
      RegsTester regs;
      regs.write(isa::reg::kControl, 1);
      for (int i = 0; i < gap; ++i) regs.clock();
      regs.write(isa::reg::kControl, 2);
      (*regs).quiet_i = 0;
      regs.clock();  // two cycles until it is done
      regs.clock();
      const int before = regs.clears();
      for (int i = 0; i < busy; ++i) CHECK_FALSE(regs.clock());
      (*regs).quiet_i = 1;
      for (int i = 0; i < 8; ++i) CHECK_FALSE(regs.clock());
      CHECK(regs.clears() == before + 1);
      CHECK(regs.status() == 0);
      regs.write(isa::reg::kControl, 1);  // and it starts again
      for (int i = 0; i < 4; ++i) regs.clock();
      CHECK((regs.status() & 1U) == 1);
    }
  }
}
