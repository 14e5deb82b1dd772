// Feeds the squeezer: takes the beats of a LOAD of weights or parameters, with the bits of their lanes.
//
// A LOAD's first beat comes with what it is (`beat_start_i`: taps of a row, or bit 15: parameters; bit 14:
// a segment of output channels ends), its last one with beat_last_i. Weights: rows of `taps` times all k
// blocks, squeezed by the maps of the k blocks. Where a segment ends, rows of zeros follow, up to a whole
// block of rows since the last end. Parameters are squeezed by the maps of the n blocks, 8 bytes a lane.
// At a segment's end the word under way (of parameters: the block) is padded.
// A step of PackLanes bytes a cycle; a cycle more for each step of padding, three for each LOAD.
// What a segment leaves in its last word follows from its maps: live lanes are counted a cycle after a map
// came. The bit maps are read from the layer table's RAM, 64 bits each, from word Base on: those of k blocks,
// then, from map 256, of n blocks; up to four wait here. The RAM's one port is shared here with clip's reads
// (clip_ren_i), none of which comes but under `table_busy_i`: then no map is read. Reset and clear_i drop
// everything. Implements docs/pack.md, section 5.

`default_nettype none
`include "esp_assert.svh"
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

  input  wire logic                   table_busy_i,
  input  wire logic                   clip_ren_i,
  input  wire logic [AddrBits-1:0]    clip_raddr_i,
  output logic                        ren_o,
  output logic      [AddrBits-1:0]    raddr_o,
  input  wire logic [Width-1:0]       rdata_i,

  output logic                        valid_o,
  input  wire logic                   ready_i,
  output logic      [8*PackLanes-1:0] data_o,
  output logic      [PackLanes-1:0]   mask_o,
  output logic                        pad_o,
  output logic                        zero_o
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
  localparam int unsigned PackBits = $clog2(PackLanes);
  localparam int unsigned StepBits = $clog2(8 * Lanes / PackLanes);   // steps of a block of parameters
  localparam int unsigned WordBits = $clog2(Lanes / PackLanes);       // of a word
  localparam int unsigned SubBits = $clog2(BusBytes / PackLanes);     // of a beat
  localparam int unsigned PartBits = $clog2(Width / 64);
  localparam int unsigned MapBits = AddrBits + PartBits;              // an address in maps
  localparam int unsigned Maps = 4;

  // What is under way, one at most; idle_q: nothing.
  logic                idle_q, idle_d;
  logic                beats_q, beats_d;    // a row of beats
  logic                zeros_q, zeros_d;    // a row of zeros
  logic                pad_q, pad_d;        // padding
  logic                params_q, ended_q;
  logic                segment_q;           // a segment of rows ends with this LOAD
  logic                row_over_q;          // padding ends the row
  logic [7:0]          taps_q, tap_q;       // of a row; left of it
  logic [LaneBits-1:0] filled_q;            // rows of the segment past whole blocks
  logic [StepBits-1:0] step_q, last_step;   // within the block
  logic [StepBits-1:0] pads_q;              // steps of padding behind this one
  logic                step, block_end, turn, ended, fills;
  logic                at_end, at_row_end, at_padded, at_turn;

  // ---------------------------------------------------------------- maps, read ahead
  logic [MapBits-1:0]  asked_q, map_addr;   // the last map asked for, the one to ask for
  logic [MapBits-1:0]  first;               // of the list's first
  logic                arrive, ended_list_q, ends, wrap, params;
  logic                ask;                 // a map is asked for
  logic [63:0]         coming;
  logic                came_q, came_end_q, came_last_q;   // a cycle later
  logic [Lanes-1:0]    came_lanes_q;
  logic [LaneBits-1:0] came_live;           // live lanes, modulo Lanes

  // The first map of a LOAD is read in the cycle in which its first beat shows.
  assign params = idle_q ? beat_start_i[15] : params_q;
  assign wrap = idle_q || ended_list_q || ends;
  assign first = params ? MapBits'((Base << PartBits) + 256) : MapBits'(Base << PartBits);
  assign raddr_o = clip_ren_i ? clip_raddr_i : map_addr[MapBits-1:PartBits];
  assign ren_o = clip_ren_i || ask;
  if (PartBits == 0) begin : gen_word
    assign coming = rdata_i[63:0];
    logic arrive_q;
    assign arrive = arrive_q;
    assign ends = arrive && rdata_i[33];
    `ESP_FFC(clear_i, arrive_q <= 1'b0;)
      arrive_q <= ask;
  end else begin : gen_part
    logic [PartBits-1:0]   part_q;
    logic [Width/64-1:0]   arrives_q;   // at each part: a list's end is a gate behind the RAM
    assign arrive = arrives_q != '0;
    always_ff @(posedge clk_i) begin
      if (ask) part_q <= map_addr[PartBits-1:0];
    end
    `ESP_FFC(clear_i, arrives_q <= '0;)
      for (int i = 0; i < Width / 64; i++) arrives_q[i] <= ask && map_addr[PartBits-1:0] == PartBits'(i);
    assign coming = rdata_i[32'(part_q)*64 +: 64];
    always_comb begin
      ends = 1'b0;
      for (int i = 0; i < Width / 64; i++) ends = ends || (arrives_q[i] && rdata_i[64*i + 33]);
    end
  end

  // Six lanes at a time: what a LUT of the 7 series counts.
  always_comb begin
    logic [2:0] live;
    live = '0;
    came_live = '0;
    if (`ESP_WHEN(came_q)) begin
      for (int i = 0; i < Lanes; i += 6) begin
        live = '0;
        for (int j = i; j < i + 6 && j < Lanes; j++) live = live + 3'(came_lanes_q[j]);
        came_live = came_live + LaneBits'(live);
      end
    end
  end

  // Those that wait. The last two bits: a segment ends, the list ends.
  logic [Lanes+LaneBits+1:0] map_q [Maps];
  logic [1:0]                push_q, pop_q;
  logic [2:0]                maps_q;        // that wait
  logic                      room;          // for one more than were asked for
  logic                      have_q;        // any
  logic [Lanes-1:0]          map;
  logic [LaneBits-1:0]       map_live;
  logic                      map_end, map_last;

  always_comb begin
    {ask, map_addr} = '0;
    if (`ESP_WHEN(!idle_q || beat_valid_i)) begin
      ask = !table_busy_i && (idle_q ? beat_valid_i : room);
      map_addr = wrap ? first : asked_q + 1'b1;
    end
  end
  assign room = 4'(maps_q) + 4'(arrive) + 4'(came_q) < 4'(Maps);

  // ---------------------------------------------------------------- the step
  logic lane_live;

  assign last_step = params_q ? '1 : StepBits'((1 << WordBits) - 1);

  // Of parameters a byte's lane is its index / 8.
  always_comb begin
    {map, map_live, map_end, map_last} = '0;
    mask_o = '0;
    lane_live = 1'b0;
    if (`ESP_WHEN(!idle_q)) begin
      {map, map_live, map_end, map_last} = map_q[pop_q];
      lane_live = map[(32'(step_q) * PackLanes) / 8 % Lanes];   // of parameters
      for (int j = 0; j < PackLanes; j++) begin
        if (!params_q) mask_o[j] = map[(32'(step_q) % (Lanes / PackLanes)) * PackLanes + 32'(j)];
        else if (PackLanes <= 8) mask_o[j] = lane_live;
        else mask_o[j] = map[(32'(step_q) * PackLanes + 32'(j)) / 8 % Lanes];
      end
    end
  end

  if (SubBits == 0) begin : gen_beat
    assign data_o = beat_data_i;
    assign beat_ready_o = beats_q && have_q && ready_i;
  end else begin : gen_sub
    assign data_o = beat_data_i[32'(step_q[SubBits-1:0])*8*PackLanes +: 8*PackLanes];
    assign beat_ready_o = beats_q && have_q && ready_i && step_q[SubBits-1:0] == '1;
  end

  assign valid_o = pad_q || (have_q && (zeros_q || (beats_q && beat_valid_i)));
  assign pad_o = pad_q;
  assign zero_o = !beats_q;
  assign step = valid_o && ready_i;

  // ---------------------------------------------------------------- order
  logic [LaneBits-1:0] open_q, open;        // lanes that the segment's last word has left, modulo Lanes
  logic [LaneBits-1:0] open_less;           // less one
  logic [StepBits-1:0] pads;
  logic                aligned;

  // What a step, if there is one, ends; the last block of a list is that of a segment too.
  always_comb begin
    {open, open_less, aligned, pads, at_end, at_row_end, at_padded, at_turn, ended, fills} = '0;
    {idle_d, beats_d, zeros_d, pad_d} = {idle_q, beats_q, zeros_q, pad_q};
    if (`ESP_WHEN(!idle_q)) begin
      open = open_q - map_live;
      open_less = open_q + ~map_live;
      aligned = open_q == map_live;
      // Steps that fill them, or those of a block of parameters, less one.
      pads = last_step & (params_q ? StepBits'({open_less, 3'b111} >> PackBits)
                                   : StepBits'({3'b0, open_less} >> PackBits));
      at_end = !pad_q && step_q == last_step;
      at_row_end = at_end && map_last && tap_q == 8'd1;
      at_padded = pad_q && pads_q == '0;
      // The row is over once its last segment is padded.
      at_turn = (at_row_end && aligned) || (at_padded && row_over_q);
      ended = ended_q || (beats_q && beat_last_i);
      fills = segment_q && filled_q != '1;   // (more) rows of zeros
      if (at_turn) begin
        idle_d = params_q || (ended && !fills);
        zeros_d = !params_q && ended && fills;
        beats_d = !params_q && !ended;
        pad_d = 1'b0;
      end else if (at_end && map_end && !aligned) begin
        {beats_d, zeros_d, pad_d} = 3'b001;
      end else if (at_padded) begin
        {beats_d, zeros_d, pad_d} = {!ended_q, ended_q, 1'b0};   // behind the last beat: zeros only
      end
    end
  end
  assign block_end = step && at_end;
  assign turn = step && at_turn;

  `ESP_FFC(clear_i, begin
    idle_q <= 1'b1;
    {beats_q, zeros_q, pad_q} <= '0;
    {came_q, have_q} <= '0;
    {maps_q, push_q, pop_q} <= '0;
    filled_q <= '0;
  end) begin
    if (step) {idle_q, beats_q, zeros_q, pad_q} <= {idle_d, beats_d, zeros_d, pad_d};
    else if (idle_q) {idle_q, beats_q} <= {!beat_valid_i, beat_valid_i};
    came_q <= arrive && !idle_q;
    have_q <= !idle_q && (came_q || maps_q[2:1] != '0 || (maps_q[0] && !block_end));
    if (idle_q) begin
      {maps_q, push_q, pop_q} <= '0;
    end else begin
      if (came_q != block_end) maps_q <= came_q ? maps_q + 3'd1 : maps_q - 3'd1;
      if (came_q) push_q <= push_q + 1'b1;
      if (block_end) pop_q <= pop_q + 1'b1;
    end
    if (turn && !params_q) filled_q <= filled_q + 1'b1;
  end

  always_ff @(posedge clk_i) begin
    if (idle_q) begin
      params_q <= beat_start_i[15];
      segment_q <= beat_start_i[14];
      taps_q <= beat_start_i[15] ? 8'd1 : beat_start_i[7:0];
      tap_q <= beat_start_i[15] ? 8'd1 : beat_start_i[7:0];
      step_q <= '0;
      open_q <= '0;
      ended_q <= 1'b0;
    end else begin
      if (step && !pad_q) step_q <= (step_q == last_step) ? '0 : step_q + 1'b1;
      if (block_end) begin
        open_q <= map_end ? '0 : open;
        pads_q <= pads;
        row_over_q <= map_last && tap_q == 8'd1;
        if (map_last) tap_q <= (tap_q == 8'd1) ? taps_q : tap_q - 8'd1;
      end else if (pad_q && ready_i) begin
        pads_q <= pads_q - 1'b1;
      end
      if (beat_valid_i && beat_ready_o && beat_last_i) ended_q <= 1'b1;
    end
    // As it stands behind clip's choice, which comes only where none is asked for: one row of LUTs less.
    if (ask) begin
      asked_q <= map_addr;
      asked_q[MapBits-1:PartBits] <= raddr_o;
    end
    ended_list_q <= wrap && !ask;
    if (arrive) begin
      came_lanes_q <= coming[Lanes-1:0];
      came_end_q <= coming[32] || coming[33];
      came_last_q <= coming[33];
    end
    if (came_q) map_q[push_q] <= {came_lanes_q, came_live, came_end_q, came_last_q};
  end

  logic unused;
  assign unused = ^{beat_start_i, coming};

  `ESP_ASSERT(clip_reads_while_busy, !clip_ren_i || table_busy_i)
  `ESP_ASSERT(a_map_has_room, !came_q || idle_q || maps_q < 3'(Maps))
  `ESP_ASSERT(one_at_a_time, 3'(idle_q) + 3'(beats_q) + 3'(zeros_q) + 3'(pad_q) == 3'd1)

endmodule

`default_nettype wire
