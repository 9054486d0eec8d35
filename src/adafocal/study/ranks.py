# SPDX-License-Identifier: Apache-2.0
"""Average ranks of losses across experiments, and which of them are larger than chance."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isnan, sqrt

from adafocal._checks import require

# The chi-squared distribution of Friedman's statistic needs some of both; with less, ranks say nothing.
FEWEST_LOSSES = 3
FEWEST_EXPERIMENTS = 3


@dataclass(frozen=True)
class Ranks:
    """Average ranks across experiments; 1 is best.

    Attributes:
        n_experiments: Experiments that hold every loss.
        ranks: Average rank by loss, best first; equal values share the mean of their ranks.
        p_value: Of Friedman's test that all losses rank alike; NaN where all values are equal.
        critical_difference: Nemenyi's: ranks further apart differ at the 5 % level, all pairs taken together.
        groups: Losses that cannot be told apart, best first; all of them where Friedman's test finds nothing.
    """

    n_experiments: int
    ranks: dict[str, float]
    p_value: float
    critical_difference: float
    groups: list[list[str]]


def average_ranks(values: Mapping[str, Mapping[str, float]], *, level: float = 0.95) -> Ranks | None:
    """Rank losses in each experiment, average, and test.

    For experiments on different data. Several networks or settings on one data set are no independent witnesses: the
    tests then find too much.

    Args:
        values: A metric of which lower is better, by experiment and loss.
        level: 1 - level is the size of both tests.

    Returns:
        The ranks over the experiments that hold every loss; None with fewer than 3 losses or 3 such experiments.

    Reference:
        Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006,
        https://jmlr.org/papers/v7/demsar06a.html, sections 3.2.2 and 3.2.4.
    """
    losses = list(dict.fromkeys(loss for row in values.values() for loss in row))
    rows = [[row[loss] for loss in losses] for row in values.values() if len(row) == len(losses)]
    n, k = len(rows), len(losses)
    if k < FEWEST_LOSSES or n < FEWEST_EXPERIMENTS:
        return None
    stats = require("scipy.stats", extra="report")
    means = stats.rankdata(rows, axis=1).mean(axis=0).tolist()
    ranks = dict(sorted(zip(losses, means, strict=True), key=lambda pair: pair[1]))
    alike = all(len(set(row)) == 1 for row in rows)
    p_value = float("nan") if alike else float(stats.friedmanchisquare(*zip(*rows, strict=True)).pvalue)
    difference = nemenyi_difference(k, n, level=level)
    told_apart = not isnan(p_value) and p_value < 1 - level
    return Ranks(n, ranks, p_value, difference, _groups(ranks, difference) if told_apart else [list(ranks)])


def nemenyi_difference(n_losses: int, n_experiments: int, *, level: float = 0.95) -> float:
    """Give the difference of average ranks that chance exceeds with probability 1 - level in any pair.

    Example:
        >>> round(nemenyi_difference(4, 14, level=0.90), 2)  # the paper's example, section 3.2.5
        1.12
    """
    quantile = float(require("scipy.stats", extra="report").studentized_range.ppf(level, n_losses, inf)) / sqrt(2)
    return quantile * sqrt(n_losses * (n_losses + 1) / (6 * n_experiments))


def _groups(ranks: Mapping[str, float], difference: float) -> list[list[str]]:
    """Give the largest runs of neighbours whose ends are closer than the difference."""
    names, groups = list(ranks), list[list[str]]()
    for first, name in enumerate(names):
        group = [other for other in names[first:] if ranks[other] - ranks[name] <= difference]
        if len(group) > 1 and not (groups and set(group) <= set(groups[-1])):
            groups.append(group)
    return groups
