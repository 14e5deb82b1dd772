#!/usr/bin/env python3
"""Writes tb/gtkwave/demo.gtkw, a view of an `edge` machine's wave with a group for each engine, and
the names of the states in tb/gtkwave/*_state.txt. `--check` only says what is stale.

The view expects demo.fst and the .txt files beside itself, wherever that is."""

import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORE = "TOP.esp_sim.u_top.u_core."
HOME = "/waves/"  # GTKWave looks for the files as they lie relative to its save file
HEX, BINARY, DECIMAL, TRANSLATED, BEGIN, END = 0x22, 0x28, 0x24, 0x2000, 0x800200, 0x1000200

STATES = {"regs": "control/esp_regs", "decode": "control/esp_decode", "feeder": "exec/esp_feeder",
          "passes": "exec/esp_passes", "pool": "pool/esp_pool_windows"}
SPEC = tomllib.loads((ROOT / "spec/espalier.toml").read_text())


def common_field(name):
    """Lowest bit and width of a field that every instruction has."""
    offset = 0
    for field in SPEC["common"]:
        if field["name"] == name:
            return offset, field["width"]
        offset += field["width"]
    sys.exit(f"no common field {name}")


def state_names(path):
    """The states of a module, with the values that they have or that their order gives them."""
    text = (ROOT / f"rtl/{path}.sv").read_text()
    bits, body = re.search(r"typedef enum logic \[(\d+):0\] \{(.*?)\} state_e;", text, re.S).groups()
    names = re.findall(r"\bSt(\w+)", re.sub(r"//.*", "", body))
    digits = (int(bits) + 4) // 4
    return "".join(f"{value:0{digits}x} {name}\n" for value, name in enumerate(names))


class View:
    def __init__(self):
        self.lines = [f'[dumpfile] "{HOME}demo.fst"', f'[savefile] "{HOME}demo.gtkw"',
                      "[timestart] 0", "[size] 1600 1000", "[pos] -1 -1", "[sst_width] 220",
                      "[signals_width] 260", "[sst_expanded] 0"]
        self.flags, self.tables = None, {}

    def radix(self, flags):
        if flags != self.flags:
            self.lines.append(f"@{flags:x}")
            self.flags = flags

    def begin(self, name):
        self.radix(BEGIN)
        self.lines.append(f"-{name}")
        self.group = name

    def end(self):
        self.radix(END)
        self.lines.append(f"-{self.group}")

    def translate(self, table):
        number = self.tables.setdefault(table, len(self.tables) + 1)
        self.lines.append(f"^{number} {HOME}{table}.txt")

    def bit(self, *names):
        self.radix(BINARY)
        self.lines += [CORE + name for name in names]

    def vector(self, name, width, radix=HEX, table=None):
        self.radix(radix | (TRANSLATED if table else 0))
        if table:
            self.translate(table)
        self.lines.append(f"{CORE}{name}[{width - 1}:0]")

    def part(self, label, name, width, low, bits, radix=HEX, table=None):
        """Bits low .. low + bits - 1 of a vector; GTKWave counts them from the left."""
        self.radix(radix | (TRANSLATED if table else 0))
        if table:
            self.translate(table)
        top = width - low - bits
        members = " ".join(f"({top + i}){CORE}{name}[{width - 1}:0]" for i in range(bits))
        self.lines.append(f"#{{{label}}} {members}")

    def state(self, name, width, machine):
        """GTKWave translates no whole signal that has an enumerated type, but a bundle of its bits."""
        self.part(f"{machine} state", name, width, 0, width, table=f"{machine}_state")

    def instruction(self, name, width):
        self.part(f"{name} opcode", name, width, *common_field("opcode"), table="opcode")
        self.part(f"{name} layer", name, width, *common_field("layer"), radix=DECIMAL)
        for i in range(3):
            self.part(f"{name} waits for", name, width, *common_field(f"dep{i}_engine"), table="engine")
            self.part("count", name, width, *common_field(f"dep{i}_count"), radix=DECIMAL)

    def retired(self, engine):
        code = next(e["code"] for e in SPEC["engine"] if e["name"] == engine)
        self.part("retires", "retire", 7, code, 1, radix=BINARY)
        self.part("retired", "retired", 128, 16 * code, 16, radix=DECIMAL)


