// Squeezes dead lanes out of a stream of steps: live bytes move together, in order.
//
// A step of Lanes bytes with a mask (`pad_i` clear) appends its live bytes; `pad_i` instead fills the
// beat under way up with zeros (an empty one too: a beat of zeros). `zero_i`: all bytes are zeros,
// those of a step as those of padding. Beats go together to words of `Beats`, the first one lowest. A word
// leaves (valid_o) four cycles after the step that fills it where a word is a beat, else five. Throughput: a
// step a cycle; nothing waits, so the sender knows that there is room for what may be full. Reset and clear_i
// drop what waits.
// A byte goes to lane (fill + live bytes below it) modulo Lanes. A stage counts those below, one adds the
// fill, one finds which exchanges of lanes lead there, the last one moves the bytes.
// Implements docs/pack.md, section 5.

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_squeeze #(
  parameter int unsigned Lanes = 8,
  parameter int unsigned Beats = 1,
  localparam int unsigned Bits = $clog2(Lanes)
) (
  input  wire logic               clk_i,
  input  wire logic               rst_ni,
  input  wire logic               clear_i,

  input  wire logic               valid_i,
  input  wire logic [8*Lanes-1:0] data_i,
  input  wire logic [Lanes-1:0]   mask_i,
  input  wire logic               pad_i,
  input  wire logic               zero_i,

  output logic                    valid_o,
  output logic      [8*Lanes*Beats-1:0] data_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 2 || Lanes > 32) begin : gen_parameters_0
    $error("esp_squeeze: Lanes is a power of two from 2 to 32");
  end
  if ((1 << $clog2(Beats)) != Beats || Beats == 0 || Beats > 16) begin : gen_parameters_1
    $error("esp_squeeze: Beats is a power of two from 1 to 16");
  end

  // ---------------------------------------------------------------- the step as it comes
  logic               valid1_q, pad1_q;
  logic [Lanes-1:0]   there1_q;
  logic [8*Lanes-1:0] data1_q;

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      pad1_q <= pad_i;
      there1_q <= pad_i ? '0 : mask_i;
      data1_q <= zero_i ? '0 : data_i;
    end
  end

  // ---------------------------------------------------------------- live bytes below each
  // Sums are spelt out in gates, since each bit is a function of a few, and a carry chain for each lane is
  // larger and slower.
  logic [Lanes*Bits-1:0] rank;
  logic [Bits:0]         total;      // of all lanes

  always_comb begin
    logic carry;
    carry = 1'b0;
    total = '0;
    rank = '0;
    if (`ESP_WHEN(valid1_q)) begin
      for (int i = 0; i < Lanes; i++) begin
        rank[i*Bits +: Bits] = total[Bits-1:0];
        carry = there1_q[i];
        for (int b = 0; b <= Bits; b++) begin
          {carry, total[b]} = {total[b] && carry, total[b] ^ carry};
        end
      end
    end
  end

  logic                  valid2_q, pad2_q;
  logic [Lanes*Bits-1:0] rank_q;
  logic [Bits:0]         total_q;
  logic [Lanes-1:0]      there2_q;
  logic [8*Lanes-1:0]    data2_q;

  always_ff @(posedge clk_i) begin
    if (valid1_q) begin
      pad2_q <= pad1_q;
      rank_q <= rank;
      total_q <= total;
      there2_q <= there1_q;
      data2_q <= data1_q;
    end
  end

  // ---------------------------------------------------------------- where each byte goes
  logic [Bits-1:0]       fill_q;
  logic [Bits:0]         end_d;      // fill and live bytes
  logic [Lanes*Bits-1:0] goal;

  always_comb begin
    logic carry;
    carry = 1'b0;
    goal = '0;
    end_d = {1'b0, fill_q};
    if (`ESP_WHEN(valid2_q)) begin
      for (int i = 0; i < Lanes; i++) begin
        carry = 1'b0;
        for (int b = 0; b < Bits; b++) begin
          goal[i*Bits + b] = rank_q[i*Bits + b] ^ fill_q[b] ^ carry;
          carry = (rank_q[i*Bits + b] && fill_q[b]) || (carry && (rank_q[i*Bits + b] || fill_q[b]));
        end
      end
      carry = 1'b0;
      for (int b = 0; b < Bits; b++) begin
        end_d[b] = total_q[b] ^ fill_q[b] ^ carry;
        carry = (total_q[b] && fill_q[b]) || (carry && (total_q[b] || fill_q[b]));
      end
      end_d[Bits] = total_q[Bits] ^ carry;
    end
  end

  logic                  step_q, full_q;
  logic [Bits-1:0]       before_q;   // the fill before this step
  logic [Lanes*Bits-1:0] goal_q;
  logic [Lanes-1:0]      there_q;
  logic [8*Lanes-1:0]    data3_q;

  `ESP_FFC(clear_i, begin
    valid1_q <= 1'b0;
    valid2_q <= 1'b0;
    step_q <= 1'b0;
    full_q <= 1'b0;
    fill_q <= '0;
  end) begin
    valid1_q <= valid_i;
    valid2_q <= valid1_q;
    step_q <= valid2_q;
    full_q <= valid2_q && (pad2_q || end_d[Bits]);
    if (valid2_q) fill_q <= pad2_q ? '0 : end_d[Bits-1:0];
  end

  always_ff @(posedge clk_i) begin
    if (valid2_q) begin
      before_q <= fill_q;
      goal_q <= goal;
      there_q <= there2_q;
      data3_q <= data2_q;
    end
  end

  // ---------------------------------------------------------------- the way there
  // By exchanges of lanes that differ in bit 0, then 1, ...: live bytes are nearer to each other there
  // than here, so none meet. Where a byte comes from is found first, for two exchanges together, so
  // that its bits pass one multiplexer of four for both.
  logic [Bits*Lanes-1:0] comes;   // exchange s, lane i at s*Lanes + i: from the lane across
  logic [Bits*Lanes-1:0] meet;

  always_comb begin
    logic [Lanes*Bits-1:0] to, to_next;
    logic [Lanes-1:0]      live, there_next;   // lanes that hold a byte
    logic                  stays;
    to = goal_q;
    to_next = goal_q;
    there_next = '0;
    stays = 1'b0;
    live = '0;
    comes = '0;
    meet = '0;
    if (`ESP_WHEN(step_q)) begin
      live = there_q;
      for (int s = 0; s < Bits; s++) begin
        for (int i = 0; i < Lanes; i++) begin
          stays = live[i] && to[i*Bits + s] == 1'(i >> s);
          comes[s*Lanes + i] = live[i ^ (1 << s)] && to[(i ^ (1 << s))*Bits + s] == 1'(i >> s);
          meet[s*Lanes + i] = stays && comes[s*Lanes + i];
          there_next[i] = stays || comes[s*Lanes + i];
          to_next[i*Bits +: Bits] = comes[s*Lanes + i] ? to[(i ^ (1 << s))*Bits +: Bits]
                                                       : to[i*Bits +: Bits];
        end
        to = to_next;
        live = there_next;
      end
    end
  end

  `ESP_ASSERT(no_two_meet, meet == '0)

  logic unused;
  assign unused = ^meet;

  logic                  move_q, full_beat_q;   // something moves; a beat is full with it
  logic [Bits-1:0]       held_lanes_q;          // the fill before this step
  logic [Bits*Lanes-1:0] comes_q;
  logic [8*Lanes-1:0]    data4_q;

  `ESP_FFC(clear_i, {move_q, full_beat_q} <= '0;)
    {move_q, full_beat_q} <= {step_q, full_q};

  always_ff @(posedge clk_i) begin
    if (step_q) begin
      held_lanes_q <= before_q;
      comes_q <= comes;
      data4_q <= data3_q;
    end
  end

  // ---------------------------------------------------------------- it goes there
  logic [8*Lanes-1:0] routed;

  always_comb begin
    logic [8*Lanes-1:0] moved;
    logic               near, far;
    routed = data4_q;
    moved = data4_q;
    near = 1'b0;
    far = 1'b0;
    if (`ESP_WHEN(move_q)) begin
      for (int s = 0; s + 1 < Bits; s += 2) begin
        for (int i = 0; i < Lanes; i++) begin
          far = comes_q[(s+1)*Lanes + i];
          near = far ? comes_q[s*Lanes + (i ^ (2 << s))] : comes_q[s*Lanes + i];
          case ({far, near})
            2'd0: moved[8*i +: 8] = routed[8*i +: 8];
            2'd1: moved[8*i +: 8] = routed[8*(i ^ (1 << s)) +: 8];
            2'd2: moved[8*i +: 8] = routed[8*(i ^ (2 << s)) +: 8];
            default: moved[8*i +: 8] = routed[8*(i ^ (3 << s)) +: 8];
          endcase
        end
        routed = moved;
      end
      if (Bits % 2 != 0) begin
        for (int i = 0; i < Lanes; i++) begin
          if (comes_q[(Bits-1)*Lanes + i]) moved[8*i +: 8] = routed[8*(i ^ (Lanes/2)) +: 8];
          else moved[8*i +: 8] = routed[8*i +: 8];
        end
        routed = moved;
      end
    end
  end

  // Lanes below the fill are held; those from there on are this step's, and all where it fills the beat, for
  // the next one. Past the last byte stands what is written over before it leaves.
  if (Beats == 1) begin : gen_beat
    logic [8*Lanes-1:0] held_q;

    assign valid_o = full_beat_q;
    always_comb begin
      data_o = routed;
      if (`ESP_WHEN(full_beat_q)) begin
        for (int j = 0; j < Lanes; j++) begin
          data_o[8*j +: 8] = (32'(held_lanes_q) > j) ? held_q[8*j +: 8] : routed[8*j +: 8];
        end
      end
    end

    always_ff @(posedge clk_i) begin
      if (`ESP_WHEN(move_q)) begin
        for (int j = 0; j < Lanes; j++) begin
          if (move_q && (full_beat_q || 32'(held_lanes_q) <= j)) held_q[8*j +: 8] <= routed[8*j +: 8];
        end
      end
    end
  end else begin : gen_word
    // Every beat of a word has registers of its own, so that nothing is chosen; the first one, which the next
    // word may write as the last one of this becomes full, is copied before.
    logic [$clog2(Beats)-1:0] beat_q;       // under way
    logic [8*Lanes*Beats-1:0] held_q;
    logic [8*Lanes-1:0]       first_q;
    logic                     first_full_q, word_full_q;

    assign valid_o = word_full_q;
    assign data_o = {held_q[8*Lanes*Beats-1:8*Lanes], first_q};

    `ESP_FFC(clear_i, begin
      beat_q <= '0;
      {first_full_q, word_full_q} <= '0;
    end) begin
      if (full_beat_q) beat_q <= beat_q + 1'b1;
      first_full_q <= full_beat_q && beat_q == '0;
      word_full_q <= full_beat_q && beat_q == '1;
    end

    always_ff @(posedge clk_i) begin
      if (first_full_q) first_q <= held_q[8*Lanes-1:0];
    end

    for (genvar i = 0; i < Beats; i++) begin : gen_held
      logic here, next;
      assign here = 32'(beat_q) == i;
      assign next = 32'(beat_q) == (i + Beats - 1) % Beats;
      always_ff @(posedge clk_i) begin
        if (`ESP_WHEN(move_q)) begin
          for (int j = 0; j < Lanes; j++) begin
            if (move_q && ((here && 32'(held_lanes_q) <= j) || (next && full_beat_q))) begin
              held_q[8*(Lanes*i + j) +: 8] <= routed[8*j +: 8];
            end
          end
        end
      end
    end
  end

  `ESP_ASSERT(padding_is_zero, !valid_i || !pad_i || zero_i)

endmodule

`default_nettype wire
