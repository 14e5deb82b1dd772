// Walks the positions of one window after another: one word address a cycle.
//
// A window is taken when there is none or in the cycle of the last position of the one before, so
// that windows follow each other without a gap. step_i: the position is done. row_pitch_i is
// constant while a window is under way. An empty window has one position, that is not read;
// single_i: the window has one position. All outputs but window_ready_o are registers.
// docs/machine.md, section 4.
`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_pool_walk (
  input  wire logic        clk_i,
  input  wire logic        rst_ni,
  input  wire logic        clear_i,
  input  wire logic [15:0] row_pitch_i,
  input  wire logic        window_valid_i,
  output logic             window_ready_o,
  input  wire logic [15:0] addr_i,
  input  wire logic [7:0]  cols_i,
  input  wire logic [7:0]  rows_i,
  input  wire logic        empty_i,
  input  wire logic        single_i,
  input  wire logic [6:0]  entry_i,
  input  wire logic        last_i,
  output logic             valid_o,
  input  wire logic        step_i,
  output logic      [15:0] addr_o,
  output logic             empty_o,
  output logic             first_o,  // first position of the window
  output logic             end_o,  // last position of the window
  output logic      [6:0]  entry_o,
  output logic             last_o  // of the job's last window
);

  logic valid_q, take;
  logic [15:0] line_q;
  logic [7:0] cols_q, col_q, row_q;

  assign window_ready_o = !valid_q || (step_i && end_o);
  assign take           = window_valid_i && window_ready_o;
  assign valid_o        = valid_q;

  `ESP_FFC(clear_i, valid_q <= 1'b0;)
    if (window_ready_o) valid_q <= window_valid_i;

  always_ff @(posedge clk_i) begin
    if (take) begin
      addr_o  <= addr_i;
      line_q  <= addr_i + row_pitch_i;
      cols_q  <= cols_i;
      col_q   <= cols_i;
      row_q   <= rows_i;
      empty_o <= empty_i;
      entry_o <= entry_i;
      last_o  <= last_i;
      first_o <= 1'b1;
      end_o   <= single_i;
    end else if (step_i) begin
      first_o <= 1'b0;
      // Whether the position that comes is the last.
      end_o   <= col_q == '0 ? (cols_q == '0 && row_q == 8'd1) : (col_q == 8'd1 && row_q == '0);
      if (col_q == '0) begin
        addr_o <= line_q;
        line_q <= line_q + row_pitch_i;
        col_q  <= cols_q;
        row_q  <= row_q - 8'd1;
      end else begin
        addr_o <= addr_o + 16'd1;
        col_q  <= col_q - 8'd1;
      end
    end
  end

  `ESP_ASSERT(single_as_told, !take || single_i == (empty_i || (cols_i == '0 && rows_i == '0)))
  `ESP_ASSERT(end_is_last, !valid_q || end_o == (empty_o || (col_q == '0 && row_q == '0)))

endmodule

`default_nettype wire
