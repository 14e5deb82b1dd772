// Two neighbouring columns of one row of the array: a weight-stationary pair of processing elements.
//
//     x_i ->[x]---+-----------------> x_o
//                 |        sum0_i           sum1_i
//     w_i ->[s0]->[a0]*-->[p0]+--->[sum0]   |
//      |                   |                |
//      +-->[s1]->[a1]*---------->[p1]+----->[sum1]
//
// Latency: x_i to x_o one enabled cycle, to the sums three (x, product, sum). Throughput: one
// activation a cycle. No handshake: every register but the weights moves with en_i. w_i enters the
// shadow weight that cap0_i / cap1_i name (under cap_any_i); swap_i (under swap_any_i, which implies
// en_i) makes the shadow weights active for the activation at x_i in the same cycle. No reset.
// Numbers: x 9 bits signed in [-255, 255], w int8, products 16 bits, sums SumBits, all exact.
// esp_pe_packed has the same with one multiplier.
// Implements docs/machine.md, section 5 (the array).

`default_nettype none

module esp_pe_pair #(
  parameter int unsigned SumBits = 20
) (
  input  wire logic                      clk_i,
  input  wire logic                      en_i,

  input  wire logic signed [8:0]         x_i,
  output logic      signed [8:0]         x_o,

  input  wire logic                      cap_any_i,
  input  wire logic                      cap0_i,
  input  wire logic                      cap1_i,
  input  wire logic signed [7:0]         w_i,
  input  wire logic                      swap_any_i,
  input  wire logic                      swap_i,

  input  wire logic signed [SumBits-1:0] sum0_i,
  input  wire logic signed [SumBits-1:0] sum1_i,
  output logic      signed [SumBits-1:0] sum0_o,
  output logic      signed [SumBits-1:0] sum1_o
);

  if (SumBits < 17 || SumBits > 32) begin : gen_parameters
    $error("esp_pe_pair: SumBits is 17 to 32");
  end

  logic signed [7:0] shadow0_q, shadow1_q;

  always_ff @(posedge clk_i) begin
    if (cap_any_i && cap0_i) shadow0_q <= w_i;
    if (cap_any_i && cap1_i) shadow1_q <= w_i;
  end

  always_ff @(posedge clk_i) begin
    if (en_i) x_o <= x_i;
  end

  logic signed [7:0]  weight0_q, weight1_q;
  logic signed [15:0] product0_q, product1_q;

  always_ff @(posedge clk_i) begin
    if (swap_any_i && swap_i) begin
      weight0_q <= shadow0_q;
      weight1_q <= shadow1_q;
    end
  end

  always_ff @(posedge clk_i) begin
    if (en_i) begin
      product0_q <= 16'(32'(x_o) * 32'(weight0_q));
      product1_q <= 16'(32'(x_o) * 32'(weight1_q));
      sum0_o <= sum0_i + SumBits'(product0_q);
      sum1_o <= sum1_i + SumBits'(product1_q);
    end
  end

endmodule

`default_nettype wire
