// The queue of one engine: instructions with their addresses; the head leaves when its three
// dependencies hold.
//
// A dependency holds for good once seen to hold; one is looked at in a cycle, in their order, and those on no
// engine take none. An instruction that comes to the head is read a cycle later: one without dependencies can
// leave in the cycle after that, with n of them n cycles later at the earliest, and otherwise in the second
// cycle in which the last count shows. A `nop` never leaves by the output: it retires
// here, after every instruction before it has retired. A queue holds Depth + 1 instructions, the head
// included; one enters a cycle, and shows at an empty queue's head a cycle after it entered. The output
// is valid until taken, except under `hold_i` (the machine has faulted); its valid is a register, its data
// are read from a distributed memory.
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

  logic [Used-1:0]       head;
  logic                  head_valid;
  logic                  read_q;       // the head has been read
  logic                  nop_q;        // it is one
  logic                  open_q;       // dependency_q is not met yet
  logic                  may_go_q;     // all are met: an instruction may leave, or a nop retire
  logic [DepBits-1:0]    dependency_q, dependency_next;
  logic [1:0]            later_q, later_next;   // dependencies behind dependency_q: the second, the third
  logic [2:0]            some;         // dependencies of the head on an engine
  logic                  reached, look;
  logic [IssuedBits-1:0] issued_q, own_retired;
  logic                  all_retired_q, leave;

  logic [Used+31:0] coming;
  always_comb begin
    coming = '0;
    if (`ESP_WHEN(in_valid_i && in_ready_o)) coming = {in_address_i, in_data_i[Used-1:0]};
  end

  esp_fifo #(.Width(Used + 32), .Depth(Depth + 1)) u_fifo (
    .clk_i, .rst_ni, .clear_i,
    .valid_i(in_valid_i), .ready_o(in_ready_o), .data_i(coming),
    .valid_o(head_valid), .ready_i(leave), .data_o({out_address_o, head})
  );

  // Which dependency is looked at next: the first of those left.
  always_comb begin
    {some, later_next, dependency_next} = '0;
    if (`ESP_WHEN(head_valid && !may_go_q)) begin
      for (int d = 0; d < 3; d++) some[d] = head[DepLo + d*DepBits +: 3] != esp_isa_pkg::EngNone;
      later_next = read_q ? {later_q[1] && later_q[0], 1'b0}
                          : {some[2] && (some[1] || some[0]), some[1] && some[0]};
      if (read_q) dependency_next = later_q[0] ? head[DepLo + DepBits +: DepBits]
                                               : head[DepLo + 2*DepBits +: DepBits];
      else if (some[0]) dependency_next = head[DepLo +: DepBits];
      else if (some[1]) dependency_next = head[DepLo + DepBits +: DepBits];
      else dependency_next = head[DepLo + 2*DepBits +: DepBits];
    end
  end

  // dependency_q's engine (low three bits) has retired the count above them.
  logic [CountBits-1:0] left;  // count - retired - 1, negative once reached
  always_comb begin
    left = '0;
    if (`ESP_WHEN(open_q)) begin
      left = dependency_q[DepBits-1:3]
           + (* in_order *) ~retired_i[dependency_q[2:0]*CountBits +: CountBits];
    end
  end
  assign reached = left[CountBits-1];

  assign look = read_q ? open_q && reached : head_valid;   // at the next one, if there is one
  assign own_retired = retired_i[Engine*CountBits +: IssuedBits];
  assign out_valid_o = may_go_q && !nop_q && !hold_i;
  assign nop_retire_o = may_go_q && nop_q && all_retired_q && !hold_i;
  assign out_data_o = Width'(head);
  assign head_o = head_valid && head[5:0] != esp_isa_pkg::OpNop;
  assign wait_o = read_q && !may_go_q;
  assign leave = (out_valid_o && out_ready_i) || nop_retire_o;

  `ESP_FFC(clear_i, begin
    issued_q <= '0;
    read_q <= 1'b0;
    open_q <= 1'b0;
    may_go_q <= 1'b0;
    all_retired_q <= 1'b0;
  end) begin
    // What is behind the head of this cycle shows in the next one.
    read_q <= (read_q || head_valid) && !leave;
    if (!read_q) open_q <= head_valid && some != '0;
    else if (reached) open_q <= later_q != '0;
    may_go_q <= !leave && (may_go_q || (read_q ? reached && later_q == '0 : head_valid && some == '0));
    if (leave) issued_q <= issued_q + 1'b1;
    // Nothing leaves in the two cycles before a nop may go, so that this is true of it.
    all_retired_q <= issued_q == own_retired;
  end

  always_ff @(posedge clk_i) begin
    if (look) begin
      dependency_q <= dependency_next;
      later_q <= later_next;
    end
    if (!read_q) nop_q <= head[5:0] == esp_isa_pkg::OpNop;
  end

  if (Used < Width) begin : gen_spare
    logic unused;
    assign unused = ^in_data_i[Width-1:Used];
  end

  `ESP_ASSERT_STABLE(out_stable, clear_i || hold_i, out_valid_o, out_ready_i, out_data_o)

endmodule

`default_nettype wire
