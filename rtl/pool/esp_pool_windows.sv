// Window generator of the pool engine: turns a POOL into its windows, clipped to the tile.
//
// The job stays on job_i from start_i until the last window has been taken. One window a cycle; a
// new output row takes one cycle more, and with the table one for each bit of its counted rows - 1,
// usually hidden behind the window before. At start the first row's address takes one cycle for
// each bit of |iy0|: products come from one adder, bit by bit.
// Window: address of its first word inside the tile (modulo 2^16), columns and rows inside the tile
// less one, whether none is inside, its table entry, and whether it is the job's last.
// fault_o: pulse, a table entry past 127; nothing follows until clear_i.
// docs/machine.md, section 4.
`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_pool_windows (
  input  wire logic        clk_i,
  input  wire logic        rst_ni,
  input  wire logic        clear_i,
  input  wire logic        start_i,
  input  wire esp_isa_pkg::pool_t job_i,  // registered by the caller at start_i
  output logic             fault_o,
  output logic             window_valid_o,
  input  wire logic        window_ready_i,
  output logic      [15:0] addr_o,
  output logic      [7:0]  cols_o,  // less one
  output logic      [7:0]  rows_o,  // less one
  output logic             empty_o,
  output logic      [6:0]  entry_o,
  output logic             last_o
);

  typedef enum logic [2:0] {
    StIdle,
    StStart,   // the job is on job_i from here on
    StOrigin,  // iy0 * row_pitch
    StRow,     // the rows of this output row's windows
    StTable,   // (counted rows - 1) * kw
    StRun,
    StFault
  } state_e;

  localparam int unsigned POS_BITS = 18;  // |position| <= 2^13 + 4094 * 15 + 255

  // How many of first .. first + size - 1 lie in [lo, hi); zero or less where none does.
  function automatic logic signed [POS_BITS-1:0] overlap(
      input logic signed [POS_BITS-1:0] first, input logic [7:0] size,
      input logic signed [POS_BITS-1:0] lo, input logic signed [POS_BITS-1:0] hi);
    logic signed [POS_BITS-1:0] from, to;
    from = first < lo ? lo : first;
    to = first + $signed({{POS_BITS - 8{1'b0}}, size});
    if (to > hi) to = hi;
    overlap = to - from;
  endfunction

  // At least one, less one.
  function automatic logic [7:0] less_one(input logic signed [POS_BITS-1:0] count);
    less_one = count <= 0 ? 8'd0 : 8'(count - POS_BITS'(1));
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
  logic [7:0] rows_q;
  logic rows_empty_q;
  logic row_end, block_end, job_end;
  logic emit, free, beyond;
  logic of_rows;
  logic signed [POS_BITS-1:0] position, present, counted;
  logic [7:0] size;
  logic [12:0] tile;
  logic [13:0] count_lo, count_hi;
  logic [15:0] entry;
  logic window_valid_q;

  assign row_end      = col_q == '0;
  assign block_end    = row_end && row_q == '0;
  assign job_end      = block_end && block_q == '0;
  assign free         = !window_valid_q || window_ready_i;
  // Of the rows in StRow, of the columns otherwise.
  assign of_rows      = state_q == StRow;
  assign position     = of_rows ? y_q : x_q;
  assign size         = of_rows ? job_i.kh : job_i.kw;
  assign tile         = of_rows ? job_i.in_rows : job_i.in_cols;
  assign count_lo     = of_rows ? job_i.cy_lo : job_i.cx_lo;
  assign count_hi     = of_rows ? job_i.cy_hi : job_i.cx_hi;
  assign present       = overlap(position, size, '0, POS_BITS'(tile));
  assign counted      = overlap(position, size, POS_BITS'($signed(count_lo)),
                                POS_BITS'($signed(count_hi)));
  assign entry        = product_q + {8'b0, less_one(counted)};
  assign beyond       = job_i.use_table[0] && entry[15:7] != '0;
  assign emit         = state_q == StRun && free && !beyond;
  assign fault_o      = state_q == StRun && beyond;

  always_comb begin
    state_d = state_q;
    unique case (state_q)
      StIdle:   if (start_i) state_d = StStart;
      StStart:  state_d = StOrigin;
      StOrigin: if (factor_q == '0) state_d = StRow;
      StRow:    state_d = job_i.use_table[0] ? StTable : StRun;
      StTable:  if (factor_q == '0) state_d = StRun;
      StRun: begin
        if (beyond) state_d = StFault;
        else if (emit && row_end) state_d = job_end ? StIdle : StRow;
      end
      default:  state_d = state_q;
    endcase
  end

  `ESP_FFC(clear_i, begin
    state_q        <= StIdle;
    window_valid_q <= 1'b0;
  end) begin
    state_q        <= state_d;
    window_valid_q <= emit || (window_valid_q && !window_ready_i);
  end

  always_ff @(posedge clk_i) begin
    unique case (state_q)
      StStart: begin
        y_q       <= POS_BITS'($signed(job_i.iy0));
        x_q       <= POS_BITS'($signed(job_i.ix0));
        row_q     <= job_i.rows - 12'd1;
        col_q     <= job_i.cols - 12'd1;
        block_q   <= job_i.blocks - 12'd1;
        plane_q   <= job_i.act_base;
        product_q <= '0;
        term_q    <= job_i.iy0[13] ? -job_i.row_pitch : job_i.row_pitch;
        factor_q  <= job_i.iy0[13] ? -job_i.iy0 : job_i.iy0;
      end
      StOrigin, StTable: begin
        if (factor_q[0]) product_q <= product_q + term_q;
        term_q   <= {term_q[14:0], 1'b0};
        factor_q <= factor_q >> 1;
        if (state_q == StOrigin) begin
          origin_q <= product_q;
          line_q   <= plane_q + product_q;
        end
      end
      StRow: begin
        rows_empty_q <= present <= 0;
        rows_q       <= less_one(present);
        start_q      <= y_q[POS_BITS-1] ? plane_q : line_q;
        product_q    <= '0;
        term_q       <= {8'b0, job_i.kw};
        factor_q     <= {6'b0, less_one(counted)};
      end
      StRun: begin
        if (emit) begin
          col_q <= row_end ? job_i.cols - 12'd1 : col_q - 12'd1;
          x_q   <= row_end ? POS_BITS'($signed(job_i.ix0)) : x_q + $signed({14'b0, job_i.stride_x});
          if (block_end) begin
            row_q   <= job_i.rows - 12'd1;
            y_q     <= POS_BITS'($signed(job_i.iy0));
            block_q <= block_q - 12'd1;
            plane_q <= plane_q + job_i.plane;
            line_q  <= plane_q + job_i.plane + origin_q;
          end else if (row_end) begin
            row_q  <= row_q - 12'd1;
            y_q    <= y_q + $signed({14'b0, job_i.stride_y});
            line_q <= line_q + job_i.y_step;
          end
        end
      end
      default: ;
    endcase
    if (emit) begin
      addr_o  <= start_q + (x_q[POS_BITS-1] ? 16'd0 : x_q[15:0]);
      rows_o  <= rows_q;
      cols_o  <= less_one(present);
      empty_o <= rows_empty_q || present <= 0;
      entry_o <= entry[6:0];
      last_o  <= job_end;
    end
  end

  assign window_valid_o = window_valid_q;

  logic unused_job;
  assign unused_job = ^job_i;

  `ESP_ASSERT(starts_idle, !start_i || state_q == StIdle)

endmodule

`default_nettype wire
