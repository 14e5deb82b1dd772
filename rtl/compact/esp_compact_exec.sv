// The execute engine of the compact core: one CONV at a time, pass by pass, then post.
//
//   conv_i -> passes, pixels -> activation buffer -> esp_compact_array -> esp_compact_acc -> post
//                 tiles -> weight ring ----------------^
//
// conv_i holds from start_i until idle_o. A pass reads its tile's two weight words, then feeds one
// activation word a cycle; the next pass follows with two cycles between. The address of row iy0 is
// found by |iy0| additions, a cycle each. retire_o: a cycle after the last activation's read. With `last`
// post_start_o pulses once the sums are written, and the CONV ends with post_done_i.
// Faults: illegal fields that contradict each other and what the rings cannot hold (decode_o: as the
// decoder's), accumulator words past the end, weights that cannot come. Then it stands until clear_i.
// Implements docs/machine.md, section 3, for the compact core (docs/ice40.md).

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_compact_exec #(
  parameter int unsigned ActWords    = 1024,
  parameter int unsigned WeightWords = 512,
  parameter int unsigned AccWords    = 128,
  parameter int unsigned ParamBlocks = 32,
  localparam int unsigned Lanes      = 2,
  localparam int unsigned ActBits    = $clog2(ActWords),
  localparam int unsigned WgtBits    = $clog2(WeightWords),
  localparam int unsigned AccBits    = $clog2(AccWords),
  // Of rows and columns of the tile: at most 2^13 + 10 * 31 + (AccWords - 1) * 15 on either side of 0.
  localparam int unsigned PlaceBits  = 15
) (
  input  wire logic               clk_i,
  input  wire logic               rst_ni,
  input  wire logic               clear_i,

  input  wire logic               start_i,
  input  wire esp_isa_pkg::conv_t conv_i,
  output logic                    idle_o,

  output logic                    act_ren_o,
  output logic [ActBits-1:0]      act_raddr_o,
  input  wire logic [8*Lanes-1:0] act_rdata_i,

  output logic                    wgt_ren_o,
  output logic [WgtBits-1:0]      wgt_raddr_o,
  input  wire logic [8*Lanes-1:0] wgt_rdata_i,
  input  wire logic [WgtBits:0]   wgt_loaded_i,
  output logic [WgtBits:0]        wgt_base_o,

  output logic                    post_start_o,
  input  wire logic               post_done_i,
  input  wire logic               acc_ren_i,
  input  wire logic [AccBits-1:0] acc_raddr_i,
  output logic [32*Lanes-1:0]     acc_rdata_o,

  output logic                    retire_o,
  output logic                    fault_o,
  output logic                    decode_o,
  output logic                    capacity_o,
  output logic                    fed_o
);

  if ((1 << $clog2(ActWords)) != ActWords || ActWords < 2 || ActWords > 65536 ||
      (1 << $clog2(WeightWords)) != WeightWords || WeightWords < 2 || WeightWords > 65536 ||
      (1 << $clog2(AccWords)) != AccWords || AccWords < 2 || AccWords > 65536)
  begin : gen_parameters_0
    $error("esp_compact_exec: ActWords and WeightWords and AccWords are powers of two from 2 to 65536");
  end
  if ((1 << $clog2(ParamBlocks)) != ParamBlocks || ParamBlocks > 256) begin : gen_parameters_1
    $error("esp_compact_exec: ParamBlocks is a power of two, at most 256");
  end

  typedef enum logic [3:0] {
    StIdle, StCheck, StOrigin, StTile, StWord, StFeed, StDrain, StPost, StHalt
  } state_e;

  state_e             state_q, state_d;
  // Loops; the pixel's and the tap's place in the tile.
  logic [3:0]         ky_q, kx_q, ky_next, kx_next;
  logic [11:0]        kb_q, kb_next;
  logic [AccBits:0]   nb_q, row_q, col_q, nb_next, row_next, col_next;   // words past AccWords fault
  logic [ActBits-1:0] tap_row_q, tap_q, kb_addr_q, px_row_q, px_q, tap_row_next, tap_next;
  logic signed [PlaceBits-1:0] tap_iy_q, tap_ix_q, iy_q, ix_q;
  logic [AccBits:0]   acc_q;
  logic [AccBits-1:0] acc_addr_q;
  // Weights: where the tile's words lie; words the tile needs past the ring's base.
  logic [WgtBits-1:0] wgt_q, wgt_kb_q, wgt_tap_q;
  logic [WgtBits+1:0] need_q;
  logic [WgtBits:0]   base_q, available;
  logic [1:0]         load_q;          // column whose weights come
  logic               present_q, valid_q, overwrite_q, retire_q, acc_busy;

  // Whether the loops stand at their last step: of the cycle before, for a pass takes three at least.
  logic nb_end_q, kb_end_q, kx_end_q, ky_end_q;
  logic tap_end, conv_end, row_end, pass_end, tile_end;
  logic contradiction, too_much, ready_q, stuck, over, feed, present, piece_end;

  assign nb_next = nb_q + 1'b1;
  assign kb_next = kb_q + 1'b1;
  assign kx_next = kx_q + 1'b1;
  assign ky_next = ky_q + 1'b1;
  assign row_next = row_q + 1'b1;
  assign col_next = col_q + 1'b1;
  always_ff @(posedge clk_i) begin
    nb_end_q <= 12'(nb_next) == 12'(conv_i.n_blocks);
    kb_end_q <= kb_next == conv_i.k_blocks;
    kx_end_q <= kx_next == conv_i.kw;
    ky_end_q <= ky_next == conv_i.kh;
  end
  assign tap_end = nb_end_q && kb_end_q;
  assign conv_end = tap_end && kx_end_q && ky_end_q;
  assign row_end = 12'(col_next) == conv_i.cols;
  assign pass_end = feed && row_end && 12'(row_next) == conv_i.rows;

  assign contradiction = esp_isa_pkg::conv_contradicts(conv_i);
  assign too_much = 17'(conv_i.w_offset) + 17'(conv_i.w_piece) > 17'(WeightWords)
      || (conv_i.last[0] && 9'(conv_i.p_offset) + 9'(conv_i.n_blocks) > 9'(ParamBlocks));

  assign available = wgt_loaded_i - base_q;
  // Of the cycle before: what a tile needs stands for two cycles at least, and more words only come.
  always_ff @(posedge clk_i) ready_q <= need_q <= (WgtBits+2)'(available);
  assign stuck = need_q > (WgtBits+2)'(WeightWords);
  assign wgt_ren_o = (state_q == StTile && ready_q) || state_q == StWord;
  assign wgt_raddr_o = wgt_q;
  assign wgt_base_o = base_q;
  assign tile_end = state_q == StWord;
  assign piece_end = tile_end && tap_end && (conv_i.w_tapwise[0] || (kx_end_q && ky_end_q));

  assign over = acc_q[AccBits];
  assign feed = state_q == StFeed && !over;
  assign present = !iy_q[PlaceBits-1] && !ix_q[PlaceBits-1]
      && iy_q[PlaceBits-2:0] < (PlaceBits-1)'(conv_i.in_rows)
      && ix_q[PlaceBits-2:0] < (PlaceBits-1)'(conv_i.in_cols);
  assign act_ren_o = feed && present;
  assign act_raddr_o = px_q;
  assign fed_o = feed;
  assign idle_o = state_q == StIdle;
  assign retire_o = retire_q;
  assign post_start_o = state_q == StDrain && !acc_busy && conv_i.last[0];
  assign decode_o = state_q == StCheck;
  assign capacity_o = state_q != StCheck || !contradiction;

  assign tap_row_next = tap_row_q + conv_i.tap_step[ActBits-1:0];
  assign tap_next = kx_end_q ? tap_row_next : tap_q + ActBits'(conv_i.dil_x);

  always_comb begin
    state_d = state_q;
    fault_o = 1'b0;
    case (state_q)
      StIdle: if (start_i) state_d = StCheck;
      StCheck: begin
        fault_o = contradiction || too_much;
        state_d = fault_o ? StHalt : StOrigin;
      end
      StOrigin: if (tap_iy_q == PlaceBits'(conv_i.iy0)) state_d = StTile;
      StTile: begin
        fault_o = stuck;
        if (stuck) state_d = StHalt;
        else if (ready_q) state_d = StWord;
      end
      StWord: state_d = StFeed;
      StFeed: begin
        fault_o = over;
        if (over) state_d = StHalt;
        else if (pass_end) state_d = conv_end ? StDrain : StTile;
      end
      StDrain: if (!acc_busy) state_d = conv_i.last[0] ? StPost : StIdle;
      StPost: if (post_done_i) state_d = StIdle;
      default: ;
    endcase
  end

  `ESP_FFC(clear_i, begin
    state_q <= StIdle;
    base_q <= '0;
    valid_q <= 1'b0;
    load_q <= '0;
    retire_q <= 1'b0;
  end) begin
    state_q <= state_d;
    if (piece_end && conv_i.w_release[0]) base_q <= base_q + (WgtBits+1)'(conv_i.w_piece);
    valid_q <= feed;
    load_q <= {state_q == StWord, state_q == StTile && ready_q};
    retire_q <= pass_end && conv_end;
  end

  // Passes: at StCheck the CONV's start, at a pass's end the next one's.
  always_ff @(posedge clk_i) begin
    if (state_q == StCheck) begin
      ky_q <= '0;
      kx_q <= '0;
      kb_q <= '0;
      nb_q <= '0;
      tap_iy_q <= '0;
      tap_ix_q <= PlaceBits'(conv_i.ix0);
      tap_row_q <= conv_i.act_base[ActBits-1:0] + ActBits'(conv_i.ix0);
      acc_q <= '0;
    end else if (state_q == StOrigin) begin
      if (tap_iy_q != PlaceBits'(conv_i.iy0)) begin
        tap_iy_q <= conv_i.iy0[13] ? tap_iy_q - 1'b1 : tap_iy_q + 1'b1;
        tap_row_q <= conv_i.iy0[13] ? tap_row_q - conv_i.row_pitch[ActBits-1:0]
                                    : tap_row_q + conv_i.row_pitch[ActBits-1:0];
      end
      tap_q <= tap_row_q;
      kb_addr_q <= tap_row_q;
    end else if (pass_end) begin
      nb_q <= nb_end_q ? '0 : nb_next;
      if (nb_end_q) begin
        acc_q <= '0;
        kb_q <= kb_end_q ? '0 : kb_next;
        kb_addr_q <= kb_end_q ? tap_next : kb_addr_q + conv_i.plane[ActBits-1:0];
        if (kb_end_q) begin
          tap_q <= tap_next;
          kx_q <= kx_end_q ? '0 : kx_next;
          tap_ix_q <= kx_end_q ? PlaceBits'(conv_i.ix0)
                               : tap_ix_q + $signed({(PlaceBits-5)'(0), conv_i.dil_x});
          if (kx_end_q) begin
            ky_q <= ky_next;
            tap_row_q <= tap_row_next;
            tap_iy_q <= tap_iy_q + $signed({(PlaceBits-5)'(0), conv_i.dil_y});
          end
        end
      end else begin
        acc_q <= acc_q + 1'b1;
      end
    end else if (feed) begin
      acc_q <= acc_q + 1'b1;
    end
  end

  // Pixels.
  always_ff @(posedge clk_i) begin
    if (state_q == StTile) begin
      row_q <= '0;
      col_q <= '0;
      px_row_q <= kb_addr_q;
      px_q <= kb_addr_q;
      iy_q <= tap_iy_q;
      ix_q <= tap_ix_q;
    end else if (feed) begin
      col_q <= row_end ? '0 : col_next;
      if (row_end) begin
        row_q <= row_next;
        px_row_q <= px_row_q + conv_i.y_step[ActBits-1:0];
        px_q <= px_row_q + conv_i.y_step[ActBits-1:0];
        ix_q <= tap_ix_q;
        iy_q <= iy_q + $signed({(PlaceBits-4)'(0), conv_i.stride_y});
      end else begin
        px_q <= px_q + ActBits'(conv_i.stride_x);
        ix_q <= ix_q + $signed({(PlaceBits-4)'(0), conv_i.stride_x});
      end
    end
    present_q <= present;
    if (feed) acc_addr_q <= acc_q[AccBits-1:0];
    if (feed) overwrite_q <= conv_i.first[0] && ky_q == '0 && kx_q == '0 && kb_q == '0;
  end

  // Weights.
  always_ff @(posedge clk_i) begin
    if (state_q == StCheck) begin
      wgt_q <= base_q[WgtBits-1:0] + conv_i.w_offset[WgtBits-1:0];
      wgt_kb_q <= base_q[WgtBits-1:0] + conv_i.w_offset[WgtBits-1:0];
      wgt_tap_q <= base_q[WgtBits-1:0] + conv_i.w_offset[WgtBits-1:0];
      need_q <= (WgtBits+2)'(conv_i.w_offset) + (WgtBits+2)'(conv_i.w_piece);
    end else if (tile_end && nb_end_q) begin
      if (!kb_end_q) begin
        wgt_q <= wgt_kb_q + 1'b1;
        wgt_kb_q <= wgt_kb_q + 1'b1;
      end else begin
        wgt_q <= wgt_tap_q + conv_i.w_tap_stride[WgtBits-1:0];
        wgt_kb_q <= wgt_tap_q + conv_i.w_tap_stride[WgtBits-1:0];
        wgt_tap_q <= wgt_tap_q + conv_i.w_tap_stride[WgtBits-1:0];
        if (conv_i.w_tapwise[0] && !conv_i.w_release[0] && !(kx_end_q && ky_end_q)) begin
          need_q <= need_q + (WgtBits+2)'(conv_i.w_piece);
        end
      end
    end else if (wgt_ren_o) begin
      wgt_q <= wgt_q + conv_i.w_n_stride[WgtBits-1:0];
    end
  end

  logic [33:0] sums;

  esp_compact_array u_array (
    .clk_i, .rst_ni, .clear_i,
    .valid_i(valid_q), .present_i(present_q), .zx_i(conv_i.zx), .act_data_i(act_rdata_i),
    .load_i(load_q), .wgt_data_i(wgt_rdata_i), .sums_o(sums)
  );

  esp_compact_acc #(.AccWords(AccWords)) u_acc (
    .clk_i, .rst_ni, .clear_i,
    .valid_i(valid_q), .overwrite_i(overwrite_q), .addr_i(acc_addr_q), .sums_i(sums),
    .busy_o(acc_busy), .ren_i(acc_ren_i), .raddr_i(acc_raddr_i), .rdata_o(acc_rdata_o)
  );

  // Header and post's fields.
  logic unused;
  assign unused = ^conv_i;

  `ESP_ASSERT(no_start_while_busy, !start_i || state_q == StIdle)

endmodule

`default_nettype wire
