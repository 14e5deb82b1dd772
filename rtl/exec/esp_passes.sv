// Pass generator: turns CONVs into passes (tap row, tap column, k block, n block), one ahead of the
// feeder's walk over pixels.
//
// Latency: the first pass of a CONV is offered 1 cycle after the CONV is taken, later by 1 cycle for
// each two bits of |iy0| (iy0 * row_pitch is summed by shifts); a next pass 1 cycle after the last was
// taken. Handshake: valid / ready on the CONV, valid / take on the pass; pass fields and the CONV's
// own (conv_o) hold while pass_valid_o. A CONV without n blocks (Prune) is offered as one pass that is
// no pass (`pass_empty_o`). Of a sparse CONV (Prune) every pass has a code from the weight sequencer,
// taken one a cycle: those that are skipped are not offered. Reset and clear_i drop everything.
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

  state_e              state_q;
  esp_isa_pkg::conv_t  conv_q;
  logic [AddrBits-1:0] row_addr_q, tap_addr_q, kb_addr_q;
  logic [AddrBits-1:0] pitch_q;
  logic signed [13:0]  rest_q;
  logic signed [17:0]  iy_q, ix_q;
  logic [3:0]          ky_q, kx_q;
  logic [11:0]         kb_q;
  logic [7:0]          nb_q;

  logic                nb_end, kb_end, kx_end, ky_end, accept;
  logic [AddrBits-1:0] origin, origin_next, row_addr_next, tap_addr_next;
  logic signed [13:0]  rest_next;
  logic                empty_q, step;

  assign nb_end = nb_q == conv_q.n_blocks - 1'b1;
  assign kb_end = kb_q == conv_q.k_blocks - 1'b1;
  assign kx_end = kx_q == conv_q.kw - 1'b1;
  assign ky_end = ky_q == conv_q.kh - 1'b1;

  assign conv_ready_o = state_q == StIdle;
  assign accept = conv_valid_i && conv_ready_o;
  assign busy_o = state_q != StIdle;
  assign conv_o = conv_q;
  assign pass_addr_o = kb_addr_q;
  assign pass_iy_o = iy_q;
  assign pass_ix_o = ix_q;
  assign pass_last_o = (nb_end && kb_end && kx_end && ky_end) || pass_empty_o;
  assign pass_empty_o = empty_q;

  logic first_pass;   // of its n block
  assign first_pass = conv_q.first && ky_q == '0 && kx_q == '0 && kb_q == '0;

  if (Prune) begin : gen_sparse
    logic             sparse, at_code;
    logic [AccBits:0] acc_q;   // of the n block, where sparse

    always_ff @(posedge clk_i) begin
      if (accept) empty_q <= conv_i.n_blocks == '0;
      if (accept || (step && nb_end)) acc_q <= '0;
      else if (step) acc_q <= acc_q + conv_q.w_tap_stride[AccBits:0];
    end

    assign sparse = conv_q.w_sparse[0];
    assign at_code = state_q == StPass && sparse && code_valid_i;
    assign code_ready_o = at_code && (!code_i[0] || pass_take_i);
    assign step = pass_take_i || (at_code && !code_i[0]);
    assign pass_valid_o = state_q == StPass && (!sparse || (code_valid_i && code_i[0]));
    assign pass_overwrite_o = sparse ? code_i[1] : first_pass;
    assign pass_acc_set_o = sparse || nb_q == '0;
    assign pass_acc_o = sparse ? acc_q : '0;
  end else begin : gen_dense
    assign empty_q = 1'b0;
    assign code_ready_o = 1'b0;
    assign step = pass_take_i;
    assign pass_valid_o = state_q == StPass;
    assign pass_overwrite_o = first_pass;
    assign pass_acc_set_o = nb_q == '0;
    assign pass_acc_o = '0;
    logic unused_codes;
    assign unused_codes = ^{code_valid_i, code_i};
  end

  // iy0 * row_pitch, two bits a cycle from the low end; a rest of -1 is a subtraction.
  assign origin = conv_i.act_base[AddrBits-1:0] + AddrBits'(conv_i.ix0);
  assign rest_next = rest_q >>> 2;
  assign origin_next = (rest_q == -14'sd1) ? row_addr_q - pitch_q
      : row_addr_q + (rest_q[0] ? pitch_q : '0) + (rest_q[1] ? pitch_q << 1 : '0);

  assign row_addr_next = row_addr_q + conv_q.tap_step[AddrBits-1:0];
  assign tap_addr_next = kx_end ? row_addr_next : tap_addr_q + AddrBits'(conv_q.dil_x);

  `ESP_FFC(clear_i, state_q <= StIdle;) begin
    unique case (state_q)
      StIdle: if (accept) state_q <= (conv_i.iy0 == '0) ? StPass : StOrigin;
      StOrigin: if (rest_q == -14'sd1 || rest_next == '0) state_q <= StPass;
      StPass: if (pass_take_i && pass_last_o) state_q <= StIdle;
      default: state_q <= StIdle;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (accept) begin
      conv_q <= conv_i;
      row_addr_q <= origin;
      tap_addr_q <= origin;
      kb_addr_q <= origin;
      pitch_q <= conv_i.row_pitch[AddrBits-1:0];
      rest_q <= conv_i.iy0;
      iy_q <= 18'(conv_i.iy0);
      ix_q <= 18'(conv_i.ix0);
      ky_q <= '0;
      kx_q <= '0;
      kb_q <= '0;
      nb_q <= '0;
    end else if (state_q == StOrigin) begin
      rest_q <= rest_next;
      pitch_q <= pitch_q << 2;
      row_addr_q <= origin_next;
      tap_addr_q <= origin_next;
      kb_addr_q <= origin_next;
    end else if (step) begin
      if (!nb_end) begin
        nb_q <= nb_q + 1'b1;
      end else begin
        nb_q <= '0;
        if (!kb_end) begin
          kb_q <= kb_q + 1'b1;
          kb_addr_q <= kb_addr_q + conv_q.plane[AddrBits-1:0];
        end else begin
          kb_q <= '0;
          kb_addr_q <= tap_addr_next;
          tap_addr_q <= tap_addr_next;
          if (!kx_end) begin
            kx_q <= kx_q + 1'b1;
            ix_q <= ix_q + $signed({13'b0, conv_q.dil_x});
          end else begin
            kx_q <= '0;
            ky_q <= ky_q + 1'b1;
            row_addr_q <= row_addr_next;
            ix_q <= 18'(conv_q.ix0);
            iy_q <= iy_q + $signed({13'b0, conv_q.dil_y});
          end
        end
      end
    end
  end

  logic unused_conv;
  assign unused_conv = ^conv_q;

  `ESP_ASSERT(take_valid_pass, !pass_take_i || pass_valid_o)

endmodule

`default_nettype wire