def view():
    v = View()
    v.begin("machine")
    v.bit("clk_i", "rst_ni", "irq_o", "start", "running")
    v.state("u_regs.state_q", 3, "regs")
    v.bit("trace_layer_valid_o")
    v.vector("trace_layer_o", 12, DECIMAL)
    v.bit("fault")
    v.vector("u_regs.cause_q", 4, table="fault")
    v.vector("u_regs.fault_engine_q", 3, table="engine")
    v.end()

    v.begin("fetch and decode")
    v.bit("u_fetch.req_valid_o", "u_fetch.req_ready_i")
    v.vector("u_fetch.req_address_o", 32)
    v.bit("u_fetch.word_valid_o", "u_fetch.word_ready_i")
    v.state("u_decode.state_q", 4, "decode")
    v.vector("decode_address", 32)
    v.instruction("inst", 640)
    v.vector("dispatch", 7, BINARY)
    v.vector("waits", 7, BINARY)
    v.end()

    for queue in ("load_a", "load_w"):
        v.begin(queue)
        v.bit(f"{queue}_valid", f"{queue}_ready")
        v.instruction(queue, 256)
        v.bit(f"{queue}_busy", f"u_{queue}.wait_room_o", f"u_{queue}.req_valid_o", f"u_{queue}.req_ready_i")
        v.vector(f"u_{queue}.req_address_o", 32)
        v.vector(f"u_{queue}.req_beats_o", 5, DECIMAL)
        v.vector(f"u_{queue}.word_valid_o", 3, BINARY)
        v.vector(f"word_{queue[-1]}_address", 16)
        v.vector(f"word_{queue[-1]}", 128)
        if queue == "load_w":
            for ring, width in (("wgt", 13), ("par", 7)):
                v.vector(f"{ring}_loaded", width, DECIMAL)
                v.vector(f"{ring}_base", width, DECIMAL)
        v.retired(queue)
        v.end()

    v.begin("exec")
    v.bit("conv_valid", "conv_ready")
    v.instruction("conv", 640)
    v.vector("exec_layer", 12, DECIMAL)
    v.state("u_exec.u_feeder.state_q", 3, "feeder")
    v.state("u_exec.u_feeder.u_passes.state_q", 2, "passes")
    v.bit("trace_fed_o", "u_exec.ev_pass_o", "u_exec.ev_wait_weights_o", "u_exec.ev_wait_acc_o",
          "u_exec.ev_ragged_o", "act_ren")
    v.vector("act_raddr", 13)
    v.vector("act_rdata", 128)
    v.bit("u_exec.u_wseq.walk_q", "u_exec.tile_ready", "u_exec.tile_take", "wgt_ren")
    v.vector("wgt_raddr", 12)
    v.vector("wgt_rdata", 128)
    v.bit("u_exec.acc_valid", "u_exec.acc_overwrite", "u_exec.acc_half")
    v.vector("u_exec.full_q", 2, BINARY)
    v.retired("exec")
    v.end()

    v.begin("post")
    v.bit("post_valid", "post_ready", "post_half")
    v.part("post layer", "post_conv", 640, *common_field("layer"), radix=DECIMAL)
    v.bit("u_post.ev_busy_o", "u_post.ev_wait_out_o", "u_post.ev_wait_operand_o", "acc_ren", "acc_free")
    v.vector("acc_raddr", 9)
    v.bit("res_valid", "res_ready", "u_post.out_valid_o", "u_post.out_ready_i")
    v.vector("u_post.out_data_o", 128)
    v.retired("post")
    v.end()

    v.begin("pool")
    v.bit("pool_valid", "pool_ready")
    v.instruction("pool", 384)
    v.state("u_pool.u_windows.state_q", 3, "pool")
    v.bit("u_pool.ev_busy_o", "u_pool.ev_wait_o", "preq_valid", "preq_ready", "u_pool.out_valid_o",
          "u_pool.out_ready_i")
    v.vector("u_pool.out_data_o", 128)
    v.retired("pool")
    v.end()

    v.begin("store")
    v.bit("store_valid", "store_ready")
    v.instruction("store", 256)
    v.bit("store_busy")
    v.vector("stream_valid", 2, BINARY)
    v.vector("stream_ready", 2, BINARY)
    v.retired("store")
    v.end()

    v.begin("AXI reads")
    v.bit("m_axi_arvalid_o", "m_axi_arready_i")
    v.vector("m_axi_araddr_o", 32)
    v.vector("m_axi_arlen_o", 8, DECIMAL)
    v.bit("m_axi_rvalid_i", "m_axi_rready_o", "m_axi_rlast_i")
    v.vector("m_axi_rdata_i", 128)
    v.end()
    v.begin("AXI writes")
    v.bit("m_axi_awvalid_o", "m_axi_awready_i")
    v.vector("m_axi_awaddr_o", 32)
    v.vector("m_axi_awlen_o", 8, DECIMAL)
    v.bit("m_axi_wvalid_o", "m_axi_wready_i", "m_axi_wlast_o")
    v.vector("m_axi_wdata_o", 128)
    v.bit("m_axi_bvalid_i", "m_axi_bready_o")
    v.end()
    return "\n".join(v.lines) + "\n"


def main():
    files = {f"tb/gtkwave/{name}_state.txt": state_names(path) for name, path in STATES.items()}
    files["tb/gtkwave/demo.gtkw"] = view()
    stale = [name for name, text in files.items()
             if not (ROOT / name).exists() or (ROOT / name).read_text() != text]
    if "--check" in sys.argv[1:]:
        for name in stale:
            print(f"{name} is stale; run tb/make_view.py")
        sys.exit(1 if stale else 0)
    for name in stale:
        (ROOT / name).write_text(files[name])


if __name__ == "__main__":
    main()
