// The weight sequencer's queue: of each CONV the fields that say which weight words it reads.
//
// Depth + 1 CONVs; one enters a cycle and one leaves a cycle. Fields that are not kept read 0.
// Implements docs/machine.md, section 5.

`default_nettype none
`include "esp_assert.svh"

module esp_wconv_queue #(
  parameter int unsigned Depth = 4,
  parameter bit          Prune = 1'b0    // w_sparse is kept
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

  if (Depth < 2) begin : gen_parameters
    $error("esp_wconv_queue: Depth is at least 2");
  end

  localparam int unsigned KeptBits = Prune ? 95 : 94;

  typedef struct packed {
    logic        w_sparse;
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
  } kept_t;  // KeptBits wide, w_sparse aside

  kept_t               kept, head;
  logic [KeptBits-1:0] head_bits;

  assign head = 95'(head_bits);

  always_comb begin
    kept = '0;
    if (`ESP_WHEN(in_valid_i && in_ready_o)) begin
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
      kept.w_sparse = in_conv_i.w_sparse[0];
    end
  end

  esp_fifo #(.Width(KeptBits), .Depth(Depth + 1)) u_fifo (
    .clk_i, .rst_ni, .clear_i,
    .valid_i(in_valid_i), .ready_o(in_ready_o), .data_i(kept[KeptBits-1:0]),
    .valid_o(out_valid_o), .ready_i(out_ready_i), .data_o(head_bits)
  );

  always_comb begin
    out_conv_o = '0;
    if (`ESP_WHEN(out_valid_o)) begin
      out_conv_o.kh = head.kh;
      out_conv_o.kw = head.kw;
      out_conv_o.k_blocks = head.k_blocks;
      out_conv_o.n_blocks = head.n_blocks;
      out_conv_o.w_offset = head.w_offset;
      out_conv_o.w_n_stride = head.w_n_stride;
      out_conv_o.w_tap_stride = head.w_tap_stride;
      out_conv_o.w_piece = head.w_piece;
      out_conv_o.w_tapwise = head.w_tapwise;
      out_conv_o.w_release = head.w_release;
      out_conv_o.w_sparse = head.w_sparse;
    end
  end

  // The other fields are the feeder's.
  logic unused;
  assign unused = ^in_conv_i ^ kept.w_sparse;

endmodule

`default_nettype wire
