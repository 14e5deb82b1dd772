// Gathers an instruction's words, checks it and hands it to its queue, in program order.
//
// An instruction of n words takes n + 2 cycles. A convolution goes to the exec queue and to the
// weight sequencer's at once. `end` waits for `idle_i` (everything dispatched has retired), then
// `done_o` pulses. Checks, in this order: opcode, length, fields, dependencies, capacity of the rings.
// The first that fails is the fault, with the address of the instruction; the decoder then stays
// until clear. A word that never comes is the fault program_end.
// With a layer table (MaskLayers > 0) an instruction may have a clip word more, and esp_clip shortens
// it in the cycle in which it is checked, at no cost: a nop of its queue where nothing is left. It
// waits for LOADs of the table before it (`table_done_i` pulses for each), and kh x kw cycles where a
// CONV's weights need another stride. A PACK is not dispatched: once everything before it has retired
// it starts (`pack_start_o`), and nothing else does until it is done. A CONV without channels does not go to the weight sequencer.
// `push_o[e]`: to the queue of engine e, with `inst_o` and `address_o`, when `ready_i[e]`.
// Implements docs/machine.md, sections 2 and 3, and docs/pack.md, section 4.

`default_nettype none
`include "esp_assert.svh"

module esp_decode #(
  parameter int unsigned Lanes = 4,
  parameter int unsigned BusBytes = 4,
  parameter int unsigned WeightWords = 1024,
  parameter int unsigned ParamBlocks = 64,
  parameter int unsigned MaskLayers = 0,
  parameter int unsigned MapBlocks = 512,      // bit maps of a PACK
  parameter int unsigned TableBits = 10,       // address of the layer table's RAM
  localparam int unsigned TableWidth = (Lanes < 8) ? 64 : 8 * Lanes
) (
  input  wire logic         clk_i,
  input  wire logic         rst_ni,
  input  wire logic         clear_i,
  input  wire logic         halt_i,
  input  wire logic         start_i,
  input  wire logic [31:0]  program_address_i,

  input  wire logic         word_valid_i,
  output logic              word_ready_o,
  input  wire logic [127:0] word_i,
  input  wire logic         exhausted_i,

  output logic      [6:0]   push_o,
  input  wire logic [6:0]   ready_i,
  output logic              wconv_push_o,
  input  wire logic         wconv_ready_i,
  output logic      [639:0] inst_o,
  output logic      [31:0]  address_o,
  output logic      [6:0]   dispatch_o,   // pulses: what the engines have to retire

  output logic                       table_ren_o,
  output logic      [TableBits-1:0]  table_raddr_o,
  input  wire logic [TableWidth-1:0] table_rdata_i,
  input  wire logic                  table_done_i,

  output logic                       pack_start_o,   // a PACK stands at inst_o, alone
  input  wire logic                  pack_done_i,

  input  wire logic         idle_i,
  output logic              done_o,

  output logic              fault_o,
  output logic      [3:0]   fault_cause_o
);

  localparam int unsigned ByteBits = $clog2(BusBytes);

  typedef enum logic [3:0] {
    StStopped  = 4'd0,
    StFirst    = 4'd1,
    StRest     = 4'd2,
    StCheck    = 4'd3,
    StDispatch = 4'd4,
    StEnd      = 4'd5,
    StFault    = 4'd6,
    StScale    = 4'd7,   // waits for a stride
    StAlone    = 4'd8,   // a PACK waits for everything before it
    StPack     = 4'd9
  } state_e;

  state_e       state_q, state_d;
  logic [639:0] inst_q;
  logic [31:0]  address_q, next_q;
  logic [2:0]   index_q, length_q, length;
  logic [3:0]   cause_q, cause_d;
  logic         known, clips, clipped, clipped_q, word_taken, sent;
  logic [6:0]   target;   // one hot; 0 for end
  logic         is_conv;
  logic         nop_q, skips_q;   // clipped to nothing; nothing for the weight sequencer

  // The first word, as it comes.
  always_comb begin
    known = 1'b1;
    clips = 1'b0;
    length = '0;
    case (word_i[5:0])
      esp_isa_pkg::OpNop: length = 3'(esp_isa_pkg::NOP_WORDS);
      esp_isa_pkg::OpEnd: length = 3'(esp_isa_pkg::END_WORDS);
      esp_isa_pkg::OpLoad: begin
        length = 3'(esp_isa_pkg::LOAD_WORDS);
        clips = MaskLayers != 0;
      end
      esp_isa_pkg::OpStore: begin
        length = 3'(esp_isa_pkg::STORE_WORDS);
        clips = MaskLayers != 0;
      end
      esp_isa_pkg::OpConv: begin
        length = 3'(esp_isa_pkg::CONV_WORDS);
        clips = MaskLayers != 0;
      end
      esp_isa_pkg::OpPool: begin
        length = 3'(esp_isa_pkg::POOL_WORDS);
        clips = MaskLayers != 0;
      end
      esp_isa_pkg::OpPack: begin
        known = MaskLayers != 0;
        length = 3'(esp_isa_pkg::PACK_WORDS);
      end
      default: known = 1'b0;
    endcase
    clipped = clips && word_i[8:6] == length + 3'd1;
  end

  // The whole instruction.
  esp_isa_pkg::header_t header;
  esp_isa_pkg::nop_t    nop;
  esp_isa_pkg::load_t   load;
  esp_isa_pkg::store_t  store;
  esp_isa_pkg::conv_t   conv;
  esp_isa_pkg::pack_t   pack;
  assign header = inst_q[esp_isa_pkg::HEADER_BITS-1:0];
  assign nop = inst_q[esp_isa_pkg::NOP_BITS-1:0];
  assign load = inst_q[esp_isa_pkg::LOAD_BITS-1:0];
  assign store = inst_q[esp_isa_pkg::STORE_BITS-1:0];
  assign conv = inst_q;
  assign pack = inst_q[esp_isa_pkg::PACK_BITS-1:0];

  // The clip stage.
  esp_isa_pkg::clip_t clip_q;
  logic               row_ready, apply, clip_nop, clip_empty, clip_masked, clip_last, clip_scale;
  logic               stride_valid, clip_ok;
  logic [31:0]        clip_offset;
  logic [15:0]        clip_count, clip_x, clip_piece, clip_w_offset, stride;
  logic [11:0]        clip_k;
  logic [7:0]         clip_n;

  assign apply = state_q == StCheck && state_d != StFault && clipped_q && row_ready;

  if (MaskLayers != 0) begin : gen_clip
    logic [4:0] due_q;   // LOADs of the table not yet done
    logic       due;
    assign due = sent && header.opcode == esp_isa_pkg::OpLoad && load.target[2];
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) due_q <= '0;
      else if (clear_i) due_q <= '0;
      else if (due != table_done_i) due_q <= due ? due_q + 5'd1 : due_q - 5'd1;
    end
    always_ff @(posedge clk_i) begin
      if (word_taken) clip_q <= word_i;
    end
    esp_clip #(.Lanes(Lanes), .BusBytes(BusBytes), .AddrBits(TableBits)) u_clip (
      .clk_i, .rst_ni, .clear_i,
      .start_i(word_taken && state_q == StFirst && clipped), .due_i(due_q != '0),
      .inst_i(inst_q), .clip_i(clip_q), .apply_i(apply),
      .sent_i(sent && clipped_q && !skips_q),
      .ren_o(table_ren_o), .raddr_o(table_raddr_o), .rdata_i(table_rdata_i),
      .ready_o(row_ready), .nop_o(clip_nop), .empty_o(clip_empty), .offset_o(clip_offset),
      .count_o(clip_count), .x_words_o(clip_x), .masked_o(clip_masked), .k_blocks_o(clip_k),
      .n_blocks_o(clip_n), .last_o(clip_last), .piece_o(clip_piece), .w_offset_o(clip_w_offset),
      .scale_o(clip_scale), .stride_valid_o(stride_valid), .stride_o(stride)
    );
    `ESP_ASSERT(tables_in_range, due_q != '1)
  end else begin : gen_no_clip
    assign clip_q = '0;
    assign {row_ready, clip_nop, clip_empty, clip_masked, clip_last, clip_scale} = '0;
    assign {clip_offset, clip_count, clip_x, clip_piece, clip_w_offset, clip_k, clip_n} = '0;
    assign {stride_valid, stride} = '0;
    assign table_ren_o = 1'b0;
    assign table_raddr_o = '0;
    logic unused_table;
    assign unused_table = ^{table_rdata_i, table_done_i, pack_done_i};
  end

  logic fields_ok, engines_ok, capacity_ok;

  always_comb begin
    target = '0;
    is_conv = header.opcode == esp_isa_pkg::OpConv;
    case (header.opcode)
      esp_isa_pkg::OpNop: target[nop.engine] = 1'b1;
      esp_isa_pkg::OpEnd: ;
      esp_isa_pkg::OpLoad: begin
        if (load.target[2:1] != '0) target[esp_isa_pkg::EngLoadW] = 1'b1;
        else target[esp_isa_pkg::EngLoadA] = 1'b1;
      end
      esp_isa_pkg::OpStore: target[esp_isa_pkg::EngStore] = 1'b1;
      esp_isa_pkg::OpConv: target[esp_isa_pkg::EngExec] = 1'b1;
      default: target[esp_isa_pkg::EngPool] = 1'b1;
    endcase
  end

  // The checks, quiet but for their one cycle.
  always_comb begin
    fields_ok = 1'b1;
    capacity_ok = 1'b1;
    engines_ok = 1'b1;
    clip_ok = 1'b1;
    if (state_q == StCheck) begin
      engines_ok = header.dep0_engine != 3'd7 && header.dep1_engine != 3'd7
                && header.dep2_engine != 3'd7;
      case (header.opcode)
        esp_isa_pkg::OpNop:
          fields_ok = esp_isa_pkg::nop_in_range(inst_q[127:0]) && nop.engine != esp_isa_pkg::EngPost;
        esp_isa_pkg::OpEnd: fields_ok = esp_isa_pkg::end_in_range(inst_q[127:0]);
        esp_isa_pkg::OpLoad:
          fields_ok = esp_isa_pkg::load_in_range(inst_q[255:0])
                   && (MaskLayers != 0 || !load.target[2])
                   && (!load.region[2] || (MaskLayers != 0 && load.target[2:1] != '0))
                   && load.offset[ByteBits-1:0] == '0 && load.y_stride[ByteBits-1:0] == '0
                   && load.z_stride[ByteBits-1:0] == '0;
        esp_isa_pkg::OpStore:
          fields_ok = esp_isa_pkg::store_in_range(inst_q[255:0])
                   && store.offset[ByteBits-1:0] == '0 && store.y_stride[ByteBits-1:0] == '0
                   && store.z_stride[ByteBits-1:0] == '0;
        esp_isa_pkg::OpConv: begin
          fields_ok = esp_isa_pkg::conv_in_range(inst_q)
                   && !(conv.w_release[0] && conv.w_offset != '0)
                   && !(conv.p_release[0] && conv.p_offset != '0)
                   && !(conv.add[0] && conv.add_shift < 5'd13)
                   && !(conv.w_sparse[0] && (MaskLayers == 0 || clipped_q || conv.w_tapwise[0]))
                   && !(conv.gap[0] && !(conv.gap_first[0] && conv.gap_last[0])
                        && conv.n_blocks != 8'd1);
          capacity_ok = 32'(conv.w_offset) + 32'(conv.w_piece) <= WeightWords
                     && (!conv.last[0] || 32'(conv.p_offset) + 32'(conv.n_blocks) <= ParamBlocks);
        end
        esp_isa_pkg::OpPool: fields_ok = esp_isa_pkg::pool_in_range(inst_q[383:0]);
        default: begin
          fields_ok = MaskLayers != 0 && esp_isa_pkg::pack_in_range(inst_q[383:0])
                   && pack.weights[ByteBits-1:0] == '0 && pack.params[ByteBits-1:0] == '0
                   && pack.masks[4:0] == '0 && pack.tap_stride[ByteBits-1:0] == '0
                   && pack.chunk_stride[ByteBits-1:0] == '0
                   && pack.group_stride[ByteBits-1:0] == '0;
          capacity_ok = 32'(pack.k_blocks) + 32'(pack.n_blocks) <= MapBlocks;
        end
      endcase
      if (clipped_q) begin
        clip_ok = esp_isa_pkg::clip_in_range(clip_q)
               && (header.opcode != esp_isa_pkg::OpLoad
                   || (!load.target[2] && load.target[1] == clip_q.bound[1]));
        if (32'(header.layer) >= MaskLayers) capacity_ok = 1'b0;
      end
    end
  end

  assign word_ready_o = (state_q == StFirst || state_q == StRest) && !halt_i;
  assign word_taken = word_valid_i && word_ready_o;
  assign inst_o = {inst_q[639:6], nop_q ? esp_isa_pkg::OpNop : inst_q[5:0]};
  assign address_o = address_q;
  assign fault_cause_o = cause_q;
  assign fault_o = state_q == StFault;
  assign pack_start_o = MaskLayers != 0 && state_q == StAlone && idle_i && !halt_i;

  always_comb begin
    push_o = '0;
    wconv_push_o = 1'b0;
    dispatch_o = '0;
    sent = 1'b0;
    if (state_q == StDispatch && !halt_i) begin
      push_o = (is_conv && !skips_q && !wconv_ready_i) ? '0 : target;
      sent = (push_o & ready_i) != '0;
      wconv_push_o = is_conv && !skips_q && ready_i[esp_isa_pkg::EngExec];
      if (sent) begin
        dispatch_o = target;
        dispatch_o[esp_isa_pkg::EngPost] = is_conv && conv.last[0] && !nop_q;
      end
    end
    if (state_q == StPack) dispatch_o[esp_isa_pkg::EngLoadW] = pack_done_i;
  end

  always_comb begin
    state_d = state_q;
    cause_d = cause_q;
    done_o = 1'b0;
    case (state_q)
      StStopped: if (start_i) state_d = StFirst;
      StFirst: begin
        if (word_taken) begin
          if (!known) begin
            state_d = StFault;
            cause_d = esp_isa_pkg::FaultIllegalOpcode;
          end else if (word_i[8:6] != length && !clipped) begin
            state_d = StFault;
            cause_d = esp_isa_pkg::FaultIllegalLength;
          end else begin
            state_d = (length == 3'd1) ? StCheck : StRest;
          end
        end else if (exhausted_i) begin
          state_d = StFault;
          cause_d = esp_isa_pkg::FaultProgramEnd;
        end
      end
      StRest: begin
        if (word_taken && index_q == length_q - 3'd1) state_d = StCheck;
        else if (!word_valid_i && exhausted_i) begin
          state_d = StFault;
          cause_d = esp_isa_pkg::FaultProgramEnd;
        end
      end
      StCheck: begin
        if (header.opcode == esp_isa_pkg::OpEnd) state_d = StEnd;
        else if (header.opcode == esp_isa_pkg::OpPack) state_d = StAlone;
        else if (!clipped_q) state_d = StDispatch;
        else if (row_ready) state_d = clip_scale ? StScale : StDispatch;
        if (!fields_ok || !clip_ok) begin
          state_d = StFault;
          cause_d = esp_isa_pkg::FaultIllegalField;
        end else if (!engines_ok) begin
          state_d = StFault;
          cause_d = esp_isa_pkg::FaultIllegalDependency;
        end else if (!capacity_ok) begin
          state_d = StFault;
          cause_d = esp_isa_pkg::FaultCapacity;
        end
      end
      StDispatch: if (sent) state_d = StFirst;
      StScale: if (stride_valid) state_d = StDispatch;
      StAlone: if (pack_start_o) state_d = StPack;
      StPack: if (pack_done_i) state_d = StFirst;
      StEnd: begin
        if (idle_i && !halt_i) begin
          state_d = StStopped;
          done_o = 1'b1;
        end
      end
      default: ;
    endcase
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) state_q <= StStopped;
    else if (clear_i) state_q <= StStopped;
    else state_q <= state_d;
  end

  always_ff @(posedge clk_i) begin
    cause_q <= cause_d;
    if (start_i) next_q <= program_address_i;
    else if (word_taken) next_q <= next_q + 32'd16;
    if (state_q == StFirst) begin
      address_q <= next_q;
      length_q <= word_i[8:6];
      clipped_q <= clipped;
      nop_q <= 1'b0;
      skips_q <= 1'b0;
      index_q <= 3'd1;
    end else if (word_taken) begin
      index_q <= index_q + 3'd1;
    end
    if (apply) begin
      nop_q <= clip_nop;
      skips_q <= clip_nop || clip_empty;
      case (header.opcode)
        esp_isa_pkg::OpLoad: begin
          if (!clip_q.bound[1]) begin
            inst_q[117:86] <= clip_offset;
            if (clip_q.dim[0]) inst_q[149:134] <= clip_count;
            if (clip_q.dim[1]) inst_q[165:150] <= clip_count;
          end else begin
            inst_q[133:118] <= clip_x;
            if (clip_masked) inst_q[85:83] <= 3'd4;
          end
        end
        esp_isa_pkg::OpStore: begin
          inst_q[114:83] <= clip_offset;
          if (clip_q.dim[0]) inst_q[146:131] <= clip_count;
          if (clip_q.dim[1]) inst_q[162:147] <= clip_count;
        end
        esp_isa_pkg::OpConv: begin
          inst_q[269:262] <= clip_n;
          if (!clip_empty) begin
            inst_q[81] <= clip_last;
            inst_q[261:250] <= clip_k;
            inst_q[357:342] <= clip_piece;
            inst_q[341:326] <= conv.w_tapwise[0] ? clip_piece : 16'(clip_k);
            if (conv.w_tapwise[0]) inst_q[325:310] <= 16'(clip_k);
            if (!conv.w_release[0]) inst_q[309:294] <= clip_w_offset;
          end
        end
        default: inst_q[266:255] <= clip_count[11:0];
      endcase
    end else if (state_q == StScale) begin
      inst_q[325:310] <= stride;
    end
    if (word_taken) begin
      if (state_q == StFirst) inst_q[127:0] <= word_i;
      else begin
        case (index_q)
          3'd1: inst_q[255:128] <= word_i;
          3'd2: inst_q[383:256] <= word_i;
          3'd3: inst_q[511:384] <= word_i;
          3'd4: inst_q[639:512] <= word_i;
          default: ;   // the clip word of a CONV
        endcase
      end
    end
  end

  // Views of the instruction that use a few fields each.
  logic unused;
  assign unused = ^{header, nop, load, store, conv, pack};

endmodule

`default_nettype wire
