# SPDX-License-Identifier: Apache-2.0
"""What a comparison of predictions holds, and its first sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite, isnan

from adafocal._measure import UNDEFINED, Measure, p_text
from adafocal._notebook import frame, table_html
from adafocal._settings import or_meant
from adafocal._text import listed, printable, shown, told_apart
from adafocal.calibration import BinStats, CalibrationSummary, SmoothCurve
from adafocal.calibration.errors import ECE_DEBIASED
from adafocal.errors import InvalidValueError
from adafocal.evaluation.event import Event
from adafocal.measures import OF_COMPARISON
from adafocal.selective import RiskCoverageCurve

BETTER, WORSE, UNDECIDED, SAME = "better", "worse", "not distinguishable", "the same rows, no difference"
UNKNOWN = "no interval"
LONGEST = 40  # characters of a name
COLUMNS = ("difference", "95 % interval", "p-value", "verdict")
SHORT = {name: measure.label for name, measure in OF_COMPARISON.items()}
SHORT |= {ECE_DEBIASED.name: "debiased ECE", "overconfidence": "over-confidence"}
OF_CLASS = {"accuracy": "accuracy of the class at 0.5", "overconfidence": "mean probability minus share"}


@dataclass(frozen=True)
class MeasuredDifference:
    """A measure of one set of predictions minus that of the baseline.

    Attributes:
        value: The difference; fractions, not percent.
        low: Lower end of its 95 % interval, which is that of one difference; NaN where there is none.
        high: Upper end.
        p_value: P-value of "as good as the baseline"; NaN where there is none. Of over-confidence: as near to 0.
        p_corrected: The same, corrected for the number of tests by Holm's method.
        verdict: ``better``, ``worse`` or ``not distinguishable`` at the corrected 5 % level; ``the same rows, no
            difference``; or ``no interval``.
        why: Why there is no interval; empty where there is one.
    """

    value: float
    low: float
    high: float
    p_value: float
    p_corrected: float
    verdict: str
    why: str = ""


@dataclass(frozen=True, eq=False)
class Compared:
    """One of the sets of predictions.

    Attributes:
        name: What it is called.
        summary: Every number of :func:`~adafocal.calibration.evaluate`, of the rows that are compared.
        aurc: Area under the risk-coverage curve.
        left_out: Rows without a partner.
        versus_baseline: Differences by measure; empty for the baseline.
        bins: Equal-width bins, for the reliability diagram.
        curve: The same without bins.
        risk_coverage: The risk-coverage curve.
    """

    name: str
    summary: CalibrationSummary
    aurc: float
    left_out: int = 0
    versus_baseline: Mapping[str, MeasuredDifference] = field(default_factory=dict)
    bins: BinStats | None = field(default=None, repr=False)
    curve: SmoothCurve | None = field(default=None, repr=False)
    risk_coverage: RiskCoverageCurve | None = field(default=None, repr=False)

    def value(self, measure: str) -> float:
        """One of the measures that are compared."""
        return self.aurc if measure == "aurc" else float(getattr(self.summary, measure))


@dataclass(frozen=True, eq=False)
class Comparison:
    """Sets of predictions compared with a baseline, see :func:`~adafocal.evaluation.compare.compare`.

    Attributes:
        baseline: Name of what the others are compared with.
        compared: The sets, in their order.
        matched_by: ``id`` or ``order``; ``none`` where rows are not matched and samples are taken to be independent.
        tests: Number of tests that the p-values are corrected for.
        event: What is calibrated.
        notes: Sentences on rows and tests.
    """

    baseline: str
    compared: tuple[Compared, ...]
    matched_by: str
    tests: int
    event: Event = field(default_factory=Event)
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sets."""
        return tuple(one.name for one in self.compared)

    @cached_property
    def labels(self) -> dict[str, str]:
        """Each name as sentences and headings show it: on one line, cut, and never two of them alike."""
        return dict(zip(self.names, told_apart(self.names, longest=LONGEST), strict=True))

    @property
    def paired(self) -> bool:
        """Whether rows are matched."""
        return self.matched_by != "none"

    @property
    def base(self) -> Compared:
        """The baseline."""
        return self[self.baseline]

    @property
    def others(self) -> tuple[Compared, ...]:
        """All but the baseline."""
        return tuple(one for one in self.compared if one.name != self.baseline)

    def __getitem__(self, name: str) -> Compared:
        found = next((one for one in self.compared if one.name == name), None)
        if found is None:
            raise InvalidValueError(
                f"`name` must be one of {listed(self.names)}, got {shown(name)}{or_meant(name, self.names)}"
            )
        return found

    @property
    def sentence(self) -> str:
        """Who is better in what, and what is not distinguishable."""
        return "; ".join(_clause(one, self) for one in self.others) + "."

    def called(self, measure: str) -> str:
        """A measure as sentences and tables call it, in words that fit the event."""
        return OF_CLASS.get(measure, SHORT[measure]) if self.event.of_class else SHORT[measure]

    @property
    def size(self) -> str:
        """How many rows are compared, and the calibration of what."""
        sizes = list(dict.fromkeys(f"{one.summary.n:,}" for one in self.compared))
        rows = f"{' and '.join(sizes)} {'matched' if self.paired else 'unmatched'} row{'' if sizes == ['1'] else 's'}"
        classes = "" if self.event.of_outcomes else f", {self.base.summary.n_classes} classes"
        return f"{rows}{classes}; calibrated event: {printable(self.event.text)}"

    def titled(self, measure: str) -> str:
        """A measure with its unit, as rows of tables call it."""
        return self.called(measure) + {"%": " %", "nats": " (nats)"}.get(OF_COMPARISON[measure].unit, "")

    def row(self, name: str, one: Compared) -> list[str]:
        """Write a measure of the baseline and another, its difference, interval, p-value and verdict."""
        measure, of = OF_COMPARISON[name], one.versus_baseline[name]
        values = [number(measure, held.value(name)) for held in (self.base, one)]
        said = [
            number(measure, of.value, "+"),
            interval(measure, of),
            p_text(of.p_corrected),
            of.verdict.partition(",")[0],
        ]
        return [self.titled(name), *values, *said]

    def to_frame(self) -> object:
        """Turn into a frame of pandas, else of polars: a row for each measure of each set but the baseline.

        Raises:
            ModuleNotFoundError: If neither is installed, with what to install.
        """
        rows = [
            {
                "name": one.name,
                "baseline": self.baseline,
                "measure": measure,
                "baseline_value": self.base.value(measure),
                "value": one.value(measure),
                "difference": of.value,
                **{key: getattr(of, key) for key in ("low", "high", "p_value", "p_corrected", "verdict")},
            }
            for one in self.others
            for measure, of in one.versus_baseline.items()
        ]
        return frame({key: [row[key] for row in rows] for key in rows[0]})

    def _repr_html_(self) -> str:
        parts = [table_html(f"{self.sentence}\n{self.size}", (), ())]
        for one in self.others:
            headings = ("", self.labels[self.baseline], self.labels[one.name], *COLUMNS)
            parts.append(table_html("", headings, [self.row(measure, one) for measure in one.versus_baseline]))
        return "".join([*parts, table_html("", (), (), self.notes)])

    def to_dict(self) -> dict[str, object]:
        """Turn into plain numbers and lists for JSON; what is not defined becomes None."""
        return {
            "sentence": self.sentence,
            "baseline": self.baseline,
            "matched_by": self.matched_by,
            "event": self.event.text,
            "tests": self.tests,
            "notes": list(self.notes),
            "compared": [
                {
                    "name": one.name,
                    "left_out": one.left_out,
                    **one.summary.to_dict(),
                    "aurc": one.aurc,
                    "versus_baseline": {name: _plain(held) for name, held in one.versus_baseline.items()},
                }
                for one in self.compared
            ],
        }


