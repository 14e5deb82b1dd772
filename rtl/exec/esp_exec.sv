// The execute engine: convolutions from the activation buffer and the weight ring into accumulators.
//
//   wconv -> esp_wseq -> weight ring -> data --.
//                 | tile ready                  v
//   conv -> esp_feeder -> activation buffer -> esp_array -> esp_acc -> post
//                 `------------ tokens --------------------^
//
// Latency: about 2.5 Lanes cycles from a CONV's last activation to post_valid_o. Throughput: one
// activation word (Lanes x Lanes products) a cycle, without gaps between passes and CONVs as long as
// weights, accumulator halves and CONVs are there. Handshakes: valid / ready; wgt_loaded_i and
// wgt_base_o are counts, modulo twice the ring. Reset and clear_i empty everything and give back all
// weights. Faults: capacity (one pulse, then the engine stands until clear_i).
// Implements docs/machine.md, sections 3 and 5 (esp_exec).

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_exec #(
  parameter int unsigned Lanes       = 4,
  parameter int unsigned ActWords    = 2048,
  parameter int unsigned WeightWords = 1024,
  parameter int unsigned AccWords    = 128,
  parameter bit          Packed      = 1'b0,
  parameter bit          Prune       = 1'b0,   // CONVs without n blocks and sparse ones may come
  parameter bit          Fine        = 1'b0,   // and fine ones
  localparam int unsigned ActBits    = $clog2(ActWords),
  localparam int unsigned WgtBits    = $clog2(WeightWords),
  localparam int unsigned AccBits    = $clog2(AccWords),
  localparam int unsigned SumBits    = 16 + $clog2(Lanes)
) (
  input  wire logic               clk_i,
  input  wire logic               rst_ni,
  input  wire logic               clear_i,

  input  wire logic               wconv_valid_i,
  output logic                    wconv_ready_o,
  input  wire esp_isa_pkg::conv_t wconv_i,

  input  wire logic               conv_valid_i,
  output logic                    conv_ready_o,
  input  wire esp_isa_pkg::conv_t conv_i,

  output logic                    act_ren_o,
  output logic [ActBits-1:0]      act_raddr_o,
  input  wire logic [8*Lanes-1:0] act_rdata_i,
  output logic                    act_two_o,     // of a fine CONV: a second word, of the other bank
  output logic [ActBits-1:0]      act_second_o,
  input  wire logic [8*Lanes-1:0] act_second_i,

  output logic                    wgt_ren_o,
  output logic [WgtBits-1:0]      wgt_raddr_o,
  input  wire logic [8*Lanes-1:0] wgt_rdata_i,
  input  wire logic [2*Lanes-1:0] wgt_index_i,
  input  wire logic [WgtBits:0]   wgt_loaded_i,
  output logic [WgtBits:0]        wgt_base_o,

  output logic                    post_valid_o,
  input  wire logic               post_ready_i,
  output esp_isa_pkg::conv_t      post_conv_o,
  output logic                    post_half_o,

  input  wire logic               acc_ren_i,
  input  wire logic               acc_half_i,
  input  wire logic [AccBits-1:0] acc_raddr_i,
  output logic [32*Lanes-1:0]     acc_rdata_o,
  input  wire logic               acc_free_i,

  output logic                    retire_o,
  output logic                    fault_o,
  output logic                    ev_fed_o,
  output logic                    ev_wait_weights_o,
  output logic                    ev_wait_acc_o,
  output logic                    ev_ragged_o,
  output logic                    ev_pass_o,
  output logic [11:0]             layer_o,
  output logic                    layer_valid_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_parameters_0
    $error("esp_exec: Lanes is a power of two from 4 to 32");
  end
  if ((1 << $clog2(ActWords)) != ActWords || ActWords < 2 || ActWords > 65536 ||
      (1 << $clog2(WeightWords)) != WeightWords || WeightWords < 2 || WeightWords > 65536 ||
      (1 << $clog2(AccWords)) != AccWords || AccWords < 2 || AccWords > 65536)
  begin : gen_parameters_1
    $error("esp_exec: ActWords and WeightWords and AccWords are powers of two from 2 to 65536");
  end

  logic               code_in_valid, code_in_ready, code_valid, code_ready;
  logic [1:0]         code_in, code;
  logic               wgt_first, tile_ready, tile_take, weights_stuck;
  logic               array_en, array_swap, array_odd;
  logic [1:0]         array_present;
  logic [7:0]         array_zx;
  logic               acc_valid, acc_overwrite, acc_half, acc_done_in, acc_done;
  logic [AccBits-1:0] acc_addr;
  logic [Lanes*SumBits-1:0] sums;
  logic               half_full;
  logic               list_valid, list_ready, head_valid, head_ready;
  esp_isa_pkg::conv_t list_conv;

  // Halves: full from the last activation fed until post has read the last word.
  logic [1:0] full_q;
  logic       fill_q, free_q;   // next half to be filled, freed
  logic [1:0] done_q;           // halves written and not yet taken by post
  logic       post_half_q;
  logic       post_take;

  // A CONV without n blocks has no half.
  logic       head_empty;
  if (Prune) begin : gen_empty
    logic head_empty_q, tail_empty_q, list_empty;  // the list's head, what entered it last
    assign list_empty = list_conv.n_blocks == '0;
    assign head_empty = head_empty_q;
    always_ff @(posedge clk_i) begin
      if (list_valid && list_ready) tail_empty_q <= list_empty;
      if (head_valid && head_ready) head_empty_q <= list_ready ? list_empty : tail_empty_q;
      else if (!head_valid) head_empty_q <= list_empty;
    end
    `ESP_ASSERT(head_empty_is_the_heads, !head_valid || head_empty_q == (post_conv_o.n_blocks == '0))
  end else begin : gen_no_empty
    assign head_empty = 1'b0;
  end

  assign head_ready = post_ready_i && (done_q != '0 || head_empty);
  assign post_valid_o = head_valid && (done_q != '0 || head_empty);
  assign post_half_o = post_half_q;
  assign post_take = post_valid_o && post_ready_i && !head_empty;

  // Half that is free from the next cycle on.
  logic [1:0] half_free;
  assign half_free[0] = !full_q[0] || (acc_free_i && !free_q);
  assign half_free[1] = !full_q[1] || (acc_free_i && free_q);

  `ESP_FFC(clear_i, begin
    full_q <= '0;
    fill_q <= 1'b0;
    free_q <= 1'b0;
    done_q <= '0;
    post_half_q <= 1'b0;
  end) begin
    full_q <= ~half_free | {half_full && fill_q, half_full && !fill_q};
    if (half_full) fill_q <= !fill_q;
    if (acc_free_i) free_q <= !free_q;
    done_q <= done_q + 2'(acc_done) - 2'(post_take);
    if (post_take) post_half_q <= !post_half_q;
  end

  esp_wseq #(
    .Lanes(Lanes),
    .WeightWords(WeightWords),
    .Prune(Prune)
  ) u_wseq (
    .clk_i,
    .rst_ni,
    .clear_i,
    .wconv_valid_i,
    .wconv_ready_o,
    .wconv_i,
    .wgt_ren_o,
    .wgt_raddr_o,
    .wgt_loaded_i,
    .wgt_base_o,
    .wgt_header_i(header),
    .code_valid_o(code_in_valid),
    .code_ready_i(code_in_ready),
    .code_o(code_in),
    .wgt_first_o(wgt_first),
    .tile_ready_o(tile_ready),
    .tile_take_i(tile_take),
    .stuck_o(weights_stuck)
  );

  // Codes of tiles, from the sequencer to the passes.
  logic [31:0] header;
  assign header = 32'(wgt_rdata_i);

  if (Prune) begin : gen_codes
    esp_fifo #(.Width(2), .Depth(4)) u_codes (
      .clk_i, .rst_ni, .clear_i,
      .valid_i(code_in_valid), .ready_o(code_in_ready), .data_i(code_in),
      .valid_o(code_valid), .ready_i(code_ready), .data_o(code)
    );
  end else begin : gen_no_codes
    assign {code_in_ready, code_valid, code} = '0;
    logic unused_codes;
    assign unused_codes = ^{code_in_valid, code_in, code_ready};
  end

  esp_feeder #(
    .Lanes(Lanes),
    .ActWords(ActWords),
    .AccWords(AccWords),
    .Prune(Prune),
    .Fine(Fine)
  ) u_feeder (
    .clk_i,
    .rst_ni,
    .clear_i,
    .conv_valid_i,
    .conv_ready_o,
    .conv_i,
    .post_valid_o(list_valid),
    .post_ready_i(list_ready),
    .post_conv_o(list_conv),
    .act_ren_o,
    .act_raddr_o,
    .act_two_o,
    .act_second_o,
    .tile_ready_i(tile_ready),
    .tile_take_o(tile_take),
    .code_valid_i(code_valid),
    .code_ready_o(code_ready),
    .code_i(code),
    .weights_stuck_i(weights_stuck),
    .half_free_i(half_free),
    .half_full_o(half_full),
    .array_en_o(array_en),
    .array_swap_o(array_swap),
    .array_odd_o(array_odd),
    .array_present_o(array_present),
    .array_zx_o(array_zx),
    .acc_valid_o(acc_valid),
    .acc_overwrite_o(acc_overwrite),
    .acc_half_o(acc_half),
    .acc_done_o(acc_done_in),
    .acc_addr_o(acc_addr),
    .retire_o,
    .fault_o,
    .ev_fed_o,
    .ev_wait_weights_o,
    .ev_wait_acc_o,
    .ev_ragged_o,
    .ev_pass_o,
    .layer_o,
    .layer_valid_o
  );

  if (Fine) begin : gen_fine
    esp_array_fine #(
      .Lanes(Lanes),
      .Packed(Packed)
    ) u_array_fine (
      .clk_i,
      .rst_ni,
      .clear_i,
      .en_i(array_en),
      .act_swap_i(array_swap),
      .act_odd_i(array_odd),
      .act_present_i(array_present),
      .act_zx_i(array_zx),
      .act_data_i({act_second_i, act_rdata_i}),
      .wgt_first_i(wgt_first),
      .wgt_data_i(wgt_rdata_i),
      .wgt_index_i,
      .sums_o(sums)
    );
  end else begin : gen_not_fine
    esp_array #(
      .Lanes(Lanes),
      .Packed(Packed)
    ) u_array (
      .clk_i,
      .rst_ni,
      .clear_i,
      .en_i(array_en),
      .act_swap_i(array_swap),
      .act_present_i(array_present[0]),
      .act_zx_i(array_zx),
      .act_data_i(act_rdata_i),
      .wgt_first_i(wgt_first),
      .wgt_data_i(wgt_rdata_i),
      .sums_o(sums)
    );
    logic unused_fine;
    assign unused_fine = ^{array_odd, array_present[1], act_second_i, wgt_index_i};
  end

  esp_acc #(
    .Lanes(Lanes),
    .AccWords(AccWords),
    .Delay(Fine ? Lanes + 3 : Lanes)
  ) u_acc (
    .clk_i,
    .rst_ni,
    .clear_i,
    .en_i(array_en),
    .valid_i(acc_valid),
    .overwrite_i(acc_overwrite),
    .half_i(acc_half),
    .done_i(acc_done_in),
    .addr_i(acc_addr),
    .sums_i(sums),
    .done_o(acc_done),
    .ren_i(acc_ren_i),
    .rhalf_i(acc_half_i),
    .raddr_i(acc_raddr_i),
    .rdata_o(acc_rdata_o)
  );

  // CONVs whose last pass the feeder has taken up, for post.
  esp_fifo #(
    .Width(esp_isa_pkg::CONV_BITS),
    .Depth(2)
  ) u_list (
    .clk_i,
    .rst_ni,
    .clear_i,
    .valid_i(list_valid),
    .ready_o(list_ready),
    .data_i(list_conv),
    .valid_o(head_valid),
    .ready_i(head_ready),
    .data_o(post_conv_o)
  );

  `ESP_ASSERT_STABLE(post_stable, clear_i, post_valid_o, post_ready_i, post_conv_o)
  `ESP_ASSERT(free_a_full_half, !acc_free_i || full_q[free_q])
  `ESP_ASSERT(done_in_range, done_q != 2'd3)

endmodule

`default_nettype wire
