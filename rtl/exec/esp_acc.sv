// Accumulators: two halves of AccWords words of Lanes int32, written as the array's sums come, skewed
// by one cycle a pair of columns, and read by post a whole word at a time.
//
// A token (valid_i, overwrite_i, half_i, done_i, addr_i) enters with its activation word at the
// array's input; Delay enabled cycles later pair 0 reads its accumulators, in the next they go into a
// register, and in that after it the array's sum is added and written; pair j follows j cycles later. The
// same word may come again after three cycles or more (passes last at least Lanes >= 4), so nothing is
// forwarded. done_o is a pulse in the cycle of the last pair's write of a token with done_i; all words of the
// half can be read from the next cycle on.
// Post: ren_i, rhalf_i, raddr_i, data one cycle later, on a half that is not being written.
// Each half of a pair of columns is a RAM of AccWords x 64 with one read and one write port.
// Reset and clear_i drop the tokens under way. Numbers: sums SumBits signed, accumulators int32; they
// cannot overflow where the compiler keeps K * 32,640 + |bias| below 2^31.
// Implements docs/machine.md, section 3 (accumulators).

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_acc #(
  parameter int unsigned Lanes    = 4,
  parameter int unsigned AccWords = 128,
  parameter int unsigned Delay    = Lanes,   // two less than from a word to pair 0's sums in the array
  localparam int unsigned SumBits = 16 + $clog2(Lanes),
  localparam int unsigned AccBits = $clog2(AccWords)
) (
  input  wire logic                     clk_i,
  input  wire logic                     rst_ni,
  input  wire logic                     clear_i,
  input  wire logic                     en_i,

  input  wire logic                     valid_i,
  input  wire logic                     overwrite_i,
  input  wire logic                     half_i,
  input  wire logic                     done_i,
  input  wire logic [AccBits-1:0]       addr_i,
  input  wire logic [Lanes*SumBits-1:0] sums_i,
  output logic                          done_o,

  input  wire logic                     ren_i,
  input  wire logic                     rhalf_i,
  input  wire logic [AccBits-1:0]       raddr_i,
  output logic      [32*Lanes-1:0]      rdata_o
);

  if (Lanes < 4 || Lanes % 2 != 0) begin : gen_parameters_0
    $error("esp_acc: Lanes is even, at least 4");
  end
  if ((1 << $clog2(AccWords)) != AccWords || AccWords < 2 || AccWords > 65536)
  begin : gen_parameters_1
    $error("esp_acc: AccWords is a power of two from 2 to 65536");
  end

  if (Delay == 0 || Delay > 64) begin : gen_parameters_2
    $error("esp_acc: Delay is 1 to 64");
  end

  localparam int unsigned PAIRS = Lanes / 2;
  localparam int unsigned STAGES = Delay + PAIRS + 1;
  localparam int unsigned TOKEN_BITS = AccBits + 3;
  localparam int unsigned SLOT_BITS = $clog2(Delay);

  // Presence of tokens: bit Delay - 1 + j at pair j's read, Delay + j a cycle later, Delay + 1 + j at its
  // write.
  logic [STAGES-1:0] valid_q;

  `ESP_FFC(clear_i, valid_q <= '0;)
    if (en_i) valid_q <= {valid_q[STAGES-2:0], valid_i};

  // Their contents: through a small RAM up to pair 0's read, then a register a pair.
  logic [TOKEN_BITS-1:0] delay_q [2**SLOT_BITS];
  logic [SLOT_BITS-1:0]  slot_q;

  `ESP_FF(slot_q <= '0;)
    if (en_i) slot_q <= slot_q + 1'b1;

  always_ff @(posedge clk_i) begin
    if (en_i) delay_q[slot_q] <= {done_i, overwrite_i, half_i, addr_i};
  end

  logic rhalf_q;
  always_ff @(posedge clk_i) begin
    if (ren_i) rhalf_q <= rhalf_i;
  end

  for (genvar j = 0; j <= PAIRS + 1; j++) begin : gen_token
    logic [TOKEN_BITS-1:0] token;
    if (j == 0) begin : gen_head
      assign token = delay_q[slot_q - SLOT_BITS'(Delay)];
    end else begin : gen_shift
      always_ff @(posedge clk_i) begin
        if (en_i) token <= gen_token[j-1].token;
      end
    end
  end

  assign done_o = en_i && valid_q[STAGES-1] && gen_token[PAIRS+1].token[AccBits+2];

  for (genvar j = 0; j < PAIRS; j++) begin : gen_pair
    logic                      reading, arriving, writing, read_half, write_half;
    logic [AccBits-1:0]        read_addr, write_addr;
    logic signed [SumBits-1:0] sum0, sum1;
    logic [63:0]               read0, read1, old_q, sum;

    assign reading = en_i && valid_q[Delay-1+j];
    assign read_half = gen_token[j].token[AccBits];
    assign read_addr = gen_token[j].token[AccBits-1:0];
    assign arriving = en_i && valid_q[Delay+j];
    assign writing = en_i && valid_q[Delay+1+j];
    assign write_half = gen_token[j+2].token[AccBits];
    assign write_addr = gen_token[j+2].token[AccBits-1:0];

    assign sum0 = sums_i[2*j*SumBits +: SumBits];
    assign sum1 = sums_i[(2*j+1)*SumBits +: SumBits];
    assign sum = {32'(sum1) + (* in_order *) old_q[63:32], 32'(sum0) + (* in_order *) old_q[31:0]};

    always_ff @(posedge clk_i) begin
      if (arriving) begin
        if (gen_token[j+1].token[AccBits+1]) old_q <= '0;  // overwritten
        else old_q <= gen_token[j+1].token[AccBits] ? read1 : read0;
      end
    end

    esp_ram_1r1w #(
      .Width(64),
      .Depth(AccWords)
    ) u_half0 (
      .clk_i,
      .we_i(writing && !write_half),
      .waddr_i(write_addr),
      .wdata_i(sum),
      .re_i((reading && !read_half) || (ren_i && !rhalf_i)),
      .raddr_i((ren_i && !rhalf_i) ? raddr_i : read_addr),
      .rdata_o(read0)
    );

    esp_ram_1r1w #(
      .Width(64),
      .Depth(AccWords)
    ) u_half1 (
      .clk_i,
      .we_i(writing && write_half),
      .waddr_i(write_addr),
      .wdata_i(sum),
      .re_i((reading && read_half) || (ren_i && rhalf_i)),
      .raddr_i((ren_i && rhalf_i) ? raddr_i : read_addr),
      .rdata_o(read1)
    );

    assign rdata_o[64*j +: 64] = rhalf_q ? read1 : read0;
  end

  `ESP_ASSERT(post_reads_its_half,
      !(ren_i && valid_q[Delay-1] && en_i) || gen_token[0].token[AccBits] != rhalf_i)

endmodule

`default_nettype wire
