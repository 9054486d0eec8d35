# SPDX-License-Identifier: Apache-2.0
"""Tables of somebody's own, of numbers and of texts, in every format: what is read, and what is refused."""

import numpy as np
import pytest
import torch

from data.own_sets import FORMATS, load, measured, refused, spoken, write_table


@pytest.mark.parametrize("suffix", FORMATS)
def test_numbers_and_categories_are_encoded_alike_from_every_format(suffix, tmp_path):
    columns = measured()
    parts = load(write_table(tmp_path / f"d{suffix}", columns))
    rows = parts.train.index.numpy()
    width, height = (np.array(columns[name], dtype=float) for name in ("width", "height"))
    expected = [
        *((held - held[rows].mean()) / held[rows].std() for held in (width, height)),
        *(np.array([one == colour for one in columns["colour"]], float) for colour in ("blue", "green", "red")),
    ]

    assert {name: len(part) for name, part in parts.parts.items()} == {"train": 42, "validation": 6, "test": 12}
    assert parts.class_names == ("left", "right")
    assert parts.features.inputs == ("width", "height", "colour=blue", "colour=green", "colour=red")
    for part in parts.parts.values():
        wanted = np.stack(expected, axis=1)[part.index.numpy()]
        torch.testing.assert_close(part.inputs, torch.tensor(wanted, dtype=torch.float32), atol=1e-5, rtol=1e-5)
        assert part.labels.tolist() == (part.index % 2).tolist()


@pytest.mark.parametrize("suffix", FORMATS)
def test_texts_are_read_alike_from_every_format(suffix, tmp_path):
    parts = load(write_table(tmp_path / f"d{suffix}", spoken()), length=4)

    assert parts.class_names == ("no", "yes")
    words = [[parts.vocabulary[number] for number in row] for row in parts.train.inputs.tolist()]
    assert [row[1] for row in words] == ["good" if row % 2 else "bad" for row in parts.train.index.tolist()]
    assert [row[0] for row in words] == [f"word{row}" for row in parts.train.index.tolist()]


