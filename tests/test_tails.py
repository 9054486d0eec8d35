# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from scipy import stats

from adafocal._tails import _bend, binomial_interval, binomial_tails, student_quantile

CHANCES = (0.001, 0.01, 0.05, 0.3, 0.5, 0.8, 0.95, 0.999)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 100, 1000, 100_000])
def test_binomial_tails_are_the_exact_mid_p_values_within_a_few_thousandths(n):
    x = torch.arange(0, n + 1, max(1, n // 60), dtype=torch.float64)
    for p in CHANCES:
        few, many = binomial_tails(x, torch.full_like(x, n), p)
        exact = stats.binom.cdf(x, n, p) - 0.5 * stats.binom.pmf(x, n, p)

        np.testing.assert_allclose(few, exact, rtol=0, atol=2.5e-3)
        torch.testing.assert_close(few + many, torch.ones_like(x))


@pytest.mark.parametrize("df", [3, 4.5, 10, 100, 1e6])
@pytest.mark.parametrize("p", [0.75, 0.95, 0.975, 0.1])
def test_student_quantiles_are_those_of_scipy_and_not_smaller_in_the_tails(df, p):
    ratio = student_quantile(p, df) / stats.t.ppf(p, df)

    assert (1 - 1e-4 if p >= 0.95 else 0.98) <= ratio <= 1.015


def mid_p(p, x, n):
    return stats.binom.cdf(x, n, p) - 0.5 * stats.binom.pmf(x, n, p)


@pytest.mark.parametrize(("x", "n"), [(1, 10), (5, 10), (9, 10), (3, 1000), (500, 1000), (1, 2)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_at_the_ends_of_the_interval_a_tail_has_its_size(x, n, level):
    low, high = binomial_interval(x, n, level=level)

    assert low < x / n < high
    assert 1 - mid_p(low, x, n) == pytest.approx((1 - level) / 2, abs=2e-3)
    assert mid_p(high, x, n) == pytest.approx((1 - level) / 2, abs=2e-3)


def test_of_nothing_and_of_all_one_end_is_open():
    assert binomial_interval(0, 20, level=0.95) == (0.0, pytest.approx(1 - 0.05 ** (1 / 20), abs=2e-3))
    low, high = binomial_interval(20, 20, level=0.95)
    assert (low, high) == (pytest.approx(0.05 ** (1 / 20), abs=2e-3), 1.0)


def test_counts_that_are_not_whole_lie_between_whole_ones():
    ends = [binomial_interval(x, 50, level=0.95) for x in (4, 4.5, 5)]

    assert [low for low, _ in ends] == sorted(low for low, _ in ends)
    assert [high for _, high in ends] == sorted(high for _, high in ends)


@pytest.mark.parametrize("df", [3, 4.5, 30])
@pytest.mark.parametrize("p", [0.6, 0.975, 0.1])
def test_student_quantiles_are_wallaces(p, df):
    z = stats.norm.ppf(p) * (8 * df + 3) / (8 * df + 1)

    assert student_quantile(p, df) == pytest.approx(np.sign(z) * np.sqrt(df * (np.exp(z**2 / df) - 1)), rel=1e-9)


def peizer_pratt(x, n, p):
    """P(X <= x) as the paper's equations have it, by numpy."""
    q, s, t = 1 - p, x + 0.5, n - x - 0.5
    d = x + 2 / 3 - (n + 1 / 3) * p + 0.02 * (q / (x + 1) - p / (n - x) + (q - 0.5) / (n + 1))

    def bend(y):
        return (1 - y**2 + 2 * y * np.log(y)) / (1 - y) ** 2

    return stats.norm.cdf(d * np.sqrt((1 + q * bend(s / (n * p)) + p * bend(t / (n * q))) / ((n + 1 / 6) * p * q)))


@pytest.mark.parametrize(("x", "n", "p"), [(3, 10, 0.2), (3.5, 10, 0.2), (1, 30, 0.1), (70, 90, 0.71), (6, 8, 0.9)])
def test_binomial_tails_are_those_of_peizer_and_pratt(x, n, p):
    few, many = binomial_tails(*torch.tensor([[x], [n]], dtype=torch.float64), p)
    expected = 0.5 * (peizer_pratt(x, n, p) + peizer_pratt(x - 1, n, p))

    assert float(few) == pytest.approx(expected, abs=1e-12)
    assert float(many) == pytest.approx(1 - expected, abs=1e-12)


def test_near_its_removable_place_the_bend_is_a_third_of_the_distance():
    distance = torch.tensor([0.0, 1e-9, -1e-9, 9e-5, -9e-5, 2e-4, -2e-4], dtype=torch.float64)

    torch.testing.assert_close(_bend(1 - distance), distance / 3, rtol=1e-3, atol=0)
    assert _bend(torch.zeros(1, dtype=torch.float64)).item() == 1.0


@pytest.mark.parametrize(
    ("x", "n"), [(0.0, 7.0), (1.0, 7.0), (2.5, 40.0), (39.5, 40.0), (6.0, 7.0), (7.0, 7.0), (5e5, 1e6)]
)
def test_intervals_end_where_the_tails_say(x, n):
    low, high = binomial_interval(x, n, level=0.9)
    count, trials = torch.tensor([[x], [n]], dtype=torch.float64)

    assert x > 0 or low == 0.0
    assert x < n or high == 1.0
    if x > 0:
        assert float(binomial_tails(count, trials, low)[1]) == pytest.approx(0.05, abs=1e-6)
    if x < n:
        assert float(binomial_tails(count, trials, high)[0]) == pytest.approx(0.05, abs=1e-6)
