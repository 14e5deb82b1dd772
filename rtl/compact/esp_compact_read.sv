// Shares the AXI read channels of the compact core: one beat at a time, three clients.
//
// A client holds req_valid_i and its address until r_valid_o brings the data; client 2 goes before 1
// before 0. Each beat is checked against the window: outside is window_o (which client: client_o), from the
// cycle after the check until halt_i, and nothing is asked for. Under halt_i nothing new is asked for and
// data are dropped. quiet_o: nothing is under way. Implements docs/ice40.md.

`default_nettype none
`include "esp_ff.svh"

module esp_compact_read #(
  parameter int unsigned AddressBits = 20
) (
  input  wire logic                     clk_i,
  input  wire logic                     rst_ni,
  input  wire logic                     halt_i,

  input  wire logic [AddressBits:0]     window_low_i,
  input  wire logic [AddressBits:0]     window_high_i,

  input  wire logic [esp_isa_pkg::READERS-1:0] req_valid_i,
  input  wire logic [3*AddressBits-1:0] req_address_i,
  output logic      [esp_isa_pkg::READERS-1:0] r_valid_o,
  output logic                          beat_o,
  output logic                          quiet_o,
  output logic                          window_o,
  output logic                          response_o,
  output logic      [1:0]               client_o,

  output logic      [AddressBits-1:0]   araddr_o,
  output logic                          arvalid_o,
  input  wire logic                     arready_i,
  input  wire logic [1:0]               rresp_i,
  input  wire logic                     rvalid_i
);

  if (AddressBits < 12 || AddressBits > 20) begin : gen_parameters
    $error("esp_compact_read: AddressBits is 12 to 20");
  end

  typedef enum logic [2:0] {StIdle, StCheck, StOutside, StAddress, StData} state_e;

  state_e                 state_q;
  logic [1:0]             client_q;
  logic [AddressBits-1:0] address_q;
  logic                   in_window, deliver;

  // Addresses are even: base registers hold multiples of 32, the program's one of 16.
  assign in_window = {1'b0, address_q} >= window_low_i
                  && {1'b0, address_q[AddressBits-1:1], 1'b1} < window_high_i;
  assign window_o = state_q == StOutside && !halt_i;
  assign beat_o = state_q == StData && rvalid_i;
  assign response_o = beat_o && rresp_i != 2'b00;
  assign deliver = beat_o && !response_o && !halt_i;
  assign r_valid_o[esp_isa_pkg::ReadFetch] = deliver && client_q == esp_isa_pkg::ReadFetch;
  assign r_valid_o[esp_isa_pkg::ReadLoadA] = deliver && client_q == esp_isa_pkg::ReadLoadA;
  assign r_valid_o[esp_isa_pkg::ReadLoadW] = deliver && client_q == esp_isa_pkg::ReadLoadW;
  assign client_o = client_q;
  assign quiet_o = state_q == StIdle || state_q == StCheck || state_q == StOutside;
  assign araddr_o = address_q;
  assign arvalid_o = state_q == StAddress;

  // Not cleared: a read under way is answered whatever happens.
  `ESP_FF(state_q <= StIdle;) begin
    case (state_q)
      StIdle: if (req_valid_i != '0 && !halt_i) state_q <= StCheck;
      StCheck: begin
        if (halt_i) state_q <= StIdle;
        else state_q <= in_window ? StAddress : StOutside;
      end
      StOutside: if (halt_i) state_q <= StIdle;
      StAddress: if (arready_i) state_q <= StData;
      default: if (rvalid_i) state_q <= StIdle;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (state_q == StIdle) begin
      if (req_valid_i[esp_isa_pkg::ReadLoadW]) begin
        client_q <= esp_isa_pkg::ReadLoadW;
        address_q <= req_address_i[esp_isa_pkg::ReadLoadW*AddressBits +: AddressBits];
      end else if (req_valid_i[esp_isa_pkg::ReadLoadA]) begin
        client_q <= esp_isa_pkg::ReadLoadA;
        address_q <= req_address_i[esp_isa_pkg::ReadLoadA*AddressBits +: AddressBits];
      end else begin
        client_q <= esp_isa_pkg::ReadFetch;
        address_q <= req_address_i[esp_isa_pkg::ReadFetch*AddressBits +: AddressBits];
      end
    end
  end

endmodule

`default_nettype wire
