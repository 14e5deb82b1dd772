// Two neighbouring columns of one row of the array on one multiplier of 25 x 9 bits and its adder.
//
//     P = x * W,   W = w1 * 2^16 + w0,   summed down the column:   sum = H * 2^16 + L
//
// with H, L the two columns' sums. L needs more than 16 bits, so H cannot be read from `sum` alone;
// `low` holds H modulo Lanes beside it, which settles it at the foot of the array (esp_array).
//
// As esp_pe_pair in everything else: x_i to x_o one enabled cycle, to sum_o three; registers move
// with en_i; w_i enters the shadow weight that cap0_i / cap1_i name; swap_i, only with en_i, makes the
// shadows active.
// w_less_i is w_i, less one where the weight of the column before (column 0 of this pair, one cycle
// earlier) is negative: W is then its bits beside that column's. No reset.
// Numbers: x 9 bits signed in [-255, 255], w int8, sum exact, low modulo Lanes (2 to 32).
// Implements docs/machine.md, section 5 (the array).

`default_nettype none

module esp_pe_packed #(
  parameter int unsigned Lanes = 16,
  localparam int unsigned LowBits = $clog2(Lanes),
  localparam int unsigned ChainBits = 32 + LowBits
) (
  input  wire logic                        clk_i,
  input  wire logic                        en_i,

  input  wire logic signed [8:0]           x_i,
  output logic      signed [8:0]           x_o,

  input  wire logic                        cap0_i,
  input  wire logic                        cap1_i,
  input  wire logic        [7:0]           w_i,
  input  wire logic        [8:0]           w_less_i,
  input  wire logic                        swap_i,

  input  wire logic signed [ChainBits-1:0] sum_i,
  output logic      signed [ChainBits-1:0] sum_o,
  input  wire logic        [LowBits-1:0]   low_i,
  output logic             [LowBits-1:0]   low_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_parameters
    $error("esp_pe_packed: Lanes is a power of two from 4 to 32");
  end

  // Bit by bit: left to `+`, carry chains would take more than the few tables it needs.
  function automatic logic [LowBits-1:0] add(input logic [LowBits-1:0] a,
                                             input logic [LowBits-1:0] b);
    logic carry;
    carry = 1'b0;
    for (int i = 0; i < LowBits; i++) begin
      add[i] = a[i] ^ b[i] ^ carry;
      carry = (a[i] && b[i]) || (a[i] && carry) || (b[i] && carry);
    end
  endfunction

  // x * w modulo 2^LowBits; the operands' top bits only meet the other's lowest.
  function automatic logic [LowBits-1:0] low_product(input logic [LowBits-1:0] x,
                                                     input logic [LowBits-1:0] w);
    low_product = '0;
    for (int i = 0; i < LowBits - 1; i++) begin
      if (w[i]) low_product = add(low_product, LowBits'(x[LowBits-2:0]) << i);
    end
    low_product[LowBits-1] = low_product[LowBits-1] ^ (x[LowBits-1] && w[0])
                           ^ (x[0] && w[LowBits-1]);
  endfunction

  logic [7:0]         shadow0_q;
  logic [8:0]         shadow1_q;
  logic [LowBits-1:0] shadow_low_q, weight_low_q, product_low_q;
  logic signed [24:0] weights_q;
  logic signed [33:0] product_q;

  always_ff @(posedge clk_i) begin
    if (cap0_i) shadow0_q <= w_i;
    if (cap1_i) begin
      shadow1_q <= w_less_i;
      shadow_low_q <= w_i[LowBits-1:0];
    end
  end

  always_ff @(posedge clk_i) begin
    if (swap_i) begin
      weights_q <= {shadow1_q, {8{shadow0_q[7]}}, shadow0_q};
      weight_low_q <= shadow_low_q;
    end
  end

  always_ff @(posedge clk_i) begin
    if (en_i) begin
      x_o <= x_i;
      product_q <= 34'(x_o) * 34'(weights_q);
      product_low_q <= low_product(x_o[LowBits-1:0], weight_low_q);
      sum_o <= sum_i + ChainBits'(product_q);
      low_o <= low_i + product_low_q;
    end
  end

endmodule

`default_nettype wire
