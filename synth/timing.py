"""Paths of a mapped netlist: levels of logic, nanoseconds of the cells by Yosys' own figures, and an
estimate with wires.

The delays are those of the `specify` blocks in Yosys' models of the cells, as its pass `sta` reads
them: Yosys itself derives each kind of cell with its parameters, and what it then holds is taken from
its JSON. The longest path of all is computed by `sta` as well, and both must agree to the picosecond.
"""
import collections
import json
import math
import os
import re
import shutil
import subprocess

from netlist import is_carry, is_ff, is_lut

# Library of cells with `specify` blocks, how it is read, and what is changed in it beforehand: the clock
# has no delay (it would count at one end only), and an asynchronous reset starts no path.
LIBRARIES = {
    "xc7z020": ("xilinx/cells_sim.v", "", [
        (r"\(I => O\) = 96;", "(I => O) = 0;"),
        (r"if \([^)]*\) \((?:CLR|PRE) => Q\) = \d+;", "")]),
    "lfe5u-85f": ("ecp5/cells_sim.v", "", []),
    "ice40hx8k": ("ice40/cells_sim.v", "-D ICE40_HX", []),
}

# Where `sta` is not asked: on the netlist of the ECP5 it does not come to an end within minutes.
UNCHECKED = {"lfe5u-85f"}

# Wires, estimated (docs/synthesis.md, "A clock with wires", says from what): a net takes so many nanoseconds,
# and so many more each time its readers double; nothing where its one reader stands beside its driver (`joined`).
WIRES = {"xc7z020": (0.55, 0.08)}

# What cells take where wires count as there: on the 7 series the way to a LUT's pin is part of the wire.
BESIDE_WIRES = {"xc7z020": {"lut": 124, "ff": 456}}


FREE = {"INV", "MUXF7", "MUXF8", "PFUMX", "L6MUX21"}   # no level of their own
START, PORT, RESET = "register", "port", "reset"       # where paths begin
RESETS = {"rst_ni"}                                    # ports that begin no path
LEVELS, CELLS, WIRED = range(3)                        # measures of a path


def continued(driver, reader, port):
    """A carry chain that goes on: one level, whatever its length."""
    return is_carry(driver) and is_carry(reader) and port in ("CI", "CIN")


def dedicated(driver, reader, port):
    """A wire that is no routing: carries, cascades of multipliers; an inverter stands in a LUT."""
    return continued(driver, reader, port) or driver == "INV" or port in ("PCIN", "ACIN", "BCIN")


def joined(driver, reader, port):
    """A LUT and what stands behind it in its slice: a register's data, a chain's operand."""
    return is_lut(driver) and (port in ("D", "S") or reader in FREE) or is_carry(driver) and port == "D"


def whole(bits):
    """The number that a parameter of the JSON netlist means, undefined bits as 0; text stays."""
    return int(bits.replace("x", "0"), 2) if re.fullmatch("[01x]+", bits) else bits


