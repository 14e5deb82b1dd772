// Assertions of the RTL: empty unless ESP_ASSERTIONS is defined (never in synthesis).
// Used inside modules that have `clk_i` and `rst_ni`; immediate assertions under a clock, since both
// simulators and Yosys (-formal) accept those.
// And `ESP_WHEN(Busy)`, the condition of an `if` around combinational logic which idles most of the
// time: a simulator evaluates that logic when Busy only. Without Busy, the values before the `if` must
// be what the logic would give, or nothing may read them. Synthesis sees no condition.

`ifndef ESP_ASSERT_SVH
`define ESP_ASSERT_SVH

`ifdef SYNTHESIS
`undef ESP_ASSERTIONS
`define ESP_WHEN(Busy) 1'b1
`else
`define ESP_WHEN(Busy) (Busy)
`endif

`ifdef ESP_ASSERTIONS

// Expr holds at every rising edge outside reset.
`define ESP_ASSERT(Name, Expr) \
  always @(posedge clk_i) if (rst_ni) begin \
    Name: assert (Expr); \
  end

// Where Valid waited for Ready in the last cycle, Valid and Data have stayed (unless Clear came).
`define ESP_ASSERT_STABLE(Name, Clear, Valid, Ready, Data) \
  logic Name``_wait_q; \
  always @(posedge clk_i or negedge rst_ni) begin \
    if (!rst_ni) Name``_wait_q <= 1'b0; \
    else Name``_wait_q <= (Valid) && !(Ready) && !(Clear); \
  end \
  always @(posedge clk_i) if (rst_ni && Name``_wait_q) begin \
    Name: assert ((Valid) && ((Data) == $past(Data))); \
  end

`else

`define ESP_ASSERT(Name, Expr)
`define ESP_ASSERT_STABLE(Name, Clear, Valid, Ready, Data)

`endif
`endif
