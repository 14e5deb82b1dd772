#!/usr/bin/env bash
# moved_rtl_test.sh CMAKE FOLDER: a build directory goes on after a file of the RTL was moved, and after
# one was removed, with nothing deleted by hand. A project of two modules in FOLDER.
set -euo pipefail
cmake=$1 work=$2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

rm -rf "$work"
mkdir -p "$work"/rtl/{common,front,back}
cat >"$work/CMakeLists.txt" <<EOF
cmake_minimum_required(VERSION 3.25)
project(moved LANGUAGES C CXX)
list(APPEND CMAKE_MODULE_PATH $root/cmake)
include(EspalierRtl)
espalier_verilate(top TOP esp_top)
EOF
top() { # its text between the ports and the end
  printf 'module esp_top (input wire logic a_i, output logic b_o);\n%s\nendmodule\n' "$1" >"$work/rtl/back/esp_top.sv"
}
printf 'module esp_part (input wire logic a_i, output logic b_o);\nassign b_o = !a_i;\nendmodule\n' \
  >"$work/rtl/front/esp_part.sv"
touch "$work/rtl/front/esp_stays.sv"
top 'esp_part u_part (.a_i, .b_o);'

# As `make verilate` does it: configure, then build; here the step alone that runs Verilator, whose
# dependencies are the files of the run before.
verilate() {
  "$cmake" -S "$work" -B "$work/build" -G Ninja -DESPALIER_CLANGXX=OFF >>"$work/log" 2>&1
  "$cmake" --build "$work/build" --target CMakeFiles/top.dir/Vtop.dir/Vtop_copy.cmake >>"$work/log" 2>&1 || {
    tail -5 "$work/log"
    echo "FAILED: $1"
    exit 1
  }
}
uses() { # what the model is made of, and how often esp_part is among it
  local found
  found=$(grep -c 'esp_part\.sv' "$work/build/CMakeFiles/top.dir/Vtop.dir/Vtop.cmake" || true)
  [ "$found" -ge "$1" ] && [ "$found" -le "$2" ] || { echo "FAILED: esp_part.sv stands $found times in Vtop.cmake"; exit 1; }
}

verilate "a new build directory"
uses 1 99
mv "$work/rtl/front/esp_part.sv" "$work/rtl/back/"
verilate "after a file was moved"
grep -q back/esp_part.sv "$work/build/CMakeFiles/top.dir/Vtop.dir/Vtop.cmake" || { echo "FAILED: the old place is read"; exit 1; }
rm "$work/rtl/back/esp_part.sv"
top 'assign b_o = a_i;'
verilate "after a file was removed"
uses 0 0
