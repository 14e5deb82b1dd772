// A serial port, 8N1: bytes in and out, ClocksPerBit cycles a bit.
//
// rx_valid_o pulses with each byte received (no handshake: the receiver must keep up); a byte whose stop
// bit is 0 is dropped. tx_valid_i / tx_ready_o: a byte is taken when both are high, and ready falls until
// its stop bit has been sent. Reset: the line idles high.

`default_nettype none

module esp_uart #(
  parameter int unsigned ClocksPerBit = 434
) (
  input  wire logic       clk_i,
  input  wire logic       rst_ni,
  input  wire logic       rx_i,
  output logic            tx_o,
  output logic            rx_valid_o,
  output logic      [7:0] rx_data_o,
  input  wire logic       tx_valid_i,
  output logic            tx_ready_o,
  input  wire logic [7:0] tx_data_i
);

  localparam int unsigned TimeBits = $clog2(ClocksPerBit);

  // Receiver: start bit found, then a sample in the middle of each bit.
  logic [2:0]          line_q;
  logic [TimeBits-1:0] rx_time_q;
  logic [3:0]          rx_left_q;   // bits to come, 0: idle; 9 while the start bit lasts
  logic [7:0]          rx_shift_q;

  assign rx_data_o = rx_shift_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      line_q <= '1;
      rx_time_q <= '0;
      rx_left_q <= '0;
      rx_valid_o <= 1'b0;
    end else begin
      line_q <= {line_q[1:0], rx_i};
      rx_valid_o <= 1'b0;
      if (rx_left_q == '0) begin
        rx_time_q <= TimeBits'(ClocksPerBit / 2);
        if (!line_q[2]) rx_left_q <= 4'd10;
      end else if (rx_time_q != '0) begin
        rx_time_q <= rx_time_q - 1'b1;
      end else begin
        rx_time_q <= TimeBits'(ClocksPerBit - 1);
        rx_left_q <= rx_left_q - 1'b1;
        if (rx_left_q == 4'd10 && line_q[2]) rx_left_q <= '0;   // no start bit after all
        if (rx_left_q == 4'd1) rx_valid_o <= line_q[2];
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (rx_left_q > 4'd1 && rx_left_q < 4'd10 && rx_time_q == '0) begin
      rx_shift_q <= {line_q[2], rx_shift_q[7:1]};
    end
  end

  // Transmitter: start, eight bits, stop.
  logic [TimeBits-1:0] tx_time_q;
  logic [3:0]          tx_left_q;
  logic [8:0]          tx_shift_q;

  assign tx_ready_o = tx_left_q == '0;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      tx_o <= 1'b1;
      tx_time_q <= '0;
      tx_left_q <= '0;
    end else if (tx_left_q == '0) begin
      tx_time_q <= TimeBits'(ClocksPerBit - 1);
      if (tx_valid_i) begin
        tx_o <= 1'b0;
        tx_left_q <= 4'd10;
      end
    end else if (tx_time_q != '0) begin
      tx_time_q <= tx_time_q - 1'b1;
    end else begin
      tx_time_q <= TimeBits'(ClocksPerBit - 1);
      tx_o <= tx_shift_q[0];
      tx_left_q <= tx_left_q - 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (tx_left_q == '0) tx_shift_q <= {1'b1, tx_data_i};
    else if (tx_time_q == '0) tx_shift_q <= {1'b1, tx_shift_q[8:1]};
  end

endmodule

`default_nettype wire
