// The indices beside the words of the weight ring: 2 bits a row.
//
// Words for the ring come plain, and row k gets index k modulo 4; or indexed, and of each five the first
// holds the indices of the other four, the first of them lowest. Those four go on to the weight ring in their
// cycle (word_valid_o), as plain words do. `dropped_o` counts words of indices since clear, modulo twice the
// ring's size: their room is free again. A word's indices lie at the address that it has in the ring
// (loaded_i); data one cycle after the read enable.
// Implements docs/fine.md, section 3.

`default_nettype none
`include "esp_ff.svh"

module esp_index_ring #(
  parameter int unsigned Lanes = 4,
  parameter int unsigned Words = 1024,
  localparam int unsigned AddrBits = $clog2(Words)
) (
  input  wire logic                clk_i,
  input  wire logic                rst_ni,
  input  wire logic                clear_i,

  input  wire logic                word_valid_i,
  input  wire logic                word_indexed_i,
  input  wire logic [8*Lanes-1:0]  word_data_i,
  output logic                     word_valid_o,
  input  wire logic [AddrBits-1:0] loaded_i,
  output logic      [AddrBits:0]   dropped_o,

  input  wire logic                ren_i,
  input  wire logic [AddrBits-1:0] raddr_i,
  output logic      [2*Lanes-1:0]  index_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_parameters_0
    $error("esp_index_ring: Lanes is a power of two from 4 to 32");
  end
  if ((1 << $clog2(Words)) != Words || Words < 2 || Words > 65536) begin : gen_parameters_1
    $error("esp_index_ring: Words is a power of two from 2 to 65536");
  end

  (* no_rw_check *)
  logic [2*Lanes-1:0] mem_q [Words];
  logic [2*Lanes-1:0] index_q, index, plain;
  logic [8*Lanes-1:0] rest_q;       // indices of the words to come, the next one's lowest
  logic [2:0]         part_q;       // words of five that are there
  logic [AddrBits:0]  dropped_q;
  logic               takes, first;

  for (genvar k = 0; k < Lanes; k++) begin : gen_plain
    assign plain[2*k +: 2] = 2'(k);
  end

  assign takes = word_valid_i && word_indexed_i;
  assign first = part_q == '0;
  assign index = word_indexed_i ? rest_q[2*Lanes-1:0] : plain;
  assign word_valid_o = word_valid_i && !(word_indexed_i && first);

  `ESP_FFC(clear_i, begin
    part_q <= '0;
    dropped_q <= '0;
  end)
    if (takes) begin
      part_q <= part_q[2] ? '0 : part_q + 1'b1;
      if (first) dropped_q <= dropped_q + 1'b1;
    end

  always_ff @(posedge clk_i) begin
    if (takes) rest_q <= first ? word_data_i : rest_q >> (2 * Lanes);
  end

  always_ff @(posedge clk_i) begin
    if (word_valid_o) mem_q[loaded_i] <= index;
  end

  always_ff @(posedge clk_i) begin
    if (ren_i) index_q <= mem_q[raddr_i];
  end

  assign dropped_o = dropped_q;
  assign index_o = index_q;

endmodule

`default_nettype wire
