# SPDX-License-Identifier: Apache-2.0
"""One reader per format, for the library and for commands alike; the same content means the same in every format."""

import csv
import gzip
import json
import struct
import warnings
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from adafocal import AdafocalError, Predictions
from adafocal.cli import main
from adafocal.errors import MissingPackageError
from adafocal.evaluation.measure import measure
from adafocal.tables.columns import Names
from adafocal.tables.csv_arrow import Utf8
from adafocal.tables.scan import PIECE, scan

SUFFIXES = (".parquet", ".csv", ".npz", ".tsv", ".jsonl", ".feather", ".csv.gz")


def write(path, **columns):
    """Write columns of one content in the format of the suffix; a name that ends in + is the same name again."""
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    if path.suffix == ".npz":
        warnings.filterwarnings("ignore", message="Duplicate name")
        with zipfile.ZipFile(path, "w") as archive:
            for name, array in arrays.items():
                with archive.open(f"{name.rstrip('+')}.npy", "w") as member:
                    np.lib.format.write_array(member, array)
    elif path.suffix == ".parquet":
        names = [name.rstrip("+") for name in arrays]
        pq.write_table(pa.Table.from_arrays([pa.array(array) for array in arrays.values()], names=names), path)
    elif path.suffix == ".feather":
        names = [name.rstrip("+") for name in arrays]
        table = pa.Table.from_arrays([pa.array(array) for array in arrays.values()], names=names)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    elif path.suffix == ".jsonl":
        rows = zip(*[array.tolist() for array in arrays.values()], strict=True)
        path.write_text("".join(json.dumps(dict(zip(arrays, row, strict=True))) + "\n" for row in rows))
    else:
        with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as file:
            rows = zip(*[array.tolist() for array in arrays.values()], strict=True)
            writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writerows([[name.rstrip("+") for name in arrays], *rows])
    return path


def answers(path, tmp_path, capsys, *options):
    """Give what `load` and what `evaluate` say of a file: accuracy and NLL, or the sentence without the file."""
    try:
        loaded = Predictions.load(path)
        nll = -loaded.log_probs.double().gather(1, loaded.labels[:, None]).mean()
        by_load = (float(loaded.correct.double().mean()), round(float(nll), 6))
    except AdafocalError as error:
        by_load = str(error)
    status = main(["evaluate", str(path), "--json", str(tmp_path / "out.json"), *options])
    said = capsys.readouterr().err
    if status == 0:
        found = json.loads((tmp_path / "out.json").read_text())
        return by_load, (found["accuracy"], round(found["nll"], 6))
    assert status == 2, said
    assert said.count("\n") == 1
    said = said.strip().removeprefix("adafocal evaluate: ").replace("`FILE`", "`path`")
    if not (isinstance(by_load, str) and str(path) in by_load):  # commands name the file in every sentence
        said = said.replace(f" of {str(path)!r}", "").replace(f" in {str(path)!r}.", ".")
    return by_load, said


CONTENTS = {
    "floats": {"prob_0": [0.75, 0.25], "prob_1": [0.25, 0.75], "label": [0, 1]},
    "whole labels": {"prob_0": [0.75, 0.25], "prob_1": [0.25, 0.75], "label": [0.0, 1.0]},
    "whole probabilities": {"prob_0": [1, 0], "prob_1": [0, 1], "label": [0, 1]},
    "one column of whole numbers": {"prob_0": [1, 0], "prob_1": [0.0, 1.0], "label": [0, 1]},
    "whole logits": {"logit_0": [3, -2], "logit_1": [0, 1], "label": [0, 1]},
    "masked logits": {"logit_0": [3.0, -np.inf], "logit_1": [0.0, 1.0], "label": [0, 1]},
    "half a label": {"prob_0": [0.5, 0.5], "prob_1": [0.5, 0.5], "label": [0, 1.5]},
    "a label that is nan": {"prob_0": [0.5, 0.5], "prob_1": [0.5, 0.5], "label": [0, np.nan]},
    "a huge label": {"prob_0": [0.5, 0.5], "prob_1": [0.5, 0.5], "label": [0, 1e300]},
    "a label out of range": {"prob_0": [0.5, 0.5], "prob_1": [0.5, 0.5], "label": [0, 2]},
    "nan": {"prob_0": [0.5, np.nan], "prob_1": [0.5, 0.5], "label": [0, 1]},
    "inf": {"logit_0": [0.5, np.inf], "logit_1": [0.5, 0.5], "label": [0, 1]},
    "two labels": {"prob_0": [0.5, 0.5], "prob_1": [0.5, 0.5], "label": [0, 1], "label+": [1, 0]},
    "two columns of a class": {"prob_0": [0.5, 0.5], "prob_1": [0.5, 0.5], "prob_1+": [0.1, 0.1], "label": [0, 1]},
    "two columns that nobody reads": {"prob_0": [0.75, 0.5], "prob_1": [0.25, 0.5], "label": [0, 1],
                                      "x": [1, 2], "x+": [3, 4]},
    "one class": {"prob_0": [1.0, 1.0], "label": [0, 0]},
}  # fmt: skip


