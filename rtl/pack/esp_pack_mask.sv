// The bit maps of a layer on chip: reads one block's map, and counts what is left of both sides.
//
// Maps are 64 bits each (docs/pack.md, section 5): those of the k blocks, then those of the n blocks.
// `read_i` with an index: its map stands at map_o and end_o in the next cycle, until the next read.
// `scan_i` (a pulse) walks all of them, two cycles each, and counts the blocks that are left: every
// segment's live lanes, rounded up to a block. `scanned_o` is high when it is done, until the next.
// Reset and clear_i end a scan.
// Implements docs/pack.md, section 5.

`default_nettype none

module esp_pack_mask #(
  parameter int unsigned Lanes = 16,
  parameter int unsigned Blocks = 512,
  parameter int unsigned AddrBits = 10,
  parameter int unsigned Base = 0,              // RAM word of the first map
  localparam int unsigned Width = (Lanes < 8) ? 64 : 8 * Lanes,
  localparam int unsigned PartBits = $clog2(Width / 64),
  localparam int unsigned IndexBits = $clog2(Blocks),
  localparam int unsigned LaneBits = $clog2(Lanes)
) (
  input  wire logic                 clk_i,
  input  wire logic                 rst_ni,
  input  wire logic                 clear_i,

  input  wire logic                 scan_i,
  input  wire logic [11:0]          k_blocks_i,
  input  wire logic [11:0]          n_blocks_i,
  output logic                      scanned_o,
  output logic      [11:0]          k_live_o,
  output logic      [11:0]          n_live_o,

  input  wire logic                 read_i,      // not during a scan
  input  wire logic [IndexBits-1:0] index_i,
  output logic      [Lanes-1:0]     map_o,
  output logic                      end_o,

  output logic                      ren_o,
  output logic      [AddrBits-1:0]  raddr_o,
  input  wire logic [Width-1:0]     rdata_i
);

  logic                 scan_q, done_q, here_q, side_q;
  logic [IndexBits-1:0] index_q, index;
  logic [11:0]          left_q, live_q, k_live_q;
  logic [LaneBits-1:0]  lanes_q;       // of the segment, past its full blocks
  logic [LaneBits:0]    count;
  logic [LaneBits+1:0]  lanes;
  logic [1:0]           more;
  logic                 segment_end;

  assign index = scan_q ? index_q : index_i;
  assign ren_o = read_i || (scan_q && !here_q);

  if (PartBits == 0) begin : gen_one
    assign raddr_o = AddrBits'(Base) + AddrBits'(index);
    assign map_o = rdata_i[Lanes-1:0];
    assign end_o = rdata_i[32];
  end else begin : gen_several
    logic [PartBits-1:0] part_q;
    assign raddr_o = AddrBits'(Base) + AddrBits'(index >> PartBits);
    assign map_o = rdata_i[part_q*64 +: Lanes];
    assign end_o = rdata_i[part_q*64 + 32];
    always_ff @(posedge clk_i) begin
      if (ren_o) part_q <= index[PartBits-1:0];
    end
  end

  always_comb begin
    count = '0;
    if (here_q) begin
      for (int i = 0; i < Lanes; i++) count = count + {{LaneBits{1'b0}}, map_o[i]};
    end
  end

  assign segment_end = end_o || left_q == 12'd1;
  assign lanes = {2'b0, lanes_q} + {1'b0, count};
  // Blocks that are full now, and at a segment's end the one that is not.
  assign more = segment_end ? 2'(lanes >> LaneBits) + 2'(lanes[LaneBits-1:0] != '0)
                            : 2'(lanes >> LaneBits);

  assign scanned_o = done_q;
  assign k_live_o = k_live_q;
  assign n_live_o = live_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      scan_q <= 1'b0;
      done_q <= 1'b0;
      here_q <= 1'b0;
    end else if (clear_i) begin
      scan_q <= 1'b0;
      done_q <= 1'b0;
      here_q <= 1'b0;
    end else begin
      here_q <= scan_q && !here_q;
      if (scan_i) begin
        scan_q <= 1'b1;
        done_q <= 1'b0;
      end else if (here_q && left_q == 12'd1 && side_q) begin
        scan_q <= 1'b0;
        done_q <= 1'b1;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (scan_i) begin
      index_q <= '0;
      side_q <= 1'b0;
      left_q <= k_blocks_i;
      live_q <= '0;
      lanes_q <= '0;
    end else if (here_q) begin
      index_q <= index_q + 1'b1;
      left_q <= left_q - 12'd1;
      live_q <= live_q + 12'(more);
      lanes_q <= segment_end ? '0 : lanes[LaneBits-1:0];
      if (left_q == 12'd1 && !side_q) begin
        side_q <= 1'b1;
        left_q <= n_blocks_i;
        k_live_q <= live_q + 12'(more);
        live_q <= '0;
      end
    end
  end

  // Maps have spare bits.
  logic unused;
  assign unused = ^{rdata_i, index};

endmodule

`default_nettype wire
