#!/usr/bin/python3
"""What masks of `espalier personalise` are worth at budgets of MACs, on torchvision's networks.

Exports the networks, compiles each dense and with --maskable, and personalises the latter for a
user of two classes. Weights and images are random: the figures are of time, not of accuracy.
Prints MACs, the timing model's cycles and their ratios. With --rtl the dense program and the mask
on the program that takes masks run on the verilated machine too, checked, and a speed-up below the
bar fails. With --cpu both models, as `espalier prune` writes them, run in ONNX Runtime beside that,
on one thread. Exit code 77 where PyTorch is not installed.
"""

import argparse
import importlib.util
import json
import pathlib
import subprocess
import sys

import masks
import network

# By network: how many times fewer MACs, and how many times faster the machine must then be.
BARS = {"resnet50": (3.05, 2.9), "inception_v3": (2.4, 2.3)}
IMAGES = 48
LEARNT, HELD = 32, 16
# Seeded networks have next to no gradients in their last layers: of those, nearly all would go, and
# what is left would keep the machine waiting for memory.
LEAST = 0.25
CPU = pathlib.Path(__file__).resolve().parents[1] / "peers/time_ort.mjs"


def user_images(name, path):
    """Inputs of the network in float, drawn as those that it was settled with."""
    import numpy
    import torch

    spec = importlib.util.spec_from_file_location("export_torchvision",
                                                  network.ROOT / "examples/export_torchvision.py")
    export = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(export)
    generator = torch.Generator().manual_seed(5)
    numpy.save(path, export.images(torch, IMAGES, export.SIZES[name], generator).numpy())


def user_classes(scores):
    """Two classes, each of which beats the other on about half of the images, and a label each."""
    import numpy

    logits = numpy.load(scores).reshape(IMAGES, -1)
    wins = (logits[:, 1:] > logits[:, :-1]).sum(axis=0)
    first = int(numpy.abs(wins - IMAGES / 2).argmin())
    return first, [first + int(row[first + 1] > row[first]) for row in logits]


def personal(options, program, name):
    """The mask at the network's budget."""
    images, scores, labels = (
        options.work / f"{name}-user.{suffix}" for suffix in ("npy", "scores.npy", "labels"))
    mask = options.work / f"{name}-user-{options.scope}.mask"
    if not images.exists():
        user_images(name, images)
    subprocess.run([str(part) for part in (options.espalier, "run", program, "--device", "golden",
                                           "--images", images, "--output", scores)],
                   check=True, stdout=subprocess.DEVNULL)
    first, said = user_classes(scores)
    labels.write_text("".join(f"{label}\n" for label in said))
    masks.output(options.espalier, "personalise", program, "--images", images, "--labels", labels,
                 "--classes", f"{first},{first + 1}", "--count", LEARNT, "--held", HELD, "--serve",
                 0, "--budget", f"macs={1 / BARS[name][0]:.6f}", "--correct", "none", "--scope",
                 options.scope, "--least", options.least, "-o", mask, "--json")
    return mask


def measured(options, program, images, *more):
    """Cycles of one image on the verilated machine."""
    ran = masks.output(options.espalier, "profile", program, *more, "--device", "rtl", "--images",
                       images, "--check", "--json")
    if ran["mismatches"] != 0 or ran["values_checked"] == 0:
        raise SystemExit(f"{program}: {ran['mismatches']} of {ran['values_checked']} values differ "
                         "from golden")
    return ran["cycles"]


def timed(options, plain, mask, name):
    """CPU milliseconds of both models, dense and pruned, in turns."""
    models = [options.work / f"{name}-{kind}.onnx" for kind in ("dense", "pruned")]
    for model, more in zip(models, ((), ("--mask", mask))):
        masks.output(options.espalier, "prune", plain, *more, "-o", model, "--json")
    return masks.output("node", CPU, options.cpu, options.runs, *models)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=list(BARS), metavar="network",
                        help="resnet50, inception_v3 (both)")
    parser.add_argument("--espalier", required=True, help="the command")
    parser.add_argument("--work", required=True, type=pathlib.Path, help="folder for files")
    parser.add_argument("--config", default="edge", help="configuration (edge)")
    parser.add_argument("--scope", default="all", help="of `personalise` (all)")
    parser.add_argument("--least", default=LEAST, type=float, help=f"likewise ({LEAST})")
    parser.add_argument("--rtl", action="store_true", help="run on the verilated machine too")
    parser.add_argument("--cpu", help="folder whose node_modules holds onnxruntime-node")
    parser.add_argument("--runs", default=15, type=int, help="of each model with --cpu (15)")
    options = parser.parse_args()
    unknown = set(options.networks) - set(BARS)
    if unknown:
        parser.error(f"no budget for {', '.join(sorted(unknown))}; there are {', '.join(BARS)}")
    if not network.can_export():
        return network.SKIPPED
    options.work.mkdir(parents=True, exist_ok=True)
    missed = []
    head = ["network", "MACs dense", "personal", "ratio", "cycles dense", "personal", "ratio"]
    head += ["measured dense", "personal", "ratio"] if options.rtl else []
    head += ["CPU ms dense", "pruned", "ratio"] if options.cpu else []
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head), flush=True)
    for name in options.networks:
        program, images, dense, _ = masks.compiled(options, name)
        plain = options.work / f"{name}-{options.config}-plain.espl"
        mask = personal(options, program, name)
        shown = masks.output(options.espalier, "mask", "show", mask, program, "--json")
        cells = [name]

        def pair(before, after, form="{:,}"):
            cells.extend([form.format(before), form.format(after), f"{before / after:.2f}"])
            return before / after

        pair(shown["macs"]["dense"], shown["macs"]["live"])
        faster = pair(dense, shown["estimated_cycles"]["masked"])
        if options.rtl:
            faster = pair(measured(options, plain, images),
                          measured(options, program, images, "--mask", mask))
        bar = BARS[name][1]
        if faster < bar:
            missed.append(f"{name}: {faster:.3f} times faster than dense; at least {bar}")
        if options.cpu:
            times = timed(options, plain, mask, name)
            pair(times[0], times[1], "{:.1f}")
        print("| " + " | ".join(cells) + " |", flush=True)
    for complaint in missed:
        print(complaint, file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.stderr.buffer.write(error.stderr or b"")
        sys.exit(error.returncode if error.returncode > 0 else 1)
