// One lane of the residual adder; stage k takes its input when stage_i[k] is set.
// |sum| <= 2 * 255 * (2^22 - 1) < 2^31. The rounded sum saturates at -256 and 255: past that every zero
// point leaves it beyond either clamp. What the shift alone decides comes from outside, once for all
// lanes: which bits of the sum stand below its first fraction bit, and which beyond nine integer bits.
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
  input  wire logic [7:0]  zero_i,  // these three at CLAMP
  input  wire logic [7:0]  lo_i,
  input  wire logic [7:0]  hi_i,
  output logic      [7:0]  data_o,
  output logic      [15:0] score_o  // 0 for a vector that is not added
);

  // Stages.
  localparam int unsigned MULTIPLY = 0;  // two products, or the gate
  localparam int unsigned SUM      = 1;
  localparam int unsigned ROUND    = 2;  // and shift
  localparam int unsigned CLAMP    = 3;  // and the zero point

  // x - zero
  function automatic logic signed [8:0] subtract(input logic [7:0] x, input logic [8:0] minus_zero);
    subtract = minus_zero + (* in_order *) {x[7], x};
  endfunction

  function automatic logic [7:0] offset_clamp(input logic signed [9:0] x, input logic [7:0] zero,
                                              input logic [7:0] lo, input logic [7:0] hi);
    logic signed [9:0] y;
    y = 10'($signed(zero)) + x;
    if (y < 10'($signed(lo))) offset_clamp = lo;
    else if (y > 10'($signed(hi))) offset_clamp = hi;
    else offset_clamp = y[7:0];
  endfunction

  logic signed [8:0] difference_a, difference_b;
  logic [21:0] ma;
  logic blocked;
  logic signed [31:0] product_a_q, product_b_q, sum_q;
  logic [7:0] pass0_q, pass1_q;
  logic signed [9:0] value_q, rounded;
  logic signed [9:0] kept;  // nine integer bits of the sum / 2^(13 + shift), and its first fraction bit
  logic signed [31:0] by_16, by_4;
  logic sign, up, too_far;

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
    {sign, by_16, by_4, kept, up, too_far, rounded} = '0;
    if (`ESP_WHEN(stage_i[ROUND] && add_i[ROUND])) begin
      sign = sum_q[31];
      by_16 = shift_i[4] ? sum_q >>> 16 : sum_q;
      by_4 = shift_i[3] ? (shift_i[2] ? by_16 >>> 12 : by_16 >>> 8)
                        : (shift_i[2] ? by_16 >>> 4 : by_16);
      kept = 10'((shift_i[1] ? (shift_i[0] ? by_4 >>> 3 : by_4 >>> 2)
                             : (shift_i[0] ? by_4 >>> 1 : by_4)) >>> 12);
      up = kept[0] & (kept[1] | ((sum_q & below_i) != '0));
      too_far = ((sum_q ^ {32{sign}}) & beyond_i) != '0;
      rounded = too_far ? {sign, sign, {8{!sign}}} : 10'($signed(kept[9:1])) + 10'(up);
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
    if (stage_i[ROUND]) value_q <= add_i[ROUND] ? rounded : 10'($signed(pass1_q));
    if (stage_i[CLAMP]) data_o <= add_i[CLAMP] ? offset_clamp(value_q, zero_i, lo_i, hi_i) : value_q[7:0];
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