def without_arrow(monkeypatch):
    """Let text tables be read row by row, as where pyarrow is not installed."""

    def require(module, *, extra=None):
        raise MissingPackageError(module)

    monkeypatch.setattr("adafocal.tables.csv.require", require)


@pytest.mark.parametrize("content", CONTENTS)
def test_every_format_and_both_readers_give_one_answer(content, tmp_path, capsys, monkeypatch):
    # JSON has no names that are there twice: the last one counts.
    suffixes = [suffix for suffix in SUFFIXES if suffix != ".jsonl" or "two" not in content]
    found = [answers(write(tmp_path / f"p{suffix}", **CONTENTS[content]), tmp_path, capsys) for suffix in suffixes]
    without_arrow(monkeypatch)
    found.append(answers(tmp_path / "p.csv", tmp_path, capsys))
    by_load, by_evaluate = found[0]

    if not isinstance(by_load, str):
        assert found == [(by_evaluate, by_evaluate)] * len(found)
    else:
        assert {text for both in found for text in both} == {by_load}


def test_whole_labels_and_probabilities_are_taken(tmp_path):
    for suffix in SUFFIXES:
        path = write(tmp_path / f"p{suffix}", prob_0=[1, 0], prob_1=[0, 1], label=[0.0, 1.0])
        loaded = Predictions.load(path)
        assert loaded.probs.dtype == torch.float32
        assert loaded.labels.tolist() == [0, 1]


@pytest.mark.parametrize("suffix", [suffix for suffix in SUFFIXES if suffix != ".jsonl"])
def test_a_column_that_is_there_twice_is_refused(suffix, tmp_path, rejects):
    path = write(tmp_path / f"p{suffix}", **CONTENTS["two labels"])
    with rejects(ValueError, "columns must have names of their own, got 2 named `label`."):
        Predictions.load(path)


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("0.5", 0.5), (" 0.5 ", 0.5), ("+.5", 0.5), ("5e-1", 0.5), ("5.E-1", 0.5), ('"0.5"', 0.5), ("\t0.5", 0.5),
        ("0.2_5", None), ("1_0e-1", None), ("0x1p-1", None), ("", None), (" ", None), ("0,5", None), ("½", None),
        ("٠.٥", None), ("１", None), ("1/2", None), ("50%", None), ("0.5.0", None), ("--0.5", None), ("1e", None),
        ("NA", None), ("null", None), ("true", None), ("0.5f", None), ("1'000", None), ("nan(1)", None),
    ],
)  # fmt: skip
def test_a_cell_is_a_number_as_everyone_writes_it_or_refused(cell, number, tmp_path, capsys):
    path = tmp_path / "p.csv"
    quoted = f'"{cell}"' if "," in cell else cell
    path.write_text(f"prob_0,prob_1,label,note\n0.5,0.5,0,a_b\n\n{quoted},0.5,1,ü\n", encoding="utf-8")
    by_load, by_evaluate = answers(path, tmp_path, capsys)

    remedy = ": decimal signs must be the same in all rows" if cell == "0,5" else ""
    remedy = ": write percent as shares, 0.39 for 39 %" if cell == "50%" else remedy
    if not cell.strip():
        missing = repr(cell) if cell else "null"
        assert by_load == by_evaluate == f"`prob_0` must have no missing values, got {missing} in row 1."
    elif number is None:
        assert by_load == by_evaluate == f"`prob_0` must be a number, got {cell!r} in row 1{remedy}."
    else:
        assert Predictions.load(path).probs.tolist() == [[0.5, 0.5], [0.5, 0.5]]
        assert by_evaluate[0] == 0.5


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_ends_of_lines_blank_lines_and_byte_order_marks_mean_nothing(end, mark, tmp_path, capsys):
    path = tmp_path / "p.csv"
    lines = ["", "prob_0 , prob_1,label", "", "0.75,0.25,0", "", "", "0.25,0.75,2"]
    path.write_text(mark + end.join(lines) + end, encoding="utf-8", newline="")
    sentence = "`labels` must be class indices in [0, 2), got 2 in row 1."

    assert answers(path, tmp_path, capsys) == (sentence, sentence)


