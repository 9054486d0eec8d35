# SPDX-License-Identifier: Apache-2.0
"""Average ranks of losses across experiments, and which of them are larger than chance."""

from collections.abc import Mapping
from math import inf, isnan, sqrt

from adafocal._checks import require
from adafocal.results.comparison import Ranked, RankTable
from adafocal.study.statistics import LEVEL

# The chi-squared distribution of Friedman's statistic needs some of both; with less, ranks say nothing.
FEWEST_LOSSES = 3
FEWEST_EXPERIMENTS = 3


def average_ranks(
    values: Mapping[str, Mapping[str, float]], *, titles: Mapping[str, str] | None = None
) -> RankTable | None:
    """Rank losses in each experiment, average, and test.

    For experiments on different data. Several networks or settings on one data set are no independent witnesses: the
    tests then find too much.

    Args:
        values: A metric of which lower is better, by experiment and loss.
        titles: Losses as tables name them; None calls them as in ``values``.

    Returns:
        The ranks over the experiments that hold every loss, 1 for the best, equal values the mean of their ranks; None
        with fewer than 3 losses or 3 such experiments. The p-value is NaN where all values are equal.

    Reference:
        Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006,
        https://jmlr.org/papers/v7/demsar06a.html, sections 3.2.2 and 3.2.4.
    """
    losses = list(dict.fromkeys(loss for row in values.values() for loss in row))
    rows = [[row[loss] for loss in losses] for row in values.values() if len(row) == len(losses)]
    n, k = len(rows), len(losses)
    if k < FEWEST_LOSSES or n < FEWEST_EXPERIMENTS:
        return None
    stats = require("scipy.stats")
    means = stats.rankdata(rows, axis=1).mean(axis=0).tolist()
    ranks = dict(sorted(zip(losses, means, strict=True), key=lambda pair: pair[1]))
    alike = all(len(set(row)) == 1 for row in rows)
    p_value = float("nan") if alike else float(stats.friedmanchisquare(*zip(*rows, strict=True)).pvalue)
    difference = nemenyi_difference(k, n)
    told_apart = not isnan(p_value) and p_value < 1 - LEVEL
    groups = _groups(ranks, difference) if told_apart else [tuple(ranks)]
    losses_by_rank = tuple(Ranked(loss, (titles or {}).get(loss, loss), rank) for loss, rank in ranks.items())
    return RankTable(losses_by_rank, n, p_value, difference, tuple(groups))


def nemenyi_difference(n_losses: int, n_experiments: int, *, level: float = LEVEL) -> float:
    """Critical difference of average ranks: chance exceeds it in any pair with probability 1 - level.

    Example:
        >>> round(nemenyi_difference(4, 14, level=0.90), 2)  # the paper's example, section 3.2.5
        1.12
    """
    quantile = float(require("scipy.stats").studentized_range.ppf(level, n_losses, inf)) / sqrt(2)
    return quantile * sqrt(n_losses * (n_losses + 1) / (6 * n_experiments))


def _groups(ranks: Mapping[str, float], difference: float) -> list[tuple[str, ...]]:
    """Find the largest runs of neighbours whose ends are closer than the difference."""
    names, groups = list(ranks), list[tuple[str, ...]]()
    for first, name in enumerate(names):
        group = tuple(other for other in names[first:] if ranks[other] - ranks[name] <= difference)
        if len(group) > 1 and not (groups and set(group) <= set(groups[-1])):
            groups.append(group)
    return groups
