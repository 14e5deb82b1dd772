#!/usr/bin/python3
"""Compares what two builds of `espalier` make of the same models: for work that must change nothing.

Every model is compiled for every configuration, plain and maskable; programs must be the same byte
for byte after the machine that they name (the form of which has versions), with the same estimates
layer by layer. With --rtl the network runs on the verilated machine too: cycles, counters and
scores. Where one build refuses a model the other must, in the same words.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

MAGIC = b"ESPALIER"
# Bytes of the machine after its name, by the file's version.
MACHINE = {4: 4, 5: 12 * 4 + 3 + 4}
FINGERPRINT = 8
QUANTISED = "is quantised already"
# What is not the machine's doing, or follows from the bytes before.
IGNORED = {"wall_seconds", "simulated_cycles_per_second", "fingerprint", "output", "program"}


def command(binary, *arguments):
    done = subprocess.run([str(binary), *map(str, arguments)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def body(path):
    """A program's bytes after its machine, without the fingerprint over all of them."""
    data = path.read_bytes()
    if not data.startswith(MAGIC):
        sys.exit(f"{path}: not a program")
    version = int.from_bytes(data[8:12], "little")
    if version not in MACHINE:
        sys.exit(f"{path}: version {version} is not known here")
    name = int.from_bytes(data[12:20], "little")
    return data[20 + name + MACHINE[version] : -FINGERPRINT]


def kept(value):
    if isinstance(value, dict):
        return {key: kept(item) for key, item in value.items() if key not in IGNORED and "cpu" not in key}
    return [kept(item) for item in value] if isinstance(value, list) else value


class Comparison:
    def __init__(self, before, after, work):
        self.binaries = {"before": before, "after": after}
        self.work = work
        self.equal = self.programs = 0
        self.different = []

    def judge(self, what, same):
        print(f"{'equal' if same else 'DIFFERENT'}  {what}", flush=True)
        if same:
            self.equal += 1
        else:
            self.different.append(what)

    def both(self, make):
        return make("before", self.binaries["before"]), make("after", self.binaries["after"])

    def model(self, model, config, maskable, images, rtl):
        what = f"{pathlib.Path(model).name} for {config}{', maskable' if maskable else ''}"

        def compiled(side, binary):
            path = self.work / side / "p.espl"
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True)
            compiling = ["compile", model, "-o", path, "--config", config, *(["--maskable"] if maskable else [])]
            calibration = ["--calibrate", images] if images else []
            result = command(binary, *compiling, *calibration)
            if calibration and QUANTISED in result[2]:
                result = command(binary, *compiling)
            return result

        before, after = self.both(compiled)
        if before[0] != 0 or after[0] != 0:
            words = [text.replace(str(self.work), "") for text in (before[2], after[2])]
            self.words = words[1]
            self.judge(f"{what}: refused by both", before[0] == after[0] and words[0] == words[1])
            return
        files = self.both(lambda side, _: body(self.work / side / "p.espl"))
        self.judge(f"{what}: {len(files[0])} bytes", files[0] == files[1])
        self.programs += 1
        reports = self.both(lambda side, binary: self.report(side, binary, "inspect", "--json"))
        self.judge(f"{what}: estimate, {reports[0]['estimated_cycles']} cycles", reports[0] == reports[1])
        if rtl and images and reports[0]["estimated_cycles"] is not None:
            flags = ("--json", "--device", "rtl", "--images", images)
            profiles = self.both(lambda side, binary: self.report(side, binary, "profile", *flags))
            self.judge(f"{what}: verilated, {profiles[0]['cycles']} cycles", profiles[0] == profiles[1])

    def report(self, side, binary, verb, *flags):
        code, out, error = command(binary, verb, self.work / side / "p.espl", *flags)
        if code != 0:
            sys.exit(f"{binary} {verb}: {error}")
        return kept(json.loads(out))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, help="espalier's binary, built of the tree before")
    parser.add_argument("--after", required=True, help="and of the tree after")
    parser.add_argument("--config", action="append", help="configuration; several times; all where absent")
    parser.add_argument("--rtl", action="store_true", help="run each network on the verilated machine too")
    parser.add_argument("models", nargs="+", metavar="MODEL[=IMAGES]", help="images calibrate a float model, and the first runs with --rtl")
    options = parser.parse_args()
    configs = options.config
    if not configs:
        configs = [c["name"] for c in json.loads(command(options.after, "configs", "--json")[1])]
    with tempfile.TemporaryDirectory() as work:
        comparison = Comparison(options.before, options.after, pathlib.Path(work))
        for argument in options.models:
            model, _, images = argument.partition("=")
            programs = comparison.programs
            for config in configs:
                for maskable in (False, True):
                    comparison.model(model, config, maskable, images, options.rtl)
            if comparison.programs == programs:
                sys.exit(f"{model}: no program was compared: {comparison.words}")
    print(f"{comparison.equal} equal, {len(comparison.different)} different")
    if comparison.different or comparison.equal == 0:
        sys.exit(1)


if __name__ == "__main__":
    main()
