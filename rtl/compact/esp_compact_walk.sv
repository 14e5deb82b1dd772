// Walks a strided 3-D transfer word by word: words of a row, rows of a plane, planes.
//
// load_i starts a transfer at base_i + offset_i; step_i moves on to the next word. address_o and last_o
// describe the word not yet stepped over: address_o from the next cycle, last_o from the one after, before
// which no step may come. Offset, counts and strides hold still from load_i to the last step. A word is
// 2 bytes; addresses wrap at 2^AddressBits. One adder serves all.
// Implements docs/machine.md, section 5 (esp_load, esp_store), for the compact core.

`default_nettype none

module esp_compact_walk #(
  parameter int unsigned AddressBits = 20
) (
  input  wire logic                   clk_i,
  input  wire logic                   load_i,
  input  wire logic [AddressBits-1:0] base_i,
  input  wire logic [AddressBits-1:0] offset_i,
  input  wire logic [15:0]            x_words_i,
  input  wire logic [15:0]            y_count_i,
  input  wire logic [15:0]            z_count_i,
  input  wire logic [AddressBits-1:0] y_stride_i,
  input  wire logic [AddressBits-1:0] z_stride_i,
  input  wire logic                   step_i,
  output logic      [AddressBits-1:0] address_o,
  output logic                        last_o
);

  if (AddressBits < 12 || AddressBits > 20) begin : gen_parameters
    $error("esp_compact_walk: AddressBits is 12 to 20");
  end

  logic [AddressBits-1:0] row_q, plane_q, from, by, next;
  logic [15:0]            x_q, y_q, z_q;               // from 1
  logic                   x_end_q, y_end_q, z_end_q;   // at its count, as of the cycle before
  logic                   row_end, plane_end;

  assign row_end = x_end_q;
  assign plane_end = x_end_q && y_end_q;
  assign last_o = plane_end && z_end_q;

  always_comb begin
    if (load_i) begin
      from = base_i;
      by = offset_i;
    end else if (plane_end) begin
      from = plane_q;
      by = z_stride_i;
    end else if (row_end) begin
      from = row_q;
      by = y_stride_i;
    end else begin
      from = address_o;
      by = AddressBits'(2);
    end
  end

  assign next = from + by;

  always_ff @(posedge clk_i) begin
    if (load_i || step_i) address_o <= next;
    if (load_i || (step_i && row_end)) row_q <= next;
    if (load_i || (step_i && plane_end)) plane_q <= next;
    if (load_i || (step_i && row_end)) x_q <= 16'd1;
    else if (step_i) x_q <= x_q + 1'b1;
    if (load_i || (step_i && plane_end)) y_q <= 16'd1;
    else if (step_i && row_end) y_q <= y_q + 1'b1;
    if (load_i) z_q <= 16'd1;
    else if (step_i && plane_end) z_q <= z_q + 1'b1;
    x_end_q <= x_q == x_words_i;
    y_end_q <= y_q == y_count_i;
    z_end_q <= z_q == z_count_i;
  end

endmodule

`default_nettype wire
