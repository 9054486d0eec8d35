# SPDX-License-Identifier: Apache-2.0
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from adafocal.ood import compare_scores, comparison_record, roc_curve, score_histogram
from adafocal.predictions import Predictions


def row(n, shift=1.0):
    known = Predictions(logits=3 * torch.randn(n, 3), labels=torch.zeros(n, dtype=torch.int64))
    other = Predictions(logits=shift * torch.randn(n, 3), labels=torch.zeros(n, dtype=torch.int64))
    return compare_scores(known, {"other": other}, scores=["energy"], n_resamples=10)[0]


def test_a_short_curve_is_kept_whole():
    one = row(20)
    record = comparison_record(one)
    curve = roc_curve(one.id_scores, one.ood_scores)

    np.testing.assert_allclose(record["roc"]["false_positive_rate"], curve.false_positive_rate, atol=1e-6)
    np.testing.assert_allclose(record["roc"]["true_positive_rate"], curve.true_positive_rate, atol=1e-6)
    assert (record["ood"], record["score"], record["n_id"], record["n_ood"]) == ("other", "energy", 20, 20)


@pytest.mark.parametrize(("n", "m", "whole"), [(5, 150, True), (59, 140, True), (60, 140, False)])
def test_up_to_two_hundred_points_a_curve_is_kept_whole(n, m, whole):
    made = row(2)
    one = replace(made, id_scores=torch.arange(float(n)) / n - 0.3, ood_scores=torch.linspace(-1, 1, m) ** 3 + 1e-9)
    curve = roc_curve(one.id_scores, one.ood_scores)
    points = comparison_record(one)["roc"]["true_positive_rate"]

    assert len(curve.true_positive_rate) == n + m + 1
    assert (len(points) == n + m + 1) == whole
    assert points == [round(value, 6) for value in points]


def test_a_long_curve_is_thinned_and_keeps_its_ends_and_its_area():
    record = comparison_record(row(5000))
    false, true = record["roc"]["false_positive_rate"], record["roc"]["true_positive_rate"]

    assert 190 <= len(false) <= 200
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    area = sum((b - a) * (c + d) / 2 for a, b, c, d in zip(false, false[1:], true, true[1:], strict=False))
    assert area == pytest.approx(record["auroc"]["value"], abs=2e-3)


def test_the_record_is_small_plain_json_whatever_the_size_of_the_data():
    text = json.dumps(comparison_record(row(5000)), allow_nan=False)

    assert len(text) < 12_000


def test_histograms_are_shares_over_common_bins():
    edges, of_id, of_ood = score_histogram(torch.randn(500), torch.randn(300) + 2, n_bins=20)

    assert (len(edges), len(of_id), len(of_ood)) == (21, 20, 20)
    assert of_id.sum() == pytest.approx(1)
    assert of_ood.sum() == pytest.approx(1)
    assert edges @ np.append(of_ood, 0) > edges @ np.append(of_id, 0)


@pytest.mark.parametrize(
    ("id_scores", "ood_scores"),
    [
        (torch.zeros(5), torch.zeros(3)),
        (torch.tensor([-math.inf, 0.0, 1.0]), torch.tensor([math.inf, 2.0])),
        (torch.tensor([-math.inf]), torch.tensor([math.inf])),
        (torch.randn(50) * 1e30, torch.randn(50) * 1e30),
    ],
)
def test_equal_infinite_and_huge_scores_are_all_counted(id_scores, ood_scores):
    _, of_id, of_ood = score_histogram(id_scores, ood_scores)

    assert of_id.sum() == pytest.approx(1)
    assert of_ood.sum() == pytest.approx(1)


def test_the_bins_span_all_but_the_outermost_scores_which_the_end_bins_count():
    id_scores = torch.cat([torch.arange(400.0) / 400, torch.tensor([-9.0])])
    ood_scores = torch.cat([1 + torch.arange(400.0) / 400, torch.tensor([30.0, math.inf])])
    edges, of_id, of_ood = score_histogram(id_scores, ood_scores, n_bins=10)
    finite = np.concatenate([id_scores.numpy(), ood_scores.numpy()[:-1]]).astype(float)

    np.testing.assert_allclose(edges, np.linspace(*np.quantile(finite, [0.005, 0.995]), 11))
    low, high = edges[1], edges[-2]
    assert of_id[0] == pytest.approx((id_scores.double() < low).double().mean().item())
    assert of_ood[-1] == pytest.approx((ood_scores.double() >= high).double().mean().item())
    assert of_id[-1] == of_ood[0] == 0


@pytest.mark.parametrize(("score", "middle"), [(2.0, 2.0), (math.inf, 0.0)])
def test_scores_of_one_value_lie_within_one_around_it(score, middle):
    edges, of_id, _ = score_histogram(torch.full((3,), score), torch.full((2,), score), n_bins=4)

    assert edges.tolist() == [middle - 0.5, middle - 0.25, middle, middle + 0.25, middle + 0.5]
    assert of_id.sum() == 1


def test_no_bin_is_refused(rejects):
    with rejects(ValueError, "`n_bins` must be an integer >= 1, got 0."):
        score_histogram(torch.zeros(3), torch.zeros(3), n_bins=0)
