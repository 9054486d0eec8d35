# SPDX-License-Identifier: Apache-2.0
"""Calibration per case of a table: ``adafocal evaluate --case COLUMN``."""

import json

import numpy as np
import pytest
import torch

from adafocal.calibration import case_stats, expected_calibration_error
from adafocal.cli import main
from adafocal.evaluation.cases import CaseWatch
from adafocal.tables.scan import Names, scan


@pytest.fixture
def table(tmp_path):
    """Ninety voxels of four scans, interleaved, and their probabilities, labels and scans."""
    generator = torch.Generator().manual_seed(0)
    probs = (2 * torch.randn(90, 3, generator=generator, dtype=torch.float64)).softmax(1)
    labels = torch.randint(3, (90,), generator=generator)
    scans = [f"scan {int(number)}" for number in torch.randint(4, (90,), generator=generator)]
    path = tmp_path / "voxels.csv"
    rows = (f"{scan},{','.join(map(repr, row))},{label}" for scan, row, label in zip(
        scans, probs.tolist(), labels.tolist(), strict=True))  # fmt: skip
    path.write_text("\n".join(["scan,prob_0,prob_1,prob_2,label", *rows]) + "\n")
    return path, probs, labels, np.array(scans)


def test_each_case_is_measured_by_its_own_rows_and_the_worst_is_first(table, tmp_path, capsys):
    path, probs, labels, scans = table
    out = tmp_path / "found.json"
    page = tmp_path / "page.html"
    given = ["evaluate", str(path), "--case", "scan", "--no_remedy", "--json", str(out), "--html", str(page)]
    assert main(given) == 0

    found, shown = json.loads(out.read_text()), capsys.readouterr().out
    confidence, correct = probs.amax(1), probs.argmax(1) == labels
    expected = {
        name: float(expected_calibration_error(confidence[torch.as_tensor(scans == name)],
                                               correct[torch.as_tensor(scans == name)]))
        for name in sorted(set(scans))
    }  # fmt: skip
    per_case = found["per_case"]
    assert {case["name"]: case["ece"] for case in per_case["cases"]} == pytest.approx(expected)
    assert [case["name"] for case in per_case["cases"]] == sorted(expected, key=lambda name: -expected[name])
    assert per_case["means"]["ece"]["value"] == pytest.approx(np.mean(list(expected.values())))
    assert per_case["means"]["ece"]["low"] < np.mean(list(expected.values())) < per_case["means"]["ece"]["high"]
    classes = case_stats(probs, labels, scans, inputs="probs", n_bins=15).errors("ace").mean(dim=0)
    assert [per_case["classes"][name]["ace"]["value"] for name in "012"] == pytest.approx(classes.tolist())
    assert found["n_clusters"] == 4
    assert "Intervals are those of 4 clusters." in shown
    assert shown.index(per_case["cases"][0]["name"]) < shown.index(per_case["cases"][-1]["name"])
    assert "Mean over 4 cases by scan" in shown
    assert 'id="section-cases"' in page.read_text()


def test_outcomes_weights_and_one_case_are_measured(tmp_path):
    path = tmp_path / "answers.csv"
    path.write_text("confidence,correct,w,doc\n0.9,1,2,a\n0.9,0,1,a\n0.2,0,0,a\n0.2,0,0,b\n")
    watch = CaseWatch("doc", n_bins=10, positive_class=None)
    list(watch.watched(scan([path], Names(weight="w", cluster="doc"))))
    found = watch.result()

    [case] = found.cases  # that of weight 0 is not there
    assert (case.name, case.n) == ("a", 3.0)
    assert case.ece == pytest.approx(0.9 - 2 / 3)
    assert found.means["ece"].low is None
    assert found.classes == {}


def test_parts_of_a_table_give_what_the_whole_does(table):
    path, *_ = table
    pieces = list(scan([path], Names(cluster="scan")))
    whole, parts = (CaseWatch("scan", n_bins=15, positive_class="2") for _ in range(2))
    list(whole.watched(pieces))
    list(parts.watched(piece.part(slice(first, first + 7)) for piece in pieces for first in range(0, piece.n, 7)))

    for one, other in zip(whole.result().cases, parts.result().cases, strict=True):
        assert one.name == other.name
        assert other.mce == pytest.approx(one.mce, abs=1e-12)


def test_what_is_no_case_is_refused(table, tmp_path, capsys):
    path, *_ = table
    lines = path.read_text().splitlines()
    (tmp_path / "missing.csv").write_text("\n".join([*lines[:3], "," + lines[3].split(",", 1)[1]]) + "\n")
    assert main(["evaluate", str(tmp_path / "missing.csv"), "--case", "scan"]) == 2
    assert "`scan` must have no missing values" in capsys.readouterr().err
    assert main(["evaluate", str(path), "--case", "scan", "--cluster", "scan"]) == 2
    assert "`case` must not go with `cluster`" in capsys.readouterr().err
    assert main(["evaluate", str(path), "--case", "patient"]) == 2


def test_there_are_not_more_cases_than_people_mean(table, monkeypatch, rejects):
    monkeypatch.setattr("adafocal.evaluation.cases.MAX_CASES", 3)
    with rejects(ValueError, "`case` must name a column of at most 3 different values, got more."):
        list(CaseWatch("scan", n_bins=5, positive_class=None).watched(scan([table[0]], Names(cluster="scan"))))
