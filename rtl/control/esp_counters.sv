// The counters: 48 bits each, one a bit of events_i; those from Counters on read 0.
//
// Several: a counter is a total in a small memory and a few bits of its own that count the events
// since the total was last written. In turn, one counter a cycle, those bits are taken and start anew, and a
// cycle later they are added to the total. A read stops the turns and gives the sum, which is exact. One: a
// register.
// read_i stands for two cycles at least, with index_i; in the cycle after them count_o is that counter's
// value, without the events of the last two cycles. Two cycles without read_i for each two with it at least,
// so that every turn comes in time.
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
    always_ff @(posedge clk_i) begin
      if (read_i) count_o <= (index_i == '0) ? total_q : '0;
    end
    logic unused;
    assign unused = ^{read_i, events_i};
  end else begin : gen_several
    logic [47:0]           total_q [32];
    logic [4:0]            turn_q, served, served_q;
    logic                  first_round_q;  // totals from turn_q on are old: they count as zero
    logic                  put_q;          // what was taken goes into the total
    localparam logic [31:0] ALL = 32'((33'd1 << Counters) - 33'd1);
    // Bit b of counter c is bit c of word b: one sum of all counters is a few operations on words.
    logic [32*RecentBits-1:0] recent_q, recent_d;
    logic [31:0]           carry, kept, word;
    logic [RecentBits-1:0] recent, taken_q;   // of the counter served
    logic [47:0]           base_q, sum;

    assign served = read_i ? index_i : turn_q;
    assign sum = 48'(taken_q) + base_q;
    assign count_o = sum;

    assign kept = clear ? '0 : ALL & (read_i ? '1 : ~(32'd1 << turn_q));

    always_comb begin
      carry = clear ? '0 : 32'(events_i);
      {recent, recent_d, word} = '0;
      for (int b = 0; b < RecentBits; b++) begin
        word = recent_q[32*b +: 32];
        recent_d[32*b +: 32] = (word & kept) ^ carry;
        carry = carry & word & kept;
        recent[b] = word[served];
      end
    end

    always_ff @(posedge clk_i) recent_q <= recent_d;

    always_ff @(posedge clk_i) begin
      served_q <= served;
      taken_q <= recent;
      base_q <= (served < 5'(Counters) && !(first_round_q && served >= turn_q)) ? total_q[served] : '0;
      if (put_q) total_q[served_q] <= sum;
    end

    `ESP_FFC(clear, begin
      turn_q <= '0;
      first_round_q <= 1'b1;
      put_q <= 1'b0;
    end) begin
      put_q <= !read_i;
      if (!read_i) begin
        turn_q <= (turn_q == 5'(Counters - 1)) ? '0 : turn_q + 1'b1;
        if (turn_q == 5'(Counters - 1)) first_round_q <= 1'b0;
      end
    end

    logic unused_events;
    assign unused_events = ^events_i;

    `ESP_ASSERT(turns_in_time, recent != '1)
  end

endmodule

`default_nettype wire
