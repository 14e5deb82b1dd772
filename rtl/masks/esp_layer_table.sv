// The layer table: rows of 256 bits, and behind them the bit maps of PACK, 64 bits each. Written by
// words of Lanes bytes, read by words of Width bits.
//
// Width is that of a loaded word, 64 at least. A word is written in the cycle in which it is valid
// (with 4 lanes, two make one). Data one cycle after the read enable, held until the next.
// Implements docs/pack.md, sections 3 and 5.

`default_nettype none

module esp_layer_table #(
  parameter int unsigned Lanes = 16,
  parameter int unsigned Words = 512,          // of Width bits
  localparam int unsigned Width = (Lanes < 8) ? 64 : 8 * Lanes,
  localparam int unsigned AddrBits = $clog2(Words),
  localparam int unsigned Parts = Width / (8 * Lanes),
  localparam int unsigned PartBits = $clog2(Parts)
) (
  input  wire logic                         clk_i,

  input  wire logic                         word_valid_i,
  input  wire logic [AddrBits+PartBits-1:0] word_addr_i,   // in words of Lanes bytes
  input  wire logic [8*Lanes-1:0]           word_data_i,

  input  wire logic                         ren_i,
  input  wire logic [AddrBits-1:0]          raddr_i,
  output logic      [Width-1:0]             rdata_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_parameters_0
    $error("esp_layer_table: Lanes is a power of two from 4 to 32");
  end
  if (Words < 2) begin : gen_parameters_1
    $error("esp_layer_table: Words is at least 2");
  end

  logic             write;
  logic [Width-1:0] wdata;

  if (Parts == 1) begin : gen_whole
    assign write = word_valid_i;
    assign wdata = word_data_i;
  end else begin : gen_parts
    logic [Width-8*Lanes-1:0] low_q;
    always_ff @(posedge clk_i) begin
      if (word_valid_i) low_q <= (Width-8*Lanes)'({word_data_i, low_q} >> (8*Lanes));
    end
    assign write = word_valid_i && word_addr_i[PartBits-1:0] == '1;
    assign wdata = {word_data_i, low_q};
  end

  esp_ram_1r1w #(.Width(Width), .Depth(Words)) u_ram (
    .clk_i,
    .we_i(write), .waddr_i(word_addr_i[AddrBits+PartBits-1:PartBits]), .wdata_i(wdata),
    .re_i(ren_i), .raddr_i, .rdata_o
  );

endmodule

`default_nettype wire
