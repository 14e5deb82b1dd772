// One clock of esp_pe_fine (16 lanes), of the first row of a group and of the second, beside two columns that have a
// multiplier, a weight with its index and the next one each; registers are inputs and outputs of the modules
// `fine_form` and `late_form` (Yosys' expose -evert-dff): where they correspond before the clock, they do after it.
//
// Correspond: the buffer at work holds both columns' weights and indices, the other one the next ones; the factor is
// pixel b's channel * 2^16 plus pixel a's, each channel the one that the column's index names; the sum is H * 2^16 + L,
// with L and H the column's sums of a and b, the low parts those of b and H modulo 16. What the product becomes is a
// function of a, b and w alone, and compared for every value of those in fine_products_test.cpp: here it is
// pb * 2^16 + pa for any products pa and pb.
// Combinational. Assumed: no column is captured with the other, and L stays in 20 bits.

`default_nettype none

module fine_step (
  input  wire logic        en,
  input  wire logic [35:0] a,
  input  wire logic [35:0] b,
  input  wire logic        column,
  input  wire logic        cap0,
  input  wire logic        cap1,
  input  wire logic [ 7:0] w,
  input  wire logic [ 1:0] index,
  input  wire logic        active,
  input  wire logic        swap,
  // Both columns' registers before the clock: index and weight at work, and the next ones.
  input  wire logic [ 9:0] held0,
  input  wire logic [ 9:0] held1,
  input  wire logic [ 9:0] next0,
  input  wire logic [ 9:0] next1,
  input  wire logic [ 8:0] late_a,
  input  wire logic [ 8:0] late_b,
  input  wire logic [ 7:0] late_w,
  input  wire logic [24:0] factor,
  input  wire logic [ 7:0] weight,
  input  wire logic [ 3:0] b_low,
  input  wire logic [15:0] pa,
  input  wire logic [15:0] pb,
  input  wire logic [19:0] sum_a,
  input  wire logic [19:0] sum_b,
  input  wire logic [19:0] old_a,
  input  wire logic [19:0] old_b
);

  function automatic logic [35:0] sums(input logic [19:0] s0, input logic [19:0] s1);
    sums = {s1, 16'b0} + {{16{s0[19]}}, s0};
  endfunction

  function automatic logic [33:0] products(input logic [15:0] p0, input logic [15:0] p1);
    products = {{2{p1[15]}}, p1, 16'b0} + {{18{p0[15]}}, p0};
  endfunction

  function automatic logic [8:0] channel(input logic [35:0] x, input logic [1:0] i);
    case (i)
      2'd0: channel = x[8:0];
      2'd1: channel = x[17:9];
      2'd2: channel = x[26:18];
      default: channel = x[35:27];
    endcase
  endfunction

  function automatic logic [24:0] both(input logic [8:0] x, input logic [8:0] y);
    both = {y, 16'b0} + {{16{x[8]}}, x};
  endfunction

  logic [ 9:0] mem_d [2][4];
  logic [24:0] factor_d [2];
  logic [ 7:0] weight_d [2];
  logic [ 3:0] b_low_d [2], low_d [2];
  logic [33:0] product_d [2];
  logic [ 3:0] product_low_d [2];
  logic [35:0] sum_d [2];
  logic [ 8:0] late_a_d, late_b_d;
  logic [ 7:0] late_w_d;

  fine_form u_first (
    .clk_i(1'b0), .en_i(en), .a_i(a), .b_i(b), .column_i(column), .cap0_i(cap0), .cap1_i(cap1), .w_i(w),
    .index_i(index), .active_i(active), .swap_i(swap), .sum_i(sums(sum_a, sum_b)), .low_i(sum_b[3:0]),
    .\mem_q[0].q (active ? next0 : held0), .\mem_q[0].d (mem_d[0][0]),
    .\mem_q[1].q (active ? next1 : held1), .\mem_q[1].d (mem_d[0][1]),
    .\mem_q[2].q (active ? held0 : next0), .\mem_q[2].d (mem_d[0][2]),
    .\mem_q[3].q (active ? held1 : next1), .\mem_q[3].d (mem_d[0][3]),
    .\both_q.q (factor), .\both_q.d (factor_d[0]),
    .\weight_q.q (weight), .\weight_q.d (weight_d[0]),
    .\b_low_q.q (b_low), .\b_low_q.d (b_low_d[0]),
    .\product_q.q (products(pa, pb)), .\product_q.d (product_d[0]),
    .\product_low_q.q (pb[3:0]), .\product_low_q.d (product_low_d[0]),
    .\sum_o.q (sums(old_a, old_b)), .\sum_o.d (sum_d[0]),
    .\low_o.q (old_b[3:0]), .\low_o.d (low_d[0])
  );

  late_form u_second (
    .clk_i(1'b0), .en_i(en), .a_i(a), .b_i(b), .column_i(column), .cap0_i(cap0), .cap1_i(cap1), .w_i(w),
    .index_i(index), .active_i(active), .swap_i(swap), .sum_i(sums(sum_a, sum_b)), .low_i(sum_b[3:0]),
    .\mem_q[0].q (active ? next0 : held0), .\mem_q[0].d (mem_d[1][0]),
    .\mem_q[1].q (active ? next1 : held1), .\mem_q[1].d (mem_d[1][1]),
    .\mem_q[2].q (active ? held0 : next0), .\mem_q[2].d (mem_d[1][2]),
    .\mem_q[3].q (active ? held1 : next1), .\mem_q[3].d (mem_d[1][3]),
    .\a_d.q (late_a), .\a_d.d (late_a_d),
    .\b_d.q (late_b), .\b_d.d (late_b_d),
    .\w_d.q (late_w), .\w_d.d (late_w_d),
    .\both_q.q (factor), .\both_q.d (factor_d[1]),
    .\weight_q.q (weight), .\weight_q.d (weight_d[1]),
    .\b_low_q.q (b_low), .\b_low_q.d (b_low_d[1]),
    .\product_q.q (products(pa, pb)), .\product_q.d (product_d[1]),
    .\product_low_q.q (pb[3:0]), .\product_low_q.d (product_low_d[1]),
    .\sum_o.q (sums(old_a, old_b)), .\sum_o.d (sum_d[1]),
    .\low_o.q (old_b[3:0]), .\low_o.d (low_d[1])
  );

  // What the columns do.
  logic        work;   // the buffer at work after the clock
  logic [ 9:0] held;
  logic [ 8:0] x_a, x_b;
  logic [19:0] new_a, new_b;
  assign work = active ^ swap;
  assign held = column ? held1 : held0;
  assign x_a = channel(a, held[9:8]);
  assign x_b = channel(b, held[9:8]);
  assign new_a = en ? sum_a + {{4{pa[15]}}, pa} : old_a;
  assign new_b = en ? sum_b + {{4{pb[15]}}, pb} : old_b;

  always_comb begin
    one_column: assume (!(cap0 && cap1));
    in_20_bits: assume (!en || sum_a[19] != pa[15] || new_a[19] == sum_a[19]);

    for (int r = 0; r < 2; r++) begin
      // A swap makes the next weights those at work; a capture is of the ones after those.
      assert (mem_d[r][{work, 1'b0}] == (swap ? next0 : held0));
      assert (mem_d[r][{work, 1'b1}] == (swap ? next1 : held1));
      assert (mem_d[r][{!work, 1'b0}] == (cap0 ? {index, w} : swap ? held0 : next0));
      assert (mem_d[r][{!work, 1'b1}] == (cap1 ? {index, w} : swap ? held1 : next1));
      assert (sum_d[r] == sums(new_a, new_b));
      assert (low_d[r] == new_b[3:0]);
      assert (en || (product_d[r] == products(pa, pb) && product_low_d[r] == pb[3:0]));
    end
    first_row: assert (factor_d[0] == (en ? both(x_a, x_b) : factor) && weight_d[0] == (en ? held[7:0] : weight)
                       && b_low_d[0] == (en ? x_b[3:0] : b_low));
    waiting: assert ({late_a_d, late_b_d, late_w_d} == (en ? {x_a, x_b, held[7:0]} : {late_a, late_b, late_w}));
    second_row: assert (factor_d[1] == (en ? both(late_a, late_b) : factor) && weight_d[1] == (en ? late_w : weight)
                        && b_low_d[1] == (en ? late_b[3:0] : b_low));
  end

endmodule

`default_nettype wire
