// esp_queue: instructions leave in the order in which they came, each once, none before all that it
// waits for has retired, no nop by the output, and the output stays until it is taken.
//
// Retired counts only grow, by any step, and stay within 2^14 of each other's dependencies, as the
// dispatcher's windows guarantee. An instruction's address is its number, so that order shows.

`default_nettype none

module queue_proof (
  input  wire logic        clk_i,
  input  wire logic        clear_i,
  input  wire logic        hold_i,
  input  wire logic        valid_i,
  input  wire logic [82:0] instruction_i,
  input  wire logic [ 6:0] retire_i,
  input  wire logic        ready_i
);

  localparam int unsigned ENGINE = 1;
  localparam logic [5:0] NOP = 6'd1;

  logic rst_n = 1'b0;
  always_ff @(posedge clk_i) rst_n <= 1'b1;

  logic         ready, out_valid, head, waiting, nop_retire;
  logic [127:0] out;
  logic [ 31:0] address;
  logic [ 31:0] entered, left;
  logic [127:0] retired;
  logic [  2:0] met;
  logic         push, pop;

  esp_queue #(.Width(128), .Used(83), .Depth(2), .Engine(ENGINE)) u_dut (
    .clk_i, .rst_ni(rst_n), .clear_i, .hold_i, .in_valid_i(valid_i), .in_ready_o(ready),
    .in_data_i({45'b0, instruction_i}), .in_address_i(entered), .retired_i(retired),
    .out_valid_o(out_valid), .out_ready_i(ready_i), .out_data_o(out), .out_address_o(address),
    .head_o(head), .wait_o(waiting), .nop_retire_o(nop_retire)
  );

  assign push = valid_i && ready;
  assign pop = (out_valid && ready_i) || nop_retire;

  // Engine 1 retires what left by the output, in order; a nop retires as it leaves.
  logic [15:0] issued;

  for (genvar e = 0; e < 8; e++) begin : gen_retired
    logic [15:0] count_q;
    assign retired[16*e+:16] = count_q;
    if (e == 0 || e == 7) begin : gen_none
      assign count_q = '0;
    end else begin : gen_engine
      always_ff @(posedge clk_i) begin
        if (!rst_n || clear_i) count_q <= '0;
        else if (e == ENGINE) count_q <= count_q + 16'((retire_i[e] && count_q != issued) || nop_retire);
        else count_q <= count_q + 16'(retire_i[e]);
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_n || clear_i) begin
      entered <= '0;
      left <= '0;
      issued <= '0;
    end else begin
      entered <= entered + 32'(push);
      left <= left + 32'(pop);
      issued <= issued + 16'(pop);
    end
  end

  for (genvar d = 0; d < 3; d++) begin : gen_dependency
    logic [ 2:0] engine;
    logic [15:0] count;
    assign engine = out[21+19*d+:3];
    assign count = out[24+19*d+:16];
    // Plain comparison: no count has wrapped within the bound of the proof.
    assign met[d] = engine == 3'd0 || retired[16*engine+:16] >= count;
    always_ff @(posedge clk_i) assume (instruction_i[24+19*d+:16] < 16'h4000);
  end

  // The last instruction at the output, for its stability.
  logic         waited;
  logic [127:0] waited_out;
  always_ff @(posedge clk_i) begin
    waited <= rst_n && !clear_i && !hold_i && out_valid && !ready_i;
    waited_out <= out;
  end

  always_ff @(posedge clk_i) begin
    if (rst_n) begin
      if (pop) in_order: assert (address == left && left < entered + 32'(push));
      if (out_valid || nop_retire) all_met: assert (met == 3'b111);
      if (out_valid) no_nop: assert (out[5:0] != NOP);
      if (nop_retire) nop_last: assert (out[5:0] == NOP && retired[16*ENGINE+:16] == issued);
      held: assert (entered - left <= 32'd3);
      if (waited && !hold_i) stays: assert (out_valid && out == waited_out);
    end
  end

endmodule

`default_nettype wire
