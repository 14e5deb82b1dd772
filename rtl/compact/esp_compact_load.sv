// Executes the LOADs of one queue of the compact core, a word (one beat) at a time.
//
// The instruction comes by esp_compact_head's halfwords, then start_i; idle_o from the cycle after
// its retirement. A word is asked for (req_valid_o, req_address_o hold until r_valid_i, which brings
// it) when its sink has room, and written in the cycle in which it comes. retire_o pulses a cycle
// after the last word's write.
// Sinks: target 0 / 1 of load_a, 2 / 3 of load_w, as sink 0 / 1; a sink that does not exist, or an
// address or stride that is no multiple of a word, is an illegal field.
// After a fault the engine stands until clear_i. Implements docs/ice40.md.

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_compact_load #(
  parameter int unsigned AddressBits = 20,
  parameter bit          Ring = 1'b0      // two rings; otherwise one buffer
) (
  input  wire logic                   clk_i,
  input  wire logic                   rst_ni,
  input  wire logic                   clear_i,
  input  wire logic                   halt_i,

  input  wire logic                   field_valid_i,
  input  wire logic [5:0]             field_index_i,
  input  wire logic [15:0]            field_data_i,
  input  wire logic                   start_i,
  output logic                        idle_o,
  input  wire logic [127:0]           base_i,

  output logic                        req_valid_o,
  output logic      [AddressBits-1:0] req_address_o,
  input  wire logic                   r_valid_i,

  input  wire logic [1:0]             room_i,         // of the sinks
  output logic      [1:0]             word_valid_o,
  output logic      [15:0]            word_address_o, // of the buffer

  output logic                        retire_o,
  output logic                        illegal_o,
  output logic      [15:0]            address_o       // of the instruction, in units of 16 bytes
);

  if (AddressBits < 12 || AddressBits > 20) begin : gen_parameters
    $error("esp_compact_load: AddressBits is 12 to 20");
  end

  typedef enum logic [1:0] {StIdle, StStart, StRun, StHalt} state_e;

  state_e              state_q;
  logic [255:0]        inst;
  esp_isa_pkg::load_t  load;
  logic                illegal, sink, last, step, retire_q;
  logic [15:0]         to_q;
  logic [31:0]         base;

  // The last halfword is not part of the instruction but its address.
  esp_compact_head #(.Bits(256), .Halfwords(16)) u_head (
    .clk_i, .valid_i(field_valid_i), .index_i(field_index_i), .data_i(field_data_i), .inst_o(inst)
  );

  assign load = inst;
  assign address_o = inst[255:240];
  assign base = base_i[32*load.region[1:0] +: 32];
  assign sink = Ring && load.target[0];
  assign illegal = (load.target[0] && !Ring) || load.target[2] || load.region[2]
                || load.offset[0] || load.y_stride[0] || load.z_stride[0];
  assign illegal_o = state_q == StStart && illegal;
  assign idle_o = state_q == StIdle;
  assign req_valid_o = state_q == StRun && (sink ? room_i[1] : room_i[0]) && !halt_i;
  assign step = state_q == StRun && r_valid_i;
  assign word_valid_o[0] = step && !sink;
  assign word_valid_o[1] = step && sink;
  assign word_address_o = to_q;
  assign retire_o = retire_q;

  esp_compact_walk #(.AddressBits(AddressBits)) u_walk (
    .clk_i, .load_i(state_q == StStart),
    .base_i(base[AddressBits-1:0]), .offset_i(load.offset[AddressBits-1:0]),
    .x_words_i(load.x_words), .y_count_i(load.y_count), .z_count_i(load.z_count),
    .y_stride_i(load.y_stride[AddressBits-1:0]), .z_stride_i(load.z_stride[AddressBits-1:0]),
    .step_i(step), .address_o(req_address_o), .last_o(last)
  );

  `ESP_FFC(clear_i, begin
    state_q <= StIdle;
    retire_q <= 1'b0;
  end) begin
    retire_q <= step && last;
    case (state_q)
      StIdle: if (start_i) state_q <= StStart;
      StStart: state_q <= illegal ? StHalt : StRun;
      StRun: if (step && last) state_q <= StIdle;
      default: ;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (state_q == StStart) to_q <= load.sram_address;
    else if (step) to_q <= to_q + 1'b1;
  end

  `ESP_ASSERT(steps_apart, !step || !$past(step || state_q == StStart))

  // Header fields are the front's; addresses above AddressBits wrap.
  logic unused;
  assign unused = ^{load, base, base_i};

endmodule

`default_nettype wire
