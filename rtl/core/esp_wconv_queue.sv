// The weight sequencer's queue: of each CONV the fields that say which weight words it reads.
//
// Depth + 1 CONVs; one enters a cycle and one leaves a cycle. Fields that are not kept read 0.
// Implements docs/machine.md, section 5.

`default_nettype none

module esp_wconv_queue #(
  parameter int unsigned Depth = 4
) (
  input  wire logic               clk_i,
  input  wire logic               rst_ni,
  input  wire logic               clear_i,

  input  wire logic               in_valid_i,
  output logic                    in_ready_o,
  input  wire esp_isa_pkg::conv_t in_conv_i,

  output logic                    out_valid_o,
  input  wire logic               out_ready_i,
  output esp_isa_pkg::conv_t      out_conv_o
);

  localparam int unsigned PtrBits = $clog2(Depth);
  localparam int unsigned KeptBits = 94;

  typedef struct packed {
    logic [3:0]  kh;
    logic [3:0]  kw;
    logic [11:0] k_blocks;
    logic [7:0]  n_blocks;
    logic [15:0] w_offset;
    logic [15:0] w_n_stride;
    logic [15:0] w_tap_stride;
    logic [15:0] w_piece;
    logic        w_tapwise;
    logic        w_release;
  } kept_t;  // KeptBits wide

  kept_t              kept, head_q;
  logic [KeptBits-1:0] mem_q [Depth];
  logic [PtrBits-1:0] wptr_q, rptr_q;
  logic [PtrBits:0]   count_q;
  logic               valid_q, take, from_mem, push, store;

  always_comb begin
    kept = '0;
    if (in_valid_i) begin
      kept.kh = in_conv_i.kh;
      kept.kw = in_conv_i.kw;
      kept.k_blocks = in_conv_i.k_blocks;
      kept.n_blocks = in_conv_i.n_blocks;
      kept.w_offset = in_conv_i.w_offset;
      kept.w_n_stride = in_conv_i.w_n_stride;
      kept.w_tap_stride = in_conv_i.w_tap_stride;
      kept.w_piece = in_conv_i.w_piece;
      kept.w_tapwise = in_conv_i.w_tapwise[0];
      kept.w_release = in_conv_i.w_release[0];
    end
  end

  assign take = !valid_q || out_ready_i;
  assign from_mem = count_q != '0;
  assign in_ready_o = count_q != (PtrBits+1)'(Depth);
  assign push = in_valid_i && in_ready_o;
  assign store = push && !(take && !from_mem);
  assign out_valid_o = valid_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      wptr_q <= '0;
      rptr_q <= '0;
      count_q <= '0;
      valid_q <= 1'b0;
    end else if (clear_i) begin
      wptr_q <= '0;
      rptr_q <= '0;
      count_q <= '0;
      valid_q <= 1'b0;
    end else begin
      if (take) valid_q <= from_mem || push;
      if (take && from_mem) rptr_q <= rptr_q + 1'b1;
      if (store) wptr_q <= wptr_q + 1'b1;
      if (store != (take && from_mem)) count_q <= store ? count_q + 1'b1 : count_q - 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (store) mem_q[wptr_q] <= kept;
  end

  always_ff @(posedge clk_i) begin
    if (take && from_mem) head_q <= mem_q[rptr_q];
    else if (take && push) head_q <= kept;
  end

  always_comb begin
    out_conv_o = '0;
    out_conv_o.kh = head_q.kh;
    out_conv_o.kw = head_q.kw;
    out_conv_o.k_blocks = head_q.k_blocks;
    out_conv_o.n_blocks = head_q.n_blocks;
    out_conv_o.w_offset = head_q.w_offset;
    out_conv_o.w_n_stride = head_q.w_n_stride;
    out_conv_o.w_tap_stride = head_q.w_tap_stride;
    out_conv_o.w_piece = head_q.w_piece;
    out_conv_o.w_tapwise = head_q.w_tapwise;
    out_conv_o.w_release = head_q.w_release;
  end

  // The other fields are the feeder's.
  logic unused;
  assign unused = ^in_conv_i;

endmodule

`default_nettype wire
