// The arithmetic of post in the compact core: requantisation and residual addition of one value,
// bit-serially, in one register of 49 bits: 25 bits `high`, 24 bits `low`.
//
//   requantise   x + bias | magnitude, low bits first | leading one to the top | round to 24 bits
//                | multiply, a bit a cycle | round to 24 bits | shift to the integer | round
//   add          (a - za)*ma + (b - zb)*mb, low bits first | shift | round
//   both         add the zero point, clamp
//
// What the adder of `high` adds is chosen a cycle before, and stands in a register.
//
// x comes by halfwords beforehand, low one first (x_low_i, x_high_i with x_i, to which half_i is added
// unless plain_i), the multiplier likewise (scale_low_i, scale_high_i with half_i), or where plain_i from
// scale_i at the start. requant_i starts; it may come with scale_high_i. add_i starts an addition of y_o
// and b_i. done_o pulses when y_o is good; y_o holds until the next start. About 120 cycles and 40.
// Roundings are to nearest, ties to even, and saturate as in esp_requant_lane and esp_addop_lane,
// to the bit. No reset but of control.
// Implements docs/ice40.md (post); numerics: docs/numerics.md.

`default_nettype none
`include "esp_ff.svh"

module esp_compact_alu (
  input  wire logic        clk_i,
  input  wire logic        rst_ni,
  input  wire logic        clear_i,

  input  wire logic        x_low_i,
  input  wire logic        x_high_i,
  input  wire logic [15:0] x_i,
  input  wire logic        scale_low_i,
  input  wire logic        scale_high_i,
  input  wire logic [15:0] half_i,

  input  wire logic        requant_i,
  input  wire logic        plain_i,
  input  wire logic [30:0] scale_i,

  input  wire logic        add_i,
  input  wire logic [7:0]  b_i,
  input  wire logic [7:0]  za_i,
  input  wire logic [7:0]  zb_i,
  input  wire logic [21:0] ma_i,
  input  wire logic [21:0] mb_i,
  input  wire logic [4:0]  shift_i,       // 13 to 31

  input  wire logic [7:0]  zero_i,        // these three from start to done
  input  wire logic [7:0]  lo_i,
  input  wire logic [7:0]  hi_i,

  output logic             done_o,
  output logic      [7:0]  y_o
);

  localparam logic [8:0] PowerHalf = 9'd126;        // 1.frac * 2^-1: the least that may round to 1
  localparam logic [8:0] PowerSaturated = 9'd135;   // 1.frac * 2^8

  typedef enum logic [4:0] {
    StIdle, StMagnitude, StNegate, StNormalise, StRound1, StMultiply0, StMultiply, StAlign, StRound2,
    StPower, StShift, StRound3, StConstant, StZero, StClamp, StAddA, StAddB
  } state_e;

  state_e      state_q;
  logic [24:0] high_q, high_sum, factor_q;
  logic [23:0] low_q;
  logic [30:0] scale_q;
  logic [8:0]  power_q, da_q, db_q;
  logic [4:0]  left_q;
  logic        sign_q, ones_q, zero_scale, carry_in_q, done_q;

  // A half of the sum, which stands at bits 47:16.
  logic [15:0] addend;
  logic [16:0] half_sum;
  logic        carry_q;
  assign addend = plain_i ? '0 : half_i;
  assign half_sum = 17'(x_i) + 17'(addend) + 17'(x_high_i && carry_q);

  // What the adder of `high` adds in the next cycle: a multiplicand, or minus one (the sign bit of a factor),
  // or the zero point, nothing where it rounds. Minus a value is the inverse of one plus the inverse.
  logic [23:0] factor;
  logic        subtract, take_scale, take_a, take_b;
  always_comb begin
    take_scale = 1'b0;
    take_a = 1'b0;
    take_b = 1'b0;
    subtract = 1'b0;
    case (state_q)
      StMultiply0: take_scale = high_q[0];
      StMultiply: take_scale = low_q[1];
      StIdle: take_a = y_o[0] != za_i[0];
      StAddA: begin
        take_b = db_q[0];
        subtract = left_q == '0;
      end
      StAddB: begin
        take_a = da_q[1];
        subtract = left_q == 5'd1;
      end
      default: ;
    endcase
    factor = ({1'b1, scale_q[22:0]} & {24{take_scale}}) | ({2'b0, ma_i} & {24{take_a}})
           | ({2'b0, mb_i} & {24{take_b}});
  end
  always_ff @(posedge clk_i) begin
    // Minus one's second half, or the rounding of a value that stands still in this cycle.
    carry_in_q <= subtract || ((state_q == StNormalise || state_q == StAlign || state_q == StShift)
                               && low_q[23] && (high_q[0] || low_q[22:0] != '0));
    if (state_q == StRound3 || state_q == StConstant) factor_q <= 25'($signed(zero_i)) ^ {25{sign_q}};
    else factor_q <= {1'b0, factor} ^ {25{subtract}};
  end
  assign high_sum = high_q + factor_q + 25'(carry_in_q);

  // What leaves: zero + value, clamped. With the sign it stands there inverted.
  logic       [7:0] y;
  logic             negative, beyond, below, above;
  assign y = high_q[7:0] ^ {8{sign_q}};
  assign negative = high_q[24] ^ sign_q;
  assign beyond = high_q[24:7] != {18{high_q[24]}};
  assign below = beyond ? negative : $signed(y) < $signed(lo_i);
  assign above = beyond ? !negative : $signed(y) > $signed(hi_i);

  assign zero_scale = scale_q[30:23] == '0;
  assign done_o = done_q;

  `ESP_FFC(clear_i, begin
    state_q <= StIdle;
    done_q <= 1'b0;
  end) begin
    done_q <= state_q == StClamp;
    case (state_q)
      StIdle: begin
        if (requant_i) state_q <= StMagnitude;
        else if (add_i) state_q <= StAddA;
      end
      StMagnitude: state_q <= zero_scale ? StConstant : high_q[23] ? StNegate : StNormalise;
      StNegate: if (left_q == '0) state_q <= StNormalise;
      StNormalise: begin
        if (high_q[23]) state_q <= StRound1;
        else if (left_q == '0) state_q <= StConstant;
      end
      StRound1: state_q <= StMultiply0;
      StMultiply0: state_q <= StMultiply;
      StMultiply: if (left_q == '0) state_q <= StAlign;
      StAlign: if (high_q[23]) state_q <= StRound2;
      StRound2: state_q <= StPower;
      StPower: state_q <= (power_q >= PowerSaturated || power_q < PowerHalf) ? StConstant : StShift;
      StShift: if (left_q == '0) state_q <= StRound3;
      StRound3, StConstant: state_q <= StZero;
      StZero: state_q <= StClamp;
      StAddA: state_q <= StAddB;
      StAddB: state_q <= (left_q == '0) ? StShift : StAddA;
      default: state_q <= StIdle;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (scale_low_i) scale_q[15:0] <= half_i;
    if (scale_high_i) scale_q[30:16] <= half_i[14:0];
    if (plain_i && requant_i) scale_q <= scale_i;

    case (state_q)
      StIdle: begin
        left_q <= requant_i ? 5'd31 : 5'd8;
        carry_q <= half_sum[16];
        ones_q <= 1'b0;
        if (x_low_i) {high_q[7:0], low_q} <= {half_sum[15:0], 16'd0};
        if (x_high_i) high_q[24:8] <= {1'b0, half_sum[15:0]};
        if (add_i) begin
          high_q <= '0;
          low_q <= '0;
          sign_q <= 1'b0;
          da_q <= {y_o[7], y_o} - {za_i[7], za_i};
          db_q <= {b_i[7], b_i} - {zb_i[7], zb_i};
        end
      end
      StMagnitude: begin
        sign_q <= high_q[23];
        power_q <= {1'b0, scale_q[30:23]} + 9'd31;
        if (zero_scale) high_q <= '0;   // also a subnormal one: gives 0 whatever it multiplies
      end
      StNegate: begin   // once around, inverted above the lowest one
        {high_q, low_q[23:16]} <= {1'b0, low_q[16] ^ ones_q, high_q[23:0], low_q[23:17]};
        ones_q <= ones_q || low_q[16];
        left_q <= left_q - 1'b1;   // ends at 31
      end
      StNormalise: begin
        left_q <= left_q - 1'b1;
        if (!high_q[23]) begin
          {high_q, low_q} <= {1'b0, high_q[22:0], low_q, 1'b0};
          power_q <= power_q - 1'b1;
        end
      end
      StRound1, StRound2: begin
        high_q <= {1'b0, high_sum[24] || high_sum[23], high_sum[22:0]};   // 2^24 becomes 2^23
        if (high_sum[24]) power_q <= power_q + 1'b1;
        left_q <= 5'd23;
      end
      StMultiply0: begin
        low_q <= high_q[23:0];
        high_q <= '0;
        left_q <= 5'd23;
      end
      StMultiply: begin
        {high_q, low_q} <= {1'b0, high_sum, low_q[23:1]};
        left_q <= left_q - 1'b1;
      end
      StAlign: begin
        power_q <= high_q[23] ? power_q + 1'b1 : power_q - 1'b1;
        if (!high_q[23]) {high_q, low_q} <= {1'b0, high_q[22:0], low_q, 1'b0};
      end
      StPower: begin
        low_q <= '0;
        left_q <= 5'(9'd150 - power_q);   // 16 to 24
        if (power_q >= PowerSaturated) high_q <= 25'd256;
        else if (power_q < PowerHalf) high_q <= '0;
      end
      StShift: begin
        if (left_q != '0) begin
          {high_q, low_q[23:1]} <= {high_q[24], high_q, low_q[23:2]};
          low_q[0] <= low_q[1] || low_q[0];
        end
        left_q <= left_q - 1'b1;
      end
      StRound3, StZero, StAddA: high_q <= high_sum;
      StAddB: begin
        {high_q, low_q} <= {high_sum[24], high_sum, low_q[23:1]};
        da_q <= da_q >> 1;
        db_q <= db_q >> 1;
        left_q <= (left_q == '0) ? shift_i - 5'd9 : left_q - 1'b1;
      end
      StClamp: begin
        if (below) y_o <= lo_i;
        else if (above) y_o <= hi_i;
        else y_o <= y;
      end
      default: ;
    endcase
  end

endmodule

`default_nettype wire
