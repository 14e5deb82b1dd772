#pragma once
// A Simulation over one verilated class: its clock, its registers, its memory.

#include <ctime>
#include <memory>

#include "isa/generated/registers.hpp"
#include "tb/axi_memory.hpp"
#include "tb/layer_clock.hpp"
#include "tb/simulation.hpp"
#include "verilated.h"
#if VM_TRACE
#include "verilated_fst_c.h"
#endif

namespace espalier::tb {

/// `Model`: the verilated top. `Bus`: bytes of a beat.
template <typename Model, std::uint32_t Bus>
class Machine final : public Simulation {
 public:
  explicit Machine(const SimulationOptions& options)
      : options_(options), memory_(options.memory), context_(std::make_unique<VerilatedContext>()) {
    context_->traceEverOn(!options.wave.empty());
    top_ = std::make_unique<Model>(context_.get());
#if VM_TRACE
    if (!options.wave.empty()) {
      wave_ = std::make_unique<VerilatedFstC>();
      top_->trace(wave_.get(), 99);
      wave_->open(options.wave.c_str());
    }
#endif
    reset();
  }
  ~Machine() override {
#if VM_TRACE
    if (wave_) wave_->close();
#endif
    top_->final();
  }

  std::vector<std::uint8_t>& memory() override { return memory_.bytes(); }
  [[nodiscard]] std::uint64_t cycle() const override { return cycle_; }
  void stop() override { stop_ = true; }
  void lap() override { laps_.push_back({cycle_, layers_.snapshot(cycle_)}); }
  void watch_reads(ReadHook hook) override { read_hook_ = std::move(hook); }

  void reset() override {
    memory_.reset();
    top_->s_axil_awvalid_i = top_->s_axil_wvalid_i = top_->s_axil_arvalid_i = 0;
    top_->s_axil_bready_i = top_->s_axil_rready_i = 1;
    top_->rst_ni = 0;
    idle(2);
    memory_.reset();
    top_->rst_ni = 1;
    idle(1);
  }

  void idle(int cycles) override {
    for (int i = 0; i < cycles; ++i) clock([] {});
  }

  void write_register(std::uint32_t offset, std::uint32_t value) override {
    top_->s_axil_awaddr_i = offset & 0xFFFU;
    top_->s_axil_wdata_i = value;
    top_->s_axil_wstrb_i = 0xF;
    top_->s_axil_awvalid_i = top_->s_axil_wvalid_i = 1;
    for (bool taken = false; !taken;) clock([&] { taken = top_->s_axil_awready_o; });
    top_->s_axil_awvalid_i = top_->s_axil_wvalid_i = 0;
    std::uint64_t clocks = 0;
    for (bool answered = false; !answered; ++clocks) {
      clock([&] { answered = top_->s_axil_bvalid_o; });
    }
    if (offset == isa::reg::kControl) {
      cycle_ = clocks - kStart;
      stop_ = false;
    } else {
      cycle_ += clocks;
    }
  }

  std::uint32_t read_register(std::uint32_t offset) override {
    std::uint32_t value = 0;
    top_->s_axil_araddr_i = offset & 0xFFFU;
    top_->s_axil_arvalid_i = 1;
    for (bool taken = false; !taken;) clock([&] { taken = top_->s_axil_arready_o; });
    top_->s_axil_arvalid_i = 0;
    for (bool answered = false; !answered;) {
      clock([&] {
        answered = top_->s_axil_rvalid_o;
        value = top_->s_axil_rdata_o;
      });
    }
    return value;
  }

  Waited wait(const RetireHook& on_retire) override {
    Waited result;
    const double start = cpu_now();
    layers_ = {};
    laps_.clear();
    std::array<std::uint64_t, 7> retired{};
    bool interrupt = false;
    const auto watch = [&] {
      if (top_->trace_layer_valid_o && top_->trace_layer_o != layers_.layer()) {
        layers_.show(top_->trace_layer_o, cycle_);
      }
      if (const unsigned retire = top_->trace_retire_o; retire != 0 && on_retire) {
        for (std::size_t e = 1; e < retired.size(); ++e) {
          if (((retire >> e) & 1U) != 0) on_retire(static_cast<isa::Engine>(e), ++retired[e]);
        }
      }
      interrupt = top_->irq_o;
    };
    running_ = true;
    while (!interrupt && !stop_ && (options_.max_cycles == 0 || cycle_ < options_.max_cycles)) {
      clock(watch);
      ++cycle_;
    }
    running_ = false;
    result.cpu_seconds = cpu_now() - start;
    result.clocks = cycle_;
    result.stopped = stop_ && !interrupt;
    result.timed_out = !interrupt && !stop_;
    result.layers = layers_;
    result.laps = std::move(laps_);
    return result;
  }

