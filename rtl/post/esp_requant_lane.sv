// One lane of the requantiser: rne(fp32(acc) * scale) + zero, clamped, by integer arithmetic.
//
// Eight stages; stage k takes its input when stage_i[k] is set and holds otherwise, so that an
// idle lane costs nothing. Nothing but a sum, or what chooses among sums, stands behind a carry chain.
// Every rounding is to nearest, ties to even. From ROUND_INPUT on the value is 1.frac * 2^(power-127)
// with a biased power of 9 bits, in which a rounding that carries out just counts up.
// The integer saturates at 256 instead of 2^31: past that every zero point in int8 leaves the sum
// beyond either clamp, so that the result is the same. A power under 126 is below one half and
// gives 0, which serves subnormal products, a zero accumulator and a zero or subnormal scale.
// A scale with exponent 255 (infinite or no number) times an accumulator other than 0 saturates.
// The sign of the scale is ignored.
// docs/machine.md, section 3; numerics: docs/machine.md, esp_requant.
`default_nettype none
`include "esp_assert.svh"

module esp_requant_lane (
  input  wire logic        clk_i,
  input  wire logic [7:0]  stage_i,
  input  wire logic [31:0] acc_i,
  input  wire logic [30:0] scale_i,  // fp32 without its sign
  input  wire logic [7:0]  zero_i,  // these five at CLAMP
  input  wire logic [7:0]  lo_i,
  input  wire logic [7:0]  hi_i,
  input  wire logic [8:0]  zero_lo_i,  // zero - lo
  input  wire logic [8:0]  zero_hi_i,  // zero - hi - 1
  output logic      [7:0]  data_o
);

  // Stages.
  localparam int unsigned MAGNITUDE     = 0;  // and sign
  localparam int unsigned NORMALISE     = 1;  // to bits 31 to 28
  localparam int unsigned ROUND_INPUT   = 2;  // to 24 bits
  localparam int unsigned MULTIPLY      = 3;  // two partial products
  localparam int unsigned ADD           = 4;  // their sum, the upper 31 bits of 48
  localparam int unsigned ROUND_PRODUCT = 5;  // to 24 bits
  localparam int unsigned ROUND_INTEGER = 6;  // the integer, and what is after it
  localparam int unsigned CLAMP         = 7;  // its rounding, and the zero point

  localparam logic [8:0] POWER_HALF = 9'd126;  // 1.frac * 2^-1: the least that may round to 1
  localparam logic [8:0] POWER_SATURATED = 9'd135;  // 1.frac * 2^8

  // Zeros in front of a nibble's leading one.
  function automatic logic [1:0] zeros_of(input logic [3:1] nibble);
    zeros_of = nibble[3:2] != '0 ? {1'b0, !nibble[3]} : {1'b1, !nibble[1]};
  endfunction

  // Which nibbles are zero.
  function automatic logic [7:0] zero_nibbles(input logic [31:0] magnitude);
    for (int i = 0; i < 8; i++) zero_nibbles[i] = magnitude[4*i +: 4] == '0;
  endfunction

  // {place of the leading one, the magnitude with that one in bits 31 to 28, less bit 31}: the last shift,
  // by up to three, is left to the next stage, before its adder.
  function automatic logic [35:0] normalise(input logic [7:1] none, input logic [31:0] magnitude);
    logic [31:0] x;
    logic [1:0] above, upper, lower;  // above: the upper half is zero, the upper byte of what is left is
    logic zeros;
    above[1] = none[7:4] == '1;
    above[0] = above[1] ? none[3:2] == '1 : none[7:6] == '1;
    x = above[1] ? (above[0] ? {magnitude[7:0], 24'b0} : {magnitude[15:0], 16'b0})
                 : (above[0] ? {magnitude[23:0], 8'b0} : magnitude);
    zeros = above[1] ? (above[0] ? none[1] : none[3]) : (above[0] ? none[5] : none[7]);
    upper = zeros_of(x[31:29]);
    lower = zeros_of(x[27:25]);
    normalise = {~{above, zeros, zeros ? lower : upper}, zeros ? {x[26:0], 4'b0} : x[30:0]};
  endfunction

  // {power, fraction}: the leading one is dropped, the low 8 bits are rounded away.
  function automatic logic [31:0] round_input(input logic [7:0] exponent, input logic [4:0] lead,
                                              input logic [30:0] normal);
    logic [30:0] x;
    x = lead[1] ? (lead[0] ? normal : {normal[29:0], 1'b0})
                : (lead[0] ? {normal[28:0], 2'b0} : {normal[27:0], 3'b0});
    round_input = {1'b0, exponent, x[30:8]}
                + {4'b0, lead, 22'b0, x[7] & (x[8] | (x[6:0] != '0))};
  endfunction

  // The same of a product of two significands, 1.0 to just under 4.0: its upper 31 bits, and whether any
  // of the 17 below is set.
  function automatic logic [31:0] round_product(input logic [8:0] pow, input logic [30:0] p,
                                                input logic rest);
    logic [23:0] x;  // the bits kept and the first one after
    logic        up;
    x = p[30] ? p[29:6] : p[28:5];
    up = x[0] & (x[1] | rest | (p[4:0] != '0) | (p[30] & p[5]));
    round_product = {pow, x[23:1]} + {8'b0, p[30], 22'b0, up};
  endfunction

  // {magnitude of the integer before its rounding, 0 to 256, the first bit after it, whether more bits are
  // set}; 256 has no such bit.
  function automatic logic [10:0] round_integer(input logic [8:0] pow, input logic [22:0] frac);
    logic [8:0] x;     // eight bits of integer, the first of fraction
    logic [3:0] shift; // 134 - pow: 0 to 8
    logic       rest;
    shift = 4'd6 - pow[3:0];
    rest = (frac & {~(8'hff << shift), 15'h7fff}) != '0;
    x = {1'b1, frac[22:15]};
    x = shift[2] ? (shift[1] ? x >> 6 : x >> 4) : (shift[1] ? x >> 2 : x);
    x = shift[3] ? 9'd1 : shift[0] ? x >> 1 : x;
    if (pow >= POWER_SATURATED) begin
      round_integer = {9'd256, 1'b0, rest};
    end else if (pow < POWER_HALF) begin
      round_integer = {9'd0, 1'b0, rest};
    end else begin
      round_integer = {1'b0, x, rest};
    end
  endfunction

  // zero + (magnitude + up) or zero - (magnitude + up), which is zero + ~magnitude + !up; and beside it
  // what that is past either bound.
  function automatic logic [7:0] offset_clamp(input logic sign, input logic [8:0] magnitude,
                                              input logic half, input logic rest,
                                              input logic [7:0] zero, input logic [7:0] lo,
                                              input logic [7:0] hi, input logic [8:0] zero_lo,
                                              input logic [8:0] zero_hi);
    logic signed [9:0] x;
    logic [7:0]        y;
    logic [9:0]        unused_lo, unused_hi;
    logic              past_lo, past_hi;
    logic              up, carry, unused_carry;
    x = {1'b0, magnitude} ^ {10{sign}};
    up = half & (magnitude[0] | rest);
    carry = up ^ sign;
    {y, unused_carry}      = {zero, 1'b1} + (* in_order *) {x[7:0], carry};
    {past_lo, unused_lo}   = {10'($signed(zero_lo)), 1'b1} + (* in_order *) {x, carry};
    {past_hi, unused_hi}   = {10'($signed(zero_hi)), 1'b1} + (* in_order *) {x, carry};
    offset_clamp = past_lo ? lo : past_hi ? y : hi;
  endfunction

  logic sign1_q, sign2_q, sign3_q, sign4_q, sign5_q, sign6_q, sign7_q;
  logic [31:0] magnitude, magnitude_q;
  logic [7:0] zeros_q;  // zero nibbles
  logic [35:0] normal_q;  // registers that one function fills, for a simulator that calls it once
  logic [4:0] lead;
  logic [30:0] normal;
  logic [30:0] scale0_q, scale1_q;
  logic zero;
  logic [22:0] scale2_q;
  logic [31:0] rounded2_q, rounded5_q;
  logic [8:0] power2, power3_q, power4_q, power5;
  logic [22:0] frac2, frac5;
  logic [40:0] low_q;
  logic [30:0] high_q;
  logic [30:0] product_q;
  logic product_rest_q;
  logic [10:0] integer_q;

  assign {lead, normal} = normal_q;
  assign {power2, frac2} = rounded2_q;
  assign {power5, frac5} = rounded5_q;

  always_comb begin
    magnitude = '0;
    if (`ESP_WHEN(stage_i[MAGNITUDE])) magnitude = (acc_i ^ {32{acc_i[31]}}) + {31'b0, acc_i[31]};
  end

  assign zero = `ESP_WHEN(stage_i[NORMALISE]) && (zeros_q == '1 || scale0_q[30:23] == '0);

  always_ff @(posedge clk_i) begin
    if (stage_i[MAGNITUDE]) begin
      sign1_q <= acc_i[31];
      magnitude_q <= magnitude;
      zeros_q <= zero_nibbles(magnitude);
      scale0_q <= scale_i;
    end
    if (stage_i[NORMALISE]) begin
      sign2_q <= sign1_q;
      scale1_q[22:0] <= scale0_q[22:0];
      normal_q <= normalise(zeros_q[7:1], magnitude_q);
      // A zero: power 0 or 1.
      scale1_q[30:23] <= zero ? '0 : scale0_q[30:23];
      if (zero) normal_q[35:31] <= '0;
    end
    if (stage_i[ROUND_INPUT]) begin
      sign3_q <= sign2_q;
      scale2_q <= scale1_q[22:0];
      rounded2_q <= round_input(scale1_q[30:23], lead, normal);
    end
    // 24 x 17 and 24 x 7 bits: what two cascaded DSP48E1 do with their shift by 17.
    if (stage_i[MULTIPLY]) begin
      sign4_q <= sign3_q;
      power3_q <= power2;
      low_q <= 41'({1'b1, frac2}) * 41'(scale2_q[16:0]);
      high_q <= 31'({1'b1, frac2}) * 31'({1'b1, scale2_q[22:17]});
    end
    if (stage_i[ADD]) begin
      sign5_q <= sign4_q;
      power4_q <= power3_q;
      product_q <= high_q + 31'(low_q[40:17]);
      product_rest_q <= low_q[16:0] != '0;
    end
    if (stage_i[ROUND_PRODUCT]) begin
      sign6_q <= sign5_q;
      rounded5_q <= round_product(power4_q, product_q, product_rest_q);
    end
    if (stage_i[ROUND_INTEGER]) begin
      sign7_q <= sign6_q;
      integer_q <= round_integer(power5, frac5);
    end
    if (stage_i[CLAMP]) begin
      data_o <= offset_clamp(sign7_q, integer_q[10:2], integer_q[1], integer_q[0], zero_i, lo_i, hi_i,
                             zero_lo_i, zero_hi_i);
    end
  end

endmodule

`default_nettype wire
