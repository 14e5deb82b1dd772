// Front of post: takes CONVs, and issues one vector of PostLanes lanes a cycle into the pipeline.
//
// Two CONVs are held: the one being issued, and the next, whose operand is being fetched meanwhile.
// A CONV is issued once the one before it has entered the operand stage (entered_i), because that
// stage keeps the fields of one CONV only.
// A vector is issued when its parameters are loaded, its operand word waits, a place for the output
// word is free, and the injection of pooled sums does not need the slot (hold_i). Pooled words come
// out of the pipeline late, so a CONV without gap waits for those of the CONV before (sums_due_i).
// Each of these is a flag in a register, right for the vector at hand: it is found out a cycle ahead,
// and hold_i and sums_due_i are those of the next cycle. The fields that a vector needs only further down
// the pipeline follow a cycle later: they are good from the cycle after its issue.
// A CONV without n blocks (Prune) is one vector that reads nothing and only retires (empty_o). One that
// scores (Score) issues the word of each block's last pixel four times, where its sums leave: the three
// repetitions claim no operand (operand_o is clear), and each carries on the sums' next byte.
// In the cycle of issue the read addresses of accumulators and parameters are out.
// Reset and clear_i empty it and give the parameter ring back. docs/machine.md, section 5, esp_post.
`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_post_front #(
  parameter int unsigned Lanes       = 16,
  parameter int unsigned AccWords    = 512,
  parameter int unsigned ParamBlocks = 64,
  parameter int unsigned PostLanes   = 8,
  parameter bit          Prune       = 1'b0,
  parameter bit          Score       = 1'b0,
  localparam int unsigned Slices     = Lanes / PostLanes,
  localparam int unsigned SliceBits  = Slices > 1 ? $clog2(Slices) : 1
) (
  input  wire logic                                  clk_i,
  input  wire logic                                  rst_ni,
  input  wire logic                                  clear_i,
  // CONVs
  input  wire logic                                  conv_valid_i,
  output logic                                       conv_ready_o,
  input  wire esp_isa_pkg::conv_t                    conv_i,
  input  wire logic                                  half_i,
  // operand of the next CONV
  output logic                                       fetch_valid_o,
  input  wire logic                                  fetch_ready_i,
  output logic      [15:0]                           fetch_base_o,
  output logic      [11:0]                           fetch_cols_o,
  output logic      [11:0]                           fetch_rows_o,
  output logic      [7:0]                            fetch_blocks_o,
  // accumulators
  output logic                                       acc_ren_o,
  output logic                                       acc_half_o,
  output logic      [$clog2(AccWords)-1:0]           acc_raddr_o,
  output logic                                       acc_free_o,
  // parameter ring
  output logic                                       par_ren_o,
  output logic      [$clog2(ParamBlocks*Slices)-1:0] par_raddr_o,
  input  wire logic [$clog2(ParamBlocks):0]          par_loaded_i,
  output logic      [$clog2(ParamBlocks):0]          par_base_o,
  // what the pipeline has
  input  wire logic                                  operand_i,  // a word may be claimed
  output logic                                       claim_o,
  input  wire logic                                  place_i,  // a place for a word is free
  output logic                                       reserve_o,
  input  wire logic                                  hold_i,  // these two of the next cycle
  input  wire logic                                  sums_due_i,
  input  wire logic                                  entered_i,
  // the vector issued
  output logic                                       issue_o,
  output logic      [SliceBits-1:0]                  slice_o,
  output logic                                       slice_last_o,
  output logic                                       conv_first_o,  // first vector of a CONV
  output logic                                       block_first_o,  // first pixel of a block
  output logic                                       block_last_o,  // last pixel of a block
  output logic                                       conv_last_o,  // last pixel of a CONV
  output logic                                       operand_o,  // it takes its operand
  output logic                                       empty_o,
  // fields of the CONV issued in the last cycle, until two cycles after the next one is taken up
  output logic      [23:0]                           bounds_o,  // zy, lo, hi
  output logic                                       add_o,
  output logic                                       gate_o,
  output logic                                       score_o,
  output logic      [21:0]                           add_ma_o,
  output logic      [21:0]                           add_mb_o,
  output logic      [4:0]                            add_shift_o,
  output logic      [7:0]                            add_zb_o,
  output logic      [23:0]                           add_bounds_o,  // add_zy, add_lo, add_hi
  output logic                                       gap_o,
  output logic                                       gap_first_o,
  output logic                                       gap_last_o,
  output logic      [31:0]                           gap_scale_o,
  output logic      [7:0]                            gap_zy_o,
  // counter events
  output logic                                       ev_busy_o,
  output logic                                       ev_wait_out_o,
  output logic                                       ev_wait_operand_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_parameters_0
    $error("esp_post_front: Lanes is a power of two from 4 to 32");
  end
  if ((1 << $clog2(AccWords)) != AccWords || AccWords < 2 || AccWords > 65536)
  begin : gen_parameters_1
    $error("esp_post_front: AccWords is a power of two from 2 to 65536");
  end
  if (ParamBlocks < 2 || ParamBlocks > 256) begin : gen_parameters_2
    $error("esp_post_front: ParamBlocks is 2 to 256");
  end
  if ((1 << $clog2(PostLanes)) != PostLanes || PostLanes > Lanes) begin : gen_parameters_3
    $error("esp_post_front: PostLanes is a power of two, at most Lanes");
  end

  localparam int unsigned BlockBits = $clog2(ParamBlocks);

  typedef struct packed {  // at issue
    logic half;
    logic empty;
    logic add;
    logic score;
    logic gap;
    logic gap_first;
    logic gap_last;
  } job_t;

  typedef struct packed {  // a cycle later
    logic [23:0] bounds;
    logic add;
    logic gate;
    logic score;
    logic [21:0] add_ma;
    logic [21:0] add_mb;
    logic [4:0] add_shift;
    logic [7:0] add_zb;
    logic [23:0] add_bounds;
    logic [31:0] gap_scale;
    logic [7:0] gap_zy;
  } fields_t;

  job_t next_q, job_q;
  fields_t next_fields_q, fields_q;
  logic [11:0] next_cols_q, next_rows_q;
  logic [15:0] next_add_base_q;
  logic [7:0] next_blocks_q;
  logic next_valid_q, job_valid_q;
  logic fetch_q;    // the next CONV's operand has still to be fetched
  logic entered_q;  // the operand stage has the job's fields
  logic accept, advance, advance_q;
  logic first, block_last, last, last_word, after_last, single, slice_last;
  logic empty;      // the CONV offered has no n blocks
  logic [1:0] round_q;  // of a scored block's last word
  logic again, more, word_done, block_done, conv_done;
  // Registers that describe the vector at hand. ready: a CONV is there, and the vector's parameters.
  // repeat: if its word is a block's last, that is issued once more.
  logic ready_q, slot_q, needs_operand_q, needs_place_q, repeat_q;
  logic ready_operand, ready_place;
  logic [SliceBits-1:0] slice_q;
  logic conv_first_q;
  logic acc_free_q;
  logic [$clog2(AccWords)-1:0] addr_q;
  // Positions in the parameter ring, modulo twice its size: of the blocks given back, of the vector's
  // block, of what is given back after the job and after all CONVs taken, of the next CONV's first block.
  logic [BlockBits:0] base_q, pos_q, job_end_q, end_q, next_pos_q;

  // Whether one, or two, of at most 2^BlockBits blocks lie between a position and what is loaded.
  function automatic logic some(input logic [BlockBits:0] x);
    some = x[BlockBits] ? (BlockBits + 1)'(x << 1) == '0 : x != '0;
  endfunction
  function automatic logic two(input logic [BlockBits:0] x);
    two = x[BlockBits] ? (BlockBits + 1)'(x << 1) == '0 : (x >> 1) != '0;
  endfunction

  // CONVs
  assign conv_ready_o  = !next_valid_q;
  assign accept        = conv_valid_i && conv_ready_o;
  assign advance       = next_valid_q && !fetch_q && (entered_q || entered_i)
                         && (!job_valid_q || conv_done);

  assign fetch_valid_o  = fetch_q;
  assign fetch_base_o   = next_add_base_q;
  assign fetch_cols_o   = next_cols_q;
  assign fetch_rows_o   = next_rows_q;
  assign fetch_blocks_o = next_blocks_q;

  assign empty          = Prune && conv_i.n_blocks == '0;
  assign empty_o        = job_q.empty;

  // The vector
  assign slice_last    = slice_q == SliceBits'(Slices - 1) || job_q.empty;
  assign last          = last_word || job_q.empty;
  assign again         = Score && round_q != '0;
  assign more          = Score && repeat_q && block_last;
  assign word_done     = issue_o && slice_last && !more;
  assign block_done    = word_done && block_last;
  assign conv_done     = word_done && last;
  assign ready_operand = operand_i || !needs_operand_q;
  assign ready_place   = place_i || !needs_place_q;
  assign issue_o       = ready_q && ready_operand && ready_place && slot_q;
  assign operand_o     = job_q.add && !again;
  assign claim_o       = issue_o && needs_operand_q;
  assign reserve_o     = issue_o && needs_place_q;
  assign slice_o       = slice_q;
  assign slice_last_o  = slice_last;
  assign conv_first_o  = conv_first_q;
  assign block_first_o = first && !again;
  assign block_last_o  = block_last;
  assign conv_last_o   = last && !more;

  assign acc_ren_o     = issue_o && !job_q.empty;
  assign acc_half_o    = job_q.half;
  assign acc_raddr_o   = addr_q;
  assign acc_free_o    = acc_free_q;

  assign par_ren_o     = issue_o && !job_q.empty;
  assign par_base_o    = base_q;
  if (Slices > 1) begin : gen_slices
    assign par_raddr_o = {pos_q[BlockBits-1:0], slice_q};
  end else begin : gen_whole
    assign par_raddr_o = pos_q[BlockBits-1:0];
  end

  assign ev_busy_o         = issue_o && !job_q.empty;
  assign ev_wait_operand_o = job_valid_q && !(ready_q && ready_operand);
  assign ev_wait_out_o     = ready_q && ready_operand && !ready_place;

  assign bounds_o          = fields_q.bounds;
  assign add_o             = fields_q.add;
  assign gate_o            = fields_q.gate;
  assign score_o           = fields_q.score;
  assign add_ma_o          = fields_q.add_ma;
  assign add_mb_o          = fields_q.add_mb;
  assign add_shift_o       = fields_q.add_shift;
  assign add_zb_o          = fields_q.add_zb;
  assign add_bounds_o      = fields_q.add_bounds;
  assign gap_o             = job_q.gap;
  assign gap_first_o       = job_q.gap_first;
  assign gap_last_o        = job_q.gap_last;
  assign gap_scale_o       = fields_q.gap_scale;
  assign gap_zy_o          = fields_q.gap_zy;

  `ESP_FFC(clear_i, begin
    next_valid_q <= 1'b0;
    fetch_q      <= 1'b0;
    job_valid_q  <= 1'b0;
    entered_q    <= 1'b1;
    acc_free_q   <= 1'b0;
    advance_q    <= 1'b0;
    ready_q      <= 1'b0;
    base_q       <= '0;
    end_q        <= '0;
    job_end_q    <= '0;
  end) begin
    fetch_q      <= (accept && conv_i.add[0] && !empty) || (fetch_q && !fetch_ready_i);
    next_valid_q <= accept || (next_valid_q && !advance);
    job_valid_q  <= advance || (job_valid_q && !conv_done);
    entered_q    <= !advance && (entered_q || entered_i);
    acc_free_q   <= conv_done && !job_q.empty;
    advance_q    <= advance;
    if (advance) ready_q <= next_q.empty || some(par_loaded_i - next_pos_q);
    else ready_q <= job_valid_q && !conv_done
                    && (job_q.empty || (block_done ? two(par_loaded_i - pos_q) : some(par_loaded_i - pos_q)));
    if (conv_done) base_q <= job_end_q;
    if (accept && conv_i.p_release[0]) end_q <= end_q + (BlockBits + 1)'(conv_i.n_blocks);
    if (advance) job_end_q <= end_q;
  end

  always_ff @(posedge clk_i) begin
    if (accept) begin
      next_add_base_q          <= conv_i.add_base;
      next_cols_q              <= conv_i.cols;
      next_rows_q              <= conv_i.rows;
      next_blocks_q            <= conv_i.n_blocks;
      next_pos_q               <= end_q + (BlockBits + 1)'(conv_i.p_offset);
      next_q.half              <= half_i;
      next_q.empty             <= empty;
      next_q.add               <= conv_i.add[0] && !empty;
      next_q.score             <= Score && conv_i.product[0] && conv_i.gap[0] && !empty;
      next_q.gap               <= conv_i.gap[0] && !empty;
      next_q.gap_first         <= conv_i.gap_first[0];
      next_q.gap_last          <= conv_i.gap_last[0];
      next_fields_q.bounds     <= {conv_i.zy, conv_i.lo, conv_i.hi};
      next_fields_q.add        <= conv_i.add[0] && !empty;
      next_fields_q.gate       <= Score && conv_i.product[0] && !conv_i.gap[0];
      next_fields_q.score      <= Score && conv_i.product[0] && conv_i.gap[0];
      next_fields_q.add_ma     <= conv_i.add_ma;
      next_fields_q.add_mb     <= conv_i.add_mb;
      next_fields_q.add_shift  <= conv_i.add_shift;
      next_fields_q.add_zb     <= conv_i.add_zb;
      next_fields_q.add_bounds <= {conv_i.add_zy, conv_i.add_lo, conv_i.add_hi};
      next_fields_q.gap_scale  <= conv_i.gap_scale;
      next_fields_q.gap_zy     <= conv_i.gap_zy;
    end
    if (advance_q) fields_q <= next_fields_q;
    slot_q <= !hold_i && ((advance ? next_q.gap : job_q.gap) || !sums_due_i);
    if (advance) begin
      job_q           <= next_q;
      slice_q         <= '0;
      round_q         <= '0;
      conv_first_q    <= 1'b1;
      addr_q          <= '0;
      pos_q           <= next_pos_q;
      needs_operand_q <= next_q.add;
      needs_place_q   <= !next_q.gap || single;
      repeat_q        <= next_q.score && next_q.gap_last;
    end else if (issue_o) begin
      slice_q         <= slice_last ? '0 : slice_q + 1'b1;
      conv_first_q    <= 1'b0;
      needs_operand_q <= slice_last && job_q.add && !more;
      needs_place_q   <= slice_last && (!job_q.gap || more || after_last);
      if (slice_last) begin
        round_q  <= more ? round_q + 2'd1 : '0;
        repeat_q <= job_q.score && job_q.gap_last && !(more && round_q == 2'd2);
      end
      if (word_done) addr_q <= addr_q + 1'b1;
      if (block_done) pos_q <= pos_q + 1'b1;
    end
  end

  esp_post_walk u_walk (
    .clk_i,
    .load_i(advance),
    .cols_i(next_cols_q),
    .rows_i(next_rows_q),
    .blocks_i(next_blocks_q),
    .step_i(word_done),
    .first_o(first),
    .block_last_o(block_last),
    .last_o(last_word),
    .after_last_o(after_last),
    .single_o(single)
  );

  logic unused_conv;
  assign unused_conv = ^conv_i;

  `ESP_ASSERT(parameters_loaded, !acc_ren_o || some(par_loaded_i - pos_q))
  `ESP_ASSERT(repeat_in_step, !job_valid_q ||
              repeat_q == (job_q.score && job_q.gap_last && round_q != 2'd3))
  `ESP_ASSERT(needs_in_step, !job_valid_q ||
              (needs_operand_q == (operand_o && slice_q == '0) &&
               needs_place_q == (slice_q == '0 && (!job_q.gap || block_last))))

endmodule

`default_nettype wire
