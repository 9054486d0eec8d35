# SPDX-License-Identifier: Apache-2.0
"""The critical-difference diagram of average ranks."""

from collections.abc import Mapping

from adafocal._records import as_record
from adafocal.report.svg import INK, Axes
from adafocal.results.comparison import RankTable


def draw_critical_difference(ax: Axes, ranks: RankTable | Mapping[str, object], *, color: str = INK) -> None:
    """Draw average ranks on a line, best to the left; a bar joins losses that cannot be told apart.

    Args:
        ax: A matplotlib axis; a fifth of an inch of height per two losses, and half an inch more, are enough.
        ranks: What ``comparison.json`` holds under ``ranks`` for one metric, as a record or as it is.
        color: Colour of lines and text.

    Reference:
        Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006,
        https://jmlr.org/papers/v7/demsar06a.html, section 3.2.4 and figure 1.
    """
    if not isinstance(ranks, RankTable):
        ranks = as_record(ranks, RankTable, "`ranks` must be average ranks of `comparison.json`, got some")
    losses = ranks.losses
    n, place = len(losses), {entry.loss: entry.rank for entry in losses}
    bars = len(ranks.groups)
    _axis_line(ax, n, color)
    _difference_bar(ax, min(ranks.critical_difference, n - 1.0), ranks.critical_difference, color)
    for level, group in enumerate(ranks.groups):
        y = -0.35 - 0.3 * level
        ends = [place[group[0]] - 0.03, place[group[-1]] + 0.03]
        ax.plot(ends, [y, y], color=color, linewidth=3.5, solid_capstyle="butt", gid="group")
    half = (n + 1) // 2
    for index, entry in enumerate(losses):
        left = index < half
        # The first on either side is the outermost, so that no line crosses another.
        y = -0.7 - 0.3 * bars - 0.6 * (index if left else n - 1 - index)
        x = 0.9 if left else n + 0.1
        ax.plot([entry.rank, entry.rank, x], [0, y, y], color=color, linewidth=0.8)
        text = f"{entry.title}  {entry.rank:.2f}" if left else f"{entry.rank:.2f}  {entry.title}"
        ax.text(x - 0.03 if left else x + 0.03, y, text, color=color, ha="right" if left else "left", va="center")
    ax.set(xlim=(0.9, n + 0.1), ylim=(-0.9 - 0.3 * bars - 0.6 * (half - 1), 1.45))
    ax.set_axis_off()


def _axis_line(ax: Axes, n: int, color: str) -> None:
    ax.plot([1, n], [0, 0], color=color, linewidth=0.8)
    for rank in range(1, n + 1):
        ax.plot([rank, rank], [0, 0.12], color=color, linewidth=0.8)
        ax.text(rank, 0.2, str(rank), color=color, ha="center", va="bottom")


def _difference_bar(ax: Axes, drawn: float, value: float, color: str) -> None:
    # As long as the line of ranks at most: a larger difference than that separates nothing.
    ax.plot([1, 1 + drawn], [0.75, 0.75], color=color, linewidth=1.2, marker="|", markersize=7, gid="difference")
    ax.text(1 + drawn / 2, 0.95, f"critical difference {value:.2f}", color=color, ha="center", va="bottom")
