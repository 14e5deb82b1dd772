// The machine: registers, fetch and decode, queues, engines, buffers and the two halves of AXI.
//
// A program starts by a register and ends by an interrupt; see docs/machine.md. All sizes are
// parameters; esp_top_<configuration> sets them.

`default_nettype none
`include "esp_ff.svh"

module esp_core #(
  parameter int unsigned Lanes = 4,
  parameter int unsigned ActWords = 2048,
  parameter int unsigned WeightWords = 1024,
  parameter int unsigned AccWords = 128,
  parameter int unsigned ParamBlocks = 64,
  parameter int unsigned BusBytes = 4,
  parameter int unsigned PostLanes = 4,
  parameter int unsigned PoolLanes = 4,
  parameter int unsigned MaskLayers = 0,   // rows of the layer table; 0: nothing of docs/pack.md
  parameter int unsigned PackLanes = 4,    // of the squeezer
  parameter bit          Score = 1'b1,     // with MaskLayers: post's products, gate and score
  parameter bit          Packed = 1'b0,
  parameter bit          Fine = 1'b0,      // fine CONVs (docs/fine.md)
  parameter logic [31:0] ConfigHash = '0
) (
  input  wire logic                  clk_i,
  input  wire logic                  rst_ni,

  input  wire logic [11:0]           s_axil_awaddr_i,
  input  wire logic                  s_axil_awvalid_i,
  input  wire logic [31:0]           s_axil_wdata_i,
  input  wire logic [3:0]            s_axil_wstrb_i,
  input  wire logic                  s_axil_wvalid_i,
  input  wire logic                  s_axil_bready_i,
  input  wire logic [11:0]           s_axil_araddr_i,
  input  wire logic                  s_axil_arvalid_i,
  input  wire logic                  s_axil_rready_i,
  output logic                       s_axil_awready_o,
  output logic                       s_axil_wready_o,
  output logic      [1:0]            s_axil_bresp_o,
  output logic                       s_axil_bvalid_o,
  output logic                       s_axil_arready_o,
  output logic      [31:0]           s_axil_rdata_o,
  output logic      [1:0]            s_axil_rresp_o,
  output logic                       s_axil_rvalid_o,

  output logic      [31:0]           m_axi_araddr_o,
  output logic      [7:0]            m_axi_arlen_o,
  output logic      [2:0]            m_axi_arsize_o,
  output logic      [1:0]            m_axi_arburst_o,
  output logic                       m_axi_arvalid_o,
  output logic                       m_axi_rready_o,
  output logic      [31:0]           m_axi_awaddr_o,
  output logic      [7:0]            m_axi_awlen_o,
  output logic      [2:0]            m_axi_awsize_o,
  output logic      [1:0]            m_axi_awburst_o,
  output logic                       m_axi_awvalid_o,
  output logic      [8*BusBytes-1:0] m_axi_wdata_o,
  output logic      [BusBytes-1:0]   m_axi_wstrb_o,
  output logic                       m_axi_wlast_o,
  output logic                       m_axi_wvalid_o,
  output logic                       m_axi_bready_o,
  input  wire logic                  m_axi_arready_i,
  input  wire logic [8*BusBytes-1:0] m_axi_rdata_i,
  input  wire logic [1:0]            m_axi_rresp_i,
  input  wire logic                  m_axi_rlast_i,
  input  wire logic                  m_axi_rvalid_i,
  input  wire logic                  m_axi_awready_i,
  input  wire logic                  m_axi_wready_i,
  input  wire logic [1:0]            m_axi_bresp_i,
  input  wire logic                  m_axi_bvalid_i,

  output logic                       irq_o,
  output logic      [11:0]           trace_layer_o,
  output logic                       trace_layer_valid_o,
  output logic      [esp_isa_pkg::ENGINES-1:0] trace_retire_o,
  output logic                       trace_fed_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_parameters_0
    $error("esp_core: Lanes is a power of two from 4 to 32");
  end
  if ((1 << $clog2(ActWords)) != ActWords || ActWords < 2 || ActWords > 65536 ||
      (1 << $clog2(WeightWords)) != WeightWords || WeightWords < 2 || WeightWords > 65536 ||
      (1 << $clog2(AccWords)) != AccWords || AccWords < 2 || AccWords > 65536)
  begin : gen_parameters_1
    $error("esp_core: ActWords and WeightWords and AccWords are powers of two from 2 to 65536");
  end
  if ((1 << $clog2(ParamBlocks)) != ParamBlocks || ParamBlocks < 2 || ParamBlocks > 256)
  begin : gen_parameters_2
    $error("esp_core: ParamBlocks is a power of two from 2 to 256");
  end
  if ((1 << $clog2(BusBytes)) != BusBytes || BusBytes < 4 || BusBytes > 32 || BusBytes > Lanes)
  begin : gen_parameters_3
    $error("esp_core: BusBytes is a power of two from 4 to 32 and divides Lanes");
  end
  if ((1 << $clog2(PostLanes)) != PostLanes || PostLanes > Lanes ||
      (1 << $clog2(PoolLanes)) != PoolLanes || PoolLanes > Lanes)
  begin : gen_parameters_4
    $error("esp_core: PostLanes and PoolLanes are powers of two, at most Lanes");
  end
  if (MaskLayers > 4096) begin : gen_parameters_5
    $error("esp_core: MaskLayers is at most 4096");
  end
  if ((1 << $clog2(PackLanes)) != PackLanes || PackLanes < 2 || PackLanes > BusBytes)
  begin : gen_parameters_6
    $error("esp_core: PackLanes is a power of two from 2 to BusBytes");
  end

  localparam int unsigned ActBits = $clog2(ActWords);
  localparam int unsigned WgtBits = $clog2(WeightWords);
  localparam int unsigned AccBits = $clog2(AccWords);
  localparam int unsigned ParBits = $clog2(ParamBlocks) + 1;
  localparam bit          Prune = MaskLayers != 0;
  localparam bit          Products = Prune && Score;
  localparam int unsigned TableWidth = (Lanes < 8) ? 64 : 8 * Lanes;
  localparam int unsigned TableWords = MaskLayers * esp_isa_pkg::ROW_BITS / TableWidth;
  // Behind a queue's head: what a mask leaves of a tile's empty steps goes through in order, and decode
  // reaches the next live step beside the CONV under way. 32 words are one distributed memory.
  localparam int unsigned QueueDepth = 31;
  localparam int unsigned MapBlocks = 512;     // bit maps behind the layer table
  localparam int unsigned TableDepth = TableWords + MapBlocks * 64 / TableWidth;
  localparam int unsigned TableBits = $clog2(TableDepth);
  localparam int unsigned ParRowBits = $clog2(ParamBlocks * Lanes / PostLanes);

  // ---------------------------------------------------------------- control
  logic         start, clear, halt, running, done, quiet, read_quiet, store_quiet;
  logic [31:0]  program_address, program_words, read_low, read_high, write_low, write_high;
  logic [159:0] base;
  logic         fault, fault_q;
  logic [3:0]   fault_cause, fault_cause_q;
  logic [2:0]   fault_engine, fault_engine_q;
  logic [31:0]  fault_address, fault_address_q, decode_address;
  logic         read_beat, write_beat, idle;
  logic [esp_isa_pkg::ENGINES-1:0] dispatch, retire, nop_retire, head, waits;
  logic [127:0] retired;
  logic [esp_isa_pkg::COUNTERS-1:1] events;

  assign quiet = read_quiet && store_quiet;

  esp_regs #(.ConfigHash(ConfigHash), .Region4(Prune || Fine)) u_regs (
    .clk_i, .rst_ni,
    .s_axil_awaddr_i, .s_axil_awvalid_i, .s_axil_awready_o,
    .s_axil_wdata_i, .s_axil_wstrb_i, .s_axil_wvalid_i, .s_axil_wready_o,
    .s_axil_bresp_o, .s_axil_bvalid_o, .s_axil_bready_i,
    .s_axil_araddr_i, .s_axil_arvalid_i, .s_axil_arready_o,
    .s_axil_rdata_o, .s_axil_rresp_o, .s_axil_rvalid_o, .s_axil_rready_i,
    .irq_o,
    .start_o(start), .clear_o(clear), .halt_o(halt), .running_o(running),
    .done_i(done), .quiet_i(quiet),
    .program_address_o(program_address), .program_words_o(program_words), .base_o(base),
    .read_low_o(read_low), .read_high_o(read_high),
    .write_low_o(write_low), .write_high_o(write_high),
    .fault_i(fault_q), .fault_cause_i(fault_cause_q), .fault_engine_i(fault_engine_q),
    .fault_address_i(fault_address_q),
    .progress_i(read_beat || write_beat || retire != '0), .decode_address_i(decode_address),
    .events_i(events)
  );

  esp_scoreboard u_scoreboard (
    .clk_i, .rst_ni, .clear_i(clear),
    .dispatch_i(dispatch), .retire_i(retire), .retired_o(retired), .idle_o(idle)
  );

  // ---------------------------------------------------------------- AXI reads
  logic [esp_isa_pkg::READERS-1:0] req_valid, req_ready, r_valid, r_ready;
  logic [3*esp_isa_pkg::READERS-1:0] req_tag;
  logic [95:0]           req_address;
  logic [14:0]           req_beats;
  logic [8*BusBytes-1:0] r_data;
  logic                  r_last, r_error;
  logic [2:0]            r_tag;

  assign req_tag[3*esp_isa_pkg::ReadFetch +: 3] = '0;

  esp_read #(.BusBytes(BusBytes)) u_read (
    .clk_i, .rst_ni, .halt_i(halt),
    .req_valid_i(req_valid), .req_ready_o(req_ready), .req_address_i(req_address),
    .req_beats_i(req_beats), .req_tag_i(req_tag),
    .r_valid_o(r_valid), .r_ready_i(r_ready), .r_data_o(r_data),
    .r_last_o(r_last), .r_tag_o(r_tag), .r_error_o(r_error),
    .quiet_o(read_quiet), .beat_o(read_beat),
    .m_axi_araddr_o, .m_axi_arlen_o, .m_axi_arsize_o, .m_axi_arburst_o, .m_axi_arvalid_o,
    .m_axi_arready_i, .m_axi_rdata_i, .m_axi_rresp_i, .m_axi_rlast_i, .m_axi_rvalid_i,
    .m_axi_rready_o
  );

  // ---------------------------------------------------------------- fetch, decode, queues
  logic         word_valid, word_ready, exhausted, three, fetch_fault, decode_fault;
  logic [127:0] word;
  logic [3:0]   fetch_cause, decode_cause;
  logic [31:0]  fetch_fault_address;
  logic [esp_isa_pkg::ENGINES-1:0] push, ready;
  logic         wconv_push, wconv_in_ready;
  logic [639:0] inst;
  logic                  table_ren, table_done;
  logic [TableBits-1:0]  table_raddr;
  logic [TableWidth-1:0] table_rdata;
  logic                  table_busy;

  esp_fetch #(.BusBytes(BusBytes)) u_fetch (
    .clk_i, .rst_ni, .clear_i(clear), .halt_i(halt), .start_i(start),
    .program_address_i(program_address), .program_words_i(program_words),
    .window_low_i(read_low), .window_high_i(read_high),
    .req_valid_o(req_valid[esp_isa_pkg::ReadFetch]), .req_ready_i(req_ready[esp_isa_pkg::ReadFetch]),
    .req_address_o(req_address[32*esp_isa_pkg::ReadFetch +: 32]),
    .req_beats_o(req_beats[5*esp_isa_pkg::ReadFetch +: 5]),
    .r_valid_i(r_valid[esp_isa_pkg::ReadFetch]), .r_ready_o(r_ready[esp_isa_pkg::ReadFetch]),
    .r_data_i(r_data), .r_error_i(r_error),
    .word_valid_o(word_valid), .word_ready_i(word_ready), .word_o(word), .exhausted_o(exhausted),
    .three_o(three),
    .fault_o(fetch_fault), .fault_cause_o(fetch_cause), .fault_address_o(fetch_fault_address)
  );

  esp_decode #(
    .Lanes(Lanes), .BusBytes(BusBytes), .WeightWords(WeightWords), .ParamBlocks(ParamBlocks),
    .MaskLayers(MaskLayers), .Score(Products), .TableBits(TableBits), .Fine(Fine)
  ) u_decode (
    .clk_i, .rst_ni, .clear_i(clear), .halt_i(halt), .start_i(start),
    .program_address_i(program_address),
    .word_valid_i(word_valid), .word_ready_o(word_ready), .word_i(word), .exhausted_i(exhausted),
    .three_i(three),
    .push_o(push), .ready_i(ready), .wconv_push_o(wconv_push), .wconv_ready_i(wconv_in_ready),
    .inst_o(inst), .address_o(decode_address), .dispatch_o(dispatch),
    .table_ren_o(table_ren), .table_raddr_o(table_raddr), .table_rdata_i(table_rdata),
    .table_busy_o(table_busy), .table_done_i(table_done),
    .idle_i(idle), .done_o(done), .fault_o(decode_fault), .fault_cause_o(decode_cause)
  );

  assign ready[esp_isa_pkg::EngNone] = 1'b0;
  assign ready[esp_isa_pkg::EngPost] = 1'b0;
  assign nop_retire[esp_isa_pkg::EngNone] = 1'b0;
  assign nop_retire[esp_isa_pkg::EngPost] = 1'b0;
  assign head[esp_isa_pkg::EngNone] = 1'b0;
  assign head[esp_isa_pkg::EngPost] = 1'b0;
  assign waits[esp_isa_pkg::EngNone] = 1'b0;
  assign waits[esp_isa_pkg::EngPost] = 1'b0;

  esp_isa_pkg::load_t  load_a, load_w;
  esp_isa_pkg::conv_t  conv, wconv;
  esp_isa_pkg::pool_t  pool;
  esp_isa_pkg::store_t store;
  logic        load_a_valid, load_a_ready, load_w_valid, load_w_ready, store_valid, store_ready;
  logic        conv_valid, conv_ready, wconv_valid, wconv_ready, pool_valid, pool_ready;
  logic [31:0] load_a_address, load_w_address, conv_address, pool_address, store_address;

  esp_queue #(.Width(esp_isa_pkg::LOAD_BITS), .Used(esp_isa_pkg::LOAD_USED), .Depth(QueueDepth),
              .Engine(32'(esp_isa_pkg::EngLoadA))) u_queue_load_a (
    .clk_i, .rst_ni, .clear_i(clear), .hold_i(halt),
    .in_valid_i(push[esp_isa_pkg::EngLoadA]), .in_ready_o(ready[esp_isa_pkg::EngLoadA]),
    .in_data_i(inst[esp_isa_pkg::LOAD_BITS-1:0]),
    .in_address_i(decode_address), .retired_i(retired),
    .out_valid_o(load_a_valid), .out_ready_i(load_a_ready), .out_data_o(load_a),
    .out_address_o(load_a_address), .head_o(head[esp_isa_pkg::EngLoadA]),
    .wait_o(waits[esp_isa_pkg::EngLoadA]), .nop_retire_o(nop_retire[esp_isa_pkg::EngLoadA])
  );

  esp_queue #(.Width(esp_isa_pkg::LOAD_BITS), .Used(esp_isa_pkg::LOAD_USED), .Depth(QueueDepth),
              .Engine(32'(esp_isa_pkg::EngLoadW))) u_queue_load_w (
    .clk_i, .rst_ni, .clear_i(clear), .hold_i(halt),
    .in_valid_i(push[esp_isa_pkg::EngLoadW]), .in_ready_o(ready[esp_isa_pkg::EngLoadW]),
    .in_data_i(inst[esp_isa_pkg::LOAD_BITS-1:0]),
    .in_address_i(decode_address), .retired_i(retired),
    .out_valid_o(load_w_valid), .out_ready_i(load_w_ready), .out_data_o(load_w),
    .out_address_o(load_w_address), .head_o(head[esp_isa_pkg::EngLoadW]),
    .wait_o(waits[esp_isa_pkg::EngLoadW]), .nop_retire_o(nop_retire[esp_isa_pkg::EngLoadW])
  );

  esp_queue #(.Width(esp_isa_pkg::CONV_BITS), .Used(esp_isa_pkg::CONV_USED), .Depth(QueueDepth),
              .Engine(32'(esp_isa_pkg::EngExec))) u_queue_exec (
    .clk_i, .rst_ni, .clear_i(clear), .hold_i(halt),
    .in_valid_i(push[esp_isa_pkg::EngExec]), .in_ready_o(ready[esp_isa_pkg::EngExec]),
    .in_data_i(inst),
    .in_address_i(decode_address), .retired_i(retired),
    .out_valid_o(conv_valid), .out_ready_i(conv_ready), .out_data_o(conv),
    .out_address_o(conv_address), .head_o(head[esp_isa_pkg::EngExec]),
    .wait_o(waits[esp_isa_pkg::EngExec]), .nop_retire_o(nop_retire[esp_isa_pkg::EngExec])
  );

  // The weight sequencer runs ahead of the dependencies.
  esp_isa_pkg::conv_t inst_conv;
  assign inst_conv = inst;
  esp_wconv_queue #(.Prune(Prune)) u_queue_wconv (
    .clk_i, .rst_ni, .clear_i(clear),
    .in_valid_i(wconv_push), .in_ready_o(wconv_in_ready), .in_conv_i(inst_conv),
    .out_valid_o(wconv_valid), .out_ready_i(wconv_ready), .out_conv_o(wconv)
  );

  esp_queue #(.Width(esp_isa_pkg::POOL_BITS), .Used(esp_isa_pkg::POOL_USED), .Depth(QueueDepth),
              .Engine(32'(esp_isa_pkg::EngPool))) u_queue_pool (
    .clk_i, .rst_ni, .clear_i(clear), .hold_i(halt),
    .in_valid_i(push[esp_isa_pkg::EngPool]), .in_ready_o(ready[esp_isa_pkg::EngPool]),
    .in_data_i(inst[esp_isa_pkg::POOL_BITS-1:0]),
    .in_address_i(decode_address), .retired_i(retired),
    .out_valid_o(pool_valid), .out_ready_i(pool_ready), .out_data_o(pool),
    .out_address_o(pool_address), .head_o(head[esp_isa_pkg::EngPool]),
    .wait_o(waits[esp_isa_pkg::EngPool]), .nop_retire_o(nop_retire[esp_isa_pkg::EngPool])
  );

  esp_queue #(.Width(esp_isa_pkg::STORE_BITS), .Used(esp_isa_pkg::STORE_USED), .Depth(QueueDepth),
              .Engine(32'(esp_isa_pkg::EngStore))) u_queue_store (
    .clk_i, .rst_ni, .clear_i(clear), .hold_i(halt),
    .in_valid_i(push[esp_isa_pkg::EngStore]), .in_ready_o(ready[esp_isa_pkg::EngStore]),
    .in_data_i(inst[esp_isa_pkg::STORE_BITS-1:0]),
    .in_address_i(decode_address), .retired_i(retired),
    .out_valid_o(store_valid), .out_ready_i(store_ready), .out_data_o(store),
    .out_address_o(store_address), .head_o(head[esp_isa_pkg::EngStore]),
    .wait_o(waits[esp_isa_pkg::EngStore]), .nop_retire_o(nop_retire[esp_isa_pkg::EngStore])
  );

  // ---------------------------------------------------------------- loads
  logic               act_word, act_claim, tab_word, tab_word_ready, wgt_word, par_word, layer_word;
  logic               unused_word, unused_claim;
  logic [15:0]        word_a_address, word_w_address;
  logic [8*Lanes-1:0] word_a, word_w;
  logic [esp_isa_pkg::ENGINES-1:0] engine_retire;
  logic               unused_done, load_a_fault, load_w_fault, load_a_busy, load_w_busy;
  logic               room_a, room_w;
  logic [3:0]         load_a_cause, load_w_cause;
  logic [31:0]        load_a_fault_address, load_w_fault_address;
  logic [WgtBits:0]   wgt_base, wgt_loaded, wgt_dropped, wgt_back;
  logic               wgt_write, wgt_last, unused_last_a;
  logic [2:0]         wgt_form, unused_form;
  logic [8*Lanes-1:0] wgt_data;
  logic [ParBits-1:0] par_base, par_loaded;

  logic                   pack_beat, pack_beat_ready, pack_beat_last, unused_beat;
  logic [15:0]            pack_beat_start, unused_start;
  logic                   unused_last;
  logic                   pack_valid, pack_ready, pack_pad, pack_zero;
  logic [8*PackLanes-1:0] pack_data;
  logic [PackLanes-1:0]   pack_mask;
  logic                   store_busy;
  logic [esp_isa_pkg::SOURCES-1:0] stream_valid, stream_ready;
  logic [16*Lanes-1:0]    stream_data;
  logic [31:0]            base_w;

  // Rings ignore the address.
  esp_isa_pkg::load_t load_w_next;
  always_comb begin
    load_w_next = load_w;
    if (!Prune) load_w_next.sram_address = '0;
  end
  // This queue's region is 0 or 4.
  assign base_w = ((Prune || Fine) && load_w_next.region[2]) ? base[159:128] : base[31:0];

  esp_load #(
    .Lanes(Lanes), .BusBytes(BusBytes), .TableStep(Lanes / 4), .TableEntries(128), .Skips(Fine)
  ) u_load_a (
    .clk_i, .rst_ni, .clear_i(clear), .halt_i(halt),
    .load_valid_i(load_a_valid), .load_ready_o(load_a_ready), .load_i(load_a),
    .load_address_i(load_a_address),
    .region_base_i(base[32*load_a.region[1:0] +: 32]),
    .window_low_i(read_low), .window_high_i(read_high), .base0_i(1'b0), .base1_i(1'b0),
    .req_valid_o(req_valid[esp_isa_pkg::ReadLoadA]), .req_ready_i(req_ready[esp_isa_pkg::ReadLoadA]),
    .req_address_o(req_address[32*esp_isa_pkg::ReadLoadA +: 32]),
    .req_beats_o(req_beats[5*esp_isa_pkg::ReadLoadA +: 5]),
    .req_tag_o(req_tag[3*esp_isa_pkg::ReadLoadA +: 3]),
    .r_valid_i(r_valid[esp_isa_pkg::ReadLoadA]), .r_ready_o(r_ready[esp_isa_pkg::ReadLoadA]),
    .r_data_i(r_data), .r_last_i(r_last),
    .r_tag_i(r_tag), .r_error_i(r_error),
    .word_valid_o({unused_word, tab_word, act_word}), .word_claim_o(act_claim),
    .word_ready_i({1'b1, tab_word_ready, 1'b1}),
    .word_address_o(word_a_address),
    .word_data_o(word_a), .word_form_o(unused_form), .word_last_o(unused_last_a),
    .beat_valid_o(unused_beat), .beat_ready_i(1'b1),
    .beat_start_o(unused_start), .beat_last_o(unused_last),
    .retire_o(engine_retire[esp_isa_pkg::EngLoadA]), .table_done_o(unused_done),
    .fault_o(load_a_fault), .fault_cause_o(load_a_cause), .fault_address_o(load_a_fault_address),
    .busy_o(load_a_busy), .wait_room_o(room_a)
  );

  esp_load #(
    .Lanes(Lanes), .BusBytes(BusBytes), .Sink0Words(WeightWords), .Sink1Words(8 * ParamBlocks),
    .LayerWords(Prune ? TableDepth * TableWidth / (8 * Lanes) : 0), .Forms(Fine)
  ) u_load_w (
    .clk_i, .rst_ni, .clear_i(clear), .halt_i(halt),
    .load_valid_i(load_w_valid), .load_ready_o(load_w_ready), .load_i(load_w_next),
    .load_address_i(load_w_address), .region_base_i(base_w),
    .window_low_i(read_low), .window_high_i(read_high), .base0_i(wgt_back),
    .base1_i({par_base, 3'd0}),
    .req_valid_o(req_valid[esp_isa_pkg::ReadLoadW]), .req_ready_i(req_ready[esp_isa_pkg::ReadLoadW]),
    .req_address_o(req_address[32*esp_isa_pkg::ReadLoadW +: 32]),
    .req_beats_o(req_beats[5*esp_isa_pkg::ReadLoadW +: 5]),
    .req_tag_o(req_tag[3*esp_isa_pkg::ReadLoadW +: 3]),
    .r_valid_i(r_valid[esp_isa_pkg::ReadLoadW]), .r_ready_o(r_ready[esp_isa_pkg::ReadLoadW]),
    .r_data_i(r_data), .r_last_i(r_last),
    .r_tag_i(r_tag), .r_error_i(r_error),
    .word_valid_o({layer_word, par_word, wgt_word}), .word_claim_o(unused_claim), .word_ready_i(3'b111),
    .word_address_o(word_w_address),
    .word_data_o(word_w), .word_form_o(wgt_form), .word_last_o(wgt_last),
    .beat_valid_o(pack_beat), .beat_ready_i(pack_beat_ready),
    .beat_start_o(pack_beat_start), .beat_last_o(pack_beat_last),
    .retire_o(engine_retire[esp_isa_pkg::EngLoadW]), .table_done_o(table_done),
    .fault_o(load_w_fault), .fault_cause_o(load_w_cause), .fault_address_o(load_w_fault_address),
    .busy_o(load_w_busy), .wait_room_o(room_w)
  );

  // ---------------------------------------------------------------- buffers
  logic                    act_ren, res_valid, res_ready, res_rvalid;
  logic                    preq_valid, preq_ready, preq_rvalid;
  logic [ActBits-1:0]      act_raddr, res_addr, preq_addr;
  logic [8*Lanes-1:0]      act_rdata, act_second_rdata, b_rdata, wgt_rdata;
  logic [2*Lanes-1:0]      wgt_index;
  logic                    act_two;
  logic [ActBits-1:0]      act_second;
  logic                    wgt_ren, par_ren, tab_ren;
  logic [WgtBits-1:0]      wgt_raddr;
  logic [ParRowBits-1:0]   par_raddr;
  logic [64*PostLanes-1:0] par_rdata;
  logic [6:0]              tab_raddr;
  logic [31:0]             tab_rdata;

  esp_act_buf #(.Lanes(Lanes), .Words(ActWords), .Fine(Fine)) u_act_buf (
    .clk_i, .rst_ni,
    .a_ren_i(act_ren), .a_raddr_i(act_raddr), .a_rdata_o(act_rdata),
    .a_two_i(act_two), .a_second_i(act_second), .a_second_o(act_second_rdata),
    .load_claim_i(act_claim), .load_valid_i(act_word), .load_addr_i(word_a_address[ActBits-1:0]),
    .load_data_i(word_a),
    .res_valid_i(res_valid), .res_ready_o(res_ready), .res_addr_i(res_addr),
    .res_rvalid_o(res_rvalid),
    .pool_valid_i(preq_valid), .pool_ready_o(preq_ready), .pool_addr_i(preq_addr),
    .pool_rvalid_o(preq_rvalid), .b_rdata_o(b_rdata)
  );

  if (Fine) begin : gen_indices
    logic [2*Lanes-1:0] new_index;
    esp_weight_forms #(.Lanes(Lanes), .Words(WeightWords), .BitWords(esp_isa_pkg::BIT_WORDS)) u_weight_forms (
      .clk_i, .rst_ni, .clear_i(clear),
      .word_valid_i(wgt_word), .word_form_i(wgt_form), .word_last_i(wgt_last), .word_data_i(word_w),
      .word_valid_o(wgt_write), .word_data_o(wgt_data), .index_o(new_index), .dropped_o(wgt_dropped)
    );
    esp_index_ring #(.Lanes(Lanes), .Words(WeightWords)) u_index_ring (
      .clk_i,
      .word_valid_i(wgt_write), .index_i(new_index), .loaded_i(wgt_loaded[WgtBits-1:0]),
      .ren_i(wgt_ren), .raddr_i(wgt_raddr), .index_o(wgt_index)
    );
    assign wgt_back = wgt_base + wgt_dropped;
  end else begin : gen_no_indices
    assign wgt_write = wgt_word;
    assign wgt_data = word_w;
    assign {wgt_dropped, wgt_index} = '0;
    assign wgt_back = wgt_base;
    logic unused_indices;
    assign unused_indices = ^{wgt_form, wgt_last, wgt_dropped};
  end

  esp_wgt_ring #(.Lanes(Lanes), .Words(WeightWords)) u_wgt_ring (
    .clk_i, .rst_ni, .clear_i(clear),
    .word_valid_i(wgt_write), .word_data_i(wgt_data), .loaded_o(wgt_loaded),
    .ren_i(wgt_ren), .raddr_i(wgt_raddr), .rdata_o(wgt_rdata)
  );

  esp_par_ring #(.Lanes(Lanes), .PostLanes(PostLanes), .Blocks(ParamBlocks)) u_par_ring (
    .clk_i, .rst_ni, .clear_i(clear),
    .word_valid_i(par_word), .word_data_i(word_w), .loaded_o(par_loaded),
    .ren_i(par_ren), .raddr_i(par_raddr), .rdata_o(par_rdata)
  );

  if (Prune) begin : gen_masks
    localparam int unsigned AddressBits = TableBits + $clog2(TableWidth / (8 * Lanes));
    logic                 read;
    logic [TableBits-1:0] raddr;

    esp_layer_table #(.Lanes(Lanes), .Words(TableDepth)) u_layer_table (
      .clk_i,
      .word_valid_i(layer_word), .word_addr_i(word_w_address[AddressBits-1:0]),
      .word_data_i(word_w),
      .ren_i(read), .raddr_i(raddr),
      .rdata_o(table_rdata)
    );

    esp_pack_feed #(
      .Lanes(Lanes), .BusBytes(BusBytes), .PackLanes(PackLanes), .AddrBits(TableBits),
      .Base(TableWords)
    ) u_pack_feed (
      .clk_i, .rst_ni, .clear_i(clear),
      .beat_valid_i(pack_beat), .beat_ready_o(pack_beat_ready), .beat_data_i(r_data),
      .beat_start_i(pack_beat_start), .beat_last_i(pack_beat_last),
      .table_busy_i(table_busy), .clip_ren_i(table_ren), .clip_raddr_i(table_raddr),
      .ren_o(read), .raddr_o(raddr), .rdata_i(table_rdata),
      .valid_o(pack_valid), .ready_i(pack_ready), .data_o(pack_data),
      .mask_o(pack_mask), .pad_o(pack_pad), .zero_o(pack_zero)
    );
  end else begin : gen_no_masks
    logic unused_masks;
    assign table_rdata = '0;
    assign {pack_beat_ready, pack_valid, pack_data, pack_mask, pack_pad, pack_zero} = '0;
    assign unused_masks = ^{table_ren, table_raddr, table_busy, layer_word, pack_beat,
                            pack_beat_start, pack_beat_last, pack_ready};
  end

  esp_pool_table #(.Lanes(Lanes)) u_pool_table (
    .clk_i, .rst_ni, .clear_i(clear),
    .word_valid_i(tab_word), .word_ready_o(tab_word_ready),
    .word_addr_i(word_a_address[6:0]), .word_data_i(word_a),
    .ren_i(tab_ren), .raddr_i(tab_raddr), .rdata_o(tab_rdata)
  );

  // ---------------------------------------------------------------- engines
  logic                post_valid, post_ready, post_half, acc_ren, acc_half, acc_free;
  logic                exec_fault, pool_fault;
  logic [AccBits-1:0]  acc_raddr;
  logic [32*Lanes-1:0] acc_rdata;
  esp_isa_pkg::conv_t  post_conv;
  logic [11:0]         exec_layer, pool_layer;
  logic                exec_layer_valid, pool_layer_valid;

  esp_exec #(
    .Lanes(Lanes), .ActWords(ActWords), .WeightWords(WeightWords), .AccWords(AccWords),
    .Packed(Packed), .Prune(Prune), .Fine(Fine)
  ) u_exec (
    .clk_i, .rst_ni, .clear_i(clear),
    .wconv_valid_i(wconv_valid), .wconv_ready_o(wconv_ready), .wconv_i(wconv),
    .conv_valid_i(conv_valid), .conv_ready_o(conv_ready), .conv_i(conv),
    .act_ren_o(act_ren), .act_raddr_o(act_raddr), .act_rdata_i(act_rdata),
    .act_two_o(act_two), .act_second_o(act_second), .act_second_i(act_second_rdata),
    .wgt_ren_o(wgt_ren), .wgt_raddr_o(wgt_raddr), .wgt_rdata_i(wgt_rdata), .wgt_index_i(wgt_index),
    .wgt_loaded_i(wgt_loaded), .wgt_base_o(wgt_base),
    .post_valid_o(post_valid), .post_ready_i(post_ready), .post_conv_o(post_conv),
    .post_half_o(post_half),
    .acc_ren_i(acc_ren), .acc_half_i(acc_half), .acc_raddr_i(acc_raddr), .acc_rdata_o(acc_rdata),
    .acc_free_i(acc_free),
    .retire_o(engine_retire[esp_isa_pkg::EngExec]), .fault_o(exec_fault),
    .ev_fed_o(events[esp_isa_pkg::CNT_EXEC_BUSY]),
    .ev_wait_weights_o(events[esp_isa_pkg::CNT_EXEC_WAIT_WEIGHTS]),
    .ev_wait_acc_o(events[esp_isa_pkg::CNT_EXEC_WAIT_ACCUMULATORS]),
    .ev_ragged_o(events[esp_isa_pkg::CNT_EXEC_RAGGED]),
    .ev_pass_o(events[esp_isa_pkg::CNT_PASSES]),
    .layer_o(exec_layer), .layer_valid_o(exec_layer_valid)
  );

  esp_post #(
    .Lanes(Lanes), .ActWords(ActWords), .AccWords(AccWords), .ParamBlocks(ParamBlocks),
    .PostLanes(PostLanes), .Prune(Prune), .Score(Products)
  ) u_post (
    .clk_i, .rst_ni, .clear_i(clear),
    .conv_valid_i(post_valid), .conv_ready_o(post_ready), .conv_i(post_conv), .half_i(post_half),
    .acc_ren_o(acc_ren), .acc_half_o(acc_half), .acc_raddr_o(acc_raddr), .acc_rdata_i(acc_rdata),
    .acc_free_o(acc_free),
    .par_ren_o(par_ren), .par_raddr_o(par_raddr), .par_rdata_i(par_rdata),
    .par_loaded_i(par_loaded), .par_base_o(par_base),
    .res_valid_o(res_valid), .res_ready_i(res_ready), .res_addr_o(res_addr),
    .res_rvalid_i(res_rvalid), .res_rdata_i(b_rdata),
    .out_valid_o(stream_valid[esp_isa_pkg::SourcePost]),
    .out_ready_i(stream_ready[esp_isa_pkg::SourcePost]),
    .out_data_o(stream_data[8*Lanes*esp_isa_pkg::SourcePost +: 8*Lanes]),
    .retire_o(engine_retire[esp_isa_pkg::EngPost]),
    .ev_busy_o(events[esp_isa_pkg::CNT_POST_BUSY]),
    .ev_wait_out_o(events[esp_isa_pkg::CNT_POST_WAIT_OUTPUT]),
    .ev_wait_operand_o(events[esp_isa_pkg::CNT_POST_WAIT_OPERAND])
  );

  esp_pool #(
    .Lanes(Lanes), .ActWords(ActWords), .PoolLanes(PoolLanes), .Prune(Prune),
    .PackLanes(PackLanes)
  ) u_pool (
    .clk_i, .rst_ni, .clear_i(clear),
    .pool_valid_i(pool_valid), .pool_ready_o(pool_ready), .pool_i(pool),
    .req_valid_o(preq_valid), .req_ready_i(preq_ready), .req_addr_o(preq_addr),
    .req_rvalid_i(preq_rvalid), .req_rdata_i(b_rdata),
    .tab_ren_o(tab_ren), .tab_raddr_o(tab_raddr), .tab_rdata_i(tab_rdata),
    .out_valid_o(stream_valid[esp_isa_pkg::SourcePool]),
    .out_ready_i(stream_ready[esp_isa_pkg::SourcePool]),
    .out_data_o(stream_data[8*Lanes*esp_isa_pkg::SourcePool +: 8*Lanes]),
    .pack_valid_i(pack_valid), .pack_ready_o(pack_ready), .pack_data_i(pack_data),
    .pack_mask_i(pack_mask), .pack_pad_i(pack_pad), .pack_zero_i(pack_zero),
    .retire_o(engine_retire[esp_isa_pkg::EngPool]), .fault_o(pool_fault),
    .ev_busy_o(events[esp_isa_pkg::CNT_POOL_BUSY]),
    .ev_wait_o(events[esp_isa_pkg::CNT_POOL_WAIT]),
    .layer_o(pool_layer), .layer_valid_o(pool_layer_valid)
  );

  // ---------------------------------------------------------------- stores
  logic        store_fault;
  logic [3:0]  store_cause;
  logic [31:0] store_fault_address, store_base;

  assign store_base = base[32*store.region +: 32];

  esp_store #(.Lanes(Lanes), .BusBytes(BusBytes)) u_store (
    .clk_i, .rst_ni, .clear_i(clear), .halt_i(halt),
    .store_valid_i(store_valid), .store_ready_o(store_ready), .store_i(store),
    .store_address_i(store_address), .region_base_i(store_base),
    .window_low_i(write_low), .window_high_i(write_high),
    .word_valid_i(stream_valid), .word_ready_o(stream_ready), .word_data_i(stream_data),
    .retire_o(engine_retire[esp_isa_pkg::EngStore]),
    .fault_o(store_fault), .fault_cause_o(store_cause), .fault_address_o(store_fault_address),
    .busy_o(store_busy), .quiet_o(store_quiet), .beat_o(write_beat),
    .m_axi_awaddr_o, .m_axi_awlen_o, .m_axi_awsize_o, .m_axi_awburst_o, .m_axi_awvalid_o,
    .m_axi_awready_i, .m_axi_wdata_o, .m_axi_wstrb_o, .m_axi_wlast_o, .m_axi_wvalid_o,
    .m_axi_wready_i, .m_axi_bresp_i, .m_axi_bvalid_i, .m_axi_bready_o
  );

  // ---------------------------------------------------------------- retirement, faults
  assign engine_retire[esp_isa_pkg::EngNone] = 1'b0;
  assign retire = engine_retire | nop_retire;

  // Faults are gathered in a register: each engine stands still by itself before.
  // A fault of exec belongs to the oldest CONV that it has not retired (it takes the next one ahead;
  // a cycle later, since the one before may retire just then), a fault of pool to the last POOL taken.
  logic [31:0] exec_address, run_pool_address_q;
  logic        exec_fault_q;
  logic [1:0]  unused_track;

  esp_fifo #(.Width(32), .Depth(4)) u_track_exec (
    .clk_i, .rst_ni, .clear_i(clear),
    .valid_i(conv_valid && conv_ready), .ready_o(unused_track[0]), .data_i(conv_address),
    .valid_o(unused_track[1]), .ready_i(engine_retire[esp_isa_pkg::EngExec]), .data_o(exec_address)
  );

  `ESP_FF(exec_fault_q <= 1'b0;) exec_fault_q <= exec_fault && !clear;

  always_ff @(posedge clk_i) begin
    if (pool_valid && pool_ready) run_pool_address_q <= pool_address;
  end

  `ESP_FF(fault_q <= 1'b0;) fault_q <= fault && !clear;

  always_ff @(posedge clk_i) begin
    if (fault && !fault_q) begin
      fault_cause_q <= fault_cause;
      fault_engine_q <= fault_engine;
      fault_address_q <= fault_address;
    end
  end

  always_comb begin
    fault = 1'b1;
    fault_cause = esp_isa_pkg::FaultCapacity;
    fault_engine = esp_isa_pkg::EngNone;
    fault_address = decode_address;
    if (store_fault) begin
      fault_cause = store_cause;
      fault_engine = esp_isa_pkg::EngStore;
      fault_address = store_fault_address;
    end else if (pool_fault) begin
      fault_engine = esp_isa_pkg::EngPool;
      fault_address = run_pool_address_q;
    end else if (exec_fault_q) begin
      fault_engine = esp_isa_pkg::EngExec;
      fault_address = exec_address;
    end else if (load_w_fault) begin
      fault_cause = load_w_cause;
      fault_engine = esp_isa_pkg::EngLoadW;
      fault_address = load_w_fault_address;
    end else if (load_a_fault) begin
      fault_cause = load_a_cause;
      fault_engine = esp_isa_pkg::EngLoadA;
      fault_address = load_a_fault_address;
    end else if (decode_fault) begin
      fault_cause = decode_cause;
    end else if (fetch_fault) begin
      fault_cause = fetch_cause;
      fault_address = fetch_fault_address;
    end else begin
      fault = 1'b0;
    end
  end

  // ---------------------------------------------------------------- counters, trace
  assign events[esp_isa_pkg::CNT_EXEC_WAIT_DEPENDENCY] = waits[esp_isa_pkg::EngExec];
  assign events[esp_isa_pkg::CNT_LOAD_A_BUSY] = load_a_busy;
  assign events[esp_isa_pkg::CNT_LOAD_A_WAIT] = waits[esp_isa_pkg::EngLoadA];
  assign events[esp_isa_pkg::CNT_LOAD_W_BUSY] = load_w_busy;
  assign events[esp_isa_pkg::CNT_LOAD_W_WAIT] = waits[esp_isa_pkg::EngLoadW] || room_w;
  assign events[esp_isa_pkg::CNT_STORE_BUSY] = store_busy;
  assign events[esp_isa_pkg::CNT_STORE_WAIT] = waits[esp_isa_pkg::EngStore];
  assign events[esp_isa_pkg::CNT_READ_BEATS] = read_beat;
  assign events[esp_isa_pkg::CNT_WRITE_BEATS] = write_beat;
  assign events[esp_isa_pkg::CNT_INSTRUCTIONS] = dispatch != '0;

  always_comb begin
    trace_layer_valid_o = running;
    if (exec_layer_valid) trace_layer_o = exec_layer;
    else if (head[esp_isa_pkg::EngExec]) trace_layer_o = conv.layer;
    else if (pool_layer_valid) trace_layer_o = pool_layer;
    else begin
      trace_layer_o = pool.layer;
      trace_layer_valid_o = running && head[esp_isa_pkg::EngPool];
    end
  end

  assign trace_retire_o = retire;
  assign trace_fed_o = events[esp_isa_pkg::CNT_EXEC_BUSY];

  // Rings ignore addresses; heads of the queues serve the trace where they do.
  logic unused;
  assign unused = ^{unused_done, unused_beat, unused_start, unused_last, unused_word, unused_claim,
                    unused_form, unused_last_a, base[159:128], word_a_address, word_w_address, room_a, head,
                    waits, push, unused_track};

endmodule

`default_nettype wire
