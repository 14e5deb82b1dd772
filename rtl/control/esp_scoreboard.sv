// Counts the instructions that each engine was given and has retired, modulo 2^16.
//
// Counts show one cycle after the pulse. `idle_o`: every engine has retired what it was given, two cycles
// after it. Engine e stands at bits 16e of `retired_o`; engine 0 does not exist and stays 0. Implements
// docs/machine.md, section 2.

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_scoreboard (
  input  wire logic         clk_i,
  input  wire logic         rst_ni,
  input  wire logic         clear_i,
  input  wire logic [esp_isa_pkg::ENGINES-1:0] dispatch_i,
  input  wire logic [esp_isa_pkg::ENGINES-1:0] retire_i,
  output logic      [127:0] retired_o,
  output logic              idle_o
);

  localparam int unsigned CountBits = esp_isa_pkg::COUNT_BITS;
  localparam int unsigned PendingBits = 6;  // an engine and its queue hold less than 63 instructions

  logic [esp_isa_pkg::ENGINES-1:1] engine_idle;

  assign retired_o[CountBits-1:0] = '0;
  assign retired_o[127:esp_isa_pkg::ENGINES*CountBits] = '0;

  `ESP_FFC(clear_i, idle_o <= 1'b0;) idle_o <= &engine_idle;

  for (genvar e = 1; e < esp_isa_pkg::ENGINES; e++) begin : gen_engine
    logic [CountBits-1:0]   retired_q;
    logic [PendingBits-1:0] pending_q;

    // A program starts by clear_i: nothing asks before.
    always_ff @(posedge clk_i) begin
      if (clear_i) retired_q <= '0;
      else if (retire_i[e]) retired_q <= retired_q + 1'b1;
    end

    `ESP_FFC(clear_i, pending_q <= '0;)
      if (retire_i[e] != dispatch_i[e]) begin
        pending_q <= dispatch_i[e] ? pending_q + 1'b1 : pending_q - 1'b1;
      end

    assign retired_o[e*CountBits +: CountBits] = retired_q;
    assign engine_idle[e] = pending_q == '0;

    `ESP_ASSERT(pending_in_range, pending_q != '1)
    `ESP_ASSERT(no_more_than_given, clear_i || !(retire_i[e] && !dispatch_i[e] && pending_q == '0))
  end

  // No engine has no counts.
  logic unused;
  assign unused = ^{dispatch_i[esp_isa_pkg::EngNone], retire_i[esp_isa_pkg::EngNone]};

endmodule

`default_nettype wire