def test_only_the_training_part_tells_the_mean(tmp_path):
    columns = measured()
    path = write_table(tmp_path / "d.csv", columns)
    train = load(path).train.index.tolist()
    changed = {**columns, "height": [h if row in train else 10**6 for row, h in enumerate(columns["height"])]}
    other = load(write_table(tmp_path / "e.csv", changed))

    assert torch.equal(other.train.inputs, load(path).train.inputs)
    assert float(other.test.inputs[:, 1].min()) > 1000


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([0, 2, 5], ("0", "2", "5")), ([1, 2, 3], ("1", "2", "3")), ([0, 1, 2], ("0", "1", "2")),
        ([-1, 0, 1], ("-1", "0", "1")), (["b", " a", "c "], ("a", "b", "c")), (["10", "9", "8"], ("8", "9", "10")),
        (["01", "1", "2"], ("01", "1", "2")), ([1.0, 2.0, 4.0], ("1", "2", "4")),
        ([False, True, True], ("False", "True")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_classes_are_named_by_their_labels_without_gaps(labels, names, suffix, tmp_path):
    held = {"a": np.random.default_rng(0).normal(size=60).tolist(), "label": labels * 20}
    parts = load(write_table(tmp_path / f"d{suffix}", held))

    assert parts.class_names == names
    for part in parts.parts.values():
        said = [str(labels[row % 3]).strip().removesuffix(".0") for row in part.index.tolist()]
        assert [parts.class_names[label] for label in part.labels.tolist()] == said


@pytest.mark.parametrize(
    ("column", "values", "sentence"),
    [
        ("width", ["1.5", ""] * 30, "must have no missing values, got 30 in width .the first in row 1. of '.*d.csv'"),
        ("width", ["1.5", "NA"] * 30, "must have no missing values, got 30 in width"),
        ("width", ["1.5", "nan"] * 30, "must have no missing values, got 30 in width"),
        ("width", ["1.5", "2.5", "inf"] * 20, "`width` must hold finite numbers, got infinity in row 2: leave the"),
        ("colour", ["red", ""] * 30, "must have no missing values, got 30 in colour"),
        ("colour", [f"c{row}" for row in range(60)], "Columns of categories must have at most 21 .* got colour"),
        ("colour", ["L", "R"] * 30, "must not be another name of the class, got colour"),
        ("label", ["left", ""] * 30, "`label` must have no missing values, got '' in row 1 of .*: fill them in, or"),
        ("label", ["left"] * 60, "The training part must hold at least two classes, got left alone"),
        ("label", [row + 0.5 for row in range(60)], "Labels must be names or class indices, got .*: put numbers"),
    ],
)  # fmt: skip
def test_what_is_missing_or_odd_is_named_with_its_row_and_a_remedy(column, values, sentence, tmp_path):
    refused(write_table(tmp_path / "d.csv", {**measured(), column: values}), sentence)


def test_missing_numbers_of_parquet_are_named_too(tmp_path):
    path = write_table(tmp_path / "d.parquet", {**measured(), "width": [None, 1.5] * 30})
    refused(path, r"must have no missing values, got 30 in width \(the first in row 0\)")
    path = write_table(tmp_path / "d.parquet", {**measured(), "label": ["left", None] * 30})
    refused(path, "`label` must have no missing values, got null in row 1")


def test_columns_that_are_no_features_are_left_out_and_said(tmp_path):
    columns = {"": list(range(60)), "id": list(range(1, 61)), **measured(), "same": [7.0] * 60}
    parts = load(write_table(tmp_path / "d.csv", columns))

    assert parts.features.inputs[:2] == ("width", "height")
    assert parts.features.inputs[-1] == "same"
    assert parts.test.inputs[:, -1].eq(0).all()
    assert parts.notes == (
        "Columns that are not read: (without a name)",
        "Columns that number the rows, which are not read: id",
        "Columns that do not vary in the training part: same",
    )
    named = load(tmp_path / "d.csv", feature_columns=("id", "width"))
    assert named.features.inputs == ("id", "width")


def test_columns_with_one_name_are_refused(tmp_path):
    (tmp_path / "d.csv").write_text("a,a,label\n1,2,x\n3,4,y\n")
    refused(tmp_path / "d.csv", "Columns must have names of their own, got several named a")


def test_columns_must_be_named_where_nothing_tells_them(tmp_path, rejects):
    path = write_table(tmp_path / "d.csv", {"a": [1.5, 2.5] * 20, "kind": ["x", "y"] * 20})
    with rejects(
        ValueError, "`data.label_column` must be set, got columns a, kind: name the one that holds the classes."
    ):
        load(path)
    with rejects(ValueError, "`data.label_column` must be a column of the data, got 'kidn' for columns a, kind."):
        load(path, label_column="kidn")
    assert load(path, label_column="kind", feature_columns=("a",)).class_names == ("x", "y")
    path = write_table(tmp_path / "e.csv", {"review": ["a b", "c d"] * 20, "label": ["x", "y"] * 20})
    refused(path, "`data.input_column` must be set, got columns review, label: name the one of texts")
    path = write_table(tmp_path / "f.csv", {"a": [1, 2] * 20, "label": [0, 1] * 20, "target": [0, 1] * 20})
    refused(path, "`data.label_column` must be set where several could be it, got label, target")


def test_decimal_commas_are_numbers_and_points_beside_them_are_none(tmp_path):
    rows = "".join(f"{row},5;{row % 7};{'ab'[row % 2]}\n" for row in range(40))
    (tmp_path / "d.csv").write_text("x;y;label\n" + rows)
    parts = load(tmp_path / "d.csv")

    mean = parts.features.columns[0].mean[0]
    assert mean == pytest.approx(float((parts.train.index + 0.5).double().mean()))


def test_categories_that_the_training_part_has_not_are_zero_and_said(tmp_path):
    columns = measured()
    columns["part"] = ["train"] * 30 + ["validation"] * 10 + ["test"] * 20
    columns["colour"] = ["red", "green"] * 20 + ["blue"] * 20
    columns["height"] = columns["height"][::-1]
    parts = load(write_table(tmp_path / "d.csv", columns), split_column="part", feature_columns=("width", "colour"))

    assert parts.features.inputs == ("width", "colour=green", "colour=red")
    assert parts.test.inputs[:, 1:].eq(0).all()
    assert parts.notes == (
        "Columns that are not read: height",
        "Rows of `colour` with a category that the training part has not, which is zero: 20",
    )


def test_lists_of_numbers_are_features_of_as_many(tmp_path):
    columns = {"embedding": [[float(row), float(row % 7), 1.0] for row in range(40)], "label": ["a", "b"] * 20}
    parts = load(write_table(tmp_path / "d.parquet", columns))

    assert parts.features.inputs == ("embedding_0", "embedding_1", "embedding_2")
    assert parts.train.inputs.shape == (28, 3)


def test_matrices_of_npz_are_features_and_embeddings_of_datasets_too(tmp_path):
    values = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=values, label=np.arange(40) % 2)
    parts = load(tmp_path / "d.npz")

    expected = (values - values[parts.train.index].mean(0)) / values[parts.train.index].std(0)
    torch.testing.assert_close(parts.test.inputs, torch.from_numpy(expected[parts.test.index]), atol=1e-5, rtol=1e-5)


