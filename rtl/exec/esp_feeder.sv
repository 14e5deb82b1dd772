// Feeder: implicit im2col. Walks the passes of every CONV and, in each, the output pixels of the tile,
// one activation word a cycle.
//
// A pass starts when its weight tile is ready and its accumulator half is free, runs without a stop,
// and lasts at least Lanes cycles. The next pass, of the same CONV or the next one, starts in the
// cycle after it. Pixels in the padding are not read; the array takes them as zero.
// Latency: act_ren_o to the array's inputs one cycle (array_*_o stand beside the data). array_en_o is
// high as long as anything moves through array and accumulators.
// Handshake: valid / ready on the CONV; take (one cycle, at a pass's start) on the weight tile;
// half_free_i says which halves may be written, half_full_o hands one over.
// A word past the accumulator half: fault_o for one cycle, then nothing until clear_i; the same where
// weights_stuck_i says that the tile it waits for cannot come. A CONV without n blocks (Prune) is
// handed on when nothing runs: no pass, no exchange of halves. code_*: see esp_passes.
// Implements docs/machine.md, section 3.

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_feeder #(
  parameter int unsigned Lanes     = 4,
  parameter int unsigned ActWords  = 2048,
  parameter int unsigned AccWords  = 128,
  parameter bit          Prune     = 1'b0,
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
  output logic                    array_present_o,
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

  localparam int unsigned DRAIN = Lanes + Lanes / 2 + 2;  // cycles from the array's input to the last write
  localparam int unsigned DRAIN_BITS = $clog2(DRAIN + 1);
  localparam int unsigned SLOT_BITS = $clog2(Lanes);

  typedef enum logic [2:0] {
    StEmpty,   // no pass
    StReady,   // a pass stands at its first pixel
    StRun,     // within a pass
    StFill,    // all pixels fed, fewer than Lanes cycles gone
    StHalt     // after a fault
  } state_e;

  logic                    pass_valid, pass_take, pass_acc_set, pass_overwrite, pass_last, passes_busy;
  logic                    pass_empty, empty_take, may_take;
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
    .pass_empty_o(pass_empty),
    .conv_o(pass_conv),
    .busy_o(passes_busy)
  );

  state_e               state_q, state_d;
  // The pass.
  logic [11:0]          cols_last_q, rows_left_q, cols_left_q;
  logic [3:0]           stride_x_q, stride_y_q;
  logic [AddrBits-1:0]  y_step_q;
  logic [12:0]          in_rows_q, in_cols_q;
  logic [7:0]           zx_q;
  logic [11:0]          layer_q;
  logic                 overwrite_q, pass_last_q, conv_last_q, half_q;
  // The pixel.
  logic [AddrBits-1:0]  addr_q, row_addr_q;
  logic signed [17:0]   iy_q, ix_q, ix_first_q;
  logic [AccBits:0]     acc_q, acc_next;
  logic [SLOT_BITS-1:0] slot_q;  // cycles that the pass must still last, this one included
  logic [DRAIN_BITS-1:0] drain_q;

  logic go, feed, over, present, row_end, pixels_end, slot_end, pass_end, conv_end, stuck;

  assign go = state_q == StReady && tile_ready_i && half_free_i[half_q];
  assign over = acc_q[AccBits];
  assign feed = (go || state_q == StRun) && !over;
  assign row_end = cols_left_q == '0;
  assign pixels_end = feed && row_end && rows_left_q == '0;
  assign slot_end = slot_q <= SLOT_BITS'(1) && state_q != StReady;
  assign pass_end = (pixels_end || state_q == StFill) && slot_end;
  assign conv_end = pixels_end && pass_last_q;
  assign present = !iy_q[17] && !ix_q[17] && iy_q[16:0] < 17'(in_rows_q) && ix_q[16:0] < 17'(in_cols_q);
  assign stuck = state_q == StReady && !tile_ready_i && weights_stuck_i;

  assign may_take = pass_valid && (state_q == StEmpty || (pass_end && !pass_empty));
  assign pass_take = may_take && (!pass_last || !pass_conv.last || post_ready_i);
  assign empty_take = pass_take && pass_empty;
  assign post_valid_o = may_take && pass_last && pass_conv.last;
  assign post_conv_o = pass_conv;

  assign act_ren_o = feed && present;
  assign act_raddr_o = addr_q;
  assign tile_take_o = go;
  assign half_full_o = conv_end && conv_last_q;
  assign fault_o = (over && (go || state_q == StRun)) || stuck;
  assign array_en_o = drain_q != '0;

  assign ev_fed_o = feed;
  assign ev_wait_acc_o = state_q == StReady && !half_free_i[half_q];
  assign ev_wait_weights_o = state_q == StReady && half_free_i[half_q] && !tile_ready_i;
  assign ev_ragged_o = state_q == StFill;
  assign ev_pass_o = go;
  assign layer_o = (state_q == StEmpty || state_q == StHalt) ? pass_conv.layer : layer_q;
  assign layer_valid_o = state_q != StEmpty || passes_busy;

  always_comb begin
    state_d = state_q;
    unique case (state_q)
      StEmpty: if (pass_take && !pass_empty) state_d = StReady;
      StReady, StRun: begin
        if (fault_o) state_d = StHalt;
        else if (pass_end) state_d = pass_take ? StReady : StEmpty;
        else if (pixels_end) state_d = StFill;
        else if (go) state_d = StRun;
      end
      StFill: if (pass_end) state_d = pass_take ? StReady : StEmpty;
      default: state_d = StHalt;
    endcase
  end

  `ESP_FFC(clear_i, begin
    state_q <= StEmpty;
    drain_q <= '0;
    half_q <= 1'b0;
    acc_valid_o <= 1'b0;
    array_swap_o <= 1'b0;
    retire_o <= 1'b0;
  end) begin
    state_q <= state_d;
    if (feed) drain_q <= DRAIN_BITS'(DRAIN);
    else if (drain_q != '0) drain_q <= drain_q - 1'b1;
    if (half_full_o) half_q <= !half_q;
    acc_valid_o <= feed;
    array_swap_o <= go && feed;
    retire_o <= conv_end || empty_take;
  end

  always_ff @(posedge clk_i) begin
    array_present_o <= present;
    array_zx_o <= zx_q;
    if (feed) begin
      acc_overwrite_o <= overwrite_q;
      acc_half_o <= half_q;
      acc_done_o <= half_full_o;
      acc_addr_o <= acc_q[AccBits-1:0];
    end
  end

  assign acc_next = feed ? acc_q + 1'b1 : acc_q;

  always_ff @(posedge clk_i) begin
    if (state_q == StReady) slot_q <= SLOT_BITS'(Lanes - 1);
    else if (slot_q != '0) slot_q <= slot_q - 1'b1;
    acc_q <= (pass_take && pass_acc_set) ? pass_acc : acc_next;
    if (pass_take) begin
      cols_last_q <= pass_conv.cols - 1'b1;
      cols_left_q <= pass_conv.cols - 1'b1;
      rows_left_q <= pass_conv.rows - 1'b1;
      stride_x_q <= pass_conv.stride_x;
      stride_y_q <= pass_conv.stride_y;
      y_step_q <= pass_conv.y_step[AddrBits-1:0];
      in_rows_q <= pass_conv.in_rows;
      in_cols_q <= pass_conv.in_cols;
      zx_q <= pass_conv.zx;
      layer_q <= pass_conv.layer;
      overwrite_q <= pass_overwrite;
      pass_last_q <= pass_last;
      conv_last_q <= pass_conv.last;
      addr_q <= pass_addr;
      row_addr_q <= pass_addr;
      iy_q <= pass_iy;
      ix_q <= pass_ix;
      ix_first_q <= pass_ix;
    end else if (feed) begin
      if (row_end) begin
        cols_left_q <= cols_last_q;
        rows_left_q <= rows_left_q - 1'b1;
        addr_q <= row_addr_q + y_step_q;
        row_addr_q <= row_addr_q + y_step_q;
        ix_q <= ix_first_q;
        iy_q <= iy_q + $signed({14'b0, stride_y_q});
      end else begin
        cols_left_q <= cols_left_q - 1'b1;
        addr_q <= addr_q + AddrBits'(stride_x_q);
        ix_q <= ix_q + $signed({14'b0, stride_x_q});
      end
    end
  end

  logic unused_conv;
  assign unused_conv = ^pass_conv;

  `ESP_ASSERT(swap_while_enabled, !array_swap_o || array_en_o)
  `ESP_ASSERT(last_half_free, !feed || half_free_i[half_q])

endmodule

`default_nettype wire
