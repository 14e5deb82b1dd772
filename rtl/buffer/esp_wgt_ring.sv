// The weight ring: words go in at the head, are read anywhere by ring position.
//
// `loaded_o` counts the words written since clear, modulo twice the size; a written word can be read
// from the next cycle on. Data one cycle after the read enable. Room is the writer's business.
// Implements docs/machine.md, section 5.

`default_nettype none
`include "esp_ff.svh"

module esp_wgt_ring #(
  parameter int unsigned Lanes = 4,
  parameter int unsigned Words = 1024,
  localparam int unsigned AddrBits = $clog2(Words)
) (
  input  wire logic                clk_i,
  input  wire logic                rst_ni,
  input  wire logic                clear_i,

  input  wire logic                word_valid_i,
  input  wire logic [8*Lanes-1:0]  word_data_i,
  output logic      [AddrBits:0]   loaded_o,

  input  wire logic                ren_i,
  input  wire logic [AddrBits-1:0] raddr_i,
  output logic      [8*Lanes-1:0]  rdata_o
);

  if (Lanes == 0) begin : gen_parameters_0
    $error("esp_wgt_ring: Lanes is at least 1");
  end
  if ((1 << $clog2(Words)) != Words || Words < 2 || Words > 65536) begin : gen_parameters_1
    $error("esp_wgt_ring: Words is a power of two from 2 to 65536");
  end

  (* no_rw_check *)
  logic [8*Lanes-1:0] mem_q [Words];
  logic [8*Lanes-1:0] rdata_q;
  logic [AddrBits:0]  loaded_q;

  `ESP_FFC(clear_i, loaded_q <= '0;)
    if (word_valid_i) loaded_q <= loaded_q + 1'b1;

  always_ff @(posedge clk_i) begin
    if (word_valid_i) mem_q[loaded_q[AddrBits-1:0]] <= word_data_i;
  end

  always_ff @(posedge clk_i) begin
    if (ren_i) rdata_q <= mem_q[raddr_i];
  end

  assign loaded_o = loaded_q;
  assign rdata_o = rdata_q;

endmodule

`default_nettype wire