 private:
  static double cpu_now() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  }

  /// One cycle: the rising edge that begins it, at which the machine takes its inputs
  /// (tb/esp_sim.sv) and ends the cycle before; then `settled` sees the outputs.
  template <typename Settled>
  void clock(Settled&& settled) {
    Model& top = *top_;
    memory_.drive();
    top.m_axi_arready_i = memory_.ar_ready();
    top.m_axi_awready_i = memory_.aw_ready();
    top.m_axi_wready_i = memory_.w_ready();
    top.m_axi_bvalid_i = memory_.b_valid();
    if (memory_.b_valid()) top.m_axi_bresp_i = memory_.b_response();
    top.m_axi_rvalid_i = memory_.r_valid();
    if (memory_.r_valid()) {
      static_assert(sizeof(top.m_axi_rdata_i) == Bus);
      top.m_axi_rresp_i = memory_.r_data(&top.m_axi_rdata_i);
      top.m_axi_rlast_i = memory_.r_last();
    }
    top.clk_i = 1;
    top.eval();
    dump();
    settled();
    if (top.rst_ni != 0) exchange(top);
    fall(top);
    dump();
    memory_.tick();
  }

  /// The falling edge, at which nothing in the machine happens: where no wave shows it, it is
  /// enough that the model takes the next rising edge for one. Other versions of Verilator may name
  /// that variable otherwise.
  static void fall(Model& top) {
    top.clk_i = 0;
#if !VM_TRACE
    if constexpr (requires { top.rootp->__Vtrigrprev__TOP__clk_i; }) {
      top.rootp->__Vtrigrprev__TOP__clk_i = 0;
      return;
    }
#endif
    top.eval();
  }

  void exchange(Model& top) {
    if (memory_.r_valid() && top.m_axi_rready_o) {
      if (read_hook_) {
        std::array<std::uint8_t, Bus> beat{};
        memory_.r_data(beat.data());
        read_hook_(memory_.r_address(), beat);
      }
      memory_.take_r();
    }
    if (memory_.b_valid() && top.m_axi_bready_o) memory_.take_b();
    if (memory_.w_ready() && top.m_axi_wvalid_o) {
      memory_.take_w(&top.m_axi_wdata_o, top.m_axi_wlast_o != 0);
    }
    if (memory_.ar_ready() && top.m_axi_arvalid_o) {
      memory_.take_ar(top.m_axi_araddr_o, top.m_axi_arlen_o + 1U);
    }
    if (memory_.aw_ready() && top.m_axi_awvalid_o) {
      memory_.take_aw(top.m_axi_awaddr_o, top.m_axi_awlen_o + 1U);
    }
  }

  void dump() {
#if VM_TRACE
    if (!wave_) return;
    const std::uint64_t time = time_++;
    if (options_.wave_start != 0 && (!running_ || cycle_ < options_.wave_start)) return;
    if (options_.wave_cycles != 0 && written_++ >= 2 * options_.wave_cycles) {
      wave_->close();
      wave_.reset();
      return;
    }
    wave_->dump(5 * time);
#endif
  }

  SimulationOptions options_;
  AxiMemory<Bus> memory_;
  std::unique_ptr<VerilatedContext> context_;
  std::unique_ptr<Model> top_;
  ReadHook read_hook_;
  static constexpr std::uint64_t kStart = 2;  // from a write of CONTROL to the first cycle counted
  std::uint64_t cycle_ = 0;                   // since start
  LayerClock layers_;
  std::vector<Lap> laps_;
  bool stop_ = false, running_ = false;
#if VM_TRACE
  std::unique_ptr<VerilatedFstC> wave_;
  std::uint64_t time_ = 0, written_ = 0;  // half cycles
#endif
};

}  // namespace espalier::tb
