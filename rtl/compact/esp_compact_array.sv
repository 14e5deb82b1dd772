// The array of the compact core: 2 rows (input channels) by 2 columns (output channels) of weights.
//
//   act_data_i -> x - zx -> four products -> a sum for each column
//
// A word enters under valid_i (its element is 0 where present_i is clear) and its sums stand at sums_o
// two cycles later; one word a cycle. Weights stay until captured anew: column n takes
// its word under load_i[n]; a word that entered up to one cycle before still meets the old ones.
// Numbers: x 9 bits signed, w int8, sums 17 bits signed, all exact. Products are sums of rows of 10 bits,
// low bits first, for each half of w by itself, which takes 144 LUTs on an iCE40 where a `*` takes 197, and
// four additions one after the other. Reset and clear_i drop words.
// Implements docs/ice40.md.

`default_nettype none
`include "esp_ff.svh"

module esp_compact_array (
  input  wire logic        clk_i,
  input  wire logic        rst_ni,
  input  wire logic        clear_i,

  input  wire logic        valid_i,
  input  wire logic        present_i,
  input  wire logic [7:0]  zx_i,
  input  wire logic [15:0] act_data_i,

  input  wire logic [1:0]  load_i,
  input  wire logic [15:0] wgt_data_i,

  output logic      [33:0] sums_o
);

  function automatic logic signed [8:0] centre(input logic [7:0] x, input logic [7:0] zero,
                                               input logic present);
    centre = present ? $signed({x[7], x}) - $signed({zero[7], zero}) : 9'sd0;
  endfunction

  // Times half of a weight: four bits, the highest of which is minus 8 where `last`.
  function automatic logic signed [12:0] times(input logic signed [8:0] x, input logic [3:0] w,
                                               input logic last);
    logic signed [9:0] row;
    logic       [2:0]  low;
    row = w[0] ? 10'(x) : 10'sd0;
    for (int b = 1; b < 3; b++) begin
      low[b-1] = row[0];
      row = (row >>> 1) + (w[b] ? 10'(x) : 10'sd0);
    end
    low[2] = row[0];
    if (last) row = (row >>> 1) - (w[3] ? 10'(x) : 10'sd0);
    else row = (row >>> 1) + (w[3] ? 10'(x) : 10'sd0);
    times = {row, low};
  endfunction

  function automatic logic signed [15:0] multiply(input logic signed [8:0] x, input logic [7:0] w);
    logic signed [12:0] lower;
    logic signed [11:0] upper, high;
    lower = times(x, w[3:0], 1'b0);
    upper = 12'(times(x, w[7:4], 1'b1));
    high = upper + 12'(lower >>> 4);
    multiply = {high, lower[3:0]};
  endfunction

  logic               valid_q;
  logic signed [8:0]  x0_q, x1_q;
  logic [15:0]        column0_q, column1_q;
  logic signed [15:0] p00_q, p01_q, p10_q, p11_q;   // row, column

  `ESP_FFC(clear_i, valid_q <= 1'b0;) valid_q <= valid_i;

  always_ff @(posedge clk_i) begin
    if (load_i[0]) column0_q <= wgt_data_i;
    if (load_i[1]) column1_q <= wgt_data_i;
    if (valid_i) begin
      x0_q <= centre(act_data_i[7:0], zx_i, present_i);
      x1_q <= centre(act_data_i[15:8], zx_i, present_i);
    end
    if (valid_q) begin
      p00_q <= multiply(x0_q, column0_q[7:0]);
      p10_q <= multiply(x1_q, column0_q[15:8]);
      p01_q <= multiply(x0_q, column1_q[7:0]);
      p11_q <= multiply(x1_q, column1_q[15:8]);
    end
  end

  assign sums_o[16:0] = 17'(p00_q) + 17'(p10_q);
  assign sums_o[33:17] = 17'(p01_q) + 17'(p11_q);

endmodule

`default_nettype wire
