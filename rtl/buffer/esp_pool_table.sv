// The pool table: 128 fp32 multipliers, written by words of Lanes / 4 entries, one entry a cycle.
//
// A word is taken when its entries start to be written; the next one when the last is. Data one
// cycle after the read enable.
// Implements docs/machine.md, sections 1 and 4.

`default_nettype none
`include "esp_ff.svh"

module esp_pool_table #(
  parameter int unsigned Lanes = 4
) (
  input  wire logic               clk_i,
  input  wire logic               rst_ni,
  input  wire logic               clear_i,

  input  wire logic               word_valid_i,
  output logic                    word_ready_o,
  input  wire logic [6:0]         word_addr_i,    // of the first entry
  input  wire logic [8*Lanes-1:0] word_data_i,

  input  wire logic               ren_i,
  input  wire logic [6:0]         raddr_i,
  output logic      [31:0]        rdata_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_parameters
    $error("esp_pool_table: Lanes is a power of two from 4 to 32");
  end

  localparam int unsigned Entries = Lanes / 4;

  (* no_rw_check *)
  logic [31:0] mem_q [128];
  logic [31:0] rdata_q, entry;
  logic [6:0]  addr;

  if (Entries == 1) begin : gen_single
    assign word_ready_o = 1'b1;
    assign entry = word_data_i;
    assign addr = word_addr_i;
    logic unused;
    assign unused = rst_ni && clear_i;
  end else begin : gen_several
    localparam int unsigned Bits = $clog2(Entries);
    logic [Bits-1:0] part_q;
    `ESP_FFC(clear_i, part_q <= '0;)
      if (word_valid_i) part_q <= part_q + 1'b1;
    assign word_ready_o = part_q == '1;
    assign entry = word_data_i[part_q*32 +: 32];
    assign addr = word_addr_i + 7'(part_q);
  end

  always_ff @(posedge clk_i) begin
    if (word_valid_i) mem_q[addr] <= entry;
  end

  always_ff @(posedge clk_i) begin
    if (ren_i) rdata_q <= mem_q[raddr_i];
  end

  assign rdata_o = rdata_q;

endmodule

`default_nettype wire
