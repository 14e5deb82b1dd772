// One lane of the pool engine: maximum or sum of x - zero over a window.
//
// x_valid_i: a value, whose difference is registered; under valid_i, a cycle later, it counts as one
// position: first_i starts the window (empty_i: with 0, there is no position in the tile), last_i
// moves its result to value_o, where it stays until the next window's. A position a cycle.
// value_o: 25 bits signed; |sum| <= 255 * 255 * 255 < 2^24. docs/machine.md, section 4.
`default_nettype none
`include "esp_assert.svh"

module esp_pool_lane (
  input  wire logic        clk_i,
  input  wire logic        x_valid_i,
  input  wire logic [7:0]  x_i,
  input  wire logic [7:0]  zero_i,
  input  wire logic        valid_i,
  input  wire logic        first_i,
  input  wire logic        last_i,
  input  wire logic        empty_i,
  input  wire logic        average_i,
  output logic      [24:0] value_o
);

  logic signed [24:0] value_q, sum;
  logic signed [8:0]  difference_q;
  logic               above, keep, take;

  // One adder serves both: the maximum adds nothing to what it keeps. So far it has 9 bits.
  always_comb begin
    {above, keep, take, sum} = '0;
    if (`ESP_WHEN(valid_i)) begin
      above = difference_q > $signed(value_q[8:0]);
      keep = !first_i && !empty_i && (average_i || !above);
      take = !empty_i && (first_i || average_i || above);
      sum = (take ? 25'(difference_q) : '0) + (* in_order *) (keep ? value_q : '0);
    end
  end

  always_ff @(posedge clk_i) begin
    if (x_valid_i) difference_q <= $signed({x_i[7], x_i}) - $signed({zero_i[7], zero_i});
    if (valid_i) begin
      if (last_i) value_o <= sum;
      else value_q <= sum;
    end
  end

endmodule

`default_nettype wire
