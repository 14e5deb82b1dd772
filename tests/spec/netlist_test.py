#!/usr/bin/env python3
"""synth/netlist.py and synth/timing.py on netlists small enough to count by hand."""
import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "synth"))
import timing  # noqa: E402
from netlist import Netlist  # noqa: E402


def cell(kind, source="", parameters=None, **ports):
    """Ports in capitals; a port's name begins with `o` where it is an output, `i` otherwise."""
    return {"type": kind, "attributes": {"src": source} if source else {},
            "parameters": parameters or {},
            "port_directions": {p[1:]: "output" if p[0] == "o" else "input" for p in ports},
            "connections": {p[1:]: bits for p, bits in ports.items()}}


def netlist(cells, names=None, ports=None):
    nets = {name: {"hide_name": 0, "bits": bits} for name, bits in (names or {}).items()}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"modules": {"top": {"cells": cells, "netnames": nets, "ports": ports or {}}}}, file)
        file.flush()
        return Netlist(file.name, "top")


def register(name, d, q):
    return cell("FDRE", f"rtl/control/{name}.sv:1.1-2.2", iC=[1], iD=[d], oQ=[q])


# A register, a LUT, two cells of one carry chain, a register.
CHAIN = {"a": register("esp_a", 10, 11), "b": register("esp_b", 33, 34),
         "l1": cell("LUT1", iI0=[11], oO=[20]),
         "c1": cell("CARRY4", iCI=["0"], iS=[20, "0", "0", "0"], iDI=["0"] * 4,
                    oCO=[21, 22, 23, 24], oO=[25, 26, 27, 28]),
         "c2": cell("CARRY4", iCI=[24], iS=["0"] * 4, iDI=["0"] * 4,
                    oCO=[29, 30, 31, 32], oO=[33, 35, 36, 37])}
NAMES = {"esp_a.q": [11], "esp_b.q": [34], "esp_x": [40], "esp_y": [41]}


class FakeDelays:
    """What Yosys would say: a few delays, by hand. Arcs, arrivals, setups, clocks."""
    device = "no device"
    of = {"LUT1": ({(("I0", 0), ("O", 0)): 100}, {}, {}, set()),
          "CARRY4": ({(("S", 0), ("CO", 3)): 500, (("CI", 0), ("O", 0)): 200, (("S", 0), ("O", 0)): 210}, {}, {}, set()),
          "FDRE": ({}, {("Q", 0): 300}, {("D", 0): 0, ("CE", 0): 109}, {("C", 0)})}

    @staticmethod
    def key(cell):
        return cell["type"]


def timing_of(cells, ports=None):
    timing.WIRES["no device"] = (0.4, 0.2)
    return timing.Timing(netlist(cells, NAMES, ports), FakeDelays())


class TimingTest(unittest.TestCase):
    def test_a_path_counts_luts_and_a_chain_once(self):
        path = timing_of(CHAIN).report()["paths"][0]
        self.assertEqual((path["levels"], path["ns"], path["from"], path["to"]), (2, 1.1, "esp_a.q", "esp_b.q"))
        self.assertEqual(path["through"], ["esp_a", "esp_b"])

    def test_a_chain_that_feeds_a_sum_is_a_level_more(self):
        cells = json.loads(json.dumps(CHAIN))
        cells["c2"]["connections"].update(CI=["0"], S=[24, "0", "0", "0"])
        self.assertEqual(timing_of(cells).report()["levels"]["levels"], 3)

    def test_a_wire_takes_time_by_its_readers_and_none_inside_a_slice(self):
        # To the LUT 0.4; from it to the chain, along the chain and to the register nothing.
        self.assertEqual(timing_of(CHAIN).report()["wired"]["wired"], 1.1 + 0.4)
        more = dict(CHAIN, l2=cell("LUT1", iI0=[11], oO=[50]))
        self.assertEqual(timing_of(more).report()["wired"]["wired"], 1.1 + 0.4 + 0.2)

    def test_ports_stand_apart_and_a_reset_begins_nothing(self):
        cells = {"i": cell("IBUF", iI=[2], oO=[40]), "l1": cell("LUT1", iI0=[40], oO=[41]),
                 "a": register("esp_a", 41, 11), "o": cell("OBUF", iI=[41], oO=[3]),
                 "l2": cell("LUT1", iI0=[4], oO=[33]), "b": register("esp_b", 33, 34)}
        ports = {"x_i": {"direction": "input", "bits": [2]}, "y_o": {"direction": "output", "bits": [3]},
                 "rst_ni": {"direction": "input", "bits": [4]}}
        paths = timing_of(cells, ports)
        found = {kind: (rows[0][0], rows[0][1]) for kind, rows in paths.classes().items()}
        self.assertEqual(found, {("port", "register"): (1, 100), ("port", "port"): (1, 100)})

    def test_an_enable_has_its_setup(self):
        cells = dict(CHAIN, a=register("esp_a", 10, 11), b=register("esp_b", 12, 34))
        cells["b"] = cell("FDRE", "rtl/control/esp_b.sv:1.1-2.2", iC=[1], iD=[12], iCE=[33], oQ=[34])
        path = timing_of(cells).report()["paths"][0]
        self.assertEqual((path["ns"], path["to"]), (1.209, "esp_b.q.CE"))
        self.assertEqual(timing_of(cells).longest(), 1209)


