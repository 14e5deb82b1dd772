#!/bin/sh
# Runs the peers tier: run.sh BUILD. Skipped, with a message, where npm or the package can't be had.
set -eu

build=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
shared=${ESPALIER_SHARED:-$root/../shared}
work=$build/peers
python=${PYTHON:-/usr/bin/python3}
failed=0

"$here/install.sh" "$work" || {
  code=$?
  [ $code -eq 77 ] && exit 0
  exit $code
}

check() {
  "$build/bin/peers_check" --modules "$work" --script "$here/run_ort.mjs" --work "$work" "$@" ||
    failed=1
}

# check_model NAME MODEL "options of quantise" options of peers_check...
check_model() {
  name=$1 model=$2 how=$3
  shift 3
  for form in qdq qoperator; do
    # shellcheck disable=SC2086
    "$build/bin/espalier" quantise "$model" -o "$work/$name.$form.q.onnx" --form $form $how
    check --model "$work/$name.$form.q.onnx" "$@"
  done
}

check --random 40

models=$shared/data/models
cifar=$shared/data/cifar10
if [ -d "$models" ]; then
  mean=0.485,0.456,0.406
  std=0.229,0.224,0.225
  check_model resnet8 "$models/mlperf_tiny_resnet8_int8.tflite" '' \
    --images "$cifar/test_batch.bin" --count 20
  check_model resnet20 "$models/resnet20_cifar10_float.onnx" \
    "--calibrate $cifar/data_batch_1.bin --count 100 --mean $mean --std $std" \
    --images "$cifar/test_batch.bin" --count 20 --mean $mean --std $std
  # A pruned model is one like any other.
  "$build/bin/espalier" compile "$models/resnet20_cifar10_float.onnx" -o "$work/resnet20.espl" \
    --calibrate "$cifar/data_batch_1.bin" --count 100 --mean $mean --std $std
  "$build/bin/espalier" mask random "$work/resnet20.espl" --keep 0.5 --scope all --no-align \
    -o "$work/resnet20.mask"
  for form in qdq qoperator; do
    "$build/bin/espalier" prune "$work/resnet20.espl" --mask "$work/resnet20.mask" \
      --form $form -o "$work/resnet20-pruned.$form.q.onnx"
    check --model "$work/resnet20-pruned.$form.q.onnx" --images "$cifar/test_batch.bin" \
      --count 20 --mean $mean --std $std
  done
else
  echo "peers: skipped ResNet-8 and ResNet-20: no $models"
fi

if "$python" -c 'import torch, torchvision, onnx' 2>/dev/null; then
  for network in resnet50 inception_v3; do
    if [ ! -f "$work/$network.onnx" ]; then
      "$python" "$root/examples/export_torchvision.py" $network -o "$work/$network.onnx" \
        --calibration "$work/$network.npy"
    fi
    check_model $network "$work/$network.onnx" "--calibrate $work/$network.npy" \
      --images "$work/$network.npy" --count 2
  done
else
  echo 'peers: skipped ResNet-50 and Inception-V3: no python3-torch, python3-torchvision, python3-onnx'
fi

# Models that others wrote, where there are any: NAME.onnx beside NAME.npy.
for model in "$shared"/data/quantised/*.onnx; do
  [ -f "$model" ] || continue
  check --model "$model" --images "${model%.onnx}.npy" --count 2
done
exit $failed
