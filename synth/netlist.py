"""What a mapped netlist of Yosys takes of a device, module by module, and its longest paths."""
import collections
import json
import re

# LUTs that a cell of distributed memory or a shift register takes, and the bits it holds.
XC7_MEMORY = {"RAM32M": (4, 256), "RAM64M": (4, 256), "RAM32X1D": (2, 32), "RAM64X1D": (2, 64),
              "RAM128X1D": (4, 128), "RAM32X1S": (1, 32), "RAM64X1S": (1, 64),
              "SRL16E": (1, 0), "SRLC16E": (1, 0), "SRLC32E": (1, 0)}
ECP5_MEMORY = {"TRELLIS_DPR16X4": (6, 64)}  # four for the bits, two that its write port takes
XC7_RAM = {"RAMB36E1": 1.0, "RAMB18E1": 0.5}
MEMORY_DATA = {"RAM32M": "DI[A-D]", "RAM64M": "DI[A-D]", "RAMB36E1": "DIP?[AB]DIP?", "RAMB18E1": "DIP?[AB]DIP?",
               "SB_RAM40_4K": "WDATA|MASK", "DP16KD": "DI[AB]\\d+", "TRELLIS_DPR16X4": "DI"}  # inputs that may be undefined
INPUT_BUFFERS = {"IBUF", "OBUF", "BUFG", "TRELLIS_IO", "SB_IO", "SB_GB"}


def is_lut(kind):
    return re.fullmatch(r"LUT[1-6]|SB_LUT4", kind) is not None


def is_ff(kind):
    return re.fullmatch(r"FD[RSCP]E(_1)?|TRELLIS_FF|SB_DFF\w*", kind) is not None


def is_carry(kind):
    return kind in ("CARRY4", "CCU2C", "SB_CARRY")


class Hierarchy:
    """Which module stands at which instance path, by the instances in the sources."""

    def __init__(self, sources, inline=()):
        self.inline = set(inline)  # counted with the module that they stand in
        self.instances = {}  # (module, instance name): module
        for path in sources:
            with open(path) as file:
                text = re.sub(r"//.*", "", file.read())
            inside = re.search(r"^module (\w+)", text, re.M)
            while inside and (found := re.search(r"\b(esp_\w+)\s*(#\s*\(|u_\w+\s*\()", text)):
                text = text[found.end():]
                name = found.group(2)
                if name.startswith("#"):  # past the closing parenthesis of the parameters
                    depth, end = 1, 0
                    while depth:
                        depth += {"(": 1, ")": -1}.get(text[end], 0)
                        end += 1
                    text = text[end:]
                    name = re.match(r"\s*(\w*)", text).group(1)
                instance = re.match(r"u_\w+", name)
                if instance:
                    self.instances[inside.group(1), instance.group(0)] = found.group(1)
        self.children = {}
        for (parent, _), child in self.instances.items():
            self.children.setdefault(parent, set()).add(child)

    def at(self, top, path):
        """The module at `u_core.u_exec.gen_pair[3].u_half.signal`, or None for another name."""
        module = owner = top
        for step in re.split(r"[.\\]+", path):
            child = self.instances.get((module, step))
            if child:
                module = child
                owner = owner if child in self.inline else child
        return owner if module != top else None

    def leaf(self, modules):
        """The innermost of the modules on one path."""
        left = set(modules) - self.inline
        for module in left:
            if not self.children.get(module, set()) & left:
                return module
        return None


