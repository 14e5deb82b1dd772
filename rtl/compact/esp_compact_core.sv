// The machine in little: the instructions, registers and numbers of esp_core on a 2 x 2 array, one
// step after the other, for the smallest devices.
//
//   esp_compact_fetch -> esp_compact_queues -> load_a, load_w, exec + post, store
//        `----------- esp_compact_read ---------'
//
// It has no pool and one counter (cycles); a POOL is an illegal opcode. A CONV holds exec and post until its
// last word has left. Bursts are of one beat, one under way each way. Addresses wrap at 2^AddressBits
// bytes: higher bits of registers, offsets and strides are ignored.
// Implements docs/ice40.md and docs/machine.md.

`default_nettype none
`include "esp_ff.svh"

module esp_compact_core #(
  parameter int unsigned ActWords = 1024,
  parameter int unsigned WeightWords = 512,
  parameter int unsigned AccWords = 128,
  parameter int unsigned ParamBlocks = 32,
  parameter int unsigned AddressBits = 20,
  parameter logic [31:0] ConfigHash = '0
) (
  input  wire logic        clk_i,
  input  wire logic        rst_ni,

  input  wire logic [11:0] s_axil_awaddr_i,
  input  wire logic        s_axil_awvalid_i,
  input  wire logic [31:0] s_axil_wdata_i,
  input  wire logic [3:0]  s_axil_wstrb_i,
  input  wire logic        s_axil_wvalid_i,
  input  wire logic        s_axil_bready_i,
  input  wire logic [11:0] s_axil_araddr_i,
  input  wire logic        s_axil_arvalid_i,
  input  wire logic        s_axil_rready_i,
  output logic             s_axil_awready_o,
  output logic             s_axil_wready_o,
  output logic      [1:0]  s_axil_bresp_o,
  output logic             s_axil_bvalid_o,
  output logic             s_axil_arready_o,
  output logic      [31:0] s_axil_rdata_o,
  output logic      [1:0]  s_axil_rresp_o,
  output logic             s_axil_rvalid_o,

  output logic      [31:0] m_axi_araddr_o,
  output logic      [7:0]  m_axi_arlen_o,
  output logic      [2:0]  m_axi_arsize_o,
  output logic      [1:0]  m_axi_arburst_o,
  output logic             m_axi_arvalid_o,
  output logic             m_axi_rready_o,
  output logic      [31:0] m_axi_awaddr_o,
  output logic      [7:0]  m_axi_awlen_o,
  output logic      [2:0]  m_axi_awsize_o,
  output logic      [1:0]  m_axi_awburst_o,
  output logic             m_axi_awvalid_o,
  output logic      [15:0] m_axi_wdata_o,
  output logic      [1:0]  m_axi_wstrb_o,
  output logic             m_axi_wlast_o,
  output logic             m_axi_wvalid_o,
  output logic             m_axi_bready_o,
  input  wire logic        m_axi_arready_i,
  input  wire logic [15:0] m_axi_rdata_i,
  input  wire logic [1:0]  m_axi_rresp_i,
  input  wire logic        m_axi_rlast_i,
  input  wire logic        m_axi_rvalid_i,
  input  wire logic        m_axi_awready_i,
  input  wire logic        m_axi_wready_i,
  input  wire logic [1:0]  m_axi_bresp_i,
  input  wire logic        m_axi_bvalid_i,

  output logic             irq_o,
  output logic      [11:0] trace_layer_o,
  output logic             trace_layer_valid_o,
  output logic      [esp_isa_pkg::ENGINES-1:0] trace_retire_o,
  output logic             trace_fed_o
);

  if ((1 << $clog2(ActWords)) != ActWords || ActWords < 2 || ActWords > 65536 ||
      (1 << $clog2(WeightWords)) != WeightWords || WeightWords < 2 || WeightWords > 65536 ||
      (1 << $clog2(AccWords)) != AccWords || AccWords < 2 || AccWords > 65536)
  begin : gen_parameters_0
    $error("esp_compact_core: ActWords and WeightWords and AccWords are powers of two from 2 to 65536");
  end
  if ((1 << $clog2(ParamBlocks)) != ParamBlocks || ParamBlocks > 256) begin : gen_parameters_1
    $error("esp_compact_core: ParamBlocks is a power of two, at most 256");
  end
  if (AddressBits < 12 || AddressBits > 20) begin : gen_parameters_2
    $error("esp_compact_core: AddressBits is 12 to 20");
  end

  localparam int unsigned ActBits = $clog2(ActWords);
  localparam int unsigned WgtBits = $clog2(WeightWords);
  localparam int unsigned AccBits = $clog2(AccWords);
  localparam int unsigned ParBits = $clog2(8 * ParamBlocks);

  // ---------------------------------------------------------------- registers
  logic         start, clear, halt, running, done, fault_q;
  logic [31:0]  program_address, program_words, read_low, read_high, write_low, write_high;
  logic [127:0] base;
  logic [31:0]  unused_base4;
  logic [3:0]   fault_cause_q;
  logic [2:0]   fault_engine_q;
  logic [15:0]  fault_at_q, decode_at;
  logic         read_beat, write_beat, read_quiet, store_quiet;
  logic [esp_isa_pkg::ENGINES-1:0] engine_retire, retire;

  esp_regs #(.ConfigHash(ConfigHash), .AddressBits(AddressBits), .Counters(1)) u_regs (
    .clk_i, .rst_ni,
    .s_axil_awaddr_i, .s_axil_awvalid_i, .s_axil_awready_o,
    .s_axil_wdata_i, .s_axil_wstrb_i, .s_axil_wvalid_i, .s_axil_wready_o,
    .s_axil_bresp_o, .s_axil_bvalid_o, .s_axil_bready_i,
    .s_axil_araddr_i, .s_axil_arvalid_i, .s_axil_arready_o,
    .s_axil_rdata_o, .s_axil_rresp_o, .s_axil_rvalid_o, .s_axil_rready_i,
    .irq_o,
    .start_o(start), .clear_o(clear), .halt_o(halt), .running_o(running),
    .done_i(done), .quiet_i(read_quiet && store_quiet),
    .program_address_o(program_address), .program_words_o(program_words), .base_o({unused_base4, base}),
    .read_low_o(read_low), .read_high_o(read_high),
    .write_low_o(write_low), .write_high_o(write_high),
    .fault_i(fault_q), .fault_cause_i(fault_cause_q), .fault_engine_i(fault_engine_q),
    .fault_address_i({12'd0, fault_at_q, 4'd0}),
    .progress_i(read_beat || write_beat || retire != '0),
    .decode_address_i({12'd0, decode_at, 4'd0}),
    .events_i('0)
  );

  // ---------------------------------------------------------------- AXI reads
  logic [esp_isa_pkg::READERS-1:0] req_valid, r_valid;
  logic [3*AddressBits-1:0] req_address;
  logic                     window_fault, response_fault;
  logic [1:0]               client;

  esp_compact_read #(.AddressBits(AddressBits)) u_read (
    .clk_i, .rst_ni, .halt_i(halt),
    .window_low_i(read_low[AddressBits:0]), .window_high_i(read_high[AddressBits:0]),
    .req_valid_i(req_valid), .req_address_i(req_address), .r_valid_o(r_valid),
    .beat_o(read_beat), .quiet_o(read_quiet),
    .window_o(window_fault), .response_o(response_fault), .client_o(client),
    .araddr_o(m_axi_araddr_o[AddressBits-1:0]), .arvalid_o(m_axi_arvalid_o),
    .arready_i(m_axi_arready_i), .rresp_i(m_axi_rresp_i), .rvalid_i(m_axi_rvalid_i)
  );

  assign m_axi_araddr_o[31:AddressBits] = '0;
  assign m_axi_arlen_o = '0;
  assign m_axi_arsize_o = 3'd1;
  assign m_axi_arburst_o = 2'b01;
  assign m_axi_rready_o = 1'b1;

  // ---------------------------------------------------------------- fetch, queues
  logic [esp_isa_pkg::COMPACT_QUEUES-1:0] room, idle, field_valid, engine_start;
  logic        copy_valid, copy_end, queues_idle, decode_fault;
  logic [1:0]  copy_queue;
  logic [5:0]  copy_index, field_index;
  logic [15:0] copy_data, field_data;
  logic [3:0]  decode_cause;

  esp_compact_fetch #(.AddressBits(AddressBits)) u_fetch (
    .clk_i, .rst_ni, .clear_i(clear), .halt_i(halt), .start_i(start),
    .program_address_i(program_address[AddressBits-1:0]),
    .program_words_i(program_words[AddressBits-4:0]),
    .req_valid_o(req_valid[esp_isa_pkg::ReadFetch]),
    .req_address_o(req_address[esp_isa_pkg::ReadFetch*AddressBits +: AddressBits]),
    .r_valid_i(r_valid[esp_isa_pkg::ReadFetch]), .r_data_i(m_axi_rdata_i),
    .room_i(room), .copy_valid_o(copy_valid), .copy_queue_o(copy_queue),
    .copy_index_o(copy_index), .copy_data_o(copy_data), .copy_end_o(copy_end),
    .idle_i(queues_idle), .done_o(done),
    .fault_o(decode_fault), .fault_cause_o(decode_cause), .address_o(decode_at)
  );

  esp_compact_queues u_queues (
    .clk_i, .rst_ni, .clear_i(clear), .halt_i(halt),
    .room_o(room), .copy_valid_i(copy_valid), .copy_queue_i(copy_queue),
    .copy_index_i(copy_index), .copy_data_i(copy_data), .copy_end_i(copy_end),
    .idle_i(idle), .field_valid_o(field_valid), .field_index_o(field_index),
    .field_data_o(field_data), .start_o(engine_start),
    .retire_i(engine_retire), .retire_o(retire), .idle_o(queues_idle)
  );

  // ---------------------------------------------------------------- loads, buffers
  logic [1:0]       word_a, word_w, room_w_q;
  logic [15:0]      word_a_address, word_w_address, load_a_at, load_w_at;
  logic             illegal_a, illegal_w;
  logic [WgtBits:0] wgt_base, wgt_loaded;
  logic [ParBits:0] par_base, par_loaded;

  esp_compact_load #(.AddressBits(AddressBits), .Ring(1'b0)) u_load_a (
    .clk_i, .rst_ni, .clear_i(clear), .halt_i(halt),
    .field_valid_i(field_valid[esp_isa_pkg::QueueLoadA]),
    .field_index_i(field_index), .field_data_i(field_data),
    .start_i(engine_start[esp_isa_pkg::QueueLoadA]), .idle_o(idle[esp_isa_pkg::QueueLoadA]),
    .base_i(base),
    .req_valid_o(req_valid[esp_isa_pkg::ReadLoadA]),
    .req_address_o(req_address[esp_isa_pkg::ReadLoadA*AddressBits +: AddressBits]),
    .r_valid_i(r_valid[esp_isa_pkg::ReadLoadA]), .room_i(2'b11),
    .word_valid_o(word_a), .word_address_o(word_a_address),
    .retire_o(engine_retire[esp_isa_pkg::EngLoadA]), .illegal_o(illegal_a), .address_o(load_a_at)
  );

  // Room with the word that comes in this cycle counted, without one that leaves.
  logic [WgtBits:0] wgt_held;
  logic [ParBits:0] par_held;
  assign wgt_held = wgt_loaded - wgt_base;
  assign par_held = par_loaded - par_base;
  always_ff @(posedge clk_i) begin
    room_w_q[0] <= wgt_held != (WgtBits+1)'(word_w[0] ? WeightWords - 1 : WeightWords);
    room_w_q[1] <= par_held != (ParBits+1)'(word_w[1] ? 8 * ParamBlocks - 1 : 8 * ParamBlocks);
  end

  esp_compact_load #(.AddressBits(AddressBits), .Ring(1'b1)) u_load_w (
    .clk_i, .rst_ni, .clear_i(clear), .halt_i(halt),
    .field_valid_i(field_valid[esp_isa_pkg::QueueLoadW]),
    .field_index_i(field_index), .field_data_i(field_data),
    .start_i(engine_start[esp_isa_pkg::QueueLoadW]), .idle_o(idle[esp_isa_pkg::QueueLoadW]),
    .base_i(base),
    .req_valid_o(req_valid[esp_isa_pkg::ReadLoadW]),
    .req_address_o(req_address[esp_isa_pkg::ReadLoadW*AddressBits +: AddressBits]),
    .r_valid_i(r_valid[esp_isa_pkg::ReadLoadW]), .room_i(room_w_q),
    .word_valid_o(word_w), .word_address_o(word_w_address),
    .retire_o(engine_retire[esp_isa_pkg::EngLoadW]), .illegal_o(illegal_w), .address_o(load_w_at)
  );

  // One read port: exec's, then post's, which reads while exec waits for it.
  logic               exec_ren, post_ren, wgt_ren, par_ren;
  logic [ActBits-1:0] exec_raddr, post_raddr;
  logic [15:0]        act_rdata_q, wgt_rdata, par_rdata;
  logic [WgtBits-1:0] wgt_raddr;
  logic [ParBits-1:0] par_raddr;

  (* no_rw_check *)
  logic [15:0] act_q [ActWords];
  always_ff @(posedge clk_i) begin
    if (word_a[0]) act_q[word_a_address[ActBits-1:0]] <= m_axi_rdata_i;
  end
  always_ff @(posedge clk_i) begin
    if (exec_ren || post_ren) act_rdata_q <= act_q[exec_ren ? exec_raddr : post_raddr];
  end

  esp_wgt_ring #(.Lanes(2), .Words(WeightWords)) u_wgt_ring (
    .clk_i, .rst_ni, .clear_i(clear),
    .word_valid_i(word_w[0]), .word_data_i(m_axi_rdata_i), .loaded_o(wgt_loaded),
    .ren_i(wgt_ren), .raddr_i(wgt_raddr), .rdata_o(wgt_rdata)
  );

  esp_wgt_ring #(.Lanes(2), .Words(8 * ParamBlocks)) u_par_ring (
    .clk_i, .rst_ni, .clear_i(clear),
    .word_valid_i(word_w[1]), .word_data_i(m_axi_rdata_i), .loaded_o(par_loaded),
    .ren_i(par_ren), .raddr_i(par_raddr), .rdata_o(par_rdata)
  );

  // ---------------------------------------------------------------- exec, post
  logic [639:0]       conv_inst;
  esp_isa_pkg::conv_t conv;
  logic               exec_fault, exec_decode, exec_capacity, post_start, post_done, acc_ren;
  logic               out_valid, out_ready;
  logic [AccBits-1:0] acc_raddr;
  logic [63:0]        acc_rdata;
  logic [15:0]        out_data, exec_at;

  // The halfword past the instruction is its address.
  esp_compact_head #(.Bits(640), .Halfwords(35)) u_conv (
    .clk_i, .valid_i(field_valid[esp_isa_pkg::QueueExec]), .index_i(field_index), .data_i(field_data),
    .inst_o(conv_inst)
  );

  assign conv = conv_inst;
  assign exec_at = conv_inst[559:544];

  esp_compact_exec #(
    .ActWords(ActWords), .WeightWords(WeightWords), .AccWords(AccWords), .ParamBlocks(ParamBlocks)
  ) u_exec (
    .clk_i, .rst_ni, .clear_i(clear),
    .start_i(engine_start[esp_isa_pkg::QueueExec]), .conv_i(conv),
    .idle_o(idle[esp_isa_pkg::QueueExec]),
    .act_ren_o(exec_ren), .act_raddr_o(exec_raddr), .act_rdata_i(act_rdata_q),
    .wgt_ren_o(wgt_ren), .wgt_raddr_o(wgt_raddr), .wgt_rdata_i(wgt_rdata),
    .wgt_loaded_i(wgt_loaded), .wgt_base_o(wgt_base),
    .post_start_o(post_start), .post_done_i(post_done),
    .acc_ren_i(acc_ren), .acc_raddr_i(acc_raddr), .acc_rdata_o(acc_rdata),
    .retire_o(engine_retire[esp_isa_pkg::EngExec]), .fault_o(exec_fault), .decode_o(exec_decode),
    .capacity_o(exec_capacity), .fed_o(trace_fed_o)
  );

  esp_compact_post #(
    .ActWords(ActWords), .AccWords(AccWords), .ParamBlocks(ParamBlocks)
  ) u_post (
    .clk_i, .rst_ni, .clear_i(clear),
    .start_i(post_start), .conv_i(conv), .done_o(post_done),
    .acc_ren_o(acc_ren), .acc_raddr_o(acc_raddr), .acc_rdata_i(acc_rdata),
    .par_ren_o(par_ren), .par_raddr_o(par_raddr), .par_rdata_i(par_rdata),
    .par_loaded_i(par_loaded), .par_base_o(par_base),
    .act_ren_o(post_ren), .act_raddr_o(post_raddr), .act_rdata_i(act_rdata_q),
    .out_valid_o(out_valid), .out_ready_i(out_ready), .out_data_o(out_data)
  );

  // ---------------------------------------------------------------- stores
  logic        illegal_s, store_fault;
  logic [3:0]  store_cause;
  logic [15:0] store_at;

  esp_compact_store #(.AddressBits(AddressBits)) u_store (
    .clk_i, .rst_ni, .clear_i(clear), .halt_i(halt),
    .field_valid_i(field_valid[esp_isa_pkg::QueueStore]),
    .field_index_i(field_index), .field_data_i(field_data),
    .start_i(engine_start[esp_isa_pkg::QueueStore]), .idle_o(idle[esp_isa_pkg::QueueStore]),
    .base_i(base),
    .window_low_i(write_low[AddressBits:0]), .window_high_i(write_high[AddressBits:0]),
    .word_valid_i(out_valid), .word_ready_o(out_ready),
    .retire_o(engine_retire[esp_isa_pkg::EngStore]), .illegal_o(illegal_s),
    .fault_o(store_fault), .fault_cause_o(store_cause), .address_o(store_at),
    .quiet_o(store_quiet), .beat_o(write_beat),
    .awaddr_o(m_axi_awaddr_o[AddressBits-1:0]), .awvalid_o(m_axi_awvalid_o),
    .awready_i(m_axi_awready_i), .wvalid_o(m_axi_wvalid_o), .wready_i(m_axi_wready_i),
    .bresp_i(m_axi_bresp_i), .bvalid_i(m_axi_bvalid_i)
  );

  assign m_axi_awaddr_o[31:AddressBits] = '0;
  assign m_axi_awlen_o = '0;
  assign m_axi_awsize_o = 3'd1;
  assign m_axi_awburst_o = 2'b01;
  assign m_axi_wdata_o = out_data;
  assign m_axi_wstrb_o = '1;
  assign m_axi_wlast_o = 1'b1;
  assign m_axi_bready_o = 1'b1;

  // ---------------------------------------------------------------- retirement, faults
  assign engine_retire[esp_isa_pkg::EngNone] = 1'b0;
  assign engine_retire[esp_isa_pkg::EngPool] = 1'b0;
  assign engine_retire[esp_isa_pkg::EngPost] = post_done;

  // The first fault that shows, a cycle later: its engine has stopped by itself.
  logic        fault_now;
  logic [3:0]  cause_now;
  logic [2:0]  engine_now;
  logic [15:0] at_now;

  always_comb begin
    fault_now = 1'b1;
    cause_now = esp_isa_pkg::FaultIllegalField;
    engine_now = esp_isa_pkg::EngNone;
    at_now = decode_at;
    if (store_fault || illegal_s) begin
      if (store_fault) cause_now = store_cause;
      if (store_fault) engine_now = esp_isa_pkg::EngStore;
      at_now = store_at;
    end else if (exec_fault) begin
      if (exec_capacity) cause_now = esp_isa_pkg::FaultCapacity;
      if (!exec_decode) engine_now = esp_isa_pkg::EngExec;
      at_now = exec_at;
    end else if (illegal_a || illegal_w) begin
      at_now = illegal_a ? load_a_at : load_w_at;
    end else if (window_fault || response_fault) begin
      cause_now = window_fault ? esp_isa_pkg::FaultReadWindow : esp_isa_pkg::FaultReadResponse;
      case (client)
        esp_isa_pkg::ReadLoadA: begin
          engine_now = esp_isa_pkg::EngLoadA;
          at_now = load_a_at;
        end
        esp_isa_pkg::ReadLoadW: begin
          engine_now = esp_isa_pkg::EngLoadW;
          at_now = load_w_at;
        end
        default: ;
      endcase
    end else if (decode_fault) begin
      cause_now = decode_cause;
    end else begin
      fault_now = 1'b0;
    end
  end

  `ESP_FF(fault_q <= 1'b0;) fault_q <= fault_now && !clear;

  always_ff @(posedge clk_i) begin
    fault_cause_q <= cause_now;
    fault_engine_q <= engine_now;
    fault_at_q <= at_now;
  end

  assign trace_retire_o = retire;
  assign trace_layer_o = conv.layer;
  assign trace_layer_valid_o = running && !idle[esp_isa_pkg::QueueExec];

  // Bursts have one beat; higher bits of addresses are ignored.
  logic unused;
  assign unused = ^{m_axi_rlast_i, program_address, program_words, read_low, read_high, write_low,
                    write_high, conv_inst, word_a, word_a_address, word_w_address};

endmodule

`default_nettype wire
