// esp_fifo gives every word that it took, once, in order, and nothing else.
//
// Any one word is followed from the cycle in which it enters: `ahead` words leave before it.

`default_nettype none

module fifo_proof #(
  parameter int unsigned Width = 4,
  parameter int unsigned Depth = 4
) (
  input  wire logic             clk_i,
  input  wire logic             clear_i,
  input  wire logic             valid_i,
  input  wire logic [Width-1:0] data_i,
  input  wire logic             ready_i,
  input  wire logic             follow_i  // follow the word that enters now
);

  logic rst_n = 1'b0;
  always_ff @(posedge clk_i) rst_n <= 1'b1;

  logic             ready, valid;
  logic [Width-1:0] data;

  esp_fifo #(.Width(Width), .Depth(Depth)) u_dut (
    .clk_i, .rst_ni(rst_n), .clear_i, .valid_i, .ready_o(ready), .data_i, .valid_o(valid), .ready_i,
    .data_o(data)
  );

  // How many words it must hold, and the followed word.
  logic [2:0]       held;
  logic             followed;
  logic [2:0]       ahead;
  logic [Width-1:0] word;
  logic             push, pop;

  assign push = valid_i && ready;
  assign pop = valid && ready_i;

  always_ff @(posedge clk_i) begin
    if (!rst_n || clear_i) begin
      held <= '0;
      followed <= 1'b0;
    end else begin
      held <= held + 3'(push) - 3'(pop);
      if (!followed && follow_i && push) begin
        followed <= 1'b1;
        ahead <= held - 3'(pop);
        word <= data_i;
      end else if (followed && pop) begin
        followed <= ahead != '0;
        ahead <= ahead - 3'd1;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (rst_n) begin
      held_in_range: assert (held <= 3'(Depth));
      ready_while_room: assert (ready == (held < 3'(Depth)));
      valid_while_words: assert (valid == (held != '0));
      if (followed && ahead == '0) in_order: assert (valid && data == word);
    end
  end

endmodule

`default_nettype wire
