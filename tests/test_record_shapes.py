# SPDX-License-Identifier: Apache-2.0
"""Records of runs: what has another shape is said, with the name of the place."""

import math

import pytest

from adafocal._records import BEGINNING, COMPARISON, is_beginning, misfit, own_files, read_history, read_record


@pytest.mark.parametrize(
    ("value", "shape", "said"),
    [
        (3, int, None),
        (True, int, "with True as `x`"),
        (True, (int, bool), None),
        (True, object, None),
        ("a", int, "with 'a' as `x`"),
        (None, (int, type(None)), None),
        ({"a": 1}, {"a": int}, None),
        ({}, {"a": int}, "without `x.a`"),
        ({}, {"a?": int}, None),
        ({"a": "b"}, {"a?": int}, "with 'b' as `x.a`"),
        ({"a": 1, "more": "b"}, {"a": int}, None),
        ({"k": 1, "l": "b"}, {str: int}, "with 'b' as `x.l`"),
        ([1, "b"], [int], "with 'b' as `x[1]`"),
        ([], [int], None),
        ([], [int, ...], "with nothing as `x`"),
        ([{"a": 1}, {"a": None}], [{"a": int}], "with None as `x[1].a`"),
        ({"a": {"b": [0]}}, {"a": {"b": [str]}}, "with 0 as `x.a.b[0]`"),
    ],
)
def test_what_does_not_fit_is_named(value, shape, said):
    assert misfit(value, shape, "x") == said


def test_a_whole_record_of_another_kind_is_named_by_its_type():
    assert misfit([1], {"a": int}) == "with list in place of names"
    assert misfit({"experiments": []}, COMPARISON) == "without `baseline`"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", '{"a": ', "must be a whole JSON file, got one with Expecting value"),
        ("a.yaml", "a: [", "must be a whole YAML file, got one with "),
        ("a.json", "[" * 100_000, "must be a whole JSON file, got one with nesting without end"),
        ("a.json", '{"a": "x"}', "must be a file that adafocal wrote, got one with 'x' as `a`"),
    ],
)
def test_damaged_records_are_named_with_their_kind(name, text, said, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=said.replace("[", r"\[").replace("(", r"\(")):
        read_record(tmp_path / name, {"a": int})
    (tmp_path / name).write_text('{"a": 1}')
    assert read_record(tmp_path / name, {"a": int}) == {"a": 1}


def test_the_history_is_numbers_by_column(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,loss\n0,0.5\n1,\n")
    first, second = read_history(tmp_path)

    assert first == {"epoch": 0.0, "loss": 0.5}
    assert second["epoch"] == 1.0
    assert math.isnan(second["loss"])
    for text, said in (
        ("epoch,loss\n0,0.5\n1\n", "got 1 fields for 2 columns in row 2"),
        ('epoch,loss\n0,"0.5\n', "must be a whole CSV file of a run, got one with"),
    ):
        (tmp_path / "metrics.csv").write_text(text)
        with pytest.raises(ValueError, match=said):
            read_history(tmp_path)
    (tmp_path / "metrics.csv").write_text("")
    assert read_history(tmp_path) == []


def test_what_a_killed_run_may_leave_is_told_from_other_peoples_files(tmp_path):
    for name in (BEGINNING, "notes.txt"):
        (tmp_path / name).write_text("{}")
    assert not is_beginning(tmp_path / "notes.txt")
    assert not is_beginning(tmp_path / BEGINNING)


def test_pages_are_not_among_the_files_that_are_a_runs_own(tmp_path):
    run = tmp_path / "runs" / "digits" / "adafocal-s0"
    run.mkdir(parents=True)
    for folder in (tmp_path, run):
        for name in ("config.yaml", "report.html", "summary.json", "other.txt"):
            (folder / name).write_text("")

    assert sorted(path.relative_to(tmp_path).as_posix() for path in own_files(tmp_path)) == [
        "config.yaml",
        "runs/digits/adafocal-s0/config.yaml",
        "runs/digits/adafocal-s0/summary.json",
        "summary.json",
    ]
