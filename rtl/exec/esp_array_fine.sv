// The systolic array of a machine with fine CONVs: each weight takes one of four channels, by its index.
//
// As esp_array, but that two words of Lanes bytes enter in a cycle (act_data_i, the first one low) and that
// two successive pixels are at work together. Rows 4q and 4q+1 see channels 4q to 4q+3 of the first word,
// rows 4q+2 and 4q+3 those of the second; row k takes the one that the weight's index says. With the same
// word twice and index k modulo 4 that is channel k: a dense pass. The second pixel of two enters in the
// cycle after the first, with act_odd_i (a first one without a second, too: whatever comes with it). Both
// pixels' sums of columns 2j and 2j+1 stand at sums_o in their cycles, t + Lanes + 5 + j for a word that
// enters in cycle t.
//
// Weights: as in esp_array; wgt_index_i are the word's indices, 2 bits a row. A tile may enter from the cycle
// after the previous tile's swap on, and may be swapped from Lanes/2 + 1 cycles after its first word on.
//
// Packed: one multiplier for two columns, which take turns; the two pixels are one factor (esp_pe_fine).
// Without it a multiplier a column; pixels come and go one by one, with the same latency. With
// ESP_JOINED_PAIRS, for simulation alone, no row waits for the one above: all sums of a pair of columns are
// formed at once, and then wait; the sums are the same in every cycle. Reset and clear_i stop the swaps and
// captures under way; data are not reset.
// Implements docs/fine.md, section 4.

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_array_fine #(
  parameter int unsigned Lanes   = 4,
  parameter bit          Packed  = 1'b0,
  localparam int unsigned SumBits = 16 + $clog2(Lanes)
) (
  input  wire logic                     clk_i,
  input  wire logic                     rst_ni,
  input  wire logic                     clear_i,
  input  wire logic                     en_i,

  input  wire logic                     act_swap_i,
  input  wire logic                     act_odd_i,
  input  wire logic [1:0]               act_present_i,   // of the first word, of the second
  input  wire logic [7:0]               act_zx_i,
  input  wire logic [16*Lanes-1:0]      act_data_i,

  input  wire logic                     wgt_first_i,
  input  wire logic [8*Lanes-1:0]       wgt_data_i,
  input  wire logic [2*Lanes-1:0]       wgt_index_i,

  output logic      [Lanes*SumBits-1:0] sums_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_lanes_check
    $error("esp_array_fine: Lanes is a power of two from 4 to 32");
  end

  localparam int unsigned PAIRS = Lanes / 2;
  localparam int unsigned GROUPS = Lanes / 2;   // pairs of rows
  localparam int unsigned CAPTURES = 2 * Lanes - 1;
  localparam int unsigned SWAPS = Lanes + PAIRS - 1;
  localparam int unsigned ODDS = Lanes + 4 + PAIRS;

`ifdef ESP_JOINED_PAIRS
  localparam bit JOINED = 1'b1;
`else
  localparam bit JOINED = 1'b0;
`endif

  // Diagonals: swap[1 + 2g + j] for pair j of rows 2g and 2g+1, capture[k + n] for column n of row k,
  // odd[2g + j] where both pixels arrive.
  logic [SWAPS-1:0]    swap;
  logic [SWAPS-2:0]    swap_q;
  logic [CAPTURES-1:0] capture;
  logic [CAPTURES-2:0] capture_q;
  logic [ODDS-1:0]     odd;
  logic [ODDS-2:0]     odd_q;
  logic                capture_any;

  assign swap = {swap_q, act_swap_i};
  assign capture = {capture_q, wgt_first_i};
  assign odd = {odd_q, act_odd_i};
  assign capture_any = capture != '0;

  `ESP_FFC(clear_i, begin
    swap_q <= '0;
    capture_q <= '0;
    odd_q <= '0;
  end) begin
    if (en_i) swap_q <= swap[SWAPS-2:0];
    if (en_i) odd_q <= odd[ODDS-2:0];
    if (`ESP_WHEN(capture_any)) capture_q <= capture[CAPTURES-2:0];
  end

  if (!JOINED) begin : gen_rows
    // Weights and indices reach row k k cycles late.
    for (genvar k = 0; k < Lanes; k++) begin : gen_weight
      logic [8*Lanes-1:0] wgt;
      logic [2*Lanes-1:0] index;
      if (k == 0) begin : gen_input
        assign wgt = wgt_data_i;
        assign index = wgt_index_i;
      end else begin : gen_delay
        always_ff @(posedge clk_i) begin
          if (`ESP_WHEN(capture_any)) begin
            wgt <= gen_weight[k-1].wgt;
            index <= gen_weight[k-1].index;
          end
        end
      end
      logic unused_bytes;  // row k needs its own and those above
      assign unused_bytes = ^wgt ^ ^index;
    end

    // Words reach rows 2g and 2g+1 two cycles late a group. Of each the rows see one of the two, four
    // channels.
    for (genvar g = 0; g < GROUPS; g++) begin : gen_group
      logic [16*Lanes-1:0] act;
      logic [7:0]          zx;
      logic [1:0]          present;
      if (g == 0) begin : gen_input
        if (Packed) begin : gen_now
          assign {act, zx, present} = {act_data_i, act_zx_i, act_present_i};
        end else begin : gen_later
          always_ff @(posedge clk_i) begin
            if (en_i) {act, zx, present} <= {act_data_i, act_zx_i, act_present_i};
          end
        end
      end else begin : gen_delay
        logic [16*Lanes-1:0] act_q;
        logic [7:0]          zx_q;
        logic [1:0]          present_q;
        always_ff @(posedge clk_i) begin
          if (en_i) begin
            {act_q, zx_q, present_q} <= {gen_group[g-1].act, gen_group[g-1].zx, gen_group[g-1].present};
            {act, zx, present} <= {act_q, zx_q, present_q};
          end
        end
      end
      logic unused_bytes;  // and groups below need those above
      assign unused_bytes = ^act ^ ^present;

      logic [35:0] x;
      for (genvar c = 0; c < 4; c++) begin : gen_channel
        logic signed [7:0] raw, zero;
        assign raw = act[8*Lanes*(g%2) + 8*(4*(g/2)+c) +: 8];
        assign zero = zx;
        assign x[9*c +: 9] = present[g%2] ? 9'(raw) - 9'(zero) : 9'd0;
      end
    end
  end

  if (!JOINED && Packed) begin : gen_packed
    localparam int unsigned LowBits = $clog2(Lanes);
    localparam int unsigned ChainBits = 32 + LowBits;
    localparam logic [ChainBits-1:0] BIAS = ChainBits'(1) << (SumBits - 1);

    // Both pixels of a group, four channels each, for two cycles.
    for (genvar g = 0; g < GROUPS; g++) begin : gen_pixels
      logic [35:0] even_q;
      always_ff @(posedge clk_i) begin
        if (en_i && !odd[2*g]) even_q <= gen_rows.gen_group[g].x;
      end
      for (genvar j = 0; j < PAIRS; j++) begin : gen_pair
        logic [35:0] a_q, b_q;
        logic        active_q;   // the buffer of weights at work
        always_ff @(posedge clk_i) begin
          if (en_i && odd[2*g+j]) begin
            if (j == 0) {b_q, a_q} <= {gen_rows.gen_group[g].x, even_q};
            else {b_q, a_q} <= {gen_pair[(j == 0) ? 0 : j-1].b_q, gen_pair[(j == 0) ? 0 : j-1].a_q};
          end
        end
        `ESP_FF(active_q <= 1'b0;)
          if (en_i && swap[1+2*g+j]) active_q <= !active_q;
      end
    end

    for (genvar k = 0; k < Lanes; k++) begin : gen_row
      for (genvar j = 0; j < PAIRS; j++) begin : gen_pair
        logic signed [ChainBits-1:0] sum_in, sum;
        logic        [LowBits-1:0]   low_in, low;
        if (k == 0) begin : gen_top
          assign sum_in = BIAS;
          assign low_in = '0;
        end else begin : gen_below
          assign sum_in = gen_row[k-1].gen_pair[j].sum;
          assign low_in = gen_row[k-1].gen_pair[j].low;
        end

        esp_pe_fine #(
          .Lanes(Lanes),
          .Late(k % 2 == 1)
        ) u_fine (
          .clk_i,
          .en_i,
          .a_i(gen_pixels[k/2].gen_pair[j].a_q),
          .b_i(gen_pixels[k/2].gen_pair[j].b_q),
          .column_i(odd[2*(k/2)+j+2]),
          .cap0_i(capture[k+2*j]),
          .cap1_i(capture[k+2*j+1]),
          .w_i(gen_rows.gen_weight[k].wgt[8*k +: 8]),
          .index_i(gen_rows.gen_weight[k].index[2*k +: 2]),
          .active_i(gen_pixels[k/2].gen_pair[j].active_q),
          .swap_i(en_i && swap[1+2*(k/2)+j]),
          .sum_i(sum_in),
          .sum_o(sum),
          .low_i(low_in),
          .low_o(low)
        );
      end
    end

    // Column 2j's two pixels come first, then column 2j+1's; out go both columns' first pixel, then both
    // columns' second. As in esp_array what the first pixel's sum has above its lowest 16 bits is positive.
    for (genvar j = 0; j < PAIRS; j++) begin : gen_foot
      logic [15:0]        rest;
      logic [SumBits-1:0] upper, parted, a, b, a0_q, b0_q, b1_q;
      logic [LowBits-1:0] low;
      logic               second;
      assign second = odd[Lanes+4+j];
      assign {upper, rest} = gen_row[Lanes-1].gen_pair[j].sum;
      assign low = gen_row[Lanes-1].gen_pair[j].low;
      assign parted = upper - SumBits'(low);
      assign a = {!parted[LowBits-1], parted[LowBits-2:0], rest};
      assign b = {parted[SumBits-1:LowBits], low};
      always_ff @(posedge clk_i) begin
        if (en_i && !second) {a0_q, b0_q} <= {a, b};
        if (en_i && second) b1_q <= b;
      end
      assign sums_o[2*j*SumBits +: SumBits] = second ? a0_q : b0_q;
      assign sums_o[(2*j+1)*SumBits +: SumBits] = second ? a : b1_q;
    end
  end

  if (!JOINED && !Packed) begin : gen_plain
    for (genvar g = 0; g < GROUPS; g++) begin : gen_pixel
      for (genvar j = 0; j < PAIRS; j++) begin : gen_pair
        logic [35:0] x_q;
        always_ff @(posedge clk_i) begin
          if (en_i) begin
            if (j == 0) x_q <= gen_rows.gen_group[g].x;
            else x_q <= gen_pair[(j == 0) ? 0 : j-1].x_q;
          end
        end
      end
    end

    for (genvar k = 0; k < Lanes; k++) begin : gen_row
      for (genvar n = 0; n < Lanes; n++) begin : gen_column
        logic [9:0]                shadow_q, held_q;   // index and weight
        logic signed [8:0]         x, x_q;
        logic signed [7:0]         w_q;
        logic signed [16:0]        product_q;
        logic signed [SumBits-1:0] sum_q, sum_in;

        if (k == 0) begin : gen_top
          assign sum_in = '0;
        end else begin : gen_below
          assign sum_in = gen_row[k-1].gen_column[n].sum_q;
        end

        always_ff @(posedge clk_i) begin
          if (capture[k+n]) begin
            shadow_q <= {gen_rows.gen_weight[k].index[2*k +: 2], gen_rows.gen_weight[k].wgt[8*k +: 8]};
          end
          if (en_i && swap[1+2*(k/2)+n/2]) held_q <= shadow_q;
        end

        assign x = gen_pixel[k/2].gen_pair[n/2].x_q[9*held_q[9:8] +: 9];

        if (k % 2 == 1) begin : gen_late
          logic signed [8:0] late_q;
          logic signed [7:0] weight_late_q;
          always_ff @(posedge clk_i) begin
            if (en_i) begin
              {late_q, weight_late_q} <= {x, held_q[7:0]};
              {x_q, w_q} <= {late_q, weight_late_q};
            end
          end
        end else begin : gen_now
          always_ff @(posedge clk_i) begin
            if (en_i) {x_q, w_q} <= {x, held_q[7:0]};
          end
        end

        always_ff @(posedge clk_i) begin
          if (en_i) begin
            product_q <= 17'(x_q) * 17'(w_q);
            sum_q <= sum_in + SumBits'(product_q);
          end
        end
      end
    end

    for (genvar n = 0; n < Lanes; n++) begin : gen_foot
      logic [SumBits-1:0] sum_q;
      always_ff @(posedge clk_i) begin
        if (en_i) sum_q <= gen_row[Lanes-1].gen_column[n].sum_q;
      end
      assign sums_o[n*SumBits +: SumBits] = sum_q;
    end

    logic unused_odd;
    assign unused_odd = ^odd;
  end

  if (JOINED) begin : gen_joined
    // Two pixels as a + b * 2^32. What came in and what goes out lies in turns by the cycle.
    localparam int unsigned TURN = $clog2(Lanes + 4);
    localparam int unsigned COME = $clog2(PAIRS + 4);
    localparam int unsigned WAIT = Lanes + 1;   // from a pair of columns' sums to their way out
    localparam int unsigned CHANNEL = $clog2(2 * Lanes);

    logic [TURN-1:0]    turn_q;
    logic signed [63:0] x_q [2**COME * 2 * Lanes];   // by turn and channel
    logic [8*2*Lanes-1:0] even_q;
    logic [7:0]         even_zx_q;
    logic [1:0]         even_present_q;

    `ESP_FF(turn_q <= '0;) if (en_i) turn_q <= turn_q + 1'b1;

    always_ff @(posedge clk_i) begin
      if (en_i && !act_odd_i) begin
        even_q <= act_data_i;
        even_zx_q <= act_zx_i;
        even_present_q <= act_present_i;
      end
      if (en_i && act_odd_i) begin
        for (int c = 0; c < 2 * Lanes; c++) begin
          x_q[{turn_q[COME-1:0], CHANNEL'(c)}] <=
              (even_present_q[c / Lanes] ? 64'($signed(even_q[8*c +: 8])) - 64'($signed(even_zx_q)) : 64'd0)
              + ((act_present_i[c / Lanes] ? 64'($signed(act_data_i[8*c +: 8])) - 64'($signed(act_zx_i))
                                           : 64'd0) <<< 32);
        end
      end
    end

    // A column's word of a tile comes whole; the weights' channels are those of both words.
    for (genvar j = 0; j < PAIRS; j++) begin : gen_pair
      logic signed [63:0] shadow_q [2*Lanes], held_q [2*Lanes];
      logic [CHANNEL-1:0] shadow_channel_q [2*Lanes], channel_q [2*Lanes];

      for (genvar n = 0; n < 2; n++) begin : gen_capture
        always_ff @(posedge clk_i) begin
          if (capture[2*j+n]) begin
            for (int k = 0; k < Lanes; k++) begin
              shadow_q[n*Lanes+k] <= 64'($signed(wgt_data_i[8*k +: 8]));
              shadow_channel_q[n*Lanes+k] <=
                  CHANNEL'(Lanes*((k>>1)%2) + 4*(k/4)) + CHANNEL'(wgt_index_i[2*k +: 2]);
            end
          end
        end
      end
      always_ff @(posedge clk_i) begin
        if (en_i && swap[1+j]) begin
          for (int i = 0; i < 2 * Lanes; i++) begin
            held_q[i] <= shadow_q[i];
            channel_q[i] <= shadow_channel_q[i];
          end
        end
      end

      // Column 2j in the cycle after both pixels came, column 2j+1 in the next.
      logic               column;
      logic [COME-1:0]    from;
      logic signed [63:0] sum_q, first_q;
      assign column = odd[j+2];
      assign from = turn_q[COME-1:0] - COME'(j + 1) - COME'(column);
      always_ff @(posedge clk_i) begin
        if (en_i && (odd[j+1] || column)) begin
          logic signed [63:0] sum;
          sum = '0;
          for (int k = 0; k < Lanes; k++) begin
            sum = sum + x_q[{from, channel_q[column ? Lanes + k : k]}] * held_q[column ? Lanes + k : k];
          end
          if (column) sum_q <= sum;
          else first_q <= sum;
        end
      end

      // Pixel a of both columns, and pixel b, by the turn in which they were formed.
      logic [2*SumBits-1:0] a_q [2**TURN], b_q [2**TURN];
      logic [TURN-1:0]      out_a, out_b;
      assign out_a = turn_q - TURN'(WAIT);
      assign out_b = turn_q - TURN'(WAIT + 1);
      always_ff @(posedge clk_i) begin
        if (en_i && odd[j+3]) begin
          a_q[turn_q] <= {sum_q[SumBits-1:0], first_q[SumBits-1:0]};
          b_q[turn_q] <= {sum_q[32 +: SumBits] + SumBits'(sum_q[31]),
                          first_q[32 +: SumBits] + SumBits'(first_q[31])};
        end
      end
      assign sums_o[2*j*SumBits +: 2*SumBits] = odd[Lanes+4+j] ? a_q[out_a] : b_q[out_b];

      logic unused_bits;
      assign unused_bits = ^sum_q ^ ^first_q;
    end

    logic unused_swap;
    assign unused_swap = ^swap;
  end

  `ESP_ASSERT(tiles_do_not_overlap, !wgt_first_i || capture_q[Lanes-2:0] == '0)
  `ESP_ASSERT(swap_after_capture, !(act_swap_i && en_i) || capture[PAIRS:0] == '0)
  `ESP_ASSERT(two_by_two, !(act_odd_i && en_i) || !odd_q[0])

endmodule

`default_nettype wire
