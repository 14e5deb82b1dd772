// The clip stage: shortens an instruction that has a clip word by its layer's row of the table.
//
// It works beside esp_decode, on the instruction that is being gathered. `start_i` with the first
// word; the row is read in the next two cycles (once no table is being loaded), and `ready_o` says
// that it is at hand. From then on, and once the whole instruction stands in inst_i and clip_i, the
// results are valid until `apply_i`: fields (what they are by opcode says docs/pack.md, section 4),
// or nop_o, or empty_o. The stride between rows of weights is K where tapwise; where scale_o asks
// for it, K x kh x kw follows by additions, one a cycle: `stride_valid_o` in the last of kh x kw
// cycles after apply_i. `sent_i`: a CONV with work leaves; the words of its unit are then added to
// the place of the next unit, one tap a cycle, and the next CONV's row is not ready before.
// Reset and clear_i drop everything. Numbers are unsigned; words and offsets wrap as their fields.
// Implements docs/pack.md, section 4.

`default_nettype none
`include "esp_assert.svh"

module esp_clip #(
  parameter int unsigned Lanes = 16,
  parameter int unsigned BusBytes = 16,
  parameter int unsigned AddrBits = 8,          // of the layer table
  localparam int unsigned Width = (Lanes < 8) ? 64 : 8 * Lanes
) (
  input  wire logic                clk_i,
  input  wire logic                rst_ni,
  input  wire logic                clear_i,

  input  wire logic                start_i,
  input  wire logic                due_i,       // a table is being loaded
  input  wire logic [639:0]        inst_i,
  input  wire esp_isa_pkg::clip_t  clip_i,
  input  wire logic                apply_i,
  input  wire logic                sent_i,

  output logic                     ren_o,
  output logic      [AddrBits-1:0] raddr_o,
  input  wire logic [Width-1:0]    rdata_i,

  output logic                     ready_o,
  output logic                     nop_o,
  output logic                     empty_o,
  output logic      [31:0]         offset_o,    // of a transfer
  output logic      [15:0]         count_o,     // its blocks; those of a POOL
  output logic      [15:0]         x_words_o,   // of weights and parameters
  output logic                     masked_o,    // they come from region 4
  output logic      [11:0]         k_blocks_o,
  output logic      [7:0]          n_blocks_o,
  output logic                     last_o,
  output logic      [15:0]         piece_o,
  output logic      [15:0]         w_offset_o,
  output logic                     scale_o,
  output logic                     stride_valid_o,
  output logic      [15:0]         stride_o
);

  localparam int unsigned ByteBits = $clog2(BusBytes);
  localparam int unsigned RowWords = esp_isa_pkg::ROW_BITS / Width;
  localparam int unsigned WordBits = $clog2(RowWords);

  // ---------------------------------------------------------------- the row
  typedef enum logic [1:0] {
    StIdle,
    StCounts,   // reads the counts
    StSecond,   // they are here; reads pieces or shifts
    StReady
  } state_e;

  typedef struct packed {
    logic signed [27:0] out_shift;
    logic               dense;
    logic [11:0]        n_live;
    logic [11:0]        k_live;
  } counts_t;

  state_e              state_q;
  counts_t             counts_q;
  logic [55:0]         pieces, shifts;
  logic [WordBits:0]   second;         // word of the row that is read second
  logic                add_q;          // additions under way
  esp_isa_pkg::load_t  load;
  esp_isa_pkg::store_t store;
  esp_isa_pkg::conv_t  conv;
  esp_isa_pkg::pool_t  pool;
  logic                is_load, is_conv, is_pool, units;

  assign load = inst_i[esp_isa_pkg::LOAD_BITS-1:0];
  assign store = inst_i[esp_isa_pkg::STORE_BITS-1:0];
  assign conv = inst_i;
  assign pool = inst_i[esp_isa_pkg::POOL_BITS-1:0];
  assign is_load = load.opcode == esp_isa_pkg::OpLoad;
  assign is_conv = load.opcode == esp_isa_pkg::OpConv;
  assign is_pool = load.opcode == esp_isa_pkg::OpPool;
  assign units = is_conv || (is_load && load.target[1]);   // counts weights, not transfers

  if (Width == 64) begin : gen_narrow
    assign second = units ? (WordBits+1)'(1) : (WordBits+1)'(2);
    assign pieces = rdata_i[55:0];
    assign shifts = rdata_i[55:0];
  end else if (Width == 128) begin : gen_half
    assign second = units ? '0 : (WordBits+1)'(1);
    assign pieces = rdata_i[119:64];
    assign shifts = rdata_i[55:0];
  end else begin : gen_whole
    assign second = '0;
    assign pieces = rdata_i[119:64];
    assign shifts = rdata_i[183:128];
  end

  assign ren_o = (state_q == StCounts && !due_i) || state_q == StSecond;
  if (WordBits == 0) begin : gen_row
    assign raddr_o = AddrBits'(load.layer);
    logic unused;
    assign unused = second[0];
  end else begin : gen_words
    assign raddr_o = AddrBits'({load.layer, (state_q == StCounts) ? WordBits'(0)
                                                                  : second[WordBits-1:0]});
    logic unused;
    assign unused = second[WordBits];
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) state_q <= StIdle;
    else if (clear_i) state_q <= StIdle;
    else begin
      unique case (state_q)
        StIdle: if (start_i) state_q <= StCounts;
        StCounts: if (!due_i) state_q <= StSecond;
        StSecond: state_q <= StReady;
        default: if (apply_i) state_q <= StIdle;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (state_q == StSecond) counts_q <= rdata_i[52:0];
  end

  // ---------------------------------------------------------------- what is left
  assign ready_o = state_q == StReady && !(is_conv && add_q);

  logic [15:0]        count, k_full, n_full, k, n;
  logic [12:0]        k_more, n_more;      // negative where nothing is left
  logic               k_whole, n_whole, k_none, n_none, cuts;
  logic signed [27:0] shift;
  logic [13:0]        piece;
  logic [15:0]        pos_q;

  always_comb begin
    count = '0;
    k_full = '0;
    n_full = '0;
    k_more = '0;
    n_more = '0;
    shift = '0;
    cuts = 1'b0;
    offset_o = '0;
    if (state_q == StReady) begin
      cuts = clip_i.dim != 2'd0;
      if (is_pool) count = 16'(pool.blocks);
      else if (is_load) count = clip_i.dim[0] ? load.y_count : load.z_count;
      else count = clip_i.dim[0] ? store.y_count : store.z_count;
      k_full = units ? 16'(clip_i.kc) : count;
      n_full = units ? 16'(clip_i.nb) : count;
      k_more = 13'(counts_q.k_live) - 13'(clip_i.k0);
      n_more = 13'(counts_q.n_live) - 13'(clip_i.n0);
      case (clip_i.shift)
        2'd1: shift = shifts[27:0];
        2'd2: shift = shifts[55:28];
        2'd3: shift = counts_q.out_shift;
        default: ;
      endcase
      offset_o = (is_load ? load.offset : store.offset) + (32'(shift) << ByteBits);
    end
  end

  assign k_whole = !k_more[12] && {4'd0, k_more[11:0]} >= k_full;
  assign n_whole = !n_more[12] && {4'd0, n_more[11:0]} >= n_full;
  assign k = k_whole ? k_full : {4'd0, k_more[11:0]};
  assign n = n_whole ? n_full : {4'd0, n_more[11:0]};
  assign piece = n_whole ? (k_whole ? pieces[13:0] : pieces[27:14])
                         : (k_whole ? pieces[41:28] : pieces[55:42]);
  assign k_none = k_more[12] || k == '0;
  assign n_none = n_more[12] || n == '0;

  assign empty_o = is_conv && n_none && conv.last[0];
  always_comb begin
    if (is_conv) nop_o = (n_none && !conv.last[0]) || (!n_none && k_none);
    else if (is_pool) nop_o = n_none;
    else if (!is_load) nop_o = cuts && n_none;
    else begin
      case (clip_i.bound)
        2'd0: nop_o = n_none || (cuts && k_none);
        2'd1: nop_o = cuts && n_none;
        2'd2: nop_o = n_none || k_none;
        default: nop_o = n_none;
      endcase
    end
  end

  assign count_o = (is_load && !clip_i.bound[0]) ? k : n;
  assign x_words_o = clip_i.bound[0] ? 16'(n << 3) : 16'(piece);
  assign masked_o = !counts_q.dense;
  assign k_blocks_o = k[11:0];
  assign n_blocks_o = n_none ? '0 : n[7:0];
  assign last_o = clip_i.last_taps[0] && (!k_whole || k_more[11:0] == clip_i.kc);
  assign piece_o = 16'(piece);
  assign w_offset_o = clip_i.w_start[0] ? '0 : pos_q;
  assign scale_o = is_conv && !nop_o && !empty_o && !conv.w_tapwise[0] && k[11:0] != conv.k_blocks;

  // ---------------------------------------------------------------- additions
  logic        to_pos_q, row_end, add_end;
  logic [3:0]  kw_q, cols_q, rows_q;
  logic [15:0] operand_q, stride_q, sum;
  logic        scale, unit;

  assign scale = apply_i && scale_o;
  assign unit = sent_i && is_conv;
  assign row_end = cols_q == 4'd1;
  assign add_end = row_end && rows_q == 4'd1;
  assign sum = (to_pos_q ? pos_q : stride_q) + operand_q;
  assign stride_o = sum;
  assign stride_valid_o = add_q && add_end && !to_pos_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) add_q <= 1'b0;
    else if (clear_i) add_q <= 1'b0;
    else if (scale || unit) add_q <= 1'b1;
    else if (add_end) add_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (scale || unit) begin
      to_pos_q <= unit;
      operand_q <= unit ? conv.w_piece : k;
      kw_q <= conv.kw;
      cols_q <= (unit && !conv.w_tapwise[0]) ? 4'd1 : conv.kw;
      rows_q <= (unit && !conv.w_tapwise[0]) ? 4'd1 : conv.kh;
    end else if (add_q) begin
      cols_q <= row_end ? kw_q : cols_q - 4'd1;
      if (row_end) rows_q <= rows_q - 4'd1;
    end
    if (scale) stride_q <= '0;
    else if (add_q && !to_pos_q) stride_q <= sum;
    if (apply_i && is_conv && clip_i.w_start[0]) pos_q <= '0;
    else if (add_q && to_pos_q) pos_q <= sum;
  end

  // Views of the instruction that use a few fields each.
  logic unused;
  assign unused = ^{load, store, conv, pool, clip_i, rdata_i, k[15:12], n[15:8]};

  `ESP_ASSERT(row_is_there, !apply_i || ready_o)
  `ESP_ASSERT(one_sum_at_a_time, !((scale || unit) && add_q && !add_end))

endmodule

`default_nettype wire
