# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from scipy import stats

from adafocal.study.statistics import holm, paired_differences, spread


def test_spread_is_mean_and_sample_deviation():
    summary = spread([1.0, 2.0, 4.0])

    assert summary.mean == pytest.approx(7 / 3)
    assert summary.std == pytest.approx(math.sqrt(((4 / 3) ** 2 + (1 / 3) ** 2 + (5 / 3) ** 2) / 2))
    assert summary.n == 3


def test_one_seed_has_no_spread():
    assert math.isnan(spread([1.0]).std)


def test_differences_are_those_of_the_paired_t_test():
    base = {0: 0.10, 1: 0.12, 2: 0.11, 3: 0.13}
    other = {0: 0.05, 1: 0.08, 2: 0.04, 3: 0.09}
    difference = paired_differences({"ce": base, "ada": other}, baseline="ce")["ada"]
    expected = stats.ttest_rel(list(other.values()), list(base.values()))
    interval = expected.confidence_interval(0.95)

    assert difference.p_value == pytest.approx(expected.pvalue)
    assert (difference.low, difference.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert difference.verdict == "better"


def test_only_seeds_that_both_have_are_compared():
    metric = {"ce": {0: 1.0, 1: 2.0}, "ada": {1: 1.5, 2: 0.0}}

    assert paired_differences(metric, baseline="ce")["ada"].mean == pytest.approx(-0.5)


def test_noise_is_not_distinguishable():
    metric = {"ce": {0: 1.0, 1: 2.0, 2: 3.0}, "ada": {0: 1.5, 1: 1.4, 2: 3.1}}

    assert paired_differences(metric, baseline="ce")["ada"].verdict == "not distinguishable"


def test_one_seed_gives_a_difference_without_interval_or_verdict():
    difference = paired_differences({"ce": {0: 1.0}, "ada": {0: 0.5}}, baseline="ce")["ada"]

    assert difference.mean == -0.5
    assert math.isnan(difference.low)
    assert math.isnan(difference.p_value)
    assert difference.verdict == "not distinguishable"


def test_a_higher_error_is_worse():
    metric = {"ce": {0: 1.0, 1: 1.1, 2: 0.9}, "ada": {0: 2.0, 1: 2.1, 2: 1.91}}

    assert paired_differences(metric, baseline="ce")["ada"].verdict == "worse"


def test_equal_values_are_not_distinguishable_and_equal_shifts_are():
    same = {"ce": {0: 1.0, 1: 2.0}, "ada": {0: 1.0, 1: 2.0}}
    shifted = {"ce": {0: 1.0, 1: 2.0}, "ada": {0: 0.5, 1: 1.5}}

    assert paired_differences(same, baseline="ce")["ada"].verdict == "not distinguishable"
    assert paired_differences(shifted, baseline="ce")["ada"].verdict == "better"


def test_holm_multiplies_the_smallest_by_the_number_of_tests():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": float("nan")}) == {
        "a": pytest.approx(0.03),
        "b": pytest.approx(0.06),
        "c": pytest.approx(0.06),
        "d": pytest.approx(float("nan"), nan_ok=True),
    }
