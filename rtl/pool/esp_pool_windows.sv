// Window generator of the pool engine: turns a POOL into its windows, clipped to the tile.
//
// first_i is the job at start_i, job_i from the cycle after until the last window has been taken.
// One window a cycle, at the output (a FIFO) three cycles after it was begun:
//
//   x, y --> first and end --> overlaps, less one --> address, entry --> FIFO
//
// A new output row takes one cycle more: its rows go the same way, in front of its windows. With the
// table its windows wait for its counted rows, three cycles, and for their product with kw, one for each bit
// of counted rows - 1 past the third. Windows that wait in the FIFO hide that. At start the first
// row's address takes one cycle for each bit of |iy0|: products come from one adder, bit by bit.
// Window: address of its first word inside the tile (modulo 2^16), columns and rows inside the tile
// less one, whether none is inside, whether it has one position, its table entry, and whether it is the
// job's last. fault_o: pulse, a table entry past 127; that window and all behind it do not come.
// docs/machine.md, section 4.
`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_pool_windows (
  input  wire logic        clk_i,
  input  wire logic        rst_ni,
  input  wire logic        clear_i,
  input  wire logic        start_i,
  input  wire esp_isa_pkg::pool_t first_i,
  input  wire esp_isa_pkg::pool_t job_i,
  output logic             fault_o,
  output logic             window_valid_o,
  input  wire logic        window_ready_i,
  output logic      [15:0] addr_o,
  output logic      [7:0]  cols_o,  // less one
  output logic      [7:0]  rows_o,  // less one
  output logic             empty_o,
  output logic             single_o,
  output logic      [6:0]  entry_o,
  output logic             last_o
);

  typedef enum logic [2:0] {
    StIdle,
    StOrigin,  // iy0 * row_pitch; at its end the rows of the first output row
    StRow,     // the rows of this output row's windows
    StTable,   // its (counted rows - 1) * kw
    StRun,
    StFault
  } state_e;

  localparam int unsigned POS_BITS = 18;  // |position| <= 2^13 + 4094 * 15 + 255
  localparam int unsigned Depth = 8;      // from a window's begin until its place is free again: 5

  // How many of first .. stop - 1 lie in [lo, hi), less one; negative where none does.
  function automatic logic [8:0] overlap(
      input logic signed [POS_BITS-1:0] first, input logic signed [POS_BITS-1:0] stop,
      input logic signed [POS_BITS-1:0] lo, input logic signed [POS_BITS-1:0] hi);
    logic signed [POS_BITS-1:0] from, to, less;
    from = first < lo ? lo : first;
    to = stop > hi ? hi : stop;
    less = to + ~from;
    overlap = {less[POS_BITS-1], less[7:0]};
  endfunction

  // At least one, less one.
  function automatic logic [7:0] less_one(input logic [8:0] count);
    less_one = count[8] ? 8'd0 : count[7:0];
  endfunction

  state_e state_d, state_q;
  logic signed [POS_BITS-1:0] y_q, x_q;
  logic [11:0] row_q, col_q, block_q;  // still to come
  logic [15:0] plane_q;                // address of the block's pixel (0, 0)
  logic [15:0] origin_q;               // iy0 * row_pitch
  logic [15:0] line_q;                 // address of the window's first row, inside the tile or not
  logic [15:0] product_q, term_q;
  logic [13:0] factor_q;
  logic [15:0] start_q;                // address of the first row inside the tile
  logic [7:0]  rows_q;
  logic        rows_empty_q, counted_q;
  logic        row_end, block_end, job_end;
  logic [3:0]  places_q;               // for windows to begin
  logic        begin_row, begin_window;
  logic        moving;                 // else nothing is under way: a window has its place until it leaves

  assign row_end      = col_q == '0;
  assign block_end    = row_end && row_q == '0;
  assign job_end      = block_end && block_q == '0;
  assign begin_row    = (state_q == StOrigin && factor_q == '0) || state_q == StRow;
  assign begin_window = state_q == StRun && places_q != '0;
  assign moving       = state_q != StIdle || start_i || places_q != 4'(Depth);

  // First stage: of the rows, or of the columns.
  logic valid1_q, of_rows1_q, row_end1_q, block_end1_q, job_end1_q;
  logic signed [POS_BITS-1:0] first1_q, stop1_q, position;
  logic [7:0] size;

  assign position = state_q == StRun ? x_q : y_q;
  assign size     = state_q == StRun ? job_i.kw : job_i.kh;

  // Second stage.
  logic valid2_q, of_rows2_q, row_end2_q, block_end2_q, job_end2_q;
  logic [8:0] present2_q, counted2_q;
  logic [15:0] inside2_q;  // first, or 0 where that is negative
  logic negative2_q;
  logic [12:0] tile;
  logic [13:0] count_lo, count_hi;

  assign tile     = of_rows1_q ? job_i.in_rows : job_i.in_cols;
  assign count_lo = of_rows1_q ? job_i.cy_lo : job_i.cx_lo;
  assign count_hi = of_rows1_q ? job_i.cy_hi : job_i.cx_hi;

  // Third stage. A window with an entry past the table bars the FIFO's far end.
  logic row, window, past, product_past, empty, fault_q;
  logic [8:0] entry;
  logic [7:0] cols;

  assign row     = valid2_q && of_rows2_q;
  always_comb begin
    {cols, empty, entry, product_past, past} = '0;
    if (`ESP_WHEN(valid2_q)) begin
      cols = less_one(present2_q);
      empty = rows_empty_q || present2_q[8];
      entry = {2'b0, product_q[6:0]} + {1'b0, less_one(counted2_q)};
      product_past = product_q[15:7] != '0;
      past = job_i.use_table[0] && (product_past || entry[8:7] != '0);
    end
  end
  assign window  = valid2_q && !of_rows2_q;
  assign fault_o = fault_q;

  always_comb begin
    state_d = state_q;
    if (`ESP_WHEN(moving)) begin
      unique case (state_q)
        StIdle:   if (start_i) state_d = StOrigin;
        StOrigin: if (factor_q == '0) state_d = job_i.use_table[0] ? StTable : StRun;
        StRow:    state_d = job_i.use_table[0] ? StTable : StRun;
        StTable:  if (counted_q && factor_q[13:3] == '0) state_d = StRun;
        StRun:    if (begin_window && row_end) state_d = job_end ? StIdle : StRow;
        default:  state_d = state_q;
      endcase
      if (fault_q) state_d = StFault;
    end
  end

  `ESP_FFC(clear_i, begin
    state_q  <= StIdle;
    valid1_q <= 1'b0;
    valid2_q <= 1'b0;
    fault_q  <= 1'b0;
    places_q <= 4'(Depth);
  end) begin
    if (`ESP_WHEN(moving)) begin
      state_q  <= state_d;
      valid1_q <= begin_row || begin_window;
      valid2_q <= valid1_q;
      fault_q  <= window && past && !fault_q && state_q != StFault;
      if (begin_window != (window_valid_o && window_ready_i)) begin
        places_q <= begin_window ? places_q - 4'd1 : places_q + 4'd1;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (begin_row || begin_window) begin
      first1_q     <= position;
      stop1_q      <= position + $signed({{POS_BITS - 8{1'b0}}, size});
      of_rows1_q   <= begin_row;
      row_end1_q   <= row_end;
      block_end1_q <= block_end;
      job_end1_q   <= job_end;
    end
    if (valid1_q) begin
      present2_q   <= overlap(first1_q, stop1_q, '0, POS_BITS'(tile));
      counted2_q   <= overlap(first1_q, stop1_q, POS_BITS'($signed(count_lo)),
                              POS_BITS'($signed(count_hi)));
      inside2_q    <= first1_q[POS_BITS-1] ? 16'd0 : first1_q[15:0];
      negative2_q  <= first1_q[POS_BITS-1];
      of_rows2_q   <= of_rows1_q;
      row_end2_q   <= row_end1_q;
      block_end2_q <= block_end1_q;
      job_end2_q   <= job_end1_q;
    end
  end

  // The window that comes.
  always_ff @(posedge clk_i) begin
    if (start_i) begin
      y_q     <= POS_BITS'($signed(first_i.iy0));
      x_q     <= POS_BITS'($signed(first_i.ix0));
      row_q   <= first_i.rows - 12'd1;
      col_q   <= first_i.cols - 12'd1;
      block_q <= first_i.blocks - 12'd1;
    end else if (begin_window) begin
      col_q <= row_end ? job_i.cols - 12'd1 : col_q - 12'd1;
      x_q   <= row_end ? POS_BITS'($signed(job_i.ix0)) : x_q + $signed({14'b0, job_i.stride_x});
      if (block_end) begin
        row_q   <= job_i.rows - 12'd1;
        y_q     <= POS_BITS'($signed(job_i.iy0));
        block_q <= block_q - 12'd1;
      end else if (row_end) begin
        row_q <= row_q - 12'd1;
        y_q   <= y_q + $signed({14'b0, job_i.stride_y});
      end
    end
  end

  // Addresses, of the window in the third stage; products.
  always_ff @(posedge clk_i) begin
    if (start_i) begin
      plane_q   <= first_i.act_base;
      product_q <= '0;
      term_q    <= first_i.iy0[13] ? -first_i.row_pitch : first_i.row_pitch;
      factor_q  <= first_i.iy0[13] ? -first_i.iy0 : first_i.iy0;
    end else if (row) begin
      rows_empty_q <= present2_q[8];
      rows_q       <= cols;
      start_q      <= negative2_q ? plane_q : line_q;
      product_q    <= '0;
      term_q       <= {8'b0, job_i.kw};
      factor_q     <= {6'b0, less_one(counted2_q)};
    end else if (state_q != StIdle || valid1_q) begin
      if (factor_q[0]) product_q <= product_q + term_q;
      term_q   <= {term_q[14:0], 1'b0};
      factor_q <= factor_q >> 1;
    end
    if (begin_row) counted_q <= 1'b0;
    else if (row) counted_q <= 1'b1;
    if (state_q == StOrigin) begin
      origin_q <= product_q;
      line_q   <= plane_q + product_q;
    end else if (window && block_end2_q) begin
      plane_q <= plane_q + job_i.plane;
      line_q  <= plane_q + job_i.plane + origin_q;
    end else if (window && row_end2_q) begin
      line_q <= line_q + job_i.y_step;
    end
  end

  logic fifo_valid, fifo_room, barred;
  esp_fifo #(.Width(43), .Depth(Depth)) u_fifo (
    .clk_i, .rst_ni, .clear_i,
    .valid_i(window), .ready_o(fifo_room),
    .data_i({past, start_q + inside2_q, cols, rows_q, empty,
             empty || (cols == '0 && rows_q == '0), entry[6:0], job_end2_q}),
    .valid_o(fifo_valid), .ready_i(window_ready_i && !barred),
    .data_o({barred, addr_o, cols_o, rows_o, empty_o, single_o, entry_o, last_o})
  );
  assign window_valid_o = fifo_valid && !barred;

  logic unused;
  assign unused = ^{job_i, first_i, fifo_room};

  `ESP_ASSERT(starts_idle, !start_i || (state_q == StIdle && places_q == 4'(Depth)))
  `ESP_ASSERT(still_unless_moving, moving || (!valid1_q && !valid2_q && !fault_q && !window_valid_o))
  `ESP_ASSERT(windows_have_room, !window || fifo_room)
  `ESP_ASSERT(product_in_time, !window || !job_i.use_table[0] || factor_q == '0)

endmodule

`default_nettype wire
