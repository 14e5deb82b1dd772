// Executes LOADs of one queue: bursts are asked for ahead, beats packed into words and written.
//
// The target selects a sink: its queue's first (0) or second (1), or where LayerWords > 0 the RAM of the
// layer table. A sink that is a ring (SinkWords > 0) gets a burst only when there is room for it: words asked
// for, less the base that the reader has given back. Otherwise words go to consecutive addresses from
// `sram_address_i`, TableStep apart for sink 1. Beats for PACK (the squeezer) leave as they come, with the
// LOAD's sram_address. A burst every second cycle and a beat a cycle; up to 8 LOADs whose data are still to
// come. A burst is asked for four cycles after its LOAD was taken at the earliest: it is cut (esp_bursts, 3),
// then looked at, whether it lies in the window and the ring has room. A word is written one cycle after its
// last beat; `retire_o` pulses with the last word's write, of beats for PACK a cycle after the last. Low
// lanes come first. With Skips a word address is left out behind each plane of a LOAD that says so; with
// Forms a word says its LOAD's form. Faults: a burst outside the window (the burst is not asked
// for), an error response, a table entry past TableEntries, a word past LayerWords. fault_o stands until
// clear; in the cycle after what caused it nothing more is asked for, written or retired.
// Implements docs/machine.md, section 5.

`default_nettype none
`include "esp_ff.svh"

