// The `pico` machine with its memory and a host on a serial port: the whole design but clock and pins.
//
// Commands, all values little endian; `address` and `count` count as said:
//   'W' address[2] value[4]          writes a register; answer 'K'
//   'R' address[2]                   reads a register; answer value[4]
//   'w' address[2] count data[2n]    writes n halfwords of memory from a byte address; answer 'K'
//   'r' address[2] count             reads n halfwords; answer data[2n]
// `count` is one byte, 0 for 256. Any other first byte is answered '?'. Memory may be used while the
// machine runs. Implements docs/ice40.md.

`default_nettype none

module esp_ice40_system #(
  parameter int unsigned ClocksPerBit = 434,
  parameter int unsigned MemoryWords = 4096
) (
  input  wire logic clk_i,
  input  wire logic rst_ni,
  input  wire logic rx_i,
  output logic      tx_o,
  output logic      irq_o
);

  localparam int unsigned AddrBits = $clog2(MemoryWords);

  typedef enum logic [3:0] {
    StCommand, StAddress0, StAddress1, StCount, StData, StRegWrite, StRegAnswer, StMemWrite,
    StRegRead, StRegValue, StMemRead, StMemValue, StSend, StAcknowledge
  } state_e;

  state_e      state_q;
  logic        rx_valid, tx_valid, tx_ready;
  logic [7:0]  rx_data, tx_data, count_q, answer_q;
  logic        write_q, memory_q;
  logic [15:0] address_q;
  logic [31:0] value_q;
  logic [1:0]  bytes_q;       // of a value, still to come or to go, less one
  logic [15:0] mem_rdata;

  logic        awready, bvalid, arready, rvalid;
  logic [31:0] rdata;

  esp_uart #(.ClocksPerBit(ClocksPerBit)) u_uart (
    .clk_i, .rst_ni, .rx_i, .tx_o,
    .rx_valid_o(rx_valid), .rx_data_o(rx_data),
    .tx_valid_i(tx_valid), .tx_ready_o(tx_ready), .tx_data_i(tx_data)
  );

  assign tx_valid = state_q == StSend || state_q == StAcknowledge;
  assign tx_data = (state_q == StSend) ? value_q[7:0] : answer_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= StCommand;
    end else begin
      case (state_q)
        StCommand: begin
          if (rx_valid) begin
            case (rx_data)
              "W", "R", "w", "r": state_q <= StAddress0;
              default: state_q <= StAcknowledge;
            endcase
          end
        end
        StAddress0: if (rx_valid) state_q <= StAddress1;
        StAddress1: if (rx_valid) state_q <= memory_q ? StCount : write_q ? StData : StRegRead;
        StCount: if (rx_valid) state_q <= write_q ? StData : StMemRead;
        StData: if (rx_valid && bytes_q == '0) state_q <= memory_q ? StMemWrite : StRegWrite;
        StRegWrite: if (awready) state_q <= StRegAnswer;
        StRegAnswer: if (bvalid) state_q <= StAcknowledge;
        StMemWrite: state_q <= (count_q == 8'd1) ? StAcknowledge : StData;
        StRegRead: if (arready) state_q <= StRegValue;
        StRegValue: if (rvalid) state_q <= StSend;
        StMemRead: state_q <= StMemValue;
        StMemValue: state_q <= StSend;
        StSend: begin
          if (tx_ready && bytes_q == '0) begin
            state_q <= (memory_q && count_q != 8'd1) ? StMemRead : StCommand;
          end
        end
        default: if (tx_ready) state_q <= StCommand;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    case (state_q)
      StCommand: begin
        write_q <= rx_data == "W" || rx_data == "w";
        memory_q <= rx_data[5];
        answer_q <= (rx_data == "W" || rx_data == "w") ? "K" : "?";
        bytes_q <= rx_data[5] ? 2'd1 : 2'd3;
      end
      StAddress0: if (rx_valid) address_q[7:0] <= rx_data;
      StAddress1: if (rx_valid) address_q[15:8] <= rx_data;
      StCount: if (rx_valid) count_q <= rx_data;
      StData: begin
        if (rx_valid) begin
          value_q <= {rx_data, value_q[31:8]};
          bytes_q <= bytes_q - 1'b1;
        end
      end
      StMemWrite, StMemRead: bytes_q <= 2'd1;
      StRegValue: value_q <= rdata;
      StMemValue: value_q[15:0] <= mem_rdata;
      StSend: begin
        if (tx_ready) begin
          value_q <= {8'd0, value_q[31:8]};
          bytes_q <= bytes_q - 1'b1;
        end
      end
      default: ;
    endcase
    if (state_q == StMemWrite || (state_q == StSend && tx_ready && bytes_q == '0)) begin
      address_q <= address_q + 16'd2;
      count_q <= count_q - 1'b1;
    end
  end

  // ---------------------------------------------------------------- the machine
  logic [31:0] m_araddr, m_awaddr;
  logic        m_arvalid, m_arready, m_rvalid, m_rready, m_awvalid, m_awready, m_wvalid, m_wready;
  logic        m_bvalid, m_bready;
  logic [1:0]  m_rresp, m_bresp;
  logic [15:0] m_wdata;

  logic [7:0]  arlen, awlen;
  logic [2:0]  arsize, awsize;
  logic [1:0]  arburst, awburst, wstrb, bresp, rresp;
  logic        wlast, wready;
  logic [11:0] trace_layer;
  logic        trace_layer_valid, trace_fed;
  logic [6:0]  trace_retire;

  esp_top_pico u_machine (
    .clk_i, .rst_ni,
    .s_axil_awaddr_i(address_q[11:0]), .s_axil_awvalid_i(state_q == StRegWrite),
    .s_axil_awready_o(awready), .s_axil_wdata_i(value_q), .s_axil_wstrb_i(4'hF),
    .s_axil_wvalid_i(state_q == StRegWrite), .s_axil_wready_o(wready),
    .s_axil_bresp_o(bresp), .s_axil_bvalid_o(bvalid), .s_axil_bready_i(state_q == StRegAnswer),
    .s_axil_araddr_i(address_q[11:0]), .s_axil_arvalid_i(state_q == StRegRead),
    .s_axil_arready_o(arready), .s_axil_rdata_o(rdata), .s_axil_rresp_o(rresp),
    .s_axil_rvalid_o(rvalid), .s_axil_rready_i(state_q == StRegValue),
    .m_axi_araddr_o(m_araddr), .m_axi_arlen_o(arlen), .m_axi_arsize_o(arsize),
    .m_axi_arburst_o(arburst), .m_axi_arvalid_o(m_arvalid), .m_axi_arready_i(m_arready),
    .m_axi_rdata_i(mem_rdata), .m_axi_rresp_i(m_rresp), .m_axi_rlast_i(1'b1),
    .m_axi_rvalid_i(m_rvalid), .m_axi_rready_o(m_rready),
    .m_axi_awaddr_o(m_awaddr), .m_axi_awlen_o(awlen), .m_axi_awsize_o(awsize),
    .m_axi_awburst_o(awburst), .m_axi_awvalid_o(m_awvalid), .m_axi_awready_i(m_awready),
    .m_axi_wdata_o(m_wdata), .m_axi_wstrb_o(wstrb), .m_axi_wlast_o(wlast),
    .m_axi_wvalid_o(m_wvalid), .m_axi_wready_i(m_wready),
    .m_axi_bresp_i(m_bresp), .m_axi_bvalid_i(m_bvalid), .m_axi_bready_o(m_bready),
    .irq_o,
    .trace_layer_o(trace_layer), .trace_layer_valid_o(trace_layer_valid),
    .trace_retire_o(trace_retire), .trace_fed_o(trace_fed)
  );

  esp_ice40_memory #(.Words(MemoryWords)) u_memory (
    .clk_i, .rst_ni,
    .host_ren_i(state_q == StMemRead), .host_wen_i(state_q == StMemWrite),
    .host_addr_i(address_q[AddrBits:1]), .host_wdata_i(value_q[31:16]), .rdata_o(mem_rdata),
    .araddr_i(m_araddr), .arvalid_i(m_arvalid), .arready_o(m_arready), .rresp_o(m_rresp),
    .rvalid_o(m_rvalid), .rready_i(m_rready),
    .awaddr_i(m_awaddr), .awvalid_i(m_awvalid), .awready_o(m_awready), .wdata_i(m_wdata),
    .wvalid_i(m_wvalid), .wready_o(m_wready), .bresp_o(m_bresp), .bvalid_o(m_bvalid),
    .bready_i(m_bready)
  );

  // `pico` sends bursts of one whole beat; every register access is answered OKAY.
  logic unused;
  assign unused = ^{arlen, awlen, arsize, awsize, arburst, awburst, wstrb, wlast, wready, bresp, rresp,
                    trace_layer, trace_layer_valid, trace_retire, trace_fed, address_q};

endmodule

`default_nettype wire
