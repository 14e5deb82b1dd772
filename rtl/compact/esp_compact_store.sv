// Executes STOREs of the compact core: the words that post delivers, each a write of one beat.
//
// The instruction comes by esp_compact_head's halfwords, then start_i. A word is taken from the
// stream when its write has been answered; in the cycle after, the next address meets the window. retire_o
// pulses a cycle after the last answer.
// Faults: a word outside the window (not written), an error response; an offset or stride that is no
// multiple of a word, or a source other than post, is an illegal field. After a fault the engine
// stands until clear_i; a write under way is finished first (quiet_o). Implements docs/ice40.md.

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_compact_store #(
  parameter int unsigned AddressBits = 20
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
  input  wire logic [AddressBits:0]   window_low_i,
  input  wire logic [AddressBits:0]   window_high_i,

  input  wire logic                   word_valid_i,
  output logic                        word_ready_o,

  output logic                        retire_o,
  output logic                        illegal_o,
  output logic                        fault_o,
  output logic      [3:0]             fault_cause_o,
  output logic      [15:0]            address_o,      // of the instruction, in units of 16 bytes
  output logic                        quiet_o,
  output logic                        beat_o,

  output logic      [AddressBits-1:0] awaddr_o,
  output logic                        awvalid_o,
  input  wire logic                   awready_i,
  output logic                        wvalid_o,
  input  wire logic                   wready_i,
  input  wire logic [1:0]             bresp_i,
  input  wire logic                   bvalid_i
);

  if (AddressBits < 12 || AddressBits > 20) begin : gen_parameters
    $error("esp_compact_store: AddressBits is 12 to 20");
  end

  typedef enum logic [2:0] {StIdle, StStart, StCheck, StRun, StWrite, StHalt} state_e;

  state_e               state_q;
  logic [255:0]         inst;
  esp_isa_pkg::store_t  store;
  logic                 illegal, last, in_window_q, send, answered, retire_q;
  logic                 aw_valid_q, w_valid_q, under_way_q;
  logic [31:0]          base;

  esp_compact_head #(.Bits(256), .Halfwords(16)) u_head (
    .clk_i, .valid_i(field_valid_i), .index_i(field_index_i), .data_i(field_data_i), .inst_o(inst)
  );

  assign store = inst;
  assign address_o = inst[255:240];
  assign base = base_i[32*store.region +: 32];
  assign illegal = store.source[0] || store.offset[0] || store.y_stride[0] || store.z_stride[0];
  assign illegal_o = state_q == StStart && illegal;
  assign idle_o = state_q == StIdle;

  esp_compact_walk #(.AddressBits(AddressBits)) u_walk (
    .clk_i, .load_i(state_q == StStart),
    .base_i(base[AddressBits-1:0]), .offset_i(store.offset[AddressBits-1:0]),
    .x_words_i(store.x_words), .y_count_i(store.y_count), .z_count_i(store.z_count),
    .y_stride_i(store.y_stride[AddressBits-1:0]), .z_stride_i(store.z_stride[AddressBits-1:0]),
    .step_i(answered), .address_o(awaddr_o), .last_o(last)
  );

  // Addresses are even: base registers hold multiples of 32.
  always_ff @(posedge clk_i) begin
    in_window_q <= {1'b0, awaddr_o} >= window_low_i
                && {1'b0, awaddr_o[AddressBits-1:1], 1'b1} < window_high_i;
  end
  assign send = state_q == StRun && word_valid_i && in_window_q && !halt_i;
  assign answered = state_q == StWrite && bvalid_i;
  assign word_ready_o = answered;
  assign awvalid_o = aw_valid_q;
  assign wvalid_o = w_valid_q;
  assign beat_o = w_valid_q && wready_i;
  assign quiet_o = !under_way_q;
  assign retire_o = retire_q;

  assign fault_o = (state_q == StRun && word_valid_i && !in_window_q)
                || (bvalid_i && under_way_q && bresp_i != 2'b00);
  assign fault_cause_o = (state_q == StRun) ? esp_isa_pkg::FaultWriteWindow
                                            : esp_isa_pkg::FaultWriteResponse;

  `ESP_FFC(clear_i, begin
    state_q <= StIdle;
    retire_q <= 1'b0;
  end) begin
    retire_q <= answered && last && !fault_o;
    case (state_q)
      StIdle: if (start_i) state_q <= StStart;
      StStart: state_q <= illegal ? StHalt : StCheck;
      StCheck: state_q <= StRun;
      StRun: begin
        if (fault_o) state_q <= StHalt;
        else if (send) state_q <= StWrite;
      end
      StWrite: if (answered) state_q <= fault_o ? StHalt : last ? StIdle : StCheck;
      default: ;
    endcase
  end

  // Not cleared: a write under way is finished whatever happens.
  `ESP_FF(begin
    aw_valid_q <= 1'b0;
    w_valid_q <= 1'b0;
    under_way_q <= 1'b0;
  end) begin
    if (send) begin
      aw_valid_q <= 1'b1;
      w_valid_q <= 1'b1;
      under_way_q <= 1'b1;
    end else begin
      if (awready_i) aw_valid_q <= 1'b0;
      if (wready_i) w_valid_q <= 1'b0;
      if (bvalid_i) under_way_q <= 1'b0;
    end
  end

  `ESP_ASSERT(steps_apart, !answered || !$past(answered || state_q == StStart))

  // Header fields are the front's; addresses above AddressBits wrap.
  logic unused;
  assign unused = ^{store, base, base_i};

endmodule

`default_nettype wire
