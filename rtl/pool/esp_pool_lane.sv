// One lane of the pool engine: maximum or sum of x - zero over a window.
//
// Under valid_i one position: first_i starts the window (empty_i: with 0, there is no position in
// the tile), last_i moves its result to value_o, where it stays until the next window's.
// value_o: 25 bits signed; |sum| <= 255 * 255 * 255 < 2^24. docs/machine.md, section 4.
`default_nettype none

module esp_pool_lane (
    input  wire logic        clk_i,
    input  wire logic        valid_i,
    input  wire logic        first_i,
    input  wire logic        last_i,
    input  wire logic        empty_i,
    input  wire logic        average_i,
    input  wire logic [ 7:0] x_i,
    input  wire logic [ 7:0] zero_i,
    output      logic [24:0] value_o
);

  function automatic logic signed [24:0] combine(input logic signed [24:0] so_far,
                                                 input logic average, input logic first,
                                                 input logic empty, input logic [7:0] x,
                                                 input logic [7:0] zero);
    logic signed [8:0] difference;
    difference = $signed({x[7], x}) - $signed({zero[7], zero});
    if (empty) combine = '0;
    else if (first) combine = 25'(difference);
    else if (average) combine = so_far + 25'(difference);
    else combine = 25'(difference) > so_far ? 25'(difference) : so_far;
  endfunction

  logic signed [24:0] value_q;

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      if (last_i) value_o <= combine(value_q, average_i, first_i, empty_i, x_i, zero_i);
      else value_q <= combine(value_q, average_i, first_i, empty_i, x_i, zero_i);
    end
  end

endmodule

`default_nettype wire
