// Simulation model of CARRY4, in place of that of Yosys' cells_sim.v: its carries are wires of their
// own there, no vector of which one bit depends on another. Verilator 5.006 takes such a vector for a
// combinational loop (UNOPTFLAT) and does not settle it where it depends on inputs of the top.

`default_nettype none

module CARRY4 (
  output wire [3:0] CO,
  output wire [3:0] O,
  input  wire       CI,
  input  wire       CYINIT,
  input  wire [3:0] DI,
  input  wire [3:0] S
);

  wire c0, c1, c2, c3, c4;

  assign c0 = CI | CYINIT;
  assign c1 = S[0] ? c0 : DI[0];
  assign c2 = S[1] ? c1 : DI[1];
  assign c3 = S[2] ? c2 : DI[2];
  assign c4 = S[3] ? c3 : DI[3];
  assign O = S ^ {c3, c2, c1, c0};
  assign CO = {c4, c3, c2, c1};

endmodule

`default_nettype wire
