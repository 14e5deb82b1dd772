// Feeder: implicit im2col. Walks the passes of every CONV and, in each, the output pixels of the tile,
// one activation word a cycle.
//
// A pass is taken up in the last cycle of the one before, or when none runs; in that cycle or later, when its
// weight tile is ready and its accumulator half is free, it is let go, and runs from the next cycle without a
// stop for Lanes cycles at least: passes, of one CONV or of two, follow each other without a gap. A word is
// read for every pixel; for those in the padding the array takes zero. Latency: act_ren_o to the array's
// inputs one cycle (array_*_o stand beside the data). array_en_o is high as long as anything moves through
// array and accumulators. With Fine a pass lasts an even number of cycles, of which every second one is
// array_odd_o's, and of a fine CONV a second word is read beside each (act_two_o, at act_second_o), whose
// presence is that of another column. Handshake: valid / ready on the CONV; take (a pass's first cycle) on
// the weight tile, whose tile_ready_i is read the cycle before; half_free_i says which halves may be written
// from the next cycle on, half_full_o hands one over, a cycle after its last pixel. A word past the
// accumulator half: nothing more is fed, fault_o for one cycle, then nothing until clear_i; the same where
// weights_stuck_i says that the tile it waits for cannot come. A CONV without n blocks (Prune) is handed on
// when nothing runs: no pass, no exchange of halves. code_*: see esp_passes.
// Implements docs/machine.md, section 3.

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_feeder #(
  parameter int unsigned Lanes     = 4,
  parameter int unsigned ActWords  = 2048,
  parameter int unsigned AccWords  = 128,
  parameter bit          Prune     = 1'b0,
  parameter bit          Fine      = 1'b0,
  localparam int unsigned AddrBits = $clog2(ActWords),
  localparam int unsigned AccBits  = $clog2(AccWords)
) (
  input  wire logic               clk_i,
  input  wire logic               rst_ni,
  input  wire logic               clear_i,

  input  wire logic               conv_valid_i,
  output logic                    conv_ready_o,
  input  wire esp_isa_pkg::conv_t conv_i,

  // CONVs with `last`, for post, once their last pass is taken up.
  output logic                    post_valid_o,
  input  wire logic               post_ready_i,
  output esp_isa_pkg::conv_t      post_conv_o,

  output logic                    act_ren_o,
  output logic [AddrBits-1:0]     act_raddr_o,
  output logic                    act_two_o,
  output logic [AddrBits-1:0]     act_second_o,

  input  wire logic               tile_ready_i,
  output logic                    tile_take_o,
  input  wire logic               weights_stuck_i,
  input  wire logic               code_valid_i,
  output logic                    code_ready_o,
  input  wire logic [1:0]         code_i,

  input  wire logic [1:0]         half_free_i,
  output logic                    half_full_o,

  // To the array and the accumulators, beside the activation data.
  output logic                    array_en_o,
  output logic                    array_swap_o,
  output logic                    array_odd_o,
  output logic [1:0]              array_present_o,   // of the first word, of the second
  output logic [7:0]              array_zx_o,
  output logic                    acc_valid_o,
  output logic                    acc_overwrite_o,
  output logic                    acc_half_o,
  output logic                    acc_done_o,
  output logic [AccBits-1:0]      acc_addr_o,

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
    $error("esp_feeder: Lanes is a power of two from 4 to 32");
  end
  if ((1 << $clog2(ActWords)) != ActWords || ActWords < 2 || ActWords > 65536 ||
      (1 << $clog2(AccWords)) != AccWords || AccWords < 2 || AccWords > 65536)
  begin : gen_parameters_1
    $error("esp_feeder: ActWords and AccWords are powers of two from 2 to 65536");
  end

  // Cycles from the array's input to the last write.
  localparam int unsigned DRAIN = Lanes + Lanes / 2 + (Fine ? 5 : 2);
  localparam int unsigned DRAIN_BITS = $clog2(DRAIN + 1);
  localparam int unsigned SLOT_BITS = $clog2(Lanes);

  typedef enum logic [2:0] {
    StEmpty,   // no pass
    StRun,     // a pixel a cycle
    StFill,    // all pixels fed, fewer than Lanes cycles gone
    StHalt,    // after a fault
    StReady    // a pass waits at its first pixel
  } state_e;

  logic                    pass_valid, pass_take, pass_acc_set, pass_overwrite, pass_last, passes_busy;
  logic                    pass_empty, empty_take;
  logic [AddrBits-1:0]     pass_addr;
  logic signed [17:0]      pass_iy, pass_ix;
  logic [AccBits:0]        pass_acc;
  esp_isa_pkg::conv_t      pass_conv;

  esp_passes #(
    .ActWords(ActWords),
    .AccWords(AccWords),
    .Prune(Prune)
  ) u_passes (
    .clk_i,
    .rst_ni,
    .clear_i,
    .conv_valid_i,
    .conv_ready_o,
    .conv_i,
    .code_valid_i,
    .code_ready_o,
    .code_i,
    .pass_valid_o(pass_valid),
    .pass_take_i(pass_take),
    .pass_addr_o(pass_addr),
    .pass_iy_o(pass_iy),
    .pass_ix_o(pass_ix),
    .pass_acc_set_o(pass_acc_set),
    .pass_acc_o(pass_acc),
    .pass_overwrite_o(pass_overwrite),
    .pass_last_o(pass_last),
    .pass_list_o(listing),
    .pass_empty_o(pass_empty),
    .conv_o(pass_conv),
    .busy_o(passes_busy)
  );

  logic [2:0]           state_q, state_d;  // a state_e
  logic                 idle_q;       // no pass
  logic                 go_q;         // the first cycle of a pass
  // The pass.
  logic [11:0]          cols_q;
  logic [3:0]           stride_x_q, stride_y_q;
  logic [AddrBits-1:0]  y_step_q;
  logic [12:0]          in_rows_q, in_cols_q;
  logic [7:0]           zx_q;
  logic [11:0]          layer_q;
  logic                 overwrite_q, pass_last_q, hand_q, half_q;
  // The pixel.
  logic [AddrBits-1:0]  addr_q, row_addr_q;
  logic signed [17:0]   iy_q, ix_q, ix_first_q;
  logic [AccBits:0]     acc_q;
  logic [SLOT_BITS-1:0] slot_q;       // cycles that the pass must still last after this one
  logic                 slots_over_q; // none
  logic                 ends_q;       // this cycle is the pass's last, if it feeds or fills
  logic [DRAIN_BITS-1:0] drain_q;

  logic run, fill, waits, room, go, feed, over, row_present, present, pixels_end, next_end;
  logic row_end, rows_end, next_row_end, next_rows_end;
  logic turns;   // a pass may end in the next cycle
  logic conv_end, hand, half_free, standing, listing, load, stuck, halt;

  // StHalt is StRun and StFill at once.
  assign run = state_q[0] && !state_q[1];
  assign fill = state_q[1] && !state_q[0];
  assign waits = state_q[2];

  assign over = acc_q[AccBits];
  assign feed = run && !over;
  assign pixels_end = feed && row_end && rows_end;
  assign next_end = pixels_end || fill ||
      (run && next_row_end && (row_end ? next_rows_end : rows_end));
  assign conv_end = pixels_end && pass_last_q;
  assign hand = pixels_end && hand_q;
  assign row_present = !iy_q[17] && iy_q[16:0] < 17'(in_rows_q);
  assign present = row_present && !ix_q[17] && ix_q[16:0] < 17'(in_cols_q);

  // The next pass: taken up, then let go.
  assign room = idle_q || (ends_q && !pass_empty);
  assign pass_take = room && pass_valid && (!listing || post_ready_i);
  assign empty_take = pass_take && pass_empty;
  assign post_valid_o = room && pass_valid && listing;
  assign post_conv_o = pass_conv;
  assign half_free = half_free_i[half_q ^ (run && row_end && rows_end && hand_q)];
  assign standing = waits || (pass_take && !pass_empty);
  assign go = standing && tile_ready_i && half_free;
  assign stuck = waits && !tile_ready_i && weights_stuck_i;
  assign halt = stuck || (run && over);

  assign act_ren_o = feed;
  assign act_raddr_o = addr_q;
  assign tile_take_o = go_q;

  assign ev_fed_o = feed;
  assign ev_ragged_o = fill;
  assign ev_pass_o = go_q;
  assign layer_o = (idle_q || (state_q[0] && state_q[1])) ? pass_conv.layer : layer_q;
  assign layer_valid_o = !idle_q || passes_busy;

  assign state_d[0] = halt || go || (run && !pixels_end) || (state_q[0] && state_q[1]);
  assign state_d[1] = halt || (!(Fine ? ends_q : slots_over_q) && (pixels_end || fill))
                   || (state_q[0] && state_q[1]);
  assign state_d[2] = standing && !go && !halt;

  `ESP_FFC(clear_i, begin
    state_q <= StEmpty;
    idle_q <= 1'b1;
    go_q <= 1'b0;
    ends_q <= 1'b0;
    drain_q <= '0;
    array_en_o <= 1'b0;
    half_q <= 1'b0;
    half_full_o <= 1'b0;
    acc_valid_o <= 1'b0;
    array_swap_o <= 1'b0;
    retire_o <= 1'b0;
    fault_o <= 1'b0;
    ev_wait_acc_o <= 1'b0;
    ev_wait_weights_o <= 1'b0;
  end) begin
    state_q <= state_d;
    idle_q <= (idle_q || ends_q) && !(pass_take && !pass_empty) && !halt;
    go_q <= go && !halt;
    ends_q <= next_end && !ends_q && turns && (slots_over_q || slot_q == SLOT_BITS'(1));
    if (feed) drain_q <= DRAIN_BITS'(DRAIN);
    else if (array_en_o) drain_q <= drain_q - 1'b1;
    array_en_o <= feed || (array_en_o && drain_q != DRAIN_BITS'(1));
    if (hand) half_q <= !half_q;
    half_full_o <= hand;
    acc_valid_o <= feed;
    array_swap_o <= go_q && feed;
    retire_o <= conv_end || empty_take;
    fault_o <= halt;
    // What the next cycle waits for.
    ev_wait_acc_o <= standing && !half_free && !halt;
    ev_wait_weights_o <= standing && half_free && !tile_ready_i && !halt;
  end

  if (Fine) begin : gen_fine
    logic                 odd_q, fine_q, second;
    logic [AddrBits-1:0]  pair_q;
    logic signed [17:0]   low_q, high_q;   // columns of the first word at which the second one is present
    assign turns = !odd_q;
    assign second = row_present && ix_q >= low_q && ix_q < high_q;
    assign act_two_o = fine_q;
    assign act_second_o = addr_q + pair_q;

    `ESP_FFC(clear_i, begin
      odd_q <= 1'b0;
      array_odd_o <= 1'b0;
    end) begin
      odd_q <= (run || fill) && !odd_q;
      array_odd_o <= (run || fill) && odd_q;
    end

    `ESP_ASSERT(even_end_known, (run && over) || ends_q == (slots_over_q && odd_q && (pixels_end || fill)))

    always_ff @(posedge clk_i) begin
      array_present_o <= {second, present};
      if (pass_take) begin
        fine_q <= pass_conv.fine[0];
        pair_q <= pass_conv.pair[AddrBits-1:0];
        low_q <= -(18'(pass_conv.pair_cols));
        high_q <= 18'(pass_conv.in_cols) - 18'(pass_conv.pair_cols);
      end
    end
  end else begin : gen_not_fine
    assign {array_odd_o, act_two_o, act_second_o} = '0;
    assign turns = 1'b1;
    logic present_q;
    assign array_present_o = {1'b0, present_q};
    always_ff @(posedge clk_i) begin
      present_q <= present;
    end
  end

  always_ff @(posedge clk_i) begin
    array_zx_o <= zx_q;
    if (feed) begin
      acc_overwrite_o <= overwrite_q;
      acc_half_o <= half_q;
      acc_done_o <= hand;
      acc_addr_o <= acc_q[AccBits-1:0];
    end
  end

  esp_loop #(.Width(12)) u_cols (
    .clk_i, .load_i(pass_take), .load_count_i(pass_conv.cols), .step_i(feed), .count_i(cols_q),
    .end_o(row_end), .next_end_o(next_row_end)
  );
  esp_loop #(.Width(12)) u_rows (
    .clk_i, .load_i(pass_take), .load_count_i(pass_conv.rows), .step_i(feed && row_end), .count_i(12'd0),
    .end_o(rows_end), .next_end_o(next_rows_end)
  );

  // A step behind a pass's last pixel may leave anything: a pass is taken up before the next is fed.
  assign load = !run || (row_end && rows_end);

  always_ff @(posedge clk_i) begin
    if (standing) begin
      slot_q <= SLOT_BITS'(Lanes - 1);
      slots_over_q <= 1'b0;
    end else if (!slots_over_q) begin
      slot_q <= slot_q - 1'b1;
      slots_over_q <= slot_q == SLOT_BITS'(1);
    end
    if (pass_take) begin
      cols_q <= pass_conv.cols;
      stride_x_q <= pass_conv.stride_x;
      stride_y_q <= pass_conv.stride_y;
      y_step_q <= pass_conv.y_step[AddrBits-1:0];
      in_rows_q <= pass_conv.in_rows;
      in_cols_q <= pass_conv.in_cols;
      zx_q <= pass_conv.zx;
      layer_q <= pass_conv.layer;
      overwrite_q <= pass_overwrite;
      pass_last_q <= pass_last;
      hand_q <= listing;
      ix_first_q <= pass_ix;
    end
    if (pass_take || feed) begin
      acc_q <= (load && pass_acc_set) ? pass_acc : acc_q + (AccBits+1)'(feed);
      addr_q <= load ? pass_addr : row_end ? row_addr_q + y_step_q : addr_q + AddrBits'(stride_x_q);
      ix_q <= load ? pass_ix : row_end ? ix_first_q : ix_q + $signed({14'b0, stride_x_q});
      if (load || row_end) begin
        row_addr_q <= load ? pass_addr : row_addr_q + y_step_q;
        iy_q <= load ? pass_iy : iy_q + $signed({14'b0, stride_y_q});
      end
    end
  end

  logic unused_conv;
  assign unused_conv = ^pass_conv;

  `ESP_ASSERT(idle_without_pass, idle_q == (state_q == StEmpty))
  `ESP_ASSERT(end_known, (run && over) || ends_q == (slots_over_q && (pixels_end || fill)) || Fine)
  `ESP_ASSERT(enabled_while_draining, array_en_o == (drain_q != '0))
  `ESP_ASSERT(swap_while_enabled, !array_swap_o || array_en_o)
  `ESP_ASSERT(last_half_free, !feed || half_free_i[half_q])

endmodule

`default_nettype wire
