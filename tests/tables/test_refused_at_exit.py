# SPDX-License-Identifier: Apache-2.0
"""A table that is refused ends the command with its status: no thread of Arrow's is left to abort the process."""

import subprocess
import sys

import pytest

from adafocal import Predictions
from adafocal.tables import csv_arrow

BAD = "prob_0,prob_1,label\n0.5,x,0\n"


def test_a_refused_text_table_ends_with_status_2_every_time(tmp_path):
    (tmp_path / "bad.csv").write_text(BAD, "utf-8")
    command = [sys.executable, "-m", "adafocal.cli", "evaluate", "bad.csv"]
    runs = [subprocess.run(command, cwd=tmp_path, capture_output=True, text=True) for _ in range(2)]

    assert [run.returncode for run in runs] == [2] * 2
    assert {run.stderr for run in runs} == {
        "adafocal evaluate: `prob_1` must be a number, got 'x' in row 0 of 'bad.csv'.\n"
    }


def test_what_arrow_reads_is_let_go_of_whether_it_is_read_or_refused(tmp_path, monkeypatch):
    left, wait = [], csv_arrow._wait_until_gone

    def watched(held):
        wait(held)
        left.append(held())

    monkeypatch.setattr(csv_arrow, "_wait_until_gone", watched)
    for name, text in (("bad", BAD), ("good", BAD.replace("x", "0.5"))):
        (tmp_path / f"{name}.csv").write_text(text, "utf-8")
    with pytest.raises(ValueError, match="prob_1"):
        Predictions.load(tmp_path / "bad.csv")
    Predictions.load(tmp_path / "good.csv")

    assert len(left) >= 2
    assert left == [None] * len(left)
