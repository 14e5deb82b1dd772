// A small first-in first-out buffer.
//
// Latency: a word is at the output one cycle after it was taken. Throughput: one word a cycle.
// Handshake: valid / ready on both sides; ready_o does not depend on ready_i.
// Reset and clear_i empty it; data are not reset.
// Depth is at least 2. ready_o and valid_o are registers. Data are read without one: distributed memory,
// where the device has it.

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_fifo #(
  parameter int unsigned Width = 32,
  parameter int unsigned Depth = 4,
  localparam int unsigned AddrBits = $clog2(Depth)
) (
  input  wire logic              clk_i,
  input  wire logic              rst_ni,
  input  wire logic              clear_i,

  input  wire logic              valid_i,
  output logic                   ready_o,
  input  wire logic [Width-1:0]  data_i,

  output logic                   valid_o,
  input  wire logic              ready_i,
  output logic      [Width-1:0]  data_o
);

  if (Width == 0 || Depth < 2) begin : gen_parameters
    $error("esp_fifo: Width is at least 1, Depth at least 2");
  end

  logic [Width-1:0]    mem_q [Depth];
  logic [AddrBits-1:0] wptr_q, rptr_q;
  logic [AddrBits:0]   count_q;
  logic                valid_q, ready_q;   // count_q is more than 0, less than Depth
  logic                push, pop;

  // A power of two wraps by itself.
  function automatic logic [AddrBits-1:0] behind(input logic [AddrBits-1:0] pointer);
    behind = (Depth != (1 << AddrBits) && pointer == AddrBits'(Depth - 1)) ? '0 : pointer + 1'b1;
  endfunction

  assign ready_o = ready_q;
  assign valid_o = valid_q;
  assign data_o = mem_q[rptr_q];
  assign push = valid_i && ready_o;
  assign pop = valid_o && ready_i;

  always_ff @(posedge clk_i) begin
    if (push) mem_q[wptr_q] <= data_i;
  end

  `ESP_FFC(clear_i, begin
    wptr_q <= '0;
    rptr_q <= '0;
    count_q <= '0;
    valid_q <= 1'b0;
    ready_q <= 1'b1;
  end) begin
    if (`ESP_WHEN(push || pop)) begin
      if (push) wptr_q <= behind(wptr_q);
      if (pop) rptr_q <= behind(rptr_q);
      if (push != pop) begin
        count_q <= push ? count_q + 1'b1 : count_q - 1'b1;
        valid_q <= push || count_q != (AddrBits+1)'(1);
        ready_q <= pop || count_q != (AddrBits+1)'(Depth - 1);
      end
    end
  end

  `ESP_ASSERT_STABLE(output_stable, clear_i, valid_o, ready_i, data_o)
  `ESP_ASSERT(count_in_range, count_q <= (AddrBits+1)'(Depth))
  `ESP_ASSERT(flags_follow, valid_q == (count_q != '0) && ready_q == (count_q != (AddrBits+1)'(Depth)))

endmodule

`default_nettype wire
