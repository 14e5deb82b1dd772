"""Compares elaborated modules of Yosys' JSON in pairs: by structure, or by ABC (synth/equal)."""
import difflib
import json
import os
import re
import subprocess
import sys

from trees import call

sys.setrecursionlimit(20000)

# Parameters of cells that hold a name.
NAMES = {"MEMID"}
PORTS = "their ports differ"
ABC_SECONDS = 300


class Module:
    """One module of a netlist: who drives each bit."""

    def __init__(self, name, modules):
        self.name, self.modules, self.ports = name, modules, modules[name]["ports"]
        self.cells = modules[name]["cells"]
        self.driver = {}
        for port, x in self.ports.items():
            if x["direction"] != "output":
                self.driver.update({bit: ("port", port, i) for i, bit in enumerate(x["bits"])})
        for cell in self.cells:
            for port, bits in self.outputs(cell):
                self.driver.update({bit: (cell, port, i) for i, bit in enumerate(bits) if isinstance(bit, int)})

    def ways(self, cell):
        kind = self.cells[cell]["type"]
        if kind in self.modules:
            return {port: x["direction"] for port, x in self.modules[kind]["ports"].items()}
        return self.cells[cell]["port_directions"]

    def connected(self, cell, output):
        ways, wires = self.ways(cell), self.cells[cell]["connections"]
        return [(port, wires[port]) for port in sorted(wires) if (ways[port] == "output") == output]

    def outputs(self, cell):
        return self.connected(cell, True)

    def inputs(self, cell):
        return self.connected(cell, False)

    def kind(self, cell):
        """What the cell is, but for the module that it is an instance of."""
        x = self.cells[cell]
        if x["type"] in self.modules:
            return "instance"
        return x["type"], tuple(sorted((k, v) for k, v in x["parameters"].items() if k not in NAMES))

    def shape(self):
        return {port: (x["direction"], len(x["bits"])) for port, x in self.ports.items()}


def base(name):
    found = re.search(r"(esp_\w+)", name)
    return found.group(1) if found else name


def part(before, after):
    """Where two modules part, going back from their outputs, or None; and pairs of instances' modules."""
    if before.shape() != after.shape():
        return PORTS, {}
    children, there, back = {}, {}, {}
    todo = [(b, a, f"output {port}[{i}]") for port, x in before.ports.items() if x["direction"] != "input"
            for i, (b, a) in enumerate(zip(x["bits"], after.ports[port]["bits"]))]
    seen = set()
    while todo:
        b, a, place = todo.pop()
        if (b, a) in seen:
            continue
        seen.add((b, a))
        if isinstance(b, str) or isinstance(a, str):
            if b != a:
                return f"{place}: a constant on one side", children
            continue
        cell, port, index = before.driver.get(b, ("nothing", "", 0))
        other, other_port, other_index = after.driver.get(a, ("nothing", "", 0))
        if (port, index) != (other_port, other_index) or (cell in before.cells) != (other in after.cells):
            return f"{place}: driven by another thing", children
        if cell not in before.cells or there.get(cell) == other:
            if cell not in before.cells and cell != other:
                return f"{place}: driven by another thing", children
            continue
        if cell in there or other in back:
            return f"{place}: cells do not pair one to one", children
        kind = before.kind(cell)
        if kind != after.kind(other):
            return f"{place}: {before.cells[cell]['type']} and {after.cells[other]['type']}", children
        there[cell], back[other] = other, cell
        if kind == "instance":
            children[before.cells[cell]["type"], after.cells[other]["type"]] = cell
        ins, outs = before.inputs(cell), after.inputs(other)
        if [(p, len(bits)) for p, bits in ins] != [(p, len(bits)) for p, bits in outs]:
            return f"{place}: ports of {cell} differ", children
        for (p, bits), (_, bits_after) in zip(ins, outs):
            todo += [(x, y, f"{p} of {cell}") for x, y in zip(bits, bits_after)]
    return None, children


STATE = re.compile(r"\$(a|s|al)?dffs?r?(e|ce)?$|\$mem_v2$")


def named(module):
    """A name of each bit: a public wire's, the shortest and first."""
    names = {}
    for wire, x in module.modules[module.name]["netnames"].items():
        if not x.get("hide_name"):
            for i, bit in enumerate(x["bits"]):
                if isinstance(bit, int):
                    names.setdefault(bit, []).append((wire.count("."), len(wire), wire, i))
    return {bit: min(found) for bit, found in names.items()}


