// Post: what follows a convolution. Reads a full accumulator half, adds the bias, requantises,
// adds the residual operand, sums for global average pooling, and hands words to the store stream.
//
//   issue   READ       BIAS     SCALE           ADD        DONE
//   read    select --> bias --> esp_requant --> esp_addop --+--> gather --> FIFO --> out
//           ^                                               v
//           +---------------- BACK: sums <-------- esp_post_gap
//
// PostLanes lanes a cycle: Lanes / PostLanes cycles a word, without a bubble between words, blocks
// and CONVs; a CONV needs at least 11 cycles, and each block that is summed for gap takes one word
// more. With Score the operand may gate a CONV's words, or be multiplied by them (scored): the sums of
// a scored block then leave as four words, one a byte. The pipeline never stalls: a word is issued
// only when a place in the output FIFO is free and its operand waits, and the sums of a block come
// back to the requantiser in slots that esp_post_front leaves empty. A CONV that sums without
// gap_last sends an empty word, so that it retires in order.
// Handshakes: valid / ready, valid stays. acc_free_o: the cycle after the last read; retire_o: the cycle
// after the last word has left.
// Reset and clear_i empty it. Numbers: esp_requant, esp_addop; bias and sums are int32, modulo 2^32.
// docs/machine.md, sections 3 and 5.
`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_post #(
  parameter int unsigned Lanes       = 16,
  parameter int unsigned ActWords    = 8192,
  parameter int unsigned AccWords    = 512,
  parameter int unsigned ParamBlocks = 64,
  parameter int unsigned PostLanes   = 8,
  parameter bit          Prune       = 1'b0,  // CONVs may have no n blocks
  parameter bit          Score       = 1'b0   // CONVs may gate or score
) (
  input  wire logic                                           clk_i,
  input  wire logic                                           rst_ni,
  input  wire logic                                           clear_i,
  // CONVs with a full accumulator half
  input  wire logic                                           conv_valid_i,
  output logic                                                conv_ready_o,
  input  wire esp_isa_pkg::conv_t                             conv_i,
  input  wire logic                                           half_i,
  // accumulators
  output logic                                                acc_ren_o,
  output logic                                                acc_half_o,
  output logic      [$clog2(AccWords)-1:0]                    acc_raddr_o,
  input  wire logic [32*Lanes-1:0]                            acc_rdata_i,
  output logic                                                acc_free_o,
  // parameter ring
  output logic                                                par_ren_o,
  output logic      [$clog2(ParamBlocks*Lanes/PostLanes)-1:0] par_raddr_o,
  input  wire logic [64*PostLanes-1:0]                        par_rdata_i,
  input  wire logic [$clog2(ParamBlocks):0]                   par_loaded_i,
  output logic      [$clog2(ParamBlocks):0]                   par_base_o,
  // residual operand: activation buffer port B
  output logic                                                res_valid_o,
  input  wire logic                                           res_ready_i,
  output logic      [$clog2(ActWords)-1:0]                    res_addr_o,
  input  wire logic                                           res_rvalid_i,
  input  wire logic [8*Lanes-1:0]                             res_rdata_i,
  // store stream
  output logic                                                out_valid_o,
  input  wire logic                                           out_ready_i,
  output logic      [8*Lanes-1:0]                             out_data_o,
  // retired instructions, counter events
  output logic                                                retire_o,
  output logic                                                ev_busy_o,
  output logic                                                ev_wait_out_o,
  output logic                                                ev_wait_operand_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_parameters_0
    $error("esp_post: Lanes is a power of two from 4 to 32");
  end
  if ((1 << $clog2(ActWords)) != ActWords || ActWords < 2 || ActWords > 65536 ||
      (1 << $clog2(AccWords)) != AccWords || AccWords < 2 || AccWords > 65536)
  begin : gen_parameters_1
    $error("esp_post: ActWords and AccWords are powers of two from 2 to 65536");
  end
  if (ParamBlocks < 2 || ParamBlocks > 256) begin : gen_parameters_2
    $error("esp_post: ParamBlocks is 2 to 256");
  end
  if ((1 << $clog2(PostLanes)) != PostLanes || PostLanes > Lanes) begin : gen_parameters_3
    $error("esp_post: PostLanes is a power of two, at most Lanes");
  end

  localparam int unsigned Slices = Lanes / PostLanes;
  localparam int unsigned SliceBits = Slices > 1 ? $clog2(Slices) : 1;
  // Words in flight from issue to the FIFOs' far ends, rounded up to a power of two.
  localparam int unsigned DepthWords = Slices > 1 ? 16 : 32;

  // Stages of a vector, in cycles from its issue.
  localparam int unsigned READ = 1;           // its sums are read, its parameters will be
  localparam int unsigned BIAS = READ + 1;    // its parameters are read
  localparam int unsigned SCALE = BIAS + 1;   // it enters esp_requant, which takes 8 cycles
  localparam int unsigned ADD = SCALE + 8;    // it enters esp_addop, which takes 4
  localparam int unsigned DONE = ADD + 4;     // it is gathered, or summed
  localparam int unsigned BACK = DONE + 1;    // a block's sums, on their way to BIAS

  // Bit k of each of these belongs to the vector at stage k.
  logic [BACK:READ] valid_q;
  logic [DONE:READ] first_q;  // first vector of a CONV
  logic [DONE:READ] add_q;    // takes its operand
  logic [DONE:READ] gap_q;    // is summed, does not leave
  logic [DONE:READ] start_q;  // its sums start at zero
  logic [DONE:READ] blast_q;  // last pixel of a block
  logic [BACK:READ] clast_q;  // last pixel of a CONV
  logic [BACK:READ] empty_q;  // counts as a word but does not leave
  logic [BACK:READ] slast_q;  // last slice of its word
  logic [SliceBits*BACK-1:0] slice_q;  // stage k at SliceBits * (k - READ)

  logic issue, conv_first, block_first, block_last, conv_last, slice_last, job_empty;
  logic [SliceBits-1:0] slice, slice_read, slice_add, slice_back;
  logic [23:0] job_bounds, job_add_bounds;
  logic job_add, job_gate, job_score, job_operand, job_gap, job_gap_first, job_gap_last;
  logic [21:0] job_ma, job_mb;
  logic [4:0] job_shift;
  logic [7:0] job_zb, job_gap_zy;
  logic [31:0] job_gap_scale;

  logic [23:0] bounds1_q, bounds2_q, stage_add_bounds_q;
  logic [21:0] stage_ma_q, stage_mb_q;
  logic [4:0] stage_shift_q;
  logic [7:0] stage_gap_zy_q, gap_zy_q, bound;
  logic [8:0] stage_minus_za_q, stage_minus_zb_q, stage_minus_zero_q, minus_zero_q;
  logic stage_gate_q, stage_score_q, sum_score_q, gap_score_q;
  logic [31:0] stage_gap_scale_q, gap_scale_q;

  logic hold, hold_q, inject, entered_q, block_sent, sent_q, block_back;
  logic operand, claim, fetch_valid, fetch_ready;
  logic [15:0] fetch_base;
  logic [11:0] fetch_cols, fetch_rows;
  logic [7:0] fetch_blocks;
  logic place_q, reserve, release_place, release_q;
  logic sums_due;  // in the next cycle
  logic retire_q;
  logic [4:0] sums_due_q;  // blocks issued, but in the last cycle, whose sums have not come back
  logic [$clog2(DepthWords):0] places_q;
  logic [32*PostLanes-1:0] selected, selected_q, biased, acc_q, scale_q, sums;
  logic injected_q, first_done_q;
  logic par_ren;
  logic [$clog2(ParamBlocks):0] par_base;
  logic [$clog2(ParamBlocks*Lanes/PostLanes)-1:0] par_raddr;
  logic [16*PostLanes-1:0] products;
  logic [8*PostLanes-1:0] y, z, operand_slice;
  logic [8*Lanes-1:0] operand_word, word;
  logic word_valid, fifo_valid, fifo_ready, fifo_last, fifo_empty_word;

  assign slice_read = slice_q[0 +: SliceBits];
  assign slice_add  = slice_q[SliceBits*(ADD-READ) +: SliceBits];
  assign slice_back = slice_q[SliceBits*(BACK-READ) +: SliceBits];

  // A summed vector of a block's last pixel is done (hold_q); its sums come back into the slot that was
  // left empty.
  assign hold    = valid_q[DONE-1] && gap_q[DONE-1] && blast_q[DONE-1];
  assign inject  = valid_q[BACK];

  `ESP_FFC(clear_i, begin
    valid_q   <= '0;
    hold_q    <= 1'b0;
    entered_q <= 1'b0;
    par_ren_o <= 1'b0;
    par_base_o <= '0;
  end) begin
    valid_q   <= {hold_q, valid_q[DONE-1:BIAS], valid_q[READ] || inject, issue};
    hold_q    <= hold;
    entered_q <= valid_q[ADD-2] && first_q[ADD-2];
    par_ren_o <= par_ren;
    par_base_o <= par_base;  // blocks are read a cycle after their issue
  end

  always_ff @(posedge clk_i) begin
    first_q <= {first_q[DONE-1:BIAS], first_q[READ] && !inject, conv_first};
    add_q   <= {add_q[DONE-1:BIAS], add_q[READ] && !inject, job_operand};
    gap_q   <= {gap_q[DONE-1:BIAS], gap_q[READ] && !inject, job_gap};
    start_q <= {start_q[DONE-1:READ], block_first && job_gap_first};
    blast_q <= {blast_q[DONE-1:READ], block_last};
    clast_q <= {clast_q[DONE:BIAS], inject ? clast_q[BACK] : clast_q[READ], conv_last};
    empty_q <= {empty_q[DONE:BIAS], inject ? empty_q[BACK] : empty_q[READ],
                (job_gap && !job_gap_last) || job_empty};
    slast_q <= {slast_q[DONE:BIAS], inject ? slast_q[BACK] : slast_q[READ], slice_last};
    slice_q <= {
      slice_q[SliceBits*DONE-1:SliceBits], inject ? slice_back : slice_read, slice
    };
  end

  // Places in the output FIFO, which come back a cycle late, and blocks whose sums are on their way.
  assign block_sent    = issue && slice_last && job_gap && block_last;
  assign block_back    = inject && slast_q[BACK];
  assign sums_due      = block_sent || sent_q || (block_back ? sums_due_q[4:1] != '0 : sums_due_q != '0);
  assign release_place = fifo_valid && fifo_ready;

  `ESP_FFC(clear_i, begin
    sent_q     <= 1'b0;
    sums_due_q <= '0;
    release_q  <= 1'b0;
    retire_q   <= 1'b0;
    place_q    <= 1'b1;
    places_q   <= ($clog2(DepthWords) + 1)'(DepthWords);
  end) begin
    sent_q <= block_sent;
    if (sent_q && !block_back) sums_due_q <= sums_due_q + 1'b1;
    else if (block_back && !sent_q) sums_due_q <= sums_due_q - 1'b1;
    release_q <= release_place;
    retire_q  <= release_place && fifo_last;
    place_q   <= release_q || (reserve ? places_q > ($clog2(DepthWords) + 1)'(1) : places_q != '0);
    if (release_q && !reserve) places_q <= places_q + 1'b1;
    else if (reserve && !release_q) places_q <= places_q - 1'b1;
  end

  // READ: the vector's part of its word, or sums that come back; BIAS: without a bias those. Fields follow
  // the vectors they belong to: the bounds at READ, the operand's at ADD, the pooling's at DONE (zero point)
  // and BACK.
  for (genvar i = 0; i < PostLanes; i++) begin : gen_lane
    always_comb begin
      selected[32*i +: 32] = '0;
      biased[32*i +: 32] = '0;
      if (inject) begin
        selected[32*i +: 32] = gap_score_q ? 32'($signed(sums[32*i +: 8])) : sums[32*i +: 32];
      end else if (`ESP_WHEN(valid_q[READ])) begin
        selected[32*i +: 32] = acc_rdata_i[32*(PostLanes*slice_read+i) +: 32];
      end
      if (`ESP_WHEN(valid_q[BIAS])) begin
        biased[32*i +: 32] = selected_q[32*i +: 32]
                           + (* in_order *) (par_rdata_i[64*i +: 32] & {32{!injected_q}});
      end
    end
  end

  // Zero points are negated once for all lanes, on their way to the stages. A gate's upper bound stands
  // in the place of the first: b - (bound + 1).
  function automatic logic [8:0] negate(input logic [7:0] x, input logic up);
    negate = ~{x[7], x} + 9'(up);
  endfunction
  assign bound = job_gate ? job_add_bounds[7:0] : job_bounds[23:16];

  always_ff @(posedge clk_i) begin
    injected_q  <= inject;
    par_raddr_o <= par_raddr;
    if (inject || valid_q[READ]) begin
      selected_q <= selected;
      bounds1_q  <= inject ? {gap_zy_q, 8'h80, 8'h7f} : job_bounds;
    end
    if (valid_q[BIAS]) begin
      acc_q     <= biased;
      bounds2_q <= bounds1_q;
      for (int i = 0; i < PostLanes; i++) begin
        scale_q[32*i +: 32] <= injected_q ? gap_scale_q : par_rdata_i[64*i+32 +: 32];
      end
    end
    if (entered_q) begin
      stage_gate_q       <= job_gate;
      stage_score_q      <= job_score;
      stage_minus_za_q   <= negate(bound, !job_gate);
      stage_minus_zb_q   <= negate(job_zb, 1'b1);
      stage_minus_zero_q <= negate(job_add ? job_add_bounds[23:16] : job_bounds[23:16], 1'b1);
      stage_ma_q         <= job_ma;
      stage_mb_q         <= job_mb;
      stage_shift_q      <= job_shift;
      stage_add_bounds_q <= job_add_bounds;
      stage_gap_scale_q  <= job_gap_scale;
      stage_gap_zy_q     <= job_gap_zy;
    end
    if (valid_q[DONE-1] && first_q[DONE-1]) begin
      sum_score_q  <= stage_score_q;
      minus_zero_q <= stage_score_q ? '0 : stage_minus_zero_q;
    end
    first_done_q <= valid_q[DONE] && first_q[DONE];
    if (valid_q[DONE] && first_q[DONE]) begin
      gap_score_q <= sum_score_q;
      gap_zy_q    <= stage_gap_zy_q;
    end
    if (first_done_q) gap_scale_q <= stage_gap_scale_q;  // the CONV's before is used until then
  end

  esp_post_front #(
    .Lanes(Lanes), .AccWords(AccWords), .ParamBlocks(ParamBlocks), .PostLanes(PostLanes),
    .Prune(Prune), .Score(Score)
  ) u_front (
    .clk_i, .rst_ni, .clear_i,
    .conv_valid_i, .conv_ready_o, .conv_i, .half_i,
    .fetch_valid_o(fetch_valid), .fetch_ready_i(fetch_ready), .fetch_base_o(fetch_base),
    .fetch_cols_o(fetch_cols), .fetch_rows_o(fetch_rows), .fetch_blocks_o(fetch_blocks),
    .acc_ren_o, .acc_half_o, .acc_raddr_o, .acc_free_o,
    .par_ren_o(par_ren), .par_raddr_o(par_raddr), .par_loaded_i, .par_base_o(par_base),
    .operand_i(operand), .claim_o(claim),
    .place_i(place_q), .reserve_o(reserve),
    .hold_i(hold), .sums_due_i(sums_due), .entered_i(entered_q),
    .issue_o(issue), .slice_o(slice), .slice_last_o(slice_last), .conv_first_o(conv_first),
    .block_first_o(block_first), .block_last_o(block_last), .conv_last_o(conv_last),
    .operand_o(job_operand), .empty_o(job_empty),
    .bounds_o(job_bounds), .add_o(job_add), .gate_o(job_gate), .score_o(job_score),
    .add_ma_o(job_ma), .add_mb_o(job_mb),
    .add_shift_o(job_shift), .add_zb_o(job_zb), .add_bounds_o(job_add_bounds),
    .gap_o(job_gap), .gap_first_o(job_gap_first), .gap_last_o(job_gap_last),
    .gap_scale_o(job_gap_scale), .gap_zy_o(job_gap_zy),
    .ev_busy_o, .ev_wait_out_o, .ev_wait_operand_o
  );

  esp_post_fetch #(.Lanes(Lanes), .ActWords(ActWords), .DepthWords(DepthWords)) u_fetch (
    .clk_i, .rst_ni, .clear_i,
    .start_valid_i(fetch_valid), .start_ready_o(fetch_ready),
    .base_i($clog2(ActWords)'(fetch_base)),
    .cols_i(fetch_cols), .rows_i(fetch_rows), .blocks_i(fetch_blocks),
    .res_valid_o, .res_ready_i, .res_addr_o, .res_rvalid_i, .res_rdata_i,
    .claimable_o(operand), .claim_i(claim),
    .data_o(operand_word), .pop_i(valid_q[ADD] && add_q[ADD] && slast_q[ADD])
  );

  logic unused_base;
  assign unused_base = ^fetch_base;  // addresses wrap at the buffer's end

  logic requant_valid, addop_valid;

  esp_requant #(.Lanes(PostLanes)) u_requant (
    .clk_i, .rst_ni, .clear_i, .en_i(1'b1),
    .valid_i(valid_q[SCALE]), .acc_i(acc_q), .scale_i(scale_q),
    .zero_i(bounds2_q[23:16]), .lo_i(bounds2_q[15:8]), .hi_i(bounds2_q[7:0]),
    .valid_o(requant_valid), .data_o(y)
  );

  assign operand_slice = `ESP_WHEN(requant_valid) ? operand_word[8*PostLanes*slice_add +: 8*PostLanes]
                                                  : '0;

  esp_addop #(.Lanes(PostLanes), .Score(Score)) u_addop (
    .clk_i, .rst_ni, .clear_i, .en_i(1'b1),
    .valid_i(requant_valid), .add_i(add_q[ADD]), .gate_i(stage_gate_q), .score_i(stage_score_q),
    .a_i(y), .b_i(operand_slice), .minus_za_i(stage_minus_za_q), .minus_zb_i(stage_minus_zb_q),
    .ma_i(stage_ma_q), .mb_i(stage_mb_q),
    .shift_i(stage_shift_q), .zero_i(stage_add_bounds_q[23:16]),
    .lo_i(stage_add_bounds_q[15:8]), .hi_i(stage_add_bounds_q[7:0]),
    .valid_o(addop_valid), .data_o(z), .score_o(products)
  );

  esp_post_gap #(.PostLanes(PostLanes), .Slices(Slices), .Score(Score)) u_gap (
    .clk_i,
    .valid_i(addop_valid && gap_q[DONE]), .start_i(start_q[DONE]),
    .score_i(sum_score_q), .shift_i(sum_score_q && !add_q[DONE]),
    .data_i(z), .product_i(products), .minus_zero_i(minus_zero_q), .sums_o(sums)
  );

  // Gather the slices of a word.
  assign word_valid = addop_valid && !gap_q[DONE] && slast_q[DONE];
  if (Slices > 1) begin : gen_gather
    logic [8*(Lanes-PostLanes)-1:0] low_q;
    always_ff @(posedge clk_i) begin
      if (addop_valid && !gap_q[DONE]) begin
        low_q <= (8 * (Lanes - PostLanes))'({z, low_q} >> (8 * PostLanes));
      end
    end
    assign word = {z, low_q};
  end else begin : gen_whole
    assign word = z;
  end

  // Words that leave; an empty one only retires its CONV.
  logic fifo_room;

  esp_fifo #(.Width(8 * Lanes + 2), .Depth(DepthWords)) u_out (
    .clk_i, .rst_ni, .clear_i,
    .valid_i(word_valid), .ready_o(fifo_room), .data_i({clast_q[DONE], empty_q[DONE], word}),
    .valid_o(fifo_valid), .ready_i(fifo_ready),
    .data_o({fifo_last, fifo_empty_word, out_data_o})
  );

  assign out_valid_o = fifo_valid && !fifo_empty_word;
  assign fifo_ready  = out_ready_i || fifo_empty_word;
  assign retire_o    = retire_q;

  logic unused_room;
  assign unused_room = fifo_room;

  `ESP_ASSERT(requant_in_step, requant_valid == valid_q[ADD])
  `ESP_ASSERT(addop_in_step, addop_valid == valid_q[DONE])
  `ESP_ASSERT(slot_is_free, !issue || (!hold_q && (job_gap || (!sent_q && sums_due_q == '0))))
  `ESP_ASSERT(place_is_free, place_q == (places_q != '0))
  `ESP_ASSERT(injection_slot_empty, !(inject && valid_q[READ]))
  `ESP_ASSERT(output_has_room, !word_valid || fifo_room)
  `ESP_ASSERT_STABLE(output_stable, clear_i, out_valid_o, out_ready_i, out_data_o)

endmodule

`default_nettype wire
