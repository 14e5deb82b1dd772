# Vivado's commands for the test of our scripts: each notes its call, and checks what can be checked
# without Vivado: files exist, cells were made, pins are ones that their cell has. A command that is
# not here is an error, so that a misspelt one is found.
#
#   tclsh vivado_stub.tcl SCRIPT [-name value ...]
#
# The ports and interfaces of our IP are read from the attributes in espalier_zynq.v.

set stub_calls {}
proc stub_note {args} {lappend ::stub_calls $args}

# An option's value in a list of arguments, or the default.
proc stub_option {arguments name {default {}}} {
  set at [lsearch -exact $arguments $name]
  return [expr {$at < 0 ? $default : [lindex $arguments [expr {$at + 1}]]}]
}
proc stub_file {path} {
  if {![file exists $path]} {error "no file $path"}
}
# The arguments that are neither flags nor values of these options.
proc stub_plain {arguments with_value} {
  set plain {}
  for {set i 0} {$i < [llength $arguments]} {incr i} {
    set word [lindex $arguments $i]
    if {$word in $with_value} {
      incr i
    } elseif {![string match -* $word]} {
      lappend plain $word
    }
  }
  return $plain
}

# Our IP's ports and interfaces.
proc stub_read_wrapper {path} {
  set file [open $path]
  set text [read $file]
  close $file
  foreach {- bus} [regexp -all -inline {aximm:1\.0 (\w+) AWADDR"} $text] {
    lappend ::stub_interfaces(espalier) $bus
  }
  foreach {- port} [regexp -all -inline {(?:input|output) +wire +(?:\[[^\]]*\] +)?(\w+)} $text] {
    lappend ::stub_pins(espalier) $port
  }
}

# What the kinds of cells have; `set_property` adds what a configuration enables.
array set stub_kind_interfaces {
  processing_system7 {M_AXI_GP0 S_AXI_HP0 DDR FIXED_IO}
  smartconnect       {S00_AXI M00_AXI}
  proc_sys_reset     {}
}
array set stub_kind_pins {
  processing_system7 {FCLK_CLK0 FCLK_RESET0_N M_AXI_GP0_ACLK S_AXI_HP0_ACLK IRQ_F2P}
  smartconnect       {aclk aresetn}
  proc_sys_reset     {slowest_sync_clk ext_reset_in peripheral_aresetn}
}
# Settings of the processing system without which a pin is not there.
array set stub_needs {
  M_AXI_GP0 PCW_USE_M_AXI_GP0  M_AXI_GP0_ACLK PCW_USE_M_AXI_GP0
  S_AXI_HP0 PCW_USE_S_AXI_HP0  S_AXI_HP0_ACLK PCW_USE_S_AXI_HP0
  IRQ_F2P PCW_IRQ_F2P_INTR     FCLK_CLK0 PCW_EN_CLK0_PORT
}
array set stub_settings {}
array set stub_driven {}

proc stub_pin {table what path} {
  upvar #0 $table have
  lassign [split $path /] cell pin
  if {![info exists have($cell)]} {error "no cell $cell"}
  if {$pin ni $have($cell)} {error "cell $cell has no $what $pin"}
  if {$cell eq {ps} && [info exists ::stub_needs($pin)] &&
      ![info exists ::stub_settings($::stub_needs($pin))]} {
    error "ps has no $what $pin: $::stub_needs($pin) is not set"
  }
  return $path
}

# Projects and files.
proc create_project {args} {stub_note create_project {*}$args}
proc close_project {} {stub_note close_project; set ::stub_files {}}
proc current_project {} {return project}
proc get_filesets {name} {
  if {$name ni {sources_1 constrs_1}} {error "no fileset $name"}
  return $name
}
proc add_files {args} {
  stub_note add_files {*}$args
  foreach list [stub_plain $args {-fileset}] {
    foreach file $list {
      stub_file $file
      lappend ::stub_files [file tail $file]
    }
  }
}
proc get_files {pattern} {
  set found [lsearch -all -inline -glob $::stub_files $pattern]
  if {$found eq {}} {error "no file is like $pattern"}
  return $found
}
proc update_compile_order {args} {stub_note update_compile_order {*}$args}
proc update_ip_catalog {} {stub_note update_ip_catalog}
proc set_property {args} {
  stub_note set_property {*}$args
  if {[lindex $args 0] eq {-dict}} {
    foreach {name value} [lindex $args 1] {
      if {![string match CONFIG.* $name]} {error "property $name is not a CONFIG"}
      set ::stub_settings([string range $name 7 end]) $value
    }
    return
  }
  lassign $args name value object
  if {$object eq {}} {error "set_property $name on nothing"}
  if {$name eq {include_dirs}} {stub_file $value}
  if {$name eq {top} && $value ne {system_wrapper} && "$value.v" ni $::stub_files} {
    error "top $value has no file"
  }
}
proc get_property {name object} {
  switch $name {
    PROGRESS {return {100%}}
    STATS.WNS {return $::stub_slack}
    DIRECTORY {return $::stub_run_folder}
    default {error "no property $name"}
  }
}

