# SPDX-License-Identifier: Apache-2.0
"""Rows that belong together: intervals come from clusters, whatever the rows are cut into."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from adafocal import Outcomes, Predictions
from adafocal._tails import student_quantile
from adafocal.calibration import evaluate, merge_sums, stream_summary, stream_sums


def rows(n=400, seed=0):
    generator = np.random.default_rng(seed)
    cluster = generator.integers(0, 12, n)
    shared = generator.normal(size=12)[cluster]
    confidence = generator.uniform(0.05, 0.95, n)
    correct = generator.uniform(size=n) < 1 / (1 + np.exp(-(np.log(confidence / (1 - confidence)) + shared)))
    return {"confidence": confidence, "correct": correct, "cluster": cluster}


def by_hand(values, cluster, weight):
    """Mean and standard error by the textbook: CR1 of the sums of the clusters."""
    mean = np.average(values, weights=weight)
    sums = np.array([(weight * (values - mean))[cluster == code].sum() for code in np.unique(cluster)])
    return mean, math.sqrt((sums**2).sum() * len(sums) / (len(sums) - 1)) / weight.sum()


@pytest.mark.parametrize("weighted", [False, True])
def test_intervals_are_those_of_the_sums_of_clusters(weighted):
    data = rows()
    weight = np.random.default_rng(1).uniform(0.1, 4, 400) if weighted else np.ones(400)
    summary = evaluate(Outcomes(**data, weight=weight if weighted else None))
    t = student_quantile(0.975, 11)

    gap, error = by_hand(data["confidence"] - data["correct"], data["cluster"], weight)
    assert summary.overconfidence_interval == pytest.approx((gap - t * error, gap + t * error), abs=1e-7)
    share, error = by_hand(data["correct"].astype(float), data["cluster"], weight)
    n = share * (1 - share) / error**2
    centre = (share + t * t / (2 * n)) / (1 + t * t / n)
    half = t / (1 + t * t / n) * math.sqrt(share * (1 - share) / n + t * t / (4 * n * n))
    assert summary.accuracy_interval == pytest.approx((centre - half, centre + half), abs=1e-7)
    assert summary.n_clusters == 12


def test_clusters_change_intervals_alone_and_what_supposes_independent_rows_is_not_given():
    data = rows()
    with_clusters, alone = (evaluate(Outcomes(**part)) for part in (data, {**data, "cluster": None}))
    width = [one.overconfidence_interval[1] - one.overconfidence_interval[0] for one in (with_clusters, alone)]

    assert width[0] > 1.5 * width[1]
    given = {"accuracy_interval", "overconfidence_interval", "rms_interval", "p_calibrated", "n_clusters", "verdict"}
    for name, value in alone.to_dict().items():
        if name not in given and value is not None:
            assert with_clusters.to_dict()[name] == value, name
    assert with_clusters.to_dict()["rms_interval"] == [None, None]
    assert with_clusters.to_dict()["p_calibrated"] is None


@pytest.mark.parametrize("name", [str, "document {}".format, np.float64, lambda code: f"{code}"])
def test_clusters_are_numbers_or_words(name):
    data = rows()
    named = [name(code) for code in data["cluster"].tolist()]

    assert evaluate(Outcomes(**{**data, "cluster": named})).overconfidence_interval == pytest.approx(
        evaluate(Outcomes(**data)).overconfidence_interval, abs=1e-12
    )


def test_a_cluster_may_have_rows_in_several_parts_of_a_stream():
    data = rows()
    parts = [Outcomes(**{key: held[place::3] for key, held in data.items()}) for place in range(3)]
    sums = merge_sums(merge_sums(*map(stream_sums, parts[:2])), stream_sums(parts[2]))
    whole = evaluate(Outcomes(**data))

    assert sums.clusters.codes.tolist() == sorted(set(data["cluster"].tolist()))
    for name in ("accuracy_interval", "overconfidence_interval"):
        assert getattr(stream_summary(sums), name) == pytest.approx(getattr(whole, name), abs=1e-12)


def test_rows_with_and_without_clusters_are_not_added(rejects):
    data = rows()
    clustered, alone = stream_sums(Outcomes(**data)), stream_sums(Outcomes(**{**data, "cluster": None}))
    for pair in ((clustered, alone), (alone, clustered)):
        with rejects(ValueError, "`second` must have clusters where `first` has them, got rows without."):
            merge_sums(*pair)


def test_weighted_and_unweighted_rows_are_added_as_weights_of_one():
    data = {**rows(), "cluster": None}
    first, second = (
        Outcomes(**{k: None if v is None else v[part] for k, v in data.items()})
        for part in (slice(0, 100), slice(100, 400))
    )
    ones = Outcomes(confidence=second.confidence, correct=second.correct, weight=torch.ones(300))
    merged = merge_sums(stream_sums(first), stream_sums(ones))

    expected, found = stream_summary(stream_sums(Outcomes(**data))).to_dict(), stream_summary(merged).to_dict()
    assert found.pop("verdict")["text"] == expected.pop("verdict")["text"]
    for name, value in expected.items():
        assert found[name] == (None if value is None else pytest.approx(value, abs=1e-12)), name


@pytest.mark.parametrize("correct", [True, False])
def test_one_cluster_tells_nothing_and_equal_clusters_count_as_one_sample_each(correct):
    one = Outcomes(confidence=[0.5] * 6, correct=[correct] * 6, cluster=[7] * 6)
    three = Outcomes(confidence=[0.5] * 6, correct=[correct] * 6, cluster=[1, 1, 2, 2, 3, 3])

    assert evaluate(one).accuracy_interval == (0.0, 1.0)
    assert evaluate(one).overconfidence_interval == (-1.0, 1.0)
    low, high = evaluate(three).accuracy_interval
    t = student_quantile(0.975, 2)
    assert (high - low) == pytest.approx(t * t / (3 + t * t), abs=1e-6)


def test_predictions_of_classes_take_clusters_too():
    generator = torch.Generator().manual_seed(0)
    probs, labels = torch.rand(300, 3, generator=generator).softmax(1), torch.randint(0, 3, (300,), generator=generator)
    cluster = torch.arange(300) // 10
    predictions = Predictions(probs=probs, labels=labels, cluster=cluster)
    outcomes = Outcomes(confidence=predictions.confidence, correct=predictions.correct, cluster=cluster)

    assert evaluate(predictions).accuracy_interval == evaluate(outcomes).accuracy_interval
    for index in range(3):
        of_class = Outcomes(confidence=probs[:, index], correct=labels == index, cluster=cluster)
        found = evaluate(predictions, positive_class=index)
        assert found.overconfidence_interval == pytest.approx(evaluate(of_class).overconfidence_interval, abs=1e-12)


def test_clusters_must_be_one_plain_value_per_row(rejects):
    held = {"confidence": [0.5, 0.6], "correct": [1, 0]}
    with rejects(ValueError, "`cluster` must have one value per row of `confidence`, 2, got (3,)."):
        Outcomes(**held, cluster=[1, 2, 3])
    sums = stream_sums(Outcomes(**held, cluster=[1, 2]))
    assert replace(sums, clusters=None).clusters is None
