// The queue of one engine: instructions with their addresses; the head leaves when its three
// dependencies hold.
//
// A dependency holds for good once seen to hold. A `nop` never leaves by the output: it retires
// here, after every instruction before it has retired. The head stands in a register of its own, so
// a queue holds Depth + 1 instructions; one enters a cycle and one leaves a cycle. The output is
// valid until taken, except under `hold_i` (the machine has faulted).
// Width: bits of the instruction; Used: those that are not always zero.
// Implements docs/machine.md, section 2.

`default_nettype none
`include "esp_assert.svh"

module esp_queue #(
  parameter int unsigned Width = 128,
  parameter int unsigned Used = 83,
  parameter int unsigned Depth = 4,
  parameter int unsigned Engine = 1
) (
  input  wire logic             clk_i,
  input  wire logic             rst_ni,
  input  wire logic             clear_i,
  input  wire logic             hold_i,

  input  wire logic             in_valid_i,
  output logic                  in_ready_o,
  input  wire logic [Width-1:0] in_data_i,
  input  wire logic [31:0]      in_address_i,

  input  wire logic [127:0]     retired_i,

  output logic                  out_valid_o,
  input  wire logic             out_ready_i,
  output logic      [Width-1:0] out_data_o,
  output logic      [31:0]      out_address_o,

  output logic                  head_o,        // an instruction of the engine is at the head
  output logic                  wait_o,        // the head waits for a dependency
  output logic                  nop_retire_o
);

  localparam int unsigned PtrBits = $clog2(Depth);
  localparam int unsigned CountBits = esp_isa_pkg::COUNT_BITS;
  localparam int unsigned DepLo = 21;  // engine and count of dep0, then dep1, dep2
  localparam int unsigned DepBits = 3 + CountBits;

  logic [Used+31:0]     mem_q [Depth];
  logic [PtrBits-1:0]   wptr_q, rptr_q;
  logic [PtrBits:0]     count_q;
  logic                 head_valid_q, head_nop_q;
  logic [Width-1:0]     head_q;
  logic [31:0]          address_q;
  logic [2:0]           met_q, met;
  logic [CountBits-1:0] issued_q, own_retired;
  logic                 leave, take, from_mem, push, store, ready;

  // The engine of `dep` (low three bits; 0: none) has retired the count above them.
  function automatic logic reached(input logic [127:0] counts, input logic [DepBits-1:0] dep);
    logic [CountBits-1:0] ahead;
    ahead = counts[dep[2:0]*CountBits +: CountBits] - dep[DepBits-1:3];
    reached = dep[2:0] == 3'd0 || !ahead[CountBits-1];
  endfunction

  // Dependencies of the head.
  always_comb begin
    met = met_q;
    if (head_valid_q && met_q != '1) begin
      for (int d = 0; d < 3; d++) begin
        if (reached(retired_i, head_q[DepLo + d*DepBits +: DepBits])) met[d] = 1'b1;
      end
    end
  end

  assign own_retired = retired_i[Engine*CountBits +: CountBits];
  assign ready = head_valid_q && (met == '1) && !hold_i;
  assign out_valid_o = ready && !head_nop_q;
  assign nop_retire_o = ready && head_nop_q && (issued_q == own_retired);
  assign out_data_o = head_q;
  assign out_address_o = address_q;
  assign head_o = head_valid_q && !head_nop_q;
  assign wait_o = head_valid_q && (met != '1);

  assign leave = (out_valid_o && out_ready_i) || nop_retire_o;
  assign take = !head_valid_q || leave;
  assign from_mem = count_q != '0;
  assign in_ready_o = count_q != (PtrBits+1)'(Depth);
  assign push = in_valid_i && in_ready_o;
  assign store = push && !(take && !from_mem);

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      wptr_q <= '0;
      rptr_q <= '0;
      count_q <= '0;
      head_valid_q <= 1'b0;
      issued_q <= '0;
      met_q <= '0;
    end else if (clear_i) begin
      wptr_q <= '0;
      rptr_q <= '0;
      count_q <= '0;
      head_valid_q <= 1'b0;
      issued_q <= '0;
      met_q <= '0;
    end else begin
      met_q <= take ? '0 : met;
      if (take) head_valid_q <= from_mem || push;
      if (take && from_mem) rptr_q <= rptr_q + 1'b1;
      if (store) wptr_q <= wptr_q + 1'b1;
      if (store != (take && from_mem)) count_q <= store ? count_q + 1'b1 : count_q - 1'b1;
      if (leave) issued_q <= issued_q + 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (store) mem_q[wptr_q] <= {in_address_i, in_data_i[Used-1:0]};
  end

  always_ff @(posedge clk_i) begin
    if (take && from_mem) begin
      head_q <= Width'(mem_q[rptr_q][Used-1:0]);
      address_q <= mem_q[rptr_q][Used +: 32];
      head_nop_q <= mem_q[rptr_q][5:0] == esp_isa_pkg::OpNop;
    end else if (take && push) begin
      head_q <= Width'(in_data_i[Used-1:0]);
      address_q <= in_address_i;
      head_nop_q <= in_data_i[5:0] == esp_isa_pkg::OpNop;
    end
  end

  if (Used < Width) begin : gen_spare
    logic unused;
    assign unused = ^in_data_i[Width-1:Used];
  end

  if (Depth < 2 || (Depth & (Depth - 1)) != 0) begin : gen_illegal
    $error("Depth must be a power of two");
  end

  `ESP_ASSERT(no_overflow, count_q <= (PtrBits+1)'(Depth))
  `ESP_ASSERT_STABLE(out_stable, clear_i || hold_i, out_valid_o, out_ready_i, out_data_o)

endmodule

`default_nettype wire
