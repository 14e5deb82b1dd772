// Accumulators of the compact core: one buffer of AccWords words of two int32, for two columns.
//
// A token (valid_i, overwrite_i, addr_i) enters beside its activation word at the array's input; in the
// next cycle the old sums are read, in the one after the array's are added and written. The same word may
// come again after two cycles. busy_o: a token is under way. Post reads (ren_i, raddr_i; data one cycle
// later) while none is. Numbers as in esp_acc. Implements docs/ice40.md.

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_compact_acc #(
  parameter int unsigned AccWords = 128,
  localparam int unsigned SumBits = 17,
  localparam int unsigned AccBits = $clog2(AccWords)
) (
  input  wire logic                 clk_i,
  input  wire logic                 rst_ni,
  input  wire logic                 clear_i,

  input  wire logic                 valid_i,
  input  wire logic                 overwrite_i,
  input  wire logic [AccBits-1:0]   addr_i,
  input  wire logic [2*SumBits-1:0] sums_i,
  output logic                      busy_o,

  input  wire logic                 ren_i,
  input  wire logic [AccBits-1:0]   raddr_i,
  output logic      [63:0]          rdata_o
);

  if ((1 << $clog2(AccWords)) != AccWords || AccWords < 2 || AccWords > 65536)
  begin : gen_parameters
    $error("esp_compact_acc: AccWords is a power of two from 2 to 65536");
  end

  logic [1:0]                valid_q;   // reading, writing
  logic [AccBits:0]          read_q, write_q;
  logic signed [SumBits-1:0] sum0, sum1;
  logic [63:0]               old, sum;

  assign busy_o = valid_i || valid_q != '0;

  `ESP_FFC(clear_i, valid_q <= '0;) valid_q <= {valid_q[0], valid_i};

  always_ff @(posedge clk_i) begin
    read_q <= {overwrite_i, addr_i};
    write_q <= read_q;
  end

  assign sum0 = sums_i[SumBits-1:0];
  assign sum1 = sums_i[2*SumBits-1:SumBits];
  assign old = write_q[AccBits] ? '0 : rdata_o;
  assign sum = {old[63:32] + 32'(sum1), old[31:0] + 32'(sum0)};

  (* no_rw_check *)
  logic [63:0] mem_q [AccWords];
  always_ff @(posedge clk_i) begin
    if (valid_q[1]) mem_q[write_q[AccBits-1:0]] <= sum;
  end
  always_ff @(posedge clk_i) begin
    if (ren_i || valid_q[0]) rdata_o <= mem_q[ren_i ? raddr_i : read_q[AccBits-1:0]];
  end

  `ESP_ASSERT(post_reads_alone, !ren_i || !busy_o)

endmodule

`default_nettype wire
