# SPDX-License-Identifier: Apache-2.0
"""The tables of losses on language models are what the script prints of the files of all runs."""

import runpy
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
RUNS, GAMMAS = (ROOT / "docs/results" / f"language_model{end}.csv" for end in ("", "_gammas"))


def test_the_page_of_fine_tuning_shows_what_the_files_of_runs_give(capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    script = runpy.run_path(str(ROOT / "benchmarks/language_model.py"))
    script["print_tables"](RUNS)
    script["print_gammas"](GAMMAS)
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| `")]
    found = script["read_runs"](RUNS)
    page = (ROOT / "docs/fine_tuning.md").read_text(encoding="utf-8").splitlines()

    assert set(found) == set(script["TASKS"])
    for task, losses in found.items():
        assert set(losses) == set(script["LOSSES"])
        assert all(set(seeds) == set(script["TASKS"][task].seeds) for seeds in losses.values())
    assert len(printed) == 3 * (5 + 5 + 4 + 2 * 3)
    for line in printed:
        assert page.count(line) == 1, line


def test_the_interval_of_an_error_is_that_of_documents(monkeypatch):
    """Tokens of a document that are all right or wrong together are worth one sample."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    script = runpy.run_path(str(ROOT / "benchmarks/language_model.py"))
    generator = torch.Generator().manual_seed(0)
    document = torch.arange(200).repeat_interleave(50)
    right = (torch.rand(200, generator=generator) < 0.3).to(torch.uint8)
    confidence = torch.full((200,), 0.8)
    value, low, high = script["ece"](confidence[document], right[document], document)
    alone = script["ece"](confidence, right, torch.arange(200))

    assert (value, low, high) == pytest.approx(alone)
    assert value == pytest.approx(0.8 - float(right.double().mean()))
