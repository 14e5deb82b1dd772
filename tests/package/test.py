#!/usr/bin/python3
"""Installs this build, and builds the example outside of the tree against what was installed.

The example must find the package by itself, see the installed headers only, and give the machine's
answers; the library must show no more than espalier.hpp marks, and nothing installed may be made
for this processor alone.
"""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(*command, **options):
    print("$", " ".join(map(str, command)), flush=True)
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)
    print(done.stdout, done.stderr, sep="", flush=True)
    return done


def must(*command, **options):
    done = run(*command, **options)
    if done.returncode != 0:
        sys.exit(f"exit code {done.returncode}")
    return done.stdout


def check_symbols(library):
    """Exported functions are the interface's."""
    lines = must("nm", "-DC", "--defined-only", library).splitlines()
    names = [line.split(" ", 2)[2] for line in lines if re.match(r"[0-9a-f]+ [TW] ", line)]
    inside = [n for n in names if re.search(r"espalier::(flows|program|runtime|ir|isa|masks|tb|golden)::", n.split("(")[0])]
    if not any(n.startswith("espalier::compile(") for n in names):
        sys.exit("compile() is not there")
    if inside:
        sys.exit(f"{len(inside)} symbols are not of the interface: {inside[:5]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="build that is installed")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder to install and build in")
    parser.add_argument("--cmake", default="cmake")
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    prefix, example, build = (options.work / name for name in ("prefix", "example", "build"))

    commands = json.loads((options.build / "compile_commands.json").read_text())
    if not commands or any("-march=native" in entry["command"] for entry in commands):
        sys.exit("something is compiled for this processor alone")
    must(options.cmake, "--install", options.build, "--prefix", prefix)
    check_symbols(next(prefix.rglob("libespalier.so")))

    shutil.copytree(ROOT / "examples/embed", example)
    must(options.cmake, "-S", example, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Release")
    must(options.cmake, "--build", build)
    images = options.work / "images.bin"
    must(options.build / "bin/shapes_draw", "--seed", 2, "--count", 16, "-o", images)
    out = must(build / "embed", ROOT / "examples/shapes/shapes.onnx", images)
    answers = re.findall(r"^(all channels|half of them): class \d+, score -?[0-9.]+(, \d+ cycles)?$", out, re.M)
    cycles = [int(n) for n in re.findall(r"about (\d+) cycles", out)]
    if len(answers) != 2 or len(cycles) != 2 or not 0 < cycles[1] < cycles[0]:
        sys.exit("the example's answers are not what was expected")
    refused = run(build / "embed", options.work / "none.onnx", images)
    if refused.returncode != 2 or "none.onnx" not in refused.stderr:
        sys.exit("a model that is not there is not refused by name")
    command = must(prefix / "bin/espalier", "--version").split()
    if command[0] != "espalier":
        sys.exit("the command does not run")


if __name__ == "__main__":
    main()
