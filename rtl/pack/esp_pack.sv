// PACK: one layer's weights and parameters without the lanes and rows that its masks leave out.
//
//   maps -> layer table's RAM -> esp_pack_mask (counts) --> esp_pack_walk -> LOADs, STOREs
//                                        |                       | tokens
//   beats from memory ------------> esp_squeeze <------- esp_pack_feed
//                                        `-> words -> store stream
//
// `start_i` (a pulse) with the instruction, which holds until `done_o` (a pulse): everything is
// written and answered. The load and the store engine do the transfers and raise the faults; all of
// them are free for it. A beat a cycle, but for padding (a cycle a beat) and short rows.
// Reset and clear_i drop everything. Implements docs/pack.md, section 5.

`default_nettype none

module esp_pack #(
  parameter int unsigned Lanes = 16,
  parameter int unsigned BusBytes = 16,
  parameter int unsigned Blocks = 512,         // of bit maps
  parameter int unsigned AddrBits = 10,        // of their RAM, in words of Width
  parameter int unsigned Base = 0,
  localparam int unsigned Width = (Lanes < 8) ? 64 : 8 * Lanes
) (
  input  wire logic                  clk_i,
  input  wire logic                  rst_ni,
  input  wire logic                  clear_i,

  input  wire logic                  start_i,
  input  wire esp_isa_pkg::pack_t    pack_i,
  output logic                       busy_o,
  output logic                       done_o,

  output logic                       load_valid_o,
  input  wire logic                  load_ready_i,
  output logic                       load_maps_o,    // from region 4 to the RAM; otherwise beats
  input  wire logic                  maps_done_i,
  output logic                       store_valid_o,
  input  wire logic                  store_ready_i,
  input  wire logic                  store_busy_i,
  output logic      [31:0]           offset_o,
  output logic      [15:0]           words_o,

  output logic                       ren_o,
  output logic      [AddrBits-1:0]   raddr_o,
  input  wire logic [Width-1:0]      rdata_i,

  input  wire logic                  beat_valid_i,
  output logic                       beat_ready_o,
  input  wire logic [8*BusBytes-1:0] beat_data_i,

  output logic                       word_valid_o,
  input  wire logic                  word_ready_i,
  output logic      [8*Lanes-1:0]    word_data_o
);

  localparam int unsigned IndexBits = $clog2(Blocks);
  localparam int unsigned FillBits = $clog2(BusBytes);

  typedef enum logic [2:0] {
    StIdle,
    StMaps,    // the maps come
    StCount,
    StWalk,
    StDrain    // the last transfer is under way
  } state_e;

  state_e               state_q, state_d;
  logic                 scan, scanned, go, walked, feed_idle;
  logic [11:0]          k_live, n_live;
  logic                 walk_read, feed_read, map_end;
  logic [IndexBits-1:0] walk_index, feed_index;
  logic [Lanes-1:0]     map;
  logic                 push, push_ready, token_valid, token_ready;
  logic [1:0]           push_kind, token;
  logic [3:0]           unused_tokens;
  logic                 step_valid, step_ready, pad, full, squeezed, squeezed_ready;
  logic [BusBytes-1:0]  mask;
  logic [FillBits-1:0]  fill_next;
  logic [8*BusBytes-1:0] beat;

  assign busy_o = state_q != StIdle;
  assign scan = state_q == StMaps && maps_done_i;
  assign go = state_q == StCount && scanned;
  assign done_o = state_q == StDrain && feed_idle && !token_valid && !squeezed && !store_busy_i;

  always_comb begin
    state_d = state_q;
    unique case (state_q)
      StIdle: if (start_i) state_d = StMaps;
      StMaps: if (maps_done_i) state_d = StCount;
      StCount: if (scanned) state_d = walked ? StDrain : StWalk;
      StWalk: if (walked) state_d = StDrain;
      default: if (done_o) state_d = StIdle;
    endcase
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) state_q <= StIdle;
    else if (clear_i) state_q <= StIdle;
    else state_q <= state_d;
  end

  esp_pack_mask #(
    .Lanes(Lanes), .Blocks(Blocks), .AddrBits(AddrBits), .Base(Base)
  ) u_mask (
    .clk_i, .rst_ni, .clear_i,
    .scan_i(scan), .k_blocks_i(pack_i.k_blocks), .n_blocks_i(pack_i.n_blocks),
    .scanned_o(scanned), .k_live_o(k_live), .n_live_o(n_live),
    .read_i(walk_read || feed_read), .index_i(walk_read ? walk_index : feed_index),
    .map_o(map), .end_o(map_end),
    .ren_o, .raddr_o, .rdata_i
  );

  esp_pack_walk #(.Lanes(Lanes), .IndexBits(IndexBits)) u_walk (
    .clk_i, .rst_ni, .clear_i,
    .start_i, .go_i(go), .done_o(walked), .pack_i, .k_live_i(k_live), .n_live_i(n_live),
    .read_o(walk_read), .index_o(walk_index), .map_i(map), .end_i(map_end),
    .token_valid_o(push), .token_ready_i(push_ready), .token_o(push_kind),
    .load_valid_o, .load_ready_i, .load_maps_o, .store_valid_o, .store_ready_i,
    .offset_o, .words_o
  );

  esp_fifo #(.Width(2), .Depth(8)) u_tokens (
    .clk_i, .rst_ni, .clear_i,
    .valid_i(push), .ready_o(push_ready), .data_i(push_kind),
    .valid_o(token_valid), .ready_i(token_ready), .data_o(token), .count_o(unused_tokens)
  );

  esp_pack_feed #(.Lanes(Lanes), .BusBytes(BusBytes), .IndexBits(IndexBits)) u_feed (
    .clk_i, .rst_ni, .clear_i,
    .taps_i(pack_i.taps), .k_blocks_i(pack_i.k_blocks), .n_blocks_i(pack_i.n_blocks),
    .k_live_i(k_live),
    .token_valid_i(token_valid), .token_ready_o(token_ready), .token_i(token), .idle_o(feed_idle),
    .read_o(feed_read), .read_busy_i(walk_read), .index_o(feed_index), .map_i(map),
    .end_i(map_end),
    .beat_valid_i, .beat_ready_o,
    .valid_o(step_valid), .ready_i(step_ready), .mask_o(mask), .pad_o(pad),
    .fill_next_i(fill_next), .full_i(full)
  );

  esp_squeeze #(.Lanes(BusBytes)) u_squeeze (
    .clk_i, .rst_ni, .clear_i,
    .valid_i(step_valid), .ready_o(step_ready), .data_i(beat_data_i), .mask_i(mask), .pad_i(pad),
    .fill_next_o(fill_next), .full_o(full),
    .valid_o(squeezed), .ready_i(squeezed_ready), .data_o(beat)
  );

  // Beats to words, low lanes first.
  if (Lanes == BusBytes) begin : gen_whole
    assign word_valid_o = squeezed;
    assign squeezed_ready = word_ready_i;
    assign word_data_o = beat;
  end else begin : gen_parts
    localparam int unsigned PartBits = $clog2(Lanes / BusBytes);
    logic [PartBits-1:0]           part_q;
    logic [8*(Lanes-BusBytes)-1:0] low_q;
    assign word_valid_o = squeezed && part_q == '1;
    assign squeezed_ready = part_q != '1 || word_ready_i;
    assign word_data_o = {beat, low_q};
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) part_q <= '0;
      else if (clear_i) part_q <= '0;
      else if (squeezed && squeezed_ready) part_q <= part_q + 1'b1;
    end
    always_ff @(posedge clk_i) begin
      if (squeezed && squeezed_ready) begin
        low_q <= (8*(Lanes-BusBytes))'({beat, low_q} >> (8*BusBytes));
      end
    end
  end

  logic unused;
  assign unused = ^unused_tokens;

endmodule

`default_nettype wire