def sentence_of(path, capsys):
    by_load, by_evaluate = answers(path, path.parent, capsys)
    assert by_load == by_evaluate
    return by_load


TEXT = "prob_0,prob_1,label\n0.5,0.5,0\n"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (TEXT.encode("utf-16") + b"\x00", "byte 0x00 is not UTF-16: save it as UTF-8"),
        (TEXT.encode("utf-16") + b"\x00\xd8", "byte 0x00 is not UTF-16: save it as UTF-8"),
        (TEXT.replace("0\n", "0\né").encode("latin-1"), "byte 0xe9 is not UTF-8: save it as UTF-8"),
        (TEXT.replace("0\n", "0\n\0").encode(), "it holds NUL characters: save it as UTF-8"),
        ((TEXT + '"0.5,0.5,0\n').encode(), "unexpected end of data"),
    ],
)
def test_text_of_another_kind_is_refused_with_the_file_and_the_remedy(content, why, tmp_path, capsys):
    path = tmp_path / "p.csv"
    path.write_bytes(content)
    assert sentence_of(path, capsys) == f"`path` must be a readable CSV file, got {str(path)!r}: {why}."


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
def test_other_separators_and_unicode_encodings_are_read(separator, encoding, tmp_path, capsys):
    (tmp_path / "p.csv").write_bytes((TEXT + "0.5,0.5,1\n").replace(",", separator).encode(encoding))
    found = answers(tmp_path / "p.csv", tmp_path, capsys)
    assert found == ((0.5, round(float(np.log(2)), 6)),) * 2


def test_fields_may_be_long(tmp_path):
    (tmp_path / "p.csv").write_text(f"prob_0,prob_1,label,text\n0.5,0.5,0,{'x' * 300_000}\n")
    limit = csv.field_size_limit()
    assert Predictions.load(tmp_path / "p.csv").n == 1
    assert csv.field_size_limit() == limit


def test_a_sentence_stays_short_whatever_the_file_holds(tmp_path, capsys):
    path = tmp_path / "p.csv"
    path.write_text(",".join(f"column{index}" for index in range(50_000)) + "\n")
    assert len(sentence_of(path, capsys)) < 400
    path.write_text(f"prob_0,prob_1,label\n{'x' * 300_000},0.5,0\n")
    assert len(sentence_of(path, capsys)) < 400


