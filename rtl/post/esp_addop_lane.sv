// One lane of the residual adder; stage k takes its input when stage_i[k] is set.
//   0 two products  1 their sum  2 shift and round  3 add the zero point and clamp
// |sum| <= 2 * 255 * (2^22 - 1) < 2^31. docs/machine.md, section 3.
`default_nettype none

module esp_addop_lane (
    input  wire logic        clk_i,
    input  wire logic [ 3:0] stage_i,
    input  wire logic [ 3:0] add_i,    // of the vector at each stage
    input  wire logic [ 7:0] a_i,
    input  wire logic [ 7:0] b_i,
    input  wire logic [ 7:0] za_i,
    input  wire logic [ 7:0] zb_i,
    input  wire logic [21:0] ma_i,
    input  wire logic [21:0] mb_i,
    input  wire logic [ 4:0] shift_i,  // at stage 2: shift - 13
    input  wire logic [ 7:0] zero_i,   // these three at stage 3
    input  wire logic [ 7:0] lo_i,
    input  wire logic [ 7:0] hi_i,
    output      logic [ 7:0] data_o
);

  // (x - zero) * m with an unsigned m
  function automatic logic signed [31:0] weigh(input logic [7:0] x, input logic [7:0] zero,
                                               input logic [21:0] m);
    logic signed [8:0] difference;
    difference = $signed({x[7], x}) - $signed({zero[7], zero});
    weigh = 32'(difference) * $signed({10'b0, m});
  endfunction

  // sum / 2^(13 + shift), to nearest, ties to even
  function automatic logic signed [19:0] rne_shift(input logic signed [31:0] sum,
                                                   input logic [4:0] shift);
    logic signed [49:0] x;  // 19 bits of integer, 31 of fraction
    x = $signed({sum, 18'b0}) >>> shift;
    rne_shift = 20'($signed(x[49:31])) + 20'($signed({1'b0, x[30] & (x[31] | (x[29:0] != '0))}));
  endfunction

  function automatic logic [7:0] offset_clamp(input logic signed [19:0] x, input logic [7:0] zero,
                                              input logic [7:0] lo, input logic [7:0] hi);
    logic signed [20:0] y;
    y = 21'(x) + 21'($signed(zero));
    if (y < 21'($signed(lo))) offset_clamp = lo;
    else if (y > 21'($signed(hi))) offset_clamp = hi;
    else offset_clamp = y[7:0];
  endfunction

  logic signed [31:0] product_a_q, product_b_q, sum_q;
  logic [7:0] pass0_q, pass1_q;
  logic signed [19:0] value_q;

  always_ff @(posedge clk_i) begin
    if (stage_i[0]) begin
      pass0_q <= a_i;
      if (add_i[0]) begin
        product_a_q <= weigh(a_i, za_i, ma_i);
        product_b_q <= weigh(b_i, zb_i, mb_i);
      end
    end
    if (stage_i[1]) begin
      pass1_q <= pass0_q;
      if (add_i[1]) sum_q <= product_a_q + product_b_q;
    end
    if (stage_i[2]) value_q <= add_i[2] ? rne_shift(sum_q, shift_i) : 20'($signed(pass1_q));
    if (stage_i[3]) data_o <= add_i[3] ? offset_clamp(value_q, zero_i, lo_i, hi_i) : value_q[7:0];
  end

endmodule

`default_nettype wire
