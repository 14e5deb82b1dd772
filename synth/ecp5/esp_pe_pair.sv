// The pair of processing elements for Lattice ECP5: takes the place of rtl/exec/esp_pe_pair.sv in that
// target's synthesis, with its ports, its latency and its results.
//
// The products are registered in the multipliers' own output registers (MULT18X18D with
// REG_OUTPUT_CLK), which Yosys does not infer. A multiplier is a column's: two 8-bit products do not fit
// into one of 18 x 18 bits.
// Contract and numbers: see rtl/exec/esp_pe_pair.sv.
// Implements docs/machine.md, section 5 (the array), and docs/boards.md (ECP5).

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

  logic signed [7:0]  shadow0_q, shadow1_q, weight0_q, weight1_q;
  logic signed [15:0] product0, product1;

  always_ff @(posedge clk_i) begin
    if (cap_any_i) begin
      if (cap0_i) shadow0_q <= w_i;
      if (cap1_i) shadow1_q <= w_i;
    end
  end

  always_ff @(posedge clk_i) begin
    if (swap_any_i) begin
      if (swap_i) begin
        weight0_q <= shadow0_q;
        weight1_q <= shadow1_q;
      end
    end
  end

  esp_ecp5_product u_product0 (
    .clk_i    (clk_i),
    .en_i     (en_i),
    .a_i      (x_o),
    .b_i      (weight0_q),
    .product_o(product0)
  );

  esp_ecp5_product u_product1 (
    .clk_i    (clk_i),
    .en_i     (en_i),
    .a_i      (x_o),
    .b_i      (weight1_q),
    .product_o(product1)
  );

  always_ff @(posedge clk_i) begin
    if (en_i) begin
      x_o <= x_i;
      sum0_o <= sum0_i + SumBits'(product0);
      sum1_o <= sum1_i + SumBits'(product1);
    end
  end

endmodule

`default_nettype wire
