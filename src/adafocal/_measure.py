# SPDX-License-Identifier: Apache-2.0
"""What a measure is wherever it is shown: how it is named, written and read."""

from dataclasses import dataclass
from math import isfinite, isnan

from adafocal._text import capital

UNDEFINED = "-"


def p_text(p_value: float, *, least: float = 0.0) -> str:
    """Write a p-value as it is told: to a thousandth, and never as 0.

    Args:
        p_value: In [0, 1]; NaN where there is none.
        least: The smallest value that a test by resampling can give: it says no more than that p is at most this.

    Example:
        >>> p_text(0.001, least=0.001), p_text(1e-9), p_text(0.25), p_text(float("nan"))
        ('≤ 0.001', '< 0.001', '0.250', '-')
    """
    if isnan(p_value):
        return UNDEFINED
    if least and p_value <= least * (1 + 1e-9):
        return f"≤ {least:g}"
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measure.

    Attributes:
        name: Its name in files, and as an attribute of summaries and detections.
        heading: Heading of its column, with the unit; empty for what it is, with the unit.
        page_heading: The same on pages; empty for the heading with a capital.
        title: What it is, in words; empty where it is no row of what ``adafocal evaluate`` prints.
        unit: ``%`` for a fraction, which is shown in percent; ``nats``, ``voxels`` or nothing.
        digits: Digits behind the point in tables; a number that stands alone has one more unless it is in percent.
        better: Which values are: ``lower``, ``higher``, those near ``zero``, or ``neither``.
        interval: Attribute that holds its interval. Only what has one of known coverage: an error above zero by noise
            alone has none.
        in_stream: What it is where rows are too many for memory: ``exact``; within what the samples of one ``cell`` of
            the fine grid can change; an error of bins that a ``sweep`` ends elsewhere; ``drawn`` anew from cells; or
            ``none``, NaN.
        least: What is tested by resampling is never below it: up to it a value is written as ``≤``.
        source: Where the summary of a run holds it; empty for the test part.
        later: Whether runs of older versions do not hold it.
    """

    name: str
    heading: str = ""
    page_heading: str = ""
    title: str = ""
    unit: str = ""
    digits: int = 2
    better: str = "lower"
    interval: str = ""
    in_stream: str = "exact"
    least: float = 0.0
    source: str = ""
    later: bool = False

    def __post_init__(self) -> None:
        if not self.heading:
            object.__setattr__(self, "heading", f"{self.title or self.name}{self._percent}")

    @property
    def streams(self) -> bool:
        """Whether it is exact where rows are too many for memory."""
        return self.in_stream == "exact"

    @property
    def place(self) -> str:
        """Where the summary of a run holds it."""
        return self.source or f"test.{self.name}"

    @property
    def scale(self) -> float:
        """What values are multiplied by to be shown."""
        return 100.0 if self.unit == "%" else 1.0

    @property
    def label(self) -> str:
        """The heading without its unit."""
        return self.heading.replace(" %", "")

    @property
    def on_page(self) -> str:
        """The heading on pages."""
        return self.page_heading or capital(self.heading)

    def text(self, value: float, *, signed: bool = False) -> str:
        """Write a value as the tables of a terminal show it."""
        if self.least:
            return self.alone(value)
        return UNDEFINED if isnan(value) else f"{self.scale * value:{'+' if signed else ''}.{self.digits}f}"

    def page_text(self, value: float, *, sign: str = "-") -> str:
        """Write a value as the tables of a page show it: with a true minus sign, a dash for what is not defined.

        Example:
            >>> Measure(name="gap", unit="%").page_text(-0.0625), Measure(name="gap").page_text(float("nan"))
            ('−6.25', '–')
        """
        if self.least and isfinite(value):
            return self.alone(value)
        return f"{self.scale * value:{sign}.{self.digits}f}".replace("-", "−") if isfinite(value) else "–"

    def alone(self, value: float) -> str:
        """Write a value that stands without a heading, with its unit.

        Example:
            >>> Measure(name="p", least=0.001).alone(0.001), Measure(name="p", least=0.001).alone(0.25)
            ('≤ 0.001', '0.250')
        """
        if self.least:
            return p_text(value, least=self.least)
        return UNDEFINED if isnan(value) else self._written(value) + self._percent

    def between(self, low: float, high: float) -> str:
        """Write the ends of an interval that stand without a heading, with their unit.

        Example:
            >>> Measure(name="gap", unit="%").between(0.0, 0.25), Measure(name="score").between(0.0, 0.25)
            ('0.00 to 25.00 %', '0.000 to 0.250')
        """
        if isnan(low) or isnan(high):
            return UNDEFINED
        return f"{self._written(low)} to {self._written(high)}{self._percent}"

    @property
    def _percent(self) -> str:
        return " %" if self.unit == "%" else ""

    def _written(self, value: float) -> str:
        return f"{self.scale * value:.{self.digits + (self.unit != '%')}f}"