class Netlist:
    """A flat netlist as `write_json` leaves it."""

    def __init__(self, path, top, hierarchy=None):
        self.top, self.hierarchy = top, hierarchy or Hierarchy([])
        with open(path) as file:
            module = json.load(file)["modules"][top]
        self.cells = {name: cell for name, cell in module["cells"].items()
                      if cell["type"] not in INPUT_BUFFERS}
        self.input_ports, self.output_ports = self._ports(module)
        self.names = {}
        for name, net in sorted(module["netnames"].items(), key=lambda item: len(item[0])):
            if not net["hide_name"]:
                for index, bit in enumerate(net["bits"]):
                    self.names.setdefault(bit, f"{name}[{index}]" if len(net["bits"]) > 1 else name)
        self.driver, self.readers = {}, collections.defaultdict(list)
        for name, cell in self.cells.items():
            for port, bits in cell["connections"].items():
                for bit in bits:
                    if isinstance(bit, int):
                        if cell["port_directions"][port] == "output":
                            self.driver[bit] = (name, port)
                        else:
                            self.readers[bit].append((name, port))
        self.kinds = collections.Counter(cell["type"] for cell in self.cells.values())
        self.order = self._topological()
        self.module = self._modules()

    @staticmethod
    def _ports(module):
        """{bit: port} of the inputs and [(bit, port)] of the outputs, behind and before the pads' cells."""
        inputs, outputs = {}, []
        pads = [cell["connections"] for cell in module["cells"].values() if cell["type"] in ("IBUF", "OBUF")]
        behind = {pad["I"][0]: pad["O"][0] for pad in pads}
        before = {pad["O"][0]: pad["I"][0] for pad in pads}
        for name, port in module.get("ports", {}).items():
            for index, bit in enumerate(port["bits"]):
                label = f"{name}[{index}]" if len(port["bits"]) > 1 else name
                if port["direction"] == "input":
                    inputs[behind.get(bit, bit)] = label
                elif isinstance(before.get(bit, bit), int):
                    outputs.append((before.get(bit, bit), label))
        return inputs, outputs

    def undefined(self):
        """{(cell type, input): undefined bits}, but for the data and masks of memories: those nothing reads."""
        found = collections.Counter()
        for cell in self.cells.values():
            data = MEMORY_DATA.get(cell["type"])
            for pin, bits in cell["connections"].items():
                if cell["port_directions"][pin] == "input" and "x" in bits and not (data and re.fullmatch(data, pin)):
                    found[cell["type"], pin] += bits.count("x")
        return found

    def outputs(self, name):
        cell = self.cells[name]
        return [bit for port, bits in cell["connections"].items()
                if cell["port_directions"][port] == "output" for bit in bits]

    def combinational_inputs(self, name):
        """Input bits that a cell's outputs depend on without a clock."""
        cell = self.cells[name]
        kind, ports, parameters = cell["type"], cell["connections"], cell.get("parameters", {})
        if is_lut(kind) or is_carry(kind) or kind in ("INV", "MUXF7", "MUXF8", "PFUMX", "L6MUX21"):
            chosen = ports
        elif kind in XC7_MEMORY and kind.startswith("RAM"):
            chosen = [p for p in ports if re.fullmatch(r"ADDR[A-C]|DPRA\d?|A\d?", p)]
        elif kind == "TRELLIS_DPR16X4":
            chosen = ["RAD"]
        elif kind == "DSP48E1":
            def registered(key):
                return int(parameters.get(key, "0"), 2) != 0
            chosen = []
            if not registered("PREG"):
                chosen += ["C"] if not registered("CREG") else []
                chosen += ["PCIN"]
                if not registered("MREG"):
                    chosen += [p for p in "ABD" if not registered(p + "REG")]
        elif kind == "MULT18X18D":
            chosen = ["A", "B"]
        else:
            chosen = []
        return [bit for port in chosen if cell["port_directions"].get(port) == "input"
                for bit in ports[port] if isinstance(bit, int)]

    def _topological(self):
        waiting, ready, order = {}, [], []
        feeds = collections.defaultdict(list)
        for name in self.cells:
            sources = {self.driver[bit][0] for bit in self.combinational_inputs(name)
                       if bit in self.driver}
            waiting[name] = len(sources)
            for source in sources:
                feeds[source].append(name)
            if not sources:
                ready.append(name)
        while ready:
            name = ready.pop()
            order.append(name)
            for reader in feeds[name]:
                waiting[reader] -= 1
                if waiting[reader] == 0:
                    ready.append(reader)
        if len(order) != len(self.cells):
            raise ValueError(f"{len(self.cells) - len(order)} cells stand in combinational loops")
        return order

    def _modules(self):
        """The module of every cell: of its name or source where Yosys kept it, else of its readers."""
        module = {}
        for name, cell in self.cells.items():
            if is_lut(cell["type"]):
                continue
            path = name.removeprefix("$flatten")
            sources = re.findall(r"rtl/(?:\w+/)*(\w+)\.sv", cell["attributes"].get("src", ""))
            found = (None if path.startswith("$") else self.hierarchy.at(self.top, path)) or \
                self.hierarchy.leaf(sources)
            if found:
                module[name] = found
        for name in reversed(self.order):
            if name not in module:
                votes = collections.Counter(
                    module[reader] for bit in self.outputs(name)
                    for reader, _ in self.readers.get(bit, []) if reader in module)
                module[name] = votes.most_common(1)[0][0] if votes else "(ports)"
        return module

    def _carry_alone(self, name):
        """LUTs of a carry cell that no LUT of the netlist fills: a constant or register passes."""
        cell = self.cells[name]
        if cell["type"] != "CARRY4":
            return 0
        used, carry = ([bit in self.readers for bit in cell["connections"].get(port, [None] * 4)]
                       for port in ("O", "CO"))
        alone = 0
        for i, bit in enumerate(cell["connections"]["S"]):
            driven = isinstance(bit, int) and bit in self.driver
            by_lut = driven and is_lut(self.cells[self.driver[bit][0]]["type"])
            if not by_lut and (used[i] or any(carry[i:])):
                alone += 1
        return alone

    def count(self, name):
        """(LUT, FF, memory blocks, multipliers, bits of distributed memory) of one cell."""
        kind = self.cells[name]["type"]
        if is_lut(kind):
            return 1, 0, 0, 0, 0
        if is_ff(kind):
            return 0, 1, 0, 0, 0
        memory = XC7_MEMORY.get(kind) or ECP5_MEMORY.get(kind)
        if memory:
            return memory[0], 0, 0, 0, memory[1]
        if kind == "CARRY4":
            return self._carry_alone(name), 0, 0, 0, 0
        if kind == "CCU2C":
            return 2, 0, 0, 0, 0
        if kind in XC7_RAM or kind in ("DP16KD", "SB_RAM40_4K"):
            return 0, 0, XC7_RAM.get(kind, 1.0), 0, 0
        if kind in ("DSP48E1", "MULT18X18D"):
            return 0, 0, 0, 1, 0
        return 0, 0, 0, 0, 0

    def by_module(self):
        """{module: [LUT, FF, memory blocks, multipliers, bits of distributed memory]}"""
        table = collections.defaultdict(lambda: [0, 0, 0.0, 0, 0])
        for name in self.cells:
            row = table[self.module[name]]
            for i, value in enumerate(self.count(name)):
                row[i] += value
        return {module: row for module, row in sorted(table.items()) if any(row)}

    def ice40_cells(self):
        """Logic cells of an iCE40: a LUT and the register behind it share one."""
        joined = 0
        for name, cell in self.cells.items():
            if is_ff(cell["type"]):
                bit = cell["connections"]["D"][0]
                source = self.driver.get(bit)
                joined += (source is not None and is_lut(self.cells[source[0]]["type"])
                           and len(self.readers[bit]) == 1)
        luts = sum(n for kind, n in self.kinds.items() if is_lut(kind))
        registers = sum(n for kind, n in self.kinds.items() if is_ff(kind))
        return luts + registers - joined

    def name(self, bits):
        """The shortest name of some bits."""
        named = [self.names[bit] for bit in bits if bit in self.names]
        return min(named, key=len) if named else "?"
