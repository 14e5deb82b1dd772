# Packages the zynq configuration as an IP: espalier:user:espalier_zynq:1.0, with its component.xml,
# in OUT. Interfaces, clock and reset are those of the attributes in espalier_zynq.v.
#
#   vivado -mode batch -source synth/vivado/package_ip.tcl -tclargs -out build/vivado/ip

set here [file normalize [file dirname [info script]]]
set root [file dirname [file dirname $here]]
source $here/sources.tcl
array set option [espalier_options $argv \
  [list -out $root/build/vivado/ip -part xc7z020clg400-1]]

create_project -force -part $option(-part) espalier_ip $option(-out)/project
set_property target_language Verilog [current_project]
add_files -norecurse [espalier_sources $root]
add_files -norecurse [espalier_headers $root]
add_files -norecurse $here/espalier_zynq.v
set_property file_type SystemVerilog [get_files *.sv]
set_property file_type {Verilog Header} [get_files *.svh]
set_property verilog_define {SYNTHESIS=1} [get_filesets sources_1]
set_property include_dirs $root/rtl/common [get_filesets sources_1]
set_property top espalier_zynq [get_filesets sources_1]
add_files -fileset constrs_1 -norecurse $here/espalier_zynq_ooc.xdc
set_property USED_IN {synthesis implementation out_of_context} [get_files espalier_zynq_ooc.xdc]
update_compile_order -fileset sources_1

ipx::package_project -root_dir $option(-out)/core -vendor espalier -library user \
  -taxonomy /UserIP -import_files -set_current true -force
set core [ipx::current_core]
set_property name espalier_zynq $core
set_property version 1.0 $core
set_property display_name {Espalier, zynq configuration} $core
set_property description {INT8 accelerator for neural networks, 16 x 16} $core
set_property supported_families {zynq Production} $core

# What the attributes say, said again: a clock and a reset for both AXI interfaces.
foreach interface {s_axi m_axi} {
  ipx::associate_bus_interfaces -busif $interface -clock aclk -reset aresetn $core
}

# 4 KiB of registers behind s_axi; all that 32 bits address behind m_axi.
ipx::remove_all_memory_map $core
set map [ipx::add_memory_map s_axi $core]
set_property slave_memory_map_ref s_axi [ipx::get_bus_interfaces s_axi -of_objects $core]
set block [ipx::add_address_block registers $map]
set_property usage register $block
set_property base_address 0 $block
set_property range 4096 $block
set_property width 32 $block
if {[llength [ipx::get_address_spaces m_axi -of_objects $core]] == 0} {
  ipx::add_address_space m_axi $core
}
set_property master_address_space_ref m_axi [ipx::get_bus_interfaces m_axi -of_objects $core]
set space [ipx::get_address_spaces m_axi -of_objects $core]
set_property range 4294967296 $space
set_property width 32 $space

set_property core_revision 1 $core
ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
close_project
puts "espalier: IP in $option(-out)/core"
