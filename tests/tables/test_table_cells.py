# SPDX-License-Identifier: Apache-2.0
"""What single cells, arrays and groups become."""

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adafocal.errors import AdafocalError
from adafocal.tables.assemble import make_piece
from adafocal.tables.columns import Columns, Names
from adafocal.tables.csv import read_csv, write_csv
from adafocal.tables.dialect import LONGEST_FIELD
from adafocal.tables.labels import EXACT, as_coded, class_indices
from adafocal.tables.npz import open_npz, read_npz
from adafocal.tables.numbers import floats
from adafocal.tables.parquet import read_parquet, write_parquet
from adafocal.tables.piece import RowError, group_name, reason
from adafocal.tables.read import named, read_table

PROBS = Columns("probs", ("probs",), "label")


def said(action):
    with pytest.raises(AdafocalError) as caught:
        action()
    return str(caught.value)


@pytest.mark.parametrize(
    ("held", "becomes"),
    [("i1", "f4"), ("u8", "f4"), ("f2", "f2"), ("f4", "f4"), ("f8", "f8"), (">f8", "f8"), (np.longdouble, "f8")],
)
def test_numbers_become_floats_of_their_width(held, becomes):
    found = floats(np.array([0, 1], dtype=held), "probs")

    assert found.dtype == np.dtype(becomes)
    assert found.dtype.isnative
    assert found.tolist() == [0, 1]


def test_floats_are_not_copied_and_what_is_no_number_is_named():
    held = np.zeros(3)

    assert floats(held, "probs") is held
    for odd, kind in ((np.array(["a"]), "values that are no numbers"), (np.array([True]), "type bool")):
        assert said(lambda odd=odd: floats(odd, "p")) == (
            f"`p` must hold numbers or lists of numbers of one length, got {kind}."
        )


def test_labels_are_whole_and_exact():
    assert EXACT == 2**53
    assert class_indices(np.array([2.0, -0.0, 2.0**53])).tolist() == [2, 0, 2**53]
    assert class_indices(np.array([2**63 - 1], dtype=np.uint64)).tolist() == [2**63 - 1]
    for odd, row in ((np.array([0, 2.0**53 + 2]), 1), (np.array([0.5]), 0), (np.array([1, 2**63], dtype=np.uint64), 1)):
        with pytest.raises(RowError, match="must be an integer class index") as caught:
            class_indices(odd)
        assert caught.value.row == row
    assert said(lambda: class_indices(np.zeros((2, 1)))) == "`label` must have shape (N,), got (2, 1)."
    assert said(lambda: class_indices(np.array(["a"]))) == (
        "`label` must be an integer class index, got 'a' in row 0: name the columns by the classes for labels in "
        "words, as prob_cat, prob_dog."
    )


def test_shapes_that_are_no_matrix_are_named():
    label = np.zeros(2)
    one = {"probs": np.zeros((2, 2, 2)), "label": label}
    several = {"a": np.zeros((2, 1)), "b": np.zeros(2), "label": label}

    assert said(lambda: make_piece(Path("f"), PROBS, 0, one)) == "`probs` must have shape (N, C), got (2, 2, 2)."
    columns = Columns("probs", ("a", "b"), "label")
    assert said(lambda: make_piece(Path("f"), columns, 0, several)) == "`a` must have one number per row, got (2, 1)."
    broken = {"probs": np.zeros((2, 2)), "label": np.array([0, 0.5])}
    with pytest.raises(RowError) as caught:
        make_piece(Path("f"), PROBS, 7, broken)
    assert caught.value.row == 8


def test_groups_are_numbered_and_named():
    columns = Columns("probs", ("probs",), "label", by=("site",))
    table = {"probs": np.zeros((3, 2)), "label": np.zeros(3), "site": np.array([5, 3, 5])}
    piece = make_piece(Path("f"), columns, 0, table)

    assert piece.group_names == ("3", "5")
    assert [(name, rows.tolist()) for name, rows in piece.groups()] == [("3", [1]), ("5", [0, 2])]
    assert as_coded(np.array([b"a\xff"]), "site").values == ("a\\xff",)
    for odd, got in ((np.zeros((2, 1)), "shape (2, 1)"), (np.array([1j]), "type complex128")):
        assert said(lambda odd=odd: as_coded(odd, "s")) == f"`s` must have one plain value per row, got {got}."
    assert said(lambda: as_coded(np.array([{}]), "s")) == "`s` must have one plain value per row, got {} in row 0."
    assert [group_name(text) for text in (None, "", "a")] == ["(missing)", "(empty)", "a"]


