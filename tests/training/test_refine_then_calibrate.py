# SPDX-License-Identifier: Apache-2.0
"""The monitor ``val_nll_scaled``: logged in every epoch, for best checkpoints and early stopping."""

import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from adafocal import Predictions
from adafocal.recipes import get_recipe
from adafocal.scaling import scaled_nll
from adafocal.training import history
from adafocal.training.history import History, KeptRows
from adafocal.training.run import run

DIGITS = get_recipe("digits").settings("cross_entropy")
SURE = replace(
    DIGITS,
    epochs=12,
    logger="none",
    optimizer=replace(DIGITS.optimizer, lr=0.2, weight_decay=0.0, schedule="cosine"),
)


def columns(folder):
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def test_it_is_logged_and_is_that_of_the_predictions(tmp_path):
    run(replace(SURE, epochs=2), tmp_path / "run", progress=False)
    held = columns(tmp_path / "run")

    assert list(held)[:7] == ["epoch", "lr", "train_loss", "val_error", "val_nll", "val_ece", "val_nll_scaled"]
    predictions = Predictions.load(tmp_path / "run/validation.parquet")
    assert held["val_nll_scaled"][-1] == pytest.approx(scaled_nll(predictions), rel=1e-6)
    assert all(scaled <= plain for scaled, plain in zip(held["val_nll_scaled"], held["val_nll"], strict=True))


def test_the_best_epoch_is_chosen_by_it(tmp_path):
    config = replace(SURE, monitor="val_nll_scaled", select="best")
    run(config, tmp_path / "run", progress=False)
    held = columns(tmp_path / "run")

    predictions = Predictions.load(tmp_path / "run/validation.parquet")
    assert scaled_nll(predictions) == pytest.approx(min(held["val_nll_scaled"]), rel=1e-6)
    assert held["val_nll_scaled"].index(min(held["val_nll_scaled"])) > held["val_nll"].index(min(held["val_nll"]))


def test_training_stops_early_by_it(tmp_path):
    run(replace(SURE, epochs=60, monitor="val_nll_scaled", early_stopping=2), tmp_path / "run", progress=False)
    left = columns(tmp_path / "run")["val_nll_scaled"]

    assert len(left) < 60
    assert len(left) - 1 - left.index(min(left)) == 2


def test_epochs_of_a_run_that_had_no_such_column_are_kept():
    kept = History(Path("metrics.csv"), n_bins=3)

    kept.load_state_dict({"rows": [{"epoch": 0, "val_nll": 1.0}, {"epoch": 1, "val_nll_scaled": 2.0}]})

    assert [list(row) for row in kept.rows] == [["epoch", "val_nll", "val_nll_scaled"], ["epoch", "val_nll_scaled"]]
    assert math.isnan(kept.rows[0]["val_nll_scaled"])


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_of_very_many_rows_every_so_manieth_is_kept_however_they_come(batch, monkeypatch):
    monkeypatch.setattr(history, "MAX_VOXELS", 100)
    logits, labels = torch.randn(1000, 3), torch.randint(3, (1000,))
    kept = KeptRows(1000, 3)
    for part in zip(logits.split(batch), labels.split(batch), strict=True):
        kept.add(*part)

    assert torch.equal(torch.cat([rows for rows, _ in kept.parts]), logits[::10])
    assert kept.compute() == pytest.approx(scaled_nll(Predictions(logits=logits[::10], labels=labels[::10])))


def test_logits_that_fit_are_kept_whole():
    assert KeptRows(50_000, 1000).every == 1
    assert KeptRows(50_001, 1000).every == 2
    assert KeptRows(30_000_000, 3).every == 30
