# What the machine consists of, for Vivado: the packages, then the modules, then the tops.

# The files under rtl/ that the zynq configuration needs, packages first.
proc espalier_sources {root} {
  set packages [lsort [glob $root/rtl/generated/*_pkg.sv]]
  set modules {}
  foreach file [lsort [glob $root/rtl/*.sv $root/rtl/*/*.sv]] {
    if {![string match */rtl/generated/* $file]} {lappend modules $file}
  }
  return [concat $packages $modules [list $root/rtl/generated/esp_top_zynq.sv]]
}

# The headers that they include.
proc espalier_headers {root} {
  return [lsort [glob $root/rtl/common/*.svh]]
}

# Options `-name value` from the command line over their defaults; anything else stops the script.
proc espalier_options {arguments defaults} {
  array set options $defaults
  if {[llength $arguments] % 2 != 0} {error "options come in pairs: -name value; got: $arguments"}
  foreach {name value} $arguments {
    if {![info exists options($name)]} {
      error "no option $name; there are [lsort [array names options]]"
    }
    set options($name) $value
  }
  return [array get options]
}
