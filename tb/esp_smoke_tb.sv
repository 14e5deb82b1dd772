// A test bench for any simulator: the `nano` configuration with a memory of its own runs a program of
// two instructions. Checks the identification, that fetch reads the program through AXI4, the
// interrupt, STATUS and the counter of instructions; prints PASS or stops with an error. `+opcode=N`
// replaces the first instruction's opcode: with one that does not exist the bench has to fail.
// The thorough tests are in tests/ and need Verilator.

`default_nettype none
`timescale 1ns / 1ps

module esp_smoke_tb;

  localparam int unsigned BEATS = 64;  // of the memory, 4 bytes each
  localparam int unsigned PATIENCE = 2000;

  logic        clk = 1'b0, rst_n = 1'b0, irq;
  logic [11:0] awaddr = '0, araddr = '0;
  logic [31:0] wdata = '0, rdata;
  logic        awvalid = 1'b0, wvalid = 1'b0, arvalid = 1'b0, awready, wready, bvalid, arready, rvalid;
  logic [1:0]  bresp, rresp;

  logic [31:0] m_araddr, m_rdata;
  logic [7:0]  m_arlen;
  logic        m_arvalid, m_arready, m_rready, m_rvalid, m_rlast, m_awvalid;

  always #5 clk = ~clk;

  esp_top_nano u_top (
    .clk_i              (clk),
    .rst_ni             (rst_n),
    .s_axil_awaddr_i    (awaddr),
    .s_axil_awvalid_i   (awvalid),
    .s_axil_wdata_i     (wdata),
    .s_axil_wstrb_i     (4'hF),
    .s_axil_wvalid_i    (wvalid),
    .s_axil_bready_i    (1'b1),
    .s_axil_araddr_i    (araddr),
    .s_axil_arvalid_i   (arvalid),
    .s_axil_rready_i    (1'b1),
    .s_axil_awready_o   (awready),
    .s_axil_wready_o    (wready),
    .s_axil_bresp_o     (bresp),
    .s_axil_bvalid_o    (bvalid),
    .s_axil_arready_o   (arready),
    .s_axil_rdata_o     (rdata),
    .s_axil_rresp_o     (rresp),
    .s_axil_rvalid_o    (rvalid),
    .m_axi_araddr_o     (m_araddr),
    .m_axi_arlen_o      (m_arlen),
    .m_axi_arsize_o     (),
    .m_axi_arburst_o    (),
    .m_axi_arvalid_o    (m_arvalid),
    .m_axi_rready_o     (m_rready),
    .m_axi_awaddr_o     (),
    .m_axi_awlen_o      (),
    .m_axi_awsize_o     (),
    .m_axi_awburst_o    (),
    .m_axi_awvalid_o    (m_awvalid),
    .m_axi_wdata_o      (),
    .m_axi_wstrb_o      (),
    .m_axi_wlast_o      (),
    .m_axi_wvalid_o     (),
    .m_axi_bready_o     (),
    .m_axi_arready_i    (m_arready),
    .m_axi_rdata_i      (m_rdata),
    .m_axi_rresp_i      (2'b00),
    .m_axi_rlast_i      (m_rlast),
    .m_axi_rvalid_i     (m_rvalid),
    .m_axi_awready_i    (1'b0),
    .m_axi_wready_i     (1'b0),
    .m_axi_bresp_i      (2'b00),
    .m_axi_bvalid_i     (1'b0),
    .irq_o              (irq),
    .trace_layer_o      (),
    .trace_layer_valid_o(),
    .trace_retire_o     (),
    .trace_fed_o        ()
  );

  // Memory: one burst at a time.
  logic [31:0] memory [BEATS];
  logic [7:0]  left_q;
  logic [31:0] address_q;
  logic        busy_q;

  assign m_arready = !busy_q;
  assign m_rvalid = busy_q;
  assign m_rlast = left_q == 8'd0;
  assign m_rdata = memory[address_q[7:2]];

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      busy_q <= 1'b0;
    end else if (!busy_q) begin
      busy_q <= m_arvalid;
      address_q <= m_araddr;
      left_q <= m_arlen;
    end else if (m_rready) begin
      busy_q <= !m_rlast;
      address_q <= address_q + 32'd4;
      left_q <= left_q - 8'd1;
    end
  end

  always_ff @(posedge clk) begin
    if (rst_n && m_awvalid) $fatal(1, "a program without STORE writes");
  end

  task automatic write(input logic [11:0] offset, input logic [31:0] value);
    @(negedge clk);
    awaddr = offset;
    wdata = value;
    awvalid = 1'b1;
    wvalid = 1'b1;
    do @(posedge clk); while (!(awready && wready));
    @(negedge clk);
    awvalid = 1'b0;
    wvalid = 1'b0;
    while (!bvalid) @(negedge clk);
    if (bresp != 2'b00) $fatal(1, "a write to %03h is answered by an error", offset);
    @(posedge clk);
  endtask

  task automatic read(input logic [11:0] offset, output logic [31:0] value);
    @(negedge clk);
    araddr = offset;
    arvalid = 1'b1;
    do @(posedge clk); while (!arready);
    @(negedge clk);
    arvalid = 1'b0;
    while (!rvalid) @(negedge clk);
    if (rresp != 2'b00) $fatal(1, "a read of %03h is answered by an error", offset);
    value = rdata;
    @(posedge clk);
  endtask

  task automatic expect_register(input logic [11:0] offset, input logic [31:0] wanted);
    logic [31:0] value;
    read(offset, value);
    if (value != wanted) $fatal(1, "register %03h reads %08h, not %08h", offset, value, wanted);
  endtask

  logic [31:0]          hash;
  int unsigned          cycles, opcode;
  esp_isa_pkg::nop_t    nop;
  esp_isa_pkg::header_t last;

  initial begin
    nop = '0;
    nop.opcode = esp_isa_pkg::OpNop;
    nop.length = 3'd1;
    nop.engine = esp_isa_pkg::EngLoadA;
    if ($value$plusargs("opcode=%d", opcode)) nop[5:0] = opcode[5:0];
    last = '0;
    last.opcode = esp_isa_pkg::OpEnd;
    last.length = 3'd1;
    for (int i = 0; i < BEATS; i++) memory[i] = '0;
    for (int i = 0; i < 4; i++) begin
      memory[i] = 32'(128'(nop) >> (32 * i));
      memory[4 + i] = 32'(128'(last) >> (32 * i));
    end
    repeat (3) @(negedge clk);
    rst_n = 1'b1;

    expect_register(esp_regs_pkg::ID, esp_regs_pkg::ID_VALUE);
    expect_register(esp_regs_pkg::VERSION, esp_isa_pkg::ISA_VERSION);
    read(esp_regs_pkg::CONFIG_HASH, hash);
    write(esp_regs_pkg::PROGRAM_HASH, hash);
    write(esp_regs_pkg::PROGRAM_ADDRESS, 32'd0);
    write(esp_regs_pkg::PROGRAM_WORDS, 32'd2);
    write(esp_regs_pkg::READ_LOW, 32'd0);
    write(esp_regs_pkg::READ_HIGH, 32'd4 * BEATS);
    write(esp_regs_pkg::IRQ_ENABLE, 32'd3);
    write(esp_regs_pkg::CONTROL, 32'd1);
    cycles = 0;
    while (!irq) begin
      @(negedge clk);
      cycles++;
      if (cycles > PATIENCE) $fatal(1, "no interrupt after %0d cycles", PATIENCE);
    end
    expect_register(esp_regs_pkg::IRQ_STATUS, 32'd1);
    expect_register(esp_regs_pkg::STATUS, 32'd2);  // done, no fault
    expect_register(esp_regs_pkg::COUNTERS_BASE + 12'(8 * esp_isa_pkg::CNT_INSTRUCTIONS), 32'd1);
    write(esp_regs_pkg::IRQ_STATUS, 32'd1);
    repeat (3) @(negedge clk);
    if (irq) $fatal(1, "the interrupt stays");
    $display("PASS: %0d cycles from start to interrupt", cycles);
    $finish;
  end

endmodule

`default_nettype wire