def raw_npz(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def npy(shape, descr="'<f4'", data=b"", fortran=False):
    header = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


LABELS = npy("(2,)", "'<i8'", np.array([0, 1]).tobytes())
PROBS = np.array([[0.75, 0.25], [0.25, 0.75]], dtype=np.float32)


@pytest.mark.parametrize(
    ("probs", "part"),
    [
        (npy("(2, 2)", data=b"\0" * 8), "'probs' of shape (2, 2) is 8 bytes long, not 16"),
        (npy("(1000000000000, 2)"), "'probs' of shape (1000000000000, 2) is 0 bytes long, not 8000000000000"),
        (npy("(-2, 2)", data=PROBS.tobytes()), "'probs' of shape (-2, 2) is 16 bytes long, not -16"),
        (npy("(2, 2)", "'|O'", b"\0" * 32), "must hold plain arrays, got pickled objects"),
        (npy("()", data=b"\0" * 4), "arrays must have one row per label, got `probs` of shape ()."),
        (npy("(2, 2, 1)", data=PROBS.tobytes()), "`probs` must have shape (N, C), got (2, 2, 1)."),
        (npy("(1, 4)", data=PROBS.tobytes()), "arrays must have one row per label, 2, got {'probs': 1, 'labels': 2}."),
        (npy("(2, 1)", "'<c8'", PROBS.tobytes()), "numbers of one length, got type complex64."),
        (npy("(2, 1)", "'<U2'", b"\0" * 16), "`probs` must hold numbers or lists of numbers of one length"),
        (npy("(2,)", "[('a', '<f4'), ('b', '<f4')]", PROBS.tobytes()), "got values that are no numbers."),
        (b"no array", "`path` must be a readable npz file"),
        (b"", "`path` must be a readable npz file"),
        (npy("(2, 2)", "'<zz'", PROBS.tobytes()), "`path` must be a readable npz file"),
        (npy("(2, 2", data=PROBS.tobytes()), "`path` must be a readable npz file"),
        (npy("[" * 90, data=PROBS.tobytes()), "`path` must be a readable npz file"),
    ],
)  # fmt: skip
def test_odd_arrays_are_refused_in_one_sentence(probs, part, tmp_path, capsys):
    assert part in sentence_of(raw_npz(tmp_path / "p.npz", probs=probs, labels=LABELS), capsys)


@pytest.mark.parametrize("descr", ["'<f8'", "'>f8'", "'>f4'", "'<f2'"])
@pytest.mark.parametrize("fortran", [False, True])
def test_byte_order_and_layout_do_not_matter(descr, fortran, tmp_path):
    data = PROBS.astype(descr.strip("'")).tobytes("F" if fortran else "C")
    probs = npy("(2, 2)", descr, data, fortran)
    loaded = Predictions.load(raw_npz(tmp_path / "p.npz", probs=probs, labels=LABELS))
    assert loaded.probs.tolist() == PROBS.tolist()


def test_an_encrypted_archive_is_named_as_such(tmp_path, capsys):
    path = raw_npz(tmp_path / "p.npz", probs=npy("(2, 2)", data=PROBS.tobytes()), labels=LABELS)
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag, in both lists of members
        start = data.find(mark)
        while start >= 0:
            data[start + place] |= 1
            start = data.find(mark, start + 1)
    path.write_bytes(data)
    assert sentence_of(path, capsys).endswith(": 'probs' is encrypted: write it without a password.")


def test_damage_within_a_page_is_seen_by_its_checksum(tmp_path, capsys):
    path = tmp_path / "p.parquet"
    generator = torch.Generator().manual_seed(0)
    Predictions(logits=torch.randn(5000, 4, generator=generator), labels=torch.arange(5000) % 4).save(path)
    data = bytearray(path.read_bytes())
    data[20_000] ^= 1
    path.write_bytes(data)
    assert "could not verify page integrity, CRC checksum verification failed" in sentence_of(path, capsys)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[0.5, 0.5], [0.25, 0.75]]).cast(pa.list_(pa.decimal128(5, 3))),
        pa.array([[1, 0], [0, 1]], pa.large_list(pa.int8())),
        pa.array([[1, 0], [0, 1]], pa.list_(pa.uint64(), 2)),
    ],
)
def test_numbers_of_every_type_are_read(column, tmp_path):
    pq.write_table(pa.table({"probs": column, "label": [0, 1]}), tmp_path / "p.parquet")
    expected = [[float(value) for value in row] for row in column.to_pylist()]
    assert Predictions.load(tmp_path / "p.parquet").probs.tolist() == expected


def test_labels_of_a_dictionary_of_numbers_are_read(tmp_path):
    label = pa.array([7, 0, 1]).slice(1).dictionary_encode()
    pq.write_table(pa.table({"probs": [[0.5, 0.5], [0.25, 0.75]], "label": label}), tmp_path / "p.parquet")
    assert Predictions.load(tmp_path / "p.parquet").labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[None], [None]], pa.list_(pa.float32())),
        pa.array([True, False]),
        pa.array(["0.5", "0.5"]),
        pa.array([0, 1], pa.timestamp("s")),
        pa.array([[[0.5], [0.5]]] * 2),
        pa.array([{"a": 0.5}] * 2),
        pa.array([[True, False]] * 2),
        pa.array([["a", "b"]] * 2),
        pa.nulls(2),
        pa.array([[], []], pa.list_(pa.float32())),
        pa.array([b"a", b"b"]),
        pa.array(["a", "b"]).dictionary_encode(),
    ],
)
def test_columns_of_other_things_are_refused(column, tmp_path, capsys):
    pq.write_table(pa.table({"probs": column, "label": [0, 1]}), tmp_path / "p.parquet")
    assert sentence_of(tmp_path / "p.parquet", capsys).startswith("`probs` must ")


