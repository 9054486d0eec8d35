# SPDX-License-Identifier: Apache-2.0
"""What to do about it, measured: every scaling that fits the data's size, fitted and tried on different rows."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from torch import Tensor

from adafocal._reading import Record
from adafocal.calibration import BinStats
from adafocal.calibration.errors import ECE
from adafocal.calibration.rows import Sampling, counted, rows_of
from adafocal.calibration.scores import BRIER, NLL
from adafocal.calibration.stream import sums_in_memory
from adafocal.calibration.sums import SumsInMemory
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.predictions import Predictions
from adafocal.scaling.catalogue import METHODS
from adafocal.scaling.crossfit import FOLDS, cross_fit, draw_folds, paired
from adafocal.scaling.sample import most_rows, spread_rows
from adafocal.scaling.scores import as_predictions

FEWEST_ROWS = 50
SURE = 2.0  # standard errors by which a scaling must beat doing nothing
SAFE = "temperature"
WORTH = 0.001  # of the negative log-likelihood: a smaller gain is not worth a step


@dataclass(frozen=True)
class Candidate:
    """A scaling, and from how many rows on it is tried.

    Attributes:
        method: Its name among ``METHODS``.
        rows: The fewest rows, of a number of classes.
        options: What its fit takes; penalties are stated, since choosing one takes eighteen fits.
        kinds: Of which records.
        two_classes: Whether it takes two classes only.
        most: How many rows times numbers of a class at most, so that trying it stays a matter of seconds.
    """

    method: str
    rows: Callable[[int], int]
    options: Mapping[str, float] = field(default_factory=dict)
    kinds: tuple[str, ...] = ("logits", "probs")
    two_classes: bool = False
    most: float = math.inf


# From the simplest on: of methods that cannot be told apart the first is recommended.
CANDIDATES = (
    Candidate("temperature", lambda _: FEWEST_ROWS),
    Candidate("platt", lambda _: FEWEST_ROWS, two_classes=True),
    Candidate("focal_temperature", lambda _: 500, most=600_000),
    Candidate("beta", lambda _: 200, two_classes=True),
    Candidate("quadratic", lambda _: 200, two_classes=True),
    Candidate("histogram_top_label", lambda _: 1000),
    Candidate("isotonic_top_label", lambda _: 1000),
    Candidate("vector", lambda n_classes: 50 * n_classes, {"regularization": 0.1}),
    Candidate("structured_vector", lambda _: 200),
    Candidate("histogram", lambda n_classes: 500 * n_classes),
    Candidate("isotonic", lambda n_classes: 500 * n_classes),
    Candidate("structured_matrix", lambda n_classes: max(200, 5 * n_classes), most=1_000_000),
    Candidate("matrix", lambda n_classes: 50 * n_classes**2, {"regularization": 1.0}, ("logits",)),
    Candidate("dirichlet", lambda n_classes: 50 * n_classes**2, {"regularization": 1.0}),
)


def titled(method: str) -> str:
    """Name a method in a sentence, those after people as they are written."""
    return method.capitalize() if method in ("dirichlet", "platt") else method.replace("_", " ")


@dataclass(frozen=True)
class Trial:
    """What a scaling did to rows that it was not fitted to.

    Attributes:
        method: Its name; empty for the predictions as they are.
        options: What its fit took.
        nll: Negative log-likelihood, nats per row; infinite if a true class had probability 0.
        brier: Brier score.
        ece: Expected calibration error of the calibrated event, equal-width bins.
        gain: Mean negative log-likelihood of the predictions as they are, minus its own; infinite or NaN where either
            is infinite.
        gain_error: Standard error of ``gain``, paired over rows, or over clusters.
    """

    method: str
    options: Mapping[str, float]
    nll: float
    brier: float
    ece: float
    gain: float = 0.0
    gain_error: float = 0.0

    @property
    def title(self) -> str:
        """Its name in a sentence."""
        return titled(self.method)


@dataclass(frozen=True, eq=False)
class Remedy:
    """What scaling after training would do, out of fold.

    Attributes:
        n: Number of rows that were fitted and tried; of a larger table rows spread over it.
        n_rows: Number of rows of the table.
        before: The predictions as they are.
        trials: The scalings, from the simplest on.
        left_out: Why other scalings were not tried, by method.
        chosen: The recommended one; None: leave the predictions as they are.
        after: Bins of the calibrated event out of fold under the chosen one; None likewise.
        best: The simplest scaling that cannot be told from the best, whether or not it is better than none; None: there
            were too few rows to try one.
    """

    n: int
    n_rows: int
    before: Trial
    trials: tuple[Trial, ...]
    left_out: Mapping[str, str]
    chosen: Trial | None = None
    after: BinStats | None = None
    best: Trial | None = None

    @property
    def rows(self) -> str:
        """Which rows its numbers are of, since those of a sample are not those of the table."""
        return f"{self.n:,} rows" if self.n == self.n_rows else f"a sample of {self.n:,} rows"

    def sentences(self) -> list[str]:
        """What to do, and on what evidence."""
        found = f"in {FOLDS}-fold cross-fitting over {self.rows}"
        if not self.trials:
            return [f"Leave it: there are too few rows to fit and try a scaling, {self.n:,}."]
        if self.chosen is None:
            best = max(self.trials, key=lambda trial: -math.inf if math.isnan(trial.gain) else trial.gain)
            if best.gain > SURE * best.gain_error:
                return [f"Leave it: the best scaling, {best.title}, gains {best.gain:.2g} nats per row, {found}."]
            return [f"Leave it: no scaling is better than none beyond chance, {found}."]
        of_these = "" if self.n == self.n_rows else " of these rows"
        return [
            f"Apply {self.chosen.title} scaling: ECE{of_these} {100 * self.before.ece:.2f} → "
            f"{100 * self.chosen.ece:.2f} %, NLL{of_these} {self.before.nll:.4f} → {self.chosen.nll:.4f}, {found}."
        ]

    def to_dict(self) -> dict[str, object]:
        """Turn into plain values for JSON; a likelihood that is infinite becomes None."""
        return {
            "recommended": None if self.chosen is None else self.chosen.method,
            "text": " ".join(self.sentences()),
            "n": self.n,
            "n_rows": self.n_rows,
            "folds": FOLDS,
            "before": _plain(self.before),
            "trials": [_plain(trial) for trial in self.trials],
            "left_out": dict(self.left_out),
        }


def _plain(trial: Trial) -> dict[str, object]:
    values = asdict(trial)
    return {name: None if isinstance(one, float) and not math.isfinite(one) else one for name, one in values.items()}


def find_remedy(
    record: Record, *, n_bins: int = 15, positive_class: int | None = None, n_rows: int | None = None
) -> Remedy:
    """Fit every scaling that fits the data's size to four fifths of the rows, and try it on the rest, in turn.

    The best by negative log-likelihood is known up to chance, so the simplest that is within one standard error of it
    is recommended: temperature scaling unless another is better by two standard errors, and nothing where even that is
    not better than the predictions as they are by two.

    Args:
        record: Labelled predictions or outcomes; rows of one cluster are never on both sides. Weights count.
        n_bins: Number of bins of the calibration error.
        positive_class: The calibrated event is that the label is this class; None: that the top label is right.
        n_rows: Number of rows of the table that the record is a sample of; None: it is the table.

    Returns:
        The trials and the recommendation.

    Reference:
        Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2nd edition, 2009, section 7.10 (the
        one-standard-error rule).
    """
    record = counted(record)
    n_rows = record.n if n_rows is None else n_rows
    record = spread_rows(record, most_rows(record))
    event = positive_class if isinstance(record, Predictions) else None
    sampling, nats = Sampling.of(record), rows_of(record).nll
    before, folds = Trial("", {}, *_numbers(_sums(record, n_bins, event))), draw_folds(record)
    tried: dict[str, Tried] = {}
    left_out: dict[str, str] = {}
    for candidate in CANDIDATES:
        try:
            after = _out_of_fold(record, folds, candidate)
        except (InvalidValueError, InvalidTypeError) as refused:
            left_out[candidate.method] = str(refused)
            continue
        sums, left = _sums(after, n_bins, event), rows_of(after).nll
        gain = paired(nats - left, sampling)
        trial = Trial(candidate.method, candidate.options, *_numbers(sums), *gain)
        tried[candidate.method] = Tried(trial, left, sums.bins)
    best = simplest_best(tried, sampling)
    chosen = _worth(before, best)
    trials = tuple(one.trial for one in tried.values())
    bins = tried[chosen.method].bins if chosen else None
    return Remedy(record.n, n_rows, before, trials, left_out, chosen, bins, best)


class Tried(NamedTuple):
    """A trial with what it rests on: the negative log-likelihood of every row, and bins of the calibrated event."""

    trial: Trial
    nats: Tensor
    bins: BinStats


def simplest_best(tried: Mapping[str, Tried], sampling: Sampling) -> Trial | None:
    """Apply the one-standard-error rule, towards the simpler; away from temperature scaling only where that is sure.

    With several candidates one of them is ahead of temperature by a standard error too often by chance: it is left for
    those alone that are ahead of it by two.
    """
    finite = {name: one for name, one in tried.items() if math.isfinite(one.trial.nll)}
    if not finite:
        return None
    best, safe = min(finite.values(), key=lambda one: one.trial.nll), finite.get(SAFE)
    for one in finite.values():
        behind, error = paired(one.nats - best.nats, sampling)
        if behind > error:
            continue
        if safe is None or one is safe:
            return one.trial
        ahead, error = paired(safe.nats - one.nats, sampling)
        if ahead > SURE * error:
            return one.trial
    return None if safe is None else safe.trial


def _worth(before: Trial, trial: Trial | None) -> Trial | None:
    """Keep what gains beyond chance, and enough."""
    if trial is None:
        return None
    least = WORTH * before.nll if math.isfinite(before.nll) else 0.0
    return trial if trial.gain > max(SURE * trial.gain_error, least) else None


def _out_of_fold(record: Record, folds: Tensor, candidate: Candidate) -> Record:
    """Scale every row by what was fitted to the other folds.

    Raises:
        ValueError: If the scaling does not fit the size or kind of the record.
    """
    fewest, kind = candidate.rows(record.probs.shape[1]), as_predictions(record).kind
    if record.n < fewest:
        raise InvalidValueError(f"tried from {fewest:,} rows on")
    if kind not in candidate.kinds:
        raise InvalidValueError(f"for {candidate.kinds[0]}")
    if candidate.two_classes and record.probs.shape[1] != 2:
        raise InvalidValueError("for two classes")
    if record.probs.numel() > candidate.most:
        raise InvalidValueError(f"tried up to {candidate.most:,} numbers")
    return cross_fit(record, lambda kept: METHODS[candidate.method](kept, **candidate.options), folds)


def _sums(record: Record, n_bins: int, positive_class: int | None) -> SumsInMemory:
    return sums_in_memory(record, n_bins=n_bins, positive_class=positive_class)


def _numbers(sums: SumsInMemory) -> tuple[float, float, float]:
    """The measures of a trial, and not all of the summary."""
    return float(NLL.compute(sums)), float(BRIER.compute(sums)), float(ECE.compute(sums))
