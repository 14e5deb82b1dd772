// The machine as the verilated models have it: one configuration's top behind registers for its inputs.
//
// What is set at an input before a rising edge is seen by the machine in the cycle that the edge begins,
// so nothing but clocked logic depends on an input, and the simulator has nothing to evaluate where
// inputs change. Outputs come as the machine gives them. The reset takes a cycle to arrive too.
// ESP_TOP names the top; with ESP_MASKLESS its parameter Prune is clear. tb/machine.hpp drives it.

`default_nettype none

module esp_sim #(
  parameter int unsigned BusBytes = 16
) (
  input  wire logic clk_i,
  input  wire logic rst_ni,
  input  wire logic [11:0] s_axil_awaddr_i,
  input  wire logic s_axil_awvalid_i,
  input  wire logic [31:0] s_axil_wdata_i,
  input  wire logic [3:0] s_axil_wstrb_i,
  input  wire logic s_axil_wvalid_i,
  input  wire logic s_axil_bready_i,
  input  wire logic [11:0] s_axil_araddr_i,
  input  wire logic s_axil_arvalid_i,
  input  wire logic s_axil_rready_i,
  output logic s_axil_awready_o,
  output logic s_axil_wready_o,
  output logic [1:0] s_axil_bresp_o,
  output logic s_axil_bvalid_o,
  output logic s_axil_arready_o,
  output logic [31:0] s_axil_rdata_o,
  output logic [1:0] s_axil_rresp_o,
  output logic s_axil_rvalid_o,
  output logic [31:0] m_axi_araddr_o,
  output logic [7:0] m_axi_arlen_o,
  output logic [2:0] m_axi_arsize_o,
  output logic [1:0] m_axi_arburst_o,
  output logic m_axi_arvalid_o,
  output logic m_axi_rready_o,
  output logic [31:0] m_axi_awaddr_o,
  output logic [7:0] m_axi_awlen_o,
  output logic [2:0] m_axi_awsize_o,
  output logic [1:0] m_axi_awburst_o,
  output logic m_axi_awvalid_o,
  output logic [8*BusBytes-1:0] m_axi_wdata_o,
  output logic [BusBytes-1:0] m_axi_wstrb_o,
  output logic m_axi_wlast_o,
  output logic m_axi_wvalid_o,
  output logic m_axi_bready_o,
  input  wire logic m_axi_arready_i,
  input  wire logic [8*BusBytes-1:0] m_axi_rdata_i,
  input  wire logic [1:0] m_axi_rresp_i,
  input  wire logic m_axi_rlast_i,
  input  wire logic m_axi_rvalid_i,
  input  wire logic m_axi_awready_i,
  input  wire logic m_axi_wready_i,
  input  wire logic [1:0] m_axi_bresp_i,
  input  wire logic m_axi_bvalid_i,
  output logic irq_o,
  output logic [11:0] trace_layer_o,
  output logic trace_layer_valid_o,
  output logic [6:0] trace_retire_o,
  output logic trace_fed_o
);

  logic rst_nq;
  logic [11:0] s_axil_awaddr_q;
  logic s_axil_awvalid_q;
  logic [31:0] s_axil_wdata_q;
  logic [3:0] s_axil_wstrb_q;
  logic s_axil_wvalid_q;
  logic s_axil_bready_q;
  logic [11:0] s_axil_araddr_q;
  logic s_axil_arvalid_q;
  logic s_axil_rready_q;
  logic m_axi_arready_q;
  logic [8*BusBytes-1:0] m_axi_rdata_q;
  logic [1:0] m_axi_rresp_q;
  logic m_axi_rlast_q;
  logic m_axi_rvalid_q;
  logic m_axi_awready_q;
  logic m_axi_wready_q;
  logic [1:0] m_axi_bresp_q;
  logic m_axi_bvalid_q;

  always_ff @(posedge clk_i) begin
    rst_nq <= rst_ni;
    s_axil_awaddr_q <= s_axil_awaddr_i;
    s_axil_awvalid_q <= s_axil_awvalid_i;
    s_axil_wdata_q <= s_axil_wdata_i;
    s_axil_wstrb_q <= s_axil_wstrb_i;
    s_axil_wvalid_q <= s_axil_wvalid_i;
    s_axil_bready_q <= s_axil_bready_i;
    s_axil_araddr_q <= s_axil_araddr_i;
    s_axil_arvalid_q <= s_axil_arvalid_i;
    s_axil_rready_q <= s_axil_rready_i;
    m_axi_arready_q <= m_axi_arready_i;
    m_axi_rvalid_q <= m_axi_rvalid_i;
    m_axi_awready_q <= m_axi_awready_i;
    m_axi_wready_q <= m_axi_wready_i;
    m_axi_bresp_q <= m_axi_bresp_i;
    m_axi_bvalid_q <= m_axi_bvalid_i;
    if (m_axi_rvalid_i) begin
      m_axi_rdata_q <= m_axi_rdata_i;
      m_axi_rresp_q <= m_axi_rresp_i;
      m_axi_rlast_q <= m_axi_rlast_i;
    end
  end

  `ESP_TOP
`ifdef ESP_MASKLESS
  #(.Prune(1'b0))
`endif
  u_top (
    .clk_i,
    .rst_ni(rst_nq),
    .s_axil_awaddr_i(s_axil_awaddr_q),
    .s_axil_awvalid_i(s_axil_awvalid_q),
    .s_axil_wdata_i(s_axil_wdata_q),
    .s_axil_wstrb_i(s_axil_wstrb_q),
    .s_axil_wvalid_i(s_axil_wvalid_q),
    .s_axil_bready_i(s_axil_bready_q),
    .s_axil_araddr_i(s_axil_araddr_q),
    .s_axil_arvalid_i(s_axil_arvalid_q),
    .s_axil_rready_i(s_axil_rready_q),
    .s_axil_awready_o,
    .s_axil_wready_o,
    .s_axil_bresp_o,
    .s_axil_bvalid_o,
    .s_axil_arready_o,
    .s_axil_rdata_o,
    .s_axil_rresp_o,
    .s_axil_rvalid_o,
    .m_axi_araddr_o,
    .m_axi_arlen_o,
    .m_axi_arsize_o,
    .m_axi_arburst_o,
    .m_axi_arvalid_o,
    .m_axi_rready_o,
    .m_axi_awaddr_o,
    .m_axi_awlen_o,
    .m_axi_awsize_o,
    .m_axi_awburst_o,
    .m_axi_awvalid_o,
    .m_axi_wdata_o,
    .m_axi_wstrb_o,
    .m_axi_wlast_o,
    .m_axi_wvalid_o,
    .m_axi_bready_o,
    .m_axi_arready_i(m_axi_arready_q),
    .m_axi_rdata_i(m_axi_rdata_q),
    .m_axi_rresp_i(m_axi_rresp_q),
    .m_axi_rlast_i(m_axi_rlast_q),
    .m_axi_rvalid_i(m_axi_rvalid_q),
    .m_axi_awready_i(m_axi_awready_q),
    .m_axi_wready_i(m_axi_wready_q),
    .m_axi_bresp_i(m_axi_bresp_q),
    .m_axi_bvalid_i(m_axi_bvalid_q),
    .irq_o,
    .trace_layer_o,
    .trace_layer_valid_o,
    .trace_retire_o,
    .trace_fed_o
  );

endmodule

`default_nettype wire
