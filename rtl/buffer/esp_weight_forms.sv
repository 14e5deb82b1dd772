// Makes words of the weight ring of what LOADs bring, by their form: as it comes, or with weights left out.
//
//   plain     weights; row k gets index k modulo 4
//   indexed   of each five words the first holds the indices of the other four, the first of them lowest
//   bits      a bit a weight for the words masked or selected to come, the first word's lowest: kept here
//   masked    weights of which those with bit 0 become 0, with the indices of plain ones
//   selected  pairs of words: of each four weights of both stay at most two, in one word with their indices
//
// `word_valid_o`, `word_data_o` and `index_o` are a word of the ring, in the cycle in which the last word
// that it is made of comes. `dropped_o` counts words that make none since clear, modulo twice the ring's
// size: their room is free again. Of four bits the lowest of 0 to 2 and the highest of 1 to 3 stay, the
// latter if it is another one. A LOAD of bits begins anew; BitWords words at most are kept.
// Implements docs/fine.md, section 3.

`default_nettype none
`include "esp_ff.svh"

module esp_weight_forms #(
  parameter int unsigned Lanes = 4,
  parameter int unsigned Words = 1024,     // of the ring
  parameter int unsigned BitWords = 64,
  localparam int unsigned AddrBits = $clog2(Words)
) (
  input  wire logic                clk_i,
  input  wire logic                rst_ni,
  input  wire logic                clear_i,

  input  wire logic                word_valid_i,
  input  wire logic [2:0]          word_form_i,
  input  wire logic                word_last_i,     // of its LOAD
  input  wire logic [8*Lanes-1:0]  word_data_i,

  output logic                     word_valid_o,
  output logic      [8*Lanes-1:0]  word_data_o,
  output logic      [2*Lanes-1:0]  index_o,
  output logic      [AddrBits:0]   dropped_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_parameters_0
    $error("esp_weight_forms: Lanes is a power of two from 4 to 32");
  end
  if ((1 << $clog2(Words)) != Words || Words < 2 || Words > 65536) begin : gen_parameters_1
    $error("esp_weight_forms: Words is a power of two from 2 to 65536");
  end
  if ((1 << $clog2(BitWords)) != BitWords || BitWords < 2 || BitWords > 1024) begin : gen_parameters_2
    $error("esp_weight_forms: BitWords is a power of two from 2 to 1024");
  end

  localparam int unsigned BitBits = $clog2(BitWords);
  localparam int unsigned Fours = Lanes / 4;

  logic indexed, bits, masked, selected, first, made;
  assign indexed = word_form_i == esp_isa_pkg::FormIndexed;
  assign bits = word_form_i == esp_isa_pkg::FormBits;
  assign masked = word_form_i == esp_isa_pkg::FormMasked;
  assign selected = word_form_i == esp_isa_pkg::FormSelected;

  // Indexed: the indices of the words to come, the next one's lowest.
  logic [8*Lanes-1:0] rest_q;
  logic [2:0]         part_q;      // words of five that are there
  assign first = part_q == '0;

  // Bits: `bits_q` are those of the word that is next.
  logic [8*Lanes-1:0] mem_q [BitWords];
  logic [8*Lanes-1:0] bit_word;
  logic [Lanes-1:0]   bits_q;
  logic [BitBits-1:0] to_q;
  logic [BitBits+2:0] next_q;      // of the word after it
  logic               takes_bits, uses_bits;
  assign takes_bits = word_valid_i && bits;
  assign uses_bits = word_valid_i && (masked || selected);
  assign bit_word = mem_q[next_q[BitBits+2:3]];

  always_ff @(posedge clk_i) begin
    if (takes_bits) mem_q[to_q] <= word_data_i;
  end

  `ESP_FFC(clear_i, begin
    to_q <= '0;
    next_q <= '0;
    bits_q <= '0;
  end) begin
    if (takes_bits) to_q <= word_last_i ? '0 : to_q + 1'b1;
    if (takes_bits && to_q == '0) begin
      next_q <= (BitBits+3)'(1);
      bits_q <= word_data_i[Lanes-1:0];
    end else if (uses_bits) begin
      next_q <= next_q + 1'b1;
      bits_q <= bit_word[Lanes*next_q[2:0] +: Lanes];
    end
  end

  // Selected: of each four the two that stay, and their indices. A slot without one: weight 0.
  logic [16*Fours-1:0] two, two_q;
  logic [4*Fours-1:0]  code, code_q;
  logic                second_q;
  for (genvar g = 0; g < Fours; g++) begin : gen_four
    logic [3:0]  b;
    logic [1:0]  low, high;      // 3: none; 0: none
    logic [31:0] four;
    assign b = bits_q[4*g +: 4];
    assign four = word_data_i[32*g +: 32];
    assign low = b[0] ? 2'd0 : b[1] ? 2'd1 : b[2] ? 2'd2 : 2'd3;
    assign high = b[3] ? 2'd3 : (b[2] && b[1:0] != '0) ? 2'd2 : (b[1:0] == '1) ? 2'd1 : 2'd0;
    assign code[4*g +: 4] = {high, low};
    assign two[16*g +: 8] = (low == 2'd3) ? '0 : four[8*low +: 8];
    assign two[16*g+8 +: 8] = (high == 2'd0) ? '0 : four[8*high +: 8];
  end

  for (genvar g = 0; g < Fours; g++) begin : gen_out
    for (genvar k = 0; k < 4; k++) begin : gen_row
      localparam int unsigned Row = 4 * g + k;
      logic [7:0] weight;
      logic [1:0] index;
      assign weight = (k < 2) ? two_q[16*g + 8*(k % 2) +: 8] : two[16*g + 8*(k % 2) +: 8];
      assign index = (k < 2) ? code_q[4*g + 2*(k % 2) +: 2] : code[4*g + 2*(k % 2) +: 2];
      assign word_data_o[8*Row +: 8] = selected ? weight
                                     : (masked && !bits_q[Row]) ? '0 : word_data_i[8*Row +: 8];
      assign index_o[2*Row +: 2] = selected ? index : indexed ? rest_q[2*Row +: 2] : 2'(k);
    end
  end

  assign made = !bits && !(indexed && first) && !(selected && !second_q);
  assign word_valid_o = word_valid_i && made;

  logic [AddrBits:0] dropped_q;
  assign dropped_o = dropped_q;

  `ESP_FFC(clear_i, begin
    part_q <= '0;
    second_q <= 1'b0;
    dropped_q <= '0;
  end)
    if (word_valid_i) begin
      if (indexed) part_q <= part_q[2] ? '0 : part_q + 1'b1;
      if (selected) second_q <= !second_q;
      if (!made) dropped_q <= dropped_q + 1'b1;
    end

  always_ff @(posedge clk_i) begin
    if (word_valid_i && indexed) rest_q <= first ? word_data_i : rest_q >> (2 * Lanes);
    if (word_valid_i && selected) begin
      two_q <= two;
      code_q <= code;
    end
  end

endmodule

`default_nettype wire
