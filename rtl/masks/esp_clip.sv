// The clip stage: shortens an instruction that has a clip word by its layer's row of the table.
//
// `first_i`: an instruction of layer_i with a clip word begins, and the layer's row is read. `clip_i`:
// word_i is its clip word, a cycle later or more; the row's second part is read. ready_o, from three
// cycles after that: `take_i` may come, once, before the next first_i. In its cycle the bits of change_o
// become those of word_o in fields_i, the word behind the clip word, in which every field that a mask may
// change stands at the same bits whatever the opcode; nop_o or empty_o say that nothing is left of a count
// that it takes or needs (of a CONV that ends a tile: a CONV without channels), and nothing changes then.
// A bit of word_o that nothing ever changes is that of word_i, which its register takes anyway. Nothing
// else reads the table from first_i to take_i. Numbers are unsigned; offsets wrap.
// Implements docs/pack.md, section 4.

`default_nettype none
`include "esp_assert.svh"

module esp_clip #(
  parameter int unsigned Lanes = 16,
  parameter int unsigned BusBytes = 16,
  parameter int unsigned AddrBits = 8,          // of the layer table
  parameter int unsigned Rows = 64,             // of it; a layer's is its number modulo Rows
  localparam int unsigned Width = (Lanes < 8) ? 64 : 8 * Lanes
) (
  input  wire logic                clk_i,

  input  wire logic                first_i,
  input  wire logic [11:0]         layer_i,
  input  wire logic                conv_i,      // the opcode
  input  wire logic                pool_i,
  input  wire logic                clip_i,
  input  wire logic [127:0]        word_i,
  input  wire logic [127:0]        fields_i,
  input  wire logic                take_i,
  output logic                     ready_o,

  output logic                     ren_o,
  output logic      [AddrBits-1:0] raddr_o,
  input  wire logic [Width-1:0]    rdata_i,

  output logic      [127:0]        word_o,
  output logic      [127:0]        change_o,
  output logic                     nop_o,
  output logic                     empty_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_parameters_0
    $error("esp_clip: Lanes is a power of two from 4 to 32");
  end
  if ((1 << $clog2(BusBytes)) != BusBytes || BusBytes > Lanes) begin : gen_parameters_1
    $error("esp_clip: BusBytes is a power of two, at most Lanes");
  end
  if (AddrBits == 0 || AddrBits > 14) begin : gen_parameters_2
    $error("esp_clip: AddrBits is 1 to 14");
  end
  if (Rows < 2 || Rows > 4096 || (1 << $clog2(Rows)) != Rows) begin : gen_parameters_3
    $error("esp_clip: Rows is a power of two from 2 to 4096");
  end

  localparam int unsigned ByteBits = $clog2(BusBytes);
  localparam int unsigned LaneBits = $clog2(Lanes);
  localparam int unsigned WordBits = $clog2(esp_isa_pkg::ROW_BITS / Width);   // words of a row
  localparam int unsigned RowBits = $clog2(Rows);

  // ---------------------------------------------------------------- the row
  typedef struct packed {
    logic signed [27:0] out_shift;
    logic        [10:0] n_stride;
    logic               dense;
    logic        [11:0] n_live;
    logic        [11:0] k_live;
  } counts_t;

  esp_isa_pkg::clip_t clip_q, coming;
  counts_t            counts_q;
  logic [55:0]        pieces, shifts;
  logic [15:0]        block_words;
  logic [RowBits-1:0] row;
  logic [1:0]         second;     // quarter of the row that is read second
  logic [Width-1:0]   row_q;      // the words of it that are

  assign coming = word_i;
  assign second = conv_i ? 2'd1 : coming.words[0] ? 2'd3 : 2'd2;
  assign ren_o = first_i || clip_i;
  assign row = layer_i[RowBits-1:0];

  if (Width == 64) begin : gen_narrow
    assign pieces = row_q[55:0];
    assign shifts = row_q[55:0];
    assign block_words = row_q[15:0];
  end else if (Width == 128) begin : gen_half
    assign pieces = row_q[119:64];
    assign shifts = row_q[55:0];
    assign block_words = row_q[79:64];
  end else begin : gen_whole
    assign pieces = row_q[119:64];
    assign shifts = row_q[183:128];
    assign block_words = row_q[207:192];
  end

  if (WordBits == 0) begin : gen_row
    assign raddr_o = AddrBits'(row);
    logic unused;
    assign unused = ^second;
  end else begin : gen_words
    assign raddr_o = AddrBits'({row, first_i ? WordBits'(0) : second[1 -: WordBits]});
    logic unused;
    assign unused = ^second;
  end

  always_ff @(posedge clk_i) begin
    if (clip_i) begin
      clip_q <= word_i;
      counts_q <= rdata_i[63:0];
    end
  end

  // ---------------------------------------------------------------- what is left
  logic [12:0]        k_more_q, n_more_q;  // negative where nothing is left
  logic               k_none_q, n_none_q;  // nothing is
  logic               k_whole_q, n_whole_q, k_exact_q;   // as much as asked for, or more; exactly that
  logic               counted_q, takes_k, takes_n, go;
  logic [11:0]        k, n;
  logic signed [27:0] shift;
  logic [13:0]        piece;
  logic [15:0]        pos_q;

  always_ff @(posedge clk_i) begin
    counted_q <= !clip_i;
    if (!counted_q) row_q <= rdata_i;
    ready_o <= counted_q && !clip_i;
    if (!counted_q) begin
      k_more_q <= 13'(counts_q.k_live) - 13'(clip_q.k0);
      n_more_q <= 13'(counts_q.n_live) - 13'(clip_q.n0);
    end
    if (!ready_o) begin
      k_none_q <= k_more_q[12] || k_more_q[11:0] == '0;
      n_none_q <= n_more_q[12] || n_more_q[11:0] == '0;
      k_whole_q <= k_more_q[11:0] >= clip_q.kc;   // where there is something
      n_whole_q <= n_more_q[11:0] >= clip_q.nb;
      k_exact_q <= k_more_q[11:0] == clip_q.kc;
    end
  end

  assign k = k_whole_q ? clip_q.kc : k_more_q[11:0];
  assign n = n_whole_q ? clip_q.nb : n_more_q[11:0];
  assign piece = n_whole_q ? (k_whole_q ? pieces[13:0] : pieces[27:14])
                           : (k_whole_q ? pieces[41:28] : pieces[55:42]);

  always_comb begin
    case (clip_q.shift)
      esp_isa_pkg::ShiftIn: shift = shifts[27:0];
      esp_isa_pkg::ShiftOperand: shift = shifts[55:28];
      esp_isa_pkg::ShiftOut: shift = counts_q.out_shift;
      default: shift = '0;
    endcase
  end

  always_comb begin
    {empty_o, takes_k, takes_n, nop_o, go} = '0;
    if (`ESP_WHEN(take_i)) begin
      empty_o = conv_i && n_none_q && conv.last[0];
      takes_k = conv_i || clip_q.need_k[0] || clip_q.words[0] || clip_q.rows[0]
             || (clip_q.cut[0] && clip_q.by_k[0]);
      takes_n = conv_i || pool_i || clip_q.need_n[0] || (clip_q.cut[0] && !clip_q.by_k[0]);
      nop_o = !empty_o && ((takes_k && k_none_q) || (takes_n && n_none_q));
      go = !nop_o && !empty_o;
    end
  end

  // The word as that of a transfer (a POOL's blocks stand where z_count does) and as that of a CONV, and the
  // bits of each that change.
  esp_isa_pkg::load_t load, transfer, transfer_bits;
  esp_isa_pkg::conv_t conv, clipped, clipped_bits;
  assign load = {fields_i, 128'b0};
  assign conv = {384'b0, fields_i, 128'b0};

  always_comb begin
    {transfer_bits, clipped_bits, word_o, change_o} = '0;
    transfer = {word_i, 128'b0};
    clipped = {384'b0, word_i, 128'b0};
    if (`ESP_WHEN(take_i)) begin
      transfer.offset = load.offset + (32'(shift) << ByteBits);
      transfer_bits.offset = '1;
      transfer.z_count[11:0] = clip_q.by_k[0] ? k : n;
      transfer_bits.z_count[11:0] = {12{clip_q.cut[0] || pool_i}};
      transfer.x_words = clip_q.words[0] ? block_words : 16'(k);
      transfer_bits.x_words = {16{clip_q.words[0] || clip_q.rows[0]}};
      transfer.y_stride[11+LaneBits:0] = {counts_q.k_live, {LaneBits{1'b0}}};
      transfer_bits.y_stride[11+LaneBits:0] = {12+LaneBits{clip_q.rows[0]}};
      transfer.region[2] = 1'b1;
      transfer_bits.region[2] = clip_q.image[0] && !counts_q.dense;
      clipped.n_blocks = n[7:0];
      clipped_bits.n_blocks = '1;
      clipped.k_blocks = k;
      clipped_bits.k_blocks = '1;
      clipped.w_piece = 16'(piece);
      clipped_bits.w_piece = '1;
      clipped.w_tap_stride = conv.w_tapwise[0] ? 16'(piece) : 16'(k);
      clipped_bits.w_tap_stride = '1;
      clipped.w_n_stride[10:0] = counts_q.n_stride;
      clipped_bits.w_n_stride[10:0] = {11{!k_whole_q}};
      clipped.w_offset = clip_q.w_start[0] ? '0 : pos_q;
      clipped_bits.w_offset = {16{!conv.w_release[0]}};
      clipped.last = clip_q.last_taps & {!k_whole_q || k_exact_q};
      clipped_bits.last = '1;
      word_o = conv_i ? clipped[255:128] : transfer[255:128];
      change_o = {128{go}} & (conv_i ? clipped_bits[255:128] : transfer_bits[255:128]);
    end
  end

  // Where the next unit of weights that stay begins.
  always_ff @(posedge clk_i) begin
    if (take_i && conv_i) begin
      if (go) pos_q <= (clip_q.w_start[0] ? '0 : pos_q) + 16'(piece);
      else if (clip_q.w_start[0]) pos_q <= '0;
    end
  end

  logic unused_clip;
  assign unused_clip = ^{layer_i, clip_q, rdata_i, row_q, coming, load, conv, transfer, clipped,
                         transfer_bits, clipped_bits};

endmodule

`default_nettype wire
