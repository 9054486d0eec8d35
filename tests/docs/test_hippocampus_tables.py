# SPDX-License-Identifier: Apache-2.0
"""The tables of losses on the hippocampus are what the script prints of the file of all runs."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_page_of_segmentation_shows_what_the_file_of_runs_gives(capsys, monkeypatch):
    pytest.importorskip("monai")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    script = runpy.run_path(str(ROOT / "benchmarks/hippocampus.py"))
    found = script["read_runs"](ROOT / "docs/results/hippocampus_losses.csv")[""]
    script["print_tables"](found)
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| `")]
    page = (ROOT / "docs/segmentation.md").read_text(encoding="utf-8").splitlines()

    assert set(found) == set(script["VARIANTS"])
    assert all(set(seeds) == set(range(5)) for seeds in found.values())
    assert len(printed) == 5 * len(found) - 1
    for line in printed:
        assert page.count(line) == 1, line
