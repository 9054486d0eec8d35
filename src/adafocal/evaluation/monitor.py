# SPDX-License-Identifier: Apache-2.0
"""Sums rows by the windows that they fall into, for calibration over time and its alarm."""

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from adafocal._checks import check_number
from adafocal._reading import Record, checked
from adafocal._text import printable
from adafocal.calibration.alarm import evidence, log_means, log_ratios
from adafocal.calibration.clusters import ClusterSums
from adafocal.calibration.edges import assign_equal_width_bins
from adafocal.calibration.events import Event, label_event, outcome_event
from adafocal.calibration.intervals import mean_interval
from adafocal.calibration.measure import LEVEL
from adafocal.calibration.reliability import score_interval
from adafocal.errors import InvalidValueError
from adafocal.evaluation.event import find_event
from adafocal.evaluation.watch import Watch
from adafocal.evaluation.windows import Monitored, Window, read_window
from adafocal.outcomes import Outcomes
from adafocal.tables.piece import Piece
from adafocal.tables.read import named
from adafocal.tables.times import written

MONDAY = 4 * 24 * 60 * 60_000_000  # weeks begin as 1970-01-05 did
MAX_WINDOWS = 10_000


@dataclass(eq=False)
class _Sums:
    """Sums of a window, of constant size but for clusters: of all rows, and per bin."""

    totals: Tensor = field(default_factory=lambda: torch.zeros(7, dtype=torch.float64))
    bins: Tensor | None = None
    clusters: ClusterSums | None = None

    def add(self, totals: Tensor, bins: Tensor, clusters: ClusterSums | None) -> None:
        self.totals = self.totals + totals
        self.bins = bins if self.bins is None else self.bins + bins
        if clusters is not None:
            self.clusters = clusters if self.clusters is None else self.clusters.merge(clusters)