class Delays:
    """What the cells of a netlist take, in picoseconds, by Yosys.

    of[kind]: (arcs, arrivals, setups, clocks): {(input pin, output pin): ps}, {output pin: ps after the
    clock}, {input pin: ps before it}, {clock pins}. A pin is (port, index).
    """

    def __init__(self, netlist, device, folder):
        self.netlist, self.device, self.folder = netlist, device, folder
        path, self.flags, changes = LIBRARIES[device]
        binary = os.path.dirname(os.path.realpath(shutil.which("yosys")))
        data = os.path.join(os.path.dirname(binary), "share", "yosys")
        self.library = os.path.join(data, path)
        if changes:
            with open(self.library) as file:
                text = file.read()
            for pattern, put in changes:
                text, count = re.subn(pattern, put, text)
                if count == 0:
                    raise ValueError(f"{path} of this Yosys has no `{pattern}`")
            self.library = os.path.join(folder, "cells_sim.v")
            with open(self.library, "w") as file:
                file.write(text)
        self.of = {}
        self._derive()

    @staticmethod
    def key(cell):
        """Cells of one key have the same delays: contents do not matter."""
        return cell["type"], tuple(sorted((name, value) for name, value in cell.get("parameters", {}).items()
                                          if not name.startswith(("INIT", "LUT_INIT"))))

    def _yosys(self, name, lines):
        script = os.path.join(self.folder, f"{name}.ys")
        with open(script, "w") as file:
            file.write("\n".join(lines) + "\n")
        log = os.path.join(self.folder, f"{name}.log")
        done = subprocess.run(["yosys", "-q", "-l", log, "-s", script], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError(f"yosys failed on {script}:\n{done.stdout[-2000:]}")
        with open(log) as file:
            return file.read()

    def _derive(self):
        """Lets Yosys derive each kind of cell once, in a netlist of nothing else."""
        kinds = {}
        for cell in self.netlist.cells.values():
            kinds.setdefault(self.key(cell), cell)
        cells = {f"k{i}": {"hide_name": 0, "type": kind, "parameters": dict(parameters), "attributes": {},
                           "port_directions": kinds[kind, parameters]["port_directions"],
                           "connections": {}} for i, (kind, parameters) in enumerate(kinds)}
        path = os.path.join(self.folder, "kinds.json")
        with open(path, "w") as file:
            json.dump({"modules": {"kinds": {"ports": {}, "cells": cells, "netnames": {}}}}, file)
        derived = os.path.join(self.folder, "delays.json")
        log = self._yosys("kinds", [
            f"read_json {path}", f"read_verilog -lib -specify {self.flags} {self.library}", "sta",
            "delete =*/p:*", f"write_json {derived}"])
        self.ignored = sorted(set(re.findall(r"Cell type '(\S+)' not recognised|Module '(\w+)' has no timing", log)))
        self.ignored = [kind for pair in self.ignored for kind in pair if kind]
        with open(derived) as file:
            modules = json.load(file)["modules"]
        models = collections.defaultdict(list)
        for name, module in modules.items():
            models[module["attributes"].get("hdlname", name).lstrip("\\")].append((name, module))
        for kind, parameters in kinds:
            self.of[kind, parameters] = self._model(models[kind], parameters)

    @staticmethod
    def _model(candidates, parameters):
        def fits(module):
            own = module.get("parameter_default_values", {})
            return all(own.get(name) is not None and whole(own[name]) == whole(value)
                       for name, value in parameters)
        wanted = [module for name, module in candidates if name.startswith("$paramod") and fits(module)] \
            or [module for name, module in candidates if not name.startswith("$paramod")]
        arcs, arrivals, setups, clocks = {}, {}, {}, set()
        if not wanted:
            return arcs, arrivals, setups, clocks
        pins = {}
        for port, about in wanted[0]["ports"].items():
            for i, bit in enumerate(about["bits"]):
                pins[bit] = (port, i)
        for cell in wanted[0]["cells"].values():
            at = {port: [pins.get(bit) for bit in bits] for port, bits in cell["connections"].items()}
            value = {name: whole(bits) for name, bits in cell["parameters"].items()}
            if cell["type"] == "$specify2":
                if cell["connections"]["EN"] == ["0"]:
                    continue
                ps = max(value["T_RISE_MAX"], value["T_FALL_MAX"])
                pairs = [(s, d) for s in at["SRC"] for d in at["DST"]] if value["FULL"] \
                    else zip(at["SRC"] * len(at["DST"]) if len(at["SRC"]) == 1 else at["SRC"], at["DST"])
                for pair in pairs:
                    arcs[pair] = max(ps, arcs.get(pair, 0))
            elif cell["type"] == "$specify3":   # `sta` reads them whatever their condition
                clocks.update(at["SRC"])
                ps = max(value["T_RISE_MAX"], value["T_FALL_MAX"])
                for pin in at["DST"]:
                    arrivals[pin] = max(ps, arrivals.get(pin, 0))
            elif cell["type"] == "$specrule" and value["TYPE"] in ("$setup", "$setuphold"):
                clocks.update(at["DST"])
                for pin in at["SRC"]:
                    setups[pin] = max(value["T_LIMIT_MAX"], setups.get(pin, 0))
        return arcs, arrivals, setups, clocks

    def sta(self, path, top):
        """Longest path of all by Yosys' own pass, in ps, on the netlist as write_json left it; or None."""
        if self.device in UNCHECKED:
            return None
        log = self._yosys("sta", [
            f"read_json {path}", "delete =A:blackbox =A:whitebox =A:lib_whitebox",
            f"read_verilog -lib -specify {self.flags} {self.library}", f"select {top}", "sta"])
        found = re.search(r"^Latest arrival time in '.*' is (\d+):", log, re.M)
        if not found:
            raise RuntimeError(f"sta says nothing; see {self.folder}/sta.log")
        return int(found.group(1))


class Timing:
    """The paths of a netlist.

    For each net bit and each kind of start (a register's output, a port of the top, its reset), the longest
    way there by levels of logic, by picoseconds of the cells, and by those of cells and wires.
    """

    def __init__(self, netlist, delays):
        self.netlist, self.delays = netlist, delays
        self.wires, self.beside = WIRES.get(delays.device), BESIDE_WIRES.get(delays.device, {})
        self.models = {name: delays.of[delays.key(cell)] for name, cell in netlist.cells.items()}
        self.reached = {origin: ({}, {}, {}) for origin in (START, PORT, RESET)}  # bit: (value, cell, bit before)
        self._walk()

    def wire(self, bit, to, port):
        """Picoseconds of a net, estimated, from its driver to a pin of a cell (None: a port)."""
        source = self.netlist.driver.get(bit)
        if self.wires is None or source is None or to is None:
            return 0
        driver, reader = self.netlist.cells[source[0]]["type"], self.netlist.cells[to]["type"]
        readers = len(self.netlist.readers[bit])
        if dedicated(driver, reader, port) or readers == 1 and joined(driver, reader, port):
            return 0
        once, doubled = self.wires
        return 1000 * (once + doubled * math.log2(readers))

    def steps(self, name):
        """(bit before, bit behind, (levels, ps, ps with the wire before)) of each way through a cell."""
        netlist = self.netlist
        cell = netlist.cells[name]
        ports, kind = cell["connections"], cell["type"]
        inside = set(netlist.combinational_inputs(name))
        arcs = self.models[name][0]
        if inside and not arcs:   # unknown to Yosys: a level that takes no time
            arcs = {((source, i), (target, j)): 0 for source, bits in ports.items()
                    for i, bit in enumerate(bits) if bit in inside
                    for target in ports if cell["port_directions"][target] == "output"
                    for j in range(len(ports[target]))}
        for (source, target), ps in arcs.items() if inside else ():
            if target[1] >= len(ports.get(target[0], ())) or source[1] >= len(ports.get(source[0], ())):
                continue
            before, behind = ports[source[0]][source[1]], ports[target[0]][target[1]]
            if before in inside and isinstance(behind, int):
                driver = netlist.driver.get(before)
                level = 0 if kind in FREE or driver is not None and \
                    continued(netlist.cells[driver[0]]["type"], kind, source[0]) else 1
                alone = self.beside.get("lut", ps) if is_lut(kind) else ps
                yield before, behind, (level, ps, alone + self.wire(before, name, source[0]))

    def starts(self, name):
        """(bit, ps) of a cell's outputs that follow a clock."""
        cell = self.netlist.cells[name]
        arrivals = self.models[name][1]
        combinational = self.netlist.combinational_inputs(name)
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "output":
                for i, bit in enumerate(bits):
                    if isinstance(bit, int) and ((port, i) in arrivals or not combinational):
                        yield bit, arrivals.get((port, i), 0)

    def _walk(self):
        netlist = self.netlist
        for bit, port in netlist.input_ports.items():
            for table in self.reached[RESET if port in RESETS else PORT]:
                table[bit] = (0, None, None)
        for name in netlist.order:
            for bit, ps in self.starts(name):
                beside = self.beside.get("ff", ps) if is_ff(netlist.cells[name]["type"]) else ps
                for table, value in zip(self.reached[START], (0, ps, beside)):
                    table[bit] = (value, name, None)
            for before, behind, more in self.steps(name):
                for tables in self.reached.values():
                    if before in tables[0]:
                        for table, step in zip(tables, more):
                            value = table[before][0] + step
                            if behind not in table or value > table[behind][0]:
                                table[behind] = (value, name, before)

    def ends(self):
        """(cell or None, its pin, bit, setup in ps, whether a rule says so) of every end of a path."""
        for name, cell in self.netlist.cells.items():
            inside = set(self.netlist.combinational_inputs(name))
            _, _, setups, clocks = self.models[name]
            clocks = {port for port, _ in clocks}
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] == "input" and port not in clocks:
                    for i, bit in enumerate(bits):
                        if isinstance(bit, int) and ((port, i) in setups or bit not in inside):
                            yield name, port, bit, setups.get((port, i), 0), (port, i) in setups
        for bit, label in self.netlist.output_ports:
            yield None, label, bit, 0, True

    def longest(self):
        """Picoseconds of the longest path that `sta` sees, from and to anything."""
        return max((tables[CELLS][bit][0] + setup for _, _, bit, setup, known in self.ends() if known
                    for tables in self.reached.values() if bit in tables[CELLS]), default=0)

    def classes(self):
        """{(start, end): [(levels, ps, ps with wires, end)]}, each of them a register or a port."""
        found = collections.defaultdict(list)
        for end in self.ends():
            name, port, bit, setup, _ = end
            for origin in (START, PORT):
                tables = self.reached[origin]
                if bit in tables[LEVELS]:
                    found[origin, PORT if name is None else START].append((
                        tables[LEVELS][bit][0], tables[CELLS][bit][0] + setup,
                        tables[WIRED][bit][0] + setup + self.wire(bit, name, port), end))
        return found

    def path(self, origin, by, end):
        """The longest path by one measure to an end, by all of them."""
        name, port, bit, setup, _ = end
        netlist, tables = self.netlist, self.reached[origin]
        way = [bit]
        while tables[by][way[-1]][2] is not None:
            way.append(tables[by][way[-1]][2])
        way.reverse()
        cells = [tables[by][b][1] for b in way]
        total = [table[way[0]][0] for table in tables]
        for before, behind, cell in zip(way, way[1:], cells[1:]):
            more = max((more for *bits, more in self.steps(cell) if bits == [before, behind]),
                       key=lambda more: more[by])
            total = [value + step for value, step in zip(total, more)]
        through = []
        for cell in filter(None, cells):
            if through[-1:] != [netlist.module[cell]]:
                through.append(netlist.module[cell])
        pin = "" if name is None or port in ("D", "DI") else f".{port}"
        return {"levels": total[LEVELS], "ns": round((total[CELLS] + setup) / 1000, 3),
                "wired": round((total[WIRED] + setup + self.wire(bit, name, port)) / 1000, 2),
                "from": netlist.input_ports[way[0]] if origin == PORT else netlist.name(netlist.outputs(cells[0])),
                "to": port if name is None else netlist.name(netlist.outputs(name)) + pin,
                "through": through, "start": "(ports)" if origin == PORT else netlist.module[cells[0]],
                "end": "(ports)" if name is None else netlist.module[name]}

    def worst(self, rows, origin, by, count=1, key=lambda path: (path["start"], path["end"])):
        """The longest of a class's paths, one for each key: as a rule the pair of modules at the ends."""
        out, seen = [], set()
        for row in sorted(rows, key=lambda row: (*(-row[m] for m in (by, CELLS, LEVELS)), row[3][2])):
            if len(out) == count:
                break
            path = self.path(origin, by, row[3])
            if key(path) not in seen:
                seen.add(key(path))
                out.append(path)
        return out

    def report(self, count=20):
        """What synth/run prints and keeps."""
        classes = self.classes()
        inner = classes[START, START]
        most, modules = collections.Counter(), {}
        for row in inner:
            name = row[3][0]
            most[name] = max(most[name], row[LEVELS])
            module = self.netlist.module[name]
            modules.setdefault(module, [row, row])
            for i, by in enumerate((LEVELS, CELLS)):
                if row[by] > modules[module][i][by]:
                    modules[module][i] = row
        return {
            "by_level": {str(n): many for n, many in sorted(collections.Counter(most.values()).items())},
            "levels": self.worst(inner, START, LEVELS)[0], "wired": self.worst(inner, START, WIRED)[0] if self.wires else None,
            "paths": self.worst(inner, START, CELLS, count),
            "ports": {f"{start} to {end}": [self.worst(rows, start, by)[0] for by in (LEVELS, CELLS)]
                      for (start, end), rows in sorted(classes.items()) if (start, end) != (START, START)},
            "modules": {module: [self.path(START, by, row[3]) for by, row in zip((LEVELS, CELLS), rows)]
                        for module, rows in sorted(modules.items())},
        }

    def over(self, levels, ps):
        """Every pair of registers (whole vectors) with a path of more levels, or slower: for who mends them."""
        def vectors(path):
            return re.sub(r"\[\d+\]", "", path["from"]), re.sub(r"\[\d+\]", "", path["to"])
        rows = self.classes()[START, START]
        return self.worst([row for row in rows if row[LEVELS] > levels], START, LEVELS, 1000, vectors) + \
            self.worst([row for row in rows if row[CELLS] > ps], START, CELLS, 1000, vectors)
