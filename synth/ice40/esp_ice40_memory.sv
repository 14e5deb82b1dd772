// The machine's memory on the chip: Words halfwords behind AXI4 (bursts of one beat) and the host.
//
// The host goes first: host_wen_i / host_ren_i take their cycle, data of a read in the next one. AXI: a
// read is answered in the cycle after its address was taken; a write takes address and data together
// and is answered in the next cycle. What lies beyond the memory is answered by SLVERR.

`default_nettype none

module esp_ice40_memory #(
  parameter int unsigned Words = 4096,
  localparam int unsigned AddrBits = $clog2(Words)
) (
  input  wire logic                clk_i,
  input  wire logic                rst_ni,

  input  wire logic                host_ren_i,
  input  wire logic                host_wen_i,
  input  wire logic [AddrBits-1:0] host_addr_i,
  input  wire logic [15:0]         host_wdata_i,
  output logic      [15:0]         rdata_o,

  input  wire logic [31:0]         araddr_i,
  input  wire logic                arvalid_i,
  output logic                     arready_o,
  output logic      [1:0]          rresp_o,
  output logic                     rvalid_o,
  input  wire logic                rready_i,
  input  wire logic [31:0]         awaddr_i,
  input  wire logic                awvalid_i,
  output logic                     awready_o,
  input  wire logic [15:0]         wdata_i,
  input  wire logic                wvalid_i,
  output logic                     wready_o,
  output logic      [1:0]          bresp_o,
  output logic                     bvalid_o,
  input  wire logic                bready_i
);

  logic                read, write, r_error_q, b_error_q, write_past;
  logic [15:0]         host_rdata_q;
  logic [AddrBits-1:0] raddr, waddr;

  assign arready_o = !rvalid_o && !host_ren_i;
  assign read = arvalid_i && arready_o;
  assign awready_o = wvalid_i && awvalid_i && !bvalid_o && !host_wen_i;
  assign wready_o = awready_o;
  assign write = awready_o;
  assign write_past = awaddr_i[31:AddrBits+1] != '0;
  assign rresp_o = {r_error_q, 1'b0};
  assign bresp_o = {b_error_q, 1'b0};
  assign raddr = host_ren_i ? host_addr_i : araddr_i[AddrBits:1];
  assign waddr = host_wen_i ? host_addr_i : awaddr_i[AddrBits:1];
  assign rdata_o = host_rdata_q;

  (* no_rw_check *)
  logic [15:0] mem_q [Words];
  always_ff @(posedge clk_i) begin
    if (host_wen_i || (write && !write_past)) mem_q[waddr] <= host_wen_i ? host_wdata_i : wdata_i;
  end
  always_ff @(posedge clk_i) begin
    if (host_ren_i || read) host_rdata_q <= mem_q[raddr];
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      rvalid_o <= 1'b0;
      bvalid_o <= 1'b0;
      r_error_q <= 1'b0;
      b_error_q <= 1'b0;
    end else begin
      if (read) rvalid_o <= 1'b1;
      else if (rready_i) rvalid_o <= 1'b0;
      if (write) bvalid_o <= 1'b1;
      else if (bready_i) bvalid_o <= 1'b0;
      if (read) r_error_q <= araddr_i[31:AddrBits+1] != '0;
      if (write) b_error_q <= write_past;
    end
  end

  // Halfwords are whole.
  logic unused;
  assign unused = araddr_i[0] ^ awaddr_i[0];

endmodule

`default_nettype wire
