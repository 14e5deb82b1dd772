// The pool engine: maximum and average pooling of one tile an instruction.
//
//   esp_pool_windows --> esp_pool_walk --> port B --> esp_pool_lane (all lanes)
//                                                        | at a window's end
//                          out <-- FIFO <-- gather <-- esp_requant (PoolLanes a cycle, cut a cycle before)
//
// One window position a cycle; requantisation, Lanes / PoolLanes cycles a window, runs beside the
// next window. Nothing stalls behind the request: that of a window's last position waits until
// the requantiser will be free and a place in the output FIFO is. An instruction is taken once the
// last word of the one before has been read, and takes some 6 cycles to its first read.
// Handshakes: valid / ready, valid stays. Port B answers one cycle after a request is taken.
// Retires when the last word is requantised; it may still wait in the FIFO. fault_o: a table entry past
// 127; silent until clear_i then. With Prune the words are gathered by a squeezer, four cycles or five, which
// serves PACK as well (pack_*, steps of PackLanes bytes; the two take turns by the program's order), and its
// words leave by the same stream: a step is taken while the FIFO has room for all that may be under way.
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

  localparam int unsigned LATENCY = 8;  // esp_requant
  localparam int unsigned Slices = Lanes / PoolLanes;
  localparam int unsigned SliceBits = Slices > 1 ? $clog2(Slices) : 1;
  localparam int unsigned LeftBits = $clog2(Slices + 1);
  // Cycles from the last request of a window until its place is free again, in words, rounded up to a
  // power of two; with a squeezer 16 at least, for PACK, which does not know of some steps under way.
  localparam int unsigned Beats = Lanes / PackLanes;         // of a word, in the squeezer
  localparam int unsigned Squeeze = (Beats == 1) ? 4 : 5;    // its cycles
  localparam int unsigned Trip = LATENCY + Slices + 5 + (Prune ? Squeeze : 0);
  localparam int unsigned TripWords = (Trip + Slices - 1) / Slices;
  localparam int unsigned LeastWords = Prune ? 16 : 8;
  localparam int unsigned DepthWords = TripWords > LeastWords ? (1 << $clog2(TripWords)) : LeastWords;
  localparam int unsigned PlaceBits = $clog2(DepthWords) + 1;

  esp_isa_pkg::pool_t job_q;
  logic idle_q;  // no instruction, or its last word has been read
  logic accept, ending, moving;
  logic [11:0] layer_q;

  // Window and position
  logic window_valid, window_ready, window_empty, window_single, window_last;
  logic [15:0] window_addr, addr;
  logic [7:0] window_cols, window_rows;
  logic [6:0] window_entry, entry;
  logic position, step, empty, first, window_end, last, fault;

  // The word that arrives, and behind it its differences
  logic word_q, word_empty_q, word_first_q, word_end_q, word_last_q;
  logic sum_q, sum_empty_q, sum_first_q, sum_end_q, sum_last_q;
  logic [6:0] word_entry_q, sum_entry_q;
  logic finish;  // these end their window

  // The window being requantised
  logic [32*Lanes-1:0] sums;    // 25 bits each
  logic [LeftBits-1:0] left_q;  // slices to go
  logic [LeftBits-1:0] gap_q;   // cycles until a window may end again, less one
  logic [SliceBits-1:0] slice_q;
  logic [31:0] scale, scale_q;
  logic [23:0] bounds_q;
  logic from_table_q, result_last_q;
  logic [32*PoolLanes-1:0] slice_values;

  // Its slice in front of the requantiser
  logic cut_q, cut_last_q, cut_result_last_q;
  logic [25*PoolLanes-1:0] acc_q;
  logic [32*PoolLanes-1:0] acc;
  logic [30:0] cut_scale_q;
  logic [23:0] cut_bounds_q;
  logic requant_valid;
  logic [8*PoolLanes-1:0] y;

  // Slices on their way through the requantiser
  logic [LATENCY-1:0] slast_q, rlast_q;

  // Places in the FIFO: PACK's words take theirs as they come, the pool's with their last request.
  logic [PlaceBits-1:0] places_q;
  logic place_q, free_q, allowed, take_place, release_place;
  logic fifo_valid, fifo_room, retire_q;
  logic packed_q;  // PACK's words come last
  logic [8*Lanes-1:0] word;
  logic word_valid, word_packed;

  assign pool_ready_o  = idle_q;
  assign accept        = idle_q && pool_valid_i;
  assign ending        = word_q && word_end_q && word_last_q;
  assign layer_o       = layer_q;
  assign layer_valid_o = !idle_q || (places_q != PlaceBits'(DepthWords) && !packed_q);

  // A window ends Slices cycles after the one before at the earliest, so that its sums find the last slice
  // of that one on its way.
  assign allowed       = !window_end || (free_q && place_q);
  assign req_valid_o   = position && !empty && allowed;
  assign req_addr_o    = addr[$clog2(ActWords)-1:0];
  assign step          = position && allowed && (empty || req_ready_i);
  assign take_place    = step && window_end;
  // Otherwise nothing is under way: a window has its place until its word leaves, when all else is over.
  assign moving        = !idle_q || pool_valid_i || places_q != PlaceBits'(DepthWords) || word_packed;
  assign finish        = sum_q && sum_end_q;
  assign ev_busy_o     = step || left_q != '0;
  assign ev_wait_o     = position && ((req_valid_o && !req_ready_i) || (window_end && !place_q));
  assign tab_ren_o     = finish && job_q.use_table[0];
  assign tab_raddr_o   = sum_entry_q;
  assign fault_o       = fault;
  assign retire_o      = retire_q;

  `ESP_FFC(clear_i, begin
    idle_q   <= 1'b1;
    word_q   <= 1'b0;
    sum_q    <= 1'b0;
    left_q   <= '0;
    cut_q    <= 1'b0;
    gap_q    <= '0;
    free_q   <= 1'b1;
    places_q <= PlaceBits'(DepthWords);
    place_q  <= 1'b1;
    packed_q <= 1'b0;
    retire_q <= 1'b0;
  end) begin
    if (`ESP_WHEN(moving)) begin
      idle_q <= !accept && (idle_q || ending);
      word_q <= step;
      sum_q  <= word_q;
      cut_q  <= left_q != '0;
      if (finish) left_q <= LeftBits'(Slices);
      else if (left_q != '0) left_q <= left_q - 1'b1;
      if (take_place) gap_q <= LeftBits'(Slices - 1);
      else if (gap_q != '0) gap_q <= gap_q - 1'b1;
      free_q <= Slices == 1 || (!take_place && (gap_q == '0 || gap_q == LeftBits'(1)));
      if (release_place != (take_place || word_packed)) begin
        places_q <= release_place ? places_q + 1'b1 : places_q - 1'b1;
      end
      place_q <= release_place || places_q > PlaceBits'(1)
              || (places_q == PlaceBits'(1) && !(take_place || word_packed));
      packed_q <= !accept && (packed_q || word_packed);
      retire_q <= requant_valid && slast_q[LATENCY-1] && rlast_q[LATENCY-1];
    end
  end

  always_ff @(posedge clk_i) begin
    // Nothing reads job_q between jobs, so that idle_q alone enables its many registers.
    if (idle_q && `ESP_WHEN(pool_valid_i)) job_q <= pool_i;
    if (accept) layer_q <= pool_i.layer;
    if (step) begin
      word_empty_q <= empty;
      word_first_q <= first;
      word_end_q   <= window_end;
      word_last_q  <= last;
      word_entry_q <= entry;
    end
    if (word_q) begin
      sum_empty_q <= word_empty_q;
      sum_first_q <= word_first_q;
      sum_end_q   <= word_end_q;
      sum_last_q  <= word_last_q;
      sum_entry_q <= word_entry_q;
    end
    if (finish) begin
      slice_q       <= '0;
      scale_q       <= job_q.scale;
      bounds_q      <= {job_q.zy, job_q.lo, job_q.hi};
      from_table_q  <= job_q.use_table[0];
      result_last_q <= sum_last_q;
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
      .x_valid_i(word_q), .x_i(req_rdata_i[8*i +: 8]), .zero_i(job_q.zx),
      .valid_i(sum_q), .first_i(sum_first_q), .last_i(sum_end_q), .empty_i(sum_empty_q),
      .average_i(job_q.average[0]), .value_o(sums[32*i +: 25])
    );
    assign sums[32*i+25 +: 7] = '0;
  end

  always_comb begin
    {slice_values, acc} = '0;
    if (`ESP_WHEN(left_q != '0)) slice_values = sums[32*PoolLanes*slice_q +: 32*PoolLanes];
    if (`ESP_WHEN(cut_q)) begin
      for (int i = 0; i < PoolLanes; i++) acc[32*i +: 32] = 32'($signed(acc_q[25*i +: 25]));
    end
  end

  always_ff @(posedge clk_i) begin
    if (left_q != '0) begin
      for (int i = 0; i < PoolLanes; i++) acc_q[25*i +: 25] <= slice_values[32*i +: 25];
      cut_scale_q       <= scale[30:0];
      cut_bounds_q      <= bounds_q;
      cut_last_q        <= left_q == LeftBits'(1);
      cut_result_last_q <= result_last_q;
    end
  end

  esp_pool_windows u_windows (
    .clk_i, .rst_ni, .clear_i,
    .start_i(accept), .first_i(pool_i), .job_i(job_q), .fault_o(fault),
    .window_valid_o(window_valid), .window_ready_i(window_ready),
    .addr_o(window_addr), .cols_o(window_cols), .rows_o(window_rows),
    .empty_o(window_empty), .single_o(window_single), .entry_o(window_entry), .last_o(window_last)
  );

  esp_pool_walk u_walk (
    .clk_i, .rst_ni, .clear_i,
    .row_pitch_i(job_q.row_pitch),
    .window_valid_i(window_valid), .window_ready_o(window_ready),
    .addr_i(window_addr), .cols_i(window_cols), .rows_i(window_rows),
    .empty_i(window_empty), .single_i(window_single), .entry_i(window_entry),
    .last_i(window_last),
    .valid_o(position), .step_i(step), .addr_o(addr),
    .empty_o(empty), .first_o(first), .end_o(window_end),
    .entry_o(entry), .last_o(last)
  );

  esp_requant #(.Lanes(PoolLanes)) u_requant (
    .clk_i, .rst_ni, .clear_i, .en_i(1'b1),
    .valid_i(cut_q), .acc_i(acc), .scale_i({PoolLanes{1'b0, cut_scale_q}}),
    .zero_i(cut_bounds_q[23:16]), .lo_i(cut_bounds_q[15:8]), .hi_i(cut_bounds_q[7:0]),
    .valid_o(requant_valid), .data_o(y)
  );

  always_ff @(posedge clk_i) begin
    if (`ESP_WHEN(moving)) begin
      slast_q <= {slast_q[LATENCY-2:0], cut_last_q};
      rlast_q <= {rlast_q[LATENCY-2:0], cut_result_last_q};
    end
  end

  // Gather the slices of a word.
  if (Prune) begin : gen_squeeze
    // Steps taken of which places_q does not know: one in the cycle of the decision, the one before, and
    // those in the squeezer. Each may fill a beat.
    localparam int unsigned Unseen = (2 + Squeeze + Beats - 1) / Beats;
    logic               room_q;
    logic [Squeeze-1:0] pooled_q;   // steps in the squeezer that are the pool's

    assign pack_ready_o = room_q && !requant_valid;

    `ESP_FFC(clear_i, room_q <= 1'b1;)
      room_q <= places_q >= PlaceBits'(Unseen);

    esp_squeeze #(.Lanes(PackLanes), .Beats(Beats)) u_squeeze (
      .clk_i, .rst_ni, .clear_i,
      .valid_i(requant_valid || (pack_valid_i && room_q)),
      .data_i(requant_valid ? (8*PackLanes)'(y) : pack_data_i),
      .mask_i(requant_valid ? PackLanes'((1 << PoolLanes) - 1) : pack_mask_i),
      .pad_i(pack_pad_i && !requant_valid), .zero_i(pack_zero_i && !requant_valid),
      .valid_o(word_valid), .data_o(word)
    );

    always_ff @(posedge clk_i) pooled_q <= {pooled_q[Squeeze-2:0], requant_valid};
    assign word_packed = word_valid && !pooled_q[Squeeze-1];

    `ifdef ESP_ASSERTIONS
    logic [Squeeze-1:0] slasts_q;
    always_ff @(posedge clk_i) slasts_q <= {slasts_q[Squeeze-2:0], slast_q[LATENCY-1]};
    `ESP_ASSERT(word_is_whole, !pooled_q[Squeeze-1] || word_valid == slasts_q[Squeeze-1])
    `endif
  end else begin : gen_shift
    assign word_valid = requant_valid && slast_q[LATENCY-1];
    assign {pack_ready_o, word_packed} = '0;
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

  esp_fifo #(.Width(8 * Lanes), .Depth(DepthWords)) u_out (
    .clk_i, .rst_ni, .clear_i,
    .valid_i(word_valid), .ready_o(fifo_room), .data_i(word),
    .valid_o(fifo_valid), .ready_i(out_ready_i), .data_o(out_data_o)
  );

  assign out_valid_o   = fifo_valid;
  assign release_place = fifo_valid && out_ready_i;

  logic unused_room;
  assign unused_room = fifo_room ^ req_rvalid_i ^ (^addr);

  `ESP_ASSERT(answered, !word_q || word_empty_q || req_rvalid_i)
  `ESP_ASSERT(requantiser_free_in_time, !finish || left_q <= LeftBits'(1))
  `ESP_ASSERT(output_has_room, !word_valid || fifo_room)
  `ESP_ASSERT(place_as_counted, place_q == (places_q != '0))
  `ESP_ASSERT(take_turns, !(take_place && word_packed))
  `ESP_ASSERT(still_unless_moving, moving || (!word_q && !sum_q && !cut_q && left_q == '0 && gap_q == '0
      && free_q && place_q && !retire_q && !step && !finish && !release_place && !requant_valid))
  `ESP_ASSERT_STABLE(request_stable, clear_i, req_valid_o, req_ready_i, req_addr_o)

endmodule

`default_nettype wire