def test_the_reason_is_the_first_line_of_what_a_library_says():
    assert reason(ValueError("one.\ntwo")) == "one"
    assert reason(ValueError()) == "ValueError"
    assert reason("\n") == "'\\n'"
    assert len(reason("x" * 1000)) == 300


def test_only_the_cells_of_numbers_are_looked_at(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("name,probs_0,probs_1,label\nJosé,0.5,0.5,1\nx_y,0.2,0.8,0\n", encoding="utf-8")
    (piece,) = read_csv(path, Names(by="name"), 100)

    assert piece.values.tolist() == [[0.5, 0.5], [np.float32(0.2), np.float32(0.8)]]
    assert piece.values.dtype == np.float32
    assert [name for name, _ in piece.groups()] == ["José", "x_y"]
    path.write_text("name,probs_0,probs_1,label\nJosé,0.5,0.5,1\nx,0.2,0_8,0\n", encoding="utf-8")
    with pytest.raises(RowError, match="`probs_1` must be a number, got '0_8'") as caught:
        list(read_csv(path, Names(), 100))
    assert caught.value.row == 1


def test_fields_may_be_as_long_as_python_allows_and_the_limit_is_put_back(tmp_path):
    assert LONGEST_FIELD == 2**31 - 1
    before = csv.field_size_limit()
    path = tmp_path / "p.csv"
    path.write_text("text,probs_0,probs_1,label\n" + "x" * 200_000 + ",0.5,0.5,1\n")

    assert next(read_csv(path, Names(), 100)).n == 1
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_text_in_any_of_the_unicode_encodings_is_read(encoding, tmp_path):
    path = tmp_path / "p.csv"
    path.write_bytes("probs_0,probs_1,label,é\n0.25,0.75,1,ü\n".encode(encoding))
    (piece,) = read_csv(path, Names(by="é"), 100)

    assert (piece.values.tolist(), piece.labels.tolist(), piece.group_names) == ([[0.25, 0.75]], [1], ("ü",))


def test_written_numbers_are_told_from_their_neighbours(tmp_path):
    probs = np.array([[0.1, 0.9], [1 / 3, 2 / 3]], dtype=np.float32)
    write_csv({"probs": probs, "labels": np.array([1, 0]), "features": np.array([[1.5], [2.5]])}, tmp_path / "p.csv")
    rows = list(csv.reader(io.StringIO((tmp_path / "p.csv").read_text())))

    assert rows[0] == ["prob_0", "prob_1", "label", "feature_0"]
    assert rows[1] == ["0.1", "0.9", "1", "1.5"]
    assert np.array(rows[2][:2], dtype=np.float32).tolist() == probs[1].tolist()


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_either_order_are_read(order, tmp_path):
    held = np.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], order=order)
    np.savez(tmp_path / "p.npz", logits=held, label=[0, 1])

    with open_npz(tmp_path / "p.npz") as arrays:
        assert arrays.names == ["logits", "label"]
        assert ("label" in arrays, "probs" in arrays) == (True, False)
        assert arrays["logits"].tolist() == held.tolist()


def test_the_second_version_of_the_format_is_read(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "p.npz", "w") as archive:
        for name, values in (("probs", np.full((2, 2), 0.5)), ("label", np.zeros(2))):
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, values, version=(2, 0))
    (piece,) = read_npz(tmp_path / "p.npz", Names(), 100)

    assert piece.values.tolist() == [[0.5, 0.5]] * 2


def test_lengths_that_differ_are_given_by_array(tmp_path):
    np.savez(tmp_path / "p.npz", probs=np.full((2, 2), 0.5), y=np.zeros(3))
    lengths = said(lambda: list(read_npz(tmp_path / "p.npz", Names(label="y"), 100)))

    assert lengths == "arrays must have one row per label, 3, got {'probs': 2, 'labels': 3}."


