# SPDX-License-Identifier: Apache-2.0
"""Records of runs: what has another shape is said, with the name of the place."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, make_dataclass

import pytest

from adafocal._records import Some, Unsure, as_record, read_columns, read_record, to_plain
from adafocal.results.comparison import Comparison
from adafocal.results.folder import PROVENANCE, is_beginning, own_files


@dataclass(frozen=True)
class Whole:
    a: int


@dataclass(frozen=True)
class Optional:
    a: int = 7


@dataclass(frozen=True)
class Texts:
    b: tuple[str, ...]


@dataclass(frozen=True)
class Deep:
    a: Texts


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (3, int, None),
        (True, int, "with True as `x`"),
        (True, float, "with True as `x`"),
        (True, bool, None),
        (True, object, None),
        ("a", int, "with 'a' as `x`"),
        (2, float, None),
        (None, Unsure, None),
        (None, int | None, None),
        ("a", int | None, "with 'a' as `x`"),
        (None, float, "with None as `x`"),
        ({"a": 1}, Whole, None),
        ({}, Whole, "without `x.a`"),
        ({}, Optional, None),
        ({"a": "b"}, Optional, "with 'b' as `x.a`"),
        ({"a": 1, "more": "b"}, Whole, None),
        ({"k": 1, "l": "b"}, Mapping[str, int], "with 'b' as `x.l`"),
        ([1, "b"], tuple[int, ...], "with 'b' as `x[1]`"),
        ([], tuple[int, ...], None),
        ([], Some[int], "with nothing as `x`"),
        ({}, Some[int], "with {} as `x`"),
        ([{"a": 1}, {"a": None}], tuple[Whole, ...], "with None as `x[1].a`"),
        ({"a": {"b": [0]}}, Deep, "with 0 as `x.a.b[0]`"),
    ],
)
def test_what_does_not_fit_is_named(value, kind, said, rejects):
    record = make_dataclass("Record", [("x", kind)])
    if said is None:
        as_record({"x": value}, record, "`r` must fit, got one")
    else:
        with rejects(ValueError, f"`r` must fit, got one {said}."):
            as_record({"x": value}, record, "`r` must fit, got one")


def test_null_is_nan_in_a_record_and_null_again_in_a_file():
    record = as_record({"x": [None, 1]}, make_dataclass("Record", [("x", tuple[Unsure, ...])]), "")

    assert math.isnan(record.x[0])
    assert to_plain(record) == {"x": [None, 1]}


def test_a_whole_record_of_another_kind_is_named_by_its_type(rejects):
    with rejects(ValueError, "`r` must fit, got one with list in place of names."):
        as_record([1], Whole, "`r` must fit, got one")
    with rejects(ValueError, "`r` must fit, got one without `baseline`."):
        as_record({"experiments": []}, Comparison, "`r` must fit, got one")


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
        read_record(tmp_path / name, Whole)
    (tmp_path / name).write_text('{"a": 1}')
    assert read_record(tmp_path / name, Whole) == Whole(1)


def test_the_history_is_numbers_by_column(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,loss\n0,0.5\n1,\n")
    first, second = read_columns(tmp_path / "metrics.csv")

    assert first == {"epoch": 0.0, "loss": 0.5}
    assert second["epoch"] == 1.0
    assert math.isnan(second["loss"])
    for text, said in (
        ("epoch,loss\n0,0.5\n1\n", "got 1 fields for 2 columns in row 2"),
        ('epoch,loss\n0,"0.5\n', "must be a whole CSV file of a run, got one with"),
    ):
        (tmp_path / "metrics.csv").write_text(text)
        with pytest.raises(ValueError, match=said):
            read_columns(tmp_path / "metrics.csv")
    (tmp_path / "metrics.csv").write_text("")
    assert read_columns(tmp_path / "metrics.csv") == []


def test_what_a_killed_run_may_leave_is_told_from_other_peoples_files(tmp_path):
    for name in (PROVENANCE, "notes.txt"):
        (tmp_path / name).write_text("{}")
    assert not is_beginning(tmp_path / "notes.txt")
    assert not is_beginning(tmp_path / PROVENANCE)


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


def test_what_is_null_is_nan_only_where_a_number_may_be_undefined():
    record = make_dataclass("Record", [("a", int | None), ("b", Unsure)])
    found = as_record({"a": None, "b": None}, record, "x")

    assert found.a is None
    assert math.isnan(found.b)