# The IP packager.
namespace eval ipx {
  proc package_project {args} {
    stub_note package_project {*}$args
    file mkdir [stub_option $args -root_dir]
  }
  proc current_core {} {return core}
  proc get_bus_interfaces {name -of_objects core} {
    if {$name ni $::stub_interfaces(espalier)} {error "the IP has no interface $name"}
    return $name
  }
  proc associate_bus_interfaces {args} {
    stub_note associate {*}$args
    get_bus_interfaces [stub_option $args -busif] -of_objects core
    foreach option {-clock -reset} {
      if {[stub_option $args $option] ni $::stub_pins(espalier)} {
        error "the IP has no port [stub_option $args $option]"
      }
    }
  }
  proc remove_all_memory_map {core} {stub_note remove_all_memory_map}
  proc add_memory_map {name core} {stub_note add_memory_map $name; return map}
  proc add_address_block {name map} {set ::stub_block $name; return block}
  proc get_address_spaces {name -of_objects core} {
    return [expr {[info exists ::stub_space] ? $::stub_space : {}}]
  }
  proc add_address_space {name core} {set ::stub_space $name}
  foreach name {create_xgui_files update_checksums check_integrity save_core} {
    proc $name {core} [list stub_note $name]
  }
}

# Block designs.
proc create_bd_design {name} {stub_note create_bd_design $name; lappend ::stub_files $name.bd}
proc create_bd_cell {args} {
  stub_note create_bd_cell {*}$args
  set name [lindex $args end]
  set kind [lindex [split [stub_option $args -vlnv] :] 2]
  if {$kind eq {espalier_zynq}} {return $name}
  if {![info exists ::stub_kind_pins($kind)]} {error "no IP $kind"}
  set ::stub_interfaces($name) $::stub_kind_interfaces($kind)
  set ::stub_pins($name) $::stub_kind_pins($kind)
  return $name
}
proc apply_bd_automation {args} {stub_note apply_bd_automation {*}$args}
proc get_bd_intf_pins {path} {return [stub_pin stub_interfaces interface $path]}
proc get_bd_pins {path} {return [stub_pin stub_pins pin $path]}
proc connect_bd_intf_net {from to} {
  stub_note connect_bd_intf_net $from $to
  foreach pin [list $from $to] {
    if {[info exists ::stub_driven($pin)]} {error "$pin is connected twice"}
    set ::stub_driven($pin) 1
  }
}
proc connect_bd_net {from to} {
  stub_note connect_bd_net $from $to
  if {[info exists ::stub_driven($to)]} {error "$to is driven twice"}
  set ::stub_driven($to) 1
}
proc get_bd_addr_spaces {path} {
  if {$path eq {ps/Data}} {return $path}
  return [get_bd_intf_pins $path]
}
proc get_bd_addr_segs {path} {
  lassign [split $path /] cell interface segment
  get_bd_intf_pins $cell/$interface
  if {$segment ni [list $::stub_block HP0_DDR_LOWOCM]} {error "no address segment $path"}
  return $path
}
proc assign_bd_address {args} {stub_note assign_bd_address {*}$args}
proc validate_bd_design {} {
  stub_note validate_bd_design
  # Everything that must be connected is.
  foreach pin {espalier/aclk espalier/aresetn espalier/s_axi espalier/m_axi ps/M_AXI_GP0 ps/S_AXI_HP0
               ps/M_AXI_GP0_ACLK ps/S_AXI_HP0_ACLK ps/IRQ_F2P registers/aclk registers/aresetn
               memory/aclk memory/aresetn reset/slowest_sync_clk reset/ext_reset_in} {
    if {![info exists ::stub_driven($pin)]} {error "$pin is not connected"}
  }
}
proc save_bd_design {} {stub_note save_bd_design}
proc generate_target {args} {stub_note generate_target {*}$args}
proc make_wrapper {args} {
  stub_note make_wrapper {*}$args
  set path $::stub_run_folder/system_wrapper.v
  close [open $path w]
  return $path
}

# Runs and reports.
proc stub_run {name} {
  if {$name ni {synth_1 impl_1}} {error "no run $name"}
  return $name
}
proc get_runs {name} {return [stub_run $name]}
proc launch_runs {name args} {
  stub_note launch_runs $name {*}$args
  stub_run $name
  if {[stub_option $args -to_step] eq {write_bitstream}} {
    close [open $::stub_run_folder/system_wrapper.bit w]
  }
}
proc wait_on_run {name} {stub_run $name}
proc open_run {name} {stub_run $name}
foreach name {report_utilization report_timing_summary report_power} {
  proc $name {args} "stub_note $name {*}\$args; close \[open \[stub_option \$args -file\] w\]"
}
proc write_hw_platform {args} {
  stub_note write_hw_platform {*}$args
  close [open [lindex $args end] w]
}

set script [file normalize [lindex $argv 0]]
set argv [lrange $argv 1 end]
set stub_slack 0.1
if {[info exists env(STUB_SLACK)]} {set stub_slack $env(STUB_SLACK)}
set stub_files {}
set stub_run_folder [stub_option $argv -out]/run
file mkdir $stub_run_folder
stub_read_wrapper [file dirname $script]/espalier_zynq.v
source $script
puts "[llength $stub_calls] calls"
