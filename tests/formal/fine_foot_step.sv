// The foot of a packed esp_array_fine of 16 lanes, one clock of it: from the last row's sum H * 2^16 + L + 2^19 and low
// part H modulo 16, L and H a column's sums of two pixels, it keeps what has to wait, and gives both columns' sums of
// the first pixel with the second column's, and of the second pixel in the cycle after, for any sums of 20 bits.
// The first and the last pair; the array's registers are inputs of the module `packed_array` (Yosys' expose
// -evert-dff), each under its names in the array and in the pair. Combinational.

`default_nettype none

module fine_foot_step (
  input  wire logic        en,
  input  wire logic [26:0] odd,
  input  wire logic [19:0] sum_a,
  input  wire logic [19:0] sum_b,
  input  wire logic [19:0] last_a,
  input  wire logic [19:0] last_b,
  // What waits before the clock: column 0's two pixels, column 1's second.
  input  wire logic [19:0] a0,
  input  wire logic [19:0] b0,
  input  wire logic [19:0] b1
);

  function automatic logic [35:0] sums(input logic [19:0] s0, input logic [19:0] s1);
    sums = {s1, 16'b0} + {{16{s0[19]}}, s0} + 36'h80000;
  endfunction

  logic [16*20-1:0] columns;
  logic [19:0]      first_a0_d, first_b0_d, first_b1_d, last_a0_d, last_b0_d, last_b1_d;

  packed_array u_array (
    .en_i(en),
    .sums_o(columns),
    .\odd_q.q (odd),
    .\gen_packed.gen_row[15].gen_pair[0].sum.q (sums(sum_a, sum_b)),
    .\gen_packed.gen_row[15].gen_pair[0].u_fine.sum_o.q (sums(sum_a, sum_b)),
    .\gen_packed.gen_row[15].gen_pair[0].low.q (sum_b[3:0]),
    .\gen_packed.gen_row[15].gen_pair[0].u_fine.low_o.q (sum_b[3:0]),
    .\gen_packed.gen_row[15].gen_pair[7].sum.q (sums(last_a, last_b)),
    .\gen_packed.gen_row[15].gen_pair[7].u_fine.sum_o.q (sums(last_a, last_b)),
    .\gen_packed.gen_row[15].gen_pair[7].low.q (last_b[3:0]),
    .\gen_packed.gen_row[15].gen_pair[7].u_fine.low_o.q (last_b[3:0]),
    .\gen_packed.gen_foot[0].a0_q.q (a0), .\gen_packed.gen_foot[0].a0_q.d (first_a0_d),
    .\gen_packed.gen_foot[0].b0_q.q (b0), .\gen_packed.gen_foot[0].b0_q.d (first_b0_d),
    .\gen_packed.gen_foot[0].b1_q.q (b1), .\gen_packed.gen_foot[0].b1_q.d (first_b1_d),
    .\gen_packed.gen_foot[7].a0_q.q (a0), .\gen_packed.gen_foot[7].a0_q.d (last_a0_d),
    .\gen_packed.gen_foot[7].b0_q.q (b0), .\gen_packed.gen_foot[7].b0_q.d (last_b0_d),
    .\gen_packed.gen_foot[7].b1_q.q (b1), .\gen_packed.gen_foot[7].b1_q.d (last_b1_d)
  );

  // Whether the second column's sums stand at the foot: the pixels' flag, 20 + j cycles after the second came.
  logic first_second, last_second;
  assign first_second = odd[19];
  assign last_second = odd[26];

  always_comb begin
    first_pair: assert (columns[39:0] == (first_second ? {sum_a, a0} : {b1, b0}));
    last_pair: assert (columns[319:280] == (last_second ? {last_a, a0} : {b1, b0}));
    first_waits: assert ({first_a0_d, first_b0_d} == ((en && !first_second) ? {sum_a, sum_b} : {a0, b0}));
    first_waits_on: assert (first_b1_d == ((en && first_second) ? sum_b : b1));
    last_waits: assert ({last_a0_d, last_b0_d} == ((en && !last_second) ? {last_a, last_b} : {a0, b0}));
    last_waits_on: assert (last_b1_d == ((en && last_second) ? last_b : b1));
  end

endmodule

`default_nettype wire
