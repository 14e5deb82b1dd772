// One clock of esp_pe_pair in both forms, its registers as inputs and outputs of the modules `plain`
// and `packed_form` (Yosys' expose -evert-dff): where the registers correspond before the clock,
// they correspond after it, and so do the registers that this clock writes whatever they held.
//
// Correspond: the packed weights are w1 * 2^16 + w0, the packed product is p1 * 2^16 + p0, the rest
// is equal. Of the products only that they hold is asserted: what they become is a function of x and
// the weights alone, and compared for every value of those in tests/unit/rtl_pair_test.cpp.
// Combinational.

`default_nettype none

module pair_step (
  input  wire logic               en,
  input  wire logic               cap_any,
  input  wire logic               cap0,
  input  wire logic               cap1,
  input  wire logic               swap_any,
  input  wire logic               swap,
  input  wire logic        [ 8:0] x,
  input  wire logic        [ 7:0] w,
  input  wire logic        [19:0] sum0,
  input  wire logic        [19:0] sum1,
  // The registers before the clock.
  input  wire logic        [ 8:0] x_q,
  input  wire logic        [ 7:0] shadow0_q,
  input  wire logic        [ 7:0] shadow1_q,
  input  wire logic        [ 7:0] weight0_q,
  input  wire logic        [ 7:0] weight1_q,
  input  wire logic        [15:0] product0_q,
  input  wire logic        [15:0] product1_q,
  input  wire logic        [19:0] sum0_q,
  input  wire logic        [19:0] sum1_q
);

  function automatic logic [24:0] weights(input logic [7:0] w0, input logic [7:0] w1);
    weights = {w1[7], w1, 16'b0} + {{17{w0[7]}}, w0};
  endfunction

  function automatic logic [32:0] products(input logic [15:0] p0, input logic [15:0] p1);
    products = {p1[15], p1, 16'b0} + {{17{p0[15]}}, p0};
  endfunction

  // The registers after the clock.
  logic [ 8:0] plain_x, packed_x;
  logic [ 7:0] plain_shadow0, plain_shadow1, packed_shadow0, packed_shadow1;
  logic [ 7:0] plain_weight0, plain_weight1;
  logic [15:0] plain_product0, plain_product1;
  logic [24:0] packed_weights;
  logic [32:0] packed_product;
  logic [19:0] plain_sum0, plain_sum1, packed_sum0, packed_sum1;

  plain u_plain (
    .clk_i(1'b0), .en_i(en), .x_i(x), .cap_any_i(cap_any), .cap0_i(cap0), .cap1_i(cap1), .w_i(w),
    .swap_any_i(swap_any), .swap_i(swap), .sum0_i(sum0), .sum1_i(sum1),
    .\x_o.q (x_q), .\x_o.d (plain_x),
    .\shadow0_q.q (shadow0_q), .\shadow0_q.d (plain_shadow0),
    .\shadow1_q.q (shadow1_q), .\shadow1_q.d (plain_shadow1),
    .\gen_plain.weight0_q.q (weight0_q), .\gen_plain.weight0_q.d (plain_weight0),
    .\gen_plain.weight1_q.q (weight1_q), .\gen_plain.weight1_q.d (plain_weight1),
    .\gen_plain.product0_q.q (product0_q), .\gen_plain.product0_q.d (plain_product0),
    .\gen_plain.product1_q.q (product1_q), .\gen_plain.product1_q.d (plain_product1),
    .\sum0_o.q (sum0_q), .\sum0_o.d (plain_sum0),
    .\sum1_o.q (sum1_q), .\sum1_o.d (plain_sum1)
  );

  packed_form u_packed (
    .clk_i(1'b0), .en_i(en), .x_i(x), .cap_any_i(cap_any), .cap0_i(cap0), .cap1_i(cap1), .w_i(w),
    .swap_any_i(swap_any), .swap_i(swap), .sum0_i(sum0), .sum1_i(sum1),
    .\x_o.q (x_q), .\x_o.d (packed_x),
    .\shadow0_q.q (shadow0_q), .\shadow0_q.d (packed_shadow0),
    .\shadow1_q.q (shadow1_q), .\shadow1_q.d (packed_shadow1),
    .\gen_packed.weights_q.q (weights(weight0_q, weight1_q)),
    .\gen_packed.weights_q.d (packed_weights),
    .\gen_packed.product_q.q (products(product0_q, product1_q)),
    .\gen_packed.product_q.d (packed_product),
    .\sum0_o.q (sum0_q), .\sum0_o.d (packed_sum0),
    .\sum1_o.q (sum1_q), .\sum1_o.d (packed_sum1)
  );

  always_comb begin
    x_equal: assert (packed_x == plain_x);
    shadows_equal: assert (packed_shadow0 == plain_shadow0 && packed_shadow1 == plain_shadow1);
    weights_correspond: assert (packed_weights == weights(plain_weight0, plain_weight1));
    products_hold: assert (en || packed_product == products(plain_product0, plain_product1));
    sums_equal: assert (packed_sum0 == plain_sum0 && packed_sum1 == plain_sum1);
  end

endmodule

`default_nettype wire
