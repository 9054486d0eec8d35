# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from adafocal.data import DATASETS, DataConfig, load_splits, stratified_parts, stratified_split


def digits(seed=0, **changes):
    return load_splits(DataConfig(**{"noise": 0.4, **changes}), seed=seed)


def test_parts_are_disjoint_cover_all_and_have_the_asked_sizes():
    parts = digits()
    rows = torch.cat([parts.train.index, parts.validation.index, parts.test.index])

    assert (len(parts.train), len(parts.validation), len(parts.test)) == (300, 500, 997)
    assert rows.sort().values.tolist() == list(range(1797))


def test_parts_have_the_class_shares_of_the_whole():
    parts = digits()

    assert parts.n_classes == 10
    assert all(28 <= count <= 32 for count in parts.train.labels.bincount().tolist())


def test_the_seed_fixes_split_and_noise():
    first, again, other = digits(), digits(), digits(seed=1)

    assert torch.equal(first.test.inputs, again.test.inputs)
    assert not torch.equal(first.train.index, other.train.index)


def test_noise_hides_the_images_and_zero_noise_does_not():
    clean, noisy = digits(noise=0.0), digits()
    order_clean, order_noisy = clean.train.index.argsort(), noisy.train.index.argsort()
    assert torch.equal(clean.train.index[order_clean], noisy.train.index[order_noisy])
    pair = torch.stack([clean.train.inputs[order_clean].flatten(), noisy.train.inputs[order_noisy].flatten()])

    assert 0.5 < float(pair.corrcoef()[0, 1]) < 0.8


def test_inputs_are_normalised_by_the_training_part():
    inputs = digits().train.inputs

    assert inputs.shape == (300, 1, 8, 8)
    assert float(inputs.mean()) == pytest.approx(0.0, abs=1e-5)
    assert float(inputs.std()) == pytest.approx(1.0, abs=1e-5)


def test_a_test_size_draws_that_many():
    train, validation, test = stratified_split(
        np.arange(100) % 2, train_size=20, validation_size=20, test_size=30, seed=0
    )

    assert len(test) == 30
    assert not set(test.tolist()) & (set(train.tolist()) | set(validation.tolist()))


def test_sizes_that_leave_nothing_are_refused(rejects):
    with rejects(
        ValueError,
        "`train_size` + `validation_size` must leave a test part of the 1797 samples, got 1797 + 1.",
    ):
        digits(train_size=1797, validation_size=1)


def test_an_unknown_name_is_refused(rejects):
    sentence = (
        f"`data.name` must be one of {', '.join(DATASETS)}, owner/name on the hub, or come with `data.path`, "
        "got 'imagnet': did you mean 'imagenet'?"
    )
    with rejects(ValueError, sentence):
        load_splits(DataConfig(name="imagnet"), seed=0)


def test_a_second_validation_part_is_drawn_for_temperature():
    parts = digits(scaling_size=200, test_size=400)
    rows = torch.cat([part.index for part in parts.parts.values()])

    assert {name: len(part) for name, part in parts.parts.items()} == {
        "train": 300, "validation": 500, "scaling": 200, "test": 400,
    }  # fmt: skip
    assert len(rows.unique()) == 1400


def test_the_rows_of_the_parts_are_written(tmp_path):
    parts = digits()
    parts.save_rows(tmp_path / "splits.npz")
    with np.load(tmp_path / "splits.npz", allow_pickle=False) as rows:
        assert {name: rows[name].tolist() for name in rows} == {
            name: part.index.tolist() for name, part in parts.parts.items()
        }


@pytest.mark.parametrize("sizes", [(5, 7, 11), (60, 30, 10), (1, 1, 1)])
def test_drawn_parts_are_disjoint_and_keep_the_class_shares(sizes):
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    parts = stratified_parts(labels, sizes, seed=3)
    rows = torch.cat(parts).tolist()

    assert tuple(len(part) for part in parts) == sizes
    assert len(set(rows)) == sum(sizes)
    for part in parts:
        shares = np.bincount(labels[part.numpy()], minlength=3)
        assert np.abs(shares - np.array([0.6, 0.3, 0.1]) * len(part)).max() <= 2


def test_drawn_parts_follow_the_seed_and_not_the_order_of_classes():
    labels = np.repeat(np.arange(4), 25)
    first, again, other = (stratified_parts(labels, (40, 20), seed=seed)[0] for seed in (0, 0, 1))

    assert torch.equal(first, again)
    assert set(first.tolist()) != set(other.tolist())
    assert labels[first.numpy()].tolist() != sorted(labels[first.numpy()])


def test_parts_larger_than_the_data_are_refused(rejects):
    with rejects(ValueError, "The sizes of the parts must add up to at most 10 samples, got 11."):
        stratified_parts(np.zeros(10, dtype=np.int64), (6, 5), seed=0)
