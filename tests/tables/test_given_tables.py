# SPDX-License-Identifier: Apache-2.0
"""Tables as people have them, with the right values from a plain computation: bins (a, b], zero in the first."""

import gzip
import io
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from adafocal import Outcomes, Predictions
from adafocal.calibration import evaluate
from adafocal.cli import main

CASES = Path(__file__).parent / "cases"
CLASSES = ("cat", "dog", "bird")


def made(name, folder):
    """Give a case, made from another where it says the same in other words."""
    if (CASES / name).exists():
        return CASES / name
    path = folder / name
    head, *rows = [line.split(",") for line in (CASES / "named_classes.csv").read_text().splitlines()]
    head, indices = ["label", "prob_0", "prob_1", "prob_2"], [[str(CLASSES.index(row[0])), *row[1:]] for row in rows]
    if name == "semicolon.csv":
        path.write_text("\n".join(";".join(row).replace(".", ",") for row in [head, *indices]) + "\n")
    elif name == "three_decimals.csv":
        rounded = [[row[0], *(f"{float(cell):.3f}" for cell in row[1:])] for row in indices]
        path.write_text("\n".join(map(",".join, [head, *rounded])) + "\n")
    elif name == "whole_labels.csv":
        path.write_text("\n".join(map(",".join, [head, *([f"{row[0]}.0", *row[1:]] for row in indices)])) + "\n")
    else:
        text = gzip.decompress((CASES / "outcomes.csv.gz").read_bytes()).decode()
        parts = [line.split(",") for line in text.splitlines()[1:]]
        lines = {
            "outcomes.csv": text.splitlines(),
            "outcomes_percent.csv": ["confidence,correct", *(f"{100 * float(row[0]):.2f},{row[1]}" for row in parts)],
            "outcomes.jsonl": [
                json.dumps({"confidence": float(row[0]), "correct": row[1] == "True", "site": row[2]}) for row in parts
            ],
        }[name]
        path.write_text("\n".join(lines) + "\n")
    return path


VALUES = {
    "one_column.csv": (0.119738, ("--probs", "y_pred_proba", "--label", "y_true")),
    "one_column.parquet": (0.119738, ("--probs", "score", "--label", "y")),
    "outcomes.csv": (0.119738, ("--by", "site")),
    "weighted.csv": (0.117431, ("--weight", "weight")),
    "named_classes.csv": (0.022769, ()),
    "semicolon.csv": (0.022769, ()),
    "three_decimals.csv": (0.025601, ()),
    "whole_labels.csv": (0.022769, ()),
    "outcomes.csv.gz": (0.119738, ()),
    "outcomes.jsonl": (0.119738, ()),
    "partitioned": (0.119738, ("--by", "month")),
}


@pytest.mark.parametrize("name", VALUES)
def test_the_command_gives_the_right_values(name, tmp_path):
    ece, options = VALUES[name]
    assert main(["evaluate", str(made(name, tmp_path)), *options, "--json", str(tmp_path / "o.json")]) == 0
    found = json.loads((tmp_path / "o.json").read_text())

    assert (found["n"], round(found["ece"], 6)) == (600, ece)
    if name == "partitioned":
        assert list(found["groups"]) == ["2026-01", "2026-02"]


@pytest.mark.parametrize("name", [name for name in VALUES if name != "partitioned"])
def test_the_library_gives_the_right_values(name, tmp_path):
    ece, options = VALUES[name]
    given = dict(zip((option.strip("-") for option in options[::2]), options[1::2], strict=True))
    given.pop("by", None)
    path = made(name, tmp_path)
    record = Outcomes if name.startswith(("outcomes", "weighted")) else Predictions
    event = {"positive_class": 1} if name.startswith("one_column") else {}

    assert round(evaluate(record.load(path, **given), **event).ece, 6) == ece


def test_weights_are_as_rows_that_are_repeated(tmp_path):
    head, *rows = (CASES / "weighted.csv").read_text().splitlines()
    (tmp_path / "p.csv").write_text("\n".join([head, *(row for row in rows for _ in range(int(row.split(",")[2])))]))

    assert round(evaluate(Outcomes.load(tmp_path / "p.csv")).ece, 6) == 0.117431


def test_rows_that_printing_rounded_are_counted(tmp_path, capsys):
    assert main(["evaluate", str(made("three_decimals.csv", tmp_path))]) == 0
    off = sum(
        abs(sum(map(float, line.split(",")[1:])) - 1) > 1e-6
        for line in made("three_decimals.csv", tmp_path).read_text().splitlines()[1:]
    )

    assert f"{off} rows did not sum to 1, as printing rounds, and were divided by their sum." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("outcomes_percent.csv", "got 39.67 in row 0 of {}: divide by 100, as it seems to go from 0 to 100."),
        ("two_labels.csv", "columns must have names of their own, got 2 named `label` in {}."),
        ("latin1.csv", "`FILE` must be a readable CSV file, got {}: byte 0xe4 is not UTF-8: save it as UTF-8."),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_remedy(name, says, tmp_path, capsys):
    path = made(name, tmp_path)
    assert main(["evaluate", str(path)]) == 2
    assert says.format(repr(str(path))) in capsys.readouterr().err


@pytest.mark.parametrize("name", ["outcomes.csv", "outcomes.csv.gz", "outcomes.jsonl"])
def test_standard_input_is_read_whatever_comes(name, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(made(name, tmp_path).read_bytes())))
    assert main(["evaluate", "-", "--json", str(tmp_path / "o.json")]) == 0
    assert round(json.loads((tmp_path / "o.json").read_text())["ece"], 6) == 0.119738


def test_folders_of_partitions_may_have_marks_of_engines_and_be_named_by_an_address(tmp_path):
    shutil.copytree(CASES / "partitioned", tmp_path / "a folder")
    (tmp_path / "a folder" / "_SUCCESS").touch()
    for place in (f"file://{tmp_path}/a%20folder", f"{tmp_path}/a folder/*/*.parquet"):
        assert main(["evaluate", place, "--by", "month", "--json", str(tmp_path / "o.json")]) == 0
        found = json.loads((tmp_path / "o.json").read_text())
        assert (round(found["ece"], 6), list(found["groups"])) == (0.119738, ["2026-01", "2026-02"])
