// Executes STOREs: words of two streams (esp_isa_pkg::source_e) to memory.
//
// A burst's words stand in the stream's FIFO before its address is sent, so the write channel never
// waits for data. One beat a cycle; up to 8 bursts unanswered; a STORE starts while answers of the
// one before are to come, and retires with its last answer, in order. Low lanes go first.
// Faults: a burst outside the window (not sent), an error response. After a fault no new address is
// sent; bursts whose address is out are finished. `quiet_o`: nothing is under way.
// Implements docs/machine.md, section 5.

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_store #(
  parameter int unsigned Lanes = 4,
  parameter int unsigned BusBytes = 4
) (
  input  wire logic                  clk_i,
  input  wire logic                  rst_ni,
  input  wire logic                  clear_i,
  input  wire logic                  halt_i,

  input  wire logic                  store_valid_i,
  output logic                       store_ready_o,
  input  wire esp_isa_pkg::store_t   store_i,
  input  wire logic [31:0]           store_address_i,  // where the instruction lies
  input  wire logic [31:0]           region_base_i,
  input  wire logic [31:0]           window_low_i,
  input  wire logic [31:0]           window_high_i,

  input  wire logic [esp_isa_pkg::SOURCES-1:0] word_valid_i,     // streams
  output logic      [esp_isa_pkg::SOURCES-1:0] word_ready_o,
  input  wire logic [16*Lanes-1:0]   word_data_i,

  output logic                       retire_o,
  output logic                       fault_o,
  output logic      [3:0]            fault_cause_o,
  output logic      [31:0]           fault_address_o,
  output logic                       busy_o,
  output logic                       quiet_o,
  output logic                       beat_o,

  output logic      [31:0]           m_axi_awaddr_o,
  output logic      [7:0]            m_axi_awlen_o,
  output logic      [2:0]            m_axi_awsize_o,
  output logic      [1:0]            m_axi_awburst_o,
  output logic                       m_axi_awvalid_o,
  input  wire logic                  m_axi_awready_i,
  output logic      [8*BusBytes-1:0] m_axi_wdata_o,
  output logic      [BusBytes-1:0]   m_axi_wstrb_o,
  output logic                       m_axi_wlast_o,
  output logic                       m_axi_wvalid_o,
  input  wire logic                  m_axi_wready_i,
  input  wire logic [1:0]            m_axi_bresp_i,
  input  wire logic                  m_axi_bvalid_i,
  output logic                       m_axi_bready_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_parameters_0
    $error("esp_store: Lanes is a power of two from 4 to 32");
  end
  if ((1 << $clog2(BusBytes)) != BusBytes || BusBytes < 4 || BusBytes > 32 || BusBytes > Lanes)
  begin : gen_parameters_1
    $error("esp_store: BusBytes is a power of two from 4 to 32 and divides Lanes");
  end

  localparam int unsigned BeatsPerWord = Lanes / BusBytes;
  localparam int unsigned WordBits = $clog2(BeatsPerWord);
  localparam int unsigned ByteBits = $clog2(BusBytes);
  localparam int unsigned FifoWords = 64;   // four bursts, or eight of two beats a word
  localparam int unsigned FifoBits = $clog2(FifoWords);
  localparam int unsigned BeatBits = FifoBits + WordBits + 1;
  localparam int unsigned Outstanding = 8;
  localparam int unsigned PtrBits = $clog2(Outstanding);

  // Bursts of the instruction under way.
  logic        accept, walk_ready, burst_valid, burst_last, send, in_window, gathered;
  logic [31:0] burst_addr;
  logic [4:0]  burst_beats;
  logic [32:0] burst_end;
  logic        fresh_q, hold_source_q, source_q;
  logic [31:0] hold_iaddress_q, iaddress_q;

  assign store_ready_o = walk_ready && !halt_i;
  assign accept = store_valid_i && store_ready_o;

  esp_bursts #(.BusBytes(BusBytes), .BeatsPerWord(BeatsPerWord)) u_bursts (
    .clk_i, .rst_ni, .clear_i,
    .in_valid_i(store_valid_i && !halt_i),
    .in_ready_o(walk_ready),
    .base_i(region_base_i),
    .offset_i(store_i.offset),
    .x_words_i(store_i.x_words),
    .y_count_i(store_i.y_count),
    .z_count_i(store_i.z_count),
    .y_stride_i(store_i.y_stride),
    .z_stride_i(store_i.z_stride),
    .out_valid_o(burst_valid),
    .out_ready_i(send),
    .out_address_o(burst_addr),
    .out_beats_o(burst_beats),
    .out_last_o(burst_last)
  );

  `ESP_FFC(clear_i, fresh_q <= 1'b0;)
    if (accept) fresh_q <= 1'b1;
    else if (!burst_valid || send) fresh_q <= 1'b0;

  always_ff @(posedge clk_i) begin
    if (accept) begin
      hold_source_q <= store_i.source[0];
      hold_iaddress_q <= store_address_i;
    end
    if (fresh_q && (!burst_valid || send)) begin
      source_q <= hold_source_q;
      iaddress_q <= hold_iaddress_q;
    end
  end

  // Beats that stand in each FIFO and belong to no burst yet.
  logic [esp_isa_pkg::SOURCES-1:0] word_push;
  logic [BeatBits-1:0] free0_q, free1_q;

  assign word_push = word_valid_i & word_ready_o;
  assign gathered = (source_q ? free1_q : free0_q) >= BeatBits'(burst_beats);

  `ESP_FFC(clear_i, begin
    free0_q <= '0;
    free1_q <= '0;
  end) begin
    free0_q <= free0_q
             + (word_push[esp_isa_pkg::SourcePost] ? BeatBits'(BeatsPerWord) : '0)
             - ((send && !source_q) ? BeatBits'(burst_beats) : '0);
    free1_q <= free1_q
             + (word_push[esp_isa_pkg::SourcePool] ? BeatBits'(BeatsPerWord) : '0)
             - ((send && source_q) ? BeatBits'(burst_beats) : '0);
  end

  // Addresses. Jobs: bursts sent whose data are to go, then whose answer is to come.
  logic               aw_valid_q;
  logic [31:0]        aw_addr_q;
  logic [3:0]         aw_len_q;
  logic [4:0]         job_q [Outstanding];      // source, beats - 1
  logic [32:0]        answer_q [Outstanding];   // last of its STORE, where that lies
  logic [PtrBits-1:0] tail_q, job_head_q, answer_head_q;
  logic [PtrBits:0]   jobs_q, answers_q;
  logic               w_done, b_taken, job_source, answer_last;
  logic [3:0]         job_len, beat_q;
  logic [31:0]        answer_iaddress;

  assign burst_end = {1'b0, burst_addr} + (33'(burst_beats) << ByteBits);
  assign in_window = burst_addr >= window_low_i && burst_end <= {1'b0, window_high_i};
  assign send = burst_valid && in_window && gathered && !halt_i
             && (!aw_valid_q || m_axi_awready_i) && answers_q != (PtrBits+1)'(Outstanding);

  assign {job_source, job_len} = job_q[job_head_q];
  assign {answer_last, answer_iaddress} = answer_q[answer_head_q];
  assign b_taken = m_axi_bvalid_i && m_axi_bready_o;
  assign w_done = beat_o && m_axi_wlast_o;

  `ESP_FF(begin
    aw_valid_q <= 1'b0;
    tail_q <= '0;
    job_head_q <= '0;
    answer_head_q <= '0;
    jobs_q <= '0;
    answers_q <= '0;
    beat_q <= '0;
  end)
    begin  // never cleared: bursts under way are finished first
      if (send) aw_valid_q <= 1'b1;
      else if (m_axi_awready_i) aw_valid_q <= 1'b0;
      if (send) tail_q <= tail_q + 1'b1;
      if (w_done) job_head_q <= job_head_q + 1'b1;
      if (b_taken) answer_head_q <= answer_head_q + 1'b1;
      if (send != w_done) jobs_q <= send ? jobs_q + 1'b1 : jobs_q - 1'b1;
      if (send != b_taken) answers_q <= send ? answers_q + 1'b1 : answers_q - 1'b1;
      if (beat_o) beat_q <= m_axi_wlast_o ? '0 : beat_q + 1'b1;
    end

  always_ff @(posedge clk_i) begin
    if (send) begin
      aw_addr_q <= burst_addr;
      aw_len_q <= 4'(burst_beats - 5'd1);
      job_q[tail_q] <= {source_q, 4'(burst_beats - 5'd1)};
      answer_q[tail_q] <= {burst_last, iaddress_q};
    end
  end

  // Streams: a FIFO each, its head read ahead into a register by the RAM FIFO.
  logic [esp_isa_pkg::SOURCES-1:0] head_valid, head_ready;
  logic [8*Lanes-1:0] head0, head1;
  logic               word_end;

  esp_fifo #(.Width(8*Lanes), .Depth(FifoWords)) u_post (
    .clk_i, .rst_ni, .clear_i,
    .valid_i(word_valid_i[esp_isa_pkg::SourcePost]),
    .ready_o(word_ready_o[esp_isa_pkg::SourcePost]),
    .data_i(word_data_i[8*Lanes*esp_isa_pkg::SourcePost +: 8*Lanes]),
    .valid_o(head_valid[esp_isa_pkg::SourcePost]),
    .ready_i(head_ready[esp_isa_pkg::SourcePost]), .data_o(head0)
  );
  esp_fifo #(.Width(8*Lanes), .Depth(FifoWords)) u_pool (
    .clk_i, .rst_ni, .clear_i,
    .valid_i(word_valid_i[esp_isa_pkg::SourcePool]),
    .ready_o(word_ready_o[esp_isa_pkg::SourcePool]),
    .data_i(word_data_i[8*Lanes*esp_isa_pkg::SourcePool +: 8*Lanes]),
    .valid_o(head_valid[esp_isa_pkg::SourcePool]),
    .ready_i(head_ready[esp_isa_pkg::SourcePool]), .data_o(head1)
  );

  logic [8*Lanes-1:0] head;
  assign head = job_source ? head1 : head0;
  assign m_axi_wvalid_o = jobs_q != '0;
  assign m_axi_wlast_o = beat_q == job_len;
  assign m_axi_wstrb_o = '1;
  assign beat_o = m_axi_wvalid_o && m_axi_wready_i;
  assign head_ready[esp_isa_pkg::SourcePost] = beat_o && word_end && !job_source;
  assign head_ready[esp_isa_pkg::SourcePool] = beat_o && word_end && job_source;

  if (BeatsPerWord == 1) begin : gen_whole
    assign word_end = 1'b1;
    assign m_axi_wdata_o = head;
  end else begin : gen_parts
    logic [WordBits-1:0] part_q;
    assign word_end = part_q == '1;
    assign m_axi_wdata_o = head[part_q*8*BusBytes +: 8*BusBytes];
    `ESP_FFC(clear_i, part_q <= '0;)
      if (beat_o) part_q <= part_q + 1'b1;
  end

  assign m_axi_awaddr_o = aw_addr_q;
  assign m_axi_awlen_o = 8'(aw_len_q);
  assign m_axi_awsize_o = 3'($clog2(BusBytes));
  assign m_axi_awburst_o = 2'b01;
  assign m_axi_awvalid_o = aw_valid_q;
  assign m_axi_bready_o = 1'b1;

  logic window_fault, response_fault;
  assign window_fault = burst_valid && !in_window;
  assign response_fault = b_taken && m_axi_bresp_i != 2'b00;
  assign fault_o = window_fault || response_fault;
  assign fault_cause_o = response_fault ? esp_isa_pkg::FaultWriteResponse
                                        : esp_isa_pkg::FaultWriteWindow;
  assign fault_address_o = response_fault ? answer_iaddress : iaddress_q;

  assign retire_o = b_taken && answer_last;
  assign quiet_o = answers_q == '0 && !aw_valid_q && jobs_q == '0;
  assign busy_o = !walk_ready || burst_valid || answers_q != '0;

  // Header and region are of no use here; heads are valid whenever a job needs them.
  logic unused;
  assign unused = ^{store_i, head_valid};

  `ESP_ASSERT(words_are_gathered, !m_axi_wvalid_o || head_valid[job_source])
  `ESP_ASSERT(answer_was_due, !(m_axi_bvalid_i && answers_q == '0))
  `ESP_ASSERT(cleared_when_quiet, !(clear_i && !quiet_o))
  `ESP_ASSERT_STABLE(aw_stable, 1'b0, m_axi_awvalid_o, m_axi_awready_i,
                     {m_axi_awaddr_o, m_axi_awlen_o})
  `ESP_ASSERT_STABLE(w_stable, 1'b0, m_axi_wvalid_o, m_axi_wready_i,
                     {m_axi_wlast_o, m_axi_wdata_o})

endmodule

`default_nettype wire
