// Squeezes dead lanes out of a stream of beats: live bytes move together, in order.
//
// A beat of Lanes bytes with a mask (`pad_i` clear) appends its live bytes; `pad_i` instead fills the
// beat under way up with zeros (an empty one too: a beat of zeros). Full beats leave. `fill_next_o`:
// bytes that wait for their beat to fill after the step that is offered; `full_o`: it fills a beat.
// Latency: one cycle. Throughput: a beat a cycle. Handshake: valid / ready on both sides. Reset and
// clear_i drop everything.
// A byte goes to lane (fill + live bytes below it) modulo Lanes, by exchanges of lanes that differ in
// bit 0, then 1, ...: live bytes are nearer to each other there than here, so none meet.
// Implements docs/pack.md, section 5.

`default_nettype none
`include "esp_assert.svh"

module esp_squeeze #(
  parameter int unsigned Lanes = 8,
  localparam int unsigned Bits = $clog2(Lanes)
) (
  input  wire logic               clk_i,
  input  wire logic               rst_ni,
  input  wire logic               clear_i,

  input  wire logic               valid_i,
  output logic                    ready_o,
  input  wire logic [8*Lanes-1:0] data_i,
  input  wire logic [Lanes-1:0]   mask_i,
  input  wire logic               pad_i,
  output logic      [Bits-1:0]    fill_next_o,
  output logic                    full_o,

  output logic                    valid_o,
  input  wire logic               ready_i,
  output logic      [8*Lanes-1:0] data_o
);

  logic [Bits-1:0]    fill_q;
  logic [Bits:0]      end_d;       // fill and live bytes
  logic               step, valid_q;
  logic [8*Lanes-1:0] held_q, beat, beat_q, routed;
  logic [Lanes-1:0]   live;        // lanes of `routed` that hold a byte

  assign ready_o = !valid_q || ready_i;
  assign step = valid_i && ready_o;
  assign fill_next_o = pad_i ? '0 : end_d[Bits-1:0];
  assign full_o = pad_i || end_d[Bits];
  assign valid_o = valid_q;
  assign data_o = beat_q;

  // Where each byte goes; quiet unless there is a beat.
  logic [Lanes*Bits-1:0] goal;
  always_comb begin
    goal = '0;
    end_d = {1'b0, fill_q};
    if (valid_i && !pad_i) begin
      for (int i = 0; i < Lanes; i++) begin
        goal[i*Bits +: Bits] = end_d[Bits-1:0];
        end_d = end_d + {{Bits{1'b0}}, mask_i[i]};
      end
    end
  end

  for (genvar s = 0; s <= Bits; s++) begin : gen_stage
    logic [8*Lanes-1:0]    data;
    logic [Lanes*Bits-1:0] to;
    logic [Lanes-1:0]      there;
    if (s == 0) begin : gen_in
      assign data = data_i;
      assign to = goal;
      assign there = (valid_i && !pad_i) ? mask_i : '0;
    end else begin : gen_exchange
      for (genvar i = 0; i < Lanes; i++) begin : gen_lane
        localparam int unsigned Other = i ^ (1 << (s - 1));
        localparam bit Side = ((i >> (s - 1)) & 1) != 0;
        logic stays, comes;
        assign stays = gen_stage[s-1].there[i] && gen_stage[s-1].to[i*Bits + s-1] == Side;
        assign comes = gen_stage[s-1].there[Other] && gen_stage[s-1].to[Other*Bits + s-1] == Side;
        assign there[i] = stays || comes;
        assign to[i*Bits +: Bits] = comes ? gen_stage[s-1].to[Other*Bits +: Bits]
                                          : gen_stage[s-1].to[i*Bits +: Bits];
        assign data[8*i +: 8] = comes ? gen_stage[s-1].data[8*Other +: 8]
                                      : gen_stage[s-1].data[8*i +: 8];
        `ESP_ASSERT(no_two_meet, !(stays && comes))
      end
    end
  end

  assign routed = gen_stage[Bits].data;
  assign live = gen_stage[Bits].there;

  logic unused;
  assign unused = ^gen_stage[Bits].to;

  // The beat that leaves: held bytes below the fill, new ones from there on.
  for (genvar i = 0; i < Lanes; i++) begin : gen_beat
    assign beat[8*i +: 8] = (32'(fill_q) > i) ? held_q[8*i +: 8] : pad_i ? '0 : routed[8*i +: 8];
    always_ff @(posedge clk_i) begin
      if (step && live[i]) held_q[8*i +: 8] <= routed[8*i +: 8];
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      fill_q <= '0;
      valid_q <= 1'b0;
    end else if (clear_i) begin
      fill_q <= '0;
      valid_q <= 1'b0;
    end else begin
      if (step) fill_q <= fill_next_o;
      if (ready_o) valid_q <= step && full_o;
    end
  end

  always_ff @(posedge clk_i) begin
    if (step && full_o) beat_q <= beat;
  end

  `ESP_ASSERT_STABLE(out_stable, clear_i, valid_o, ready_i, data_o)

endmodule

`default_nettype wire
