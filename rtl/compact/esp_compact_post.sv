// Post of the compact core: bias, requantisation, residual operand, sums for global average pooling,
// one value at a time, from start_i to done_o.
//
// conv_i holds meanwhile. For each block: its parameters are waited for; for each pixel: the sums are
// read, for each of the two lanes bias and multiplier from the parameter ring (halfwords), then
// esp_compact_alu's work; the word stands at the output until taken. About 150 cycles a value.
// Parameters in the ring: a channel is four halfwords, bias then multiplier, low halves first.
// retire_o pulses with done_o. Reset and clear_i stop it and give the ring back.
// Numbers: docs/numerics.md. Implements docs/machine.md, section 3 (post), for the compact core.

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_compact_post #(
  parameter int unsigned ActWords    = 1024,
  parameter int unsigned AccWords    = 128,
  parameter int unsigned ParamBlocks = 32,
  localparam int unsigned ActBits    = $clog2(ActWords),
  localparam int unsigned AccBits    = $clog2(AccWords),
  localparam int unsigned ParBits    = $clog2(8 * ParamBlocks)   // halfwords
) (
  input  wire logic               clk_i,
  input  wire logic               rst_ni,
  input  wire logic               clear_i,

  input  wire logic               start_i,
  input  wire esp_isa_pkg::conv_t conv_i,
  output logic                    done_o,

  output logic                    acc_ren_o,
  output logic [AccBits-1:0]      acc_raddr_o,
  input  wire logic [63:0]        acc_rdata_i,

  output logic                    par_ren_o,
  output logic [ParBits-1:0]      par_raddr_o,
  input  wire logic [15:0]        par_rdata_i,
  input  wire logic [ParBits:0]   par_loaded_i,
  output logic [ParBits:0]        par_base_o,

  output logic                    act_ren_o,
  output logic [ActBits-1:0]      act_raddr_o,
  input  wire logic [15:0]        act_rdata_i,

  output logic                    out_valid_o,
  input  wire logic               out_ready_i,
  output logic [15:0]             out_data_o
);

  if ((1 << $clog2(ActWords)) != ActWords || ActWords < 2 || ActWords > 65536 ||
      (1 << $clog2(AccWords)) != AccWords || AccWords < 2 || AccWords > 65536)
  begin : gen_parameters_0
    $error("esp_compact_post: ActWords and AccWords are powers of two from 2 to 65536");
  end
  if ((1 << $clog2(ParamBlocks)) != ParamBlocks || ParamBlocks > 256) begin : gen_parameters_1
    $error("esp_compact_post: ParamBlocks is a power of two, at most 256");
  end

  localparam int unsigned BlockBits = ParBits - 3;

  typedef enum logic [4:0] {
    StIdle, StParams, StRead0, StRead1, StRead2, StRead3, StRead4, StRequant, StAdd, StLane, StSum,
    StPooled, StGap0, StGap1, StOut, StNext, StDone
  } state_e;

  state_e               state_q;
  // A CONV that comes here has at most AccWords words.
  logic [AccBits:0]     row_q, col_q, block_q, row_next, col_next, block_next;
  logic [7:0]           y0_q;
  logic [AccBits-1:0]   addr_q;
  logic [BlockBits-1:0] par_block_q;
  logic [ParBits:0]     base_q;
  logic [BlockBits:0]   loaded;
  logic [31:0]          sum0_q, sum1_q, sum, acc, x;
  logic                 lane_q, pooled_q, first_q;
  logic                 row_end, pixel_end, block_end, add, gap, high, requant_q, alu_done;
  logic [7:0]           y, b, zero, lo, hi;
  logic signed [8:0]    difference;
  logic [1:0]           half;

  assign add = conv_i.add[0];
  assign gap = conv_i.gap[0];
  assign row_next = row_q + 1'b1;
  assign col_next = col_q + 1'b1;
  assign block_next = block_q + 1'b1;
  assign row_end = col_next == (AccBits+1)'(conv_i.cols);
  assign pixel_end = row_end && row_next == (AccBits+1)'(conv_i.rows);
  assign block_end = block_next == (AccBits+1)'(conv_i.n_blocks);
  assign loaded = par_loaded_i[ParBits:3] - base_q[ParBits:3];

  assign acc_ren_o = state_q == StRead0;
  assign acc_raddr_o = addr_q;
  assign act_ren_o = state_q == StRead0 && add;
  assign act_raddr_o = conv_i.add_base[ActBits-1:0] + ActBits'(addr_q);
  assign par_ren_o = state_q == StRead0 || state_q == StRead1 || state_q == StRead2
                  || state_q == StRead3;
  assign par_raddr_o = {par_block_q, lane_q, half};
  assign par_base_o = base_q;
  assign out_valid_o = state_q == StOut;
  assign out_data_o = {y, y0_q};
  assign done_o = state_q == StDone;

  always_comb begin
    case (state_q)
      StRead1: half = 2'd1;
      StRead2: half = 2'd2;
      StRead3: half = 2'd3;
      default: half = 2'd0;
    endcase
  end

  assign acc = lane_q ? acc_rdata_i[63:32] : acc_rdata_i[31:0];
  assign sum = lane_q ? sum1_q : sum0_q;
  assign b = lane_q ? act_rdata_i[15:8] : act_rdata_i[7:0];
  assign x = pooled_q ? sum : acc;
  assign high = state_q == StRead2 || state_q == StGap1;

  always_comb begin
    if (state_q == StAdd) {zero, lo, hi} = {conv_i.add_zy, conv_i.add_lo, conv_i.add_hi};
    else if (pooled_q) {zero, lo, hi} = {conv_i.gap_zy, 8'h80, 8'h7f};
    else {zero, lo, hi} = {conv_i.zy, conv_i.lo, conv_i.hi};
  end

  logic add_start_q;
  esp_compact_alu u_alu (
    .clk_i, .rst_ni, .clear_i,
    .x_low_i(state_q == StRead1 || state_q == StGap0), .x_high_i(high),
    .x_i(high ? x[31:16] : x[15:0]),
    .scale_low_i(state_q == StRead3), .scale_high_i(state_q == StRead4), .half_i(par_rdata_i),
    .requant_i(requant_q), .plain_i(pooled_q),
    .scale_i(conv_i.gap_scale[30:0]),
    .add_i(add_start_q), .b_i(b), .za_i(conv_i.zy), .zb_i(conv_i.add_zb),
    .ma_i(conv_i.add_ma), .mb_i(conv_i.add_mb), .shift_i(conv_i.add_shift),
    .zero_i(zero), .lo_i(lo), .hi_i(hi), .done_o(alu_done), .y_o(y)
  );

  assign difference = $signed({y[7], y}) - (add ? $signed({conv_i.add_zy[7], conv_i.add_zy})
                                               : $signed({conv_i.zy[7], conv_i.zy}));

  `ESP_FFC(clear_i, begin
    state_q <= StIdle;
    base_q <= '0;
    add_start_q <= 1'b0;
    requant_q <= 1'b0;
  end) begin
    requant_q <= state_q == StRead4 || state_q == StGap1;
    add_start_q <= state_q == StRequant && alu_done && add && !pooled_q;
    case (state_q)
      StIdle: if (start_i) state_q <= StParams;
      StParams: begin
        if (9'(loaded) > 9'(conv_i.p_offset) + 9'(block_q)) state_q <= StRead0;
      end
      StRead0: state_q <= StRead1;
      StRead1: state_q <= StRead2;
      StRead2: state_q <= StRead3;
      StRead3: state_q <= StRead4;
      StRead4: state_q <= StRequant;
      StRequant: if (alu_done) state_q <= (add && !pooled_q) ? StAdd : StLane;
      StAdd: if (alu_done) state_q <= StLane;
      // A lane is done.
      StLane: begin
        if (gap && !pooled_q) state_q <= StSum;
        else if (!lane_q) state_q <= pooled_q ? StGap0 : StRead0;
        else state_q <= StOut;
      end
      StSum: begin
        if (!lane_q) state_q <= StRead0;
        else if (pixel_end && conv_i.gap_last[0]) state_q <= StPooled;
        else state_q <= StNext;
      end
      StPooled: state_q <= StGap0;
      StGap0: state_q <= StGap1;
      StGap1: state_q <= StRequant;
      StOut: if (out_ready_i) state_q <= StNext;
      StNext: state_q <= !pixel_end ? StRead0 : block_end ? StDone : StParams;
      default: begin
        state_q <= StIdle;
        if (conv_i.p_release[0]) base_q <= base_q + {(ParBits-2)'(conv_i.n_blocks), 3'b0};
      end
    endcase
  end

  always_ff @(posedge clk_i) begin
    case (state_q)
      StIdle: begin
        row_q <= '0;
        col_q <= '0;
        block_q <= '0;
        addr_q <= '0;
        lane_q <= 1'b0;
        pooled_q <= 1'b0;
        first_q <= 1'b1;
        par_block_q <= base_q[ParBits-1:3] + BlockBits'(conv_i.p_offset);
      end
      StLane: begin
        if (!lane_q) y0_q <= y;
        if (!(gap && !pooled_q)) lane_q <= !lane_q;
      end
      StSum: begin
        lane_q <= !lane_q;
        if (lane_q) sum1_q <= ((first_q && conv_i.gap_first[0]) ? '0 : sum1_q) + 32'(difference);
        else sum0_q <= ((first_q && conv_i.gap_first[0]) ? '0 : sum0_q) + 32'(difference);
      end
      StPooled: pooled_q <= 1'b1;
      StNext: begin
        pooled_q <= 1'b0;
        first_q <= pixel_end;
        addr_q <= addr_q + 1'b1;
        col_q <= row_end ? '0 : col_next;
        if (row_end) row_q <= pixel_end ? '0 : row_next;
        if (pixel_end) begin
          block_q <= block_next;
          par_block_q <= par_block_q + 1'b1;
        end
      end
      default: ;
    endcase
  end

  // Header and exec's fields; blocks that are not whole yet.
  logic unused;
  assign unused = ^{conv_i, par_loaded_i};

  `ESP_ASSERT_STABLE(output_stable, clear_i, out_valid_o, out_ready_i, out_data_o)

endmodule

`default_nettype wire
