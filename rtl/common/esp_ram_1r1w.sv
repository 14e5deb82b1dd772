// A RAM with one write port and one read port, on one clock.
//
// Latency: rdata_o holds the word one cycle after re_i, until the next re_i. Throughput: one read
// and one write a cycle. A read of the word being written in the same cycle gives the old one in
// simulation; hardware may give anything, so callers avoid it. No reset: contents start undefined.
// Infers block RAM (distributed where small).

`default_nettype none

module esp_ram_1r1w #(
  parameter int unsigned Width = 32,
  parameter int unsigned Depth = 128,
  localparam int unsigned AddrBits = (Depth > 1) ? $clog2(Depth) : 1
) (
  input  wire logic                clk_i,
  input  wire logic                we_i,
  input  wire logic [AddrBits-1:0] waddr_i,
  input  wire logic [Width-1:0]    wdata_i,
  input  wire logic                re_i,
  input  wire logic [AddrBits-1:0] raddr_i,
  output logic      [Width-1:0]    rdata_o
);

  if (Width == 0 || Depth == 0) begin : gen_parameters
    $error("esp_ram_1r1w: Width and Depth are at least 1");
  end

  (* no_rw_check *)
  logic [Width-1:0] mem_q [Depth];

  always_ff @(posedge clk_i) begin
    if (we_i) mem_q[waddr_i] <= wdata_i;
    if (re_i) rdata_o <= mem_q[raddr_i];
  end

endmodule

`default_nettype wire
