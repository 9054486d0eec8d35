# SPDX-License-Identifier: Apache-2.0
"""Sums rows by their cases, for calibration per case, averaged over cases."""

from dataclasses import asdict, dataclass

from adafocal._estimate import Estimate, mean_over_cases
from adafocal._reading import Record, checked
from adafocal.calibration.case_stats import ERRORS, CaseStats
from adafocal.calibration.cases import sum_cases, sum_events
from adafocal.errors import InvalidValueError
from adafocal.evaluation.event import find_event
from adafocal.evaluation.watch import Watch
from adafocal.outcomes import Outcomes
from adafocal.tables.piece import Piece

MAX_CASES = 100_000
MAX_CLASSES = 20  # of more the sums of each class in each case are not kept


@dataclass(frozen=True)
class Case:
    """A case: its name, its rows or the sum of their weights, and what its own rows tell, as fractions.

    ``share`` is that of rows in which the event happened, for the top label the accuracy.
    """

    name: str
    n: float
    share: float
    gap: float
    ece: float
    ace: float
    mce: float


@dataclass(frozen=True)
class CasesMeasured:
    """Calibration per case.

    Attributes:
        column: The column of cases.
        means: Mean over cases of each error of the calibrated event, with its 95 % interval over cases.
        classes: The same of the probability of each class by its name; empty with weights, or with more than 20.
        cases: All cases, the one with the largest ECE first.
    """

    column: str
    means: dict[str, Estimate]
    classes: dict[str, dict[str, Estimate]]
    cases: tuple[Case, ...]

    def to_dict(self) -> dict[str, object]:
        """Turn into plain values for JSON."""
        found = asdict(self)
        return {**found, "cases": list(found["cases"])}


class CaseWatch(Watch):
    """Sums rows by case as they pass, in any order.

    Args:
        column: The column of cases.
        n_bins: Number of equal-width bins.
        positive_class: The calibrated event, see ``find_event``.
    """

    def __init__(self, column: str, *, n_bins: int, positive_class: int | str | None) -> None:
        self.column, self.n_bins, self.positive_class = column, n_bins, positive_class
        self._names: dict[int, str] = {}
        self._event: CaseStats | None = None
        self._classes: CaseStats | None = None
        self._class_names: tuple[str, ...] = ()

    def _add(self, piece: Piece) -> None:
        record = checked(piece)
        if record.weight is not None:
            if not bool((record.weight > 0).any()):
                return
            record = record[record.weight > 0]
        assert record.cluster is not None
        index = find_event(piece, self.positive_class).index
        event = _event(record, index, self.n_bins)
        self._event = event if self._event is None else self._event.merge(event)
        self._names |= piece.cluster_names
        if self._event.n_cases > MAX_CASES:
            raise InvalidValueError(f"`case` must name a column of at most {MAX_CASES:,} different values, got more.")
        if not isinstance(record, Outcomes) and record.weight is None and record.n_classes <= MAX_CLASSES:
            classes = sum_cases(record.probs.clamp(max=1.0), record.labels, record.cluster, n_bins=self.n_bins)
            self._classes = classes if self._classes is None else self._classes.merge(classes)
            self._class_names = piece.columns.classes or tuple(map(str, range(record.n_classes)))

    def result(self) -> CasesMeasured:
        """Compute what the sums tell, of at least one row."""
        assert self._event is not None
        bins = self._event.bins
        mass = bins.count.sum(dim=-1)[:, 0].double()
        share, confidence = (part.sum(dim=-1)[:, 0] / mass for part in (bins.correct_sum, bins.confidence_sum))
        errors = {name: self._event.errors(name)[:, 0].tolist() for name in ERRORS}
        names = [self._names[code] for code in self._event.codes.tolist()]
        columns = (mass.tolist(), share.tolist(), (confidence - share).tolist(), *errors.values())
        cases = [Case(*row) for row in zip(names, *columns, strict=True)]
        cases.sort(key=lambda case: (-case.ece, case.name))
        return CasesMeasured(self.column, _means(errors), self._of_classes(), tuple(cases))

    def _of_classes(self) -> dict[str, dict[str, Estimate]]:
        if self._classes is None:
            return {}
        errors = {name: self._classes.errors(name).T.tolist() for name in ERRORS}
        each = (dict(zip(errors, values, strict=True)) for values in zip(*errors.values(), strict=True))
        return {name: _means(values) for name, values in zip(self._class_names, each, strict=True)}


def _event(record: Record, index: int | None, n_bins: int) -> CaseStats:
    """Sum the calibrated event by case."""
    assert record.cluster is not None
    if isinstance(record, Outcomes) or index is None:
        confidence, happened = record.confidence, record.correct
    else:
        confidence, happened = record.probs[:, index], record.labels == index
    return sum_events(confidence.clamp(max=1.0), happened, record.cluster, n_bins=n_bins, weight=record.weight)


def _means(errors: dict[str, list[float]]) -> dict[str, Estimate]:
    return {name: mean_over_cases(values, low=0.0, high=1.0) for name, values in errors.items()}
