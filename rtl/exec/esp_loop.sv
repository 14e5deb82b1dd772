// A loop's counter: which turn is the last is a register.
//
// load_i starts a loop of load_count_i turns (0 counts as all the values that Width bits have); each step_i
// ends a turn, that of the last one starts the loop again with count_i turns, which the user holds.
// end_o: this turn is the last; next_end_o: the one after it is. No reset: load_i comes first.

`default_nettype none

module esp_loop #(
  parameter int unsigned Width = 8
) (
  input  wire logic             clk_i,
  input  wire logic             load_i,
  input  wire logic [Width-1:0] load_count_i,
  input  wire logic             step_i,
  input  wire logic [Width-1:0] count_i,
  output logic                  end_o,
  output logic                  next_end_o
);

  if (Width < 2) begin : gen_parameters
    $error("esp_loop: Width is at least 2");
  end

  logic [Width-1:0] left_q;  // turns, this one included
  logic             one_q;   // a loop has one turn

  assign next_end_o = end_o ? one_q : left_q == Width'(2);

  always_ff @(posedge clk_i) begin
    if (load_i) begin
      left_q <= load_count_i;
      one_q <= load_count_i == Width'(1);
      end_o <= load_count_i == Width'(1);
    end else if (step_i) begin
      left_q <= end_o ? count_i : left_q - 1'b1;
      end_o <= next_end_o;
    end
  end

endmodule

`default_nettype wire