class NetlistTest(unittest.TestCase):
    def test_a_lut_belongs_to_what_it_leads_to(self):
        n = netlist({"a": register("esp_a", 10, 11), "b": register("esp_b", 14, 15),
                     "l1": cell("LUT2", iI0=[11], iI1=[15], oO=[13]),
                     "l2": cell("LUT1", iI0=[13], oO=[14]),
                     "l3": cell("LUT1", iI0=[15], oO=[10])})
        self.assertEqual(n.by_module(), {"esp_a": [1, 1, 0, 0, 0], "esp_b": [2, 1, 0, 0, 0]})

    def test_a_carry_passes_where_no_lut_stands(self):
        # The first chain's low bit has its LUT; what passes on to the second chain's bit 0 has none.
        self.assertEqual(netlist(CHAIN).by_module()["esp_b"][0], 1 + 4)

    def test_memories_and_multipliers(self):
        n = netlist({"m": cell("RAM32M", "rtl/common/esp_fifo.sv:3.1", iADDRA=["0"], oDOA=[10]),
                     "b": cell("RAMB18E1", "rtl/dma/esp_x.sv:3.1", oDOADO=[11]),
                     "d": cell("DSP48E1", "rtl/exec/esp_y.sv:3.1", {"PREG": "1"}, oP=[12])})
        self.assertEqual(n.by_module(), {"esp_fifo": [4, 0, 0, 0, 256], "esp_x": [0, 0, 0.5, 0, 0],
                                         "esp_y": [0, 0, 0, 1, 0]})

    def test_a_register_shares_the_cell_of_its_own_lut(self):
        lut = {"l": cell("SB_LUT4", iI0=[1], oO=[10]), "f": cell("SB_DFF", iD=[10], oQ=[11])}
        self.assertEqual(netlist(lut).ice40_cells(), 1)
        lut["g"] = cell("SB_DFF", iD=[10], oQ=[12])
        self.assertEqual(netlist(lut).ice40_cells(), 3)

    def test_undefined_bits_may_enter_data_of_memories_only(self):
        n = netlist({"m": cell("RAMB36E1", iDIBDI=["x", 10], iDIPADIP=["x"], iADDRARDADDR=["0", "x"], oDOBDO=[11]),
                     "d": cell("DSP48E1", "rtl/exec/esp_y.sv:3.1", {"PREG": "1"}, iC=["x", "x", 11], oP=["x", 12]),
                     "b": cell("SB_RAM40_4K", iMASK=["x"], iWDATA=["x"], iWE=["x"], oRDATA=[13])})
        self.assertEqual(n.undefined(), {("RAMB36E1", "ADDRARDADDR"): 1, ("DSP48E1", "C"): 2, ("SB_RAM40_4K", "WE"): 1})

    def test_a_loop_is_an_error(self):
        with self.assertRaisesRegex(ValueError, "2 cells stand in combinational loops"):
            netlist({"l1": cell("LUT1", iI0=[11], oO=[10]), "l2": cell("LUT1", iI0=[10], oO=[11])})


if __name__ == "__main__":
    unittest.main()
