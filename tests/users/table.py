#!/usr/bin/env python3
"""Writes the tables of docs/personalise.md from tests/users/results.csv.

Usage: tests/users/table.py             rewrites them; fails where a bar is missed
       tests/users/table.py --check     fails where the page differs from the file, or a bar is missed
       tests/users/table.py --print     prints them instead

A point lost is a point of accuracy on a user's test images, averaged over the users that a row has.
"""

import argparse
import csv
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RESULTS = os.path.join(ROOT, "tests", "users", "results.csv")
PAGE = os.path.join(ROOT, "docs", "personalise.md")
BEGIN = "<!-- tests/users/table.py writes the tables from here -->\n"
END = "<!-- to here -->\n"

PER_CLASS = 300  # test images of each class
CUTS = ["1.25", "1.5", "2", "3"]
ROWS = [
    ("Taylor, all corrections", ("taylor", "all", "1")),
    ("counts in multiples of 4", ("taylor", "all", "4")),
    ("of 8", ("taylor", "all", "8")),
    ("of 16", ("taylor", "all", "16")),
    ("Taylor by score alone, all corrections", ("plain", "all", "1")),
    ("magnitude, all corrections", ("magnitude", "all", "1")),
    ("activation, all corrections", ("activation", "all", "1")),
    ("random, all corrections", ("random", "all", "1")),
    ("Taylor, fold", ("taylor", "fold", "1")),
    ("Taylor, no correction", ("taylor", "none", "1")),
]
# The cut at one point lost that the first row must reach, by number of classes.
BARS = {2: 1.5, 3: 1.4, 5: 1.25}
USERS = 5  # of each number of classes, when the run is whole


def read(path):
    """Right answers by user, way and cut; None where the network cannot be cut so far."""
    found = {}
    with open(path) as file:
        settings = file.readline()
        for row in csv.DictReader(file):
            way = (row["by"], row["correct"], row["align"])
            right = None if row["right"] == "-" else int(row["right"])
            found.setdefault(row["classes"], {}).setdefault(way, {})[row["cut"]] = right
    if f"test {PER_CLASS} a class" not in settings:
        sys.exit(f"{path}:1: is not of {PER_CLASS} test images a class")
    return found


def losses(users, way):
    """How many users have every cut of a way, and the points lost on average at each cut."""
    whole = [ways for ways in users if all(cut in ways.get(way, {}) for cut in CUTS)]
    lost = []
    for cut in CUTS:
        right = [ways[way][cut] for ways in whole]
        if not whole or None in right:
            lost.append(None)
            continue
        each = [100 * (ways["generic"] - r) / ways["images"] for ways, r in zip(whole, right)]
        lost.append(sum(each) / len(each))
    return len(whole), lost


def cut_at(lost, points):
    """The largest cut that loses so many points at most, by straight lines between the cuts; the
    last cut that can be made where even that loses less."""
    at, before = 1.0, 0.0
    for cut, now in zip(CUTS, lost):
        if now is None:
            break
        if now > points:
            return at + (float(cut) - at) * (points - before) / (now - before)
        at, before = float(cut), now
    return at


def by_size(found):
    """Users by number of classes, each with its generic answers and its test images."""
    sizes = {}
    for classes, ways in found.items():
        size = len(classes.split())
        generic = ways.pop(("generic", "none", "1"), {}).get("1")
        if generic is None:
            continue
        sizes.setdefault(size, []).append(ways | {"generic": generic, "images": size * PER_CLASS})
    return dict(sorted(sizes.items()))


def table(size, users):
    mean = sum(100 * u["generic"] / u["images"] for u in users) / len(users)
    lines = [f"Users of {size} classes, {mean:.2f} % without pruning; points lost:", "",
             "| | users | " + " | ".join([f"MAC cut {CUTS[0]}"] + CUTS[1:]) + " | cut at 1 point |",
             "|---|" + "---|" * (len(CUTS) + 2)]
    for title, way in ROWS:
        count, lost = losses(users, way)
        if not count:
            continue  # not measured yet
        cells = [f"{value:.2f}" if value is not None else "-" for value in lost]
        lines.append(f"| {title} | {count} of {USERS} | " + " | ".join(cells) +
                     f" | {cut_at(lost, 1):.2f} |")
    return "\n".join(lines + [""])


def missed(sizes):
    """Bars are for all users; a part of them says little."""
    found = []
    for size, users in sizes.items():
        count, lost = losses(users, ROWS[0][1])
        if count >= USERS and (at := cut_at(lost, 1)) < BARS[size]:
            found.append(f"users of {size} classes: the cut at one point is {at:.2f}; "
                         f"the bar is {BARS[size]}")
    return found


def place(tables, options):
    with open(options.page) as file:
        text = file.read()
    head, rest = text.split(BEGIN)
    page = head + BEGIN + tables + END + rest.split(END)[1]
    if options.check and page != text:
        sys.exit(f"{options.page} and {options.results} differ: run tests/users/table.py")
    if not options.check:
        with open(options.page, "w") as file:
            file.write(page)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", default=RESULTS)
    parser.add_argument("--page", default=PAGE)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--print", action="store_true")
    options = parser.parse_args()
    sizes = by_size(read(options.results))
    begun = {size: users for size, users in sizes.items() if losses(users, ROWS[0][1])[0]}
    if not begun:
        sys.exit(f"{options.results}: no user has every cut of the first row")
    tables = "\n".join([""] + [table(size, users) for size, users in begun.items()])
    if options.print:
        print(tables)
    else:
        place(tables, options)
    if bars := missed(sizes):
        sys.exit("\n".join(bars))


if __name__ == "__main__":
    main()
