# SPDX-License-Identifier: Apache-2.0
"""What a function of the user's own may give as data."""

import re

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from adafocal.data import DataConfig, DataSplits, load_splits
from adafocal.data.given import read_given
from adafocal.data.kinds import kind_of
from adafocal.errors import OwnCodeError

X, Y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
HEAD = """
import numpy as np, torch
from torch.utils.data import TensorDataset
X, Y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
"""


def load(own_module, text, **settings):
    return load_splits(DataConfig(name=f"{own_module(HEAD + text)}:data", **settings), seed=0)


def sizes(splits):
    return {name: len(part) for name, part in splits.parts.items()}


@pytest.mark.parametrize(
    "made",
    [
        (X, Y), (torch.tensor(X), torch.tensor(Y)), ([list(row) for row in X], list(Y)),
        (list(torch.tensor(X)), list(torch.tensor(Y))), {"inputs": X, "labels": Y},
        TensorDataset(torch.tensor(X), torch.tensor(Y)),
        (X.tolist(), Y.astype("int8")),
    ],
)  # fmt: skip
def test_one_part_alone_is_read(made):
    parts, names = read_given(made, "m:f")

    assert torch.equal(parts["all"].inputs, torch.tensor(X).float())
    assert parts["all"].labels.tolist() == Y.tolist()
    assert names == ("0", "1")


@pytest.mark.parametrize(
    ("made", "found"),
    [
        (((X, Y), (X, Y)), ["train", "test"]),
        ([(X, Y), (X, Y), (X, Y)], ["train", "validation", "test"]),
        ({"test": (X, Y), "train": (X, Y), "scaling": (X, Y)}, ["train", "scaling", "test"]),
        ({"train": TensorDataset(torch.tensor(X), torch.tensor(Y)), "validation": None}, ["train"]),
    ],
)
def test_parts_are_read_by_place_or_name(made, found):
    assert list(read_given(made, "m:f")[0]) == found


def test_names_of_classes_come_from_labels_from_the_mapping_or_from_the_data_set():
    words = np.array(["b", "a"])[Y]
    assert read_given((X, words), "m:f")[1] == ("a", "b")
    parts, names = read_given({"train": (X, words), "class_names": ["b", "c", "a"]}, "m:f")
    assert (names, parts["train"].labels.tolist()) == (("b", "c", "a"), [0, 2] * 10)
    dataset = TensorDataset(torch.tensor(X), torch.tensor(Y))
    dataset.classes = ["cat", "dog"]
    assert read_given(dataset, "m:f")[1] == ("cat", "dog")


@pytest.mark.parametrize(
    ("made", "error", "said"),
    [
        (None, TypeError, "must give (inputs, labels), a torch Dataset, parts by name such as"),
        ((X, Y[:3]), ValueError, "m:f (all) must give a label per input, got 3 for 20."),
        ((X, Y - 1), ValueError, "m:f (all) must give labels >= 0, got -1 in row 0."),
        ((X, Y / 2), TypeError, "must give labels of shape (N,), class indices or names, got shape (20,) of float64"),
        ((X, np.stack([Y, Y])), TypeError, "must give labels of shape (N,), class indices or names, got shape (2, 20)"),
        ((np.where(X == 7, np.nan, X), Y), ValueError, "m:f (all) must give finite inputs, got others in row 3."),
        ((X, Y * 0), ValueError, "m:f must give at least 2 classes, got 1."),
        (([[1.0], [2.0, 3.0]], [0, 1]), TypeError, "m:f (all) must give inputs of one shape, or texts, got others"),
        ({"test": (X, Y)}, ValueError, "m:f must give a part train, and others among validation, scaling, test"),
        ({"train": (X, Y), "tests": (X, Y)}, ValueError, "got train, tests."),
        ({"train": (X, Y), "test": (X[:, :1], Y)}, ValueError, "shape (2,) as train, torch.float32 of shape (1,)"),
        ({"train": (X, Y), "test": (X, Y.astype(str))}, ValueError, "must give labels of one kind in all parts"),
        ({"train": (X, Y), "test": (X[:0], Y[:0])}, ValueError, "one sample in each part, got none as test."),
        ({"train": (X, Y + 1), "class_names": ["a", "b"]}, ValueError, "below the number of its classes, 2, got 2."),
        ({"train": (X, Y.astype(str)), "class_names": ["0"]}, ValueError, "labels among its classes, got '1'."),
        ([X, Y, X], TypeError, "must give (inputs, labels)"),
    ],
)  # fmt: skip
def test_what_is_no_data_is_refused(made, error, said):
    with pytest.raises(error, match=re.escape(said)):
        read_given(made, "m:f")


