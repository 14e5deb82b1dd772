// Gathers an instruction's words, checks it and hands it to its queue, in program order.
//
// An instruction of n words takes n + 3 cycles (one of a single word 5): its words, two cycles for the
// checks, and the one in which it leaves. A convolution goes to the exec queue and to the
// weight sequencer's at once. `end` waits for `idle_i` (everything dispatched has retired), then
// `done_o` pulses. Checks, in this order: opcode, length, fields, dependencies, capacity of the rings.
// The first that fails is the fault, with the address of the instruction; the decoder then stays
// until clear. A word that never comes is the fault program_end.
// With a layer table (MaskLayers > 0) an instruction may have a clip word more, its second, and
// esp_clip shortens the word behind it, three cycles after the clip word at the earliest, beside the words
// that still come. It becomes a nop of its queue where nothing is
// left. It is not begun before LOADs of the table in front of it are done (`table_done_i` pulses for
// each), but for the last one where that is of a later layer, nor before its next words are there
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
  parameter bit          Fine = 1'b0,          // CONVs may be fine, and weights indexed
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
  // The most words of a burst that a ring is left without: a fine CONV leaves them room beside its weights.
  localparam int unsigned LEFT_OUT = 8;

  if (MaskLayers > 4096 || TableBits == 0 || TableBits > 14) begin : gen_parameters_3
    $error("esp_decode: MaskLayers is at most 4096, TableBits 1 to 14");
  end

  localparam int unsigned ByteBits = $clog2(BusBytes);

  typedef enum logic [3:0] {
    StStopped  = 4'd0,
    StFirst    = 4'd1,
    StKind     = 4'd2,   // the first word is there; of most instructions the second comes now
    StClip     = 4'd3,   // the second word is a clip word
    StRest     = 4'd4,
    StCut      = 4'd5,   // all words are there, but one still to be shortened
    StCheck    = 4'd6,   // each check is made
    StJudge    = 4'd7,   // and what they say is put together
    StDispatch = 4'd8,
    StEnd      = 4'd9,
    StFault    = 4'd10
  } state_e;

  state_e       state_q, state_d;
  logic [639:0] inst_q;
  logic [31:0]  address_q, next_q;
  logic [2:0]   length, with_clip;
  logic [4:1]   next_word_q, last_word_q;   // one hot: the word to come, and the last one
  logic [3:0]   cause_q, cause_d;
  logic         clips, clipped_q, plain_q, more_q, word_taken, rest_taken, wants_rest, sent;
  logic         second_taken;   // the word that a cut may change
  logic [esp_isa_pkg::ENGINES-1:0] target, target_q;   // one hot; 0 for end
  logic         is_nop, is_end, is_load, is_store, is_conv, is_pool;   // by the first word, as it comes
  logic         nop_here_q, end_q, load_q, store_q, conv_q, pool_q;    // and of the instruction at hand
  logic         to_wconv_q, to_post_q;
  logic         nop_q, empty_q;   // clipped to nothing; to a CONV without channels
  logic         due;              // LOADs of the table are under way

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

  // What the first word says, as it comes.
  assign is_nop = word_i[5:0] == esp_isa_pkg::OpNop;
  assign is_end = word_i[5:0] == esp_isa_pkg::OpEnd;
  assign is_load = word_i[5:0] == esp_isa_pkg::OpLoad;
  assign is_store = word_i[5:0] == esp_isa_pkg::OpStore;
  assign is_conv = word_i[5:0] == esp_isa_pkg::OpConv;
  assign is_pool = word_i[5:0] == esp_isa_pkg::OpPool;

  always_comb begin
    clips = 1'b0;
    length = '0;
    with_clip = '0;
    if (`ESP_WHEN(state_q == StFirst)) begin
      if (is_nop) length = 3'(esp_isa_pkg::NOP_WORDS);
      if (is_end) length = 3'(esp_isa_pkg::END_WORDS);
      if (is_load) begin
        length = 3'(esp_isa_pkg::LOAD_WORDS);
        with_clip = 3'(esp_isa_pkg::LOAD_WORDS + 1);
      end
      if (is_store) begin
        length = 3'(esp_isa_pkg::STORE_WORDS);
        with_clip = 3'(esp_isa_pkg::STORE_WORDS + 1);
      end
      if (is_conv) begin
        length = 3'(esp_isa_pkg::CONV_WORDS);
        with_clip = 3'(esp_isa_pkg::CONV_WORDS + 1);
      end
      if (is_pool) begin
        length = 3'(esp_isa_pkg::POOL_WORDS);
        with_clip = 3'(esp_isa_pkg::POOL_WORDS + 1);
      end
      clips = MaskLayers != 0 && with_clip != '0 && word_i[8:6] == with_clip;
    end
  end

  always_ff @(posedge clk_i) begin
    if (word_taken && state_q == StFirst) begin
      nop_here_q <= is_nop;
      end_q <= is_end;
      load_q <= is_load;
      store_q <= is_store;
      conv_q <= is_conv;
      pool_q <= is_pool;
      last_word_q <= 4'(1 << (length - 3'd2));
      plain_q <= word_i[8:6] == length;
      more_q <= word_i[8:6] == length && with_clip != '0;
      clipped_q <= clips;
    end
  end

  // The clip stage.
  logic [127:0] cut_word, cut_bits;   // what stands instead, where
  logic         cut_ready, cut_nop, cut_empty, begin_clip;
  logic         cut, cut_q;   // the word is shortened now; has been
  logic         clipping;     // from behind begin_clip on
  always_comb begin
    {cut, begin_clip, clipping} = '0;
    if (`ESP_WHEN(clipped_q)) begin
      cut = (state_q == StCut || (state_q == StRest && clipped_q && !next_word_q[1])) && cut_ready && !cut_q;
      begin_clip = state_q == StKind && clipped_q && !due && three_i && !halt_i;
      clipping = clipped_q && (state_q == StClip || state_q == StRest || state_q == StCut);
    end
  end

  if (MaskLayers != 0) begin : gen_clip
    logic [4:0]  due_q;    // LOADs of the table not yet done
    logic [11:0] since_q;  // the layer of the last one: layers before it need not wait for it
    logic        loads_q;
    assign due = due_q > 5'd1 || (due_q == 5'd1 && header.layer >= since_q);
    assign table_busy_o = begin_clip || clipping;
    `ESP_FFC(clear_i, begin
      due_q <= '0;
      loads_q <= 1'b0;
    end) begin
      loads_q <= sent && !nop_q && load_q
              && load.target == esp_isa_pkg::TargetLayerTable;
      if (loads_q != table_done_i) due_q <= loads_q ? due_q + 5'd1 : due_q - 5'd1;
    end
    always_ff @(posedge clk_i) begin
      if (loads_q) since_q <= header.layer;
    end
    esp_clip #(
      .Lanes(Lanes), .BusBytes(BusBytes), .AddrBits(TableBits), .Rows(MaskLayers)
    ) u_clip (
      .clk_i,
      .first_i(begin_clip), .layer_i(header.layer),
      .conv_i(conv_q), .pool_i(pool_q),
      .clip_i(word_taken && state_q == StClip), .word_i,
      .fields_i(inst_q[255:128]), .take_i(cut), .ready_o(cut_ready),
      .ren_o(table_ren_o), .raddr_o(table_raddr_o), .rdata_i(table_rdata_i),
      .word_o(cut_word), .change_o(cut_bits), .nop_o(cut_nop), .empty_o(cut_empty)
    );
    `ESP_ASSERT(tables_in_range, due_q != '1)
  end else begin : gen_no_clip
    assign due = 1'b0;
    assign {cut_word, cut_bits, cut_ready, cut_nop, cut_empty, table_busy_o, table_ren_o, table_raddr_o} = '0;
    logic unused_table;
    assign unused_table = ^{table_rdata_i, table_done_i, begin_clip, clipping, cut};
  end

  logic to_load_w;   // of a LOAD's targets those from the weight ring on
  logic to_masks;    // and those from the layer table on

  assign to_load_w = load.target[2:1] != '0;   // esp_isa_pkg::TargetWeights and above
  assign to_masks = load.target[2];            // TargetLayerTable and above

  always_comb begin
    target = '0;
    if (`ESP_WHEN(state_q == StCheck)) begin
      for (int e = 0; e < esp_isa_pkg::ENGINES; e++) target[e] = nop_here_q && nop.engine == 3'(e);
      if (load_q && to_load_w) target[esp_isa_pkg::EngLoadW] = 1'b1;
      if (load_q && !to_load_w) target[esp_isa_pkg::EngLoadA] = 1'b1;
      if (store_q) target[esp_isa_pkg::EngStore] = 1'b1;
      if (conv_q) target[esp_isa_pkg::EngExec] = 1'b1;
      if (pool_q) target[esp_isa_pkg::EngPool] = 1'b1;
    end
  end

  // The checks, each made in its one cycle.
  logic nop_ok_q, load_ok_q, store_ok_q, conv_ok_q, pool_ok_q, agree_q, engines_ok_q, capacity_ok_q;
  logic fields_ok;

  always_ff @(posedge clk_i) begin
    if (state_q == StCheck) begin
      engines_ok_q <= header.dep0_engine != 3'(esp_isa_pkg::ENGINES)
                   && header.dep1_engine != 3'(esp_isa_pkg::ENGINES)
                   && header.dep2_engine != 3'(esp_isa_pkg::ENGINES);
      nop_ok_q <= end_q
          ? esp_isa_pkg::end_in_range(inst_q[127:0])
          : esp_isa_pkg::nop_in_range(inst_q[127:0]) && !esp_isa_pkg::nop_contradicts(nop);
      load_ok_q <= esp_isa_pkg::load_in_range(inst_q[255:0])
                && (MaskLayers != 0 || !to_masks)
                && (Fine ? !esp_isa_pkg::load_contradicts_fine(load) && !(load.form != '0 && clipped_q)
                         : {load.skip, load.form} == '0)
                && (!load.region[2] || ((MaskLayers != 0 || Fine) && to_load_w))
                && (load.region[1:0] == '0 || !to_load_w)
                && load.offset[ByteBits-1:0] == '0 && load.y_stride[ByteBits-1:0] == '0
                && load.z_stride[ByteBits-1:0] == '0;
      store_ok_q <= esp_isa_pkg::store_in_range(inst_q[255:0])
                 && store.offset[ByteBits-1:0] == '0 && store.y_stride[ByteBits-1:0] == '0
                 && store.z_stride[ByteBits-1:0] == '0;
      conv_ok_q <= esp_isa_pkg::conv_in_range(inst_q) && !(conv.product[0] && !Score)
                && !(conv.w_sparse[0] && (MaskLayers == 0 || clipped_q))
                && (Fine ? !(conv.fine[0] && (!conv.pair[0] || clipped_q))
                         : {conv.fine, conv.pair, conv.pair_cols} == '0);
      agree_q <= !esp_isa_pkg::conv_contradicts(conv) && !esp_isa_pkg::conv_contradicts_masked(conv)
              && !(Fine && esp_isa_pkg::conv_contradicts_fine(conv));
      capacity_ok_q <= (32'(conv.w_offset) + 32'(conv.w_piece)
                        <= ((Fine && conv.fine[0]) ? WeightWords - LEFT_OUT : WeightWords)
                        && (!conv.last[0] || 32'(conv.p_offset) + 32'(conv.n_blocks) <= ParamBlocks))
                    || !conv_q;
      pool_ok_q <= esp_isa_pkg::pool_in_range(inst_q[383:0]);
      target_q <= target;
      to_wconv_q <= conv_q && !nop_q && !empty_q;   // to the weight sequencer too
      to_post_q <= conv_q && conv.last[0] && !nop_q;
    end
  end

  always_comb begin
    fields_ok = 1'b0;
    if (`ESP_WHEN(state_q == StJudge)) begin
      fields_ok = !((nop_here_q || end_q) && !nop_ok_q) && !(load_q && !load_ok_q)
               && !(store_q && !store_ok_q) && !(conv_q && !(conv_ok_q && agree_q))
               && !(pool_q && !pool_ok_q);
    end
  end

  assign wants_rest = (state_q == StKind && more_q) || state_q == StRest;
  assign word_ready_o = (state_q == StFirst || state_q == StClip || wants_rest) && !halt_i;
  assign word_taken = word_valid_i && word_ready_o;
  assign rest_taken = word_valid_i && wants_rest && !halt_i;
  assign second_taken = rest_taken && next_word_q[1];
  esp_isa_pkg::conv_t out;   // whatever it is
  always_comb begin
    out = '0;
    if (`ESP_WHEN(sent)) begin
      out = inst_q;
      if (nop_q) out.opcode = esp_isa_pkg::OpNop;
      if (empty_q) out.n_blocks = '0;
    end
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
      push_o = (to_wconv_q && !wconv_ready_i) ? '0 : target_q;
      sent = (push_o & ready_i) != '0;
      wconv_push_o = to_wconv_q && ready_i[esp_isa_pkg::EngExec];
      if (sent) begin
        dispatch_o = target_q;
        dispatch_o[esp_isa_pkg::EngPost] = to_post_q;
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
        if (word_taken) state_d = StKind;
        else if (!word_valid_i && exhausted_i) begin
          state_d = StFault;
          cause_d = esp_isa_pkg::FaultProgramEnd;
        end
      end
      StKind: begin
        if (!(nop_here_q || end_q || load_q || store_q || conv_q || pool_q)) begin
          state_d = StFault;
          cause_d = esp_isa_pkg::FaultIllegalOpcode;
        end else if (clipped_q) begin
          if (begin_clip) state_d = StClip;
        end else if (!plain_q) begin
          state_d = StFault;
          cause_d = esp_isa_pkg::FaultIllegalLength;
        end else if (!more_q || (rest_taken && last_word_q[1])) begin
          state_d = StCheck;
        end else begin
          state_d = StRest;
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
        if (rest_taken && (next_word_q & last_word_q) != '0) begin
          state_d = (clipped_q && !cut && !cut_q) ? StCut : StCheck;
        end else if (!word_valid_i && exhausted_i) begin
          state_d = StFault;
          cause_d = esp_isa_pkg::FaultProgramEnd;
        end
      end
      StCut: if (cut_ready) state_d = StCheck;
      StCheck: state_d = StJudge;
      StJudge: begin
        state_d = end_q ? StEnd : StDispatch;
        if (!fields_ok) begin
          state_d = StFault;
          cause_d = esp_isa_pkg::FaultIllegalField;
        end else if (!engines_ok_q) begin
          state_d = StFault;
          cause_d = esp_isa_pkg::FaultIllegalDependency;
        end else if (!capacity_ok_q) begin
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
      nop_q <= 1'b0;
      empty_q <= 1'b0;
      next_word_q <= 4'd1;
      cut_q <= 1'b0;
    end else if (rest_taken) begin
      next_word_q <= next_word_q << 1;
    end
    if (word_taken && state_q == StFirst) inst_q[127:0] <= word_i;
    // A bit that a cut leaves alone keeps its value by its enable: no multiplexer takes it back.
    if (`ESP_WHEN(cut || second_taken)) begin
      for (int i = 0; i < 128; i++) begin
        if (second_taken || (cut && cut_bits[i])) begin
          inst_q[128 + i] <= next_word_q[1] ? word_i[i] : cut_word[i];
        end
      end
    end
    for (int w = 2; w <= 4; w++) begin
      if (rest_taken && next_word_q[w]) inst_q[128*w +: 128] <= word_i;
    end
    if (MaskLayers != 0 && cut) begin
      nop_q <= cut_nop;
      empty_q <= cut_empty;
      cut_q <= 1'b1;
    end
  end

  // Views of the instruction that use a few fields each.
  logic unused;
  assign unused = ^{header, nop, load, store, conv};

endmodule

`default_nettype wire
