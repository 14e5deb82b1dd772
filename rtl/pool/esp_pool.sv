// The pool engine: maximum and average pooling of one tile an instruction.
//
//   esp_pool_windows --> esp_pool_walk --> port B --> esp_pool_lane (all lanes)
//                                                        | at a window's end
//                          out <-- FIFO <-- gather <-- esp_requant (PoolLanes a cycle)
//
// One window position a cycle; requantisation, Lanes / PoolLanes cycles a window, runs beside the
// next window. Nothing stalls behind the request: that of a window's last position waits until
// the requantiser will be free and a place in the output FIFO is. An instruction is taken once the
// last word of the one before has been read, and takes some 6 cycles to its first read.
// Handshakes: valid / ready, valid stays. Port B answers one cycle after a request is taken.
// Retires when the last word has left. fault_o: a table entry past 127; silent until clear_i then.
// With Prune the words are gathered by a squeezer, which serves PACK as well (pack_*, steps of
// PackLanes bytes; the two take turns by the program's order), and its words leave by the same stream.
// Reset and clear_i empty it. Numbers: esp_pool_lane, esp_requant.
// docs/machine.md, sections 4 and 5.
`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_pool #(
  parameter int unsigned Lanes     = 16,
  parameter int unsigned ActWords  = 8192,
  parameter int unsigned PoolLanes = 4,
  parameter bit          Prune     = 1'b0,
  parameter int unsigned PackLanes = 4
) (
  input  wire logic                        clk_i,
  input  wire logic                        rst_ni,
  input  wire logic                        clear_i,
  // instructions
  input  wire logic                        pool_valid_i,
  output logic                             pool_ready_o,
  input  wire esp_isa_pkg::pool_t          pool_i,
  // activation buffer port B
  output logic                             req_valid_o,
  input  wire logic                        req_ready_i,
  output logic      [$clog2(ActWords)-1:0] req_addr_o,
  input  wire logic                        req_rvalid_i,
  input  wire logic [8*Lanes-1:0]          req_rdata_i,
  // pool table
  output logic                             tab_ren_o,
  output logic      [6:0]                  tab_raddr_o,
  input  wire logic [31:0]                 tab_rdata_i,
  // store stream
  output logic                             out_valid_o,
  input  wire logic                        out_ready_i,
  output logic      [8*Lanes-1:0]          out_data_o,
  // steps of PACK
  input  wire logic                        pack_valid_i,
  output logic                             pack_ready_o,
  input  wire logic [8*PackLanes-1:0]      pack_data_i,
  input  wire logic [PackLanes-1:0]        pack_mask_i,
  input  wire logic                        pack_pad_i,
  input  wire logic                        pack_zero_i,
  output logic                             pack_empty_next_o,
  output logic                             pack_full_o,
  // retired instructions, faults, counter events, trace
  output logic                             retire_o,
  output logic                             fault_o,
  output logic                             ev_busy_o,
  output logic                             ev_wait_o,
  output logic      [11:0]                 layer_o,
  output logic                             layer_valid_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_parameters_0
    $error("esp_pool: Lanes is a power of two from 4 to 32");
  end
  if ((1 << $clog2(ActWords)) != ActWords || ActWords < 2 || ActWords > 65536)
  begin : gen_parameters_1
    $error("esp_pool: ActWords is a power of two from 2 to 65536");
  end
  if ((1 << $clog2(PoolLanes)) != PoolLanes || PoolLanes > Lanes) begin : gen_parameters_2
    $error("esp_pool: PoolLanes is a power of two, at most Lanes");
  end
  if ((1 << $clog2(PackLanes)) != PackLanes || PackLanes < 2 || PackLanes > Lanes)
  begin : gen_parameters_3
    $error("esp_pool: PackLanes is a power of two from 2 to Lanes");
  end

  localparam int unsigned Slices = Lanes / PoolLanes;
  localparam int unsigned SliceBits = Slices > 1 ? $clog2(Slices) : 1;
  localparam int unsigned LeftBits = $clog2(Slices + 1);
  // Words from the last request of a window to the FIFO's far end, rounded up to a power of two.
  localparam int unsigned DepthWords = Slices > 1 ? 8 : 16;
  localparam int unsigned PlaceBits = $clog2(DepthWords) + 1;
  localparam int unsigned LATENCY = 8;  // esp_requant

  esp_isa_pkg::pool_t job_q;
  logic busy_q;  // from the instruction until its last word has been read
  logic accept;

  // Window and position
  logic window_valid, window_ready, window_empty, window_last;
  logic [15:0] window_addr, addr;
  logic [7:0] window_cols, window_rows;
  logic [6:0] window_entry, entry;
  logic position, step, empty, first, window_end, last;

  // The word that arrives
  logic word_q, word_empty_q, word_first_q, word_end_q, word_last_q;
  logic [6:0] word_entry_q;
  logic finish;  // it ends its window

  // The window being requantised
  logic [25*Lanes-1:0] sums;
  logic [32*Lanes-1:0] values;
  logic [LeftBits-1:0] left_q, left_next;  // slices to go, now and in the next cycle
  logic [SliceBits-1:0] slice_q;
  logic [31:0] scale, scale_q;
  logic [23:0] bounds_q;
  logic from_table_q, result_last_q;
  logic requant_valid;
  logic [32*PoolLanes-1:0] acc;
  logic [8*PoolLanes-1:0] y;

  // Slices on their way through the requantiser
  logic [LATENCY-1:0] slast_q, rlast_q;

  logic [PlaceBits-1:0] places_q;
  logic place, requantiser_free, allowed, release_place;
  logic fifo_valid, fifo_room, fifo_last;
  logic fifo_packed;  // a word of PACK's, which has no place
  logic [8*Lanes-1:0] word;
  logic word_valid;

  assign pool_ready_o     = !busy_q;
  assign accept           = pool_valid_i && pool_ready_o;
  assign layer_o          = job_q.layer;
  assign layer_valid_o    = busy_q || places_q != PlaceBits'(DepthWords);

  // A result enters the requantiser's register in the cycle after its request: at most one slice may
  // be left there by then.
  assign finish           = word_q && word_end_q;
  assign left_next        = finish ? LeftBits'(Slices) : left_q == '0 ? '0 : left_q - 1'b1;
  assign requantiser_free = Slices == 1 || left_next <= LeftBits'(1);
  assign place            = places_q != '0;
  assign allowed          = !window_end || (requantiser_free && place);
  assign req_valid_o      = position && !empty && allowed;
  assign req_addr_o       = addr[$clog2(ActWords)-1:0];
  assign step             = position && allowed && (empty || req_ready_i);
  assign ev_busy_o        = step || left_q != '0;
  assign ev_wait_o        = position && ((req_valid_o && !req_ready_i) || (window_end && !place));
  assign tab_ren_o        = finish && job_q.use_table[0];
  assign tab_raddr_o      = word_entry_q;

  `ESP_FFC(clear_i, begin
    busy_q   <= 1'b0;
    word_q   <= 1'b0;
    left_q   <= '0;
    places_q <= PlaceBits'(DepthWords);
  end) begin
    busy_q <= accept || (busy_q && !(finish && word_last_q));
    word_q <= step;
    left_q <= left_next;
    if (release_place && !fifo_packed && !(step && window_end)) places_q <= places_q + 1'b1;
    else if (!(release_place && !fifo_packed) && step && window_end) places_q <= places_q - 1'b1;
  end

  always_ff @(posedge clk_i) begin
    if (accept) job_q <= pool_i;
    if (step) begin
      word_empty_q <= empty;
      word_first_q <= first;
      word_end_q   <= window_end;
      word_last_q  <= last;
      word_entry_q <= entry;
    end
    if (finish) begin
      slice_q       <= '0;
      scale_q       <= job_q.scale;
      bounds_q      <= {job_q.zy, job_q.lo, job_q.hi};
      from_table_q  <= job_q.use_table[0];
      result_last_q <= word_last_q;
    end else if (left_q != '0) begin
      slice_q      <= slice_q + 1'b1;
      scale_q      <= scale;
      from_table_q <= 1'b0;  // read into scale_q now
    end
  end

  assign scale = from_table_q ? tab_rdata_i : scale_q;

  for (genvar i = 0; i < Lanes; i++) begin : gen_lane
    esp_pool_lane u_lane (
      .clk_i,
      .valid_i(word_q), .first_i(word_first_q), .last_i(word_end_q), .empty_i(word_empty_q),
      .average_i(job_q.average[0]), .x_i(req_rdata_i[8*i +: 8]), .zero_i(job_q.zx),
      .value_o(sums[25*i +: 25])
    );
  end

  always_comb begin
    {values, acc} = '0;
    if (`ESP_WHEN(left_q != '0)) begin
      for (int i = 0; i < Lanes; i++) values[32*i +: 32] = 32'($signed(sums[25*i +: 25]));
      for (int i = 0; i < PoolLanes; i++) acc[32*i +: 32] = values[32*(PoolLanes*slice_q+i) +: 32];
    end
  end

  esp_pool_windows u_windows (
    .clk_i, .rst_ni, .clear_i,
    .start_i(accept), .job_i(job_q), .fault_o,
    .window_valid_o(window_valid), .window_ready_i(window_ready),
    .addr_o(window_addr), .cols_o(window_cols), .rows_o(window_rows),
    .empty_o(window_empty), .entry_o(window_entry), .last_o(window_last)
  );

  esp_pool_walk u_walk (
    .clk_i, .rst_ni, .clear_i,
    .row_pitch_i(job_q.row_pitch),
    .window_valid_i(window_valid), .window_ready_o(window_ready),
    .addr_i(window_addr), .cols_i(window_cols), .rows_i(window_rows),
    .empty_i(window_empty), .entry_i(window_entry), .last_i(window_last),
    .valid_o(position), .step_i(step),
    .addr_o(addr), .empty_o(empty), .first_o(first), .end_o(window_end),
    .entry_o(entry), .last_o(last)
  );

  esp_requant #(.Lanes(PoolLanes)) u_requant (
    .clk_i, .rst_ni, .clear_i, .en_i(1'b1),
    .valid_i(left_q != '0), .acc_i(acc), .scale_i({PoolLanes{scale}}),
    .zero_i(bounds_q[23:16]), .lo_i(bounds_q[15:8]), .hi_i(bounds_q[7:0]),
    .valid_o(requant_valid), .data_o(y)
  );

  always_ff @(posedge clk_i) begin
    slast_q <= {slast_q[LATENCY-2:0], left_q == LeftBits'(1)};
    rlast_q <= {rlast_q[LATENCY-2:0], result_last_q};
  end

  // Gather the slices of a word.
  if (Prune) begin : gen_squeeze
    logic                   squeezer_ready, beat_valid, beat_ready;
    logic [8*PackLanes-1:0] beat;

    assign pack_ready_o = squeezer_ready && !requant_valid;
    assign pack_full_o = beat_valid;

    esp_squeeze #(.Lanes(PackLanes)) u_squeeze (
      .clk_i, .rst_ni, .clear_i,
      .valid_i(requant_valid || pack_valid_i), .ready_o(squeezer_ready),
      .data_i(requant_valid ? (8*PackLanes)'(y) : pack_data_i),
      .mask_i(requant_valid ? PackLanes'((1 << PoolLanes) - 1) : pack_mask_i),
      .pad_i(pack_pad_i && !requant_valid), .zero_i(pack_zero_i && !requant_valid),
      .empty_next_o(pack_empty_next_o),
      .valid_o(beat_valid), .ready_i(beat_ready), .data_o(beat)
    );

    // Beats to words, low lanes first.
    if (PackLanes == Lanes) begin : gen_beat
      assign word_valid = beat_valid;
      assign beat_ready = fifo_room;
      assign word = beat;
    end else begin : gen_parts
      localparam int unsigned PartBits = $clog2(Lanes / PackLanes);
      logic [PartBits-1:0]            part_q;
      logic [8*(Lanes-PackLanes)-1:0] low_q;
      assign word_valid = beat_valid && part_q == '1;
      assign beat_ready = part_q != '1 || fifo_room;
      assign word = {beat, low_q};
      `ESP_FFC(clear_i, part_q <= '0;)
        if (beat_valid && beat_ready) part_q <= part_q + 1'b1;
      always_ff @(posedge clk_i) begin
        if (beat_valid && beat_ready) begin
          low_q <= (8*(Lanes-PackLanes))'({beat, low_q} >> (8*PackLanes));
        end
      end
    end
  end else begin : gen_shift
    assign word_valid = requant_valid && slast_q[LATENCY-1];
    assign {pack_ready_o, pack_empty_next_o, pack_full_o} = '0;
    if (Slices > 1) begin : gen_gather
      logic [8*(Lanes-PoolLanes)-1:0] low_q;
      always_ff @(posedge clk_i) begin
        if (requant_valid) begin
          low_q <= (8 * (Lanes - PoolLanes))'({y, low_q} >> (8 * PoolLanes));
        end
      end
      assign word = {y, low_q};
    end else begin : gen_whole
      assign word = y;
    end
    logic unused_pack;
    assign unused_pack = ^{pack_valid_i, pack_data_i, pack_mask_i, pack_pad_i, pack_zero_i};
  end

  assign fifo_packed = Prune && places_q == PlaceBits'(DepthWords);


  esp_fifo #(.Width(8 * Lanes + 1), .Depth(DepthWords)) u_out (
    .clk_i, .rst_ni, .clear_i,
    .valid_i(word_valid), .ready_o(fifo_room),
    .data_i({rlast_q[LATENCY-1] && requant_valid, word}),
    .valid_o(fifo_valid), .ready_i(out_ready_i), .data_o({fifo_last, out_data_o})
  );

  assign out_valid_o   = fifo_valid;
  assign release_place = fifo_valid && out_ready_i;
  assign retire_o      = release_place && fifo_last;

  logic unused_room;
  assign unused_room = fifo_room ^ req_rvalid_i ^ (^addr) ^ slast_q[LATENCY-1];

  `ESP_ASSERT(answered, !word_q || word_empty_q || req_rvalid_i)
  `ESP_ASSERT(requantiser_free_in_time, !finish || left_q <= LeftBits'(1))
  `ESP_ASSERT(output_has_room, !(requant_valid && slast_q[LATENCY-1]) || fifo_room)
  `ESP_ASSERT(word_is_whole, !requant_valid || word_valid == slast_q[LATENCY-1])
  `ESP_ASSERT_STABLE(request_stable, clear_i, req_valid_o, req_ready_i, req_addr_o)

endmodule

`default_nettype wire
