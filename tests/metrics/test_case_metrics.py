# SPDX-License-Identifier: Apache-2.0
"""The metric of cases: values by hand, batches, parts of cases, merging, sharing and width."""

import pickle

import pytest
import torch
from torchmetrics import MetricCollection

from adafocal.calibration import case_calibration
from adafocal.metrics import CaseCalibrationError


def batch(n: int = 5, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, 3, 6, 7, generator=generator)
    labels = torch.randint(3, (n, 6, 7), generator=generator)
    labels[:, 0] = -100
    return logits, labels


@pytest.mark.parametrize("measure", ["ece", "ace", "mce"])
@pytest.mark.parametrize("background", [True, False])
def test_batches_give_the_value_of_all_cases_at_once(measure, background):
    logits, labels = batch()
    metric = CaseCalibrationError(n_classes=3, measure=measure, n_bins=7, include_background=background)
    for part in (slice(0, 2), slice(2, 3), slice(3, 5)):
        metric.update(logits[part], labels[part])
    expected = case_calibration(logits, labels, n_bins=7, include_background=background)

    assert float(metric.compute()) == pytest.approx(getattr(expected, measure).value, abs=1e-12)
    assert metric.calibration() == expected


def test_slices_of_a_case_are_joined_by_its_name():
    logits, labels = batch(4)
    metric = CaseCalibrationError(n_classes=3)
    metric.update(logits[[0, 2]], labels[[0, 2]], ["a", "b"])
    metric.update(logits[[3, 1]], labels[[3, 1]], ["b", "a"])
    volumes = torch.stack([logits[:2].transpose(0, 1), logits[2:].transpose(0, 1)])
    expected = case_calibration(volumes, torch.stack([labels[:2], labels[2:]]))

    assert metric.stats().n_cases == 2
    assert float(metric.compute()) == pytest.approx(expected.ace.value, abs=1e-6)


def test_other_metrics_and_states_are_merged(rejects):
    (logits, labels), first, second = batch(), CaseCalibrationError(n_classes=3), CaseCalibrationError(n_classes=3)
    first.update(logits[:2], labels[:2])
    second.update(logits[2:], labels[2:])
    first.merge_state(second)
    assert first.calibration() == case_calibration(logits, labels)

    with rejects(
        ValueError,
        "`incoming_state` must be sums of the settings (3, 20, 'logits', -100), got (3, 5, 'logits', -100).",
    ):
        first.merge_state(CaseCalibrationError(n_classes=3, n_bins=5))


def test_a_collection_sums_once_what_differs_in_the_measure_alone():
    logits, labels = batch()
    makers = {
        "ece": {"measure": "ece"}, "mce": {"measure": "mce"}, "with background": {"include_background": True},
        "few bins": {"n_bins": 3}, "ignoring 0": {"ignore_index": 0},
    }  # fmt: skip
    together = MetricCollection({name: CaseCalibrationError(n_classes=3, **given) for name, given in makers.items()})
    together.update(logits[:0], labels[:0])
    labels[labels == -100] = 0
    together.update(logits, labels)
    values = together.compute()

    assert sorted(map(len, together.compute_groups.values())) == [1, 1, 3]
    for name, given in makers.items():
        alone = CaseCalibrationError(n_classes=3, **given)
        alone.update(logits, labels)
        assert torch.equal(values[name], alone.compute()), name


def test_nothing_seen_is_undefined_and_reset_forgets():
    metric = CaseCalibrationError(n_classes=3)
    metric.update(*batch())
    metric.reset()

    assert metric.stats().n_cases == 0
    with pytest.warns(UserWarning, match="before"):
        assert metric.compute().isnan()


def test_a_cast_and_a_pickled_metric_keep_their_sums():
    logits, labels = batch()
    metric = CaseCalibrationError(n_classes=3)
    metric.update(logits, labels)
    again = pickle.loads(pickle.dumps(metric)).to(torch.bfloat16)

    assert again.rows[0].dtype == torch.float64
    assert again.calibration() == metric.calibration()


def test_unusable_batches_are_refused_in_one_sentence(rejects):
    logits, labels = batch()
    with rejects(ValueError, "`values` must have 4 classes, got 3."):
        CaseCalibrationError(n_classes=4).update(logits, labels)
    with rejects(ValueError, "`values` must have shape (N, C, d1, …), or (N, C) with `cases`, got (5, 3)."):
        CaseCalibrationError(n_classes=3).update(logits[:, :, 0, 0], labels[:, 1, 0])
    mixed = CaseCalibrationError(n_classes=3)
    mixed.update(logits, labels)
    mixed.update(logits, labels, ["a"] * 5)
    with rejects(ValueError, "`cases` must be given in all batches or in none, got some without."):
        mixed.compute()
