# SPDX-License-Identifier: Apache-2.0
"""Limits that a model must keep: what fails a build, by the interval where a measure has one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite, isnan, nan

from adafocal._settings import or_meant
from adafocal._text import printable, shown
from adafocal.calibration.catalogue import CATALOGUE
from adafocal.calibration.errors import ECE_DEBIASED
from adafocal.calibration.measure import LEVEL, PredictionMeasure
from adafocal.errors import InvalidValueError
from adafocal.evaluation.measure import ALL, Measured
from adafocal.tables.numbers import is_number

EXAMPLE = {"above": f"{ECE_DEBIASED.name}=0.05", "below": "accuracy=0.9"}
OTHER = {"above": "below", "below": "above"}
WRONG_SIDE = {"above": "higher", "below": "lower"}  # which values are better of what may not fail on this side


@dataclass(frozen=True)
class Limit:
    """A limit of a measure.

    Attributes:
        measure: Of the catalogue.
        side: ``above`` or ``below``: where it fails.
        value: The limit, as the measure is in JSON: a fraction, not percent.
    """

    measure: PredictionMeasure
    side: str
    value: float


@dataclass(frozen=True)
class Judgement:
    """Whether all rows, or those of a group, keep a limit.

    Attributes:
        limit: The limit.
        group: Name of the group; ``""`` for all rows.
        compared: What was compared: ``value``, ``lower end`` or ``upper end`` of its 95 % interval.
        number: That number; NaN where it is not defined.
        failed: Whether it is beyond the limit, or not defined.
    """

    limit: Limit
    group: str
    compared: str
    number: float
    failed: bool

    def __str__(self) -> str:
        """Say it in one line."""
        measure, limit = self.limit.measure, self.limit.measure.alone(self.limit.value)
        name = measure.name + (f" of {printable(self.group, longest=80)}" if self.group else "")
        if isnan(self.number):
            return f"{name} is not defined, and so does not keep the limit {limit}"
        side = self.limit.side if self.failed else f"not {self.limit.side}"
        number = measure.alone(self.number)
        if self.compared == "value":
            return f"{name} is {number}, {side} the limit {limit}"
        return f"{name}: the {self.compared} of its {100 * LEVEL:g} % interval, {number}, is {side} the limit {limit}"

    def to_dict(self) -> dict[str, object]:
        """Turn into plain values for JSON; what is not finite becomes None."""
        return {
            "measure": self.limit.measure.name,
            "fails": self.limit.side,
            "limit": self.limit.value,
            "group": self.group or None,
            "compared": self.compared
            if self.compared == "value"
            else f"{self.compared} of {self.limit.measure.interval}",
            "number": self.number if isfinite(self.number) else None,
            "failed": self.failed,
        }


def read_limits(given: Iterable[str], side: str) -> list[Limit]:
    """Read limits that are written ``MEASURE=LIMIT``, several joined by commas; percent may be written ``5%``.

    Args:
        given: Texts.
        side: ``above`` or ``below``: where they fail.

    Raises:
        ValueError: With the known measures, if there is no such measure; if a limit is no finite number or one that the
            measure cannot have; or if more is better of what should fail above it, or less of what should fail below.

    Example:
        >>> [(limit.measure.name, limit.value) for limit in read_limits(["ece=5%,nll=0.7"], "above")]
        [('ece', 0.05), ('nll', 0.7)]
    """
    return [_limit(part.strip(), side) for text in given for part in text.split(",")]


def _limit(text: str, side: str) -> Limit:
    option, (name, equals, number) = f"fail_{side}", text.partition("=")
    name, number = name.strip().replace("-", "_"), number.strip()
    if not equals or not name:
        raise InvalidValueError(f"`{option}` must be MEASURE=LIMIT, such as {EXAMPLE[side]}, got {shown(text)}.")
    if name not in CATALOGUE:
        raise InvalidValueError(
            f"`{option}` must name a measure, one of {', '.join(CATALOGUE)}, "
            f"got {shown(name)}{or_meant(name, CATALOGUE)}"
        )
    measure = CATALOGUE[name]
    if measure.better == WRONG_SIDE[side]:
        raise InvalidValueError(
            f"`{option}` must not name a measure of which {measure.better} is better, got {name}: "
            f"write --fail-{OTHER[side]} {name}={number}."
        )
    percent = number.endswith("%") and measure.unit == "%"
    plain = number.removesuffix("%").strip() if percent else number
    value = float(plain) / (100 if percent else 1) if is_number(plain) else nan
    if not isfinite(value):
        raise InvalidValueError(f"`{option}` must have a finite number as the limit of {name}, got {shown(number)}.")
    if not measure.low <= value <= measure.high:
        remedy = (
            f": write {value / 100:g} or {value:g}% for percent" if 1 < value <= 100 and measure.unit == "%" else ""
        )
        ends = (
            f"between {measure.low:g} and {measure.high:g}" if isfinite(measure.high) else f"at least {measure.low:g}"
        )
        raise InvalidValueError(f"`{option}` must be {ends} for {name}, got {value:g}{remedy}.")
    return Limit(measure, side, value)


def judge(limits: Sequence[Limit], measured: dict[str, Measured], *, strict: bool = False) -> list[Judgement]:
    """Compare all rows, and each group, with every limit.

    A measure with an interval fails where the interval shows it: where all of it is beyond the limit. One without is
    compared by its value. A value that is not defined fails; so does an infinite one where it is beyond.

    Args:
        limits: From :func:`read_limits`.
        measured: As ``measure`` gives it.
        strict: Fail unless the interval shows that the limit is kept: where any of it is beyond.

    Returns:
        A judgement for each limit and set of rows, all rows first.
    """
    return [_judged(limit, name, part, strict) for limit in limits for name, part in measured.items()]


def _judged(limit: Limit, group: str, part: Measured, strict: bool) -> Judgement:
    measure, above = limit.measure, limit.side == "above"
    number, compared = float(getattr(part.summary, measure.name)), "value"
    if measure.interval and not isnan(number):
        ends = getattr(part.summary, measure.interval)
        place = int(above == strict)  # the nearer end fails early, the further one only where all is beyond
        if isfinite(ends[place]):
            number, compared = float(ends[place]), ("lower end", "upper end")[place]
    beyond = number > limit.value if above else number < limit.value
    return Judgement(limit, group, compared, number, isnan(number) or beyond)


def summed_up(judgements: Sequence[Judgement]) -> list[str]:
    """Say what was kept, one line per limit; of groups how many kept it."""
    lines = []
    for limit in dict.fromkeys(one.limit for one in judgements):
        own = [one for one in judgements if one.limit == limit]
        groups = [one for one in own if one.group != ALL]
        kept = sum(not one.failed for one in groups)
        of_groups = f"; {kept} of {len(groups)} groups keep it" if groups else ""
        lines += [f"{one}{of_groups}." for one in own if one.group == ALL and not one.failed]
    return lines


def failures(judgements: Sequence[Judgement], longest: int = 20) -> list[str]:
    """Say what failed, a line each, and of very many how many more."""
    lines = [f"{one}." for one in judgements if one.failed]
    more = f"{len(lines) - longest:,} more limits of groups are not kept: --json lists them."
    return lines if len(lines) <= longest else [*lines[:longest], more]
