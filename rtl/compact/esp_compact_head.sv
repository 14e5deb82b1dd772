// The instruction that an engine of the compact core works on, filled by halfwords of 16 bits.
//
// Halfword `index_i` is captured under valid_i and holds until overwritten; bits that nobody reads
// cost nothing. No reset: an engine reads it after its start only.
// Implements docs/ice40.md (front).

`default_nettype none

module esp_compact_head #(
  parameter int unsigned Bits = 256,
  parameter int unsigned Halfwords = 16   // captured; those above read 0
) (
  input  wire logic            clk_i,
  input  wire logic            valid_i,
  input  wire logic [5:0]      index_i,
  input  wire logic [15:0]     data_i,
  output logic      [Bits-1:0] inst_o
);

  if (Halfwords == 0 || Halfwords > 64 || Bits < 16 * Halfwords) begin : gen_parameters
    $error("esp_compact_head: Halfwords is 1 to 64, and Bits has room for them");
  end

  logic [16*Halfwords-1:0] inst_q;

  for (genvar k = 0; k < Halfwords; k++) begin : gen_halfword
    always_ff @(posedge clk_i) begin
      if (valid_i && index_i == 6'(k)) inst_q[16*k +: 16] <= data_i;
    end
  end

  assign inst_o = Bits'(inst_q);

endmodule

`default_nettype wire
