# SPDX-License-Identifier: Apache-2.0
"""Which files a command reads, and how long its pieces are."""

import pytest
import torch

from adafocal.predictions import Predictions
from adafocal.tables.columns import Names
from adafocal.tables.scan import PIECE, count_rows, find_files, scan


@pytest.fixture
def folder(tmp_path):
    for name in ("b.csv", "a.csv", "deep/c.csv", "_SUCCESS.csv", ".hidden.csv", "notes.txt", "odd[1].csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("prob_0,prob_1,label\n" + "0.5,0.5,0\n" * 5)
    return tmp_path


def found(*paths):
    return [path.name for path in find_files(paths)]


def test_a_folder_gives_its_tables_in_order_and_no_marks(folder):
    assert found(folder) == ["a.csv", "b.csv", "c.csv", "odd[1].csv"]


def test_patterns_files_and_folders_are_joined_and_each_file_is_read_once(folder):
    assert found(folder / "*.csv") == ["_SUCCESS.csv", "a.csv", "b.csv", "odd[1].csv"]
    assert found(folder / "**" / "[ac].csv") == ["a.csv", "c.csv"]
    assert found(folder / "b.csv", folder / "a.csv", folder / "b.csv", folder / "deep") == ["b.csv", "a.csv", "c.csv"]


def test_a_name_that_is_there_is_no_pattern(folder):
    assert found(folder / "odd[1].csv") == ["odd[1].csv"]


def test_what_names_no_table_is_refused(folder, rejects):
    with rejects(ValueError, "`FILE` must name at least one file, got none."):
        find_files([])
    with pytest.raises(FileNotFoundError, match="must name existing files"):
        find_files([folder / "nothing*.csv"])
    with pytest.raises(ValueError, match=r"notes\.txt"):
        find_files([folder / "notes.txt"])


def test_rows_count_on_from_piece_to_piece_and_from_0_in_every_file(folder, monkeypatch):
    monkeypatch.setattr("adafocal.tables.scan.PIECE", 6)
    pieces = list(scan([folder / "a.csv", folder / "b.csv"], Names()))

    assert [(piece.path.name, piece.first_row, piece.n) for piece in pieces] == [
        ("a.csv", 0, 2), ("a.csv", 2, 2), ("a.csv", 4, 1), ("b.csv", 0, 2), ("b.csv", 2, 2), ("b.csv", 4, 1),
    ]  # fmt: skip
    assert count_rows([folder / "a.csv"]) is None
    assert PIECE == 2**19


@pytest.mark.parametrize("suffix", [".npz", ".parquet", ".csv"])
@pytest.mark.parametrize(("numbers", "lengths"), [(7, [2, 2, 1]), (1, [1] * 5), (100, [5])])
def test_a_piece_holds_about_as_many_numbers_as_asked_for(suffix, numbers, lengths, tmp_path, folder, monkeypatch):
    monkeypatch.setattr("adafocal.tables.scan.PIECE", numbers)
    path = tmp_path / f"p{suffix}"
    Predictions.load(folder / "a.csv").save(path)
    pieces = list(scan([path], Names()))

    if suffix == ".npz" and numbers == 7:  # two probabilities per row; the label does not count
        lengths = [3, 2]
    assert [piece.n for piece in pieces] == lengths
    assert [piece.first_row for piece in pieces] == [sum(lengths[:place]) for place in range(len(lengths))]


@pytest.mark.parametrize("suffix", [".npz", ".parquet", ".csv"])
def test_one_row_is_one_piece_without_groups(suffix, tmp_path):
    Predictions(probs=torch.tensor([[0.5, 0.5]]), labels=torch.tensor([0])).save(tmp_path / f"p{suffix}")
    (piece,) = scan([tmp_path / f"p{suffix}"], Names())

    assert (piece.n, piece.group, piece.groups()) == (1, None, [])
