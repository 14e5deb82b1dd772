// esp_queue: a nop retires only when every instruction that left before it has, in every cycle, though
// the queue compares the low bits of two counts that wrap.
//
// Assumed: the engine holds at most 62 instructions that it has not retired, as esp_scoreboard asserts.

`default_nettype none

module queue_nop_proof (
  input  wire logic        clk_i,
  input  wire logic        clear_i,
  input  wire logic        hold_i,
  input  wire logic        valid_i,
  input  wire logic [ 5:0] opcode_i,
  input  wire logic        retire_i,
  input  wire logic        ready_i
);

  localparam int unsigned ENGINE = 1;
  localparam logic [5:0] NOP = 6'd1;
  localparam logic [15:0] MOST = 16'd62;

  logic rst_n = 1'b0;
  always_ff @(posedge clk_i) rst_n <= 1'b1;

  logic         ready, out_valid, head, waiting, nop_retire;
  logic [127:0] out, counts;
  logic [ 31:0] address;
  logic [ 15:0] left, retired;

  // Instructions without dependencies.
  assign counts = 128'(retired) << (16 * ENGINE);
  esp_queue #(.Width(128), .Used(83), .Depth(2), .Engine(ENGINE)) u_dut (
    .clk_i, .rst_ni(rst_n), .clear_i, .hold_i, .in_valid_i(valid_i), .in_ready_o(ready),
    .in_data_i({122'b0, opcode_i}), .in_address_i(32'b0), .retired_i(counts),
    .out_valid_o(out_valid), .out_ready_i(ready_i), .out_data_o(out), .out_address_o(address),
    .head_o(head), .wait_o(waiting), .nop_retire_o(nop_retire)
  );

  // What left the queue, nops included, and what has retired of it; a nop retires as it leaves.
  always_ff @(posedge clk_i) begin
    if (!rst_n || clear_i) begin
      left <= '0;
      retired <= '0;
    end else begin
      left <= left + 16'((out_valid && ready_i) || nop_retire);
      retired <= retired + 16'((retire_i && retired != left) || nop_retire);
    end
  end

  always_ff @(posedge clk_i) begin
    if (rst_n) begin
      assume (left - retired <= MOST);
      if (nop_retire) all_retired: assert (left == retired && out[5:0] == NOP);
    end
  end

endmodule

`default_nettype wire
