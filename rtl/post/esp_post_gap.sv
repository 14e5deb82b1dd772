// Sums of the outputs over the pixels, for global average pooling: int32 per lane, kept by slices
// of PostLanes lanes.
//
// Slices come in turn. A vector under valid_i adds data_i - zero_i to its slice's sums, which start
// at zero under start_i. sums_o is the slice's that came last. Not reset: every sum starts by
// start_i. docs/machine.md, section 3.
`default_nettype none

module esp_post_gap #(
    parameter int unsigned PostLanes = 8,
    parameter int unsigned Slices    = 2
) (
    input  wire logic                    clk_i,
    input  wire logic                    valid_i,
    input  wire logic                    start_i,
    input  wire logic [ 8*PostLanes-1:0] data_i,
    input  wire logic [             7:0] zero_i,
    output      logic [32*PostLanes-1:0] sums_o
);

  // (y - zero) + sum
  function automatic logic [31:0] add(input logic [31:0] sum, input logic [7:0] y,
                                      input logic [7:0] zero);
    logic signed [8:0] difference;
    difference = $signed({y[7], y}) - $signed({zero[7], zero});
    add = 32'(difference) + (* in_order *) sum;
  endfunction

  // The slices' sums go round: the one that is to come next stands on top.
  logic [32*PostLanes*Slices-1:0] sums_q;
  logic [32*PostLanes-1:0] oldest, sums;

  assign oldest = sums_q[32*PostLanes*(Slices-1)+:32*PostLanes];

  for (genvar i = 0; i < PostLanes; i++) begin : gen_lane
    assign sums[32*i+:32] = add(start_i ? '0 : oldest[32*i+:32], data_i[8*i+:8], zero_i);
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) sums_q <= (32 * PostLanes * Slices)'({sums_q, sums});
  end

  assign sums_o = sums_q[32*PostLanes-1:0];

endmodule

`default_nettype wire