def test_parquet_is_read_in_parts_with_checksums_and_little_memory(tmp_path, monkeypatch):
    made = []
    opened = pq.ParquetFile
    monkeypatch.setattr(pq, "ParquetFile", lambda file, **options: made.append(options) or opened(file, **options))
    write_parquet({"probs": np.full((4, 2), 0.5), "labels": np.arange(4) % 2}, tmp_path / "p.parquet")
    pieces = list(read_table(tmp_path / "p.parquet", Names(), 100, row_groups=[0], first_row=10))

    assert made == [{"pre_buffer": False, "buffer_size": 2**20, "page_checksum_verification": True}]
    assert [(piece.first_row, piece.n) for piece in pieces] == [(10, 4)]
    assert pq.read_table(tmp_path / "p.parquet")["probs"].type == pa.list_(pa.float64(), 2)


def test_a_file_without_rows_begins_at_row_0_and_keeps_its_width(tmp_path):
    table = pa.table({"probs": pa.array([], pa.list_(pa.float32(), 3)), "label": pa.array([], pa.int64())})
    pq.write_table(table, tmp_path / "p.parquet")
    (piece,) = read_parquet(tmp_path / "p.parquet", Names(), 100)

    assert (piece.first_row, piece.values.shape, piece.labels.shape) == (0, (0, 3), (0,))


@pytest.mark.parametrize("sites", [["a", "b", "a"], ["a", None, "b"]])
@pytest.mark.parametrize("coded_already", [False, True])
def test_groups_of_parquet_are_named_once(sites, coded_already, tmp_path):
    column = pa.array(sites).dictionary_encode() if coded_already else pa.array(sites)
    pq.write_table(pa.table({"probs": [[0.5, 0.5]] * 3, "label": [0] * 3, "site": column}), tmp_path / "p.parquet")
    (piece,) = read_parquet(tmp_path / "p.parquet", Names(by="site"), 100)

    assert sorted(piece.group_names) == sorted({site or "(missing)" for site in sites})


def test_nulls_are_missing_and_not_a_table_without_rows(tmp_path):
    pq.write_table(pa.table({"probs": [[0.5, 0.5]], "label": pa.nulls(1)}), tmp_path / "p.parquet")
    with pytest.raises(RowError, match="`label` must have no missing values, got null"):
        list(read_parquet(tmp_path / "p.parquet", Names(), 100))


def test_rows_of_other_widths_of_features_are_refused_across_pieces(tmp_path):
    lists = pa.array([[1.0, 2.0], [1.0, 2.0], [1.0]])
    table = pa.table({"probs": [[0.5, 0.5]] * 3, "label": [0] * 3, "features": lists})
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(RowError, match="`features` must have") as caught:
        list(read_table(tmp_path / "p.parquet", Names(features=True), 4))
    assert caught.value.row == 2


def test_the_row_of_a_fault_comes_with_its_file():
    with pytest.raises(AdafocalError, match=r"^`x` is odd in row 3 of 'f\.csv'\.$"), named("f.csv", "FILE"):
        raise RowError("`x` is odd", 3)


@pytest.mark.parametrize("header", ["feature_0", "features", "feature"])
def test_a_single_column_of_features_is_a_matrix_of_one_column(header, tmp_path):
    (tmp_path / "p.csv").write_text(f"probs_0,probs_1,label,{header}\n0.5,0.5,1,2.5\n")
    (piece,) = read_table(tmp_path / "p.csv", Names(features=True), 100)

    assert piece.features.tolist() == [[2.5]]


def test_probabilities_that_are_infinite_are_left_for_the_check_without_a_warning(tmp_path):
    (tmp_path / "p.csv").write_text("probs_0,probs_1,label\n0.5,0.5,1\ninf,0.5,1\n")
    (piece,) = read_table(tmp_path / "p.csv", Names(), 100)

    assert (piece.values.tolist(), piece.rounded) == ([[0.5, 0.5], [np.inf, 0.5]], 0)
