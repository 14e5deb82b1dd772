// Weight sequencer: reads the tiles of every CONV from the weight ring, one tile ahead of the feeder.
//
// Tiles go tap row, tap column, k block, n block; a tile is Lanes words (n = nb * Lanes + j), read in
// consecutive cycles. A tile starts when the array's shadow weights are free (the previous tile was
// taken by a pass) and its piece is loaded, in the next cycle at the earliest; tiles of consecutive
// CONVs follow each other without a gap. tile_ready_o rises Lanes/2 + 1 cycles after a tile's first
// read and falls when tile_take_i takes the tile.
// A piece that is to be released is given back with its last read. stuck_o: the next tile needs more
// words than the ring has.
// Of a sparse CONV (Prune; docs/tiles.md) the words follow each other in the ring: a header of 16
// codes, read in two cycles, then the tiles of those that run. A code is examined a cycle; a tile
// that is skipped takes that cycle, also while the shadow weights are full. Every code goes to the
// pass generator (code_*). It waits for Lanes words with w_release, which are given back tile by
// tile, otherwise for the whole piece. The last tile runs whatever its code.
// Latency: wgt_first_o comes with the first word's data, one cycle after its read.
// Implements docs/machine.md, section 3 (weights).

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_wseq #(
  parameter int unsigned Lanes       = 4,
  parameter int unsigned WeightWords = 1024,
  parameter bit          Prune       = 1'b0,
  localparam int unsigned AddrBits   = $clog2(WeightWords)
) (
  input  wire logic                      clk_i,
  input  wire logic                      rst_ni,
  input  wire logic                      clear_i,

  input  wire logic                      wconv_valid_i,
  output logic                           wconv_ready_o,
  input  wire esp_isa_pkg::conv_t        wconv_i,

  output logic                           wgt_ren_o,
  output logic      [AddrBits-1:0]       wgt_raddr_o,
  input  wire logic [AddrBits:0]         wgt_loaded_i,
  output logic      [AddrBits:0]         wgt_base_o,
  input  wire logic [31:0]               wgt_header_i,   // low bits of the word read

  output logic                           code_valid_o,
  input  wire logic                      code_ready_i,
  output logic      [1:0]                code_o,

  output logic                           wgt_first_o,
  output logic                           tile_ready_o,
  input  wire logic                      tile_take_i,
  output logic                           stuck_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_parameters_0
    $error("esp_wseq: Lanes is a power of two from 4 to 32");
  end
  if ((1 << $clog2(WeightWords)) != WeightWords || WeightWords < 2 || WeightWords > 65536)
  begin : gen_parameters_1
    $error("esp_wseq: WeightWords is a power of two from 2 to 65536");
  end

  localparam int unsigned WORD_BITS = $clog2(Lanes);
  localparam int unsigned NEED_BITS = 24;  // offset + 121 taps of a piece

  // The CONV under way.
  logic                 active_q;
  logic                 tapwise_q, release_q;
  logic [AddrBits-1:0]  n_stride_q, tap_stride_q;
  logic [15:0]          piece_q;
  logic [7:0]           nb_last_q, nb_q;
  logic [11:0]          kb_last_q, kb_q;
  logic [3:0]           kx_last_q, kx_q, ky_last_q, ky_q;

  // Where it stands.
  logic [AddrBits-1:0]  addr_q, kb_addr_q, tap_addr_q;
  logic [WORD_BITS-1:0] word_q;
  logic [NEED_BITS-1:0] need_q;
  logic [AddrBits:0]    base_q, base_d;
  logic                 shadow_full_q, ready_q, first_q;

  // A sparse CONV.
  logic       sparse, enough, header, skip, step, may_start;

  logic [AddrBits:0] available;
  logic              start, last_word, nb_end, kb_end, kx_end, ky_end, tap_end, conv_end, piece_end;
  logic              tile_last, accept;

  assign available = wgt_loaded_i - base_q;
  assign start = active_q && word_q == '0 && !shadow_full_q && enough && may_start;
  assign stuck_o = active_q && word_q == '0 && !shadow_full_q && need_q > NEED_BITS'(WeightWords);
  assign wgt_ren_o = start || header || word_q != '0;
  assign wgt_raddr_o = addr_q;
  assign wgt_base_o = base_q;
  assign wgt_first_o = first_q;
  assign tile_ready_o = ready_q;

  assign last_word = word_q == WORD_BITS'(Lanes - 1);
  assign step = last_word || skip;   // to the next tile
  assign nb_end = nb_q == nb_last_q;
  assign kb_end = kb_q == kb_last_q;
  assign kx_end = kx_q == kx_last_q;
  assign ky_end = ky_q == ky_last_q;
  assign tile_last = nb_end && kb_end && kx_end && ky_end;
  assign tap_end = last_word && nb_end && kb_end;
  assign conv_end = last_word && tile_last;
  assign piece_end = tapwise_q ? tap_end : conv_end;
  assign wconv_ready_o = !active_q || conv_end;
  assign accept = wconv_valid_i && wconv_ready_o;

  if (Prune) begin : gen_sparse
    logic        sparse_q, header_q, codes_valid_q;
    logic [31:0] codes_q;
    logic [3:0]  index_q;
    logic [1:0]  code;
    logic        run, examine;

    assign code = codes_q[2*index_q +: 2];
    assign run = code != 2'd0 || tile_last;
    assign examine = active_q && sparse_q && codes_valid_q && word_q == '0 && code_ready_i;
    assign sparse = sparse_q;
    assign enough = (sparse_q && release_q) ? available[AddrBits:WORD_BITS] != '0
                                            : need_q <= NEED_BITS'(available);
    assign header = active_q && sparse_q && !codes_valid_q && !header_q && word_q == '0 && enough;
    assign skip = examine && !run;
    assign may_start = !sparse_q || (examine && run);
    assign code_valid_o = skip || (start && sparse_q);
    assign code_o = {code[1], run};
    assign base_d = (sparse_q ? last_word || header : piece_end) && release_q
        ? base_q + (sparse_q ? (header ? (AddrBits+1)'(1) : (AddrBits+1)'(Lanes))
                             : (AddrBits+1)'(piece_q))
        : base_q;

    `ESP_FFC(clear_i, begin
      header_q <= 1'b0;
      codes_valid_q <= 1'b0;
    end) begin
      header_q <= header;
      if (header_q) codes_valid_q <= 1'b1;
      else if (accept || (step && index_q == 4'd15)) codes_valid_q <= 1'b0;
    end

    always_ff @(posedge clk_i) begin
      if (accept) sparse_q <= wconv_i.w_sparse;
      if (header_q) codes_q <= wgt_header_i;
      if (header_q) index_q <= '0;
      else if (step) index_q <= index_q + 4'd1;
    end
  end else begin : gen_dense
    assign sparse = 1'b0;
    assign enough = need_q <= NEED_BITS'(available);
    assign {header, skip, code_valid_o, code_o} = '0;
    assign may_start = 1'b1;
    assign base_d = (piece_end && release_q) ? base_q + (AddrBits+1)'(piece_q) : base_q;
    logic unused_codes;
    assign unused_codes = ^{wgt_header_i, code_ready_i};
  end

  `ESP_FFC(clear_i, begin
    active_q <= 1'b0;
    word_q <= '0;
    base_q <= '0;
    shadow_full_q <= 1'b0;
    ready_q <= 1'b0;
    first_q <= 1'b0;
  end) begin
    if (wconv_ready_o) active_q <= wconv_valid_i;
    if (wgt_ren_o && !header) word_q <= word_q + 1'b1;
    base_q <= base_d;
    first_q <= start;
    if (start) shadow_full_q <= 1'b1;
    else if (tile_take_i) shadow_full_q <= 1'b0;
    if (word_q == WORD_BITS'(Lanes / 2)) ready_q <= 1'b1;
    else if (tile_take_i) ready_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (accept) begin
      tapwise_q <= wconv_i.w_tapwise;
      release_q <= wconv_i.w_release;
      n_stride_q <= wconv_i.w_n_stride[AddrBits-1:0];
      tap_stride_q <= wconv_i.w_tap_stride[AddrBits-1:0];
      piece_q <= wconv_i.w_piece;
      nb_last_q <= wconv_i.n_blocks - 1'b1;
      kb_last_q <= wconv_i.k_blocks - 1'b1;
      kx_last_q <= wconv_i.kw - 1'b1;
      ky_last_q <= wconv_i.kh - 1'b1;
      nb_q <= '0;
      kb_q <= '0;
      kx_q <= '0;
      ky_q <= '0;
      need_q <= NEED_BITS'(wconv_i.w_offset) + NEED_BITS'(wconv_i.w_piece);
      addr_q <= base_d[AddrBits-1:0] + wconv_i.w_offset[AddrBits-1:0];
      kb_addr_q <= base_d[AddrBits-1:0] + wconv_i.w_offset[AddrBits-1:0];
      tap_addr_q <= base_d[AddrBits-1:0] + wconv_i.w_offset[AddrBits-1:0];
    end else begin
      if (wgt_ren_o) begin
        if (sparse || !last_word || !nb_end) begin
          addr_q <= addr_q + n_stride_q;
        end else if (!kb_end) begin
          addr_q <= kb_addr_q + 1'b1;
          kb_addr_q <= kb_addr_q + 1'b1;
        end else begin
          addr_q <= tap_addr_q + tap_stride_q;
          kb_addr_q <= tap_addr_q + tap_stride_q;
          tap_addr_q <= tap_addr_q + tap_stride_q;
          if (tapwise_q && !release_q) need_q <= need_q + NEED_BITS'(piece_q);
        end
      end
      if (step) begin
        nb_q <= nb_end ? '0 : nb_q + 1'b1;
        if (nb_end) kb_q <= kb_end ? '0 : kb_q + 1'b1;
        if (nb_end && kb_end) kx_q <= kx_end ? '0 : kx_q + 1'b1;
        if (nb_end && kb_end && kx_end) ky_q <= ky_q + 1'b1;
      end
    end
  end

  logic unused_wconv;
  assign unused_wconv = ^wconv_i;

  `ESP_ASSERT(take_ready_tile, !tile_take_i || ready_q)
  `ESP_ASSERT(release_from_base, !accept || !wconv_i.w_release || wconv_i.w_offset == '0)

endmodule

`default_nettype wire
