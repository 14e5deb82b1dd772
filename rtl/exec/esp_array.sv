// The systolic array: Lanes rows (input channels) by Lanes columns (output channels) of weights.
//
// Activations: a word of Lanes bytes enters at act_data_i with its flags; row k sees byte k after k
// cycles, as x - zx, or 0 where act_present_i is clear. Pair j of row k works at cycle k + j. The sum
// of columns 2j and 2j+1 for a word that enters in cycle t stands at sums_o in cycle t + Lanes + 2 + j,
// SumBits a column, signed. Everything on this side moves with en_i only.
//
// Weights: the Lanes words of a tile (one a column, byte k for row k) enter at wgt_data_i in
// consecutive cycles, the first with wgt_first_i; row k, column n is captured by its shadow k + n
// cycles after that. act_swap_i, with the first word of a pass, makes the shadows active, pair by
// pair as that word comes by. A tile may enter from the cycle after the previous tile's swap on, and may
// be swapped from Lanes/2 + 1 cycles after its first word on: passes of Lanes cycles need no gap.
//
// Reset and clear_i stop the swaps and captures under way; data are not reset.
// With ESP_JOINED_PAIRS, for simulation alone, the registers of a pair's two columns are one of 64 bits, so
// that a processor has one product and one sum for them; the sums are the same in every cycle.
// Implements docs/machine.md, section 5 (the array).

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_array #(
  parameter int unsigned Lanes   = 4,
  parameter bit          Packed  = 1'b0,
  localparam int unsigned SumBits = 16 + $clog2(Lanes)
) (
  input  wire logic                     clk_i,
  input  wire logic                     rst_ni,
  input  wire logic                     clear_i,
  input  wire logic                     en_i,

  input  wire logic                     act_swap_i,
  input  wire logic                     act_present_i,
  input  wire logic [7:0]               act_zx_i,
  input  wire logic [8*Lanes-1:0]       act_data_i,

  input  wire logic                     wgt_first_i,
  input  wire logic [8*Lanes-1:0]       wgt_data_i,

  output logic      [Lanes*SumBits-1:0] sums_o
);

  localparam int unsigned PAIRS = Lanes / 2;
  localparam int unsigned SWAPS = Lanes + PAIRS - 1;
  localparam int unsigned CAPTURES = 2 * Lanes - 1;

  if (Lanes < 4 || Lanes % 2 != 0) begin : gen_lanes_check
    $error("esp_array: Lanes must be even, at least 4");
  end

  // Diagonals: swap[k + j] for pair j of row k, capture[k + n] for column n of row k.
  logic [SWAPS-1:0]    swap;
  logic [SWAPS-2:0]    swap_q;
  logic [CAPTURES-1:0] capture;
  logic [CAPTURES-2:0] capture_q;
  logic                capture_any;

  assign swap = {swap_q, act_swap_i};
  assign capture = {capture_q, wgt_first_i};
  assign capture_any = capture != '0;

  `ESP_FFC(clear_i, begin
    swap_q <= '0;
    capture_q <= '0;
  end) begin
    if (en_i) swap_q <= swap[SWAPS-2:0];
    if (`ESP_WHEN(capture_any)) capture_q <= capture[CAPTURES-2:0];
  end

  // Row k sees words, zero point and presence k cycles late.
  for (genvar k = 0; k < Lanes; k++) begin : gen_skew
    logic [8*Lanes-1:0] act, wgt;
    logic [7:0]         zx;
    logic               present;
    if (k == 0) begin : gen_input
      assign act = act_data_i;
      assign wgt = wgt_data_i;
      assign zx = act_zx_i;
      assign present = act_present_i;
    end else begin : gen_delay
      always_ff @(posedge clk_i) begin
        if (en_i) begin
          act <= gen_skew[k-1].act;
          zx <= gen_skew[k-1].zx;
          present <= gen_skew[k-1].present;
        end
      end
      always_ff @(posedge clk_i) begin
        if (`ESP_WHEN(capture_any)) wgt <= gen_skew[k-1].wgt;
      end
    end
    logic unused_bytes;  // row k needs byte k and those above
    assign unused_bytes = ^act ^ ^wgt;
  end

  for (genvar k = 0; k < Lanes; k++) begin : gen_row
    logic signed [7:0] x_raw, x_zero, weight;
    logic signed [8:0] x;
    assign x_raw = gen_skew[k].act[8*k +: 8];
    assign x_zero = gen_skew[k].zx;
    assign x = gen_skew[k].present ? 9'(x_raw) - 9'(x_zero) : 9'sd0;
    assign weight = gen_skew[k].wgt[8*k +: 8];
  end

`ifdef ESP_JOINED_PAIRS
  localparam bit JOINED = 1'b1;
`else
  localparam bit JOINED = 1'b0;
`endif

  if (JOINED) begin : gen_joined
    // Weights, products and sums of columns 2j and 2j+1 as a + b * 2^32.
    logic [SWAPS-1:0] moves;
    assign moves = en_i ? swap : '0;

    for (genvar k = 0; k < Lanes; k++) begin : gen_joined_row
      for (genvar j = 0; j < PAIRS; j++) begin : gen_pair
        logic signed [7:0]  shadow0_q, shadow1_q;
        logic signed [63:0] x_in, x_q, weights_q, products_q, sums_in, sums_q;

        if (j == 0) begin : gen_first
          assign x_in = 64'(gen_row[k].x);
        end else begin : gen_next
          assign x_in = gen_joined_row[k].gen_pair[j-1].x_q;
        end

        if (k == 0) begin : gen_top
          assign sums_in = '0;
        end else begin : gen_below
          assign sums_in = gen_joined_row[k-1].gen_pair[j].sums_q;
        end

        always_ff @(posedge clk_i) begin
          if (capture[k+2*j]) shadow0_q <= gen_row[k].weight;
          if (capture[k+2*j+1]) shadow1_q <= gen_row[k].weight;
        end
        always_ff @(posedge clk_i) begin
          if (moves[k+j]) weights_q <= 64'(shadow0_q) + (64'(shadow1_q) <<< 32);
        end
        always_ff @(posedge clk_i) begin
          if (en_i) x_q <= x_in;
        end
        always_ff @(posedge clk_i) begin
          if (en_i) begin
            products_q <= x_q * weights_q;
            sums_q <= sums_in + products_q;
          end
        end

        if (j == PAIRS - 1) begin : gen_last
          logic unused_x;
          assign unused_x = ^x_q;
        end
      end
    end

    for (genvar j = 0; j < PAIRS; j++) begin : gen_foot
      logic signed [63:0] sums;
      assign sums = gen_joined_row[Lanes-1].gen_pair[j].sums_q;
      assign sums_o[2*j*SumBits +: SumBits] = sums[SumBits-1:0];
      assign sums_o[(2*j+1)*SumBits +: SumBits] = sums[32 +: SumBits] + SumBits'(sums[31]);
    end
  end

  if (!JOINED && Packed) begin : gen_packed
    // Sums of both columns of a pair in one; see esp_pe_packed.
    localparam int unsigned LowBits = $clog2(Lanes);
    localparam int unsigned ChainBits = 32 + LowBits;
    localparam logic [ChainBits-1:0] BIAS = ChainBits'(1) << (SumBits - 1);

    for (genvar k = 0; k < Lanes; k++) begin : gen_packed_row
      logic              negative_q;  // the word before's weight
      logic signed [8:0] weight_less;
      assign weight_less = 9'(gen_row[k].weight) - $signed({8'd0, negative_q});
      always_ff @(posedge clk_i) begin
        if (`ESP_WHEN(capture_any)) negative_q <= gen_row[k].weight[7];
      end

      for (genvar j = 0; j < PAIRS; j++) begin : gen_pair
        logic signed [8:0]           x_in, x_out;
        logic signed [ChainBits-1:0] sum_in, sum;
        logic        [LowBits-1:0]   low_in, low;

        if (j == 0) begin : gen_first
          assign x_in = gen_row[k].x;
        end else begin : gen_next
          assign x_in = gen_packed_row[k].gen_pair[j-1].x_out;
        end

        if (k == 0) begin : gen_top
          assign sum_in = BIAS;
          assign low_in = '0;
        end else begin : gen_below
          assign sum_in = gen_packed_row[k-1].gen_pair[j].sum;
          assign low_in = gen_packed_row[k-1].gen_pair[j].low;
        end

        esp_pe_packed #(
          .Lanes(Lanes)
        ) u_packed (
          .clk_i,
          .en_i,
          .x_i(x_in),
          .x_o(x_out),
          .cap0_i(capture[k+2*j]),
          .cap1_i(capture[k+2*j+1]),
          .w_i(gen_row[k].weight),
          .w_less_i(weight_less),
          .swap_i(en_i && swap[k+j]),
          .sum_i(sum_in),
          .sum_o(sum),
          .low_i(low_in),
          .low_o(low)
        );

        if (j == PAIRS - 1) begin : gen_last
          logic unused_x;
          assign unused_x = ^x_out;
        end
      end
    end

    // sum = H * 2^16 + L + BIAS, and what is added to L makes it positive, below 2^SumBits. So above the
    // lowest 16 bits stands H, and what L has there; low is H modulo Lanes, which parts them: one carry
    // chain.
    for (genvar j = 0; j < PAIRS; j++) begin : gen_foot
      logic [15:0]        rest;
      logic [SumBits-1:0] upper, parted;
      logic [LowBits-1:0] low;
      assign {upper, rest} = gen_packed_row[Lanes-1].gen_pair[j].sum;
      assign low = gen_packed_row[Lanes-1].gen_pair[j].low;
      assign parted = upper - SumBits'(low);
      assign sums_o[2*j*SumBits +: SumBits] = {!parted[LowBits-1], parted[LowBits-2:0], rest};
      assign sums_o[(2*j+1)*SumBits +: SumBits] = {parted[SumBits-1:LowBits], low};
    end
  end

  if (!JOINED && !Packed) begin : gen_plain
    logic swap_any;
    assign swap_any = en_i && `ESP_WHEN(swap != '0);

    for (genvar k = 0; k < Lanes; k++) begin : gen_plain_row
      for (genvar j = 0; j < PAIRS; j++) begin : gen_pair
        logic signed [8:0]         x_in, x_out;
        logic signed [SumBits-1:0] sum0_in, sum1_in, sum0, sum1;

        if (j == 0) begin : gen_first
          assign x_in = gen_row[k].x;
        end else begin : gen_next
          assign x_in = gen_plain_row[k].gen_pair[j-1].x_out;
        end

        if (k == 0) begin : gen_top
          assign sum0_in = '0;
          assign sum1_in = '0;
        end else begin : gen_below
          assign sum0_in = gen_plain_row[k-1].gen_pair[j].sum0;
          assign sum1_in = gen_plain_row[k-1].gen_pair[j].sum1;
        end

        esp_pe_pair #(
          .SumBits(SumBits)
        ) u_pair (
          .clk_i,
          .en_i,
          .x_i(x_in),
          .x_o(x_out),
          .cap_any_i(`ESP_WHEN(capture_any)),
          .cap0_i(capture[k+2*j]),
          .cap1_i(capture[k+2*j+1]),
          .w_i(gen_row[k].weight),
          .swap_any_i(swap_any),
          .swap_i(swap[k+j]),
          .sum0_i(sum0_in),
          .sum1_i(sum1_in),
          .sum0_o(sum0),
          .sum1_o(sum1)
        );

        if (j == PAIRS - 1) begin : gen_last
          logic unused_x;
          assign unused_x = ^x_out;
        end
      end
    end

    for (genvar j = 0; j < PAIRS; j++) begin : gen_foot
      assign sums_o[2*j*SumBits +: SumBits] = gen_plain_row[Lanes-1].gen_pair[j].sum0;
      assign sums_o[(2*j+1)*SumBits +: SumBits] = gen_plain_row[Lanes-1].gen_pair[j].sum1;
    end
  end

  `ESP_ASSERT(tiles_do_not_overlap, !wgt_first_i || capture_q[Lanes-2:0] == '0)
  `ESP_ASSERT(swap_after_capture, !(act_swap_i && en_i) || capture[PAIRS:0] == '0)

endmodule

`default_nettype wire
