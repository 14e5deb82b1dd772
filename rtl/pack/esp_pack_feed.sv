// Feeds the squeezer: takes the beats of a layer's rows in order, with the bits of their lanes.
//
// Rows come as tokens: of a live one every word is squeezed (`taps` times all k blocks), a fill is as
// many words of zeros as are left of a row; the parameters are squeezed by the map of the n blocks,
// 8 bytes a lane. At a segment's end the word under way (of parameters: the block) is padded.
// A beat a cycle; a cycle more for each beat of padding. A token is taken when its row begins.
// Maps are read from esp_pack_mask: `read_o` is granted unless `read_busy_i`.
// Reset and clear_i drop everything. Implements docs/pack.md, section 5.

`default_nettype none

module esp_pack_feed #(
  parameter int unsigned Lanes = 16,
  parameter int unsigned BusBytes = 16,
  parameter int unsigned IndexBits = 9,
  localparam int unsigned BeatBits = $clog2(8 * Lanes / BusBytes),   // beats of a block of parameters
  localparam int unsigned WordBits = $clog2(Lanes / BusBytes),
  localparam int unsigned FillBits = $clog2(BusBytes)
) (
  input  wire logic                  clk_i,
  input  wire logic                  rst_ni,
  input  wire logic                  clear_i,

  input  wire logic [7:0]            taps_i,
  input  wire logic [11:0]           k_blocks_i,
  input  wire logic [11:0]           n_blocks_i,
  input  wire logic [11:0]           k_live_i,

  input  wire logic                  token_valid_i,
  output logic                       token_ready_o,
  input  wire logic [1:0]            token_i,       // 0 live row, 1 fill, 2 parameters
  output logic                       idle_o,

  output logic                       read_o,
  input  wire logic                  read_busy_i,
  output logic      [IndexBits-1:0]  index_o,
  input  wire logic [Lanes-1:0]      map_i,
  input  wire logic                  end_i,

  input  wire logic                  beat_valid_i,
  output logic                       beat_ready_o,

  output logic                       valid_o,
  input  wire logic                  ready_i,
  output logic      [BusBytes-1:0]   mask_o,
  output logic                       pad_o,
  input  wire logic [FillBits-1:0]   fill_next_i,
  input  wire logic                  full_i
);

  typedef enum logic [1:0] {
    StIdle,
    StRow,
    StPad,
    StFill
  } state_e;

  state_e               state_q, state_d;
  logic                 params_q, have_q;
  logic [IndexBits-1:0] index_q;       // of the map that is read next
  logic [11:0]          left_q;        // blocks of the tap, this one included; words of a fill
  logic [7:0]           taps_q;
  logic [BeatBits-1:0]  beat_q, out_q; // within the block, in and out
  logic [BeatBits-1:0]  last_beat, out_next;
  logic                 step, block_end, tap_end, row_end, segment_end, aligned_next, padded;
  logic                 take, turn;    // a token is taken; the row ends
  logic [11:0]          blocks;
  logic                 again;
  logic                 first, fetch;  // the next map is the pass's first; it is wanted

  assign blocks = params_q ? n_blocks_i : k_blocks_i;
  assign last_beat = params_q ? '1 : BeatBits'((1 << WordBits) - 1);
  assign out_next = out_q + BeatBits'(full_i);
  assign aligned_next = fill_next_i == '0 && (out_next & last_beat) == '0;

  // The mask of the beat at hand; of parameters a byte's lane is its index / 8.
  logic [BeatBits-1:0] beat;
  assign beat = beat_q & BeatBits'((1 << WordBits) - 1);
  always_comb begin
    mask_o = '0;
    if (state_q == StRow) begin
      for (int j = 0; j < BusBytes; j++) begin
        if (params_q) mask_o[j] = map_i[(32'(beat_q) * BusBytes + 32'(j)) / 8];
        else mask_o[j] = map_i[32'(beat) * BusBytes + 32'(j)];
      end
    end
  end

  assign valid_o = (state_q == StRow) ? (beat_valid_i && have_q) : state_q != StIdle;
  assign pad_o = state_q != StRow;
  assign beat_ready_o = state_q == StRow && have_q && ready_i;
  assign step = valid_o && ready_i;

  assign block_end = state_q == StRow && step && beat_q == last_beat;
  assign segment_end = end_i || left_q == 12'd1;
  assign tap_end = (state_q == StFill) ? (step && beat_q == last_beat && left_q == 12'd1)
                                       : (block_end && left_q == 12'd1);
  assign row_end = tap_end && taps_q == 8'd1;
  assign padded = state_q == StPad && step && aligned_next;
  // The row is over once its last segment is padded.
  assign turn = (row_end && (state_q == StFill || aligned_next))
             || (padded && taps_q == '0);
  assign token_ready_o = state_q == StIdle || turn;
  assign take = token_valid_i && token_ready_o;
  assign idle_o = state_q == StIdle;

  always_comb begin
    state_d = state_q;
    if (take) state_d = (token_i == 2'd1) ? StFill : StRow;
    else if (turn) state_d = StIdle;
    else if (block_end && segment_end && !aligned_next) state_d = StPad;
    else if (padded) state_d = StRow;
  end

  // The next block's map is read while the last beat of this one leaves.
  assign first = tap_end;
  assign fetch = (state_q == StRow && !have_q) || block_end;
  assign read_o = fetch && !read_busy_i;
  // A live row behind a live row: its first map is the one that is read now.
  assign again = take && token_i == 2'd0 && read_o && block_end && !params_q;
  assign index_o = first ? (params_q ? IndexBits'(k_blocks_i) : '0) : index_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= StIdle;
      have_q <= 1'b0;
      out_q <= '0;
    end else if (clear_i) begin
      state_q <= StIdle;
      have_q <= 1'b0;
      out_q <= '0;
    end else begin
      state_q <= state_d;
      if (take) have_q <= again;
      else if (read_o) have_q <= 1'b1;
      else if (block_end || read_busy_i) have_q <= 1'b0;
      if (take && token_i == 2'd2) out_q <= '0;   // blocks of parameters count from here
      else if (step) out_q <= out_next;
    end
  end

  always_ff @(posedge clk_i) begin
    if (step && state_q != StPad) beat_q <= (beat_q == last_beat) ? '0 : beat_q + 1'b1;
    if (take) begin
      params_q <= token_i == 2'd2;
      beat_q <= '0;
      taps_q <= (token_i == 2'd2) ? 8'd1 : taps_i;
      left_q <= (token_i == 2'd0) ? k_blocks_i : (token_i == 2'd1) ? k_live_i : n_blocks_i;
      index_q <= (token_i == 2'd2) ? IndexBits'(k_blocks_i) : IndexBits'(again);
    end else begin
      if (block_end || (state_q == StFill && step && beat_q == last_beat)) begin
        left_q <= (left_q != 12'd1) ? left_q - 12'd1 : (state_q == StFill) ? k_live_i : blocks;
        if (left_q == 12'd1) taps_q <= taps_q - 8'd1;
      end
      if (read_o) index_q <= index_o + 1'b1;
      else if (block_end && first) index_q <= index_o;
      else if (have_q && read_busy_i && !block_end) index_q <= index_q - 1'b1;
    end
  end

endmodule

`default_nettype wire
