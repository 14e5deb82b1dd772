// Walks the transfers of a PACK: the dense rows that live (reads), the packed rows (writes), then the
// parameters; and first the bit maps.
//
// `start_i`: the LOAD of the maps is offered; `go_i`, once they are counted: everything else, up to
// `done_o` (a pulse with the last transfer). A transfer is offset_o, words_o of Lanes bytes, without
// strides; one for each row, tap and chunk of k blocks, since those lie together in memory. Reads go
// ahead of writes as far as the load engine takes them. A token for each row says what it is (0 live,
// 1 fill of a segment's last block, 2 parameters), before its first read.
// Rows, taps and chunks are counted for both sides (0 reads, 1 writes); one adder serves all
// addresses, a register file of five for each side:
//   group (the group's first unit), tap (of the row), chunk (of the tap), and the offsets of the row
//   and tap within a full unit and within the partial last one.
// Three to seven cycles for a transfer, a few more for a row, one or two a tap for a row that is dead.
// Reset and clear_i drop everything. Implements docs/pack.md, section 5.

`default_nettype none
`include "esp_assert.svh"

module esp_pack_walk #(
  parameter int unsigned Lanes = 16,
  parameter int unsigned IndexBits = 9
) (
  input  wire logic                  clk_i,
  input  wire logic                  rst_ni,
  input  wire logic                  clear_i,

  input  wire logic                  start_i,
  input  wire logic                  go_i,
  output logic                       done_o,
  input  wire esp_isa_pkg::pack_t    pack_i,
  input  wire logic [11:0]           k_live_i,
  input  wire logic [11:0]           n_live_i,

  output logic                       read_o,        // a map; it is there in the next cycle
  output logic      [IndexBits-1:0]  index_o,
  input  wire logic [Lanes-1:0]      map_i,
  input  wire logic                  end_i,

  output logic                       token_valid_o,
  input  wire logic                  token_ready_i,
  output logic      [1:0]            token_o,

  output logic                       load_valid_o,
  input  wire logic                  load_ready_i,
  output logic                       load_maps_o,
  output logic                       store_valid_o,
  input  wire logic                  store_ready_i,
  output logic      [31:0]           offset_o,
  output logic      [15:0]           words_o
);

  localparam int unsigned LaneBits = $clog2(Lanes);

  typedef enum logic [4:0] {
    StIdle,
    StMaps,
    StWait,
    StInit,    // the first group's place
    StRest,    // k blocks of the partial chunk
    StZeroF,
    StZeroP,
    StTop,     // the row's first tap
    StPick,
    StRow,
    StMap,
    StMapIn,
    StBase,    // the tap's first chunk
    StIssue,
    StNext,    // the next chunk
    StTap,     // the next tap
    StOffF,
    StOffP,
    StRowEnd,
    StGroup,
    StFill,
    StParamLoad,
    StParamStore
  } state_e;

  typedef enum logic [1:0] {
    AtRow,
    AtTap,
    AtChunk,
    AtFill
  } at_e;      // where a side goes on

  localparam logic [2:0] GROUP = 3'd0, TAP = 3'd1, CHUNK = 3'd2, FULL = 3'd3, PART = 3'd4;

  state_e               state_q, state_d;
  logic                 side_q, side_d, init_q, dead_q, mapped_q;
  (* mem2reg *)
  logic [1:0]           at_q [2];      // at_e
  logic [1:0]           done_q, full_q;
  (* mem2reg *)
  logic [11:0]          left_q [2], rest_q [2], blocks_q [2];
  (* mem2reg *)
  logic [7:0]           taps_q [2], group_q [2];   // left of the row, of the group's blocks
  (* mem2reg *)
  logic [LaneBits-1:0]  lane_q [2];
  logic [LaneBits-1:0]  filled_q;                  // rows of the segment, past its full blocks
  logic [Lanes-1:0]     map_q;
  logic                 map_end_q;
  logic [IndexBits-1:0] index_q;

  logic [11:0] k, chunk, width;
  logic [12:0] rest;           // k blocks behind a full chunk; negative where there is no full one
  logic        chunk_last;
  logic        whole, has_full, has_part, tap_last, tap_end, lane_last, group_last, block_last;
  logic        fire, push, segment_end;

  assign k = side_q ? k_live_i : pack_i.k_blocks;
  assign rest = {1'b0, left_q[side_q]} - {1'b0, pack_i.kc};
  assign whole = !rest[12];
  assign chunk = whole ? pack_i.kc : left_q[side_q];
  assign width = (state_q == StOffF) ? pack_i.kc : rest_q[side_q];
  assign chunk_last = !whole || rest[11:0] == '0;
  assign has_full = full_q[side_q];
  assign has_part = rest_q[side_q] != '0;
  assign tap_last = taps_q[side_q] == 8'd1;
  assign lane_last = lane_q[side_q] == '1;
  assign group_last = group_q[side_q] == 8'd1;
  assign block_last = blocks_q[side_q] == 12'd1;
  assign segment_end = map_end_q || blocks_q[0] == '0;
  assign tap_end = (state_q == StOffF && !has_part) || state_q == StOffP
                || (state_q == StTap && !tap_last);

  // ---------------------------------------------------------------- addresses
  logic [31:0] file_q [16];
  logic [31:0] a, b, sum;
  logic [2:0]  to, from;
  logic        write, from_zero;

  always_comb begin
    write = 1'b1;
    from = GROUP;
    from_zero = 1'b0;
    to = GROUP;
    b = '0;
    unique case (state_q)
      StInit: begin
        from_zero = 1'b1;
        b = pack_i.weights;
      end
      StZeroF: begin
        from_zero = 1'b1;
        to = FULL;
      end
      StZeroP: begin
        from_zero = 1'b1;
        to = PART;
      end
      StTop: to = TAP;
      StBase: begin
        from = TAP;
        to = CHUNK;
      end
      StIssue: begin
        write = 1'b0;
        from = CHUNK;
        b = file_q[{side_q, whole ? FULL : PART}];
      end
      StNext: begin
        from = CHUNK;
        to = CHUNK;
        b = pack_i.chunk_stride;
      end
      StTap: begin
        from = TAP;
        to = TAP;
        b = pack_i.tap_stride;
      end
      StOffF, StOffP: begin
        from = (state_q == StOffF) ? FULL : PART;
        to = from;
        b = 32'(width) << LaneBits;
      end
      StGroup: b = pack_i.group_stride;
      StMaps: begin
        write = 1'b0;
        from_zero = 1'b1;
        b = pack_i.masks;
      end
      StParamLoad, StParamStore: begin
        write = 1'b0;
        from_zero = 1'b1;
        b = pack_i.params;
      end
      default: write = 1'b0;
    endcase
  end

  assign a = from_zero ? '0 : file_q[{side_q, from}];
  assign sum = a + b;
  assign offset_o = sum;

  always_ff @(posedge clk_i) begin
    if (write) file_q[{side_q, to}] <= sum;
  end

  // ---------------------------------------------------------------- transfers
  assign load_maps_o = state_q == StMaps;
  assign load_valid_o = (state_q == StIssue && !side_q) || state_q == StMaps
                     || (state_q == StParamLoad && token_ready_i);
  assign store_valid_o = (state_q == StIssue && side_q) || state_q == StParamStore;
  assign fire = side_q ? store_ready_i : load_ready_i;
  assign done_o = (state_q == StParamStore && store_ready_i)
               || (state_q == StWait && go_i && n_live_i == '0);

  always_comb begin
    case (state_q)
      StMaps: words_o = 16'(((32'(pack_i.k_blocks) + 32'(pack_i.n_blocks)) * 8 + Lanes - 1) / Lanes);
      StParamLoad: words_o = {1'b0, pack_i.n_blocks, 3'd0};
      StParamStore: words_o = {1'b0, n_live_i, 3'd0};
      default: words_o = 16'(chunk);
    endcase
  end

  assign push = (state_q == StRow && mapped_q && map_q[0])
             || (state_q == StFill && segment_end && filled_q != '0 && token_ready_i)
             || (state_q == StParamLoad && load_ready_i && token_ready_i);
  assign token_valid_o = push;
  assign token_o = (state_q == StRow) ? 2'd0 : (state_q == StFill) ? 2'd1 : 2'd2;
  assign read_o = state_q == StMap;
  assign index_o = index_q;

  // ---------------------------------------------------------------- order
  always_comb begin
    state_d = state_q;
    side_d = side_q;
    unique case (state_q)
      StIdle: if (start_i) state_d = StMaps;
      StMaps: if (load_ready_i) state_d = StWait;
      StWait: begin
        side_d = 1'b0;
        if (go_i) state_d = (n_live_i == '0) ? StIdle : (k_live_i == '0) ? StParamLoad : StInit;
      end
      StInit: state_d = StRest;
      StRest: if (!whole) state_d = StZeroF;
      StZeroF: state_d = StZeroP;
      StZeroP: state_d = StTop;
      StTop: begin
        state_d = (init_q && !side_q) ? StInit : StPick;
        if (init_q && !side_q) side_d = 1'b1;
      end
      StPick: begin
        if (done_q == '1) begin
          state_d = StParamLoad;
        end else if (!done_q[0] && load_ready_i && token_ready_i) begin
          side_d = 1'b0;
          case (at_q[0])
            AtRow: state_d = StRow;
            AtTap: state_d = StBase;
            AtChunk: state_d = StIssue;
            default: state_d = StFill;
          endcase
        end else if (!done_q[1] && store_ready_i) begin
          side_d = 1'b1;
          state_d = (at_q[1] == AtTap) ? StBase : StIssue;
        end
      end
      StRow: begin
        if (!mapped_q) state_d = StMap;
        else if (map_q[0]) state_d = StBase;
        else state_d = has_full ? StOffF : StOffP;
      end
      StMap: state_d = StMapIn;
      StMapIn: state_d = StRow;
      StBase: state_d = StIssue;
      StIssue: begin
        if (!fire) state_d = StPick;
        else if (!chunk_last) state_d = StNext;
        else if (pack_i.tapwise[0]) state_d = StTap;
        else state_d = has_full ? StOffF : StOffP;
      end
      StNext: state_d = StIssue;
      StTap: state_d = !tap_last ? StPick : has_full ? StOffF : StOffP;
      StOffF, StOffP: begin
        if (!tap_end) state_d = StOffP;
        else if (tap_last) state_d = StRowEnd;
        else if (dead_q && !side_q) state_d = has_full ? StOffF : StOffP;
        else state_d = StPick;
      end
      StRowEnd: begin
        if (lane_last && group_last) state_d = StGroup;
        else state_d = pack_i.tapwise[0] ? StTop : StPick;
      end
      StGroup: state_d = StZeroF;
      StFill: if (!segment_end || filled_q == '0 || !token_ready_i) state_d = StPick;
      StParamLoad: begin
        if (load_ready_i && token_ready_i) begin
          state_d = StParamStore;
        end
      end
      default: if (store_ready_i) state_d = StIdle;
    endcase
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) state_q <= StIdle;
    else if (clear_i) state_q <= StIdle;
    else state_q <= state_d;
  end

  always_ff @(posedge clk_i) begin
    side_q <= side_d;
    case (state_q)
      StWait: begin
        init_q <= 1'b1;
        done_q <= '0;
        full_q <= '0;
        mapped_q <= 1'b0;
        filled_q <= '0;
        index_q <= IndexBits'(pack_i.k_blocks);
        for (int s = 0; s < 2; s++) begin
          at_q[s] <= (s == 0) ? AtRow : AtTap;
          left_q[s] <= (s == 0) ? pack_i.k_blocks : k_live_i;
          blocks_q[s] <= (s == 0) ? pack_i.n_blocks : n_live_i;
          group_q[s] <= pack_i.nb;
          taps_q[s] <= pack_i.taps;
          lane_q[s] <= '0;
        end
      end
      StRest: begin
        if (whole) left_q[side_q] <= rest[11:0];
        if (whole) full_q[side_q] <= 1'b1;
        rest_q[side_q] <= left_q[side_q];
      end
      StPick: init_q <= 1'b0;
      StMapIn: begin
        map_q <= map_i;
        map_end_q <= end_i;
        mapped_q <= 1'b1;
      end
      StRow: begin
        dead_q <= !map_q[0];
        taps_q[0] <= (!map_q[0] && pack_i.tapwise[0]) ? 8'd1 : pack_i.taps;
        if (mapped_q && map_q[0]) filled_q <= filled_q + 1'b1;
      end
      StBase: left_q[side_q] <= k;
      StIssue: begin
        at_q[side_q] <= AtChunk;
        if (fire) left_q[side_q] <= rest[11:0];
      end
      StRowEnd: begin
        lane_q[side_q] <= lane_q[side_q] + 1'b1;
        taps_q[side_q] <= pack_i.taps;
        at_q[side_q] <= side_q ? AtTap : AtRow;
        if (!side_q) map_q <= map_q >> 1;
        if (lane_last) begin
          blocks_q[side_q] <= blocks_q[side_q] - 12'd1;
          group_q[side_q] <= group_last ? pack_i.nb : group_q[side_q] - 8'd1;
          if (side_q) begin
            done_q[1] <= block_last;
          end else begin
            mapped_q <= 1'b0;
            index_q <= index_q + 1'b1;
            at_q[0] <= AtFill;
          end
        end
      end
      StFill: begin
        if (!segment_end || filled_q == '0) begin
          at_q[0] <= AtRow;
          done_q[0] <= blocks_q[0] == '0;
        end
        if (push) filled_q <= filled_q + 1'b1;
      end
      default: ;
    endcase
    if (tap_end) begin
      taps_q[side_q] <= taps_q[side_q] - 8'd1;
      at_q[side_q] <= AtTap;
    end
  end

  // The header, and what decode has checked.
  logic unused;
  assign unused = ^pack_i;

  `ESP_ASSERT(token_has_room, !push || token_ready_i)

endmodule

`default_nettype wire
