// Gathers an instruction's words, checks it and hands it to its queue, in program order.
//
// An instruction of n words takes n + 2 cycles. A convolution goes to the exec queue and to the
// weight sequencer's at once. `end` waits for `idle_i` (everything dispatched has retired), then
// `done_o` pulses. Checks, in this order: opcode, length, fields, dependencies, capacity of the rings.
// The first that fails is the fault, with the address of the instruction; the decoder then stays
// until clear. A word that never comes is the fault program_end.
// With a layer table (MaskLayers > 0) an instruction may have a clip word more, its second, and
// esp_clip shortens the words behind it as they come: it becomes a nop of its queue where nothing is
// left. It is not begun before LOADs of the table in front of it are done (`table_done_i` pulses for
// each), but for the last one where that is of a later layer, nor before its first three words are there
// (`three_i`): while it holds the table PACK takes no beats, and words may come behind those.
// A CONV without channels does not go to the weight sequencer. `table_busy_o`: nobody else may read the
// table now.
// `push_o[e]`: to the queue of engine e, with `inst_o` and `address_o`, when `ready_i[e]`.
// Implements docs/machine.md, sections 2 and 3, and docs/pack.md, section 4.

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_decode #(
  parameter int unsigned Lanes = 4,
  parameter int unsigned BusBytes = 4,
  parameter int unsigned WeightWords = 1024,
  parameter int unsigned ParamBlocks = 64,
  parameter int unsigned MaskLayers = 0,
  parameter bit          Score = 1'b0,         // CONVs may have `product`
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
  input  wire logic         three_i,

  output logic      [esp_isa_pkg::ENGINES-1:0] push_o,
  input  wire logic [esp_isa_pkg::ENGINES-1:0] ready_i,
  output logic              wconv_push_o,
  input  wire logic         wconv_ready_i,
  output logic      [639:0] inst_o,
  output logic      [31:0]  address_o,
  output logic      [esp_isa_pkg::ENGINES-1:0] dispatch_o,   // pulses: what the engines have to retire

  output logic                       table_ren_o,
  output logic      [TableBits-1:0]  table_raddr_o,
  input  wire logic [TableWidth-1:0] table_rdata_i,
  output logic                       table_busy_o,
  input  wire logic                  table_done_i,

  input  wire logic         idle_i,
  output logic              done_o,

  output logic              fault_o,
  output logic      [3:0]   fault_cause_o
);

  if ((1 << $clog2(Lanes)) != Lanes || Lanes < 4 || Lanes > 32) begin : gen_parameters_0
    $error("esp_decode: Lanes is a power of two from 4 to 32");
  end
  if ((1 << $clog2(BusBytes)) != BusBytes || BusBytes > Lanes) begin : gen_parameters_1
    $error("esp_decode: BusBytes is a power of two, at most Lanes");
  end
  if (WeightWords == 0 || WeightWords > 65536 || ParamBlocks == 0 || ParamBlocks > 256)
  begin : gen_parameters_2
    $error("esp_decode: WeightWords is 1 to 65536, ParamBlocks 1 to 256");
  end
  if (MaskLayers > 4096 || TableBits == 0 || TableBits > 14) begin : gen_parameters_3
    $error("esp_decode: MaskLayers is at most 4096, TableBits 1 to 14");
  end

  localparam int unsigned ByteBits = $clog2(BusBytes);

  typedef enum logic [3:0] {
    StStopped  = 4'd0,
    StFirst    = 4'd1,
    StRest     = 4'd2,
    StCheck    = 4'd3,
    StDispatch = 4'd4,
    StEnd      = 4'd5,
    StFault    = 4'd6,
    StClip     = 4'd7    // the second word is a clip word
  } state_e;

  state_e       state_q, state_d;
  logic [639:0] inst_q;
  logic [31:0]  address_q, next_q;
  logic [2:0]   index_q, length_q, length;
  logic [3:0]   cause_q, cause_d;
  logic         known, clips, clipped, clipped_q, word_taken, sent;
  logic [esp_isa_pkg::ENGINES-1:0] target;   // one hot; 0 for end
  logic         is_conv;
  logic         nop_q, empty_q;   // clipped to nothing; to a CONV without channels
  logic         due;              // LOADs of the table are under way

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
  assign header = inst_q[esp_isa_pkg::HEADER_BITS-1:0];
  assign nop = inst_q[esp_isa_pkg::NOP_BITS-1:0];
  assign load = inst_q[esp_isa_pkg::LOAD_BITS-1:0];
  assign store = inst_q[esp_isa_pkg::STORE_BITS-1:0];
  assign conv = inst_q;

  // The clip stage.
  logic [127:0] word;   // the one at hand, clipped
  logic         second_word, clip_nop, clip_empty;
  assign second_word = state_q == StRest && index_q == 3'd1;

  if (MaskLayers != 0) begin : gen_clip
    logic [4:0]  due_q;    // LOADs of the table not yet done
    logic [11:0] since_q;  // the layer of the last one: layers before it need not wait for it
    logic        loads;
    assign loads = sent && !nop_q && header.opcode == esp_isa_pkg::OpLoad
                && load.target == esp_isa_pkg::TargetLayerTable;
    assign due = due_q > 5'd1 || (due_q == 5'd1 && word_i[20:9] >= since_q);
    assign table_busy_o = table_ren_o || state_q == StClip || (second_word && clipped_q);
    `ESP_FFC(clear_i, due_q <= '0;)
      if (loads != table_done_i) due_q <= loads ? due_q + 5'd1 : due_q - 5'd1;
    always_ff @(posedge clk_i) begin
      if (loads) since_q <= header.layer;
    end
    esp_clip #(
      .Lanes(Lanes), .BusBytes(BusBytes), .AddrBits(TableBits), .Rows(MaskLayers)
    ) u_clip (
      .clk_i, .word_i,
      .first_i(word_taken && state_q == StFirst && clipped),
      .clip_i(word_taken && state_q == StClip),
      .fields_i(word_taken && second_word), .clipped_i(second_word && clipped_q),
      .conv_i(is_conv), .pool_i(header.opcode == esp_isa_pkg::OpPool), .layer_i(header.layer),
      .ren_o(table_ren_o), .raddr_o(table_raddr_o), .rdata_i(table_rdata_i),
      .word_o(word), .nop_o(clip_nop), .empty_o(clip_empty)
    );
    `ESP_ASSERT(tables_in_range, due_q != '1)
  end else begin : gen_no_clip
    assign due = 1'b0;
    assign word = word_i;
    assign {clip_nop, clip_empty, table_busy_o, table_ren_o, table_raddr_o} = '0;
    logic unused_table;
    assign unused_table = ^{table_rdata_i, table_done_i, second_word};
  end

  logic fields_ok, engines_ok, capacity_ok;
  logic to_load_w;   // of a LOAD's targets those from the weight ring on
  logic to_masks;    // and those from the layer table on

  assign to_load_w = load.target[2:1] != '0;   // esp_isa_pkg::TargetWeights and above
  assign to_masks = load.target[2];            // TargetLayerTable and above

  always_comb begin
    target = '0;
    is_conv = header.opcode == esp_isa_pkg::OpConv;
    case (header.opcode)
      esp_isa_pkg::OpNop: target[nop.engine] = 1'b1;
      esp_isa_pkg::OpEnd: ;
      esp_isa_pkg::OpLoad: begin
        if (to_load_w) target[esp_isa_pkg::EngLoadW] = 1'b1;
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
    if (state_q == StCheck) begin
      engines_ok = header.dep0_engine != 3'(esp_isa_pkg::ENGINES)
                && header.dep1_engine != 3'(esp_isa_pkg::ENGINES)
                && header.dep2_engine != 3'(esp_isa_pkg::ENGINES);
      case (header.opcode)
        esp_isa_pkg::OpNop:
          fields_ok = esp_isa_pkg::nop_in_range(inst_q[127:0]) && !esp_isa_pkg::nop_contradicts(nop);
        esp_isa_pkg::OpEnd: fields_ok = esp_isa_pkg::end_in_range(inst_q[127:0]);
        esp_isa_pkg::OpLoad:
          fields_ok = esp_isa_pkg::load_in_range(inst_q[255:0])
                   && (MaskLayers != 0 || !to_masks)
                   && (!load.region[2] || (MaskLayers != 0 && to_load_w))
                   && (load.region[1:0] == '0 || !to_load_w)
                   && load.offset[ByteBits-1:0] == '0 && load.y_stride[ByteBits-1:0] == '0
                   && load.z_stride[ByteBits-1:0] == '0;
        esp_isa_pkg::OpStore:
          fields_ok = esp_isa_pkg::store_in_range(inst_q[255:0])
                   && store.offset[ByteBits-1:0] == '0 && store.y_stride[ByteBits-1:0] == '0
                   && store.z_stride[ByteBits-1:0] == '0;
        esp_isa_pkg::OpConv: begin
          fields_ok = esp_isa_pkg::conv_in_range(inst_q) && !esp_isa_pkg::conv_contradicts(conv)
                   && !esp_isa_pkg::conv_contradicts_masked(conv)
                   && !(conv.product[0] && !Score)
                   && !(conv.w_sparse[0] && (MaskLayers == 0 || clipped_q));
          capacity_ok = 32'(conv.w_offset) + 32'(conv.w_piece) <= WeightWords
                     && (!conv.last[0] || 32'(conv.p_offset) + 32'(conv.n_blocks) <= ParamBlocks);
        end
        default: fields_ok = esp_isa_pkg::pool_in_range(inst_q[383:0]);
      endcase
    end
  end

  assign word_ready_o = ((state_q == StFirst && !(clipped && (due || !three_i))) || state_q == StClip
                         || state_q == StRest) && !halt_i;
  assign word_taken = word_valid_i && word_ready_o;
  esp_isa_pkg::conv_t out;   // whatever it is
  always_comb begin
    out = inst_q;
    if (nop_q) out.opcode = esp_isa_pkg::OpNop;
    if (empty_q) out.n_blocks = '0;
  end
  assign inst_o = out;
  assign address_o = address_q;
  assign fault_cause_o = cause_q;
  assign fault_o = state_q == StFault;

  always_comb begin
    push_o = '0;
    wconv_push_o = 1'b0;
    dispatch_o = '0;
    sent = 1'b0;
    if (state_q == StDispatch && !halt_i) begin
      push_o = (is_conv && !nop_q && !empty_q && !wconv_ready_i) ? '0 : target;
      sent = (push_o & ready_i) != '0;
      wconv_push_o = is_conv && !nop_q && !empty_q && ready_i[esp_isa_pkg::EngExec];
      if (sent) begin
        dispatch_o = target;
        dispatch_o[esp_isa_pkg::EngPost] = is_conv && conv.last[0] && !nop_q;
      end
    end
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
            state_d = clipped ? StClip : (length == 3'd1) ? StCheck : StRest;
          end
        end else if (exhausted_i) begin
          state_d = StFault;
          cause_d = esp_isa_pkg::FaultProgramEnd;
        end
      end
      StClip: begin
        if (word_taken) state_d = StRest;
        else if (!word_valid_i && exhausted_i) begin
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
        state_d = (header.opcode == esp_isa_pkg::OpEnd) ? StEnd : StDispatch;
        if (!fields_ok) begin
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
      StEnd: begin
        if (idle_i && !halt_i) begin
          state_d = StStopped;
          done_o = 1'b1;
        end
      end
      default: ;
    endcase
  end

  `ESP_FFC(clear_i, state_q <= StStopped;) state_q <= state_d;

  always_ff @(posedge clk_i) begin
    cause_q <= cause_d;
    if (start_i) next_q <= program_address_i;
    else if (word_taken) next_q <= next_q + 32'd16;
    if (state_q == StFirst) begin
      address_q <= next_q;
      length_q <= length;
      clipped_q <= clipped;
      nop_q <= 1'b0;
      empty_q <= 1'b0;
      index_q <= 3'd1;
    end else if (word_taken && state_q == StRest) begin
      index_q <= index_q + 3'd1;
    end
    if (word_taken && second_word) begin
      nop_q <= clip_nop;
      empty_q <= clip_empty;
    end
    if (word_taken) begin
      if (state_q == StFirst) inst_q[127:0] <= word_i;
      else if (state_q == StRest) begin
        case (index_q)
          3'd1: inst_q[255:128] <= word;
          3'd2: inst_q[383:256] <= word_i;
          3'd3: inst_q[511:384] <= word_i;
          3'd4: inst_q[639:512] <= word_i;
          default: ;
        endcase
      end
    end
  end

  // Views of the instruction that use a few fields each.
  logic unused;
  assign unused = ^{header, nop, load, store, conv};

endmodule

`default_nettype wire