class Monitor(Watch):
    """Sums rows by window as they pass, in any order.

    Args:
        column: The column of times.
        window: How long a window is, see :func:`read_window`; windows begin at whole ones since 1970, weeks on Mondays.
        n_bins: Number of equal-width bins.
        positive_class: The calibrated event, see ``find_event``.
        tolerance: By how much each confidence may be off without an alarm, in [0, 1).

    Raises:
        ValueError: If the window is no length of time, or ``tolerance`` is out of range.
    """

    def __init__(
        self, column: str, window: str, *, n_bins: int, positive_class: int | str | None, tolerance: float = 0.0
    ) -> None:
        check_number("tolerance", tolerance, low=0.0, high=1.0, open_high=True)
        self.column, self.text, self.length = column, window, read_window(window)
        self.n_bins, self.positive_class, self.tolerance = n_bins, positive_class, tolerance
        self._origin = MONDAY if window.strip()[-1].lower() == "w" else 0
        self._sums: dict[int, _Sums] = {}
        self._weighted = self._clustered = False
        self._zoned: bool | None = None

    def _add(self, piece: Piece) -> None:
        assert piece.time is not None
        self._check_zone(piece)
        record = checked(piece)
        kept = torch.ones(piece.n, dtype=torch.bool) if record.weight is None else record.weight > 0
        if not bool(kept.any()):
            return
        number = torch.from_numpy((piece.time - self._origin) // self.length)
        if not bool(kept.all()):
            record, number = record[kept], number[kept]
        self._weighted |= record.weight is not None
        self._clustered |= record.cluster is not None
        happened = find_event(piece, self.positive_class)
        event = (
            outcome_event(record) if isinstance(record, Outcomes) else label_event(record, self.n_bins, happened.index)
        )
        confidence = event.confidence.clamp(max=1.0)
        weight = torch.ones(record.n, dtype=torch.float64) if record.weight is None else record.weight.double()
        gap = confidence.double() - event.happened.double()
        self._sum(number, record, event, confidence, weight, gap)
        self._check_number()

    def _sum(
        self, number: Tensor, record: Record, event: Event, confidence: Tensor, weight: Tensor, gap: Tensor
    ) -> None:
        """Sum checked rows by the numbers of their windows."""
        parts = [torch.ones_like(weight), weight, weight * event.right, weight * gap]
        squares = weight.square()
        rows = torch.stack([*parts, squares, squares * gap, squares * gap.square()], dim=1)
        # Per bin: mass, gap, and what the alarm needs.
        of_bins = torch.cat([torch.stack([weight, weight * gap], dim=1), log_means(confidence, self.tolerance)], dim=1)
        found, index = torch.unique(number, return_inverse=True)
        place = index * self.n_bins + assign_equal_width_bins(confidence, self.n_bins)
        totals = torch.zeros(len(found), rows.shape[1], dtype=torch.float64).index_add_(0, index, rows)
        bins = torch.zeros(len(found) * self.n_bins, of_bins.shape[1], dtype=torch.float64).index_add_(
            0, place, of_bins
        )
        for one, key in enumerate(found.tolist()):
            clusters = None
            if record.cluster is not None:
                own = index == one
                own_weight = None if record.weight is None else record.weight[own]
                clusters = ClusterSums.of(record.cluster[own], own_weight, event.right[own], gap[own])
            part = bins.view(len(found), self.n_bins, -1)[one]
            self._sums.setdefault(key, _Sums()).add(totals[one], part, clusters)

    def _check_zone(self, piece: Piece) -> None:
        if piece.zoned is None:
            return
        if self._zoned is not None and piece.zoned != self._zoned:
            with named(piece.path, "FILE"):
                raise InvalidValueError(f"`{printable(self.column)}` must have a time zone in all rows or in none.")
        self._zoned = piece.zoned

    def _check_number(self) -> None:
        first, last = min(self._sums), max(self._sums)
        if last - first >= MAX_WINDOWS:
            ends = [written(self._start(one)) for one in (first, last)]
            raise InvalidValueError(
                f"`window` must make at most {MAX_WINDOWS:,} windows, got {last - first + 1:,} of {self.text} from "
                f"{ends[0]} to {ends[1]}: is a time wrong, or a longer window right?"
            )

    def _start(self, number: int) -> int:
        return number * self.length + self._origin

    def result(self) -> Monitored:
        """Compute what the sums tell, of at least one row."""
        why = ""
        if self._clustered:
            why = "No alarm: rows belong together (clusters), and it supposes that each is drawn for itself."
        elif self._weighted:
            why = "No alarm: rows have weights, and it tests the confidence of each row alike."
        windows, ratios = [], []
        for number in range(min(self._sums), max(self._sums) + 1):
            start = self._start(number)
            sums = self._sums.get(number)
            if sums is None or sums.bins is None:
                windows.append(Window(start, start + self.length))
                continue
            windows.append(Window(start, start + self.length, **_numbers(sums)))  # type: ignore[arg-type]
            ratios.append(log_ratios(-sums.bins[:, 1], sums.bins[:, 2:]))
        if not why:
            windows = _with_evidence(windows, evidence(ratios, self.n_bins))
        return Monitored(self.column, self.text, self.tolerance, tuple(windows), why)


def _with_evidence(windows: list[Window], found: list[float]) -> list[Window]:
    """Put the evidence into the windows; one without rows has that of the window before it."""
    left, last, held = iter(found), math.nan, []
    for window in windows:
        last = next(left) if window.n else last
        held.append(replace(window, evidence=last))
    return held


def _numbers(sums: _Sums) -> dict[str, object]:
    """Compute the numbers of a window."""
    n, mass, right, gap, squares, of_gap, of_square = sums.totals.unbind()
    effective, mean = float(mass.square() / squares), gap / mass
    spread = (of_square - 2 * mean * of_gap + mean.square() * squares).clamp_min(0) * (effective / mass) ** 2
    if sums.clusters is not None:
        accuracy = sums.clusters.accuracy_interval(level=LEVEL, n=effective)
        over = sums.clusters.gap_interval(level=LEVEL)
    else:
        low, high = score_interval((right / mass)[None], mass.new_tensor([effective]), level=LEVEL)
        accuracy, over = (low[0], high[0]), mean_interval(mean, spread, effective, level=LEVEL)
    assert sums.bins is not None
    return {
        "n": int(n),
        "accuracy": float(right / mass),
        "accuracy_interval": (float(accuracy[0]), float(accuracy[1])),
        "overconfidence": float(mean),
        "overconfidence_interval": (float(over[0]), float(over[1])),
        "ece": float(sums.bins[:, 1].abs().sum() / mass),
    }
