# SPDX-License-Identifier: Apache-2.0
"""What a comparison of predictions holds, and its first sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite

from adafocal._text import printable
from adafocal.calibration import BinStats, CalibrationSummary, SmoothCurve
from adafocal.calibration.errors import ECE_DEBIASED
from adafocal.evaluation.event import Event
from adafocal.measures import OF_COMPARISON
from adafocal.selective import RiskCoverageCurve

BETTER, WORSE, UNDECIDED, SAME = "better", "worse", "not distinguishable", "the same rows, no difference"
UNKNOWN = "no interval"
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
        return next(one for one in self.compared if one.name == name)

    @property
    def sentence(self) -> str:
        """Who is better in what, and what is not distinguishable."""
        return "; ".join(_clause(one, self) for one in self.others) + "."

    def called(self, measure: str) -> str:
        """A measure as sentences and tables call it, in words that fit the event."""
        return OF_CLASS.get(measure, SHORT[measure]) if self.event.of_class else SHORT[measure]

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
    name, base = (printable(text, longest=60) for text in (one.name, found.baseline))
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
