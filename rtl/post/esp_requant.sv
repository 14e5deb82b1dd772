// Requantiser: y = clamp(rne(fp32(acc) * scale) + zero, lo, hi) on Lanes lanes.
//
// Latency 8 cycles under en_i, one vector a cycle; the whole pipeline holds while en_i is low.
// Inputs count under valid_i and en_i; data_o is good under valid_o. Reset and clear_i empty it.
// acc_i: int32 per lane, bias included. scale_i: fp32 per lane, its sign ignored; 0 and subnormal
// give 0; exponent 255 saturates by the sign of acc. zero_i, lo_i, hi_i: int8, of the whole vector.
// Integer arithmetic only; the roundings are those of fp32 (esp_requant_lane).
// docs/machine.md, section 5, esp_requant.
`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_requant #(
  parameter int unsigned Lanes = 8
) (
  input  wire logic                clk_i,
  input  wire logic                rst_ni,
  input  wire logic                clear_i,
  input  wire logic                en_i,
  input  wire logic                valid_i,
  input  wire logic [32*Lanes-1:0] acc_i,
  input  wire logic [32*Lanes-1:0] scale_i,
  input  wire logic [7:0]          zero_i,
  input  wire logic [7:0]          lo_i,
  input  wire logic [7:0]          hi_i,
  output logic                     valid_o,
  output logic      [8*Lanes-1:0]  data_o
);

  if (Lanes == 0) begin : gen_parameters
    $error("esp_requant: Lanes is at least 1");
  end

  localparam int unsigned LATENCY = 8;
  localparam int unsigned BOUNDS = LATENCY - 2;  // the stage before the lanes' clamps

  logic [LATENCY-1:0] valid_q;
  logic [LATENCY-1:0] stage;
  logic [24*BOUNDS-1:0] bounds_q;  // shift without a condition, in LUTs
  logic [23:0] bounds, clamp_q;
  logic [8:0] zero_lo_q, zero_hi_q;  // zero - lo, zero - hi - 1: once for all lanes

  assign bounds  = bounds_q[24*(BOUNDS-1) +: 24];
  assign stage   = en_i ? {valid_q[LATENCY-2:0], valid_i} : '0;
  assign valid_o = valid_q[LATENCY-1];

  `ESP_FFC(clear_i, valid_q <= '0;)
    if (en_i) valid_q <= {valid_q[LATENCY-2:0], valid_i};

  always_ff @(posedge clk_i) begin
    if (en_i && `ESP_WHEN(valid_i || valid_q != '0)) begin
      bounds_q <= {bounds_q[24*(BOUNDS-1)-1:0], zero_i, lo_i, hi_i};
    end
    if (stage[BOUNDS]) begin
      clamp_q   <= bounds;
      zero_lo_q <= {bounds[23], bounds[23:16]} - {bounds[15], bounds[15:8]};
      zero_hi_q <= {bounds[23], bounds[23:16]} + ~{bounds[7], bounds[7:0]};
    end
  end

  for (genvar i = 0; i < Lanes; i++) begin : gen_lane
    esp_requant_lane u_lane (
      .clk_i,
      .stage_i(stage),
      .acc_i(acc_i[32*i +: 32]),
      .scale_i(scale_i[32*i +: 31]),
      .zero_i(clamp_q[23:16]),
      .lo_i(clamp_q[15:8]),
      .hi_i(clamp_q[7:0]),
      .zero_lo_i(zero_lo_q),
      .zero_hi_i(zero_hi_q),
      .data_o(data_o[8*i +: 8])
    );
    logic unused_sign;
    assign unused_sign = scale_i[32*i+31];
  end

endmodule

`default_nettype wire
