// One lane of the residual adder; stage k takes its input when stage_i[k] is set.
// |sum| <= 2 * 255 * (2^22 - 1) < 2^31. Past nine bits of integer every zero point leaves the sum beyond
// either clamp, so that its sign says which bound comes out. What the shift alone decides comes from
// outside, once for all lanes: which bits of the sum stand below its first fraction bit, and which beyond
// nine integer bits.
// A vector that is not added has 0 for its zero point, and for its bounds what clamps nothing.
// Zero points come negated, so that they feed the carry chains and the operands' choice is free.
// docs/machine.md, section 3.
`default_nettype none
`include "esp_assert.svh"

module esp_addop_lane #(
  parameter bit Score = 1'b0
) (
  input  wire logic        clk_i,
  input  wire logic [3:0]  stage_i,
  input  wire logic [3:0]  add_i,  // of the vector at each stage
  input  wire logic        gated_i,  // these three at MULTIPLY
  input  wire logic        gate_i,
  input  wire logic        score_i,
  input  wire logic [7:0]  a_i,
  input  wire logic [7:0]  b_i,
  input  wire logic [8:0]  minus_za_i,
  input  wire logic [8:0]  minus_zb_i,
  input  wire logic [21:0] ma_i,
  input  wire logic [21:0] mb_i,
  input  wire logic [4:0]  shift_i,  // these three at ROUND: shift - 13
  input  wire logic [31:0] below_i,  // bits 0 to shift_i + 11
  input  wire logic [31:0] beyond_i,  // bits shift_i + 21 to 31
  input  wire logic [7:0]  zero_i,  // these five at CLAMP
  input  wire logic [7:0]  lo_i,
  input  wire logic [7:0]  hi_i,
  input  wire logic [8:0]  zero_lo_i,  // zero - lo
  input  wire logic [8:0]  zero_hi_i,  // zero - hi - 1
  output logic      [7:0]  data_o,
  output logic      [15:0] score_o  // 0 for a vector that is not added
);

  // Stages.
  localparam int unsigned MULTIPLY = 0;  // two products, or the gate
  localparam int unsigned SUM      = 1;
  localparam int unsigned ROUND    = 2;  // shift, and what is after the integer
  localparam int unsigned CLAMP    = 3;  // rounding, and the zero point

  // x - zero
  function automatic logic signed [8:0] subtract(input logic [7:0] x, input logic [8:0] minus_zero);
    subtract = minus_zero + (* in_order *) {x[7], x};
  endfunction

  // zero + value, rounded, and beside it what that is past either bound.
  function automatic logic [7:0] offset_clamp(input logic signed [8:0] value, input logic half,
                                              input logic rest, input logic far_lo, input logic far_hi,
                                              input logic [7:0] zero, input logic [7:0] lo,
                                              input logic [7:0] hi, input logic [8:0] zero_lo,
                                              input logic [8:0] zero_hi);
    logic signed [9:0] x;
    logic [7:0]        y;
    logic [9:0]        unused_lo, unused_hi;
    logic              past_lo, past_hi;
    logic              up, unused_carry;
    x = 10'(value);
    up = half & (value[0] | rest);
    {y, unused_carry}      = {zero, 1'b1} + (* in_order *) {x[7:0], up};
    {past_lo, unused_lo}   = {10'($signed(zero_lo)), 1'b1} + (* in_order *) {x, up};
    {past_hi, unused_hi}   = {10'($signed(zero_hi)), 1'b1} + (* in_order *) {x, up};
    offset_clamp = far_lo || (past_lo && !far_hi) ? lo : far_hi || !past_hi ? hi : y;
  endfunction

  logic signed [8:0] difference_a, difference_b;
  logic [21:0] ma;
  logic blocked;
  logic signed [31:0] product_a_q, product_b_q, sum_q;
  logic [7:0] pass0_q, pass1_q;
  logic signed [8:0] value_q;
  logic half_q, rest_q, far_lo_q, far_hi_q;
  logic signed [9:0] kept;  // nine integer bits of the sum / 2^(13 + shift), and its first fraction bit
  logic signed [31:0] by_16, by_4;
  logic sign, rest, too_far;

  always_comb begin
    {difference_a, difference_b, ma, blocked} = '0;
    if (`ESP_WHEN(stage_i[MULTIPLY])) begin
      difference_a = subtract(gate_i ? b_i : a_i, minus_za_i);
      difference_b = subtract(score_i ? a_i : b_i, minus_zb_i);
      ma = score_i ? {ma_i[21:8], !b_i[7], b_i[6:0]} : ma_i;
      // Under the lower bound, or not under the upper one.
      blocked = gated_i && (difference_b[8] || !difference_a[8]);
    end
  end

  // To nearest, ties to even. Far shifts first: the later ones are then of few bits.
  always_comb begin
    {sign, by_16, by_4, kept, rest, too_far} = '0;
    if (`ESP_WHEN(stage_i[ROUND] && add_i[ROUND])) begin
      sign = sum_q[31];
      by_16 = shift_i[4] ? sum_q >>> 16 : sum_q;
      by_4 = shift_i[3] ? (shift_i[2] ? by_16 >>> 12 : by_16 >>> 8)
                        : (shift_i[2] ? by_16 >>> 4 : by_16);
      kept = 10'((shift_i[1] ? (shift_i[0] ? by_4 >>> 3 : by_4 >>> 2)
                             : (shift_i[0] ? by_4 >>> 1 : by_4)) >>> 12);
      too_far = ((sum_q ^ {32{sign}}) & beyond_i) != '0;
      rest = (sum_q & below_i) != '0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (stage_i[MULTIPLY]) begin
      pass0_q <= blocked ? '0 : a_i;
      if (add_i[MULTIPLY]) begin
        product_a_q <= 32'(difference_a) * $signed({10'b0, ma});
        product_b_q <= 32'(difference_b) * $signed({10'b0, mb_i});
      end
    end
    if (stage_i[SUM]) begin
      pass1_q <= pass0_q;
      if (add_i[SUM]) sum_q <= product_a_q + product_b_q;
    end
    if (stage_i[ROUND]) begin
      value_q <= add_i[ROUND] ? kept[9:1] : 9'($signed(pass1_q));
      half_q <= add_i[ROUND] && kept[0];
      rest_q <= rest;
      far_lo_q <= add_i[ROUND] && too_far && sign;
      far_hi_q <= add_i[ROUND] && too_far && !sign;
    end
    if (stage_i[CLAMP]) begin
      data_o <= offset_clamp(value_q, half_q, rest_q, far_lo_q, far_hi_q, zero_i, lo_i, hi_i,
                             zero_lo_i, zero_hi_i);
    end
  end

  if (Score) begin : gen_score
    logic [15:0] score_q;
    always_ff @(posedge clk_i) begin
      if (stage_i[ROUND]) score_q <= sum_q[15:0];
      if (stage_i[CLAMP]) score_o <= add_i[CLAMP] ? score_q : '0;
    end
  end else begin : gen_no_score
    assign score_o = '0;
  end

endmodule

`default_nettype wire
