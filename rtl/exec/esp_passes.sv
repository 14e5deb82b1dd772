// Pass generator: turns CONVs into passes (tap row, tap column, k block, n block), one ahead of the
// feeder's walk over pixels.
//
// Latency: the first pass of a CONV is offered 1 cycle after the CONV is taken, later by 1 cycle for
// each two bits of |iy0| (iy0 * row_pitch is summed by shifts); a next pass 1 cycle after the last was
// taken. Handshake: valid / ready on the CONV, valid / take on the pass; pass fields and the CONV's
// own (conv_o) hold while pass_valid_o. A CONV without n blocks (Prune) is offered as one pass that is
// no pass (`pass_empty_o`). Of a sparse CONV (Prune) every pass has a code from the weight sequencer,
// taken one a cycle while no pass is offered: one that runs is offered a cycle later, one that is skipped
// is not. pass_valid_o and what says which pass is the last come from registers.
// Reset and clear_i drop everything.
// Numbers: addresses modulo the activation buffer; rows and columns 18 bits signed, which holds
// iy0 + (rows - 1) * stride_y + (kh - 1) * dil_y for all field values.
// Implements docs/machine.md, section 3 (order and addresses).

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_passes #(
  parameter int unsigned ActWords  = 2048,
  parameter int unsigned AccWords  = 128,
  parameter bit          Prune     = 1'b0,
  localparam int unsigned AddrBits = $clog2(ActWords),
  localparam int unsigned AccBits  = $clog2(AccWords)
) (
  input  wire logic               clk_i,
  input  wire logic               rst_ni,
  input  wire logic               clear_i,

  input  wire logic               conv_valid_i,
  output logic                    conv_ready_o,
  input  wire esp_isa_pkg::conv_t conv_i,

  input  wire logic               code_valid_i,      // bit 0: runs, bit 1: overwrites
  output logic                    code_ready_o,
  input  wire logic [1:0]         code_i,

  output logic                    pass_valid_o,
  input  wire logic               pass_take_i,
  output logic [AddrBits-1:0]     pass_addr_o,       // of tap and k block for output pixel (0,0)
  output logic signed [17:0]      pass_iy_o,
  output logic signed [17:0]      pass_ix_o,
  output logic                    pass_acc_set_o,    // the accumulator word is pass_acc_o, not the next
  output logic [AccBits:0]        pass_acc_o,
  output logic                    pass_overwrite_o,
  output logic                    pass_last_o,       // of the CONV
  output logic                    pass_list_o,       // and of a CONV with `last`
  output logic                    pass_empty_o,
  output esp_isa_pkg::conv_t      conv_o,
  output logic                    busy_o
);

  if ((1 << $clog2(ActWords)) != ActWords || ActWords < 2 || ActWords > 65536 ||
      (1 << $clog2(AccWords)) != AccWords || AccWords < 2 || AccWords > 65536)
  begin : gen_parameters
    $error("esp_passes: ActWords and AccWords are powers of two from 2 to 65536");
  end

  typedef enum logic [1:0] {
    StIdle,
    StOrigin,
    StPass
  } state_e;

  logic [1:0]          state_q;  // a state_e
  logic                origin_run;
  esp_isa_pkg::conv_t  conv_q;
  logic [AddrBits-1:0] row_addr_q, tap_addr_q, kb_addr_q;
  logic [AddrBits-1:0] pitch_q;
  logic signed [13:0]  rest_q;
  logic                minus_q, rest_end_q;  // the rest is -1; it has no more than two bits
  logic signed [17:0]  iy_q, ix_q;
  logic                valid_q, first_nb_q, overwrite_q;
  logic                last_q, list_q;    // a cycle behind the loops; passes are further apart

  logic                nb_end, kb_end, kx_end, ky_end, tap_end, last, single, accept, sparse;
  logic [AddrBits-1:0] origin, origin_next, row_addr_next, tap_addr_next;
  logic signed [13:0]  rest_next;
  logic                empty_q, step, look, found;

  assign origin_run = state_q[0];
  assign conv_ready_o = state_q == StIdle;
  assign accept = conv_valid_i && conv_ready_o;
  assign busy_o = state_q != StIdle;
  assign conv_o = conv_q;
  assign tap_end = nb_end && kb_end;
  assign last = (tap_end && kx_end && ky_end) || empty_q;
  always_comb begin
    single = 1'b0;
    if (`ESP_WHEN(accept)) begin
      single = (conv_i.n_blocks == 8'd1 && conv_i.k_blocks == 12'd1 && conv_i.kw == 4'd1 &&
          conv_i.kh == 4'd1) || (Prune && conv_i.n_blocks == '0);
    end
  end
  assign pass_valid_o = valid_q;
  assign pass_addr_o = kb_addr_q;
  assign pass_iy_o = iy_q;
  assign pass_ix_o = ix_q;
  assign pass_overwrite_o = overwrite_q;
  assign pass_last_o = last_q;
  assign pass_list_o = list_q;
  assign pass_empty_o = empty_q;

  logic [3:0] unused_next;

  esp_loop #(.Width(8)) u_nb (
    .clk_i, .load_i(accept), .load_count_i(conv_i.n_blocks), .step_i(step),
    .count_i(conv_q.n_blocks), .end_o(nb_end), .next_end_o(unused_next[0])
  );
  esp_loop #(.Width(12)) u_kb (
    .clk_i, .load_i(accept), .load_count_i(conv_i.k_blocks), .step_i(step && nb_end),
    .count_i(conv_q.k_blocks), .end_o(kb_end), .next_end_o(unused_next[1])
  );
  esp_loop #(.Width(4)) u_kx (
    .clk_i, .load_i(accept), .load_count_i(conv_i.kw), .step_i(step && tap_end),
    .count_i(conv_q.kw), .end_o(kx_end), .next_end_o(unused_next[2])
  );
  esp_loop #(.Width(4)) u_ky (
    .clk_i, .load_i(accept), .load_count_i(conv_i.kh), .step_i(step && tap_end && kx_end),
    .count_i(4'd0), .end_o(ky_end), .next_end_o(unused_next[3])
  );

  if (Prune) begin : gen_sparse
    logic [AccBits:0] acc_q;   // of the n block, where sparse

    always_ff @(posedge clk_i) begin
      if (accept) empty_q <= conv_i.n_blocks == '0;
      if (accept || (step && nb_end)) acc_q <= '0;
      else if (step) acc_q <= acc_q + conv_q.w_tap_stride[AccBits:0];
    end

    assign sparse = conv_q.w_sparse[0];
    assign look = state_q[1] && sparse && !valid_q;
    assign code_ready_o = look;
    assign found = look && code_valid_i && code_i[0];
    assign step = pass_take_i || (look && code_valid_i && !code_i[0]);
    assign pass_acc_set_o = sparse || first_nb_q;
    assign pass_acc_o = sparse ? acc_q : '0;
  end else begin : gen_dense
    assign look = 1'b0;
    assign empty_q = 1'b0;
    assign sparse = 1'b0;
    assign code_ready_o = 1'b0;
    assign found = 1'b0;
    assign step = pass_take_i;
    assign pass_acc_set_o = first_nb_q;
    assign pass_acc_o = '0;
    logic unused_codes;
    assign unused_codes = ^{code_valid_i, code_i};
  end

  // iy0 * row_pitch, two bits a cycle from the low end; a rest of -1 is a subtraction.
  assign origin = conv_i.act_base[AddrBits-1:0] + AddrBits'(conv_i.ix0);
  assign rest_next = rest_q >>> 2;
  always_comb begin
    origin_next = '0;
    if (`ESP_WHEN(origin_run)) begin
      origin_next = minus_q ? row_addr_q - pitch_q
          : row_addr_q + (rest_q[0] ? pitch_q : '0) + (rest_q[1] ? pitch_q << 1 : '0);
    end
  end

  always_comb begin
    {row_addr_next, tap_addr_next} = '0;
    if (`ESP_WHEN(step)) begin
      row_addr_next = row_addr_q + conv_q.tap_step[AddrBits-1:0];
      tap_addr_next = kx_end ? row_addr_next : tap_addr_q + AddrBits'(conv_q.dil_x);
    end
  end

  `ESP_FFC(clear_i, begin
    state_q <= StIdle;
    valid_q <= 1'b0;
  end) begin
    if (accept) begin
      state_q <= (conv_i.iy0 == '0) ? StPass : StOrigin;
      valid_q <= conv_i.iy0 == '0 && !(Prune && conv_i.w_sparse[0]);
    end
    if (origin_run && rest_end_q) begin
      state_q <= StPass;
      valid_q <= !sparse;
    end
    if (pass_take_i) begin
      if (last_q) state_q <= StIdle;
      valid_q <= !last_q && !sparse;
    end else if (found) begin
      valid_q <= 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    // The first k block of the first tap, or as the code says.
    if (accept) overwrite_q <= conv_i.first;
    else if (look) overwrite_q <= code_i[1];
    else if (step && nb_end) overwrite_q <= 1'b0;
    last_q <= accept ? single : last;
    list_q <= accept ? single && conv_i.last : last && conv_q.last;
  end

  always_ff @(posedge clk_i) begin
    if (accept) begin
      conv_q <= conv_i;
      row_addr_q <= origin;
      tap_addr_q <= origin;
      kb_addr_q <= origin;
      pitch_q <= conv_i.row_pitch[AddrBits-1:0];
      rest_q <= conv_i.iy0;
      minus_q <= conv_i.iy0 == -14'sd1;
      rest_end_q <= conv_i.iy0 == -14'sd1 || conv_i.iy0[13:2] == '0;
      iy_q <= 18'(conv_i.iy0);
      ix_q <= 18'(conv_i.ix0);
      first_nb_q <= 1'b1;
    end else if (origin_run) begin
      rest_q <= rest_next;
      minus_q <= rest_next == -14'sd1;
      rest_end_q <= rest_next == -14'sd1 || rest_next[13:2] == '0;
      pitch_q <= pitch_q << 2;
      row_addr_q <= origin_next;
      tap_addr_q <= origin_next;
      kb_addr_q <= origin_next;
    end else if (step) begin
      first_nb_q <= nb_end;
      if (nb_end) begin
        kb_addr_q <= kb_end ? tap_addr_next : kb_addr_q + conv_q.plane[AddrBits-1:0];
        if (kb_end) begin
          tap_addr_q <= tap_addr_next;
          ix_q <= kx_end ? 18'(conv_q.ix0) : ix_q + $signed({13'b0, conv_q.dil_x});
          if (kx_end) begin
            row_addr_q <= row_addr_next;
            iy_q <= iy_q + $signed({13'b0, conv_q.dil_y});
          end
        end
      end
    end
  end

  logic unused_conv;
  assign unused_conv = ^conv_q;

  `ESP_ASSERT(take_valid_pass, !pass_take_i || pass_valid_o)
  `ESP_ASSERT(last_known, !pass_take_i || last == last_q)
  `ESP_ASSERT(last_pass_runs, !(step && !pass_take_i) || !last)

endmodule

`default_nettype wire
