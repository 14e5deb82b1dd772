// Shares the AXI read channels between fetch, load_a and load_w (esp_isa_pkg::reader_e).
//
// Requests are bursts, taken round robin, one a cycle; up to 8 are outstanding. Data return in the
// order of the requests, each beat to its client with the tag that the request carried, from a register, a
// cycle after it came.
// Under `halt_i` no request is taken and data are dropped; `quiet_o` says that nothing is under way.
// Implements docs/machine.md, section 5.

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_read #(
  parameter int unsigned BusBytes = 4,
  parameter int unsigned TagBits = 3
) (
  input  wire logic                  clk_i,
  input  wire logic                  rst_ni,
  input  wire logic                  halt_i,

  input  wire logic [esp_isa_pkg::READERS-1:0] req_valid_i,
  output logic      [esp_isa_pkg::READERS-1:0] req_ready_o,
  input  wire logic [95:0]           req_address_i,
  input  wire logic [14:0]           req_beats_i,   // 1 to 16 each
  input  wire logic [TagBits*esp_isa_pkg::READERS-1:0] req_tag_i,

  output logic      [esp_isa_pkg::READERS-1:0] r_valid_o,
  input  wire logic [esp_isa_pkg::READERS-1:0] r_ready_i,
  output logic      [8*BusBytes-1:0] r_data_o,
  output logic                       r_last_o,
  output logic      [TagBits-1:0]    r_tag_o,
  output logic                       r_error_o,

  output logic                       quiet_o,
  output logic                       beat_o,        // a beat moves

  output logic      [31:0]           m_axi_araddr_o,
  output logic      [7:0]            m_axi_arlen_o,
  output logic      [2:0]            m_axi_arsize_o,
  output logic      [1:0]            m_axi_arburst_o,
  output logic                       m_axi_arvalid_o,
  input  wire logic                  m_axi_arready_i,
  input  wire logic [8*BusBytes-1:0] m_axi_rdata_i,
  input  wire logic [1:0]            m_axi_rresp_i,
  input  wire logic                  m_axi_rlast_i,
  input  wire logic                  m_axi_rvalid_i,
  output logic                       m_axi_rready_o
);

  if ((1 << $clog2(BusBytes)) != BusBytes || BusBytes < 4 || BusBytes > 32) begin : gen_parameters_0
    $error("esp_read: BusBytes is a power of two from 4 to 32");
  end
  if (TagBits == 0 || TagBits > 32) begin : gen_parameters_1
    $error("esp_read: TagBits is 1 to 32");
  end

  localparam logic [1:0] FETCH = esp_isa_pkg::ReadFetch;
  localparam logic [1:0] LOAD_A = esp_isa_pkg::ReadLoadA;
  localparam logic [1:0] LOAD_W = esp_isa_pkg::ReadLoadW;
  localparam int unsigned Outstanding = 8;
  localparam int unsigned PtrBits = $clog2(Outstanding);

  logic               ar_valid_q;
  logic [31:0]        ar_addr_q, grant_addr;
  logic [3:0]         ar_len_q;
  logic [4:0]         grant_beats;
  logic [TagBits-1:0] grant_tag;
  logic [1:0]         last_q, grant;     // round robin
  logic               any, open, push, pop;

  // Who gets the beats: client and tag of the outstanding bursts, in order.
  logic [TagBits+1:0] route_q [Outstanding];
  logic [PtrBits-1:0] wptr_q, rptr_q;
  logic [PtrBits:0]   count_q;
  logic               room_q;     // count_q is less than Outstanding
  logic [1:0]         client;
  logic [TagBits-1:0] tag;

  // Beats on their way to their clients.
  logic               free, pop_q;
  logic [esp_isa_pkg::READERS-1:0] goal_q;   // whose the beat is, one hot; none: no beat

  always_comb begin
    grant = FETCH;
    case (last_q)
      FETCH: grant = req_valid_i[LOAD_A] ? LOAD_A : req_valid_i[LOAD_W] ? LOAD_W : FETCH;
      LOAD_A: grant = req_valid_i[LOAD_W] ? LOAD_W : req_valid_i[FETCH] ? FETCH : LOAD_A;
      default: grant = req_valid_i[FETCH] ? FETCH : req_valid_i[LOAD_A] ? LOAD_A : LOAD_W;
    endcase
  end

  assign any = req_valid_i != '0;
  assign open = (!ar_valid_q || m_axi_arready_i) && room_q && !halt_i;
  assign push = any && open;
  assign req_ready_o[FETCH] = open && grant == FETCH;
  assign req_ready_o[LOAD_A] = open && grant == LOAD_A;
  assign req_ready_o[LOAD_W] = open && grant == LOAD_W;

  always_comb begin
    case (grant)
      FETCH: begin
        grant_addr = req_address_i[32*FETCH +: 32];
        grant_beats = req_beats_i[5*FETCH +: 5];
        grant_tag = req_tag_i[TagBits*FETCH +: TagBits];
      end
      LOAD_A: begin
        grant_addr = req_address_i[32*LOAD_A +: 32];
        grant_beats = req_beats_i[5*LOAD_A +: 5];
        grant_tag = req_tag_i[TagBits*LOAD_A +: TagBits];
      end
      default: begin
        grant_addr = req_address_i[32*LOAD_W +: 32];
        grant_beats = req_beats_i[5*LOAD_W +: 5];
        grant_tag = req_tag_i[TagBits*LOAD_W +: TagBits];
      end
    endcase
  end

  assign {tag, client} = route_q[rptr_q];
  assign free = goal_q == '0 || (goal_q & r_ready_i) != '0 || halt_i;
  assign m_axi_rready_o = free;
  assign r_valid_o = halt_i ? '0 : goal_q;
  assign beat_o = m_axi_rvalid_i && free;
  assign pop = beat_o && m_axi_rlast_i;
  assign quiet_o = !ar_valid_q && count_q == '0 && !pop_q && goal_q == '0;

  `ESP_FF(begin
    goal_q <= '0;
    pop_q <= 1'b0;
  end) begin
    if (free) begin
      for (int c = 0; c < esp_isa_pkg::READERS; c++) goal_q[c] <= m_axi_rvalid_i && client == 2'(c);
    end
    pop_q <= pop;
  end

  always_ff @(posedge clk_i) begin
    if (beat_o) begin
      r_data_o <= m_axi_rdata_i;
      r_last_o <= m_axi_rlast_i;
      r_tag_o <= tag;
      r_error_o <= m_axi_rresp_i != 2'b00;
    end
  end

  assign m_axi_araddr_o = ar_addr_q;
  assign m_axi_arlen_o = 8'(ar_len_q);
  assign m_axi_arsize_o = 3'($clog2(BusBytes));
  assign m_axi_arburst_o = 2'b01;
  assign m_axi_arvalid_o = ar_valid_q;

  // Not cleared: bursts under way are answered whatever happens.
  `ESP_FF(begin
    ar_valid_q <= 1'b0;
    last_q <= FETCH;
    wptr_q <= '0;
    rptr_q <= '0;
    count_q <= '0;
    room_q <= 1'b1;
  end) begin
    if (push) ar_valid_q <= 1'b1;
    else if (m_axi_arready_i) ar_valid_q <= 1'b0;
    if (push) last_q <= grant;
    if (push) wptr_q <= wptr_q + 1'b1;
    if (pop) rptr_q <= rptr_q + 1'b1;
    if (push != pop_q) begin
      count_q <= push ? count_q + 1'b1 : count_q - 1'b1;
      room_q <= pop_q || count_q != (PtrBits+1)'(Outstanding - 1);
    end
  end

  always_ff @(posedge clk_i) begin
    if (push) begin
      ar_addr_q <= grant_addr;
      ar_len_q <= 4'(grant_beats - 5'd1);
      route_q[wptr_q] <= {grant_tag, grant};
    end
  end

  `ESP_ASSERT(beat_was_asked_for, !(m_axi_rvalid_i && count_q == (PtrBits+1)'(pop_q)))
  `ESP_ASSERT(burst_has_beats, !(push && grant_beats == '0))
  `ESP_ASSERT_STABLE(ar_stable, 1'b0, m_axi_arvalid_o, m_axi_arready_i,
                     {m_axi_araddr_o, m_axi_arlen_o})

endmodule

`default_nettype wire
