// The `tiny` configuration on an ECP5 with six pins: its ports hang on two shift registers, for AXI's
// ports are more than a package has pins, and a board's memory controller is not part of this.
// It is for placing, routing and timing the machine, and answers one register access at a time.
//
// While shift_i is high, sdi_i enters the input chain at its LSB end, a bit a cycle, and the output
// chain leaves at sdo_o, MSB first. load_i copies the input chain to the machine's inputs, where they
// stay, and the machine's outputs to the output chain. Every path into and out of the machine begins
// and ends in a register. Inputs from MSB to LSB: `inputs`; outputs: `outputs` below.
// Reset: rst_ni, asynchronous; clears the machine's inputs.
// Implements docs/boards.md (ECP5).

`default_nettype none

module esp_ecp5_top (
  input  wire logic clk_i,
  input  wire logic rst_ni,
  input  wire logic shift_i,
  input  wire logic load_i,
  input  wire logic sdi_i,
  output logic      sdo_o
);

  typedef struct packed {
    logic [11:0] awaddr;
    logic        awvalid;
    logic [31:0] wdata;
    logic [3:0]  wstrb;
    logic        wvalid;
    logic        bready;
    logic [11:0] araddr;
    logic        arvalid;
    logic        rready;
    logic        m_arready;
    logic [63:0] m_rdata;
    logic [1:0]  m_rresp;
    logic        m_rlast;
    logic        m_rvalid;
    logic        m_awready;
    logic        m_wready;
    logic [1:0]  m_bresp;
    logic        m_bvalid;
  } inputs_t;

  typedef struct packed {
    logic        awready;
    logic        wready;
    logic [1:0]  bresp;
    logic        bvalid;
    logic        arready;
    logic [31:0] rdata;
    logic [1:0]  rresp;
    logic        rvalid;
    logic        irq;
    logic [31:0] m_araddr;
    logic [7:0]  m_arlen;
    logic [2:0]  m_arsize;
    logic [1:0]  m_arburst;
    logic        m_arvalid;
    logic        m_rready;
    logic [31:0] m_awaddr;
    logic [7:0]  m_awlen;
    logic [2:0]  m_awsize;
    logic [1:0]  m_awburst;
    logic        m_awvalid;
    logic [63:0] m_wdata;
    logic [7:0]  m_wstrb;
    logic        m_wlast;
    logic        m_wvalid;
    logic        m_bready;
  } outputs_t;

  localparam int unsigned INPUTS = 139;
  localparam int unsigned OUTPUTS = 210;

  inputs_t            inputs;
  outputs_t           outputs;
  logic [INPUTS-1:0]  in_chain_q, inputs_q;
  logic [OUTPUTS-1:0] out_chain_q;

  assign inputs = inputs_q;
  assign sdo_o = out_chain_q[OUTPUTS-1];

  always_ff @(posedge clk_i) begin
    if (shift_i) begin
      in_chain_q <= {in_chain_q[INPUTS-2:0], sdi_i};
      out_chain_q <= {out_chain_q[OUTPUTS-2:0], 1'b0};
    end
    if (load_i) out_chain_q <= outputs;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) inputs_q <= '0;
    else if (load_i) inputs_q <= in_chain_q;
  end

  logic [11:0] unused_layer;
  logic [6:0]  unused_retire;
  logic        unused_valid, unused_fed, unused;
  assign unused = ^unused_layer ^ ^unused_retire ^ unused_valid ^ unused_fed;

  esp_top_tiny u_top (
    .clk_i              (clk_i),
    .rst_ni             (rst_ni),
    .s_axil_awaddr_i    (inputs.awaddr),
    .s_axil_awvalid_i   (inputs.awvalid),
    .s_axil_wdata_i     (inputs.wdata),
    .s_axil_wstrb_i     (inputs.wstrb),
    .s_axil_wvalid_i    (inputs.wvalid),
    .s_axil_bready_i    (inputs.bready),
    .s_axil_araddr_i    (inputs.araddr),
    .s_axil_arvalid_i   (inputs.arvalid),
    .s_axil_rready_i    (inputs.rready),
    .s_axil_awready_o   (outputs.awready),
    .s_axil_wready_o    (outputs.wready),
    .s_axil_bresp_o     (outputs.bresp),
    .s_axil_bvalid_o    (outputs.bvalid),
    .s_axil_arready_o   (outputs.arready),
    .s_axil_rdata_o     (outputs.rdata),
    .s_axil_rresp_o     (outputs.rresp),
    .s_axil_rvalid_o    (outputs.rvalid),
    .m_axi_araddr_o     (outputs.m_araddr),
    .m_axi_arlen_o      (outputs.m_arlen),
    .m_axi_arsize_o     (outputs.m_arsize),
    .m_axi_arburst_o    (outputs.m_arburst),
    .m_axi_arvalid_o    (outputs.m_arvalid),
    .m_axi_rready_o     (outputs.m_rready),
    .m_axi_awaddr_o     (outputs.m_awaddr),
    .m_axi_awlen_o      (outputs.m_awlen),
    .m_axi_awsize_o     (outputs.m_awsize),
    .m_axi_awburst_o    (outputs.m_awburst),
    .m_axi_awvalid_o    (outputs.m_awvalid),
    .m_axi_wdata_o      (outputs.m_wdata),
    .m_axi_wstrb_o      (outputs.m_wstrb),
    .m_axi_wlast_o      (outputs.m_wlast),
    .m_axi_wvalid_o     (outputs.m_wvalid),
    .m_axi_bready_o     (outputs.m_bready),
    .m_axi_arready_i    (inputs.m_arready),
    .m_axi_rdata_i      (inputs.m_rdata),
    .m_axi_rresp_i      (inputs.m_rresp),
    .m_axi_rlast_i      (inputs.m_rlast),
    .m_axi_rvalid_i     (inputs.m_rvalid),
    .m_axi_awready_i    (inputs.m_awready),
    .m_axi_wready_i     (inputs.m_wready),
    .m_axi_bresp_i      (inputs.m_bresp),
    .m_axi_bvalid_i     (inputs.m_bvalid),
    .irq_o              (outputs.irq),
    .trace_layer_o      (unused_layer),
    .trace_layer_valid_o(unused_valid),
    .trace_retire_o     (unused_retire),
    .trace_fed_o        (unused_fed)
  );

endmodule

`default_nettype wire
