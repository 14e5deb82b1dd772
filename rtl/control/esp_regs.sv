// The registers: AXI4-Lite, the state of the machine, the first fault, interrupts, counters.
//
// One access at a time each way; every access is answered OKAY, an unmapped one reads 0. Byte strobes
// are honoured. A write is taken into registers and done in the next cycle, one of CONTROL a cycle after
// that; a read is answered after four cycles. Start clears all engines and counters for one cycle, then
// raises `start_o`; a program of another configuration is a fault at once. `halt_o`: faulted or being reset;
// when nothing is under way any more (`quiet_i`), a reset by CONTROL clears, whatever the state in which it
// is written. Start is ignored while busy or faulted. clear_o and halt_o are registers. fault_i and what
// comes with it, progress_i and events_i are looked at a cycle after they came or later, as registers in
// front of them are (esp_core gathers faults in one).
// Base registers hold multiples of 32, PROGRAM_ADDRESS of 16; the low bits read 0.
// Counters have 48 bits and stand still unless a program runs.
// Implements docs/machine.md, section 5 (Faults) and docs/reference/registers.md.

`default_nettype none
`include "esp_assert.svh"
`include "esp_ff.svh"

module esp_regs #(
  parameter logic [31:0] ConfigHash = '0,
  parameter int unsigned AddressBits = 32,  // of registers that hold addresses; higher bits read 0
  parameter int unsigned Counters = esp_isa_pkg::COUNTERS,  // those above read 0
  parameter bit          Region4 = 1'b0     // BASE4 is there; otherwise it reads 0
) (
  input  wire logic         clk_i,
  input  wire logic         rst_ni,

  input  wire logic [11:0]  s_axil_awaddr_i,
  input  wire logic         s_axil_awvalid_i,
  output logic              s_axil_awready_o,
  input  wire logic [31:0]  s_axil_wdata_i,
  input  wire logic [3:0]   s_axil_wstrb_i,
  input  wire logic         s_axil_wvalid_i,
  output logic              s_axil_wready_o,
  output logic      [1:0]   s_axil_bresp_o,
  output logic              s_axil_bvalid_o,
  input  wire logic         s_axil_bready_i,
  input  wire logic [11:0]  s_axil_araddr_i,
  input  wire logic         s_axil_arvalid_i,
  output logic              s_axil_arready_o,
  output logic      [31:0]  s_axil_rdata_o,
  output logic      [1:0]   s_axil_rresp_o,
  output logic              s_axil_rvalid_o,
  input  wire logic         s_axil_rready_i,
  output logic              irq_o,

  output logic              start_o,
  output logic              clear_o,
  output logic              halt_o,
  output logic              running_o,
  input  wire logic         done_i,
  input  wire logic         quiet_i,

  output logic      [31:0]  program_address_o,
  output logic      [31:0]  program_words_o,
  output logic      [159:0] base_o,
  output logic      [31:0]  read_low_o,
  output logic      [31:0]  read_high_o,
  output logic      [31:0]  write_low_o,
  output logic      [31:0]  write_high_o,

  input  wire logic         fault_i,
  input  wire logic [3:0]   fault_cause_i,
  input  wire logic [2:0]   fault_engine_i,
  input  wire logic [31:0]  fault_address_i,
  input  wire logic         progress_i,      // a beat moved or an instruction retired
  input  wire logic [31:0]  decode_address_i,

  input  wire logic [esp_isa_pkg::COUNTERS-1:1] events_i
);

  if (AddressBits < 12 || AddressBits > 32) begin : gen_parameters_0
    $error("esp_regs: AddressBits is 12 to 32");
  end
  if (Counters == 0 || Counters > esp_isa_pkg::COUNTERS) begin : gen_parameters_1
    $error("esp_regs: Counters is 1 to esp_isa_pkg::COUNTERS");
  end

  typedef enum logic [2:0] {
    StIdle  = 3'd0,
    StClear = 3'd1,   // before a program
    StStart = 3'd2,
    StRun   = 3'd3,
    StFault = 3'd4,
    StReset = 3'd5,   // by CONTROL: waits for bursts under way
    StWipe  = 3'd6    // and clears
  } state_e;

  state_e       state_q, state_d;
  logic         done_q;
  logic [1:0]   irq_enable_q, irq_status_q;
  logic [31:0]  program_hash_q, program_address_q, program_words_q;
  logic [31:0]  base0_q, base1_q, base2_q, base3_q, base4;
  logic [31:0]  read_low_q, read_high_q, write_low_q, write_high_q, watchdog_q, idle_q;
  logic [3:0]   cause_q;
  logic [2:0]   fault_engine_q;
  logic [31:0]  fault_address_q;

  // A window's end may lie one past the last address.
  localparam logic [31:0] Address = 32'((33'd1 << AddressBits) - 33'd1);
  localparam logic [31:0] Window = 32'((34'd2 << AddressBits) - 34'd1);

  // Writes: address and data together, done from registers and answered a cycle later.
  logic        write_q, b_valid_q, take_write;
  logic [3:0]  strobe_q;
  logic [31:0] wdata_q;
  logic [9:0]  waddr_q, raddr_q;
  logic [1:0]  wdata;              // of CONTROL and IRQ_STATUS
  logic [31:0] wdata_address, wdata_window, wdata16, wdata32;  // the last two: multiples of 16, of 32
  logic [11:0] waddr, raddr;
  logic        control_start_q, control_reset_q;

  assign take_write = s_axil_awvalid_i && s_axil_wvalid_i && !write_q && !b_valid_q;
  assign waddr = {waddr_q, 2'b00};
  assign wdata = wdata_q[1:0] & {2{strobe_q[0]}};
  assign wdata_address = wdata_q & Address;
  assign wdata_window = wdata_q & Window;
  assign wdata16 = {wdata_address[31:4], 4'd0};
  assign wdata32 = {wdata_address[31:5], 5'd0};
  assign s_axil_awready_o = take_write;
  assign s_axil_wready_o = take_write;
  assign s_axil_bresp_o = 2'b00;
  assign s_axil_bvalid_o = b_valid_q;

  `ESP_FF(begin
    write_q <= 1'b0;
    b_valid_q <= 1'b0;
    control_start_q <= 1'b0;
    control_reset_q <= 1'b0;
  end) begin
    write_q <= take_write;
    control_start_q <= write_q && waddr == esp_regs_pkg::CONTROL && wdata[0];
    control_reset_q <= write_q && waddr == esp_regs_pkg::CONTROL && wdata[1];
    if (write_q) b_valid_q <= 1'b1;
    else if (s_axil_bready_i) b_valid_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (take_write) begin
      waddr_q <= s_axil_awaddr_i[11:2];
      wdata_q <= s_axil_wdata_i;
      strobe_q <= s_axil_wstrb_i;
    end
  end

  // Reads: the address, two cycles for a counter, the answer.
  logic        take_read, r_valid_q, is_counter;
  logic [2:0]  reading_q;          // one hot
  logic [31:0] r_data_q, r_data;

  assign take_read = s_axil_arvalid_i && reading_q == '0 && !r_valid_q;
  assign raddr = {raddr_q, 2'b00};
  assign s_axil_arready_o = take_read;
  assign s_axil_rresp_o = 2'b00;
  assign s_axil_rvalid_o = r_valid_q;
  assign s_axil_rdata_o = r_data_q;

  `ESP_FF(begin
    reading_q <= '0;
    r_valid_q <= 1'b0;
  end) begin
    reading_q <= {reading_q[1:0], take_read};
    if (reading_q[2]) r_valid_q <= 1'b1;
    else if (s_axil_rready_i) r_valid_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (take_read) raddr_q <= s_axil_araddr_i[11:2];
    if (reading_q[1]) r_data_q <= r_data;
    else if (reading_q[2] && is_counter) begin
      r_data_q <= counter_offset[2] ? {16'd0, counter[47:32]} : counter[31:0];
    end
  end

  `ESP_FF(begin
    irq_enable_q <= '0;
    program_hash_q <= '0;
    program_address_q <= '0;
    program_words_q <= '0;
    base0_q <= '0;
    base1_q <= '0;
    base2_q <= '0;
    base3_q <= '0;
    read_low_q <= '0;
    read_high_q <= '0;
    write_low_q <= '0;
    write_high_q <= '0;
    watchdog_q <= '0;
  end)
    if (write_q) begin
      for (int b = 0; b < 4; b++) begin
        if (strobe_q[b]) begin
          case (waddr)
            esp_regs_pkg::IRQ_ENABLE: if (b == 0) irq_enable_q <= wdata_q[1:0];
            esp_regs_pkg::PROGRAM_HASH: program_hash_q[8*b +: 8] <= wdata_q[8*b +: 8];
            esp_regs_pkg::PROGRAM_ADDRESS: program_address_q[8*b +: 8] <= wdata16[8*b +: 8];
            esp_regs_pkg::PROGRAM_WORDS: program_words_q[8*b +: 8] <= wdata_address[8*b +: 8];
            esp_regs_pkg::BASE0: base0_q[8*b +: 8] <= wdata32[8*b +: 8];
            esp_regs_pkg::BASE1: base1_q[8*b +: 8] <= wdata32[8*b +: 8];
            esp_regs_pkg::BASE2: base2_q[8*b +: 8] <= wdata32[8*b +: 8];
            esp_regs_pkg::BASE3: base3_q[8*b +: 8] <= wdata32[8*b +: 8];
            esp_regs_pkg::READ_LOW: read_low_q[8*b +: 8] <= wdata_window[8*b +: 8];
            esp_regs_pkg::READ_HIGH: read_high_q[8*b +: 8] <= wdata_window[8*b +: 8];
            esp_regs_pkg::WRITE_LOW: write_low_q[8*b +: 8] <= wdata_window[8*b +: 8];
            esp_regs_pkg::WRITE_HIGH: write_high_q[8*b +: 8] <= wdata_window[8*b +: 8];
            esp_regs_pkg::WATCHDOG: watchdog_q[8*b +: 8] <= wdata_q[8*b +: 8];
            default: ;
          endcase
        end
      end
    end

  if (Region4) begin : gen_base4
    logic [31:0] base4_q;
    `ESP_FF(base4_q <= '0;)
      if (write_q && waddr == esp_regs_pkg::BASE4) begin
        for (int b = 0; b < 4; b++) begin
          if (strobe_q[b]) base4_q[8*b +: 8] <= wdata32[8*b +: 8];
        end
      end
    assign base4 = base4_q;
  end else begin : gen_no_base4
    assign base4 = '0;
  end

  // State.
  logic         foreign_q, hung_q, progress_q, raise;
  logic [3:0]   raise_cause;
  logic [2:0]   raise_engine;
  logic [31:0]  raise_address;

  // The hash is there long before a start.
  always_ff @(posedge clk_i) foreign_q <= program_hash_q != ConfigHash;

  always_comb begin
    raise = 1'b0;
    raise_cause = fault_cause_i;
    raise_engine = fault_engine_i;
    raise_address = fault_address_i;
    if (state_q == StClear && foreign_q) begin
      raise = 1'b1;
      raise_cause = esp_isa_pkg::FaultConfiguration;
      raise_engine = esp_isa_pkg::EngNone;
      raise_address = program_address_q;
    end else if (state_q == StRun && fault_i) begin
      raise = 1'b1;
    end else if (state_q == StRun && hung_q && !done_i) begin
      raise = 1'b1;
      raise_cause = esp_isa_pkg::FaultWatchdog;
      raise_engine = esp_isa_pkg::EngNone;
      raise_address = decode_address_i;
    end
  end

  always_comb begin
    state_d = state_q;
    case (state_q)
      StIdle: begin
        if (control_reset_q) state_d = StReset;
        else if (control_start_q) state_d = StClear;
      end
      StClear: begin
        if (control_reset_q) state_d = StReset;
        else state_d = raise ? StFault : StStart;
      end
      StStart: state_d = control_reset_q ? StReset : StRun;
      StRun: begin
        if (control_reset_q) state_d = StReset;
        else if (raise) state_d = StFault;
        else if (done_i) state_d = StIdle;
      end
      StFault: if (control_reset_q) state_d = StReset;
      StReset: if (quiet_i) state_d = StWipe;
      default: state_d = StIdle;
    endcase
  end

  assign start_o = state_q == StStart;
  assign running_o = state_q == StRun;

  `ESP_FF(begin
    state_q <= StIdle;
    done_q <= 1'b0;
    irq_status_q <= '0;
    irq_o <= 1'b0;
    clear_o <= 1'b0;
    halt_o <= 1'b0;
    progress_q <= 1'b0;
    hung_q <= 1'b0;
    cause_q <= '0;
    fault_engine_q <= esp_isa_pkg::EngNone;
    fault_address_q <= '0;
    idle_q <= '0;
  end) begin
    state_q <= state_d;
    clear_o <= state_d == StClear || state_d == StWipe;
    halt_o <= state_d == StFault || state_d == StReset || state_d == StWipe;
    irq_o <= (irq_status_q & irq_enable_q) != '0;
    if (write_q && waddr == esp_regs_pkg::IRQ_STATUS) irq_status_q <= irq_status_q & ~wdata;
    if (clear_o) begin
      done_q <= 1'b0;
      cause_q <= '0;
      fault_engine_q <= esp_isa_pkg::EngNone;
      fault_address_q <= '0;
    end
    if (state_q == StRun && state_d == StIdle) begin
      done_q <= 1'b1;
      irq_status_q[0] <= 1'b1;
    end
    if (state_d == StFault && state_q != StFault) begin
      irq_status_q[1] <= 1'b1;
      cause_q <= raise_cause;
      fault_engine_q <= raise_engine;
      fault_address_q <= raise_address;
    end
    progress_q <= progress_i || state_q != StRun;
    if (progress_q) idle_q <= '0;
    else idle_q <= idle_q + 1'b1;
    hung_q <= watchdog_q != '0 && idle_q >= watchdog_q && !progress_q;
  end

  // Counters; number 0 counts the cycles of the run.
  logic [47:0] counter;
  logic [11:0] counter_offset;
  logic [esp_isa_pkg::COUNTERS-1:0] events_q;
  assign counter_offset = raddr - esp_regs_pkg::COUNTERS_BASE;
  assign is_counter = raddr >= esp_regs_pkg::COUNTERS_BASE
                   && 32'(counter_offset[11:3]) < esp_isa_pkg::COUNTERS;

  `ESP_FF(events_q <= '0;) events_q <= running_o ? {events_i, 1'b1} : '0;

  esp_counters #(.Counters(Counters)) u_counters (
    .clk_i, .rst_ni, .clear_i(state_q == StClear), .events_i(events_q),
    .read_i(reading_q[0] || reading_q[1]), .index_i(counter_offset[7:3]), .count_o(counter)
  );

  always_comb begin
    r_data = '0;
    if (`ESP_WHEN(reading_q[1])) begin
      case (raddr)
        esp_regs_pkg::ID: r_data = esp_regs_pkg::ID_VALUE;
        esp_regs_pkg::VERSION: r_data = esp_isa_pkg::ISA_VERSION;
        esp_regs_pkg::CONFIG_HASH: r_data = ConfigHash;
        esp_regs_pkg::STATUS: r_data = {28'd0, !quiet_i, state_q == StFault, done_q,
                                        !(state_q == StIdle || state_q == StFault)};
        esp_regs_pkg::IRQ_ENABLE: r_data = {30'd0, irq_enable_q};
        esp_regs_pkg::IRQ_STATUS: r_data = {30'd0, irq_status_q};
        esp_regs_pkg::PROGRAM_HASH: r_data = program_hash_q;
        esp_regs_pkg::PROGRAM_ADDRESS: r_data = program_address_q;
        esp_regs_pkg::PROGRAM_WORDS: r_data = program_words_q;
        esp_regs_pkg::BASE0: r_data = base0_q;
        esp_regs_pkg::BASE1: r_data = base1_q;
        esp_regs_pkg::BASE2: r_data = base2_q;
        esp_regs_pkg::BASE3: r_data = base3_q;
        esp_regs_pkg::BASE4: r_data = base4;
        esp_regs_pkg::READ_LOW: r_data = read_low_q;
        esp_regs_pkg::READ_HIGH: r_data = read_high_q;
        esp_regs_pkg::WRITE_LOW: r_data = write_low_q;
        esp_regs_pkg::WRITE_HIGH: r_data = write_high_q;
        esp_regs_pkg::WATCHDOG: r_data = watchdog_q;
        esp_regs_pkg::FAULT_CAUSE: r_data = {28'd0, cause_q};
        esp_regs_pkg::FAULT_ADDRESS: r_data = fault_address_q;
        esp_regs_pkg::FAULT_ENGINE: r_data = {29'd0, fault_engine_q};
        default: ;
      endcase
    end
  end

  assign program_address_o = program_address_q;
  assign program_words_o = program_words_q;
  assign base_o = {base4, base3_q, base2_q, base1_q, base0_q};
  assign read_low_o = read_low_q;
  assign read_high_o = read_high_q;
  assign write_low_o = write_low_q;
  assign write_high_o = write_high_q;

  // Addresses of bytes within a word.
  logic unused;
  assign unused = ^{s_axil_awaddr_i[1:0], s_axil_araddr_i[1:0], counter_offset[1:0]};

endmodule

`default_nettype wire
