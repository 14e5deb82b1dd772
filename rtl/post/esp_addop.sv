// Residual adder: y = clamp(rne_shift((a - za)*ma + (b - zb)*mb, shift) + zero, lo, hi) on Lanes
// lanes, exact inside and rounded once; y = a where add_i is clear.
// With Score, gate_i and add_i: y = a where zb <= b < za, 0 elsewhere. With score_i and add_i:
// score_o is the low 16 bits of (a - za)*m + (a - zb)*mb, m = ma with b + 128 in its low byte, and y
// is of no use; score_o is 0 without add_i.
//
// Latency 4 cycles under en_i, one vector a cycle; the whole pipeline holds while en_i is low.
// Every input belongs to the vector under valid_i; shift_i is 13 to 31. Zero points come negated, in
// 9 bits. Reset and clear_i empty it.
// docs/machine.md, section 3.
`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_addop #(
  parameter int unsigned Lanes = 8,
  parameter bit          Score = 1'b0
) (
  input  wire logic                clk_i,
  input  wire logic                rst_ni,
  input  wire logic                clear_i,
  input  wire logic                en_i,
  input  wire logic                valid_i,
  input  wire logic                add_i,
  input  wire logic                gate_i,
  input  wire logic                score_i,
  input  wire logic [8*Lanes-1:0]  a_i,
  input  wire logic [8*Lanes-1:0]  b_i,
  input  wire logic [8:0]          minus_za_i,
  input  wire logic [8:0]          minus_zb_i,
  input  wire logic [21:0]         ma_i,
  input  wire logic [21:0]         mb_i,
  input  wire logic [4:0]          shift_i,
  input  wire logic [7:0]          zero_i,
  input  wire logic [7:0]          lo_i,
  input  wire logic [7:0]          hi_i,
  output logic                     valid_o,
  output logic      [8*Lanes-1:0]  data_o,
  output logic      [16*Lanes-1:0] score_o
);

  if (Lanes == 0) begin : gen_parameters
    $error("esp_addop: Lanes is at least 1");
  end

  // Stages.
  localparam int unsigned MULTIPLY = 0;  // two products, or the gate
  localparam int unsigned SUM      = 1;
  localparam int unsigned ROUND    = 2;  // shift, and what is after the integer
  localparam int unsigned CLAMP    = 3;  // rounding, and the zero point
  localparam int unsigned LATENCY = CLAMP + 1;

  logic [LATENCY-1:0] valid_q;
  logic [LATENCY-1:0] stage;
  logic [CLAMP:SUM] add_q;
  logic gate, score, add;
  logic [4:0] shift0_q, shift1_q;
  logic [23:0] bounds0_q, bounds1_q, bounds2, bounds2_q;
  logic [8:0] zero_lo_q, zero_hi_q;  // zero - lo, zero - hi - 1: once for all lanes
  logic [29:12] below_q;
  logic [31:21] beyond_q;

  assign stage   = en_i ? {valid_q[LATENCY-2:0], valid_i} : '0;
  assign valid_o = valid_q[LATENCY-1];

  `ESP_FFC(clear_i, valid_q <= '0;)
    if (en_i) valid_q <= {valid_q[LATENCY-2:0], valid_i};

  // What is not added passes as it is.
  assign bounds2 = add_q[ROUND] ? bounds1_q : 24'h00_80_7f;

  assign gate  = Score && gate_i;
  assign score = Score && score_i;
  assign add   = add_i && !gate;

  always_ff @(posedge clk_i) begin
    if (en_i) add_q <= {add_q[ROUND:SUM], add};
    if (stage[MULTIPLY] && add) begin
      shift0_q  <= shift_i - 5'd13;
      bounds0_q <= {zero_i, lo_i, hi_i};
    end
    if (stage[SUM] && add_q[SUM]) begin
      shift1_q  <= shift0_q;
      bounds1_q <= bounds0_q;
      below_q   <= ~(18'h3ffff << shift0_q);
      beyond_q  <= 11'h7ff << shift0_q;
    end
    if (stage[ROUND]) begin
      bounds2_q <= bounds2;
      zero_lo_q <= {bounds2[23], bounds2[23:16]} - {bounds2[15], bounds2[15:8]};
      zero_hi_q <= {bounds2[23], bounds2[23:16]} + ~{bounds2[7], bounds2[7:0]};
    end
  end

  for (genvar i = 0; i < Lanes; i++) begin : gen_lane
    esp_addop_lane #(.Score(Score)) u_lane (
      .clk_i,
      .stage_i(stage),
      .add_i({add_q, add}),
      .gated_i(gate && add_i),
      .gate_i(gate),
      .score_i(score),
      .a_i(a_i[8*i +: 8]),
      .b_i(b_i[8*i +: 8]),
      .minus_za_i,
      .minus_zb_i,
      .ma_i,
      .mb_i,
      .shift_i(shift1_q),
      .below_i({2'b0, below_q, 12'hfff}),
      .beyond_i({beyond_q, 21'b0}),
      .zero_i(bounds2_q[23:16]),
      .lo_i(bounds2_q[15:8]),
      .hi_i(bounds2_q[7:0]),
      .zero_lo_i(zero_lo_q),
      .zero_hi_i(zero_hi_q),
      .data_o(data_o[8*i +: 8]),
      .score_o(score_o[16*i +: 16])
    );
  end

endmodule

`default_nettype wire
