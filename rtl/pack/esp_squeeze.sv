// Squeezes dead lanes out of a stream of steps: live bytes move together, in order.
//
// A step of Lanes bytes with a mask (`pad_i` clear) appends its live bytes; `pad_i` instead fills the
// beat under way up with zeros (an empty one too: a beat of zeros). `zero_i`: all bytes are zeros,
// those of a step as those of padding. A full beat leaves at once, with the step that fills it
// (valid_o), and that step waits for ready_i. `empty_next_o`: nothing waits for its beat to fill after
// the step that is offered. Latency: none. Throughput: a step a cycle. Reset and clear_i drop what waits.
// A byte goes to lane (fill + live bytes below it) modulo Lanes.
// Implements docs/pack.md, section 5.

`default_nettype none
`include "esp_assert.svh"

module esp_squeeze #(
  parameter int unsigned Lanes = 8,
  localparam int unsigned Bits = $clog2(Lanes)
) (
  input  wire logic               clk_i,
  input  wire logic               rst_ni,
  input  wire logic               clear_i,

  input  wire logic               valid_i,
  output logic                    ready_o,
  input  wire logic [8*Lanes-1:0] data_i,
  input  wire logic [Lanes-1:0]   mask_i,
  input  wire logic               pad_i,
  input  wire logic               zero_i,
  output logic                    empty_next_o,

  output logic                    valid_o,
  input  wire logic               ready_i,
  output logic      [8*Lanes-1:0] data_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 2 || Lanes > 32) begin : gen_parameters
    $error("esp_squeeze: Lanes is a power of two from 2 to 32");
  end

  logic [Bits-1:0]       fill_q;
  logic [Bits:0]         end_d;       // fill and live bytes
  logic                  step, full;
  logic [8*Lanes-1:0]    held_q, routed;
  logic [Lanes-1:0]      live;        // lanes of `routed` that hold a byte

  assign full = pad_i || end_d[Bits];
  assign valid_o = valid_i && full;
  assign ready_o = !full || ready_i;
  assign step = valid_i && ready_o;
  assign empty_next_o = pad_i || end_d[Bits-1:0] == '0;

  // Where each byte goes: fill and the live bytes below it. Sums are spelt out in gates, since each bit
  // is a function of a few, and a carry chain for each lane is larger and slower.
  logic [Lanes*Bits-1:0]     rank;   // live bytes below a lane
  logic [Lanes*Bits-1:0]     goal;
  logic [Lanes-1:0]          there_in;
  logic [Bits:0]             total;  // live bytes

  assign there_in = (valid_i && !pad_i) ? mask_i : '0;   // quiet unless there is a step
  always_comb begin
    logic carry;
    total = '0;
    rank = '0;
    for (int i = 0; i < Lanes; i++) begin
      rank[i*Bits +: Bits] = total[Bits-1:0];
      carry = there_in[i];
      for (int b = 0; b <= Bits; b++) begin
        {carry, total[b]} = {total[b] && carry, total[b] ^ carry};
      end
    end
    for (int i = 0; i < Lanes; i++) begin
      carry = 1'b0;
      for (int b = 0; b < Bits; b++) begin
        goal[i*Bits + b] = rank[i*Bits + b] ^ fill_q[b] ^ carry;
        carry = (rank[i*Bits + b] && fill_q[b]) || (carry && (rank[i*Bits + b] || fill_q[b]));
      end
    end
    carry = 1'b0;
    for (int b = 0; b < Bits; b++) begin
      end_d[b] = total[b] ^ fill_q[b] ^ carry;
      carry = (total[b] && fill_q[b]) || (carry && (total[b] || fill_q[b]));
    end
    end_d[Bits] = total[Bits] ^ carry;
  end

  // By exchanges of lanes that differ in bit 0, then 1, ...: live bytes are nearer to each other there
  // than here, so none meet. Where a byte comes from is found first, for two exchanges together, so
  // that its bits pass one multiplexer of four for both.
  for (genvar s = 0; s <= Bits; s++) begin : gen_stage
    logic [Lanes*Bits-1:0] to;
    logic [Lanes-1:0]      there, comes;
    if (s == 0) begin : gen_in
      assign to = goal;
      assign there = there_in;
      assign comes = '0;
    end else begin : gen_exchange
      for (genvar i = 0; i < Lanes; i++) begin : gen_lane
        localparam int unsigned Other = i ^ (1 << (s - 1));
        localparam bit Side = ((i >> (s - 1)) & 1) != 0;
        logic stays;
        assign stays = gen_stage[s-1].there[i] && gen_stage[s-1].to[i*Bits + s-1] == Side;
        assign comes[i] = gen_stage[s-1].there[Other]
                       && gen_stage[s-1].to[Other*Bits + s-1] == Side;
        assign there[i] = stays || comes[i];
        assign to[i*Bits +: Bits] = comes[i] ? gen_stage[s-1].to[Other*Bits +: Bits]
                                             : gen_stage[s-1].to[i*Bits +: Bits];
        `ESP_ASSERT(no_two_meet, !(stays && comes[i]))
      end
    end
  end

  for (genvar p = 0; p <= (Bits + 1) / 2; p++) begin : gen_pair
    logic [8*Lanes-1:0] data;
    if (p == 0) begin : gen_in
      assign data = data_i;
    end else if (2 * p > Bits) begin : gen_last
      for (genvar i = 0; i < Lanes; i++) begin : gen_lane
        assign data[8*i +: 8] = gen_stage[2*p-1].comes[i]
                              ? gen_pair[p-1].data[8*(i ^ (1 << (2*p-2))) +: 8]
                              : gen_pair[p-1].data[8*i +: 8];
      end
    end else begin : gen_two
      for (genvar i = 0; i < Lanes; i++) begin : gen_lane
        localparam int unsigned Near = 1 << (2*p - 2), Far = 1 << (2*p - 1);
        logic near, far;
        assign far = gen_stage[2*p].comes[i];
        assign near = far ? gen_stage[2*p-1].comes[i ^ Far] : gen_stage[2*p-1].comes[i];
        always_comb begin
          case ({far, near})
            2'd0: data[8*i +: 8] = gen_pair[p-1].data[8*i +: 8];
            2'd1: data[8*i +: 8] = gen_pair[p-1].data[8*(i ^ Near) +: 8];
            2'd2: data[8*i +: 8] = gen_pair[p-1].data[8*(i ^ Far) +: 8];
            default: data[8*i +: 8] = gen_pair[p-1].data[8*(i ^ Near ^ Far) +: 8];
          endcase
        end
      end
    end
  end

  assign routed = gen_pair[(Bits + 1) / 2].data;
  assign live = gen_stage[Bits].there;

  logic unused;
  assign unused = ^{gen_stage[Bits].to, gen_stage[0].comes};

  // The beat that leaves: held bytes below the fill, new ones from there on.
  for (genvar j = 0; j < Lanes; j++) begin : gen_beat
    assign data_o[8*j +: 8] = (32'(fill_q) > j) ? held_q[8*j +: 8] : zero_i ? '0 : routed[8*j +: 8];
    always_ff @(posedge clk_i) begin
      if (step && live[j]) held_q[8*j +: 8] <= zero_i ? '0 : routed[8*j +: 8];
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) fill_q <= '0;
    else if (clear_i) fill_q <= '0;
    else if (step) fill_q <= pad_i ? '0 : end_d[Bits-1:0];
  end

  `ESP_ASSERT_STABLE(out_stable, clear_i, valid_o, ready_i, data_o)

endmodule

`default_nettype wire
