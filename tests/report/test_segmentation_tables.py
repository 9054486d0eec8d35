# SPDX-License-Identifier: Apache-2.0
import math

import pytest

from adafocal.report.segmentation_tables import MAX_CASES, case_table, worst_cases
from adafocal.results.folder import RunFolder

CASES = {
    "a": {"dice": 0.9, "dice_head": 0.9, "hausdorff95": 1.0, "ece": 0.01},
    "<b>": {"dice": 0.2, "dice_head": 0.2, "hausdorff95": 9.0, "ece": 0.02},
    "c": {"dice": math.nan, "dice_head": math.nan, "hausdorff95": math.nan, "ece": 0.03},
    "d": {"dice": 0.5, "dice_head": 0.5, "hausdorff95": 4.0, "ece": 0.04},
}


def test_the_worst_are_named_and_come_first_and_what_is_not_defined_last():
    table = case_table(CASES)
    assert worst_cases(CASES) == ["Lowest Dice: <b> (0.200), d (0.500), a (0.900)."]
    assert [row.title for row in table.rows] == ["<b>", "d", "a", "c"]
    assert table.headings == ["Case", "Dice", "HD95"]  # what the catalogue knows of single cases
    assert [[cell.text for cell in row.cells] for row in table.rows][::3] == [["0.200", "9.00"], ["–", "–"]]


def test_the_worst_calibrated_are_named_too():
    cases = {name: {"dice": 0.5, "class_ace": error} for name, error in zip("abcd", (0.1, 0.4, 0.2, 0.3), strict=True)}
    assert worst_cases(cases)[1] == "Highest class ACE: b (40.00\u00a0%), d (30.00\u00a0%), c (20.00\u00a0%)."


def test_without_cases_there_is_nothing():
    assert worst_cases({}) == []
    assert case_table({}) is None


def test_of_very_many_cases_the_worst_are_shown_and_counted():
    table = case_table({str(number): {"dice": number / 1000} for number in range(999, 0, -1)})
    assert [row.title for row in table.rows] == [str(number) for number in range(1, MAX_CASES + 1)]
    assert table.caption.endswith(f"The {MAX_CASES} worst of 999.")


def test_a_run_folder_reads_its_cases_by_name(tmp_path):
    assert RunFolder(tmp_path).cases == {}
    (tmp_path / "cases.csv").write_text("case,dice,hausdorff95\n017,0.5,\nknee,0.25,3\n", encoding="utf-8")
    cases = RunFolder(tmp_path).cases
    assert cases["knee"] == {"dice": 0.25, "hausdorff95": 3.0}
    assert cases["017"]["dice"] == 0.5
    assert math.isnan(cases["017"]["hausdorff95"])
    (tmp_path / "cases.csv").write_text("case,dice\nknee\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"cases\.csv' must be a whole CSV file of a run, got 1 fields for 2 columns"):
        RunFolder(tmp_path).cases  # noqa: B018
