// Registers of control: what stands behind the macro says their next values, `Reset` what reset and, with a
// Clear, the synchronous one too leave in them. Used inside modules that have `clk_i` and `rst_ni`:
//
//   `ESP_FFC(clear_i, begin
//     head_q <= '0;
//     tail_q <= '0;
//   end) begin
//     if (push) head_q <= head_q + 1'b1;
//     if (pop) tail_q <= tail_q + 1'b1;
//   end
//
// One register: `ESP_FFC(clear_i, valid_q <= 1'b0;) valid_q <= valid_i;
// Datapath has no reset: always_ff @(posedge clk_i).

`ifndef ESP_FF_SVH
`define ESP_FF_SVH

`define ESP_FF(Reset) \
  always_ff @(posedge clk_i or negedge rst_ni) \
    if (!rst_ni) Reset \
    else

`define ESP_FFC(Clear, Reset) \
  always_ff @(posedge clk_i or negedge rst_ni) \
    if (!rst_ni) Reset \
    else if (Clear) Reset \
    else

`endif
