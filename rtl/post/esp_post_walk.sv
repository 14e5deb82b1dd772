// Counts the words of a tile: columns, rows, blocks, without a multiplication.
//
// load_i starts a tile of cols_i x rows_i pixels and blocks_i blocks (each at least 1); step_i moves
// on by a word; both at once start the next tile. The flags describe the word not yet stepped over, and
// are registers: what follows is found out a step ahead.
`default_nettype none

module esp_post_walk (
  input  wire logic        clk_i,
  input  wire logic        load_i,
  input  wire logic [11:0] cols_i,
  input  wire logic [11:0] rows_i,
  input  wire logic [7:0]  blocks_i,
  input  wire logic        step_i,
  output logic             first_o,  // first pixel of a block
  output logic             block_last_o,  // last pixel of a block
  output logic             last_o,  // and of the last block
  output logic             after_last_o,  // the word after it is the last pixel of a block
  output logic             single_o  // the tile that load_i would start has blocks of one pixel
);

  logic [11:0] cols_q, rows_q, col_q, row_q;  // columns and rows to go after this one
  logic [7:0] block_q;
  logic first_q, col_last_q, row_last_q, block_last_q, last_block_q;
  logic col_last, row_last, one_col, one_row;  // of the word after

  assign col_last     = col_last_q ? cols_q == '0 : col_q == 12'd1;
  assign row_last     = !col_last_q ? row_last_q : row_last_q ? rows_q == '0 : row_q == 12'd1;
  assign one_col      = cols_i == 12'd1;
  assign one_row      = rows_i == 12'd1;

  assign first_o      = first_q;
  assign block_last_o = block_last_q;
  assign last_o       = block_last_q && last_block_q;
  assign after_last_o = col_last && row_last;
  assign single_o     = one_col && one_row;

  always_ff @(posedge clk_i) begin
    if (load_i) begin
      cols_q       <= cols_i - 12'd1;
      rows_q       <= rows_i - 12'd1;
      col_q        <= cols_i - 12'd1;
      row_q        <= rows_i - 12'd1;
      block_q      <= blocks_i - 8'd1;
      first_q      <= 1'b1;
      col_last_q   <= one_col;
      row_last_q   <= one_row;
      block_last_q <= single_o;
      last_block_q <= blocks_i == 8'd1;
    end else if (step_i) begin
      first_q      <= block_last_q;
      col_last_q   <= col_last;
      row_last_q   <= row_last;
      block_last_q <= after_last_o;
      col_q        <= col_last_q ? cols_q : col_q - 12'd1;
      if (col_last_q) row_q <= row_last_q ? rows_q : row_q - 12'd1;
      if (block_last_q) begin
        block_q      <= block_q - 8'd1;
        last_block_q <= block_q == 8'd1;
      end
    end
  end

endmodule

`default_nettype wire
