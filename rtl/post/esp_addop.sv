// Residual adder: y = clamp(rne_shift((a - za)*ma + (b - zb)*mb, shift) + zero, lo, hi) on Lanes
// lanes, exact inside and rounded once; y = a where add_i is clear.
//
// Latency 4 cycles under en_i, one vector a cycle; the whole pipeline holds while en_i is low.
// Every input belongs to the vector under valid_i; shift_i is 13 to 31. Reset and clear_i empty it.
// docs/machine.md, section 3.
`default_nettype none

module esp_addop #(
    parameter int unsigned Lanes = 8
) (
    input  wire logic               clk_i,
    input  wire logic               rst_ni,
    input  wire logic               clear_i,
    input  wire logic               en_i,
    input  wire logic               valid_i,
    input  wire logic               add_i,
    input  wire logic [8*Lanes-1:0] a_i,
    input  wire logic [8*Lanes-1:0] b_i,
    input  wire logic [        7:0] za_i,
    input  wire logic [        7:0] zb_i,
    input  wire logic [       21:0] ma_i,
    input  wire logic [       21:0] mb_i,
    input  wire logic [        4:0] shift_i,
    input  wire logic [        7:0] zero_i,
    input  wire logic [        7:0] lo_i,
    input  wire logic [        7:0] hi_i,
    output      logic               valid_o,
    output      logic [8*Lanes-1:0] data_o
);

  localparam int unsigned LATENCY = 4;

  logic [LATENCY-1:0] valid_q;
  logic [LATENCY-1:0] stage;
  logic [LATENCY-2:0] add_q;
  logic [4:0] shift0_q, shift1_q;
  logic [23:0] bounds0_q, bounds1_q, bounds2_q;

  assign stage   = en_i ? {valid_q[LATENCY-2:0], valid_i} : '0;
  assign valid_o = valid_q[LATENCY-1];

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_q <= '0;
    else if (clear_i) valid_q <= '0;
    else if (en_i) valid_q <= {valid_q[LATENCY-2:0], valid_i};
  end

  always_ff @(posedge clk_i) begin
    if (en_i) add_q <= {add_q[LATENCY-3:0], add_i};
    if (stage[0] && add_i) begin
      shift0_q  <= shift_i - 5'd13;
      bounds0_q <= {zero_i, lo_i, hi_i};
    end
    if (stage[1] && add_q[0]) begin
      shift1_q  <= shift0_q;
      bounds1_q <= bounds0_q;
    end
    if (stage[2] && add_q[1]) bounds2_q <= bounds1_q;
  end

  logic [31:0] below, beyond;
  for (genvar i = 0; i < 32; i++) begin : gen_mask
    assign below[i]  = i < 12 || 6'(i) < {1'b0, shift1_q} + 6'd12;
    assign beyond[i] = i >= 21 && 6'(i) >= {1'b0, shift1_q} + 6'd21;
  end

  for (genvar i = 0; i < Lanes; i++) begin : gen_lane
    esp_addop_lane u_lane (
        .clk_i,
        .stage_i(stage),
        .add_i  ({add_q, add_i}),
        .a_i    (a_i[8*i+:8]),
        .b_i    (b_i[8*i+:8]),
        .za_i,
        .zb_i,
        .ma_i,
        .mb_i,
        .shift_i(shift1_q),
        .below_i(below),
        .beyond_i(beyond),
        .zero_i (bounds2_q[23:16]),
        .lo_i   (bounds2_q[15:8]),
        .hi_i   (bounds2_q[7:0]),
        .data_o (data_o[8*i+:8])
    );
  end

endmodule

`default_nettype wire