def test_rows_of_another_length_are_named_by_row_in_whatever_piece_they_are(tmp_path, capsys, monkeypatch):
    pq.write_table(pa.table({"probs": [[0.5, 0.5]] * 9 + [[0.2, 0.3, 0.5]], "label": [0] * 10}), tmp_path / "p.parquet")
    for piece in (1, 8, PIECE):
        monkeypatch.setattr("adafocal.tables.scan.PIECE", piece)
        said = "`probs` must have rows of one length, 2, got 3 in row 9: ragged where each row has choices of its own."
        assert sentence_of(tmp_path / "p.parquet", capsys) == said


def test_a_table_of_no_columns_is_refused(tmp_path, capsys):
    pq.write_table(pa.table({}), tmp_path / "p.parquet")
    assert sentence_of(tmp_path / "p.parquet", capsys).endswith("got no column.")


def test_a_folder_named_like_a_table_is_no_table(tmp_path, rejects):
    (tmp_path / "p.csv").mkdir()
    with rejects(FileNotFoundError, f"`path` must be an existing file, got {str(tmp_path / 'p.csv')!r}."):
        Predictions.load(tmp_path / "p.csv")
    assert main(["evaluate", str(tmp_path / "p.csv")]) == 2


def test_an_empty_first_row_group_does_not_cut_the_rest_into_rows(tmp_path):
    schema = pa.schema({"probs": pa.list_(pa.float32(), 2), "label": pa.int64()})
    rows = pa.table({"probs": [[0.5, 0.5]] * 10_000, "label": [0] * 10_000}, schema=schema)
    with pq.ParquetWriter(tmp_path / "p.parquet", schema) as writer:
        writer.write_table(rows.slice(0, 0), row_group_size=1)
        writer.write_table(rows.slice(0, 0))
        writer.write_table(rows)
    metadata = pq.read_metadata(tmp_path / "p.parquet")
    assert metadata.row_group(0).num_rows == 0
    assert [piece.n for piece in scan([tmp_path / "p.parquet"], Names())] == [10_000]


@pytest.mark.parametrize("empty", [pa.null(), pa.list_(pa.null()), pa.list_(pa.null(), 2), pa.list_(pa.float64())])
def test_a_file_without_rows_adds_none_whatever_the_type_of_its_columns(empty, tmp_path):
    pq.write_table(pa.table({"probs": [[0.5, 0.5]] * 9, "label": [0] * 9, "site": ["a"] * 9}), tmp_path / "a.parquet")
    columns = {"probs": pa.array([], empty), "label": pa.array([], pa.null()), "site": pa.array([], pa.null())}
    pq.write_table(pa.table(columns), tmp_path / "b.parquet")
    pq.write_table(pa.table({"probs": [[0.5, 0.5]] * 4, "label": [1] * 4, "site": ["b"] * 4}), tmp_path / "c.parquet")
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet", tmp_path / "c.parquet"]
    assert [piece.n for piece in scan(files, Names(by="site"))] == [9, 0, 4]
    measured = measure(scan(files, Names(by="site")))
    assert {name: part.summary.n for name, part in measured.items()} == {"": 13, "a": 9, "b": 4}


