#!/usr/bin/env bash
# Our scripts for Vivado run to their end on its stubs; scripts with a mistake do not.
# Usage: vivado_test.sh WORK
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
rm -rf "$1"
mkdir -p "$1"
work=$(cd "$1" && pwd)
stub=$root/tests/boards/vivado_stub.tcl

tclsh "$stub" "$root/synth/vivado/build.tcl" -out "$work/out" -clock 80 >"$work/log"
for file in espalier.bit espalier.xsa utilisation.rpt utilisation_by_module.rpt timing.rpt; do
  test -f "$work/out/$file" || { echo "build.tcl leaves no $file"; exit 1; }
done
grep -q '^espalier: .*/espalier.bit, worst slack 0.1 ns at 80 MHz$' "$work/log"
tclsh "$stub" "$root/synth/vivado/package_ip.tcl" -out "$work/ip" >/dev/null

# expect_failure MESSAGE FILE FROM TO [OPTION ...]: with FROM replaced by TO in a copy of FILE.
expect_failure() {
  local message=$1 file=$2 from=$3 to=$4
  shift 4
  rm -rf "$work/copy"
  mkdir -p "$work/copy/synth"
  cp -r "$root/synth/vivado" "$work/copy/synth/"
  ln -s "$root/rtl" "$work/copy/rtl"
  if [ -n "$from" ]; then
    grep -q -- "$from" "$work/copy/synth/vivado/$file" || { echo "$file has no $from"; exit 1; }
    sed -i "s|$from|$to|" "$work/copy/synth/vivado/$file"
  fi
  if tclsh "$stub" "$work/copy/synth/vivado/build.tcl" -out "$work/out" "$@" >"$work/log" 2>&1; then
    echo "not found: $message"
    exit 1
  fi
  grep -q -- "$message" "$work/log" || { cat "$work/log"; echo "expected: $message"; exit 1; }
}
expect_failure 'cell espalier has no interface axi' build.tcl 'espalier/m_axi     m' 'espalier/axi m'
expect_failure 'PCW_IRQ_F2P_INTR is not set' build.tcl 'CONFIG.PCW_IRQ_F2P_INTR' 'CONFIG.PCW_IRQ'
expect_failure 'espalier/aresetn is not connected' build.tcl '{espalier/aresetn ' '{'
expect_failure 'invalid command name "validate_design"' build.tcl validate_bd_design validate_design
expect_failure 'no file .*missing.xdc' build.tcl espalier.xdc missing.xdc
expect_failure 'the IP has no interface m_axi' espalier_zynq.v 'm_axi AWADDR' 'mem AWADDR'
expect_failure 'the IP has no port aclk' espalier_zynq.v 'wire        aclk' 'wire        clk'
expect_failure 'no option -speed' build.tcl '' '' -speed 3
STUB_SLACK=-0.2 expect_failure 'timing is not met: worst slack -0.2 ns at 100 MHz' build.tcl '' ''
echo "the scripts run through, and 9 mistakes are found"
