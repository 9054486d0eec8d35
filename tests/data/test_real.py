# SPDX-License-Identifier: Apache-2.0
"""Real data sets, where there are any: sizes of the papers, real classes, and a network that learns them."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from adafocal import Predictions
from adafocal.cli import main
from adafocal.data import DATASETS, DataConfig, load_splits

pytestmark = pytest.mark.data


def sizes(parts):
    return {name: len(part) for name, part in parts.parts.items()}


def disjoint(*parts):
    rows = torch.cat([part.index for part in parts])
    return len(rows) == len(rows.unique())


def test_cifar10_has_its_pixels_and_the_class_shares_in_every_part(data_root):
    config = DataConfig(name="cifar10", root=str(data_root), train_size=1000, scaling_size=500, test_size=500)
    parts = load_splits(replace(config, validation_size=500), seed=0)
    pixels = parts.train.inputs.double() / 255
    spec = DATASETS["cifar10"]

    assert sizes(parts) == {"train": 1000, "validation": 500, "scaling": 500, "test": 500}
    assert disjoint(parts.train, parts.validation, parts.scaling)
    assert parts.class_names[:3] == ("airplane", "automobile", "bird")
    assert parts.train.inputs.shape == (1000, 3, 32, 32)
    assert pixels.mean(dim=(0, 2, 3)).tolist() == pytest.approx(spec.mean, abs=0.02)
    for part in parts.parts.values():
        counts = part.labels.bincount(minlength=10)
        assert int(counts.max() - counts.min()) <= 4


@pytest.mark.slow
def test_cifar10_is_split_as_in_the_papers(data_root):
    parts = load_splits(DataConfig(name="cifar10", root=str(data_root)), seed=0)

    assert sizes(parts) == {"train": 45_000, "validation": 5_000, "test": 10_000}
    assert disjoint(parts.train, parts.validation)
    assert parts.train.labels.bincount().tolist() == pytest.approx([4500] * 10, abs=2)


def test_mnist_is_read_from_arrays(data_root):
    parts = load_splits(DataConfig(name="mnist", root=str(data_root)), seed=0)

    assert sizes(parts) == {"train": 55_000, "validation": 5_000, "test": 10_000}
    assert parts.train.inputs.shape == (55_000, 1, 28, 28)
    assert disjoint(parts.train, parts.validation)
    assert parts.transform.mean == pytest.approx((0.1307,), abs=0.001)  # as everywhere for MNIST
    assert parts.transform.deviation == pytest.approx((0.3081,), abs=0.001)
    assert parts.test.labels[:5].tolist() == [7, 2, 1, 0, 4]


def test_newsgroups_are_split_in_the_papers_proportions_and_by_date(data_root):
    pooled = load_splits(DataConfig(name="20newsgroups", root=str(data_root), length=50), seed=0)
    dated = load_splits(DataConfig(name="20newsgroups_bydate", root=str(data_root), length=50), seed=0)

    assert sizes(pooled) == {"train": 14_229, "validation": 848, "test": 3_769}
    assert disjoint(*pooled.parts.values())
    assert sizes(dated) == {"train": 10_414, "validation": 900, "test": 7_532}
    assert pooled.class_names[0] == dated.class_names[0] == "alt.atheism"
    assert len(pooled.vocabulary) == 20_002
    assert float((pooled.test.inputs == 1).sum() / (pooled.test.inputs > 0).sum()) < 0.1  # unknown words


def letters_in_folders(data_root, folder, n=100, classes=10):
    """Lay real handwritten letters out as somebody has photos: a folder per class, a PNG per image."""
    with np.load(data_root / "emnist_letters" / "test.npz", allow_pickle=False) as arrays:
        images, labels = arrays["image"], arrays["label"]
    for place in range(classes):
        (folder / "abcdefghijklmnopqrstuvwxyz"[place]).mkdir(parents=True)
        for row in np.flatnonzero(labels == place)[:n].tolist():
            Image.fromarray(images[row]).save(folder / "abcdefghijklmnopqrstuvwxyz"[place] / f"{row:04}.png")
    return folder


def test_letters_in_folders_are_the_letters(data_root, tmp_path):
    folder = letters_in_folders(data_root, tmp_path / "letters")
    parts = load_splits(DataConfig(name="letters", path=str(folder)), seed=0)
    with np.load(data_root / "emnist_letters" / "test.npz", allow_pickle=False) as arrays:
        images, labels = arrays["image"], arrays["label"]
    first = np.concatenate([np.flatnonzero(labels == place)[:100] for place in range(10)])

    assert sizes(parts) == {"train": 700, "validation": 100, "test": 200}
    assert disjoint(*parts.parts.values())
    assert parts.class_names == tuple("abcdefghij")
    assert parts.notes == ()
    for part in parts.parts.values():
        rows = first[part.index.numpy()]
        assert np.array_equal(part.inputs[:, 0].numpy(), images[rows])
        assert part.labels.tolist() == labels[rows].tolist()
        assert part.labels.bincount().max() == part.labels.bincount().min()


@pytest.mark.slow
def test_a_network_learns_letters_in_folders_from_the_command_and_knows_them_again(data_root, tmp_path):
    folder = letters_in_folders(data_root, tmp_path / "letters")
    run = tmp_path / "run"
    assert main(["train", "--data.path", str(folder), "--progress", "false", "--run_dir", str(run)]) == 0
    test = Predictions.load(run / "test.parquet")
    assert float(test.correct.double().mean()) > 0.6  # 0.1 is a guess

    other = tmp_path / "other"  # without the first class, the others keep their numbers
    shutil.copytree(folder, other, ignore=lambda place, names: ["a"] if place == str(folder) else [])
    assert main(["predict", str(run), "--path", str(other), "-o", str(tmp_path / "out.parquet")]) == 0
    again = Predictions.load(tmp_path / "out.parquet")
    assert again.n == 900
    assert again.labels.unique().tolist() == list(range(1, 10))
    assert float(again.correct.double().mean()) > 0.6
