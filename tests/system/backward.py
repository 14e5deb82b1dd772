#!/usr/bin/python3
"""Backward passes of whole networks on every device, each activation, gradient and sum checked.

Runs `espalier score --check` for the demo's network, ResNet-20 and ResNet-56 (where the shared data
are), and torchvision's ResNet-50 and Inception-V3 with seeded weights (where PyTorch is) on the
simulator of the instructions and the verilated machine, and prints what a pass costs beside a
forward one. Fails where a value differs from golden, where the devices' scores differ, or where
ResNet-50 takes more than 110 % of a forward pass for all of its stages or 20 % for the last.
Exit code 77 where nothing could be run.
"""

import argparse
import os
import pathlib
import subprocess
import sys

import masks
import network

CIFAR = "cifar10/test_batch.bin"
NORMALISED = ("--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225")
# By network: what is measured (a title, options of `score`, most of a forward pass or none).
CASES = {
    "demo": [("internal", (), None), ("all", ("--scope", "all"), None)],
    "resnet20": [("internal", (), None), ("all", ("--scope", "all"), None)],
    "resnet56": [("internal", (), None)],
    "resnet50": [("internal", (), None), ("all stages", ("--from", "layer1"), 1.10),
                 ("last stage", ("--from", "layer4"), 0.20)],
    "inception_v3": [("internal", (), None)],
}


def prepared(options, name):
    """Program and images of a network; nothing where it is not at hand."""
    program = options.work / f"{name}-{options.config}-score.espl"
    shared = options.shared / "data"
    if name == "demo":
        images, source = options.work / "shapes.bin", network.ROOT / "examples/shapes/shapes.onnx"
        network.run(options.espalier.parent / "shapes_draw", "-o", images, "--count", 64, "--seed",
                    2)
        more = ("--count", 64, "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25")
    elif name.startswith("resnet") and name != "resnet50":
        images, source = shared / CIFAR, shared / f"models/{name}_cifar10_float.onnx"
        if not (images.exists() and source.exists()):
            print(f"skipped: {name}; there is no {source} or no {images}", flush=True)
            return None
        more = ("--count", 200, *NORMALISED)
    else:
        if not network.can_export():
            return None
        source, images = network.export(name, options.work)
        more = ()
    masks.output(options.espalier, "compile", source, "-o", program, "--config", options.config,
                 "--calibrate", images, *more, "--json")
    return program, images


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=list(CASES), metavar="network",
                        help=f"{', '.join(CASES)} (all)")
    parser.add_argument("--espalier", required=True, type=pathlib.Path, help="the command")
    parser.add_argument("--work", required=True, type=pathlib.Path, help="folder for files")
    parser.add_argument("--config", default="edge", help="configuration (edge)")
    parser.add_argument("--devices", default="iss,rtl", help="which run the passes (iss,rtl)")
    parser.add_argument("--shared", type=pathlib.Path, help="folder of the shared data",
                        default=os.environ.get("ESPALIER_SHARED", network.ROOT.parent / "shared"))
    options = parser.parse_args()
    unknown = set(options.networks) - set(CASES)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    options.work.mkdir(parents=True, exist_ok=True)
    print("| network | scored | device | channels | forward, cycles | backward | share | checked |\n"
          "|---|---|---|---|---|---|---|---|", flush=True)
    wrong, ran = [], 0
    for name in options.networks:
        at = prepared(options, name)
        for title, more, most in CASES[name] if at else ():
            tables = []
            for device in options.devices.split(","):
                table = options.work / f"{name}-{device}.csv"
                report = masks.output(options.espalier, "score", at[0], "--images", at[1],
                                      "--count", 1, *more, "--device", device, "--check", "-o",
                                      table, "--json")
                ran += 1
                tables.append(table.read_text())
                share = report["backward_cycles"] / report["forward_cycles"]
                checked = report["checked"]
                how = "" if report["measured"] else " (model)"
                print(f"| {name} | {title} | {device} | {report['channels']:,} | "
                      f"{report['forward_cycles']:,}{how} | {report['backward_cycles']:,} | "
                      f"{share:.1%} | {checked['values']:,} |", flush=True)
                if not checked["values"]:
                    wrong.append(f"{name}, {device}: no value was compared")
                if checked["differ"]:
                    wrong.append(f"{name}, {device}: {checked['differ']} values differ from golden")
                if most is not None and share > most:
                    wrong.append(f"{name}, {title}: {share:.1%} of a forward pass; at most {most:.0%}")
            if len(set(tables)) > 1:
                wrong.append(f"{name}, {title}: the devices' scores differ")
    for complaint in wrong:
        print(complaint, file=sys.stderr)
    return 1 if wrong else 0 if ran else network.SKIPPED


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.stderr.buffer.write(error.stderr or b"")
        sys.exit(error.returncode if error.returncode > 0 else 1)
