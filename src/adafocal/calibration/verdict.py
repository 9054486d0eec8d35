# SPDX-License-Identifier: Apache-2.0
"""The answer in words: over-confident, under-confident, mixed, no sign of miscalibration, or too few samples to tell.

``judge.py`` decides which; here is what was decided, and how it is said.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from adafocal._text import capital

SMALL = 0.01  # of the squared error: below, it is said that little is to be gained
OVER, UNDER, MIXED = "over-confident", "under-confident", "mixed"
CALIBRATED, TOO_FEW = "no sign of miscalibration", "too few samples to tell"
KINDS = (OVER, UNDER, MIXED, CALIBRATED, TOO_FEW)

Range = tuple[float, float]


@dataclass(frozen=True)
class Verdict:
    """Whether predictions are calibrated, by how much they are not, and what it costs. Fractions, not percent.

    Attributes:
        kind: One of ``KINDS``.
        gap: Mean confidence minus share of the event, in [-1, 1].
        gap_interval: Its 95 % interval.
        error: Root mean square gap per bin, less its expected noise, in [0, 1].
        error_interval: Its 95 % interval; NaN of clusters.
        p_gap: P-value of the mean gap, two-sided.
        p_bins: P-value of the gaps per bin; NaN of clusters.
        detectable: The mean over-confidence that would be found with an even chance; infinite where none would.
        cost: What miscalibration adds to the squared error of the event, less its expected noise: ``error`` squared.
        cost_share: ``cost`` as a share of the whole squared error, in [0, 1]; 0 where that is 0.
        over: Ranges of confidence in which it is over-confident beyond chance.
        under: Ranges of confidence in which it is under-confident beyond chance.
        n_judged: Of how many verdicts together the level is held.
    """

    kind: str
    gap: float
    gap_interval: Range
    error: float
    error_interval: Range
    p_gap: float
    p_bins: float
    detectable: float
    cost: float
    cost_share: float
    over: tuple[Range, ...] = ()
    under: tuple[Range, ...] = ()
    n_judged: int = 1

    @property
    def miscalibrated(self) -> bool:
        """Whether a difference beyond chance was found."""
        return self.kind in (OVER, UNDER, MIXED)

    @property
    def p(self) -> float:
        """The p-value of both tests together, in [0, 1]."""
        known = [one for one in (self.p_gap, self.p_bins) if not math.isnan(one)]
        return min(1.0, len(known) * min(known))

    def to_dict(self) -> dict[str, object]:
        """Name every number, with the answer in words under ``text``."""
        return {**asdict(self), "p": self.p, "text": str(self)}

    def __str__(self) -> str:
        return " ".join(self.sentences())

    def headline(self, *, of_class: bool = False) -> str:
        """The kind in a few words; of the probability of a class others than of a confidence."""
        words = {OVER: "Probabilities are too high", UNDER: "Probabilities are too low"} if of_class else {}
        return words.get(self.kind, capital(self.kind))

    def sentences(self, *, of_class: bool = False) -> list[str]:
        """The answer: its headline with how much, and what that costs or could have been missed."""
        size, matters = self.details(of_class=of_class)
        return [f"{self.headline(of_class=of_class)}: {size}", matters]

    def details(self, *, of_class: bool = False) -> tuple[str, str]:
        """What follows the headline: how much, as a clause, and what that costs or could have been missed."""
        probability, share = ("probability", "share") if of_class else ("confidence", "accuracy")
        if self.kind in (OVER, UNDER):
            more, less = (probability, share) if self.kind == OVER else (share, probability)
            low, high = self.gap_interval if self.kind == OVER else (-end for end in reversed(self.gap_interval))
            size = f"{points(abs(self.gap))} points (95 % interval {points(low)} to {points(high)})"
            said = f"{more} exceeds {less} by {size} on average{self._exceptions()}."
        elif self.kind == MIXED:
            said = f"{self._where(of_class) or f'{probability} and {share} differ beyond chance'}."
        elif self.kind == CALIBRATED:
            said = f"{probability} and {share} differ by {points(self.gap, '+')} points on average, {self._ends}."
        else:
            said = f"{probability} minus {share} is {points(self.gap, '+')} points, {self._ends}."
        return said, self._cost() if self.miscalibrated else self._power(of_class)

    @property
    def _ends(self) -> str:
        low, high = self.gap_interval
        ends = f"95 % interval {points(low, '+')} to {points(high, '+')}"
        if low * high <= 0:
            return ends
        # One test at 5 % would have claimed it; the verdict holds 5 % over all the tests that it makes.
        return f"{ends}, which {'the verdicts' if self.n_judged > 1 else 'two tests'} together may show by chance"

    def _exceptions(self) -> str:
        others = self.under if self.kind == OVER else self.over
        return f", but not at {_ranges(others)}" if others else ""

    def _where(self, of_class: bool) -> str:
        names = ("too high", "too low") if of_class else (OVER, UNDER)
        parts = [
            f"{name} at {_ranges(where)}" for name, where in zip(names, (self.over, self.under), strict=True) if where
        ]
        return ", ".join(parts)

    def _cost(self) -> str:
        share = f"{100 * self.cost_share:.{1 if self.cost_share < 0.1 else 0}f} %"
        if self.cost == 0:
            return "What it costs is within the noise."
        if self.cost_share < SMALL:
            return (
                f"It matters little: {share if self.cost_share >= 0.0005 else 'less than 0.1 %'} of the squared error."
            )
        return f"It matters: {share} of the squared error (the event's Brier score), which recalibration could remove."

    def _power(self, of_class: bool) -> str:
        what = "probabilities too high" if of_class else "over-confidence"
        if not math.isfinite(self.detectable) or self.detectable >= 1:
            return f"No {what} of any size would be found with an even chance."
        return f"On average {what} would be found with an even chance from {points(self.detectable)} points on."


def points(value: float, sign: str = "") -> str:
    """Write a fraction in percentage points."""
    return f"{100 * value:{sign}.{1 if abs(value) >= 0.001 or value == 0 else 2}f}"


def _ranges(ranges: Sequence[Range]) -> str:
    ends = [(f"{low:.2f}", f"{high:.2f}") for low, high in ranges]
    return ", ".join(low if low == high else f"{low} to {high}" for low, high in ends)
