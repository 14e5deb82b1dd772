// The parameter ring: words of Lanes bytes go in, words of PostLanes channels come out.
//
// A block is 8 x Lanes bytes: channel c at byte 8c, bias then multiplier, little endian. Words are
// packed into rows of PostLanes channels (64 bits each, channel 0 lowest). `loaded_o` counts whole
// blocks written since clear, modulo twice the size. Data one cycle after the read enable.
// Implements docs/machine.md, section 5.

`default_nettype none
`include "esp_ff.svh"

module esp_par_ring #(
  parameter int unsigned Lanes = 4,
  parameter int unsigned PostLanes = 4,
  parameter int unsigned Blocks = 64,
  localparam int unsigned RowsPerBlock = Lanes / PostLanes,
  localparam int unsigned AddrBits = $clog2(Blocks * RowsPerBlock),
  localparam int unsigned CountBits = $clog2(Blocks) + 1
) (
  input  wire logic                    clk_i,
  input  wire logic                    rst_ni,
  input  wire logic                    clear_i,

  input  wire logic                    word_valid_i,
  input  wire logic [8*Lanes-1:0]      word_data_i,
  output logic      [CountBits-1:0]    loaded_o,

  input  wire logic                    ren_i,
  input  wire logic [AddrBits-1:0]     raddr_i,
  output logic      [64*PostLanes-1:0] rdata_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_parameters_0
    $error("esp_par_ring: Lanes is a power of two from 4 to 32");
  end
  if ((1 << $clog2(PostLanes)) != PostLanes || PostLanes > Lanes || Lanes >= 8 * PostLanes)
  begin : gen_parameters_1
    $error("esp_par_ring: PostLanes is a power of two, at most Lanes, and more than an eighth of it");
  end
  if ((1 << $clog2(Blocks)) != Blocks || Blocks < 2 || Blocks > 256) begin : gen_parameters_2
    $error("esp_par_ring: Blocks is a power of two from 2 to 256");
  end

  localparam int unsigned WordsPerRow = 8 * PostLanes / Lanes;
  localparam int unsigned PartBits = $clog2(WordsPerRow);
  localparam int unsigned RowBits = $clog2(RowsPerBlock);

  (* no_rw_check *)
  logic [64*PostLanes-1:0]             mem_q [Blocks*RowsPerBlock];
  logic [64*PostLanes-1:0]             rdata_q;
  logic [8*Lanes*(WordsPerRow-1)-1:0]  low_q;
  logic [PartBits-1:0]                 part_q;
  logic [AddrBits:0]                   rows_q;
  logic                                row_end;

  assign row_end = word_valid_i && part_q == '1;

  `ESP_FFC(clear_i, begin
    part_q <= '0;
    rows_q <= '0;
  end)
    if (word_valid_i) begin
      part_q <= part_q + 1'b1;
      if (row_end) rows_q <= rows_q + 1'b1;
    end

  // The first words of a row wait here, shifted in from the top.
  always_ff @(posedge clk_i) begin
    if (word_valid_i && !row_end) low_q <= (8*Lanes*(WordsPerRow-1))'({word_data_i, low_q} >> (8*Lanes));
  end

  always_ff @(posedge clk_i) begin
    if (row_end) mem_q[rows_q[AddrBits-1:0]] <= {word_data_i, low_q};
  end

  always_ff @(posedge clk_i) begin
    if (ren_i) rdata_q <= mem_q[raddr_i];
  end

  assign rdata_o = rdata_q;
  assign loaded_o = rows_q[AddrBits:RowBits];

endmodule

`default_nettype wire
