// The indices beside the words of the weight ring: 2 bits a row.
//
// A word's indices lie at the address that it has in the ring (loaded_i); data one cycle after the read
// enable.
// Implements docs/fine.md, section 3.

`default_nettype none
`include "esp_ff.svh"

module esp_index_ring #(
  parameter int unsigned Lanes = 4,
  parameter int unsigned Words = 1024,
  localparam int unsigned AddrBits = $clog2(Words)
) (
  input  wire logic                clk_i,

  input  wire logic                word_valid_i,
  input  wire logic [2*Lanes-1:0]  index_i,
  input  wire logic [AddrBits-1:0] loaded_i,

  input  wire logic                ren_i,
  input  wire logic [AddrBits-1:0] raddr_i,
  output logic      [2*Lanes-1:0]  index_o
);

  if (Lanes == 0) begin : gen_parameters_0
    $error("esp_index_ring: Lanes is at least 1");
  end
  if ((1 << $clog2(Words)) != Words || Words < 2 || Words > 65536) begin : gen_parameters_1
    $error("esp_index_ring: Words is a power of two from 2 to 65536");
  end

  (* no_rw_check *)
  logic [2*Lanes-1:0] mem_q [Words];
  logic [2*Lanes-1:0] index_q;

  always_ff @(posedge clk_i) begin
    if (word_valid_i) mem_q[loaded_i] <= index_i;
  end

  always_ff @(posedge clk_i) begin
    if (ren_i) index_q <= mem_q[raddr_i];
  end

  assign index_o = index_q;

endmodule

`default_nettype wire
