// The requantiser in its plain form, for proofs: the definition of docs/numerics.md written as
// quotients, remainders and halves, without pipeline, shared shifters or saturated exponents.
//
// Combinational. acc_i int32; scale_i fp32 without its sign; zero_i, lo_i, hi_i int8. The product of
// the two significands is made outside: mantissa_o * significand_o (24 bits each) comes back as
// product_i, so that a proof may put any number of 48 bits in its place.

`default_nettype none

module requant_plain (
  input  wire logic [31:0] acc_i,
  input  wire logic [30:0] scale_i,
  input  wire logic [ 7:0] zero_i,
  input  wire logic [ 7:0] lo_i,
  input  wire logic [ 7:0] hi_i,
  output logic      [23:0] mantissa_o,     // of fp32(|acc|), bit 23 set unless acc is 0
  output logic      [23:0] significand_o,  // of the scale
  input  wire logic [47:0] product_i,
  output logic      [ 7:0] y_o
);

  localparam logic signed [10:0] MAX_SHIFT = 11'sd25;  // past it less than one half is left

  // value / 2^shift to nearest, ties to even; shift 0 to 25.
  function automatic logic [47:0] rne_shift(input logic [47:0] value, input logic [4:0] shift);
    logic [47:0] quotient, rest, half;
    quotient = value >> shift;
    rest = value - (quotient << shift);
    half = shift == 5'd0 ? 48'd0 : 48'd1 << (shift - 5'd1);
    rne_shift = quotient;
    if (shift != 5'd0 && (rest > half || (rest == half && quotient[0]))) rne_shift = quotient + 48'd1;
  endfunction

  // acc = +- mantissa * 2^acc_power after its rounding to fp32.
  logic [31:0] magnitude;
  logic [ 4:0] leading;
  logic [47:0] rounded;
  logic signed [10:0] acc_power;

  always_comb begin
    magnitude = acc_i[31] ? -acc_i : acc_i;
    leading = '0;
    for (int i = 0; i < 32; i++) if (magnitude[i]) leading = 5'(i);
    if (leading > 5'd23) begin
      rounded = rne_shift({16'b0, magnitude}, leading - 5'd23);
    end else begin
      rounded = {16'b0, magnitude} << (5'd23 - leading);
    end
    acc_power = $signed({6'b0, leading}) - 11'sd23;
    mantissa_o = rounded[23:0];
    if (rounded[24]) begin  // carried to 2^24
      mantissa_o = 24'h800000;
      acc_power = acc_power + 11'sd1;
    end
  end

  // scale = significand * 2^(exponent - 150).
  assign significand_o = {1'b1, scale_i[22:0]};

  // The product, rounded to 24 bits, is significant * 2^power.
  logic [47:0] significant, whole;
  logic signed [10:0] power;

  always_comb begin
    significant = rne_shift(product_i, product_i[47] ? 5'd24 : 5'd23);
    power = acc_power + $signed({3'b0, scale_i[30:23]}) - (product_i[47] ? 11'sd126 : 11'sd127);
    if (acc_i == '0 || scale_i[30:23] == '0) whole = '0;
    else if (scale_i[30:23] == '1 || power >= 11'sd8) whole = 48'd1 << 31;
    else if (power >= 11'sd0) whole = significant << power[2:0];
    else if (-power > MAX_SHIFT) whole = '0;
    else whole = rne_shift(significant, 5'(-power));
  end

  // The zero point and the clamp.
  logic signed [48:0] y;

  always_comb begin
    y = acc_i[31] ? -$signed({1'b0, whole}) : $signed({1'b0, whole});
    y = y + 49'($signed(zero_i));
    if (y < 49'($signed(lo_i))) y_o = lo_i;
    else if (y > 49'($signed(hi_i))) y_o = hi_i;
    else y_o = y[7:0];
  end

endmodule

`default_nettype wire