module esp_load #(
  parameter int unsigned Lanes = 4,
  parameter int unsigned BusBytes = 4,
  parameter int unsigned Sink0Words = 0,
  parameter int unsigned Sink1Words = 0,
  parameter int unsigned TableStep = 1,
  parameter int unsigned TableEntries = 0,
  parameter int unsigned LayerWords = 0,
  parameter bit          Skips = 1'b0,    // not with LayerWords
  parameter bit          Forms = 1'b0,
  localparam int unsigned Base0Bits = (Sink0Words > 0) ? $clog2(Sink0Words) + 1 : 1,
  localparam int unsigned Base1Bits = (Sink1Words > 0) ? $clog2(Sink1Words) + 1 : 1
) (
  input  wire logic                  clk_i,
  input  wire logic                  rst_ni,
  input  wire logic                  clear_i,
  input  wire logic                  halt_i,

  input  wire logic                  load_valid_i,
  output logic                       load_ready_o,
  input  wire esp_isa_pkg::load_t    load_i,
  input  wire logic [31:0]           load_address_i,   // where the instruction lies
  input  wire logic [31:0]           region_base_i,
  input  wire logic [31:0]           window_low_i,
  input  wire logic [31:0]           window_high_i,

  input  wire logic [Base0Bits-1:0]  base0_i,          // words given back by the ring's reader
  input  wire logic [Base1Bits-1:0]  base1_i,

  output logic                       req_valid_o,
  input  wire logic                  req_ready_i,
  output logic      [31:0]           req_address_o,
  output logic      [4:0]            req_beats_o,
  output logic      [2:0]            req_tag_o,        // sink, or a word left out; last burst of the LOAD
  input  wire logic                  r_valid_i,
  output logic                       r_ready_o,
  input  wire logic [8*BusBytes-1:0] r_data_i,
  input  wire logic                  r_last_i,
  input  wire logic [2:0]            r_tag_i,
  input  wire logic                  r_error_i,

  output logic      [2:0]            word_valid_o,     // one hot: sink
  output logic                       word_claim_o,     // a word of the first sink stands here, good or not
  input  wire logic [2:0]            word_ready_i,
  output logic      [15:0]           word_address_o,
  output logic      [8*Lanes-1:0]    word_data_o,
  output logic      [2:0]            word_form_o,
  output logic                       word_last_o,      // of its LOAD

  output logic                       beat_valid_o,     // for PACK; the data are r_data_i
  input  wire logic                  beat_ready_i,
  output logic      [15:0]           beat_start_o,
  output logic                       beat_last_o,

  output logic                       retire_o,
  output logic                       table_done_o,     // and it was a LOAD of the layer table
  output logic                       fault_o,
  output logic      [3:0]            fault_cause_o,
  output logic      [31:0]           fault_address_o,
  output logic                       busy_o,
  output logic                       wait_room_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_parameters_0
    $error("esp_load: Lanes is a power of two from 4 to 32");
  end
  if ((1 << $clog2(BusBytes)) != BusBytes || BusBytes < 4 || BusBytes > 32 || BusBytes > Lanes)
  begin : gen_parameters_1
    $error("esp_load: BusBytes is a power of two from 4 to 32 and divides Lanes");
  end
  if ((Sink0Words != 0 && ((1 << $clog2(Sink0Words)) != Sink0Words || Sink0Words > 65536)) ||
      (Sink1Words != 0 && ((1 << $clog2(Sink1Words)) != Sink1Words || Sink1Words > 65536)))
  begin : gen_parameters_2
    $error("esp_load: Sink0Words and Sink1Words are 0 or powers of two, at most 65536");
  end
  if (TableStep == 0 || TableEntries > 256 || LayerWords > 65536 || (Skips && LayerWords != 0))
  begin : gen_parameters_3
    $error("esp_load: TableStep >= 1, TableEntries <= 256, LayerWords <= 65536, and 0 with Skips");
  end

  localparam int unsigned BeatsPerWord = Lanes / BusBytes;
  localparam int unsigned WordBits = $clog2(BeatsPerWord);
  localparam int unsigned ByteBits = $clog2(BusBytes);
  localparam int unsigned Slots = 8;
  localparam int unsigned SlotBits = $clog2(Slots);

  // Sinks: {one of masks', the second}.
  localparam logic [1:0] SINK0 = 2'b00;
  localparam logic [1:0] SINK1 = 2'b01;
  localparam logic [1:0] LAYERS = 2'b10;
  localparam logic [1:0] PACK = 2'b11;

  localparam int unsigned LineBits = 12 - ByteBits;

  // Bursts.
  logic                accept, walk_ready, burst_valid, burst_ready, burst_plane, burst_last, burst_skip;
  logic [1:0]          sink, burst_sink;
  logic [31:0]         burst_iaddress;
  logic [3:0]          burst_len;
  logic [LineBits-1:0] burst_end;
  logic                fault_q;      // this engine's own: it stands still

  // LOADs whose data are to come: first address, where the instruction lies.
  localparam int unsigned SLOT_BITS = Forms ? 51 : 48;
  logic [SLOT_BITS-1:0] slot_q [Slots];
  logic [SlotBits-1:0] wptr_q, rptr_q;
  logic [SlotBits:0]   count_q;
  logic                slots_free_q, done, done_q;
  logic [15:0]         data_start;
  logic [31:0]         data_iaddress;

  // Its upper bit: esp_isa_pkg::TargetLayerTable and above.
  assign sink = {LayerWords > 0 && load_i.target[2], load_i.target[0]};
  assign load_ready_o = walk_ready && slots_free_q && !halt_i;
  assign accept = load_valid_i && load_ready_o;

  esp_bursts #(.BusBytes(BusBytes), .BeatsPerWord(BeatsPerWord), .TagBits(35)) u_bursts (
    .clk_i, .rst_ni, .clear_i,
    .in_valid_i(load_valid_i && slots_free_q && !halt_i),
    .in_ready_o(walk_ready),
    .base_i(region_base_i),
    .offset_i(load_i.offset),
    .x_words_i(load_i.x_words),
    .y_count_i(load_i.y_count),
    .z_count_i(load_i.z_count),
    .y_stride_i(load_i.y_stride),
    .z_stride_i(load_i.z_stride),
    .tag_i({Skips && load_i.skip[0], sink, load_address_i}),
    .out_valid_o(burst_valid),
    .out_ready_i(burst_ready),
    .out_address_o(req_address_o),
    .out_len_o(burst_len),
    .out_end_o(burst_end),
    .out_plane_o(burst_plane),
    .out_last_o(burst_last),
    .out_tag_o({burst_skip, burst_sink, burst_iaddress})
  );

  // Of the burst that stands at the walker's end: looked at in its first cycle, for the room in every cycle.
  logic       seen_q, in_window_q, room, room_q;
  logic [1:0] sink_room;
  assign room = burst_sink[1] || (burst_sink[0] ? sink_room[1] : sink_room[0]);

  `ESP_FFC(clear_i, seen_q <= 1'b0;) seen_q <= burst_valid && !burst_ready;

  always_ff @(posedge clk_i) begin
    if (burst_valid) begin
      in_window_q <= req_address_o >= window_low_i
                  && {req_address_o[31:12], burst_end, {ByteBits{1'b1}}} < window_high_i;
      room_q <= room;
    end
  end

  assign req_valid_o = seen_q && in_window_q && room_q && !fault_q && !halt_i;
  assign req_beats_o = 5'(burst_len) + 5'd1;
  assign req_tag_o = {Skips ? burst_skip && burst_plane : burst_sink[1], burst_sink[0], burst_last};
  assign burst_ready = req_valid_o && req_ready_i;
  assign wait_room_o = seen_q && !room_q;

  // Room in the rings, in beats: what the reader gives back comes in a cycle later.
  if (Sink0Words > 0) begin : gen_ring0
    localparam int unsigned Bits = Base0Bits + WordBits;
    logic [Base0Bits-1:0] base_q, gained_q;
    logic [Bits-1:0]      free_q, more, less;   // with what was given back; and without the burst
    assign sink_room[0] = free_q > Bits'(burst_len);
    assign more = free_q + (Bits'(gained_q) << WordBits);
    assign less = more + ~(Bits'(burst_len));
    `ESP_FFC(clear_i, begin
      base_q <= '0;
      gained_q <= '0;
      free_q <= Bits'(Sink0Words * BeatsPerWord);
    end) begin
      base_q <= base0_i;
      gained_q <= base0_i - base_q;
      free_q <= (burst_ready && burst_sink == SINK0) ? less : more;
    end
  end else begin : gen_plain0
    logic unused;
    assign unused = ^base0_i;
    assign sink_room[0] = 1'b1;
  end

  if (Sink1Words > 0) begin : gen_ring1
    localparam int unsigned Bits = Base1Bits + WordBits;
    logic [Base1Bits-1:0] base_q, gained_q;
    logic [Bits-1:0]      free_q, more, less;   // with what was given back; and without the burst
    assign sink_room[1] = free_q > Bits'(burst_len);
    assign more = free_q + (Bits'(gained_q) << WordBits);
    assign less = more + ~(Bits'(burst_len));
    `ESP_FFC(clear_i, begin
      base_q <= '0;
      gained_q <= '0;
      free_q <= Bits'(Sink1Words * BeatsPerWord);
    end) begin
      base_q <= base1_i;
      gained_q <= base1_i - base_q;
      free_q <= (burst_ready && burst_sink == SINK1) ? less : more;
    end
  end else begin : gen_plain1
    logic unused;
    assign unused = ^base1_i;
    assign sink_room[1] = 1'b1;
  end

  // Data: beats to words.
  logic                word_valid_q, word_last_q, first_q, stream_done_q;
  logic [1:0]          word_sink_q;
  logic [15:0]         word_addr_q, next_q, address;
  logic [8*Lanes-1:0]  word_q, word;
  logic [1:0]          data_target;
  logic [31:0]         word_iaddress_q;
  logic                skip, streams, beat, last, word_end, word_taken, out_ready, past, past_q, word_good;

  assign {data_iaddress, data_start} = slot_q[rptr_q][47:0];
  assign data_target = {!Skips && r_tag_i[2], r_tag_i[1]};
  assign skip = Skips && r_last_i && r_tag_i[2];
  assign last = r_last_i && r_tag_i[0];
  assign out_ready = word_sink_q[1] ? word_ready_i[2]
                   : word_sink_q[0] ? word_ready_i[1] : word_ready_i[0];
  assign word_taken = word_valid_q && out_ready;
  assign streams = LayerWords > 0 && data_target == PACK;
  assign beat_valid_o = r_valid_i && streams && !word_valid_q && !fault_q;
  assign r_ready_o = (streams ? (beat_ready_i && !word_valid_q) : (!word_valid_q || out_ready)) && !fault_q;
  assign beat_start_o = data_start;
  assign beat_last_o = last;
  assign beat = r_valid_i && r_ready_o;
  assign address = first_q ? data_start : next_q;

  if (BeatsPerWord == 1) begin : gen_whole
    assign word_end = 1'b1;
    assign word = r_data_i;
  end else begin : gen_pack
    logic [WordBits-1:0] part_q;
    logic [8*(Lanes-BusBytes)-1:0] low_q;
    assign word_end = part_q == '1;
    assign word = {r_data_i, low_q};
    `ESP_FFC(clear_i, part_q <= '0;)
      if (beat) part_q <= part_q + 1'b1;
    always_ff @(posedge clk_i) begin
      if (beat && !word_end) low_q <= (8*(Lanes-BusBytes))'({r_data_i, low_q} >> (8*BusBytes));
    end
  end

  // Of the word that comes.
  if (TableEntries > 0) begin : gen_table
    assign past = data_target[0] && 32'(address) > TableEntries - TableStep;
  end else if (LayerWords > 0) begin : gen_layers
    assign past = data_target == LAYERS && 32'(address) >= LayerWords;
  end else begin : gen_no_table
    assign past = 1'b0;
  end
  assign word_good = word_valid_q && !past_q && !fault_q && !halt_i;

  assign done = beat && word_end && last;

  `ESP_FFC(clear_i, begin
    word_valid_q <= 1'b0;
    first_q <= 1'b1;
    wptr_q <= '0;
    rptr_q <= '0;
    count_q <= '0;
    slots_free_q <= 1'b1;
    done_q <= 1'b0;
    stream_done_q <= 1'b0;
  end) begin
    if (beat && word_end && !streams) word_valid_q <= 1'b1;
    else if (word_taken) word_valid_q <= 1'b0;
    if (beat && word_end) first_q <= last;
    if (accept) wptr_q <= wptr_q + 1'b1;
    if (done) rptr_q <= rptr_q + 1'b1;
    done_q <= done;
    stream_done_q <= done && streams;
    if (accept != done_q) begin
      count_q <= accept ? count_q + 1'b1 : count_q - 1'b1;
      slots_free_q <= done_q || count_q != (SlotBits+1)'(Slots - 1);
    end
  end

  always_ff @(posedge clk_i) begin
    if (accept) slot_q[wptr_q] <= SLOT_BITS'({load_i.form, load_address_i, load_i.sram_address});
    if (beat) word_iaddress_q <= data_iaddress;
    if (beat && word_end) begin
      word_q <= word;
      word_addr_q <= address;
      word_sink_q <= data_target;
      word_last_q <= last;
      past_q <= past;
      next_q <= address + (data_target[0] ? 16'(TableStep) : 16'd1) + 16'(skip);
    end
  end

  if (Forms) begin : gen_forms
    logic [2:0] form_q;
    always_ff @(posedge clk_i) begin
      if (beat && word_end) form_q <= slot_q[rptr_q][SLOT_BITS-1 -: 3];
    end
    assign word_form_o = form_q;
  end else begin : gen_no_forms
    assign word_form_o = '0;
  end

  assign word_valid_o[0] = word_good && word_sink_q == SINK0;
  assign word_valid_o[1] = word_good && word_sink_q == SINK1;
  assign word_valid_o[2] = word_good && word_sink_q[1];
  assign word_claim_o = word_valid_q && word_sink_q == SINK0;
  assign word_address_o = word_addr_q;
  assign word_data_o = word_q;
  assign word_last_o = word_last_q;
  assign retire_o = (word_good && out_ready && word_last_q) || (stream_done_q && !fault_q && !halt_i);
  assign table_done_o = word_good && out_ready && word_last_q && word_sink_q[1];
  assign busy_o = count_q != '0 || word_valid_q;

  // Faults.
  logic window_fault, response_fault, table_fault, at_word_q;
  assign window_fault = seen_q && !in_window_q;
  assign response_fault = beat && r_error_i;
  assign table_fault = word_valid_q && past_q;

  `ESP_FFC(clear_i, begin
    fault_q <= 1'b0;
    at_word_q <= 1'b0;
    fault_cause_o <= '0;
  end)
    if (!fault_q && (window_fault || response_fault || table_fault)) begin
      fault_q <= 1'b1;
      at_word_q <= response_fault || table_fault;
      fault_cause_o <= response_fault ? esp_isa_pkg::FaultReadResponse
                     : table_fault ? esp_isa_pkg::FaultCapacity : esp_isa_pkg::FaultReadWindow;
    end

  assign fault_o = fault_q;
  assign fault_address_o = at_word_q ? word_iaddress_q : burst_iaddress;

  // Header, region and (for rings) addresses are of no use here.
  logic unused;
  assign unused = ^{load_i, TableStep[0], burst_plane, burst_skip};

endmodule

`default_nettype wire