@pytest.mark.parametrize(
    ("sites", "expected"),
    [
        (pa.DictionaryArray.from_arrays(pa.array([0, 0, 2]), pa.array(["a", "b", "c"])), {"a": 2, "c": 1}),
        (pa.DictionaryArray.from_arrays(pa.array([0, None, 0]), pa.array(["a", "b"])), {"a": 2, "(missing)": 1}),
        (pa.array([None] * 3), {"(missing)": 3}),
    ],
)
@pytest.mark.parametrize("in_memory", [None, 0])
def test_categories_without_rows_are_no_groups(sites, expected, in_memory, tmp_path):
    pq.write_table(pa.table({"probs": [[0.5, 0.5]] * 3, "label": [0] * 3, "site": sites}), tmp_path / "p.parquet")
    measured = measure(scan([tmp_path / "p.parquet"], Names(by="site")), in_memory=in_memory)
    assert {name: part.summary.n for name, part in measured.items()} == {"": 3} | expected


def test_wide_columns_that_are_not_read_do_not_make_pieces_small(tmp_path):
    pq.write_table(
        pa.table({"probs": [[0.5, 0.5]] * 1000, "label": [0] * 1000, "embedding": [[0.5] * 1000] * 1000}),
        tmp_path / "p.parquet",
    )
    assert [piece.n for piece in scan([tmp_path / "p.parquet"], Names())] == [1000]


class Counted(str):
    """A name that counts how often it is compared or hashed."""

    times = 0

    def __eq__(self, other):
        Counted.times += 1
        return str.__eq__(self, other)

    def __hash__(self):
        Counted.times += 1
        return str.__hash__(self)


def test_finding_columns_takes_as_many_looks_as_there_are_columns():
    from adafocal.tables.columns import find_columns

    n = 5000
    header = [Counted(f"prob_{index}") for index in range(n)] + [Counted("label")]
    Counted.times = 0
    assert len(find_columns(header, Names()).values) == n
    assert Counted.times < 20 * n


@pytest.mark.parametrize("installed", [True, False])
def test_a_csv_file_is_read_once(installed, tmp_path, monkeypatch):
    header = ",".join(f"prob_{index}" for index in range(500)) + ",label\n"
    (tmp_path / "p.csv").write_text(header + (",".join(["0.002"] * 500) + ",0\n") * 50)
    read, inner = [], Utf8.read
    monkeypatch.setattr(Utf8, "read", lambda self, size=-1: read.append(part := inner(self, size)) or part)
    monkeypatch.setattr("adafocal.tables.scan.PIECE", 5000)
    if not installed:
        without_arrow(monkeypatch)
    assert sum(piece.n for piece in scan([tmp_path / "p.csv"], Names())) == 50
    assert b"".join(read) == (tmp_path / "p.csv").read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_group_without_a_name_is_not_taken_for_all_rows(suffix, tmp_path):
    path = tmp_path / f"p{suffix}"
    write(path, prob_0=[0.9, 0.9, 0.9], prob_1=[0.1, 0.1, 0.1], label=[0, 1, 1], site=["", "b", "b"])
    assert main(["evaluate", str(path), "--by", "site", "--json", str(tmp_path / "o.json")]) == 0
    found = json.loads((tmp_path / "o.json").read_text())
    assert found["n"] == 3
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert {name: part["n"] for name, part in found["groups"].items()} == {"(empty)": 1, "b": 2}


def test_groups_of_missing_values_keep_the_names_of_the_others(tmp_path, monkeypatch):
    table = {"probs": [[0.9, 0.1]] * 4, "label": [0] * 4, "site": pa.array([7, 7, None, 8])}
    pq.write_table(pa.table(table), tmp_path / "p.parquet")
    for piece in (2, PIECE):
        monkeypatch.setattr("adafocal.tables.scan.PIECE", piece)
        assert main(["evaluate", str(tmp_path / "p.parquet"), "--by", "site", "--json", str(tmp_path / "o.json")]) == 0
        found = json.loads((tmp_path / "o.json").read_text())["groups"]
        assert {name: part["n"] for name, part in found.items()} == {"7": 2, "8": 1, "(missing)": 1}


@pytest.mark.parametrize("site", [[["a"], ["b"]], [{"a": 1}, {"a": 2}]])
def test_groups_must_be_plain_values(site, tmp_path, capsys):
    pq.write_table(pa.table({"probs": [[0.9, 0.1]] * 2, "label": [0, 0], "site": site}), tmp_path / "p.parquet")
    assert main(["evaluate", str(tmp_path / "p.parquet"), "--by", "site"]) == 2
    assert "`site` must have one plain value per row, got type" in capsys.readouterr().err
