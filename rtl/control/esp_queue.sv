// The queue of one engine: instructions with their addresses; the head leaves when its three
// dependencies hold.
//
// A dependency holds for good once seen to hold; of several, one is looked at in a cycle, in their
// order. A `nop` never leaves by the output: it retires
// here, after every instruction before it has retired. A queue holds Depth + 1 instructions, the head
// included; one enters a cycle and one leaves a cycle, and shows a cycle after it entered. The output
// is valid until taken, except under `hold_i` (the machine has faulted).
// Width: bits of the instruction; Used: those that are not always zero.
// Implements docs/machine.md, section 2.

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_queue #(
  parameter int unsigned Width = 128,
  parameter int unsigned Used = 83,
  parameter int unsigned Depth = 4,
  parameter int unsigned Engine = 32'(esp_isa_pkg::EngLoadA)
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

  if (Used < 80 || Used > Width) begin : gen_parameters_0
    $error("esp_queue: Used is 80, a header's, to Width");
  end
  if (Depth < 2 || Depth > 31 || Engine == 32'(esp_isa_pkg::EngNone) ||
      Engine >= esp_isa_pkg::ENGINES)
  begin : gen_parameters_1
    $error("esp_queue: Depth is 2 to 31, Engine one of esp_isa_pkg::engine_e but none");
  end

  localparam int unsigned CountBits = esp_isa_pkg::COUNT_BITS;
  localparam int unsigned IssuedBits = 6;  // an engine holds fewer than 64 instructions
  localparam int unsigned DepLo = 21;  // engine and count of dep0, then dep1, dep2
  localparam int unsigned DepBits = 3 + CountBits;

  logic [Used-1:0]      head;
  logic                 head_valid, head_nop;
  logic [2:0]           met_q, met, none;
  logic [1:0]           open;  // not met yet; if neither is, the third is looked at
  logic [DepBits-1:0]   dependency;
  logic [IssuedBits-1:0] issued_q, own_retired;
  logic                 leave, ready;

  esp_fifo #(.Width(Used + 32), .Depth(Depth + 1)) u_fifo (
    .clk_i, .rst_ni, .clear_i,
    .valid_i(in_valid_i), .ready_o(in_ready_o), .data_i({in_address_i, in_data_i[Used-1:0]}),
    .valid_o(head_valid), .ready_i(leave), .data_o({out_address_o, head})
  );

  // The engine of `dep` (low three bits) has retired the count above them.
  function automatic logic reached(input logic [127:0] counts, input logic [DepBits-1:0] dep);
    logic [CountBits-1:0] left;  // count - retired - 1, negative once reached
    left = dep[DepBits-1:3] + (* in_order *) ~counts[dep[2:0]*CountBits +: CountBits];
    reached = left[CountBits-1];
  endfunction

  // Dependencies of the head: those on no engine hold.
  always_comb begin
    for (int d = 0; d < 3; d++) none[d] = head[DepLo + d*DepBits +: 3] == esp_isa_pkg::EngNone;
    open = ~(met_q[1:0] | none[1:0]);
    met = met_q | none;
    dependency = open[0] ? head[DepLo +: DepBits] :
          open[1] ? head[DepLo + DepBits +: DepBits] : head[DepLo + 2*DepBits +: DepBits];
    if (reached(retired_i, dependency)) begin
      if (open[0]) met[0] = 1'b1;
      else if (open[1]) met[1] = 1'b1;
      else met[2] = 1'b1;
    end
  end

  assign own_retired = retired_i[Engine*CountBits +: IssuedBits];
  assign head_nop = head[5:0] == esp_isa_pkg::OpNop;
  assign ready = head_valid && (met == '1) && !hold_i;
  assign out_valid_o = ready && !head_nop;
  assign nop_retire_o = ready && head_nop && (issued_q == own_retired);
  assign out_data_o = Width'(head);
  assign head_o = head_valid && !head_nop;
  assign wait_o = head_valid && (met != '1);
  assign leave = (out_valid_o && out_ready_i) || nop_retire_o;

  `ESP_FFC(clear_i, begin
    issued_q <= '0;
    met_q <= '0;
  end) begin
    met_q <= leave || !head_valid ? '0 : met;
    if (leave) issued_q <= issued_q + 1'b1;
  end

  if (Used < Width) begin : gen_spare
    logic unused;
    assign unused = ^in_data_i[Width-1:Used];
  end

  `ESP_ASSERT_STABLE(out_stable, clear_i || hold_i, out_valid_o, out_ready_i, out_data_o)

endmodule

`default_nettype wire
