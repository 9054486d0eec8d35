# SPDX-License-Identifier: Apache-2.0
"""Parts by a column and by groups: no group on two sides, class shares kept as well as groups allow."""

import numpy as np
import pytest

from adafocal.data.groups import group_parts
from data.own_sets import load, measured, spoken, write_table


def test_groups_stay_together_and_classes_keep_their_shares():
    generator = np.random.default_rng(1)
    groups = generator.integers(0, 200, 4000)
    labels = (generator.random(4000) < 0.1 + 0.4 * (groups % 3 == 0)).astype(int)
    for seed in range(5):
        parts = group_parts(labels, groups, [2800, 400, 0, 800], seed=seed)
        held = [set(groups[rows].tolist()) for rows in parts]

        assert sorted(np.concatenate(parts).tolist()) == list(range(4000))
        assert sum(map(len, held)) == len(set.union(*held))
        assert len(parts[2]) == 0
        for rows, size in zip(parts, (2800, 400, 0, 800), strict=True):
            assert abs(len(rows) - size) <= 20
            if size:
                assert abs(labels[rows.numpy()].mean() - labels.mean()) < 0.02
    assert [rows.tolist() for rows in group_parts(labels, groups, [400, 800], seed=3)] == [
        rows.tolist() for rows in group_parts(labels, groups, [400, 800], seed=3)
    ]


def test_every_part_gets_a_group_even_of_few():
    labels, groups = np.arange(40) % 2, np.repeat([0, 1, 2, 3], 10)
    parts = group_parts(labels, groups, [28, 4, 8], seed=0)

    assert sorted(map(len, parts)) == [10, 10, 20]
    assert len(parts[0]) == 20


def test_what_no_part_asks_for_is_in_none():
    labels, groups = np.arange(400) % 2, np.arange(400) // 4
    parts = group_parts(labels, groups, [100, 40], seed=0)

    assert [len(rows) for rows in parts] == [100, 40]


def test_too_few_groups_and_groups_on_two_sides_are_refused(tmp_path, rejects):
    columns = {**measured(), "who": ["ann", "bob"] * 30}
    path = write_table(tmp_path / "d.csv", columns)
    sentence = "`data.group_column` must hold at least as many groups as there are parts, 3, got 2."
    with rejects(ValueError, sentence):
        load(path, group_column="who", feature_columns=("height",))
    columns = {**measured(), "who": [f"p{row // 4}" for row in range(60)], "part": ["train"] * 30 + ["test"] * 30}
    path = write_table(tmp_path / "d.csv", columns)
    sentence = "`data.group_column` must keep every group in one part, got p7 in test and in train."
    with rejects(ValueError, sentence):
        load(path, group_column="who", split_column="part")
    with rejects(ValueError, "`data.group_column` must be a column of the data, got 'whom' for columns width, height, "
                             "colour, label, who, part."):  # fmt: skip
        load(path, group_column="whom")


def test_groups_are_no_features_and_shape_every_drawn_part(tmp_path):
    columns = {**measured(120), "who": [f"p{row // 4}" for row in range(120)]}
    parts = load(write_table(tmp_path / "d.csv", columns), group_column="who", scaling_size=0.1)
    held = [set((part.index // 4).tolist()) for part in parts.parts.values()]

    assert "who" not in "".join(parts.features.inputs)
    assert sum(map(len, held)) == len(set.union(*held)) == 30
    assert {name: len(part) for name, part in parts.parts.items()} == {
        "train": 72, "validation": 12, "scaling": 12, "test": 24
    }  # fmt: skip
    assert parts.how == "drawn from all rows, whole groups"


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
def test_a_column_says_the_parts(suffix, tmp_path):
    part = (["train"] * 7 + ["VAL", "scaling", "test"]) * 6
    parts = load(write_table(tmp_path / f"d{suffix}", {**spoken(), "fold": part}), split_column="fold")

    assert parts.how == "as the data come"
    for name, said in (("train", "train"), ("validation", "VAL"), ("scaling", "scaling"), ("test", "test")):
        rows = parts.parts[name].index.tolist()
        assert rows == [row for row in range(60) if part[row] == said]
        assert parts.parts[name].labels.tolist() == [row % 2 for row in rows]


def test_a_column_that_lacks_validation_leaves_it_to_be_drawn_from_train(tmp_path):
    path = write_table(tmp_path / "d.csv", {**spoken(), "fold": ["train"] * 40 + ["test"] * 20})
    parts = load(path, split_column="fold", validation_size=10)

    assert {name: len(part) for name, part in parts.parts.items()} == {"train": 30, "validation": 10, "test": 20}
    assert parts.test.index.tolist() == list(range(40, 60))
    assert max(parts.validation.index.tolist()) < 40


def test_names_that_are_no_parts_are_refused_with_what_was_found(tmp_path, rejects):
    path = write_table(tmp_path / "d.csv", {**spoken(), "fold": ["train", "holdout", "0"] * 20})
    sentence = (
        "`fold` must hold names of parts (train, training, validation, valid, val, dev, scaling, test, testing), "
        "got 0, holdout."
    )
    with rejects(ValueError, sentence):
        load(path, split_column="fold")
    write_table(tmp_path / "two" / "train.csv", {**spoken(), "fold": ["train"] * 60})
    write_table(tmp_path / "two" / "test.csv", {**spoken(), "fold": ["test"] * 60})
    with rejects(
        ValueError, "`data.split_column` must be null for data that come in parts, got 'fold' for test, train."
    ):
        load(tmp_path / "two", split_column="fold")


def test_few_rows_leave_a_sample_for_every_part_or_are_refused(tmp_path, rejects):
    path = write_table(tmp_path / "d.csv", spoken(6))

    assert [len(part) for part in load(path).parts.values()] == [4, 1, 1]
    with rejects(ValueError, "`data.train_size` must be at most 0, what the other parts leave, got None."):
        load(write_table(tmp_path / "e.csv", spoken(2)))
