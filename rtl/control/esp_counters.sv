// The counters: 48 bits each, one a bit of events_i; those from Counters on read 0.
//
// Several: a counter is a total in a small memory and a few bits of its own that count the events
// since the total was last written. In turn, one counter a cycle, those bits are added to the total
// and start anew. A read borrows the cycle's turn and gives the sum, which is exact.
// One: a register.
// Latency: count_o is counter index_i's in the cycle of read_i, without the events of that cycle.
// A read in every second cycle at most, so that every turn comes in time.
// clear_i: all counters are zero from the next cycle on. Reset does the same.
// Implements docs/machine.md, section 5.

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_counters #(
  parameter int unsigned Counters = esp_isa_pkg::COUNTERS
) (
  input  wire logic                             clk_i,
  input  wire logic                             rst_ni,
  input  wire logic                             clear_i,
  input  wire logic [esp_isa_pkg::COUNTERS-1:0] events_i,
  input  wire logic                             read_i,
  input  wire logic [4:0]                       index_i,
  output logic      [47:0]                      count_o
);

  localparam int unsigned RecentBits = 6;  // holds the events of two rounds of turns

  if (Counters > 32 || 2 * Counters + 2 >= (1 << RecentBits)) begin : gen_illegal
    $error("esp_counters: turns come too late for RecentBits");
  end

  logic awake_q, clear;
  assign clear = clear_i || !awake_q;  // after reset, what has no reset of its own

  `ESP_FF(awake_q <= 1'b0;) awake_q <= 1'b1;

  if (Counters == 1) begin : gen_one
    logic [47:0] total_q;
    always_ff @(posedge clk_i) begin
      if (clear) total_q <= '0;
      else if (events_i[0]) total_q <= total_q + 1'b1;
    end
    assign count_o = (index_i == '0) ? total_q : '0;
    logic unused;
    assign unused = ^{read_i, events_i};
  end else begin : gen_several
    logic [47:0]           total_q [32];
    logic [4:0]            turn_q, served;
    logic                  first_round_q;  // totals from turn_q on are old: they count as zero
    logic                  old;
    (* mem2reg *)
    logic [RecentBits-1:0] recent_q [Counters];
    logic [RecentBits-1:0] taken;

    assign served = read_i ? index_i : turn_q;
    assign old = first_round_q && served >= turn_q;
    assign taken = recent_q[served];
    assign count_o = (served < 5'(Counters))
        ? 48'(taken) + (old ? '0 : total_q[served]) : '0;

    always_ff @(posedge clk_i) begin
      for (int c = 0; c < Counters; c++) begin
        if (clear) recent_q[c] <= '0;
        else if (!read_i && turn_q == 5'(c)) recent_q[c] <= RecentBits'(events_i[c]);
        else recent_q[c] <= recent_q[c] + RecentBits'(events_i[c]);
      end
    end

    `ESP_FFC(clear, begin
      turn_q <= '0;
      first_round_q <= 1'b1;
    end)
      if (!read_i) begin
        turn_q <= (turn_q == 5'(Counters - 1)) ? '0 : turn_q + 1'b1;
        if (turn_q == 5'(Counters - 1)) first_round_q <= 1'b0;
      end

    always_ff @(posedge clk_i) begin
      if (!read_i) total_q[turn_q] <= count_o;
    end

    logic unused_events;
    assign unused_events = ^events_i;

    `ESP_ASSERT(turns_in_time, served >= 5'(Counters) || taken != '1)
  end

endmodule

`default_nettype wire
