// Weight sequencer: reads the tiles of every CONV from the weight ring, one tile ahead of the feeder.
//
// Tiles go tap row, tap column, k block, n block; a tile is Lanes words (n = nb * Lanes + j), read in
// consecutive cycles. The walk stands at the tile that comes next, with its address and the count of
// words that must have come for it. It is begun when those are there and the array's shadow
// weights are free (the previous tile was taken by a pass); its first read is in the next cycle. So
// tiles follow each other without a gap, those of consecutive CONVs too. A CONV is taken as soon as the
// last tile of the one before is begun. tile_ready_o rises Lanes/2 cycles after a tile's first read, for
// a pass that swaps two cycles later at the earliest, and falls after tile_take_i, that pass's first cycle.
// A piece that is to be released is given back with its last read. stuck_o: the next tile needs more
// words than the ring has.
// Of a sparse CONV (Prune; docs/tiles.md) the words follow each other in the ring: a header of 16
// codes, read in three cycles, then the tiles of those that run. A code is examined a cycle; a tile
// that is skipped takes that cycle, also while words are read and the shadow weights are full; one that
// runs is begun in the next cycle at the earliest. Every code goes to the pass generator as it is
// examined (code_*). The sequencer waits for Lanes words with w_release, which are given back
// tile by tile, otherwise for the whole piece. The last tile runs whatever its code.
// Latency: a CONV's first read comes two cycles after it is taken, and as many after its words came;
// wgt_first_o comes with the first word's data, one cycle after its read.
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
  localparam int unsigned ROOM_BITS = 18;  // Words less an offset and a piece, with its sign

  // The CONV under way.
  logic                 walk_q;
  logic                 tapwise_q, release_q, sparse;
  logic [AddrBits-1:0]  n_stride_q, tap_stride_q;
  logic [15:0]          piece_q;
  logic [7:0]           n_blocks_q;
  logic [11:0]          k_blocks_q;
  logic [3:0]           kw_q;

  // The tile that comes next: the address of its first word, the count of words loaded that it
  // needs, what the ring has beyond those (negative: they can never be there).
  logic [AddrBits-1:0]         next_q, next_d, kb_addr_q, tap_addr_q;
  logic [AddrBits:0]           target_q;
  logic signed [ROOM_BITS-1:0] room_q;
  logic [AddrBits:0]           ahead_q;  // words given back once the tiles begun are read

  // The words being read.
  logic                 busy_q;  // others follow
  logic                 reading_q, first_read_q, first_q;
  logic [AddrBits-1:0]  addr_q, stride_q;
  logic [WORD_BITS-1:0] word_q;
  logic [AddrBits:0]    base_q;
  logic                 shadow_full_q, ready_q;

  logic [AddrBits:0]    beyond;
  logic                 loaded, accept, start, header, step, nb_end, kb_end, kx_end, ky_end;
  logic                 tap_end, conv_end, piece_end, may_start, header_q;
  logic [AddrBits:0]    amount;  // words that a step moves on by
  logic                 ends;    // the tile is the last of its words

  assign wconv_ready_o = !walk_q;
  assign accept = wconv_valid_i && wconv_ready_o;
  assign beyond = wgt_loaded_i - target_q;
  assign loaded = walk_q && !busy_q && !room_q[ROOM_BITS-1] && !beyond[AddrBits];
  assign start = loaded && (!shadow_full_q || tile_take_i) && may_start;
  assign stuck_o = walk_q && !shadow_full_q && room_q[ROOM_BITS-1];
  assign wgt_ren_o = reading_q || header_q;
  assign wgt_raddr_o = addr_q;
  assign wgt_base_o = base_q;
  assign wgt_first_o = first_q;
  assign tile_ready_o = ready_q;

  assign tap_end = nb_end && kb_end;
  assign conv_end = tap_end && kx_end && ky_end;
  assign piece_end = tapwise_q ? tap_end : conv_end;

  logic [3:0] unused_next;

  esp_loop #(.Width(8)) u_nb (
    .clk_i, .load_i(accept), .load_count_i(wconv_i.n_blocks), .step_i(step),
    .count_i(n_blocks_q), .end_o(nb_end), .next_end_o(unused_next[0])
  );
  esp_loop #(.Width(12)) u_kb (
    .clk_i, .load_i(accept), .load_count_i(wconv_i.k_blocks), .step_i(step && nb_end),
    .count_i(k_blocks_q), .end_o(kb_end), .next_end_o(unused_next[1])
  );
  esp_loop #(.Width(4)) u_kx (
    .clk_i, .load_i(accept), .load_count_i(wconv_i.kw), .step_i(step && tap_end),
    .count_i(kw_q), .end_o(kx_end), .next_end_o(unused_next[2])
  );
  esp_loop #(.Width(4)) u_ky (
    .clk_i, .load_i(accept), .load_count_i(wconv_i.kh), .step_i(step && tap_end && kx_end),
    .count_i(4'd0), .end_o(ky_end), .next_end_o(unused_next[3])
  );

  if (Prune) begin : gen_sparse
    logic        sparse_q, header_data_q, codes_valid_q;
    logic [31:0] codes_q;
    logic [1:0]  code_q;   // the code examined
    logic [3:0]  index_q;  // the one behind it
    logic        found_q;  // the tile runs
    logic        run, examine, skip;

    assign run = code_q != 2'd0 || conv_end;
    assign examine = codes_valid_q && !found_q && code_ready_i;
    assign sparse = sparse_q;
    assign header = loaded && sparse_q && !codes_valid_q && !header_q && !header_data_q;
    assign skip = examine && !run;
    assign may_start = !sparse_q || found_q;
    assign step = start || skip;
    assign code_valid_o = examine;
    assign code_o = {code_q[1], run};
    assign amount = !sparse_q ? (AddrBits+1)'(piece_q)
        : codes_valid_q ? (AddrBits+1)'(Lanes) : (AddrBits+1)'(1);
    assign ends = sparse_q || piece_end;

    `ESP_FFC(clear_i, begin
      header_q <= 1'b0;
      header_data_q <= 1'b0;
      codes_valid_q <= 1'b0;
      found_q <= 1'b0;
    end) begin
      if (start) found_q <= 1'b0;
      else if (examine && run) found_q <= 1'b1;
      header_q <= header;
      header_data_q <= header_q;
      if (header_data_q) codes_valid_q <= 1'b1;
      else if (step && (conv_end || index_q == '0)) codes_valid_q <= 1'b0;
    end

    always_ff @(posedge clk_i) begin
      if (accept) sparse_q <= wconv_i.w_sparse;
      if (header_data_q) begin
        codes_q <= wgt_header_i;
        code_q <= wgt_header_i[1:0];
        index_q <= 4'd1;
      end else if (step && sparse_q) begin
        code_q <= codes_q[2*index_q +: 2];
        index_q <= index_q + 4'd1;
      end
    end

    `ESP_ASSERT(codes_of_sparse, !codes_valid_q || (walk_q && sparse_q))
    `ESP_ASSERT(found_of_code, !found_q || codes_valid_q)
  end else begin : gen_dense
    assign sparse = 1'b0;
    assign {header, header_q, code_valid_o, code_o} = '0;
    assign may_start = 1'b1;
    assign step = start;
    assign amount = (AddrBits+1)'(piece_q);
    assign ends = piece_end;
    logic unused_codes;
    assign unused_codes = ^{wgt_header_i, code_ready_i};
  end

  `ESP_FFC(clear_i, begin
    walk_q <= 1'b0;
    ahead_q <= '0;
    busy_q <= 1'b0;
    reading_q <= 1'b0;
    first_read_q <= 1'b0;
    first_q <= 1'b0;
    base_q <= '0;
    shadow_full_q <= 1'b0;
    ready_q <= 1'b0;
  end) begin
    if (accept) walk_q <= 1'b1;
    else if (start && conv_end) walk_q <= 1'b0;
    if ((start || header) && release_q && ends) ahead_q <= ahead_q + amount;
    busy_q <= start || (busy_q && word_q != WORD_BITS'(Lanes - 2));
    reading_q <= start || busy_q;
    first_read_q <= start;
    first_q <= first_read_q;
    if (!busy_q) base_q <= ahead_q;
    if (start) shadow_full_q <= 1'b1;
    else if (tile_take_i) shadow_full_q <= 1'b0;
    if (busy_q && word_q == WORD_BITS'(Lanes / 2 - 1)) ready_q <= 1'b1;
    else if (tile_take_i) ready_q <= 1'b0;
  end

  // The reader: the next tile's address stands ready whenever the last word is being read.
  always_ff @(posedge clk_i) begin
    if (busy_q) begin
      addr_q <= addr_q + stride_q;
      word_q <= word_q + 1'b1;
    end else begin
      addr_q <= next_q;
      stride_q <= n_stride_q;
      word_q <= '0;
    end
  end

  // The tile after the next one.
  logic [AddrBits-1:0] from, by;
  always_comb begin
    {from, by, next_d} = '0;
    if (`ESP_WHEN(start || header)) begin
      from = (sparse || !nb_end) ? next_q : kb_end ? tap_addr_q : kb_addr_q;
      by = sparse ? amount[AddrBits-1:0] : !nb_end ? n_stride_q << WORD_BITS
          : kb_end ? tap_stride_q : AddrBits'(1);
      next_d = from + by;
    end
  end

  always_ff @(posedge clk_i) begin
    if (accept) begin
      tapwise_q <= wconv_i.w_tapwise;
      release_q <= wconv_i.w_release;
      n_stride_q <= wconv_i.w_n_stride[AddrBits-1:0];
      tap_stride_q <= wconv_i.w_tap_stride[AddrBits-1:0];
      piece_q <= wconv_i.w_piece;
      n_blocks_q <= wconv_i.n_blocks;
      k_blocks_q <= wconv_i.k_blocks;
      kw_q <= wconv_i.kw;
      next_q <= ahead_q[AddrBits-1:0] + wconv_i.w_offset[AddrBits-1:0];
      kb_addr_q <= ahead_q[AddrBits-1:0] + wconv_i.w_offset[AddrBits-1:0];
      tap_addr_q <= ahead_q[AddrBits-1:0] + wconv_i.w_offset[AddrBits-1:0];
      target_q <= ahead_q + (AddrBits+1)'(wconv_i.w_offset) + (AddrBits+1)'(first_words);
      room_q <= ROOM_BITS'(WeightWords) - ROOM_BITS'(wconv_i.w_offset) - ROOM_BITS'(first_words);
    end else if (start || header) begin
      next_q <= next_d;
      if (nb_end) kb_addr_q <= next_d;
      if (tap_end) tap_addr_q <= next_d;
      if (sparse ? release_q : tapwise_q && tap_end) target_q <= target_q + amount;
      if (!sparse && tapwise_q && !release_q && tap_end) room_q <= room_q - ROOM_BITS'(piece_q);
    end
  end

  // The words that the first tile waits for.
  logic [15:0] first_words;
  always_comb begin
    first_words = '0;
    if (`ESP_WHEN(accept)) begin
      first_words = (Prune && wconv_i.w_sparse[0] && wconv_i.w_release[0]) ? 16'(Lanes)
          : wconv_i.w_piece;
    end
  end

  logic unused_wconv;
  assign unused_wconv = ^wconv_i;

  `ESP_ASSERT(take_ready_tile, !tile_take_i || ready_q)
  `ESP_ASSERT(release_from_base, !accept || !wconv_i.w_release || wconv_i.w_offset == '0)

endmodule

`default_nettype wire
