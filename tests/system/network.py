#!/usr/bin/python3
"""Runs one of torchvision's networks, whole, on the verilated machine, and judges what comes out.

Exports it, compiles it, and has `espalier profile` run one image with every tensor checked. Fails
where a value differs from golden, where the machine takes more than --most times the roofline
bound, or where the timing model is off by more than 1 % in all or 5 % on a layer of over 10,000
cycles. Exit code 77 where PyTorch is not installed.
"""

import argparse
import importlib.util
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 77
TOTAL_ERROR = 0.01
LAYER_ERROR = 0.05
LONG_LAYER = 10_000  # cycles


def run(*command):
    command = [str(part) for part in command]
    print("$", " ".join(command), flush=True)
    subprocess.run(command, check=True)


def can_export():
    """Whether PyTorch is there; says what is missing."""
    for package in ("torch", "torchvision", "onnx"):
        if importlib.util.find_spec(package) is None:
            print(f"skipped: Python has no {package}; Debian's package is python3-{package}")
            return False
    return True


def export(network, work):
    """Model and images; images are inputs of the network in float."""
    model, images = work / f"{network}.onnx", work / f"{network}.npy"
    if not (model.exists() and images.exists()):
        run(sys.executable, ROOT / "examples/export_torchvision.py", network, "-o", model,
            "--calibration", images)
    return model, images


def complaints(report, most):
    if report["values_checked"] == 0:
        yield "no value was compared"
    if report["mismatches"] != 0:
        yield f"{report['mismatches']} values differ from golden"
    if report["images"] != 1:
        yield "the image was not finished"
        return
    ratio = report["cycles"] / report["bound"]
    if ratio > most:
        yield f"{ratio:.4f} times the bound; at most {most}"
    if abs(report["error"]) > TOTAL_ERROR:
        yield f"the timing model is off by {report['error']:+.2%}"
    for layer in report["layers"]:
        if layer["cycles"] > LONG_LAYER and abs(layer["error"]) > LAYER_ERROR:
            yield f"layer {layer['name']}: the timing model is off by {layer['error']:+.2%}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", help="a network of examples/export_torchvision.py")
    parser.add_argument("--espalier", required=True, help="the command")
    parser.add_argument("--work", required=True, type=pathlib.Path, help="folder for files")
    parser.add_argument("--config", default="edge", help="configuration (edge)")
    parser.add_argument("--most", type=float, required=True, help="cycles, in times the bound")
    parser.add_argument("--mem-latency", default="60", help="cycles (60)")
    options = parser.parse_args()
    if not can_export():
        return SKIPPED
    options.work.mkdir(parents=True, exist_ok=True)
    model, images = export(options.network, options.work)
    stem = f"{options.network}-{options.config}-{options.mem_latency}"
    program, report = options.work / f"{stem}.espl", options.work / f"{stem}.json"
    run(options.espalier, "compile", model, "-o", program, "--config", options.config,
        "--calibrate", images)
    run(options.espalier, "profile", program, "--device", "rtl", "--images", images, "--check",
        "--mem-latency", options.mem_latency, "--report", report)
    found = list(complaints(json.loads(report.read_text()), options.most))
    for complaint in found:
        print(f"{options.network} on {options.config}: {complaint}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode if error.returncode > 0 else 1)
