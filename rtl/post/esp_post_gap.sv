// Sums of the outputs over the pixels, for global average pooling: int32 per lane, kept by slices
// of PostLanes lanes.
//
// Slices come in turn. A vector under valid_i adds data_i + minus_zero_i to its slice's sums, which start
// at zero under start_i. sums_o is the slice's that came last. Not reset: every sum starts by
// start_i. With Score: score_i adds product_i instead of data_i, and shift_i first moves the sums right by
// 8 bits. docs/machine.md, section 3.
`default_nettype none
`include "esp_assert.svh"

module esp_post_gap #(
  parameter int unsigned PostLanes = 8,
  parameter int unsigned Slices    = 2,
  parameter bit          Score     = 1'b0
) (
  input  wire logic                    clk_i,
  input  wire logic                    valid_i,
  input  wire logic                    start_i,
  input  wire logic                    score_i,
  input  wire logic                    shift_i,
  input  wire logic [8*PostLanes-1:0]  data_i,
  input  wire logic [16*PostLanes-1:0] product_i,
  input  wire logic [8:0]              minus_zero_i,
  output logic      [32*PostLanes-1:0] sums_o
);

  if (PostLanes == 0) begin : gen_parameters_0
    $error("esp_post_gap: PostLanes is at least 1");
  end
  if ((1 << $clog2(Slices)) != Slices) begin : gen_parameters_1
    $error("esp_post_gap: Slices is a power of two");
  end

  // What is added: 9 bits, or with Score the 16 of a product.
  localparam int unsigned TermBits = Score ? 16 : 9;

  // (y - zero) + sum
  function automatic logic [31:0] add(input logic [31:0] sum, input logic [TermBits-1:0] y,
                                      input logic [8:0] minus_zero);
    logic signed [TermBits-1:0] difference;
    difference = TermBits'($signed(minus_zero)) + (* in_order *) y;
    add = 32'(difference) + (* in_order *) sum;
  endfunction

  // The slices' sums go round: the one that is to come next stands on top.
  logic [32*PostLanes*Slices-1:0] sums_q;
  logic [32*PostLanes-1:0] oldest, sums;
  logic score, shift;

  assign oldest = sums_q[32*PostLanes*(Slices-1) +: 32*PostLanes];

  assign score  = Score && score_i;
  assign shift  = Score && shift_i;

  for (genvar i = 0; i < PostLanes; i++) begin : gen_lane
    logic [31:0] kept;
    logic [TermBits-1:0] term;
    always_comb begin
      {kept, term} = '0;
      sums[32*i +: 32] = '0;
      if (`ESP_WHEN(valid_i)) begin
        kept = start_i ? '0 : shift ? {{8{oldest[32*i+31]}}, oldest[32*i+8 +: 24]}
                                    : oldest[32*i +: 32];
        term = score ? TermBits'(product_i[16*i +: 16]) : TermBits'($signed(data_i[8*i +: 8]));
        sums[32*i +: 32] = add(kept, term, minus_zero_i);
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) sums_q <= (32 * PostLanes * Slices)'({sums_q, sums});
  end

  assign sums_o = sums_q[32*PostLanes-1:0];

endmodule

`default_nettype wire
