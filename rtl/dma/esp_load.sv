// Executes LOADs of one queue: bursts are asked for ahead, beats packed into words and written.
//
// The target selects a sink: its queue's first (0) or second (1), or where LayerWords > 0 the RAM of the
// layer table. A sink that is a ring (SinkWords > 0) gets a burst only when there is room for it:
// words asked for, less the base that the reader has given back. Otherwise words go to consecutive
// addresses from `sram_address_i`, TableStep apart for sink 1. Beats for PACK (the squeezer) leave
// as they come, with the LOAD's sram_address.
// One burst and one beat a cycle; up to 8 LOADs whose data are still to come. A word is written one
// cycle after its last beat; `retire_o` pulses with the last word's write. Low lanes come first.
// Faults: a burst outside the window (the burst is not asked for), an error response, a table entry
// past TableEntries, a word past LayerWords. After a fault nothing more is asked for or written until clear.
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
  output logic                       req_tag_o,        // last burst of the instruction
  input  wire logic                  r_valid_i,
  output logic                       r_ready_o,
  input  wire logic [8*BusBytes-1:0] r_data_i,
  input  wire logic                  r_last_i,
  input  wire logic                  r_tag_i,
  input  wire logic                  r_error_i,

  output logic      [2:0]            word_valid_o,     // one hot: sink
  input  wire logic [2:0]            word_ready_i,
  output logic      [15:0]           word_address_o,
  output logic      [8*Lanes-1:0]    word_data_o,

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
  if (TableStep == 0 || TableEntries > 256 || LayerWords > 65536) begin : gen_parameters_3
    $error("esp_load: TableStep is at least 1, TableEntries at most 256, LayerWords at most 65536");
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

  // Bursts.
  logic        accept, walk_ready, burst_valid, burst_ready, burst_last, room;
  logic [1:0]  sink, target_q;
  logic [31:0] burst_addr, iaddress_q;
  logic [4:0]  burst_beats;
  logic        in_window;
  logic [32:0] burst_end;

  // LOADs whose data are to come: target, first address, where the instruction lies.
  logic [49:0]         slot_q [Slots];
  logic [SlotBits-1:0] wptr_q, rptr_q;
  logic [SlotBits:0]   count_q;
  logic                slots_free, done;
  logic [1:0]          data_target;
  logic [15:0]         data_start;
  logic [31:0]         data_iaddress;

  // Its upper bit: esp_isa_pkg::TargetLayerTable and above.
  assign sink = {LayerWords > 0 && load_i.target[2], load_i.target[0]};
  assign slots_free = count_q != (SlotBits+1)'(Slots);
  assign load_ready_o = walk_ready && slots_free && !halt_i;
  assign accept = load_valid_i && load_ready_o;

  esp_bursts #(.BusBytes(BusBytes), .BeatsPerWord(BeatsPerWord)) u_bursts (
    .clk_i, .rst_ni, .clear_i,
    .in_valid_i(load_valid_i && slots_free && !halt_i),
    .in_ready_o(walk_ready),
    .base_i(region_base_i),
    .offset_i(load_i.offset),
    .x_words_i(load_i.x_words),
    .y_count_i(load_i.y_count),
    .z_count_i(load_i.z_count),
    .y_stride_i(load_i.y_stride),
    .z_stride_i(load_i.z_stride),
    .out_valid_o(burst_valid),
    .out_ready_i(burst_ready),
    .out_address_o(burst_addr),
    .out_beats_o(burst_beats),
    .out_last_o(burst_last)
  );

  // A LOAD is taken only when the bursts of the one before have left the walker, and its first burst
  // shows a cycle later: by then the last burst may still stand at the output.
  logic [1:0]  hold_target_q;
  logic [31:0] hold_iaddress_q;
  logic        fresh_q;  // the walker holds a LOAD whose identity is still in hold_*

  `ESP_FFC(clear_i, fresh_q <= 1'b0;)
    if (accept) fresh_q <= 1'b1;
    else if (!burst_valid || burst_ready) fresh_q <= 1'b0;

  always_ff @(posedge clk_i) begin
    if (accept) begin
      hold_target_q <= sink;
      hold_iaddress_q <= load_address_i;
    end
    if (fresh_q && (!burst_valid || burst_ready)) begin
      target_q <= hold_target_q;
      iaddress_q <= hold_iaddress_q;
    end
  end

  assign burst_end = {1'b0, burst_addr} + (33'(burst_beats) << ByteBits);
  assign in_window = burst_addr >= window_low_i && burst_end <= {1'b0, window_high_i};
  assign req_valid_o = burst_valid && in_window && room && !halt_i;
  assign req_address_o = burst_addr;
  assign req_beats_o = burst_beats;
  assign req_tag_o = burst_last;
  assign burst_ready = req_valid_o && req_ready_i;
  assign wait_room_o = burst_valid && !room;

  // Room in the rings, in beats.
  logic [1:0] sink_room;
  assign room = (target_q[0] ? sink_room[1] : sink_room[0]) || target_q[1];

  if (Sink0Words > 0) begin : gen_ring0
    localparam int unsigned Bits = Base0Bits + WordBits;
    logic [Bits-1:0] asked_q, used;
    assign used = asked_q - (Bits'(base0_i) << WordBits);
    assign sink_room[0] = 32'(used) + 32'(burst_beats) <= Sink0Words * BeatsPerWord;
    `ESP_FFC(clear_i, asked_q <= '0;)
      if (burst_ready && target_q == SINK0) asked_q <= asked_q + Bits'(burst_beats);
  end else begin : gen_plain0
    logic unused;
    assign unused = ^base0_i;
    assign sink_room[0] = 1'b1;
  end

  if (Sink1Words > 0) begin : gen_ring1
    localparam int unsigned Bits = Base1Bits + WordBits;
    logic [Bits-1:0] asked_q, used;
    assign used = asked_q - (Bits'(base1_i) << WordBits);
    assign sink_room[1] = 32'(used) + 32'(burst_beats) <= Sink1Words * BeatsPerWord;
    `ESP_FFC(clear_i, asked_q <= '0;)
      if (burst_ready && target_q == SINK1) asked_q <= asked_q + Bits'(burst_beats);
  end else begin : gen_plain1
    logic unused;
    assign unused = ^base1_i;
    assign sink_room[1] = 1'b1;
  end

  // Data: beats to words.
  logic                word_valid_q, word_last_q, first_q;
  logic [1:0]          word_sink_q;
  logic [15:0]         word_addr_q, next_q, address;
  logic [8*Lanes-1:0]  word_q, word;
  logic                streams, beat, word_end, word_taken, out_ready, past_table;

  assign {data_iaddress, data_start, data_target} = slot_q[rptr_q];
  assign out_ready = word_sink_q[1] ? word_ready_i[2]
                   : word_sink_q[0] ? word_ready_i[1] : word_ready_i[0];
  assign word_taken = word_valid_q && out_ready;
  assign streams = LayerWords > 0 && data_target == PACK;
  assign beat_valid_o = r_valid_i && streams && !word_valid_q && !halt_i;
  assign r_ready_o = streams ? (beat_ready_i && !word_valid_q) : (!word_valid_q || out_ready);
  assign beat_start_o = data_start;
  assign beat_last_o = r_last_i && r_tag_i;
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

  if (TableEntries > 0) begin : gen_table
    assign past_table = data_target[0] && 32'(address) + TableStep > TableEntries;
  end else if (LayerWords > 0) begin : gen_layers
    assign past_table = data_target == LAYERS && 32'(address) >= LayerWords;
  end else begin : gen_no_table
    assign past_table = 1'b0;
  end

  assign done = beat && word_end && r_last_i && r_tag_i;

  `ESP_FFC(clear_i, begin
    word_valid_q <= 1'b0;
    first_q <= 1'b1;
    wptr_q <= '0;
    rptr_q <= '0;
    count_q <= '0;
  end) begin
    if (beat && word_end && !streams) word_valid_q <= 1'b1;
    else if (word_taken) word_valid_q <= 1'b0;
    if (beat && word_end) first_q <= done;
    if (accept) wptr_q <= wptr_q + 1'b1;
    if (done) rptr_q <= rptr_q + 1'b1;
    if (accept != done) count_q <= accept ? count_q + 1'b1 : count_q - 1'b1;
  end

  always_ff @(posedge clk_i) begin
    if (accept) slot_q[wptr_q] <= {load_address_i, load_i.sram_address, sink};
    if (beat && word_end) begin
      word_q <= word;
      word_addr_q <= address;
      word_sink_q <= data_target;
      word_last_q <= r_last_i && r_tag_i;
      next_q <= address + (data_target[0] ? 16'(TableStep) : 16'd1);
    end
  end

  assign word_valid_o[0] = word_valid_q && word_sink_q == SINK0 && !halt_i;
  assign word_valid_o[1] = word_valid_q && word_sink_q == SINK1 && !halt_i;
  assign word_valid_o[2] = word_valid_q && word_sink_q[1] && !halt_i;
  assign word_address_o = word_addr_q;
  assign word_data_o = word_q;
  assign retire_o = ((word_taken && word_last_q) || (streams && done)) && !halt_i;
  assign table_done_o = word_taken && word_last_q && word_sink_q[1] && !halt_i;
  assign busy_o = count_q != '0 || word_valid_q;

  // Faults.
  logic window_fault, response_fault, table_fault;
  assign window_fault = burst_valid && !in_window;
  assign response_fault = beat && r_error_i;
  assign table_fault = beat && word_end && past_table;
  assign fault_o = window_fault || response_fault || table_fault;
  assign fault_cause_o = response_fault ? esp_isa_pkg::FaultReadResponse
                       : table_fault ? esp_isa_pkg::FaultCapacity : esp_isa_pkg::FaultReadWindow;
  assign fault_address_o = (response_fault || table_fault) ? data_iaddress : iaddress_q;

  // Header, region and (for rings) addresses are of no use here.
  logic unused;
  assign unused = ^{load_i, TableStep[0]};

endmodule

`default_nettype wire
