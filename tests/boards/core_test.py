#!/usr/bin/env python3
"""espalier.core names every file of rtl/, no file that does not exist, and tops that are there."""

import copy
import pathlib
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def complaints(core):
    """What is wrong with a core description, as a list of lines."""
    found = []
    files = {}
    for name, fileset in core["filesets"].items():
        files[name] = [f if isinstance(f, str) else next(iter(f)) for f in fileset["files"]]
        found += [f"{name} lists {f}, which does not exist" for f in files[name]
                  if not (ROOT / f).is_file()]
        found += [f"{name} lists {f} twice" for f in set(files[name]) if files[name].count(f) > 1]
    for path in sorted([*(ROOT / "rtl").rglob("*.sv"), *(ROOT / "rtl").rglob("*.svh")]):
        if str(path.relative_to(ROOT)) not in files["rtl"]:
            found.append(f"rtl lacks {path.relative_to(ROOT)}")
    packages = [f.endswith("_pkg.sv") for f in files["rtl"] if f.endswith(".sv")]
    if packages != sorted(packages, reverse=True):
        found.append("a package comes after a module")
    for name, target in core["targets"].items():
        unknown = [f for f in target["filesets"] if f not in files]
        found += [f"target {name} takes fileset {f}, which does not exist" for f in unknown]
        have = [pathlib.Path(f).stem for s in target["filesets"] for f in files.get(s, [])]
        if target["toplevel"] not in have:
            found.append(f"target {name} has no file of its top {target['toplevel']}")
        for parameter in target.get("parameters", []):
            if parameter.split("=")[0] not in core["parameters"]:
                found.append(f"target {name} sets {parameter}, which is no parameter")
    return found


def main():
    text = (ROOT / "espalier.core").read_text()
    if not text.startswith("CAPI=2:\n"):
        sys.exit("espalier.core does not begin with CAPI=2:")
    core = yaml.safe_load(text.removeprefix("CAPI=2:\n"))
    if found := complaints(core):
        sys.exit("\n".join(found))

    def seeded(change):
        other = copy.deepcopy(core)
        change(other)
        return complaints(other)

    mistakes = {
        "rtl lacks": lambda c: c["filesets"]["rtl"]["files"].pop(),
        "does not exist": lambda c: c["filesets"]["tb"]["files"].append("tb/absent.sv"),
        "a package comes after": lambda c: c["filesets"]["rtl"]["files"].reverse(),
        "has no file of its top": lambda c: c["targets"]["sim"].update(filesets=["rtl"]),
        "which is no parameter": lambda c: c["targets"]["synth"].update(parameters=["absent=1"]),
    }
    for wanted, change in mistakes.items():
        if not any(wanted in line for line in seeded(change)):
            sys.exit(f"a seeded mistake was not found: {wanted}")
    print(f"espalier.core is right, and {len(mistakes)} seeded mistakes are found")


if __name__ == "__main__":
    main()
