// The activation buffer: Words words of Lanes bytes behind two ports, in two banks of even and odd words.
//
// Port A reads for the feeder, with Fine two words of different banks. Port B: a load's write, always; in the
// same cycle a residual read of the other bank; without either a pool read. So post, which reads words in a
// row, is held up by loads once and then reads beside them. Data one cycle after a read is taken; a word that
// is written in the cycle in which it is read comes out old or new. A bank is one array with a read port and
// a read/write port, so that it becomes true two-port block RAM.
// Implements docs/machine.md, section 5.

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_act_buf #(
  parameter int unsigned Lanes = 4,
  parameter int unsigned Words = 2048,
  parameter bit          Fine  = 1'b0,
  localparam int unsigned AddrBits = $clog2(Words)
) (
  input  wire logic                clk_i,
  input  wire logic                rst_ni,

  input  wire logic                a_ren_i,
  input  wire logic [AddrBits-1:0] a_raddr_i,
  output logic      [8*Lanes-1:0]  a_rdata_o,
  input  wire logic                a_two_i,        // the second word is that at a_second_i, of the other bank
  input  wire logic [AddrBits-1:0] a_second_i,
  output logic      [8*Lanes-1:0]  a_second_o,     // without it the first one again

  input  wire logic                load_claim_i,  // a word stands there, to be written or not
  input  wire logic                load_valid_i,
  input  wire logic [AddrBits-1:0] load_addr_i,
  input  wire logic [8*Lanes-1:0]  load_data_i,

  input  wire logic                res_valid_i,
  output logic                     res_ready_o,
  input  wire logic [AddrBits-1:0] res_addr_i,
  output logic                     res_rvalid_o,

  input  wire logic                pool_valid_i,
  output logic                     pool_ready_o,
  input  wire logic [AddrBits-1:0] pool_addr_i,
  output logic                     pool_rvalid_o,

  output logic      [8*Lanes-1:0]  b_rdata_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_parameters_0
    $error("esp_act_buf: Lanes is a power of two from 4 to 32");
  end
  if ((1 << $clog2(Words)) != Words || Words < 4 || Words > 65536) begin : gen_parameters_1
    $error("esp_act_buf: Words is a power of two from 4 to 65536");
  end

  logic [AddrBits-1:0] b_raddr;
  logic                b_ren, res_q, pool_q;
  logic                a_bank_q, b_bank_q;  // of the words that stand at the outputs

  assign res_ready_o = !load_claim_i || load_addr_i[0] != res_addr_i[0];
  assign pool_ready_o = !load_claim_i && !res_valid_i;
  assign b_ren = (res_valid_i && res_ready_o) || (pool_valid_i && pool_ready_o);
  assign b_raddr = res_valid_i ? res_addr_i : pool_addr_i;

  for (genvar n = 0; n < 2; n++) begin : gen_bank
    (* no_rw_check *)
    logic [8*Lanes-1:0]  mem_q [Words/2];
    logic [8*Lanes-1:0]  a_q, b_q;
    logic                write;
    logic [AddrBits-2:0] b_addr;

    assign write = load_valid_i && load_addr_i[0] == 1'(n);
    assign b_addr = write ? load_addr_i[AddrBits-1:1] : b_raddr[AddrBits-1:1];

    if (Fine) begin : gen_two
      logic [AddrBits-2:0] a_addr;
      assign a_addr = (a_raddr_i[0] == 1'(n)) ? a_raddr_i[AddrBits-1:1] : a_second_i[AddrBits-1:1];
      always_ff @(posedge clk_i) begin
        if (a_ren_i && (a_two_i || a_raddr_i[0] == 1'(n))) a_q <= mem_q[a_addr];
      end
    end else begin : gen_one
      always_ff @(posedge clk_i) begin
        if (a_ren_i && a_raddr_i[0] == 1'(n)) a_q <= mem_q[a_raddr_i[AddrBits-1:1]];
      end
    end

    always_ff @(posedge clk_i) begin
      if (write) mem_q[b_addr] <= load_data_i;
      else if (b_ren && b_raddr[0] == 1'(n)) b_q <= mem_q[b_addr];
    end
  end

  always_ff @(posedge clk_i) begin
    if (a_ren_i) a_bank_q <= a_raddr_i[0];
    if (b_ren) b_bank_q <= b_raddr[0];
  end

  `ESP_FF(begin
    res_q <= 1'b0;
    pool_q <= 1'b0;
  end) begin
    res_q <= res_valid_i && res_ready_o;
    pool_q <= pool_valid_i && pool_ready_o;
  end

  assign a_rdata_o = a_bank_q ? gen_bank[1].a_q : gen_bank[0].a_q;

  if (Fine) begin : gen_second
    logic bank_q;   // of the second word
    always_ff @(posedge clk_i) begin
      if (a_ren_i) bank_q <= a_raddr_i[0] ^ a_two_i;
    end
    assign a_second_o = bank_q ? gen_bank[1].a_q : gen_bank[0].a_q;
    logic unused_bit;
    assign unused_bit = a_second_i[0];
  end else begin : gen_no_second
    assign a_second_o = '0;
    logic unused_second;
    assign unused_second = ^{a_two_i, a_second_i};
  end

  assign b_rdata_o = b_bank_q ? gen_bank[1].b_q : gen_bank[0].b_q;
  assign res_rvalid_o = res_q;
  assign pool_rvalid_o = pool_q;

  `ESP_ASSERT(written_words_claim, !load_valid_i || load_claim_i)

endmodule

`default_nettype wire
