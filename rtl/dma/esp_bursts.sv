// Walks a strided 3-D transfer and cuts it into bursts: at most 16 beats, none across 4 KiB.
//
// One burst a cycle; one idle cycle between two transfers. Addresses wrap at 4 GiB.
// Planes, rows and words as in docs/machine.md, section 5 (esp_load, esp_store).

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_bursts #(
  parameter int unsigned BusBytes = 4,
  parameter int unsigned BeatsPerWord = 1
) (
  input  wire logic        clk_i,
  input  wire logic        rst_ni,
  input  wire logic        clear_i,

  input  wire logic        in_valid_i,
  output logic             in_ready_o,
  input  wire logic [31:0] base_i,        // the transfer starts at base_i + offset_i
  input  wire logic [31:0] offset_i,
  input  wire logic [15:0] x_words_i,
  input  wire logic [15:0] y_count_i,
  input  wire logic [15:0] z_count_i,
  input  wire logic [31:0] y_stride_i,
  input  wire logic [31:0] z_stride_i,

  output logic             out_valid_o,
  input  wire logic        out_ready_i,
  output logic      [31:0] out_address_o,
  output logic      [4:0]  out_beats_o,   // 1 to 16
  output logic             out_last_o     // the transfer's last burst
);

  if ((1 << $clog2(BusBytes)) != BusBytes || BusBytes < 4 || BusBytes > 32) begin : gen_parameters_0
    $error("esp_bursts: BusBytes is a power of two from 4 to 32");
  end
  if ((1 << $clog2(BeatsPerWord)) != BeatsPerWord) begin : gen_parameters_1
    $error("esp_bursts: BeatsPerWord is a power of two");
  end

  localparam int unsigned ByteBits = $clog2(BusBytes);
  localparam int unsigned LineBits = 12 - ByteBits;  // beats of 4 KiB
  localparam int unsigned WordBits = $clog2(BeatsPerWord);

  typedef enum logic [1:0] {
    TurnStart,
    TurnBurst,
    TurnRow,
    TurnPlane
  } turn_e;  // what the next address is that of

  turn_e       turn;
  logic        active_q;
  logic [31:0] addr_q, row_q, plane_q, y_stride_q, z_stride_q;
  logic [16:0] left_q, x_beats_q;
  logic [15:0] y_left_q, y_count_q, z_left_q;

  logic                out_valid_q, out_last_q;
  logic [31:0]         out_addr_q;
  logic [4:0]          out_beats_q, beats;
  logic [LineBits:0]   to_line;
  logic                step, row_end, last_row, last_plane;
  logic [31:0]         from, by, next;   // the one adder of addresses

  assign to_line = {1'b1, {LineBits{1'b0}}} - {1'b0, addr_q[11:ByteBits]};

  always_comb begin
    beats = 5'd16;
    if (left_q < 17'd16) beats = left_q[4:0];
    if (to_line < (LineBits+1)'(beats)) beats = to_line[4:0];
  end

  assign step = active_q && (!out_valid_q || out_ready_i);
  assign row_end = left_q == 17'(beats);
  assign last_row = y_left_q == 16'd1;
  assign last_plane = z_left_q == 16'd1;
  assign next = from + (* in_order *) by;

  always_comb begin
    if (!active_q) turn = TurnStart;
    else if (!row_end) turn = TurnBurst;
    else if (!last_row) turn = TurnRow;
    else turn = TurnPlane;
    case (turn)
      TurnStart: {from, by} = {base_i, offset_i};
      TurnBurst: {from, by} = {addr_q, 32'(beats) << ByteBits};
      TurnRow:   {from, by} = {row_q, y_stride_q};
      default:   {from, by} = {plane_q, z_stride_q};
    endcase
  end

  assign in_ready_o = !active_q;
  assign out_valid_o = out_valid_q;
  assign out_address_o = out_addr_q;
  assign out_beats_o = out_beats_q;
  assign out_last_o = out_last_q;

  `ESP_FFC(clear_i, begin
    active_q <= 1'b0;
    out_valid_q <= 1'b0;
  end) begin
    if (!active_q) active_q <= in_valid_i;
    else if (step && row_end && last_row && last_plane) active_q <= 1'b0;
    if (step) out_valid_q <= 1'b1;
    else if (out_ready_i) out_valid_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (active_q ? step : in_valid_i) begin
      addr_q <= next;
      if (!active_q || row_end) row_q <= next;
      if (!active_q || (row_end && last_row)) plane_q <= next;
    end
    if (!active_q && in_valid_i) begin
      y_stride_q <= y_stride_i;
      z_stride_q <= z_stride_i;
      left_q <= 17'(x_words_i) << WordBits;
      x_beats_q <= 17'(x_words_i) << WordBits;
      y_left_q <= y_count_i;
      y_count_q <= y_count_i;
      z_left_q <= z_count_i;
    end else if (step) begin
      if (!row_end) begin
        left_q <= left_q - 17'(beats);
      end else begin
        left_q <= x_beats_q;
        if (!last_row) begin
          y_left_q <= y_left_q - 1'b1;
        end else begin
          y_left_q <= y_count_q;
          z_left_q <= z_left_q - 1'b1;
        end
      end
    end
    if (step) begin
      out_addr_q <= addr_q;
      out_beats_q <= beats;
      out_last_q <= row_end && last_row && last_plane;
    end
  end

  `ESP_ASSERT(burst_length, !out_valid_q || (out_beats_q >= 5'd1 && out_beats_q <= 5'd16))
  `ESP_ASSERT(burst_within_4k,
              !out_valid_q || 32'(out_addr_q[11:0]) + (32'(out_beats_q) << ByteBits) <= 32'd4096)

endmodule

`default_nettype wire
