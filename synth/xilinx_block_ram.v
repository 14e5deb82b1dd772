// Simulation models of the 7-series block RAMs, which are empty in Yosys' cells_sim.v: what
// synth_xilinx makes of this project's memories, after Xilinx UG473 (7 Series Memory Resources).
//
// A byte stands with its parity bit, so that words of 9, 18, 36 and 72 bits are 1, 2, 4 and 8 bytes;
// other widths, output registers and cascades stop the simulation. TDP: each port reads and writes by
// its own write mode. SDP: port A reads, port B writes; the widest word goes over both ports' pins. Both
// ports read what was there before the edge. Initial contents are not modelled.

`default_nettype none

module esp_sim_block_ram #(
  parameter integer KIB = 4,  // 4 (RAMB36E1) or 2 (RAMB18E1)
  parameter RAM_MODE = "TDP",
  parameter integer READ_WIDTH_A = 0,
  parameter integer READ_WIDTH_B = 0,
  parameter integer WRITE_WIDTH_A = 0,
  parameter integer WRITE_WIDTH_B = 0,
  parameter WRITE_MODE_A = "WRITE_FIRST",
  parameter WRITE_MODE_B = "WRITE_FIRST",
  parameter [71:0] SRVAL_A = 0,
  parameter [71:0] SRVAL_B = 0
) (
  input wire clk_a,
  input wire clk_b,
  input wire en_a,
  input wire en_b,
  input wire reset_a,
  input wire reset_b,
  input wire [14:0] address_a,  // in bits
  input wire [14:0] address_b,
  input wire [7:0] we_a,
  input wire [7:0] we_b,
  input wire [71:0] data_a,  // 9 bits a byte: parity, data
  input wire [71:0] data_b,
  output reg [71:0] q_a,
  output reg [71:0] q_b
);

  reg [8:0] bytes[0:KIB * 1024 - 1];

  function automatic integer width_bytes(input integer width);
    width_bytes = width == 0 ? 0 : width == 9 ? 1 : width == 18 ? 2 : width == 36 ? 4 : width == 72 ? 8 : -1;
  endfunction

  localparam integer RA = width_bytes(READ_WIDTH_A), RB = width_bytes(READ_WIDTH_B);
  localparam integer WA = width_bytes(WRITE_WIDTH_A), WB = width_bytes(WRITE_WIDTH_B);

  initial begin
    if (RA < 0 || RB < 0 || WA < 0 || WB < 0) begin
      $display("esp_sim_block_ram: a width is not 0, 9, 18, 36 or 72");
      $finish;
    end
  end

  // Address of the word that holds a byte, for words of n bytes.
  function automatic integer base(input [14:0] address, input integer n);
    base = n == 0 ? 0 : ({17'b0, address[14:3]} / n) * n;
  endfunction

  integer i;
  always @(posedge clk_a) begin
    if (en_a) begin
      for (i = 0; i < RA; i = i + 1) begin
        if (!(we_a[0] && WA != 0 && WRITE_MODE_A == "NO_CHANGE")) begin
          q_a[9*i+:9] <= we_a[i] && WA != 0 && WRITE_MODE_A == "WRITE_FIRST" ? data_a[9*i+:9]
                                                                       : bytes[base(address_a, RA)+i];
        end
      end
      for (i = 0; i < WA; i = i + 1) begin
        if (we_a[i]) bytes[base(address_a, WA)+i] <= data_a[9*i+:9];
      end
      if (reset_a) q_a <= SRVAL_A;
    end
  end

  integer j;
  always @(posedge clk_b) begin
    if (en_b) begin
      for (j = 0; j < RB; j = j + 1) begin
        if (!(we_b[0] && WB != 0 && WRITE_MODE_B == "NO_CHANGE")) begin
          q_b[9*j+:9] <= we_b[j] && WB != 0 && WRITE_MODE_B == "WRITE_FIRST" ? data_b[9*j+:9]
                                                                       : bytes[base(address_b, RB)+j];
        end
      end
      for (j = 0; j < WB; j = j + 1) begin
        if (we_b[j]) bytes[base(address_b, WB)+j] <= data_b[9*j+:9];
      end
      if (reset_b) q_b <= SRVAL_B;
    end
  end

endmodule

module RAMB36E1 #(
  parameter RAM_MODE = "TDP",
  parameter RAM_EXTENSION_A = "NONE",
  parameter RAM_EXTENSION_B = "NONE",
  parameter integer DOA_REG = 0,
  parameter integer DOB_REG = 0,
  parameter integer READ_WIDTH_A = 0,
  parameter integer READ_WIDTH_B = 0,
  parameter integer WRITE_WIDTH_A = 0,
  parameter integer WRITE_WIDTH_B = 0,
  parameter WRITE_MODE_A = "WRITE_FIRST",
  parameter WRITE_MODE_B = "WRITE_FIRST",
  parameter [71:0] SRVAL_A = 0,
  parameter [71:0] SRVAL_B = 0
) (
  input wire [15:0] ADDRARDADDR,
  input wire [15:0] ADDRBWRADDR,
  input wire CLKARDCLK,
  input wire CLKBWRCLK,
  input wire [31:0] DIADI,
  input wire [31:0] DIBDI,
  input wire [3:0] DIPADIP,
  input wire [3:0] DIPBDIP,
  output wire [31:0] DOADO,
  output wire [31:0] DOBDO,
  output wire [3:0] DOPADOP,
  output wire [3:0] DOPBDOP,
  input wire ENARDEN,
  input wire ENBWREN,
  input wire REGCEAREGCE,
  input wire REGCEB,
  input wire RSTRAMARSTRAM,
  input wire RSTRAMB,
  input wire RSTREGARSTREG,
  input wire RSTREGB,
  input wire [3:0] WEA,
  input wire [7:0] WEBWE
);
  function automatic [35:0] joined(input [3:0] parity, input [31:0] data);
    joined = {parity[3], data[31:24], parity[2], data[23:16], parity[1], data[15:8], parity[0], data[7:0]};
  endfunction
  function automatic [31:0] data_of(input [35:0] word);
    data_of = {word[34:27], word[25:18], word[16:9], word[7:0]};
  endfunction
  function automatic [3:0] parity_of(input [35:0] word);
    parity_of = {word[35], word[26], word[17], word[8]};
  endfunction

  wire [35:0] a = joined(DIPADIP, DIADI), b = joined(DIPBDIP, DIBDI);
  wire [71:0] q_a, q_b;

  initial begin
    if (DOA_REG != 0 || DOB_REG != 0 || RAM_EXTENSION_A != "NONE" || RAM_EXTENSION_B != "NONE") begin
      $display("RAMB36E1: output registers and cascades are not modelled");
      $finish;
    end
  end

  esp_sim_block_ram #(
    .KIB(4), .RAM_MODE(RAM_MODE), .READ_WIDTH_A(READ_WIDTH_A), .READ_WIDTH_B(READ_WIDTH_B),
    .WRITE_WIDTH_A(WRITE_WIDTH_A), .WRITE_WIDTH_B(WRITE_WIDTH_B), .WRITE_MODE_A(WRITE_MODE_A),
    .WRITE_MODE_B(WRITE_MODE_B), .SRVAL_A(SRVAL_A), .SRVAL_B(SRVAL_B)
  ) ram (
    .clk_a(CLKARDCLK), .clk_b(CLKBWRCLK), .en_a(ENARDEN), .en_b(ENBWREN), .reset_a(RSTRAMARSTRAM),
    .reset_b(RSTRAMB), .address_a(ADDRARDADDR[14:0]), .address_b(ADDRBWRADDR[14:0]),
    .we_a({4'b0, WEA}), .we_b(WEBWE), .data_a({36'b0, a}),
    .data_b(WRITE_WIDTH_B == 72 ? {b, a} : {36'b0, b}), .q_a(q_a), .q_b(q_b)
  );

  assign DOADO = data_of(q_a[35:0]);
  assign DOPADOP = parity_of(q_a[35:0]);
  assign DOBDO = data_of(READ_WIDTH_A == 72 ? q_a[71:36] : q_b[35:0]);
  assign DOPBDOP = parity_of(READ_WIDTH_A == 72 ? q_a[71:36] : q_b[35:0]);
endmodule

module RAMB18E1 #(
  parameter RAM_MODE = "TDP",
  parameter integer DOA_REG = 0,
  parameter integer DOB_REG = 0,
  parameter integer READ_WIDTH_A = 0,
  parameter integer READ_WIDTH_B = 0,
  parameter integer WRITE_WIDTH_A = 0,
  parameter integer WRITE_WIDTH_B = 0,
  parameter WRITE_MODE_A = "WRITE_FIRST",
  parameter WRITE_MODE_B = "WRITE_FIRST",
  parameter [71:0] SRVAL_A = 0,
  parameter [71:0] SRVAL_B = 0
) (
  input wire [13:0] ADDRARDADDR,
  input wire [13:0] ADDRBWRADDR,
  input wire CLKARDCLK,
  input wire CLKBWRCLK,
  input wire [15:0] DIADI,
  input wire [15:0] DIBDI,
  input wire [1:0] DIPADIP,
  input wire [1:0] DIPBDIP,
  output wire [15:0] DOADO,
  output wire [15:0] DOBDO,
  output wire [1:0] DOPADOP,
  output wire [1:0] DOPBDOP,
  input wire ENARDEN,
  input wire ENBWREN,
  input wire REGCEAREGCE,
  input wire REGCEB,
  input wire RSTRAMARSTRAM,
  input wire RSTRAMB,
  input wire RSTREGARSTREG,
  input wire RSTREGB,
  input wire [1:0] WEA,
  input wire [3:0] WEBWE
);
  wire [17:0] a = {DIPADIP[1], DIADI[15:8], DIPADIP[0], DIADI[7:0]};
  wire [17:0] b = {DIPBDIP[1], DIBDI[15:8], DIPBDIP[0], DIBDI[7:0]};
  wire [71:0] q_a, q_b;
  wire [17:0] high = READ_WIDTH_A == 36 ? q_a[35:18] : q_b[17:0];

  initial begin
    if (DOA_REG != 0 || DOB_REG != 0) begin
      $display("RAMB18E1: output registers are not modelled");
      $finish;
    end
  end

  esp_sim_block_ram #(
    .KIB(2), .RAM_MODE(RAM_MODE), .READ_WIDTH_A(READ_WIDTH_A), .READ_WIDTH_B(READ_WIDTH_B),
    .WRITE_WIDTH_A(WRITE_WIDTH_A), .WRITE_WIDTH_B(WRITE_WIDTH_B), .WRITE_MODE_A(WRITE_MODE_A),
    .WRITE_MODE_B(WRITE_MODE_B), .SRVAL_A(SRVAL_A), .SRVAL_B(SRVAL_B)
  ) ram (
    .clk_a(CLKARDCLK), .clk_b(CLKBWRCLK), .en_a(ENARDEN), .en_b(ENBWREN), .reset_a(RSTRAMARSTRAM),
    .reset_b(RSTRAMB), .address_a({1'b0, ADDRARDADDR}), .address_b({1'b0, ADDRBWRADDR}),
    .we_a({6'b0, WEA}), .we_b({4'b0, WEBWE}), .data_a({54'b0, a}),
    .data_b(WRITE_WIDTH_B == 36 ? {36'b0, b, a} : {54'b0, b}), .q_a(q_a), .q_b(q_b)
  );

  assign DOADO = {q_a[16:9], q_a[7:0]};
  assign DOPADOP = {q_a[17], q_a[8]};
  assign DOBDO = {high[16:9], high[7:0]};
  assign DOPBDOP = {high[17], high[8]};
endmodule

`default_nettype wire
