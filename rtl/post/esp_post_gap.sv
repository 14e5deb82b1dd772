// Sums of the outputs over the pixels, for global average pooling: int32 per lane, kept by slices
// of PostLanes lanes.
//
// A vector under valid_i adds data_i - zero_i to its slice's sums, which start at zero under start_i.
// sums_o is slice sums_slice_i's, from the cycle after its last addition. Not reset: every sum
// starts by start_i. docs/machine.md, section 3.
`default_nettype none

module esp_post_gap #(
    parameter int unsigned PostLanes = 8,
    parameter int unsigned Slices    = 2,
    parameter int unsigned SliceBits = 1
) (
    input  wire logic                    clk_i,
    input  wire logic                    valid_i,
    input  wire logic                    start_i,
    input  wire logic [   SliceBits-1:0] slice_i,
    input  wire logic [ 8*PostLanes-1:0] data_i,
    input  wire logic [             7:0] zero_i,
    input  wire logic [   SliceBits-1:0] sums_slice_i,
    output      logic [32*PostLanes-1:0] sums_o
);

  logic [32*PostLanes*Slices-1:0] sums_q;

  // sum + (y - zero)
  function automatic logic [31:0] add(input logic [31:0] sum, input logic [7:0] y,
                                      input logic [7:0] zero);
    logic signed [8:0] difference;
    difference = $signed({y[7], y}) - $signed({zero[7], zero});
    add = sum + 32'(difference);
  endfunction

  for (genvar s = 0; s < Slices; s++) begin : gen_slice
    for (genvar i = 0; i < PostLanes; i++) begin : gen_lane
      always_ff @(posedge clk_i) begin
        if (valid_i && slice_i == SliceBits'(s)) begin
          sums_q[32*(PostLanes*s+i)+:32] <= add(
              start_i ? '0 : sums_q[32*(PostLanes*s+i)+:32], data_i[8*i+:8], zero_i);
        end
      end
    end
  end

  assign sums_o = sums_q[32*PostLanes*sums_slice_i+:32*PostLanes];

endmodule

`default_nettype wire
