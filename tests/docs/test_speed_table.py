# SPDX-License-Identifier: Apache-2.0
"""The table of speeds has every row of the benchmarks, with the goal that stands there."""

import csv
import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks" / "speed"


def rows_in_code(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    names = ["row", "run", *(path.stem for path in FOLDER.glob("*.py") if path.stem not in ("row", "run"))]
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    rooms = importlib.import_module("run").ROOMS
    assert set(rooms) == set(names[2:])
    found = [(room, row) for room in rooms for row in importlib.import_module(room).ROWS]
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return found


def test_the_table_has_the_rows_and_goals_of_the_benchmarks(monkeypatch):
    with (ROOT / "docs" / "results" / "speed.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    rows = rows_in_code(monkeypatch)

    assert len(table) >= 30
    assert [(one["room"], one["what"], one["peer"], float(one["goal"])) for one in table] == [
        (room, row.what, row.peer, row.goal) for room, row in rows
    ]
    assert len({(row.what, row.peer) for _, row in rows}) == len(rows)


def test_what_misses_its_goal_says_why():
    with (ROOT / "docs" / "results" / "speed.csv").open(newline="") as file:
        silent = [
            one["what"]
            for one in csv.DictReader(file)
            if not one["note"] and (not one["ratio"] or float(one["ratio"]) > float(one["goal"]))
        ]
    assert silent == []
