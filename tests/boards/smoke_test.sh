#!/usr/bin/env bash
# The test bench for any simulator, by verilator --binary: passes, and fails on an unknown opcode.
# Usage: smoke_test.sh WORK
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
mkdir -p "$1"
work=$(cd "$1" && pwd)
cd "$root"
modules=()
for file in rtl/*.sv rtl/*/*.sv; do
  case $file in
    rtl/generated/*) ;;
    *) modules+=("$file") ;;
  esac
done
verilator --binary --timing -Wno-fatal -Wno-lint -Wno-style -Wno-TIMESCALEMOD -Irtl/common \
  --top-module esp_smoke_tb -Mdir "$work" rtl/generated/*_pkg.sv "${modules[@]}" \
  rtl/generated/esp_top_nano.sv tb/esp_smoke_tb.sv >"$work/log"
"$work/Vesp_smoke_tb" | grep '^PASS: '
if "$work/Vesp_smoke_tb" +opcode=63 >"$work/run.log" 2>&1; then
  echo "an unknown opcode was not noticed"
  exit 1
fi
grep -q 'register 018 reads 00000002, not 00000001' "$work/run.log"
echo "an unknown opcode is noticed"