def cut(module):
    """The module as a function: state, memories and instances become ports by their names. With it, what
    the paired ones must have in common, by those names; None where two have one name."""
    names, kept, facts = named(module), {}, {}
    ports = {port: dict(x) for port, x in module.ports.items()}

    def add(name, direction, bits):
        if name in ports:
            raise KeyError(name)
        ports[name] = {"direction": direction, "bits": bits}

    try:
        for cell, x in module.cells.items():
            kind = module.kind(cell)
            if kind == "instance":
                facts[cell] = ("instance", base(x["type"]))
                for port, bits in module.outputs(cell):
                    add(f"{cell}.{port}", "input", bits)
                for port, bits in module.inputs(cell):
                    add(f"{cell}.{port}", "output", bits)
            elif x["type"] == "$mem_v2":
                name = x["parameters"]["MEMID"]
                facts[name] = kind
                add(f"{name}.read", "input", x["connections"]["RD_DATA"])
                for port, bits in module.inputs(cell):
                    if bits:
                        add(f"{name}.{port}", "output", bits)
            elif STATE.match(x["type"]):
                wires, values = x["connections"], x["parameters"].get("ARST_VALUE", "")
                for i, bit in enumerate(wires["Q"]):
                    name = "{2}[{3}]".format(*names[bit])
                    facts[name] = (x["type"], x["parameters"]["CLK_POLARITY"],
                                   x["parameters"].get("ARST_POLARITY"), values[len(values) - 1 - i:][:1])
                    add(f"{name}.q", "input", [bit])
                    add(f"{name}.d", "output", [wires["D"][i]])
                    add(f"{name}.clk", "output", wires["CLK"])
                    if "ARST" in wires:
                        add(f"{name}.rst", "output", wires["ARST"])
            else:
                kept[cell] = x
    except KeyError:
        return None, None
    return {"cut": {"attributes": {"top": "1"}, "ports": ports, "cells": kept, "netnames": {}}}, facts


def rename(facts, netlist, other_facts):
    """Gives what only this side has the nearest name of what only the other has, where that is of the same
    shape. A wrong guess proves nothing, and is no danger."""

    def things(facts):
        found = {}
        for name, fact in sorted(facts.items()):
            found.setdefault(name.rsplit("[", 1)[0], []).append((name[len(name.rsplit("[", 1)[0]):], fact))
        return found

    mine, others = things(facts), things(other_facts)
    ports = netlist["cut"]["ports"]
    for wanted in sorted(others.keys() - mine.keys()):
        free = [name for name in mine.keys() - others.keys() if mine[name] == others[wanted]]
        if not free:
            continue
        name = max(free, key=lambda x: (difflib.SequenceMatcher(None, x, wanted).ratio(), x))
        for bit, fact in mine.pop(name):
            del facts[name + bit]
            facts[wanted + bit] = fact
            for port in [p for p in ports if p.startswith(f"{name}{bit}.")]:
                ports[wanted + port[len(name):]] = ports.pop(port)
        mine[wanted] = others[wanted]


def drop_alike(before, after):
    """Drops outputs of two functions whose logic is the same, cell by cell, back to the inputs."""
    b, a, known = Module("cut", before), Module("cut", after), {}

    def alike(x, y):
        if isinstance(x, str) or isinstance(y, str):
            return x == y
        cell, port, index = b.driver.get(x, ("nothing", "", 0))
        other, other_port, other_index = a.driver.get(y, ("nothing", "", 0))
        if (port, index) != (other_port, other_index):
            return False
        if cell not in b.cells or other not in a.cells:
            return cell == other == "port"
        if (cell, other) not in known:
            ins, outs = b.inputs(cell), a.inputs(other)
            known[cell, other] = (
                b.kind(cell) == a.kind(other) and [(p, len(bits)) for p, bits in ins] == [(p, len(bits)) for p, bits in outs]
                and all(alike(u, v) for (_, us), (_, vs) in zip(ins, outs) for u, v in zip(us, vs)))
        return known[cell, other]

    for name, port in list(b.ports.items()):
        if port["direction"] == "output" and all(map(alike, port["bits"], a.ports[name]["bits"])):
            del b.ports[name], a.ports[name]


def induction(before, after, work):
    """None where ABC proves the step of the induction; otherwise why not."""
    if before.shape() != after.shape():
        return PORTS
    functions = []
    for module, name in ((before, "before"), (after, "after")):
        netlist, facts = cut(module)
        if netlist is None:
            return "two registers or instances have one name"
        functions.append((netlist, facts, os.path.join(work, name)))
    rename(functions[1][1], functions[1][0], functions[0][1])
    if functions[0][1] != functions[1][1]:
        odd = set(functions[0][1].items()) ^ set(functions[1][1].items())
        return "registers, memories or instances differ: " + ", ".join(sorted({name for name, _ in odd})[:6])
    if functions[0][0]["cut"]["ports"].keys() != functions[1][0]["cut"]["ports"].keys():
        return "memories or instances have other ports"
    drop_alike(functions[0][0], functions[1][0])
    for netlist, _, path in functions:
        with open(path + ".json", "w") as file:
            json.dump({"creator": "synth/equal", "modules": netlist}, file)
        call(["yosys", "-q", "-p", f"read_json {path}.json; setundef -zero; opt_expr; simplemap; techmap; opt_clean; "
              f"aigmap; opt_clean; write_blif {path}.blif"])
    try:
        said = call(["yosys-abc", "-c", f"cec {functions[0][2]}.blif {functions[1][2]}.blif"], ABC_SECONDS)
    except subprocess.TimeoutExpired:
        return "ABC ran out of time"
    if "Networks are equivalent" in said:
        return None
    place = re.search(r"Output (\S+):", said)
    return "ABC: " + (place.group(1) if place else said.strip().splitlines()[-1])
