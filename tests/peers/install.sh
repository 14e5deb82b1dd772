#!/bin/sh
# Installs ONNX Runtime from npm into WORK/node_modules where it is not there yet: install.sh WORK.
# Ends with 77, and a message, where that can't be.
set -eu

work=$1
here=$(cd "$(dirname "$0")" && pwd)

skip() {
  echo "peers: skipped: $1"
  exit 77
}

mkdir -p "$work"
command -v npm >/dev/null && command -v node >/dev/null || skip 'npm and node are not installed'
cp "$here/package.json" "$work/"
if [ ! -d "$work/node_modules/onnxruntime-node" ]; then
  (cd "$work" && npm install --ignore-scripts --no-audit --no-fund) >"$work/npm.log" 2>&1 ||
    skip "onnxruntime-node can't be installed (see $work/npm.log)"
fi
