// One row of two neighbouring columns on one multiplier, each column with an index of its own.
//
// Two pixels a and b stand at a_i and b_i for two cycles, four channels each. In the first column 0 takes the
// channel that its index says, in the second (column_i) column 1, and
//
//     P = (b * 2^16 + a) * w   summed down the column:   sum = H * 2^16 + L
//
// with L, H a column's sums for pixels a and b. They are parted at the foot as those of esp_pe_packed: `low`
// holds H modulo Lanes. The sum before the multiplier is a DSP's pre-adder.
//
// Latency: a_i to sum_o three enabled cycles, with Late (the second row of a group) four. Registers move with
// en_i. w_i and index_i enter the weight that cap0_i / cap1_i name, of the buffer that active_i is not, or is
// from this cycle's end on not (swap_i). Weights lie in a distributed memory. No reset. Numbers: x 9 bits
// signed in [-255, 255], w int8, sum exact, low modulo Lanes (4 to 32).
// Implements docs/fine.md, section 4.

`default_nettype none

module esp_pe_fine #(
  parameter int unsigned Lanes = 16,
  parameter bit          Late = 1'b0,
  localparam int unsigned LowBits = $clog2(Lanes),
  localparam int unsigned ChainBits = 32 + LowBits
) (
  input  wire logic                        clk_i,
  input  wire logic                        en_i,

  input  wire logic [35:0]                 a_i,
  input  wire logic [35:0]                 b_i,
  input  wire logic                        column_i,

  input  wire logic                        cap0_i,
  input  wire logic                        cap1_i,
  input  wire logic [7:0]                  w_i,
  input  wire logic [1:0]                  index_i,
  input  wire logic                        active_i,
  input  wire logic                        swap_i,

  input  wire logic signed [ChainBits-1:0] sum_i,
  output logic      signed [ChainBits-1:0] sum_o,
  input  wire logic        [LowBits-1:0]   low_i,
  output logic             [LowBits-1:0]   low_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_parameters
    $error("esp_pe_fine: Lanes is a power of two from 4 to 32");
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

  // Index and weight, by buffer and column.
  logic [9:0] mem_q [4];
  logic [9:0] held;
  logic [1:0] place;

  assign place = {active_i == swap_i, cap1_i};
  always_ff @(posedge clk_i) begin
    if (cap0_i || cap1_i) mem_q[place] <= {index_i, w_i};
  end
  assign held = mem_q[{active_i, column_i}];

  logic signed [8:0] a, b, a_d, b_d;
  logic signed [7:0] w_d;
  assign a = a_i[9*held[9:8] +: 9];
  assign b = b_i[9*held[9:8] +: 9];

  if (Late) begin : gen_late
    always_ff @(posedge clk_i) begin
      if (en_i) {a_d, b_d, w_d} <= {a, b, held[7:0]};
    end
  end else begin : gen_now
    assign {a_d, b_d, w_d} = {a, b, held[7:0]};
  end

  logic signed [24:0] both_q;
  logic signed [7:0]  weight_q;
  logic signed [33:0] product_q;
  logic [LowBits-1:0] b_low_q, product_low_q;

  always_ff @(posedge clk_i) begin
    if (en_i) begin
      both_q <= $signed({b_d, 16'b0}) + 25'(a_d);
      weight_q <= w_d;
      b_low_q <= b_d[LowBits-1:0];
      product_q <= 34'(both_q) * 34'(weight_q);
      product_low_q <= low_product(b_low_q, weight_q[LowBits-1:0]);
      sum_o <= sum_i + ChainBits'(product_q);
      low_o <= low_i + product_low_q;
    end
  end

endmodule

`default_nettype wire
