# SPDX-License-Identifier: Apache-2.0
"""What calibration over time is: numbers with intervals per window, and whether there is an alarm."""

import math
import re
from dataclasses import dataclass

from adafocal._text import shown
from adafocal.errors import InvalidValueError
from adafocal.tables.times import written

MINUTES = {"m": 1, "h": 60, "d": 24 * 60, "w": 7 * 24 * 60}
LONGEST = 520 * MINUTES["w"]
WINDOW = re.compile(r"\s*(\d{1,6})\s*([mhdw])\s*", re.ASCII | re.I)
ALARM = 20.0  # 1 in 20 calibrated streams ever gets there, at most


def read_window(text: str) -> int:
    """Read a length of time, such as ``30m``, ``12h``, ``1d`` or ``2w``, in microseconds.

    Raises:
        ValueError: If it is none.

    Example:
        >>> read_window("1d") // 3_600_000_000
        24
    """
    found = WINDOW.fullmatch(text)
    minutes = 0 if found is None else int(found[1]) * MINUTES[found[2].lower()]
    if not 0 < minutes <= LONGEST:
        raise InvalidValueError(
            f"`window` must be a number of m, h, d or w, such as 12h, 1d or 2w, and at most 520w, got {shown(text)}."
        )
    return minutes * 60_000_000


@dataclass(frozen=True)
class Window:
    """The calibration of the rows of a window; fractions, NaN where it has none.

    Attributes:
        start: Where it begins, microseconds since 1970.
        end: Where the next begins.
        n: Number of rows that count.
        accuracy: Share of rows that are right.
        accuracy_interval: Its 95 % interval, of this window alone.
        overconfidence: Mean confidence minus mean event.
        overconfidence_interval: Its 95 % interval, of this window alone.
        ece: Expected calibration error, equal-width bins.
        evidence: Natural logarithm of the evidence against calibration after this window; NaN where there is no alarm.
    """

    start: int
    end: int
    n: int = 0
    accuracy: float = math.nan
    accuracy_interval: tuple[float, float] = (math.nan, math.nan)
    overconfidence: float = math.nan
    overconfidence_interval: tuple[float, float] = (math.nan, math.nan)
    ece: float = math.nan
    evidence: float = math.nan


@dataclass(frozen=True)
class Monitored:
    """Calibration over time.

    Attributes:
        column: The column of times.
        window: How long a window is, as it was written.
        tolerance: By how much confidences may be off without an alarm.
        windows: All from the first to the last row, those without rows too.
        without_alarm: Why there is no alarm, a sentence; empty where there is one.
    """

    column: str
    window: str
    tolerance: float
    windows: tuple[Window, ...]
    without_alarm: str = ""

    @property
    def alarm(self) -> Window | None:
        """The first window after which the evidence is at least 20, if any: once raised, an alarm stays."""
        return next((one for one in self.windows if one.evidence >= math.log(ALARM)), None)

    @property
    def dates(self) -> bool:
        """Whether dates alone tell windows apart."""
        day = MINUTES["d"] * 60_000_000
        return all(one.start % day == 0 for one in self.windows[:2])

    def verdict(self) -> str:
        """Say in a sentence whether there is an alarm."""
        if self.without_alarm:
            return self.without_alarm
        beyond = f" by more than {100 * self.tolerance:g} %" if self.tolerance else ""
        last = self.windows[-1]
        if self.alarm is None:
            strongest = max(one.evidence for one in self.windows)
            return (
                f"No alarm up to {written(last.end, dates=self.dates)}: the evidence that confidence is off{beyond} "
                f"reaches {_times(strongest)} of {ALARM:g}."
            )
        where = "over-confident" if self.alarm.overconfidence > 0 else "under-confident"
        return (
            f"Alarm after the window from {written(self.alarm.start, dates=self.dates)}: the evidence that confidence "
            f"is off{beyond} is {_times(self.alarm.evidence)}, at least {ALARM:g}; that window is {where} by "
            f"{100 * abs(self.alarm.overconfidence):.2f} %."
        )

    def to_dict(self) -> dict[str, object]:
        """Turn into plain values for JSON; what is not defined becomes None."""
        alarm = self.alarm
        return {
            "column": self.column,
            "window": self.window,
            "tolerance": self.tolerance,
            "alarm": None if self.without_alarm else alarm is not None,
            "alarm_after": None if alarm is None else written(alarm.start),
            "alarm_at_evidence": ALARM,
            "verdict": self.verdict(),
            "windows": [_plain(one) for one in self.windows],
        }


def _times(log_evidence: float) -> str:
    return f"{math.exp(log_evidence):.3g}" if log_evidence < 600 else f"10^{log_evidence / math.log(10):.0f}"


def _plain(window: Window) -> dict[str, object]:
    def number(value: float) -> float | None:
        return value if math.isfinite(value) else None

    held: dict[str, object] = {"start": written(window.start), "end": written(window.end), "n": window.n}
    for name in ("accuracy", "overconfidence"):
        held[name] = number(getattr(window, name))
        ends = [number(end) for end in getattr(window, f"{name}_interval")]
        held[f"{name}_interval"] = None if None in ends else ends
    return held | {"ece": number(window.ece), "log_evidence": number(window.evidence)}