def _plain(difference: MeasuredDifference) -> dict[str, object]:
    held = vars(difference)
    return {name: None if isinstance(one, float) and not isfinite(one) else one for name, one in held.items()}


def _clause(one: Compared, found: Comparison) -> str:
    name, base = found.labels[one.name], found.labels[found.baseline]
    by: dict[str, list[str]] = {}
    for measure, held in one.versus_baseline.items():
        by.setdefault(held.verdict, []).append(found.called(measure))
    if SAME in by:
        return f"{name} and {base} hold the same rows: no difference"
    parts = [f"{verdict} than {base} in {_joined(by[verdict])}" for verdict in (BETTER, WORSE) if verdict in by]
    if len(parts) == 2:
        parts[1] = f"worse in {_joined(by[WORSE])}"
    undecided = f"not distinguishable in {_joined(by[UNDECIDED])}" if UNDECIDED in by else ""
    if not parts:
        if not undecided:
            return f"nothing tells {name} from {base}: no measure has an interval"
        return f"{name} and {base} are {undecided}"
    return f"{name} is {' and '.join(parts)}" + (f", and {undecided}" if undecided else "")


def _joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def number(measure: Measure, value: float, sign: str = "-") -> str:
    """Write a number without its unit, with the digits that it has alone."""
    if isnan(value):
        return UNDEFINED
    digits = measure.digits + (measure.unit != "%")
    text = f"{measure.scale * value:{sign}.{digits}f}"
    return text.lstrip("+-") if not text.strip("+-0.") else text


def interval(measure: Measure, of: MeasuredDifference) -> str:
    """Write an interval of a difference; a dash where there is none."""
    return UNDEFINED if isnan(of.low) else f"{number(measure, of.low, '+')} to {number(measure, of.high, '+')}"
