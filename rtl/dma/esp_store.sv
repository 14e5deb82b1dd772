// Executes STOREs: words of two streams (esp_isa_pkg::source_e) to memory.
//
// A burst's words stand in the stream's FIFO before its address is sent, so the write channel never
// waits for data. One beat a cycle; up to 8 bursts unanswered; a STORE starts while answers of the
// one before are to come, and retires with its last answer, in order. Low lanes go first.
// A burst takes two cycles at least: it is cut (esp_bursts), looked at, whether it lies in the window and its
// words are there, and sent; its data follow two cycles later, or behind those of the burst before. Faults: a
// burst outside the window (not sent), an error response. fault_o stands until clear. After a fault no new
// address is sent; bursts whose address is out are finished. `quiet_o`: nothing is under way. Implements
// docs/machine.md, section 5.

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

  localparam int unsigned LineBits = 12 - ByteBits;

  // Bursts of the instruction under way.
  logic                walk_ready, burst_valid, burst_last, send, burst_source, unused_plane;
  logic [31:0]         burst_addr, burst_iaddress;
  logic [3:0]          burst_len;
  logic [LineBits-1:0] burst_end;
  logic                seen_q, in_window_q, gathered_q;   // of the burst that stands at the walker's end
  logic                fault_q;                           // this engine's own: it stands still

  assign store_ready_o = walk_ready && !halt_i;

  esp_bursts #(.BusBytes(BusBytes), .BeatsPerWord(BeatsPerWord), .TagBits(33)) u_bursts (
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
    .tag_i({store_i.source[0], store_address_i}),
    .out_valid_o(burst_valid),
    .out_ready_i(send),
    .out_address_o(burst_addr),
    .out_len_o(burst_len),
    .out_end_o(burst_end),
    .out_plane_o(unused_plane),
    .out_last_o(burst_last),
    .out_tag_o({burst_source, burst_iaddress})
  );

  // Beats that stand in each FIFO, but for a word that came in the last cycle, and belong to no burst yet;
  // and without the burst that stands there.
  logic [esp_isa_pkg::SOURCES-1:0] pushed_q;
  logic [BeatBits-1:0] free0_q, free1_q, more0, more1, free, less;

  assign more0 = free0_q + (pushed_q[esp_isa_pkg::SourcePost] ? BeatBits'(BeatsPerWord) : '0);
  assign more1 = free1_q + (pushed_q[esp_isa_pkg::SourcePool] ? BeatBits'(BeatsPerWord) : '0);
  assign free = burst_source ? free1_q : free0_q;
  assign less = (burst_source ? more1 : more0) + ~(BeatBits'(burst_len));

  `ESP_FFC(clear_i, begin
    free0_q <= '0;
    free1_q <= '0;
    seen_q <= 1'b0;
    pushed_q <= '0;
  end) begin
    pushed_q <= word_valid_i & word_ready_o;
    free0_q <= (send && !burst_source) ? less : more0;
    free1_q <= (send && burst_source) ? less : more1;
    seen_q <= burst_valid && !send;
  end

  always_ff @(posedge clk_i) begin
    if (burst_valid) begin
      in_window_q <= burst_addr >= window_low_i
                  && {burst_addr[31:12], burst_end, {ByteBits{1'b1}}} < window_high_i;
      gathered_q <= free > BeatBits'(burst_len);
    end
  end

  // Addresses. Jobs: bursts sent whose data are to go, then whose answer is to come.
  logic               aw_valid_q;
  logic [31:0]        aw_addr_q;
  logic [3:0]         aw_len_q;
  logic [4:0]         job_mem_q [Outstanding];  // source, beats - 1
  logic [32:0]        answer_q [Outstanding];   // last of its STORE, where that lies
  logic [PtrBits-1:0] tail_q, job_head_q, answer_head_q;
  logic [PtrBits:0]   waiting_q, answers_q;     // jobs in job_mem_q; bursts unanswered
  logic               waiting_some_q, answers_room_q;
  logic               job_valid_q, job_source_q, last_beat_q;   // the job under way
  logic [3:0]         left_q;                   // beats after this one
  logic               job_take, w_done, b_taken, good, answer_last;
  logic [31:0]        answer_iaddress;

  assign send = seen_q && in_window_q && gathered_q && answers_room_q && !fault_q && !halt_i
             && (!aw_valid_q || m_axi_awready_i);
  assign {answer_last, answer_iaddress} = answer_q[answer_head_q];
  assign b_taken = m_axi_bvalid_i && m_axi_bready_o;
  assign good = m_axi_bresp_i == 2'b00;
  assign w_done = beat_o && last_beat_q;
  assign job_take = waiting_some_q && (!job_valid_q || w_done);

  `ESP_FF(begin
    aw_valid_q <= 1'b0;
    tail_q <= '0;
    job_head_q <= '0;
    answer_head_q <= '0;
    waiting_q <= '0;
    waiting_some_q <= 1'b0;
    answers_q <= '0;
    answers_room_q <= 1'b1;
    job_valid_q <= 1'b0;
  end)
    begin  // never cleared: bursts under way are finished first
      if (send) aw_valid_q <= 1'b1;
      else if (m_axi_awready_i) aw_valid_q <= 1'b0;
      if (send) tail_q <= tail_q + 1'b1;
      if (job_take) job_head_q <= job_head_q + 1'b1;
      if (b_taken) answer_head_q <= answer_head_q + 1'b1;
      if (send != job_take) begin
        waiting_q <= send ? waiting_q + 1'b1 : waiting_q - 1'b1;
        waiting_some_q <= send || waiting_q != (PtrBits+1)'(1);
      end
      if (send != b_taken) begin
        answers_q <= send ? answers_q + 1'b1 : answers_q - 1'b1;
        answers_room_q <= b_taken || answers_q != (PtrBits+1)'(Outstanding - 1);
      end
      job_valid_q <= job_take || (job_valid_q && !w_done);
    end

  always_ff @(posedge clk_i) begin
    if (send) begin
      aw_addr_q <= burst_addr;
      aw_len_q <= burst_len;
      job_mem_q[tail_q] <= {burst_source, burst_len};
      answer_q[tail_q] <= {burst_last, burst_iaddress};
    end
    if (job_take) begin
      {job_source_q, left_q} <= job_mem_q[job_head_q];
      last_beat_q <= job_mem_q[job_head_q][3:0] == '0;
    end else if (beat_o) begin
      left_q <= left_q - 1'b1;
      last_beat_q <= left_q == 4'd1;
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
  assign head = job_source_q ? head1 : head0;
  assign m_axi_wvalid_o = job_valid_q;
  assign m_axi_wlast_o = last_beat_q;
  assign m_axi_wstrb_o = '1;
  assign beat_o = m_axi_wvalid_o && m_axi_wready_i;
  assign head_ready[esp_isa_pkg::SourcePost] = beat_o && word_end && !job_source_q;
  assign head_ready[esp_isa_pkg::SourcePool] = beat_o && word_end && job_source_q;

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

  logic        window_fault, response_fault, at_answer_q;
  logic [31:0] answer_iaddress_q;
  assign window_fault = seen_q && !in_window_q;
  assign response_fault = b_taken && !good;

  `ESP_FFC(clear_i, begin
    fault_q <= 1'b0;
    at_answer_q <= 1'b0;
  end)
    if (!fault_q && (window_fault || response_fault)) begin
      fault_q <= 1'b1;
      at_answer_q <= response_fault;
    end

  always_ff @(posedge clk_i) begin
    if (b_taken && !fault_q) answer_iaddress_q <= answer_iaddress;
  end

  assign fault_o = fault_q;
  assign fault_cause_o = at_answer_q ? esp_isa_pkg::FaultWriteResponse : esp_isa_pkg::FaultWriteWindow;
  assign fault_address_o = at_answer_q ? answer_iaddress_q : burst_iaddress;

  assign retire_o = b_taken && answer_last && good && !fault_q;
  assign quiet_o = answers_q == '0 && !aw_valid_q && !job_valid_q;   // a burst that waits is unanswered too
  assign busy_o = !walk_ready || burst_valid || answers_q != '0;

  // Header and region are of no use here; heads are valid whenever a job needs them.
  logic unused;
  assign unused = ^{store_i, head_valid};

  `ESP_ASSERT(words_are_gathered, !m_axi_wvalid_o || head_valid[job_source_q])
  `ESP_ASSERT(answer_was_due, !(m_axi_bvalid_i && answers_q == '0))
  `ESP_ASSERT(cleared_when_quiet, !(clear_i && !quiet_o))
  `ESP_ASSERT_STABLE(aw_stable, 1'b0, m_axi_awvalid_o, m_axi_awready_i,
                     {m_axi_awaddr_o, m_axi_awlen_o})
  `ESP_ASSERT_STABLE(w_stable, 1'b0, m_axi_wvalid_o, m_axi_wready_i,
                     {m_axi_wlast_o, m_axi_wdata_o})

endmodule

`default_nettype wire
