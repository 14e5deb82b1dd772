// An addition as a carry chain whose first operand feeds the chain, the second its LUTs only: Yosys'
// own choice between them is by name. For additions of a register and what a multiplexer chooses.
(* techmap_celltype = "$add" *)
module add_in_order (A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;

  wire [Y_WIDTH-1:0] half_sum, carry;
  \$alu #(
    .A_SIGNED(A_SIGNED),
    .B_SIGNED(B_SIGNED),
    .A_WIDTH(A_WIDTH),
    .B_WIDTH(B_WIDTH),
    .Y_WIDTH(Y_WIDTH)
  ) _TECHMAP_REPLACE_ (
    .A(A),
    .B(B),
    .BI(1'b0),
    .CI(1'b0),
    .Y(Y),
    .X(half_sum),
    .CO(carry)
  );
endmodule
