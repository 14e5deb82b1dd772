// The design on an iCE40 HX8K (breakout board: 12 MHz, FTDI serial port): PLL, reset, pins.
//
// The PLL makes 12 MHz x (DIVF + 1) / 2^DIVQ = 12 x 87 / 16 = 65.25 MHz; reset is released when it has
// locked and 16 cycles have gone. Serial port: 8N1, 115,200 baud (65,250,000 / 566).

`default_nettype none

module esp_ice40_top (
  input  wire logic clk_12m_i,
  input  wire logic uart_rx_i,
  output logic      uart_tx_o,
  output logic      led_irq_o,
  output logic      led_run_o
);

  logic       clk, locked;
  logic [4:0] reset_q = '0;

  SB_PLL40_CORE #(
    .FEEDBACK_PATH("SIMPLE"),
    .DIVR(4'd0),
    .DIVF(7'd86),
    .DIVQ(3'd4),
    .FILTER_RANGE(3'd1)
  ) u_pll (
    .REFERENCECLK(clk_12m_i), .PLLOUTCORE(), .PLLOUTGLOBAL(clk), .LOCK(locked),
    .RESETB(1'b1), .BYPASS(1'b0)
  );

  always_ff @(posedge clk) begin
    if (!locked) reset_q <= '0;
    else if (!reset_q[4]) reset_q <= reset_q + 1'b1;
  end

  esp_ice40_system #(.ClocksPerBit(566)) u_system (
    .clk_i(clk), .rst_ni(reset_q[4]), .rx_i(uart_rx_i), .tx_o(uart_tx_o), .irq_o(led_irq_o)
  );

  assign led_run_o = reset_q[4];

endmodule

`default_nettype wire
