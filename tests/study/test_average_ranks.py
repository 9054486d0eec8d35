# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

pytest.importorskip("scipy")
from scipy import stats

from adafocal.study.ranks import average_ranks, nemenyi_difference


def test_ranks_and_test_are_those_of_scipy():
    rows = np.random.default_rng(0).normal(size=(14, 4)).round(1) - np.array([0.0, 0.3, 0.6, 2.0])
    values = {f"data {i}": dict(zip("abcd", row.tolist(), strict=True)) for i, row in enumerate(rows)}
    found = average_ranks(values)

    assert found.n_experiments == 14
    assert [found.ranks[name] for name in "abcd"] == pytest.approx(stats.rankdata(rows, axis=1).mean(axis=0).tolist())
    assert list(found.ranks) == sorted(found.ranks, key=found.ranks.get)
    assert found.p_value == pytest.approx(stats.friedmanchisquare(*rows.T).pvalue)


def test_the_critical_difference_is_that_of_the_paper_s_example():
    assert nemenyi_difference(4, 14) == pytest.approx(2.569 * math.sqrt(4 * 5 / (6 * 14)), abs=1e-3)


@pytest.mark.parametrize(("k", "quantile"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_the_critical_values_are_those_of_the_paper_s_table(k, quantile):
    assert nemenyi_difference(k, 1) / math.sqrt(k * (k + 1) / 6) == pytest.approx(quantile, abs=1e-3)


def test_losses_further_apart_than_the_critical_difference_are_in_no_common_group():
    values = {f"data {i}": {"a": 0.1 + i, "b": 0.2 + i, "c": 0.3 + i} for i in range(4)}
    found = average_ranks(values)

    assert found.p_value == pytest.approx(float(stats.chi2.sf(8, 2)))
    assert found.groups == (("a", "b"), ("b", "c"))


def test_where_friedman_finds_nothing_all_are_one_group():
    values = {"x": {"a": 1, "b": 2, "c": 3}, "y": {"a": 3, "b": 1, "c": 2}, "z": {"a": 2, "b": 3, "c": 1}}

    assert average_ranks(values).groups == (("a", "b", "c"),)


def test_equal_values_share_a_rank_and_have_no_p_value():
    found = average_ranks({name: {"a": 1.0, "b": 1.0, "c": 1.0} for name in "xyz"})

    assert set(found.ranks.values()) == {2.0}
    assert math.isnan(found.p_value)


def test_experiments_without_a_loss_do_not_count_and_too_few_give_nothing():
    values = {name: {"a": 1.0, "b": 2.0, "c": 3.0} for name in "wxyz"}
    values["w"] = {"a": 1.0, "b": 2.0}

    assert average_ranks(values).n_experiments == 3
    assert average_ranks({name: values[name] for name in "wxy"}) is None
    assert average_ranks({name: {"a": 1.0, "b": 2.0} for name in "wxyz"}) is None
