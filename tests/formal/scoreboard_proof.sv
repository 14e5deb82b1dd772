// esp_scoreboard: retired_o counts the retirements of each engine modulo 2^16 since the last clear_i,
// of which there must have been one (before, it may hold anything), and idle_o says that every engine
// had retired a cycle ago what it was given; after a clear it says no.
//
// Assumed of the inputs: an engine has fewer than 62 instructions before it (its queue holds few),
// and retires none that it was not given (esp_scoreboard asserts that too).

`default_nettype none

module scoreboard_proof (
  input  wire logic       clk_i,
  input  wire logic       clear_i,
  input  wire logic [6:0] dispatch_i,
  input  wire logic [6:0] retire_i
);

  logic rst_n = 1'b0;
  always_ff @(posedge clk_i) rst_n <= 1'b1;

  logic [127:0] retired;
  logic         idle;

  esp_scoreboard u_dut (
    .clk_i, .rst_ni(rst_n), .clear_i, .dispatch_i, .retire_i, .retired_o(retired), .idle_o(idle)
  );

  logic cleared;
  always_ff @(posedge clk_i) begin
    if (!rst_n) cleared <= 1'b0;
    else if (clear_i) cleared <= 1'b1;
  end

  logic [95:0] done;  // of engines 1 to 6
  logic [ 5:0] busy;

  for (genvar e = 0; e < 6; e++) begin : gen_engine
    logic [5:0] owed;
    assign busy[e] = owed != '0;

    always_ff @(posedge clk_i) begin
      if (!rst_n || clear_i) begin
        owed <= '0;
        done[16*e+:16] <= '0;
      end else begin
        owed <= owed + 6'(dispatch_i[e+1]) - 6'(retire_i[e+1]);
        done[16*e+:16] <= done[16*e+:16] + 16'(retire_i[e+1]);
        assume (!(retire_i[e+1] && !dispatch_i[e+1] && !busy[e]));
        assume (!(dispatch_i[e+1] && owed == 6'd62));
      end
    end
  end

  logic was_idle;
  always_ff @(posedge clk_i) begin
    if (!rst_n) was_idle <= 1'b0;
    else was_idle <= !clear_i && busy == '0;
  end

  always_ff @(posedge clk_i) begin
    if (rst_n) begin
      if (cleared) counts: assert (retired == {16'b0, done, 16'b0});
      idle_when_done: assert (idle == was_idle);
    end
  end

endmodule

`default_nettype wire
