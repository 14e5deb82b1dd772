// Fetches the residual operand of one CONV after another ahead of its use.
//
// start_valid_i / start_ready_o names a run of cols x rows x blocks consecutive words of the activation
// buffer. Words are requested while the FIFO has room for all that was asked for, arrive in order
// (res_rvalid_i), and wait. A word may be claimed (claim_i) while claimable_o: it is then sure to be
// at the FIFO's head when its turn comes, and leaves by pop_i.
// One request a cycle; requests, their addresses and claimable_o are registers, and a word's room is there
// again the cycle after it has left. Reset and clear_i empty it. docs/machine.md, section 5, esp_post.
`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_post_fetch #(
  parameter int unsigned Lanes      = 16,
  parameter int unsigned ActWords   = 8192,
  parameter int unsigned DepthWords = 16
) (
  input  wire logic                        clk_i,
  input  wire logic                        rst_ni,
  input  wire logic                        clear_i,
  input  wire logic                        start_valid_i,
  output logic                             start_ready_o,
  input  wire logic [$clog2(ActWords)-1:0] base_i,
  input  wire logic [11:0]                 cols_i,
  input  wire logic [11:0]                 rows_i,
  input  wire logic [7:0]                  blocks_i,
  output logic                             res_valid_o,
  input  wire logic                        res_ready_i,
  output logic      [$clog2(ActWords)-1:0] res_addr_o,
  input  wire logic                        res_rvalid_i,
  input  wire logic [8*Lanes-1:0]          res_rdata_i,
  output logic                             claimable_o,
  input  wire logic                        claim_i,
  output logic      [8*Lanes-1:0]          data_o,
  input  wire logic                        pop_i
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_parameters_0
    $error("esp_post_fetch: Lanes is a power of two from 4 to 32");
  end
  if ((1 << $clog2(ActWords)) != ActWords || ActWords < 2 || ActWords > 65536)
  begin : gen_parameters_1
    $error("esp_post_fetch: ActWords is a power of two from 2 to 65536");
  end
  if (DepthWords < 2) begin : gen_parameters_2
    $error("esp_post_fetch: DepthWords is at least 2");
  end

  localparam int unsigned CountBits = $clog2(DepthWords + 1);

  logic busy_q, pending_q;  // pending: the data of the last cycle's request arrive
  logic busy_d, start, taken, last, arrive;
  logic request_q, pop_q;
  logic [$clog2(ActWords)-1:0] addr_q;
  logic [CountBits-1:0] room_q;  // words that may still be asked for
  logic [CountBits-1:0] claimable_q;
  logic room, some_q;  // some: claimable_q is not 0

  assign start_ready_o = !busy_q || (taken && last);
  assign start       = start_valid_i && start_ready_o;
  assign busy_d      = start || (busy_q && !(taken && last));
  assign res_valid_o = request_q;
  assign res_addr_o  = addr_q;
  assign taken       = request_q && res_ready_i;
  assign room        = pop_q || (taken ? room_q[CountBits-1:1] != '0 : room_q != '0);
  assign arrive      = res_rvalid_i && pending_q;  // not those asked for before clear_i
  assign claimable_o = some_q;

  `ESP_FFC(clear_i, begin
    busy_q      <= 1'b0;
    request_q   <= 1'b0;
    pending_q   <= 1'b0;
    pop_q       <= 1'b0;
    room_q      <= CountBits'(DepthWords);
    claimable_q <= '0;
    some_q      <= 1'b0;
  end) begin
    busy_q      <= busy_d;
    request_q   <= busy_d && room;
    pending_q   <= taken;
    pop_q       <= pop_i;
    if (pop_q && !taken) room_q <= room_q + 1'b1;
    else if (taken && !pop_q) room_q <= room_q - 1'b1;
    if (arrive && !claim_i) claimable_q <= claimable_q + 1'b1;
    else if (claim_i && !arrive) claimable_q <= claimable_q - 1'b1;
    some_q      <= arrive || (claim_i ? claimable_q[CountBits-1:1] != '0 : claimable_q != '0);
  end

  always_ff @(posedge clk_i) begin
    if (start) addr_q <= base_i;
    else if (taken) addr_q <= addr_q + 1'b1;
  end

  logic [3:0] unused_walk;
  esp_post_walk u_walk (
    .clk_i,
    .load_i(start),
    .cols_i,
    .rows_i,
    .blocks_i,
    .step_i(taken),
    .first_o(unused_walk[0]),
    .block_last_o(unused_walk[1]),
    .last_o(last),
    .after_last_o(unused_walk[2]),
    .single_o(unused_walk[3])
  );

  logic fifo_room, fifo_valid;
  esp_fifo #(.Width(8 * Lanes), .Depth(DepthWords)) u_fifo (
    .clk_i,
    .rst_ni,
    .clear_i,
    .valid_i(arrive),
    .ready_o(fifo_room),
    .data_i(res_rdata_i),
    .valid_o(fifo_valid),
    .ready_i(pop_i),
    .data_o
  );

  logic unused_fifo;
  assign unused_fifo = fifo_room ^ fifo_valid;

  `ESP_ASSERT(has_room, !arrive || fifo_room)
  `ESP_ASSERT(has_operand, !pop_i || fifo_valid)
  `ESP_ASSERT(request_has_room, !request_q || (busy_q && room_q != '0))
  `ESP_ASSERT(some_claimable, some_q == (claimable_q != '0))
  `ESP_ASSERT(answered, !pending_q || res_rvalid_i)
  `ESP_ASSERT_STABLE(request_stable, clear_i, res_valid_o, res_ready_i, res_addr_o)

endmodule

`default_nettype wire
