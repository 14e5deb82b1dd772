#!/usr/bin/env python3
"""lint/rooms finds an include that is not declared, a declaration that nothing uses, one that runs
back, and a room that is not there."""
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def check(tree):
    return subprocess.run([ROOT / "lint/rooms", tree], capture_output=True, text=True)


def copy(into):
    for name in ("sw_stack", "golden", "tb", "include", "lint"):
        shutil.copytree(ROOT / name, into / name)


def main():
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        copy(tree)
        fine = check(tree)
        assert fine.returncode == 0, fine.stderr + fine.stdout
        rooms, graph = tree / "lint/rooms.txt", tree / "sw_stack/ir/graph.hpp"
        was, graph_was = rooms.read_text(), graph.read_text()

        graph.write_text(graph_was + '#include "program/program.hpp"\n')
        bad = check(tree)
        assert bad.returncode == 1 and "ir may not include program" in bad.stdout, bad
        graph.write_text(graph_was)

        rooms.write_text(was.replace("isa: base\n", "isa: base ir\n"))
        bad = check(tree)
        assert bad.returncode == 1 and "isa does not include ir" in bad.stdout, bad

        rooms.write_text(was.replace("ir: base\n", "ir: base program\n", 1))
        bad = check(tree)
        assert bad.returncode == 1 and "no room above it" in bad.stderr, bad

        (tree / "sw_stack/attic").mkdir()
        rooms.write_text(was)
        bad = check(tree)
        assert bad.returncode == 1 and "attic: is no room" in bad.stderr, bad
    print("all four are found")


if __name__ == "__main__":
    sys.exit(main())
