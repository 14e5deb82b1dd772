#!/usr/bin/env python3
"""Shift registers of a mapped netlist move when their registers would: those of the array's rows.

The array's skew of activations moves under an enable, that of weights in every cycle. synth/run maps a
small array, and every SRL16E of the first must have an enable that is no constant, every one of the second none.
"""
import importlib.machinery
import importlib.util
import json
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "synth"))


def load(path):
    loader = importlib.machinery.SourceFileLoader("synth_run", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("synth_run", loader))
    loader.exec_module(module)
    return module


def main():
    run = load(ROOT / "synth" / "run")
    run.CONFIGURATIONS["array"] = ("esp_array", "xc7z020", {"Lanes": 4, "Packed": 1}, None)
    of = run.top_file
    run.top_file = lambda name: "" if name == "array" else of(name)
    with tempfile.TemporaryDirectory() as work:
        path, _ = run.synthesise("array", work, False)
        with open(path, encoding="utf-8") as file:
            module = max(json.load(file)["modules"].values(), key=lambda m: len(m["cells"]))
    names = {}
    for name, net in module["netnames"].items():
        for bit in net["bits"]:
            names.setdefault(bit, set()).add(name)
    counts = {"act": 0, "wgt": 0}
    for cell in module["cells"].values():
        if cell["type"] != "SRL16E":
            continue
        into = names[cell["connections"]["D"][0]]
        enabled = isinstance(cell["connections"]["CE"][0], int)
        for kind, wanted in (("act", True), ("wgt", False)):
            if any(name.endswith("." + kind) for name in into):
                counts[kind] += 1
                if enabled != wanted:
                    sys.exit(f"shift_registers: one of {sorted(into)} {'has' if enabled else 'lacks'} an enable")
    if not all(counts.values()):
        sys.exit(f"shift_registers: the netlist has none to look at: {counts}")
    print(f"{counts['act']} with an enable, {counts['wgt']} without")


if __name__ == "__main__":
    main()
