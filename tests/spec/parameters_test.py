#!/usr/bin/env python3
"""Every module whose parameters can be wrong stops elaboration where one is, with its own name.

A module under rtl/ has to have a check for each parameter but those that no value is wrong for
(`bit`, and words such as a hash). For each one there is a wrong value here or the general one, 0.
"""

import concurrent.futures
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RTL = ROOT / "rtl"
PARAMETER = re.compile(r"^\s*parameter\s+(int unsigned|bit|logic)\s*(?:\[[^\]]*\])?\s*(\w+)", re.M)

# Where 0 is right, or breaks the tool before it comes to the check.
WRONG = {
    ("esp_compact_core", "AddressBits"): 21,
    ("esp_core", "Lanes"): 12,
    ("esp_core", "BusBytes"): 12,
    ("esp_core", "PostLanes"): 3,
    ("esp_core", "PoolLanes"): 3,
    ("esp_counters", "Counters"): 33,
    ("esp_layer_table", "Lanes"): 12,
    ("esp_par_ring", "PostLanes"): 3,
    ("esp_pool", "Lanes"): 12,
    ("esp_pool", "PoolLanes"): 3,
    ("esp_post", "PostLanes"): 3,
    ("esp_post_front", "PostLanes"): 3,
    ("esp_core", "MaskLayers"): 4097,
    ("esp_decode", "MaskLayers"): 4097,
    ("esp_load", "Sink0Words"): 3,
    ("esp_load", "Sink1Words"): 3,
    ("esp_load", "TableEntries"): 257,
    ("esp_load", "LayerWords"): 65537,
    ("esp_pack_feed", "Base"): 1024,
    ("esp_read", "TagBits"): 33,
}


def parameters(text):
    """Names of a module's parameters that may have a wrong value."""
    head = text[text.index("\nmodule "):]
    return [name for kind, name in PARAMETER.findall(head[:head.index("\n);")]) if kind == "int unsigned"]


def elaborate(module, settings):
    """Verilator's exit status and what it says."""
    folders = sorted({str(path.parent) for path in RTL.rglob("*.sv")})
    command = ["verilator", "--lint-only", "-Wno-lint", "-Wno-style", "-Wno-fatal",
               "-Werror-USERERROR", f"-I{RTL}/common"]
    for folder in folders:
        command += ["-y", folder]
    command += [f"-G{name}={value}" for name, value in settings]
    command += ["--top-module", module, *map(str, sorted(RTL.rglob("*_pkg.sv"))), module]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def main():
    cases = []
    for path in sorted(RTL.rglob("esp_*.sv")):
        if path.parent.name == "generated" and path.name.endswith(("_pkg.sv", "_probe.sv")):
            continue
        names = parameters(path.read_text())
        if names:
            cases.append((path.stem, ()))
        cases += [(path.stem, ((name, WRONG.get((path.stem, name), 0)),)) for name in names]

    wrong = []

    def run(case):
        module, settings = case
        status, text = elaborate(module, settings)
        refused = status != 0 and f"{module}: " in text
        if settings and not refused:
            wrong.append(f"{module}: {settings[0][0]} = {settings[0][1]} elaborates\n{text[-500:]}")
        if not settings and status != 0:
            wrong.append(f"{module}: its own defaults do not elaborate\n{text[-500:]}")

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(run, cases))
    modules = {module for module, _ in cases}
    print(f"{len(modules)} modules, {len(cases) - len(modules)} wrong parameters")
    if wrong or len(modules) < 40:
        sys.exit("\n".join(wrong) or "too few modules: is this the tree?")


if __name__ == "__main__":
    main()
