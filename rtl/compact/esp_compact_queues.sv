// The instruction queues of the compact core, in one RAM, and what hands their heads to the engines.
//
// Entries are written by halfwords (copy_*) and closed by copy_end_i; room_o says which queues have a
// free one: load_a, load_w and store 16, exec 4. Queue by queue, the head of each whose engine is idle
// is streamed to it (field_*, halfword by halfword); when its dependencies hold by halfword 4 the rest
// follows and start_o pulses, otherwise the next queue has its turn. A `nop` retires here. Dependencies
// hold for an engine's count as of the cycle before. About 7 cycles to turn a head away, two a
// halfword to start it.
// retire_i: the engines' pulses, by engine code; retire_o: with those of nops. idle_o: every queue is
// empty, every engine idle.
// Implements docs/ice40.md and docs/machine.md, section 2.

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_compact_queues (
  input  wire logic        clk_i,
  input  wire logic        rst_ni,
  input  wire logic        clear_i,
  input  wire logic        halt_i,

  output logic      [esp_isa_pkg::COMPACT_QUEUES-1:0] room_o,
  input  wire logic        copy_valid_i,
  input  wire logic [1:0]  copy_queue_i,
  input  wire logic [5:0]  copy_index_i,
  input  wire logic [15:0] copy_data_i,
  input  wire logic        copy_end_i,

  input  wire logic [esp_isa_pkg::COMPACT_QUEUES-1:0] idle_i,
  output logic      [esp_isa_pkg::COMPACT_QUEUES-1:0] field_valid_o,
  output logic      [5:0]  field_index_o,
  output logic      [15:0] field_data_o,
  output logic      [esp_isa_pkg::COMPACT_QUEUES-1:0] start_o,

  input  wire logic [esp_isa_pkg::ENGINES-1:0] retire_i,
  output logic      [esp_isa_pkg::ENGINES-1:0] retire_o,
  output logic             idle_o
);

  localparam int unsigned CountBits = esp_isa_pkg::COUNT_BITS;
  localparam int unsigned ConvLast = 34;   // halfword with a CONV's address
  localparam int unsigned LastHalf = 15;   // of the others

  typedef enum logic [1:0] {StScan, StRead, StUse, StStart} state_e;

  state_e      state_q;
  logic [1:0]  queue_q;
  logic [5:0]  index_q;
  logic        nop_q;
  logic [15:0] half_q;
  logic [15:5] before_q;
  logic [esp_isa_pkg::COMPACT_QUEUES-1:0] filled;
  logic [9:0]  waddr, raddr;
  logic [3:0]  wslot [esp_isa_pkg::COMPACT_QUEUES];
  logic [3:0]  rslot [esp_isa_pkg::COMPACT_QUEUES];
  logic        pop, stream_end, unmet_q;

  // Slots of 16 halfwords; a CONV takes four.
  for (genvar q = 0; q < esp_isa_pkg::COMPACT_QUEUES; q++) begin : gen_queue
    localparam logic [3:0] Step = (q == esp_isa_pkg::QueueExec) ? 4'd4 : 4'd1;
    logic [3:0] wslot_q, rslot_q;
    logic       any_q;
    logic       push_this, pop_this;

    assign push_this = copy_end_i && copy_queue_i == 2'(q);
    assign pop_this = pop && queue_q == 2'(q);
    assign wslot[q] = wslot_q;
    assign rslot[q] = rslot_q;
    assign filled[q] = any_q;
    assign room_o[q] = !(any_q && wslot_q == rslot_q);

    `ESP_FFC(clear_i, begin
      wslot_q <= '0;
      rslot_q <= '0;
      any_q <= 1'b0;
    end) begin
      if (push_this) wslot_q <= wslot_q + Step;
      if (pop_this) rslot_q <= rslot_q + Step;
      if (push_this) any_q <= 1'b1;
      else if (pop_this && rslot_q + Step == wslot_q) any_q <= 1'b0;
    end
  end

  assign waddr = {copy_queue_i, wslot[copy_queue_i] | {2'b0, copy_index_i[5:4]}, copy_index_i[3:0]};
  assign raddr = {queue_q, rslot[queue_q] | {2'b0, index_q[5:4]}, index_q[3:0]};

  (* no_rw_check *)
  logic [15:0] mem_q [1024];
  always_ff @(posedge clk_i) begin
    if (copy_valid_i) mem_q[waddr] <= copy_data_i;
  end
  always_ff @(posedge clk_i) begin
    if (state_q == StRead) half_q <= mem_q[raddr];
  end

  // Retired counts; pool does not exist here and stays 0.
  logic [esp_isa_pkg::ENGINES-1:0] nop_retire;
  logic [CountBits-1:0] retired [8];

  assign retire_o = retire_i | nop_retire;
  assign retired[esp_isa_pkg::EngNone] = '0;
  assign retired[esp_isa_pkg::EngPool] = '0;
  assign retired[esp_isa_pkg::ENGINES] = '0;

  for (genvar e = 1; e < esp_isa_pkg::ENGINES; e++) begin : gen_count
    if (e != esp_isa_pkg::EngPool) begin : gen_counter
      logic [CountBits-1:0] count_q;
      `ESP_FFC(clear_i, count_q <= '0;)
        if (retire_o[e]) count_q <= count_q + 1'b1;
      assign retired[e] = count_q;
    end
  end

  // The dependency that ends in the halfword at hand: dep0 at 2, dep1 at 3, dep2 at 4.
  logic [2:0]           engine;
  logic [CountBits-1:0] count, ahead;

  always_comb begin
    case (index_q[1:0])
      2'd2: begin
        engine = before_q[7:5];
        count = {half_q[7:0], before_q[15:8]};
      end
      2'd3: begin
        engine = before_q[10:8];
        count = {half_q[10:0], before_q[15:11]};
      end
      default: begin
        engine = before_q[13:11];
        count = {half_q[13:0], before_q[15:14]};
      end
    endcase
  end

  assign ahead = retired[engine] - count;

  // Heads.
  assign stream_end = index_q == (nop_q ? 6'd5 : (queue_q == esp_isa_pkg::QueueExec) ? 6'(ConvLast)
                                                                                     : 6'(LastHalf));
  assign pop = state_q == StStart;
  assign field_index_o = index_q;
  assign field_data_o = half_q;

  always_comb begin
    field_valid_o = '0;
    start_o = '0;
    nop_retire = '0;
    if (state_q == StUse) field_valid_o[queue_q] = 1'b1;
    if (pop) begin
      start_o[queue_q] = !nop_q;
      case (queue_q)
        esp_isa_pkg::QueueLoadA: nop_retire[esp_isa_pkg::EngLoadA] = nop_q;
        esp_isa_pkg::QueueLoadW: nop_retire[esp_isa_pkg::EngLoadW] = nop_q;
        esp_isa_pkg::QueueExec: nop_retire[esp_isa_pkg::EngExec] = nop_q;
        default: nop_retire[esp_isa_pkg::EngStore] = nop_q;
      endcase
    end
  end

  assign idle_o = filled == '0 && idle_i == '1 && state_q == StScan && retire_i == '0;

  `ESP_FFC(clear_i, begin
    state_q <= StScan;
    queue_q <= esp_isa_pkg::QueueLoadA;
    index_q <= '0;
  end) begin
    case (state_q)
      StScan: begin
        if (filled[queue_q] && idle_i[queue_q] && !halt_i) state_q <= StRead;
        else queue_q <= queue_q + 1'b1;
        index_q <= '0;
      end
      StRead: begin
        state_q <= unmet_q ? StScan : StUse;
        if (unmet_q) queue_q <= queue_q + 1'b1;
      end
      StUse: begin
        state_q <= stream_end ? StStart : StRead;
        index_q <= index_q + 1'b1;
      end
      default: begin
        state_q <= StScan;
        queue_q <= queue_q + 1'b1;
      end
    endcase
  end

  always_ff @(posedge clk_i) begin
    // Of the halfword before, while the next one is read.
    unmet_q <= state_q == StUse && index_q >= 6'd2 && index_q <= 6'd4
            && engine != esp_isa_pkg::EngNone && ahead[CountBits-1];
    if (state_q == StUse) begin
      before_q <= half_q[15:5];
      if (index_q == '0) nop_q <= half_q[5:0] == esp_isa_pkg::OpNop;
    end
  end

  `ESP_ASSERT(push_with_room, !copy_end_i || room_o[copy_queue_i])

endmodule

`default_nettype wire