def test_one_part_is_split_by_the_sizes_that_are_asked_for(own_module):
    splits = load(own_module, "def data(): return X, Y", validation_size=4, test_size=0.25, scaling_size=2)

    assert sizes(splits) == {"train": 9, "validation": 4, "scaling": 2, "test": 5}
    rows = torch.cat([part.index for part in splits.parts.values()])
    assert rows.sort().values.tolist() == list(range(20))
    assert all(torch.equal(part.inputs, torch.tensor(X).float()[part.index]) for part in splits.parts.values())
    assert splits.class_names == ("0", "1")


def test_parts_that_are_given_stay_and_those_that_are_missing_come_from_the_training_part(own_module):
    text = "def data(): return {'train': (X, Y), 'test': (X + 100, Y)}"
    whole, some = load(own_module, text), load(own_module, text, test_size=6, train_size=10)

    assert sizes(whole) == {"train": 18, "validation": 2, "test": 20}
    assert float(whole.test.inputs.min()) == 100
    assert sizes(some) == {"train": 10, "validation": 2, "test": 6}


def test_the_function_is_given_its_arguments_and_the_seed_if_it_takes_one(own_module):
    text = "def data(n: int, seed): return {'train': (X[:n] + seed, Y[:n]), 'test': (X, Y)}"
    first = load(own_module, text, args={"n": "10"}, split_seed=1000)

    assert sizes(first) == {"train": 9, "validation": 1, "test": 20}
    assert float(first.train.inputs.min()) >= 1000
    with pytest.raises(ValueError, match=r"`data\.args` of .* must give n, got \{\}"):
        load(own_module, text)
    with pytest.raises(TypeError, match=r"`data\.args\.n` of .* must be int, got 'many'"):
        load(own_module, text, args={"n": "many"})


def test_images_and_texts_are_what_they_would_be_from_files(own_module):
    images = load(
        own_module,
        "def data(): return np.tile(np.arange(20, dtype='uint8')[:, None, None, None], (1, 3, 8, 9)), Y",
        image_size=4,
    )
    texts = load(own_module, "def data(): return ['good film', 'bad film'] * 10, ['+', '-'] * 10", length=3)

    assert (images.train.inputs.shape[1:], images.train.inputs.dtype) == ((3, 4, 4), torch.uint8)
    assert images.transform is not None
    assert (texts.train.inputs.shape[1:], texts.class_names) == ((3,), ("+", "-"))
    assert set(texts.vocabulary) >= {"good", "bad", "film"}


def test_splits_that_the_function_makes_are_taken_as_they_are(own_module):
    text = """
from adafocal.data import DataSplits, Split
def data():
    part = Split(torch.tensor(X).float(), torch.tensor(Y), torch.arange(20))
    return DataSplits(part, part, part, ('a', 'b'))
"""
    splits = load(own_module, text)

    assert isinstance(splits, DataSplits)
    assert sizes(splits) == {"train": 20, "validation": 20, "test": 20}
    with pytest.raises(
        ValueError, match=r"`data\.train_size` must be null for DataSplits that a function makes, got 3"
    ):
        load(own_module, text, train_size=3)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"length": 3}, "`data.length` must be null for arrays that a function makes, got 3."),
        ({"noise": 0.1}, "`data.noise` must be 0 for arrays that a function makes, got 0.1."),
        ({"path": "x"}, "`data.path` must be null for data that a function makes, got 'x'."),
        ({"validation_size": 20}, "`data.train_size` must be at most 0, what the other parts leave, got None."),
    ],
)
def test_a_setting_that_the_data_do_not_read_is_refused(own_module, settings, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        load(own_module, "def data(): return X, Y", **settings)


def test_what_the_function_raises_is_told_with_its_line(own_module):
    with pytest.raises(OwnCodeError, match=r"^`data\.name` own_\d+:data raised OSError: disk on fire \(.*, line 5\)"):
        load(own_module, "def data(): raise OSError('disk on fire')")


def test_its_kind_is_told_without_calling_it(own_module):
    assert kind_of(DataConfig(name=f"{own_module('1 / 0')}:data")) == "own"
