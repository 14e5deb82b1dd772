// Walks a strided 3-D transfer and cuts it into bursts: at most 16 beats, none across 4 KiB.
//
// A burst takes two cycles: in one its length is found, in the other the address behind it; a transfer's
// first burst shows three cycles after the transfer was taken. Addresses wrap at 4 GiB. A transfer brings a
// tag, which each of its bursts shows.
// Planes, rows and words as in docs/machine.md, section 5 (esp_load, esp_store).

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_bursts #(
  parameter int unsigned BusBytes = 4,
  parameter int unsigned BeatsPerWord = 1,
  parameter int unsigned TagBits = 1,
  localparam int unsigned LineBits = 12 - $clog2(BusBytes)   // beats of 4 KiB
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
  input  wire logic [TagBits-1:0] tag_i,

  output logic             out_valid_o,
  input  wire logic        out_ready_i,
  output logic      [31:0] out_address_o,
  output logic      [3:0]  out_len_o,     // beats - 1
  output logic [LineBits-1:0] out_end_o,  // its last beat within the 4 KiB
  output logic             out_plane_o,   // its plane's last burst
  output logic             out_last_o,    // the transfer's last burst
  output logic [TagBits-1:0] out_tag_o
);

  if ((1 << $clog2(BusBytes)) != BusBytes || BusBytes < 4 || BusBytes > 32) begin : gen_parameters_0
    $error("esp_bursts: BusBytes is a power of two from 4 to 32");
  end
  if ((1 << $clog2(BeatsPerWord)) != BeatsPerWord) begin : gen_parameters_1
    $error("esp_bursts: BeatsPerWord is a power of two");
  end
  if (TagBits == 0 || TagBits > 64) begin : gen_parameters_2
    $error("esp_bursts: TagBits is 1 to 64");
  end

  localparam int unsigned ByteBits = $clog2(BusBytes);
  localparam int unsigned WordBits = $clog2(BeatsPerWord);

  typedef enum logic [1:0] {
    TurnStart,
    TurnBurst,
    TurnRow,
    TurnPlane
  } turn_e;  // what the next address is that of

  turn_e       turn;
  logic        active_q;
  logic        measured_q;               // len_q and the flags behind it are those of the burst at addr_q
  logic [31:0] addr_q, row_q, plane_q, y_stride_q, z_stride_q;
  logic [16:0] left_q, row_beats_q;      // beats left of the row, and of a whole one
  logic [15:0] y_left_q, y_count_q, z_left_q;
  logic [3:0]  len_q, line, rest, len;   // beats - 1
  logic        row_end_q, last_row_q, last_plane_q, row_end;
  logic [TagBits-1:0] tag_q;

  logic        out_valid_q;
  logic        step;
  logic [31:0] from, by, next;           // the one adder of addresses

  // What the 4 KiB leave of 16 beats, one less; then what the row leaves of those.
  always_comb begin
    {line, rest, row_end, len} = '0;
    if (`ESP_WHEN(active_q && !measured_q)) begin
      line = (addr_q[11:ByteBits+4] == '1) ? ~addr_q[ByteBits+3:ByteBits] : 4'd15;
      rest = left_q[3:0] - 4'd1;
      row_end = left_q[16:5] == '0 && (!left_q[4] || left_q[3:0] == '0) && rest <= line;
      len = row_end ? rest : line;
    end
  end

  assign step = active_q && measured_q && (!out_valid_q || out_ready_i);
  assign next = from + (* in_order *) by;

  always_comb begin
    turn = TurnStart;
    {from, by} = '0;
    if (`ESP_WHEN(step || !active_q)) begin
      if (!active_q) turn = TurnStart;
      else if (!row_end_q) turn = TurnBurst;
      else if (!last_row_q) turn = TurnRow;
      else turn = TurnPlane;
      case (turn)
        TurnStart: {from, by} = {base_i, offset_i};
        TurnBurst: {from, by} = {addr_q, (32'(len_q) + 32'd1) << ByteBits};
        TurnRow:   {from, by} = {row_q, y_stride_q};
        default:   {from, by} = {plane_q, z_stride_q};
      endcase
    end
  end

  assign in_ready_o = !active_q;
  assign out_valid_o = out_valid_q;

  `ESP_FFC(clear_i, begin
    active_q <= 1'b0;
    measured_q <= 1'b0;
    out_valid_q <= 1'b0;
  end) begin
    if (!active_q) active_q <= in_valid_i;
    else if (step && row_end_q && last_row_q && last_plane_q) active_q <= 1'b0;
    measured_q <= active_q && !step;
    if (step) out_valid_q <= 1'b1;
    else if (out_ready_i) out_valid_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (active_q && !measured_q) begin
      len_q <= len;
      row_end_q <= row_end;
      last_row_q <= y_left_q == 16'd1;
      last_plane_q <= z_left_q == 16'd1;
    end
    if (active_q ? step : in_valid_i) begin
      addr_q <= next;
      if (!active_q || row_end_q) row_q <= next;
      if (!active_q || (row_end_q && last_row_q)) plane_q <= next;
    end
    if (!active_q && in_valid_i) begin
      y_stride_q <= y_stride_i;
      z_stride_q <= z_stride_i;
      left_q <= 17'(x_words_i) << WordBits;
      row_beats_q <= 17'(x_words_i) << WordBits;
      y_left_q <= y_count_i;
      y_count_q <= y_count_i;
      z_left_q <= z_count_i;
      tag_q <= tag_i;
    end else if (step) begin
      if (!row_end_q) begin
        left_q <= left_q + {13'h1fff, ~len_q};
      end else begin
        left_q <= row_beats_q;
        if (!last_row_q) begin
          y_left_q <= y_left_q - 1'b1;
        end else begin
          y_left_q <= y_count_q;
          z_left_q <= z_left_q - 1'b1;
        end
      end
    end
    if (step) begin
      out_address_o <= addr_q;
      out_len_o <= len_q;
      out_end_o <= addr_q[11:ByteBits] + LineBits'(len_q);
      out_plane_o <= row_end_q && last_row_q;
      out_last_o <= row_end_q && last_row_q && last_plane_q;
      out_tag_o <= tag_q;
    end
  end

  `ESP_ASSERT(burst_within_4k,
              !out_valid_q || 32'(out_address_o[11:ByteBits]) + 32'(out_len_o) == 32'(out_end_o))

endmodule

`default_nettype wire
