// For timing alone, never for a machine: cells with the levels and the fan-out of what an iCE40 lacks.
//
// - A memory that is read without a clock, which the engines have as distributed memory (it would become
//   thousands of registers). A bit of a read port is one LUT, of the word written last and three bits of the
//   address, all of which serve in turn.
// - A multiplier that is larger than the array's (it would be several hundred LUTs, a dozen levels deep). A bit
//   of a product is one LUT of four bits of the operands.

(* techmap_celltype = "$mul" *)
module esp_multiplier #(
  parameter A_SIGNED = 0,
  parameter B_SIGNED = 0,
  parameter A_WIDTH = 1,
  parameter B_WIDTH = 1,
  parameter Y_WIDTH = 1
) (
  input  [A_WIDTH-1:0] A,
  input  [B_WIDTH-1:0] B,
  output [Y_WIDTH-1:0] Y
);
  wire _TECHMAP_FAIL_ = A_WIDTH + B_WIDTH < 24;

  genvar i;
  generate
    for (i = 0; i < Y_WIDTH; i = i + 1) begin : gen_bit
      assign Y[i] = A[i % A_WIDTH] ^ B[i % B_WIDTH] ^ (A[(i+7) % A_WIDTH] & B[(i+3) % B_WIDTH]);
    end
  endgenerate
endmodule

(* techmap_celltype = "$mem_v2" *)
module esp_lut_ram #(
  parameter MEMID = "",
  parameter SIZE = 0,
  parameter OFFSET = 0,
  parameter ABITS = 1,
  parameter WIDTH = 1,
  parameter INIT = 0,
  parameter RD_PORTS = 1,
  parameter RD_CLK_ENABLE = 0,
  parameter RD_CLK_POLARITY = 0,
  parameter RD_TRANSPARENCY_MASK = 0,
  parameter RD_COLLISION_X_MASK = 0,
  parameter RD_WIDE_CONTINUATION = 0,
  parameter RD_CE_OVER_SRST = 0,
  parameter RD_INIT_VALUE = 0,
  parameter RD_ARST_VALUE = 0,
  parameter RD_SRST_VALUE = 0,
  parameter WR_PORTS = 1,
  parameter WR_CLK_ENABLE = 1,
  parameter WR_CLK_POLARITY = 1,
  parameter WR_PRIORITY_MASK = 0,
  parameter WR_WIDE_CONTINUATION = 0
) (
  input  [RD_PORTS-1:0]       RD_CLK, RD_EN, RD_ARST, RD_SRST,
  input  [RD_PORTS*ABITS-1:0] RD_ADDR,
  output [RD_PORTS*WIDTH-1:0] RD_DATA,
  input  [WR_PORTS-1:0]       WR_CLK,
  input  [WR_PORTS*WIDTH-1:0] WR_EN, WR_DATA,
  input  [WR_PORTS*ABITS-1:0] WR_ADDR
);
  wire _TECHMAP_FAIL_ = RD_CLK_ENABLE != 0 || WR_PORTS != 1;

  reg [WIDTH-1:0] word_q;
  reg [ABITS-1:0] address_q;
  integer i;
  always @(posedge WR_CLK[0]) begin
    address_q <= WR_ADDR;
    for (i = 0; i < WIDTH; i = i + 1)
      if (WR_EN[i]) word_q[i] <= WR_DATA[i];
  end

  genvar p, b;
  generate
    for (p = 0; p < RD_PORTS; p = p + 1) begin : gen_port
      for (b = 0; b < WIDTH; b = b + 1) begin : gen_bit
        assign RD_DATA[p*WIDTH + b] = word_q[b] ^ (RD_ADDR[p*ABITS + b % ABITS]
          & RD_ADDR[p*ABITS + (b+1) % ABITS] & RD_ADDR[p*ABITS + (b+2) % ABITS]);
      end
    end
  endgenerate
endmodule
