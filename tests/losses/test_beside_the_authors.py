# SPDX-License-Identifier: Apache-2.0
"""Ours beside what the authors state, in one loop: a miniature of benchmarks/beside_the_authors.py."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from adafocal.losses import update_gammas


@pytest.fixture(scope="module")
def script():
    folder = str(Path(__file__).parents[2] / "benchmarks")
    sys.path.insert(0, folder)
    yield importlib.import_module("beside_the_authors")
    sys.path.remove(folder)
    sys.modules.pop("beside_the_authors")


def test_ours_is_what_the_authors_state_at_every_step_of_a_training(script):
    config = replace(script.get_recipe("digits").config, epochs=6)
    largest, ece = script.compared(config, seeds=1)

    assert largest["loss, float64"] < 1e-12
    assert largest["gradient, float64"] < 1e-12
    assert largest["loss, float32"] < 1e-4
    assert largest["gammas from one gap"] < 1e-5
    assert largest["edges"] < 0.05  # interpolated between two neighbours there, one of them here
    assert {name: len(found) for name, found in ece.items()} == dict.fromkeys(ece, 1)
    assert ece["ours"] != ece["theirs"]


def test_images_that_are_stored_as_bytes_are_compared_too(script, tmp_path):
    (tmp_path / "mnist").mkdir()
    for part in ("train", "test"):
        images = np.random.default_rng(0).integers(0, 255, (60, 28, 28), dtype=np.uint8)
        np.savez(tmp_path / "mnist" / f"{part}.npz", image=images, label=np.arange(60) % 10)
    config = script.config_of(script.argparse.Namespace(mnist=str(tmp_path), epochs=1))
    config = replace(config, data=replace(config.data, train_size=40, validation_size=20))
    largest, _ = script.compared(config, seeds=1)

    assert largest["loss, float64"] < 1e-12


def test_the_stated_rule_turns_near_0_and_stays_between_its_bounds(script):
    gamma = torch.tensor([1.0, 0.25, -0.25, 19.0, -1.9, -1.0])
    gap = torch.tensor([0.5, -0.5, 0.5, 0.9, -0.9, 0.1])

    found = script.moved(gamma, gap)
    torch.testing.assert_close(found, torch.tensor([1.6487, -0.2, 0.2, 20.0, -2.0, -0.9048]), atol=1e-4, rtol=0)
    torch.testing.assert_close(found, update_gammas(gamma, gap))


@pytest.mark.slow
def test_a_training_by_ours_ends_as_near_to_theirs_as_theirs_to_itself(script):
    _, ece = script.compared(replace(script.get_recipe("digits").config, epochs=60), seeds=6)
    ours, theirs, changed = (torch.tensor(ece[name]) for name in ("ours", "theirs", "theirs, weights changed"))

    spread = (changed - theirs).square().mean().sqrt()
    assert (ours - theirs).mean().abs() < 3 * spread.clamp_min(0.3) / 6**0.5 + 0.3
