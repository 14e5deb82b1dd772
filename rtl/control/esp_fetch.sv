// Reads the program in bursts, up to 64 words of 128 bits ahead of the decoder.
//
// Starts at `start_i` with `program_words_i` words at `program_address_i` (a multiple of 16). A burst
// is at most 16 beats and 16 words and ends at a multiple of that, so that it crosses no 4 KiB line and those
// between the first and the last are whole; it is asked for when the FIFO has room for all of it, so that
// data are always taken. It is cut in one cycle, its end found in the next, both
// looked at in the third; then it is asked for. On a bus of two words a beat, a beat gives its words
// one a cycle, and the word before the program's first is skipped.
// `exhausted_o`: every word has been handed on. `three_o`: three words or more stand in the FIFO, or all that
// are left of the program. Both come a cycle late. Faults: a burst outside the read window, an error
// response; the address is that of the word, the engine 0. fault_o stands until clear; nothing more is asked
// for then. Implements docs/machine.md, sections 2 and 5.

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_fetch #(
  parameter int unsigned BusBytes = 4
) (
  input  wire logic                  clk_i,
  input  wire logic                  rst_ni,
  input  wire logic                  clear_i,
  input  wire logic                  halt_i,
  input  wire logic                  start_i,

  input  wire logic [31:0]           program_address_i,
  input  wire logic [31:0]           program_words_i,
  input  wire logic [31:0]           window_low_i,
  input  wire logic [31:0]           window_high_i,

  output logic                       req_valid_o,
  input  wire logic                  req_ready_i,
  output logic      [31:0]           req_address_o,
  output logic      [4:0]            req_beats_o,
  input  wire logic                  r_valid_i,
  output logic                       r_ready_o,
  input  wire logic [8*BusBytes-1:0] r_data_i,
  input  wire logic                  r_error_i,

  output logic                       word_valid_o,
  input  wire logic                  word_ready_i,
  output logic      [127:0]          word_o,
  output logic                       exhausted_o,
  output logic                       three_o,

  output logic                       fault_o,
  output logic      [3:0]            fault_cause_o,
  output logic      [31:0]           fault_address_o
);

  if ((1 << $clog2(BusBytes)) != BusBytes || BusBytes < 4 || BusBytes > 32) begin : gen_parameters
    $error("esp_fetch: BusBytes is a power of two from 4 to 32");
  end

  localparam int unsigned Depth = 64;
  localparam int unsigned DepthBits = $clog2(Depth) + 1;
  localparam int unsigned BurstWords = (BusBytes < 16) ? BusBytes : 16;
  localparam int unsigned WordBits = $clog2(BurstWords);
  localparam int unsigned Line = 4 + WordBits;   // address bits within a whole burst

  // Words still to ask for, and asked for but not yet handed on.
  logic [31:0]          addr_q, left_q, recv_addr_q;
  logic [DepthBits-1:0] ahead_q, level_q;     // level: words in the FIFO
  logic                 some_q;               // left_q is not 0
  logic                 last, last_q;         // the burst at addr_q is the last
  logic [WordBits-1:0]  first, end_q;         // places of its first word and its last in a whole burst
  logic [WordBits:0]    most, words;          // from the first one on; what it has
  logic [4:0]           words_q;
  logic                 cut_q, ended_q, seen_q;   // words_q is that; and end_q; and what is said of it
  logic                 in_window_q, room_q, fault_q;
  logic                 asked, asked_q, word_in, word_out, all_in;
  logic [127:0]         word;

  assign first = addr_q[4 +: WordBits];
  always_comb begin
    {most, last, words} = '0;
    if (`ESP_WHEN(!cut_q)) begin
      most = (WordBits+1)'(BurstWords) - (WordBits+1)'(first);
      last = left_q[31:WordBits+1] == '0 && left_q[WordBits:0] <= most;
      words = last ? left_q[WordBits:0] : most;
    end
  end

  assign req_valid_o = seen_q && in_window_q && room_q && !fault_q && !halt_i;
  assign asked = req_valid_o && req_ready_i;
  assign word_out = word_valid_o && word_ready_i;

  `ESP_FFC(clear_i || start_i, begin
    cut_q <= 1'b0;
    ended_q <= 1'b0;
    seen_q <= 1'b0;
    asked_q <= 1'b0;
  end) begin
    cut_q <= some_q && !asked;
    ended_q <= cut_q && !asked;
    seen_q <= ended_q && !asked;
    asked_q <= asked;
  end

  always_ff @(posedge clk_i) begin
    if (!cut_q) begin
      last_q <= last;
      words_q <= 5'(words);
    end
    if (!ended_q) end_q <= last_q ? first + words_q[WordBits-1:0] - 1'b1 : '1;
    if (!seen_q) begin
      in_window_q <= addr_q >= window_low_i && {addr_q[31:Line], end_q, 4'hf} < window_high_i;
    end
    room_q <= ahead_q <= DepthBits'(Depth - BurstWords);
  end

  if (BusBytes == 32) begin : gen_two
    assign req_address_o = {addr_q[31:5], 5'd0};
    assign req_beats_o = 5'((6'(words_q) + 6'(addr_q[4]) + 6'd1) >> 1);
    assign word = recv_addr_q[4] ? r_data_i[128 +: 128] : r_data_i[127:0];
    assign word_in = r_valid_i;
    logic [31:0] recv_left_q;   // words still to receive
    logic        one_q;         // that is 1
    `ESP_FFC(clear_i, begin
      recv_left_q <= '0;
      one_q <= 1'b0;
    end)
      if (start_i) begin
        recv_left_q <= program_words_i;
        one_q <= program_words_i == 32'd1;
      end else if (word_in) begin
        recv_left_q <= recv_left_q - 1'b1;
        one_q <= recv_left_q == 32'd2;
      end
    assign r_ready_o = recv_addr_q[4] || one_q;
  end else if (BusBytes == 16) begin : gen_one
    assign req_address_o = addr_q;
    assign req_beats_o = words_q;
    assign word = r_data_i;
    assign word_in = r_valid_i;
    assign r_ready_o = 1'b1;
  end else begin : gen_parts
    localparam int unsigned Parts = 16 / BusBytes;
    localparam int unsigned PartBits = $clog2(Parts);
    logic [PartBits-1:0]           part_q;
    logic [8*(16-BusBytes)-1:0]    low_q;
    assign req_address_o = addr_q;
    assign req_beats_o = 5'(words_q << PartBits);
    assign word = {r_data_i, low_q};
    assign word_in = r_valid_i && part_q == '1;
    assign r_ready_o = 1'b1;
    `ESP_FFC(clear_i, part_q <= '0;)
      if (r_valid_i) part_q <= part_q + 1'b1;
    always_ff @(posedge clk_i) begin
      if (r_valid_i) low_q <= (8*(16-BusBytes))'({r_data_i, low_q} >> (8*BusBytes));
    end
  end

  `ESP_FFC(clear_i, begin
    left_q <= '0;
    some_q <= 1'b0;
    ahead_q <= '0;
    level_q <= '0;
  end)
    if (start_i) begin
      left_q <= program_words_i;
      some_q <= program_words_i != '0;
    end else begin
      if (asked) begin
        left_q <= left_q - 32'(words_q);
        some_q <= !last_q;
      end
      if (word_in != word_out) level_q <= word_in ? level_q + 1'b1 : level_q - 1'b1;
      if (asked_q || word_out) begin
        ahead_q <= ahead_q + (asked_q ? DepthBits'(words_q) : '0) - DepthBits'(word_out);
      end
    end

  assign all_in = !some_q && !asked_q && ahead_q == level_q;

  // Late by a cycle: what they say to begin with is less than what is so.
  `ESP_FFC(clear_i || start_i, begin
    exhausted_o <= 1'b0;
    three_o <= 1'b0;
  end) begin
    exhausted_o <= !some_q && !asked_q && ahead_q == '0;
    three_o <= level_q >= DepthBits'(3) || all_in;
  end

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      addr_q <= program_address_i;
      recv_addr_q <= program_address_i;
    end else begin
      if (asked) addr_q <= {addr_q[31:Line] + 1'b1, (Line)'(0)};
      if (word_in) recv_addr_q <= recv_addr_q + 32'd16;
    end
  end

  logic                 fifo_ready;
  esp_fifo #(.Width(128), .Depth(Depth)) u_fifo (
    .clk_i, .rst_ni, .clear_i,
    .valid_i(word_in), .ready_o(fifo_ready), .data_i(word),
    .valid_o(word_valid_o), .ready_i(word_ready_i), .data_o(word_o)
  );

  logic        window_fault, response_fault, response_q;
  logic [31:0] response_address_q;
  assign window_fault = seen_q && !in_window_q;
  assign response_fault = r_valid_i && r_error_i;

  `ESP_FFC(clear_i, begin
    fault_q <= 1'b0;
    response_q <= 1'b0;
  end)
    if (!fault_q && (window_fault || response_fault)) begin
      fault_q <= 1'b1;
      response_q <= response_fault;
    end

  always_ff @(posedge clk_i) begin
    if (!fault_q) response_address_q <= recv_addr_q;
  end

  assign fault_o = fault_q;
  assign fault_cause_o = response_q ? esp_isa_pkg::FaultReadResponse : esp_isa_pkg::FaultReadWindow;
  assign fault_address_o = response_q ? response_address_q : addr_q;

  `ESP_ASSERT(room_for_every_word, !(word_in && !fifo_ready))
  `ESP_ASSERT(no_word_past_the_program,
              !(word_in && !halt_i && all_in))

  // Room is kept before words are asked for.
  logic unused;
  assign unused = fifo_ready;

endmodule

`default_nettype wire
