# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from adafocal.data import load_splits, stratified_split


def digits(**changes):
    return load_splits("digits", **{"train_size": 300, "validation_size": 500, "noise": 0.4, "seed": 0, **changes})


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
    with rejects(ValueError, "`data.name` must be one of digits, got 'mnist'."):
        load_splits("mnist", train_size=1, validation_size=1, noise=0.0, seed=0)
