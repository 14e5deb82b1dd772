// Feeds the squeezer: takes the beats of a LOAD of weights or parameters, with the bits of their lanes.
//
// A LOAD's first beat comes with what it is (`beat_start_i`: taps of a row, or bit 15: parameters; bit 14:
// a segment of output channels ends), its last one with beat_last_i. Weights: rows of `taps` times all k
// blocks, squeezed by the maps of the k blocks. Where a segment ends, rows of zeros follow, up to a whole
// block of rows since the last end. Parameters are squeezed by the maps of the n blocks, 8 bytes a lane.
// At a segment's end the word under way (of parameters: the block) is padded.
// A step of PackLanes bytes a cycle; a cycle more for each step of padding, one for each LOAD.
// The bit maps are read from the layer table's RAM, 64 bits each, from word Base on: those of k blocks,
// then, from map 256, of n blocks; `table_busy_i`: not now, and what was read is lost.
// Reset and clear_i drop everything. Implements docs/pack.md, section 5.

`default_nettype none
`include "esp_ff.svh"

module esp_pack_feed #(
  parameter int unsigned Lanes = 16,
  parameter int unsigned BusBytes = 16,
  parameter int unsigned PackLanes = 16,
  parameter int unsigned AddrBits = 10,        // of the RAM, in words of Width
  parameter int unsigned Base = 0,
  localparam int unsigned Width = (Lanes < 8) ? 64 : 8 * Lanes
) (
  input  wire logic                   clk_i,
  input  wire logic                   rst_ni,
  input  wire logic                   clear_i,

  input  wire logic                   beat_valid_i,
  output logic                        beat_ready_o,
  input  wire logic [8*BusBytes-1:0]  beat_data_i,
  input  wire logic [15:0]            beat_start_i,
  input  wire logic                   beat_last_i,

  output logic                        ren_o,
  output logic      [AddrBits-1:0]    raddr_o,
  input  wire logic                   table_busy_i,
  input  wire logic [Width-1:0]       rdata_i,

  output logic                        valid_o,
  input  wire logic                   ready_i,
  output logic      [8*PackLanes-1:0] data_o,
  output logic      [PackLanes-1:0]   mask_o,
  output logic                        pad_o,
  output logic                        zero_o,
  input  wire logic                   empty_next_i,  // nothing waits after this step
  input  wire logic                   full_i         // it fills PackLanes bytes
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_parameters_0
    $error("esp_pack_feed: Lanes is a power of two from 4 to 32");
  end
  if ((1 << $clog2(BusBytes)) != BusBytes || BusBytes > Lanes) begin : gen_parameters_1
    $error("esp_pack_feed: BusBytes is a power of two, at most Lanes");
  end
  if ((1 << $clog2(PackLanes)) != PackLanes || PackLanes < 2 || PackLanes > BusBytes)
  begin : gen_parameters_2
    $error("esp_pack_feed: PackLanes is a power of two from 2 to BusBytes");
  end
  if (AddrBits == 0 || AddrBits > 14 || Base >= (1 << AddrBits)) begin : gen_parameters_3
    $error("esp_pack_feed: AddrBits is 1 to 14, and Base below 2^AddrBits");
  end

  localparam int unsigned LaneBits = $clog2(Lanes);
  localparam int unsigned StepBits = $clog2(8 * Lanes / PackLanes);   // steps of a block of parameters
  localparam int unsigned WordBits = $clog2(Lanes / PackLanes);       // of a word
  localparam int unsigned SubBits = $clog2(BusBytes / PackLanes);     // of a beat
  localparam int unsigned PartBits = $clog2(Width / 64);

  typedef enum logic [1:0] {
    StIdle,
    StRow,
    StPad
  } state_e;

  state_e               state_q, state_d;
  logic                 params_q, have_q, ended_q;
  logic                 fill_q;              // the row is of zeros
  logic                 segment_q;           // a segment of rows ends with this LOAD
  logic                 row_over_q;          // padding ends the row
  logic [7:0]           block_q, block_next; // whose map is at hand
  logic [7:0]           taps_q, tap_q;       // of a row; left of it
  logic [LaneBits-1:0]  filled_q;            // rows of the segment past whole blocks
  logic [StepBits-1:0]  step_q, out_q;       // within the block, in and out
  logic [StepBits-1:0]  last_step, out_next;
  logic                 step, block_end, tap_end, row_end, aligned_next, padded, turn, granted;
  logic                 fills, ended;
  logic [LaneBits-1:0]  filled_next;

  // ---------------------------------------------------------------- the map at hand
  logic [8:0]       index;
  logic [63:0]      map;
  logic             map_end, map_last, lane_live;

  assign index = (state_q == StIdle) ? {beat_start_i[15], 8'd0}
                                     : {params_q, block_end ? block_next : block_q};
  assign raddr_o = AddrBits'(Base) + AddrBits'((AddrBits+9)'(index) >> PartBits);
  assign ren_o = granted;
  if (PartBits == 0) begin : gen_word
    assign map = rdata_i[63:0];
  end else begin : gen_part
    logic [PartBits-1:0] part_q;
    always_ff @(posedge clk_i) begin
      if (ren_o) part_q <= index[PartBits-1:0];
    end
    assign map = rdata_i[32'(part_q)*64 +: 64];
  end
  assign map_last = map[33];
  assign map_end = map[32] || map_last;
  assign block_next = map_last ? '0 : block_q + 8'd1;
  assign lane_live = map[(32'(step_q) * PackLanes) / 8 % Lanes];   // of parameters

  // ---------------------------------------------------------------- the step
  assign last_step = params_q ? '1 : StepBits'((1 << WordBits) - 1);
  assign out_next = out_q + StepBits'(full_i);
  assign aligned_next = empty_next_i && (out_next & last_step) == '0;

  // Of parameters a byte's lane is its index / 8.
  always_comb begin
    mask_o = '0;
    if (state_q == StRow) begin
      for (int j = 0; j < PackLanes; j++) begin
        if (!params_q) mask_o[j] = map[(32'(step_q) % (Lanes / PackLanes)) * PackLanes + 32'(j)];
        else if (PackLanes <= 8) mask_o[j] = lane_live;
        else mask_o[j] = map[(32'(step_q) * PackLanes + 32'(j)) / 8 % Lanes];
      end
    end
  end

  if (SubBits == 0) begin : gen_beat
    assign data_o = beat_data_i;
    assign beat_ready_o = state_q == StRow && have_q && !fill_q && ready_i;
  end else begin : gen_sub
    assign data_o = beat_data_i[32'(step_q[SubBits-1:0])*8*PackLanes +: 8*PackLanes];
    assign beat_ready_o = state_q == StRow && have_q && !fill_q && ready_i
                       && step_q[SubBits-1:0] == '1;
  end

  assign valid_o = (state_q == StRow && have_q && (fill_q || beat_valid_i)) || state_q == StPad;
  assign pad_o = state_q == StPad;
  assign zero_o = state_q == StPad || fill_q;
  assign step = valid_o && ready_i;

  // ---------------------------------------------------------------- order
  assign block_end = state_q == StRow && step && step_q == last_step;
  assign tap_end = block_end && map_last;
  assign row_end = tap_end && tap_q == 8'd1;
  assign padded = state_q == StPad && step && aligned_next;
  // The row is over once its last segment is padded.
  assign turn = (row_end && aligned_next) || (padded && row_over_q);
  assign ended = ended_q || (beat_valid_i && beat_ready_o && beat_last_i);
  assign filled_next = filled_q + 1'b1;
  assign fills = ended && segment_q && filled_next != '0;   // (more) rows of zeros

  always_comb begin
    state_d = state_q;
    unique case (state_q)
      StIdle: if (beat_valid_i) state_d = StRow;
      default: begin
        if (turn) state_d = (params_q || (ended && !fills)) ? StIdle : StRow;
        else if (block_end && map_end && !aligned_next) state_d = StPad;
        else if (padded) state_d = StRow;
      end
    endcase
  end

  assign granted = !table_busy_i
                && ((state_q == StIdle && beat_valid_i) || block_end
                    || (state_q == StRow && !have_q));

  `ESP_FFC(clear_i, begin
    state_q <= StIdle;
    have_q <= 1'b0;
    out_q <= '0;
    filled_q <= '0;
  end) begin
    state_q <= state_d;
    if (state_q == StIdle || block_end || !have_q) have_q <= granted;
    else if (table_busy_i) have_q <= 1'b0;
    if (state_q == StIdle) out_q <= '0;
    else if (step) out_q <= out_next;
    if (turn && !params_q) filled_q <= filled_next;
  end

  always_ff @(posedge clk_i) begin
    if (state_q == StIdle) begin
      params_q <= beat_start_i[15];
      segment_q <= beat_start_i[14];
      taps_q <= beat_start_i[15] ? 8'd1 : beat_start_i[7:0];
      tap_q <= beat_start_i[15] ? 8'd1 : beat_start_i[7:0];
      block_q <= '0;
      step_q <= '0;
      ended_q <= 1'b0;
      fill_q <= 1'b0;
    end else begin
      if (step && state_q == StRow) step_q <= (step_q == last_step) ? '0 : step_q + 1'b1;
      if (block_end) block_q <= block_next;
      if (tap_end) tap_q <= row_end ? taps_q : tap_q - 8'd1;
      if (block_end) row_over_q <= row_end;
      ended_q <= ended;
      if (turn) fill_q <= fills;
    end
  end

  logic unused;
  assign unused = ^{beat_start_i, map};

endmodule

`default_nettype wire