def test_what_datasets_saved_is_read_with_its_parts_and_names(tmp_path):
    datasets = pytest.importorskip("datasets")
    names = datasets.Features({
        "text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"]),
    })  # fmt: skip
    held = {
        "text": [f"{'good' if row % 2 else 'bad'} {row}" for row in range(40)],
        "label": [row % 2 for row in range(40)],
    }
    whole = datasets.Dataset.from_dict(held, features=names)
    whole.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"train": whole, "validation": whole, "test": whole}).save_to_disk(str(tmp_path / "three"))
    numbers = datasets.Dataset.from_dict({"a": [float(row % 9) for row in range(40)], "label": ["u", "v"] * 20})
    numbers.save_to_disk(str(tmp_path / "numbers"))
    one, three, table = (load(tmp_path / name) for name in ("one", "three", "numbers"))

    assert [len(part) for part in one.parts.values()] == [28, 4, 8]
    assert [len(part) for part in three.parts.values()] == [40, 40, 40]
    assert one.class_names == three.class_names == ("no", "yes")
    assert three.how == "as the data come"
    assert table.features.inputs == ("a",)
    (tmp_path / "one" / "state.json").write_text("{}")
    refused(tmp_path / "one", "`data.path` must be a readable folder of `datasets`, got ")


def test_tables_of_parts_are_named_all_or_none(tmp_path):
    write_table(tmp_path / "train.csv", spoken(40))
    write_table(tmp_path / "test.csv", spoken(20))
    parts = load(tmp_path)

    assert {name: len(part) for name, part in parts.parts.items()} == {"train": 36, "validation": 4, "test": 20}
    assert parts.how == "test is the data's own test part, the others are drawn from train"
    write_table(tmp_path / "sample_submission.csv", spoken(20))
    refused(tmp_path, "Tables of `data.path` must all be named by their parts or none, got .* beside sample_submission")


def test_a_part_without_labels_is_left_out_and_said(tmp_path):
    write_table(tmp_path / "train.csv", spoken(60))
    write_table(tmp_path / "test.csv", {"text": spoken(20)["text"]})
    parts = load(tmp_path)

    assert [len(part) for part in parts.parts.values()] == [42, 6, 12]
    assert parts.notes == ("Parts that are not used: test",)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("d.csv", "1,2,3\n4,5,6\n", "the first line must name the columns, got 1, 2, 3"),
        ("d.csv", "a,label\n", "must have rows, got none"),
        ("d.csv", "", "must be a readable CSV file|must have rows|no column"),
        ("d.csv", "a,label\n1,x\n2\n", "must be a readable CSV file"),
        ("d.xlsx", "x", "got '.*d.xlsx': save the sheet as CSV"),
        ("d.json", "[]", "write one object per line"),
        ("d.jsonl", "[1]\n", "must be a readable JSON lines file"),
        ("d.zip", "x", "unpack it"),
    ],
)
def test_what_is_no_table_is_one_sentence(name, content, sentence, tmp_path):
    (tmp_path / name).write_text(content)
    refused(tmp_path / name, sentence)
