# From sources to a bitstream for a Zynq Z7020: packages the IP, connects it to the processing system
# (registers: M_AXI_GP0; memory: S_AXI_HP0, 64 bits; interrupt: IRQ_F2P), implements, reports.
#
#   vivado -mode batch -source synth/vivado/build.tcl -tclargs -clock 100 -jobs 4
#
# -part      device
# -board     a board part whose preset sets DDR and pins (vivado's get_board_parts lists them);
#            empty: DDR as Vivado's defaults have it, for area and timing only
# -clock     MHz
# -base      where the processor sees the registers
# -jobs      processes
# -out       where everything goes: espalier.bit, espalier.xsa, utilisation.rpt, timing.rpt, ...

set here [file normalize [file dirname [info script]]]
set root [file dirname [file dirname $here]]
source $here/sources.tcl
array set option [espalier_options $argv [list -part xc7z020clg400-1 -board {} -clock 100 \
  -base 0x43C00000 -jobs 2 -out $root/build/vivado]]
set out [file normalize $option(-out)]
file mkdir $out

set argv [list -out $out/ip -part $option(-part)]
source $here/package_ip.tcl

create_project -force -part $option(-part) espalier $out/project
if {$option(-board) ne {}} {set_property board_part $option(-board) [current_project]}
set_property ip_repo_paths $out/ip/core [current_project]
update_ip_catalog

create_bd_design system
set ps [create_bd_cell -type ip -vlnv xilinx.com:ip:processing_system7:5.5 ps]
set preset [expr {$option(-board) ne {} ? 1 : 0}]
apply_bd_automation -rule xilinx.com:bd_rule:processing_system7 \
  -config [list make_external {FIXED_IO, DDR} apply_board_preset $preset Master Disable \
    Slave Disable] $ps
set_property -dict [list \
  CONFIG.PCW_USE_M_AXI_GP0 1 \
  CONFIG.PCW_USE_S_AXI_HP0 1 \
  CONFIG.PCW_S_AXI_HP0_DATA_WIDTH 64 \
  CONFIG.PCW_USE_FABRIC_INTERRUPT 1 \
  CONFIG.PCW_IRQ_F2P_INTR 1 \
  CONFIG.PCW_EN_CLK0_PORT 1 \
  CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ $option(-clock)] $ps

create_bd_cell -type ip -vlnv espalier:user:espalier_zynq:1.0 espalier
create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset:5.0 reset
foreach {name} {registers memory} {
  set_property -dict {CONFIG.NUM_SI 1 CONFIG.NUM_MI 1} \
    [create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect:1.0 $name]
}

# Interfaces: master, slave.
foreach {from to} {
  ps/M_AXI_GP0       registers/S00_AXI
  registers/M00_AXI  espalier/s_axi
  espalier/m_axi     memory/S00_AXI
  memory/M00_AXI     ps/S_AXI_HP0
} {
  connect_bd_intf_net [get_bd_intf_pins $from] [get_bd_intf_pins $to]
}

# One clock, and a reset that is synchronous to it.
foreach pin {ps/M_AXI_GP0_ACLK ps/S_AXI_HP0_ACLK espalier/aclk registers/aclk memory/aclk
             reset/slowest_sync_clk} {
  connect_bd_net [get_bd_pins ps/FCLK_CLK0] [get_bd_pins $pin]
}
connect_bd_net [get_bd_pins ps/FCLK_RESET0_N] [get_bd_pins reset/ext_reset_in]
foreach pin {espalier/aresetn registers/aresetn memory/aresetn} {
  connect_bd_net [get_bd_pins reset/peripheral_aresetn] [get_bd_pins $pin]
}
connect_bd_net [get_bd_pins espalier/irq] [get_bd_pins ps/IRQ_F2P]

assign_bd_address -offset $option(-base) -range 4K \
  -target_address_space [get_bd_addr_spaces ps/Data] \
  [get_bd_addr_segs espalier/s_axi/registers]
assign_bd_address -target_address_space [get_bd_addr_spaces espalier/m_axi] \
  [get_bd_addr_segs ps/S_AXI_HP0/HP0_DDR_LOWOCM]
validate_bd_design
save_bd_design

set design [get_files system.bd]
generate_target all $design
add_files -norecurse [make_wrapper -files $design -top]
set_property top system_wrapper [get_filesets sources_1]
add_files -fileset constrs_1 -norecurse $here/espalier.xdc
update_compile_order -fileset sources_1

set_property strategy Performance_ExplorePostRoutePhysOpt [get_runs impl_1]
launch_runs synth_1 -jobs $option(-jobs)
wait_on_run synth_1
if {[get_property PROGRESS [get_runs synth_1]] ne {100%}} {error "synthesis failed"}
launch_runs impl_1 -to_step write_bitstream -jobs $option(-jobs)
wait_on_run impl_1
if {[get_property PROGRESS [get_runs impl_1]] ne {100%}} {error "implementation failed"}

open_run impl_1
report_utilization -file $out/utilisation.rpt
report_utilization -hierarchical -file $out/utilisation_by_module.rpt
report_timing_summary -max_paths 20 -file $out/timing.rpt
report_power -file $out/power.rpt
set slack [get_property STATS.WNS [get_runs impl_1]]
file copy -force [get_property DIRECTORY [get_runs impl_1]]/system_wrapper.bit $out/espalier.bit
write_hw_platform -fixed -include_bit -force $out/espalier.xsa
puts "espalier: $out/espalier.bit, worst slack $slack ns at $option(-clock) MHz"
if {$slack < 0} {error "timing is not met: worst slack $slack ns at $option(-clock) MHz"}
