// The two sides of the requantiser's equivalence proofs: the lane in its pipeline, whose registers
// the script makes wires, and the plain form. Same ports, same names; combinational.
//
// Mask: bits of the scale's fraction that may be set. With CUT the product of the significands is
// not multiplied: both sides take it from product_i, made into any product of two significands, and
// show the operands that they would have multiplied instead.

`default_nettype none

module requant_dut #(
  parameter logic [22:0] Mask = '1
) (
  input  wire logic [31:0] acc_i,
  input  wire logic [30:0] scale_i,
  input  wire logic [ 7:0] zero_i,
  input  wire logic [ 7:0] lo_i,
  input  wire logic [ 7:0] hi_i,
  input  wire logic [46:0] product_i,
  output logic      [46:0] operands_o,
  output logic      [ 7:0] y_o
);

  esp_requant #(.Lanes(1)) u_dut (
    .clk_i(1'b0), .rst_ni(1'b1), .clear_i(1'b0), .en_i(1'b1), .valid_i(1'b1), .acc_i,
    .scale_i({1'b0, scale_i[30:23], scale_i[22:0] & Mask}), .zero_i, .lo_i, .hi_i,
    .valid_o(), .data_o(y_o)
  );

`ifdef CUT
  // The script connects these to the lane: operands from it, the product into it.
  (* keep *) logic [22:0] mantissa, fraction;
  (* keep *) logic [47:0] product;
  (* keep *) logic product_rest;
  assign product_rest = product[16:0] != '0;
  assign product = {product_i[46], product_i[46] ? product_i[45] : 1'b1, product_i[45:0]};
  assign operands_o = acc_i == '0 || scale_i[30:23] == '0 ? '0 : {1'b1, mantissa, fraction};
`else
  assign operands_o = '0;
`endif

endmodule

module requant_reference #(
  parameter logic [22:0] Mask = '1
) (
  input  wire logic [31:0] acc_i,
  input  wire logic [30:0] scale_i,
  input  wire logic [ 7:0] zero_i,
  input  wire logic [ 7:0] lo_i,
  input  wire logic [ 7:0] hi_i,
  input  wire logic [46:0] product_i,
  output logic      [46:0] operands_o,
  output logic      [ 7:0] y_o
);

  logic [23:0] mantissa, significand;
  logic [47:0] product;

  requant_plain u_plain (
    .acc_i, .scale_i({scale_i[30:23], scale_i[22:0] & Mask}), .zero_i, .lo_i, .hi_i,
    .mantissa_o(mantissa), .significand_o(significand), .product_i(product), .y_o
  );

`ifdef CUT
  assign product = {product_i[46], product_i[46] ? product_i[45] : 1'b1, product_i[45:0]};
  assign operands_o = acc_i == '0 || scale_i[30:23] == '0 ? '0 : {mantissa, significand[22:0]};
`else
  assign product = 48'(mantissa) * 48'(significand);
  assign operands_o = '0;
`endif

endmodule

`default_nettype wire
