// The foot of a packed esp_array of 16 lanes: from the last row's sum H * 2^16 + L + 2^19 and low part H
// modulo 16 it gives L for the even column and H for the odd one, for any H and L of 20 bits. The first and the
// last pair; the array's registers are inputs of the module `packed_array` (Yosys' expose -evert-dff), each
// under its names in the array and in the pair.
// Combinational.

`default_nettype none

module foot_step (
  input  wire logic [19:0] sum0,
  input  wire logic [19:0] sum1,
  input  wire logic [19:0] last_sum0,
  input  wire logic [19:0] last_sum1
);

  function automatic logic [35:0] sums(input logic [19:0] s0, input logic [19:0] s1);
    sums = {s1, 16'b0} + {{16{s0[19]}}, s0} + 36'h80000;
  endfunction

  logic [16*20-1:0] columns;

  packed_array u_array (
    .sums_o(columns),
    .\gen_packed.gen_packed_row[15].gen_pair[0].sum.q (sums(sum0, sum1)),
    .\gen_packed.gen_packed_row[15].gen_pair[0].u_packed.sum_o.q (sums(sum0, sum1)),
    .\gen_packed.gen_packed_row[15].gen_pair[0].low.q (sum1[3:0]),
    .\gen_packed.gen_packed_row[15].gen_pair[0].u_packed.low_o.q (sum1[3:0]),
    .\gen_packed.gen_packed_row[15].gen_pair[7].sum.q (sums(last_sum0, last_sum1)),
    .\gen_packed.gen_packed_row[15].gen_pair[7].u_packed.sum_o.q (sums(last_sum0, last_sum1)),
    .\gen_packed.gen_packed_row[15].gen_pair[7].low.q (last_sum1[3:0]),
    .\gen_packed.gen_packed_row[15].gen_pair[7].u_packed.low_o.q (last_sum1[3:0])
  );

  always_comb begin
    first_pair: assert (columns[39:0] == {sum1, sum0});
    last_pair: assert (columns[319:280] == {last_sum1, last_sum0});
  end

endmodule

`default_nettype wire
