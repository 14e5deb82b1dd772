// One clock of esp_pe_packed (16 lanes) beside one of esp_pe_pair with two multipliers, registers as
// inputs and outputs of the modules `packed_form` and `plain` (Yosys' expose -evert-dff): where the
// registers correspond before the clock, they correspond after it, and so do the registers that this
// clock writes whatever they held.
//
// Correspond: weights w1 * 2^16 + w0, product p1 * 2^16 + p0, sum H * 2^16 + L with H and L the sums of the
// plain form; the low parts are those of w1, p1 and H modulo 16; the second shadow is w1, less one
// where w0 is negative, except between the captures of w0 and of w1, when no swap comes. Of the products
// only that they hold, and the low part, is asserted: what they become is a function of x and the weights
// alone, and compared for every value of those in packed_products_test.cpp.
// Combinational. Assumed: what the header of esp_pe_packed asks of its inputs, and that L stays in 20 bits.

`default_nettype none

module packed_step (
  input  wire logic        en,
  input  wire logic        cap0,
  input  wire logic        cap1,
  input  wire logic        swap,
  input  wire logic [ 8:0] x,
  input  wire logic [ 7:0] w,
  input  wire logic [ 8:0] w_less,
  input  wire logic [19:0] sum0,
  input  wire logic [19:0] sum1,
  // The registers before the clock.
  input  wire logic        between,  // w0 has been captured and w1 has not
  input  wire logic [ 8:0] shadow1_between,
  input  wire logic [ 3:0] shadow_low_between,
  input  wire logic [ 8:0] x_q,
  input  wire logic [ 7:0] shadow0_q,
  input  wire logic [ 7:0] shadow1_q,
  input  wire logic [ 7:0] weight0_q,
  input  wire logic [ 7:0] weight1_q,
  input  wire logic [15:0] product0_q,
  input  wire logic [15:0] product1_q,
  input  wire logic [19:0] sum0_q,
  input  wire logic [19:0] sum1_q
);

  function automatic logic [8:0] less(input logic [7:0] w0, input logic [7:0] w1);
    less = {w1[7], w1} - {8'b0, w0[7]};
  endfunction

  function automatic logic [24:0] weights(input logic [7:0] w0, input logic [7:0] w1);
    weights = {w1[7], w1, 16'b0} + {{17{w0[7]}}, w0};
  endfunction

  function automatic logic [33:0] products(input logic [15:0] p0, input logic [15:0] p1);
    products = {{2{p1[15]}}, p1, 16'b0} + {{18{p0[15]}}, p0};
  endfunction

  function automatic logic [35:0] sums(input logic [19:0] s0, input logic [19:0] s1);
    sums = {s1, 16'b0} + {{16{s0[19]}}, s0};
  endfunction

  // The registers after the clock.
  logic [ 8:0] plain_x, packed_x;
  logic [ 7:0] plain_shadow0, plain_shadow1, packed_shadow0;
  logic [ 8:0] packed_shadow1;
  logic [ 7:0] plain_weight0, plain_weight1;
  logic [15:0] plain_product0, plain_product1;
  logic [19:0] plain_sum0, plain_sum1;
  logic [24:0] packed_weights;
  logic [33:0] packed_product;
  logic [35:0] packed_sum;
  logic [ 3:0] packed_shadow_low, packed_weight_low, packed_product_low, packed_low;

  plain u_plain (
    .clk_i(1'b0), .en_i(en), .x_i(x), .cap_any_i(1'b1), .cap0_i(cap0), .cap1_i(cap1), .w_i(w),
    .swap_any_i(1'b1), .swap_i(swap), .sum0_i(sum0), .sum1_i(sum1),
    .\x_o.q (x_q), .\x_o.d (plain_x),
    .\shadow0_q.q (shadow0_q), .\shadow0_q.d (plain_shadow0),
    .\shadow1_q.q (shadow1_q), .\shadow1_q.d (plain_shadow1),
    .\weight0_q.q (weight0_q), .\weight0_q.d (plain_weight0),
    .\weight1_q.q (weight1_q), .\weight1_q.d (plain_weight1),
    .\product0_q.q (product0_q), .\product0_q.d (plain_product0),
    .\product1_q.q (product1_q), .\product1_q.d (plain_product1),
    .\sum0_o.q (sum0_q), .\sum0_o.d (plain_sum0),
    .\sum1_o.q (sum1_q), .\sum1_o.d (plain_sum1)
  );

  packed_form u_packed (
    .clk_i(1'b0), .en_i(en), .x_i(x), .cap0_i(cap0), .cap1_i(cap1), .w_i(w), .w_less_i(w_less),
    .swap_i(swap), .sum_i(sums(sum0, sum1)), .low_i(sum1[3:0]),
    .\x_o.q (x_q), .\x_o.d (packed_x),
    .\shadow0_q.q (shadow0_q), .\shadow0_q.d (packed_shadow0),
    .\shadow1_q.q (between ? shadow1_between : less(shadow0_q, shadow1_q)),
    .\shadow1_q.d (packed_shadow1),
    .\shadow_low_q.q (between ? shadow_low_between : shadow1_q[3:0]),
    .\shadow_low_q.d (packed_shadow_low),
    .\weights_q.q (weights(weight0_q, weight1_q)), .\weights_q.d (packed_weights),
    .\weight_low_q.q (weight1_q[3:0]), .\weight_low_q.d (packed_weight_low),
    .\product_q.q (products(product0_q, product1_q)), .\product_q.d (packed_product),
    .\product_low_q.q (product1_q[3:0]), .\product_low_q.d (packed_product_low),
    .\sum_o.q (sums(sum0_q, sum1_q)), .\sum_o.d (packed_sum),
    .\low_o.q (sum1_q[3:0]), .\low_o.d (packed_low)
  );

  logic fits;  // 20 bits hold the sum of the first column
  assign fits = sum0[19] != product0_q[15] || plain_sum0[19] == sum0[19];

  always_comb begin
    assume (!(cap0 && cap1));
    assume (!cap1 || w_less == less(shadow0_q, w));
    assume (!swap || (en && !between));
    assume (!en || fits);
    x_equal: assert (packed_x == plain_x);
    shadow0_equal: assert (packed_shadow0 == plain_shadow0);
    if (cap1 || !(cap0 || between)) begin
      shadow1_corresponds: assert (packed_shadow1 == less(plain_shadow0, plain_shadow1));
      shadow_low: assert (packed_shadow_low == plain_shadow1[3:0]);
    end
    weights_correspond: assert (packed_weights == weights(plain_weight0, plain_weight1));
    weight_low: assert (packed_weight_low == plain_weight1[3:0]);
    products_hold: assert (en || packed_product == products(plain_product0, plain_product1));
    product_low: assert (packed_product_low == plain_product1[3:0]);
    sums_correspond: assert (packed_sum == sums(plain_sum0, plain_sum1));
    sum_low: assert (packed_low == plain_sum1[3:0]);
  end

endmodule

`default_nettype wire
