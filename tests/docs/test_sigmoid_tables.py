# SPDX-License-Identifier: Apache-2.0
"""The tables of losses on heads of sigmoids are what the script prints of the file of all runs."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_of_sigmoids_shows_what_the_file_of_runs_gives(capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    script = runpy.run_path(str(ROOT / "benchmarks/sigmoid.py"))
    path = ROOT / "docs/results/sigmoid.csv"
    script["print_tables"](path)
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| `")]
    found = script["read_runs"](path, words=["scaling"])
    page = (ROOT / "docs/sigmoid.md").read_text(encoding="utf-8").splitlines()

    assert set(found) == set(script["TASKS"])
    for losses in found.values():
        assert set(losses) == set(script["LOSSES"])
        assert all(set(seeds) == set(range(5)) for seeds in losses.values())
    assert len(printed) == 2 * (6 + 5)
    for line in printed:
        assert page.count(line) == 1, line
