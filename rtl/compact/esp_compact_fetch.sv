// Fetch and decode of the compact core: reads the program by halfwords, checks each instruction as
// it streams by, then copies it to its queue.
//
// The FIFO holds 32 words of 128 bits; an instruction is read from it twice, once for the checks
// and once for the copy, and leaves it then. The copy waits until the queue has room (room_i). A
// queue's entry is the instruction's halfwords with its address (in units of 16 bytes) at halfword
// 15, of a CONV at 34; copy_valid_o, copy_queue_o, copy_index_o, copy_data_o write them and copy_end_o
// closes the entry. Queues: 0 load_a, 1 load_w, 2 exec, 3 store.
// Checks: opcode, length, spare bits and ranges of fields, dependencies; what contradicts itself or
// exceeds a ring is found by the engine. `end` waits for idle_i, then done_o pulses. fault_o holds
// until clear_i, with address_o in units of 16 bytes. Four cycles a halfword in all.
// Implements docs/ice40.md and docs/machine.md, section 2.

`default_nettype none
`include "esp_ff.svh"

module esp_compact_fetch #(
  parameter int unsigned AddressBits = 20
) (
  input  wire logic                   clk_i,
  input  wire logic                   rst_ni,
  input  wire logic                   clear_i,
  input  wire logic                   halt_i,
  input  wire logic                   start_i,
  input  wire logic [AddressBits-1:0] program_address_i,
  input  wire logic [AddressBits-4:0] program_words_i,

  output logic                        req_valid_o,
  output logic      [AddressBits-1:0] req_address_o,
  input  wire logic                   r_valid_i,
  input  wire logic [15:0]            r_data_i,

  input  wire logic [esp_isa_pkg::COMPACT_QUEUES-1:0] room_i,
  output logic                        copy_valid_o,
  output logic      [1:0]             copy_queue_o,
  output logic      [5:0]             copy_index_o,
  output logic      [15:0]            copy_data_o,
  output logic                        copy_end_o,

  input  wire logic                   idle_i,
  output logic                        done_o,
  output logic                        fault_o,
  output logic      [3:0]             fault_cause_o,
  output logic      [15:0]            address_o
);

  if (AddressBits < 12 || AddressBits > 20) begin : gen_parameters
    $error("esp_compact_fetch: AddressBits is 12 to 20");
  end

  typedef enum logic [2:0] {
    StStopped, StRead, StUse, StDecide, StCopyRead, StCopyWrite, StEnd, StFault
  } state_e;

  state_e                 state_q;
  logic [AddressBits-1:0] fetch_q, left_q;      // left: halfwords to come
  logic [8:0]             wptr_q, rptr_q, base_q;
  logic [15:0]            address_q, half_q;
  logic [5:0]             index_q, opcode_q;
  logic [2:0]             length_q, length, engine_q;
  logic [3:0]             cause_q;
  logic                   carry_q, fields_ok_q, engines_ok_q, target_w_q;
  logic                   known, full, empty, read, last, carry, in_range, engine_ok, is_conv;

  // Fetch.
  assign full = wptr_q[7:0] == base_q[7:0] && wptr_q[8] != base_q[8];
  assign empty = wptr_q == rptr_q;
  assign req_valid_o = left_q != '0 && !full && !halt_i;
  assign req_address_o = fetch_q;
  assign read = state_q == StRead || state_q == StCopyRead;

  (* no_rw_check *)
  logic [15:0] mem_q [256];
  always_ff @(posedge clk_i) begin
    if (r_valid_i) mem_q[wptr_q[7:0]] <= r_data_i;
  end
  always_ff @(posedge clk_i) begin
    if (read) half_q <= mem_q[rptr_q[7:0]];
  end

  // Checks of the halfword at hand.
  always_comb begin
    known = 1'b1;
    length = 3'd0;
    case (half_q[5:0])
      esp_isa_pkg::OpNop: length = 3'(esp_isa_pkg::NOP_WORDS);
      esp_isa_pkg::OpEnd: length = 3'(esp_isa_pkg::END_WORDS);
      esp_isa_pkg::OpLoad: length = 3'(esp_isa_pkg::LOAD_WORDS);
      esp_isa_pkg::OpStore: length = 3'(esp_isa_pkg::STORE_WORDS);
      esp_isa_pkg::OpConv: length = 3'(esp_isa_pkg::CONV_WORDS);
      default: known = 1'b0;
    endcase
  end

  assign is_conv = opcode_q == esp_isa_pkg::OpConv;
  assign {in_range, carry} = esp_isa_pkg::halfword_check(opcode_q, index_q, half_q, carry_q);
  always_comb begin
    engine_ok = 1'b1;
    case (index_q)
      6'd1: engine_ok = half_q[7:5] != 3'(esp_isa_pkg::ENGINES);
      6'd2: engine_ok = half_q[10:8] != 3'(esp_isa_pkg::ENGINES);
      6'd3: engine_ok = half_q[13:11] != 3'(esp_isa_pkg::ENGINES);
      default: ;
    endcase
  end

  assign last = index_q[2:0] == 3'd7 && index_q[5:3] == length_q - 3'd1;

  // The queue it goes to, from halfword 5.
  always_comb begin
    copy_queue_o = esp_isa_pkg::QueueExec;
    case (opcode_q)
      esp_isa_pkg::OpLoad: copy_queue_o = target_w_q ? esp_isa_pkg::QueueLoadW : esp_isa_pkg::QueueLoadA;
      esp_isa_pkg::OpStore: copy_queue_o = esp_isa_pkg::QueueStore;
      esp_isa_pkg::OpNop: begin
        case (engine_q)
          esp_isa_pkg::EngLoadA: copy_queue_o = esp_isa_pkg::QueueLoadA;
          esp_isa_pkg::EngLoadW: copy_queue_o = esp_isa_pkg::QueueLoadW;
          esp_isa_pkg::EngExec: copy_queue_o = esp_isa_pkg::QueueExec;
          default: copy_queue_o = esp_isa_pkg::QueueStore;
        endcase
      end
      default: ;
    endcase
  end

  logic nop_ok;
  assign nop_ok = opcode_q != esp_isa_pkg::OpNop || (engine_q != esp_isa_pkg::EngPost
                  && engine_q != esp_isa_pkg::EngPool);

  assign copy_valid_o = state_q == StCopyWrite;
  assign copy_index_o = index_q;
  assign copy_data_o = (index_q == (is_conv ? 6'd34 : 6'd15)) ? address_q : half_q;
  assign copy_end_o = copy_valid_o && last;
  assign done_o = state_q == StEnd && idle_i && !halt_i;
  assign fault_o = state_q == StFault;
  assign fault_cause_o = cause_q;
  assign address_o = address_q;

  `ESP_FFC(clear_i, begin
    state_q <= StStopped;
    left_q <= '0;
    wptr_q <= '0;
    rptr_q <= '0;
    base_q <= '0;
  end) begin
    if (start_i) left_q <= {program_words_i, 3'b0};
    else if (r_valid_i) left_q <= left_q - 1'b1;
    if (r_valid_i) wptr_q <= wptr_q + 1'b1;
    case (state_q)
      StStopped: if (start_i) state_q <= StRead;
      StRead: begin
        if (!empty) begin
          rptr_q <= rptr_q + 1'b1;
          state_q <= StUse;
        end else if (left_q == '0) begin
          state_q <= StFault;
        end
      end
      StUse: begin
        if (index_q == '0 && !(known && half_q[8:6] == length)) state_q <= StFault;
        else if (last && index_q != '0) state_q <= StDecide;
        else state_q <= StRead;
      end
      StDecide: begin
        if (!(fields_ok_q && nop_ok) || !engines_ok_q) begin
          state_q <= StFault;
        end else if (opcode_q == esp_isa_pkg::OpEnd) begin
          state_q <= StEnd;
        end else if (room_i[copy_queue_o] && !halt_i) begin
          state_q <= StCopyRead;
          rptr_q <= base_q;
        end
      end
      StCopyRead: begin
        rptr_q <= rptr_q + 1'b1;
        state_q <= StCopyWrite;
      end
      StCopyWrite: begin
        state_q <= last ? StRead : StCopyRead;
        if (last) base_q <= rptr_q;
      end
      StEnd: if (done_o) state_q <= StStopped;
      default: ;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (start_i) fetch_q <= program_address_i;
    else if (r_valid_i) fetch_q <= fetch_q + AddressBits'(2);

    if (start_i) address_q <= 16'(program_address_i >> 4);
    else if (state_q == StCopyWrite && last) address_q <= address_q + 16'(length_q);

    if (start_i || state_q == StDecide) index_q <= '0;
    else if (state_q == StUse || state_q == StCopyWrite) index_q <= last ? '0 : index_q + 1'b1;

    if (state_q == StUse) begin
      if (index_q == '0) begin
        opcode_q <= half_q[5:0];
        length_q <= length;
        carry_q <= 1'b0;
        fields_ok_q <= 1'b1;
        engines_ok_q <= 1'b1;
      end else begin
        carry_q <= carry;
        if (!in_range) fields_ok_q <= 1'b0;
        if (!engine_ok) engines_ok_q <= 1'b0;
      end
      if (index_q == 6'd5) begin
        engine_q <= half_q[2:0];
        target_w_q <= half_q[1];
      end
    end

    case (state_q)
      StRead: cause_q <= esp_isa_pkg::FaultProgramEnd;
      StUse: cause_q <= known ? esp_isa_pkg::FaultIllegalLength : esp_isa_pkg::FaultIllegalOpcode;
      StDecide:
        cause_q <= (fields_ok_q && nop_ok) ? esp_isa_pkg::FaultIllegalDependency
                                           : esp_isa_pkg::FaultIllegalField;
      default: ;
    endcase
  end

endmodule

`default_nettype wire
