# SPDX-License-Identifier: Apache-2.0
"""Compare predictions of several models: paired differences with intervals, and verdicts."""

from collections.abc import Mapping
from math import isfinite, nan

import torch

from adafocal._arrays import ArrayLike
from adafocal._checks import check_integer
from adafocal._estimate import holm
from adafocal._reading import Record
from adafocal._settings import or_meant
from adafocal._text import listed, printable, shown
from adafocal.calibration import smooth_reliability_from_bins
from adafocal.calibration.rows import Sampling, counted, rows_of
from adafocal.calibration.stream import summary_of, sums_in_memory
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.evaluation.comparison import (
    BETTER,
    SAME,
    SHORT,
    UNDECIDED,
    UNKNOWN,
    WORSE,
    Compared,
    Comparison,
    MeasuredDifference,
)
from adafocal.evaluation.differences import LEVEL, Side, contrast, ends_of, p_value
from adafocal.evaluation.event import Event
from adafocal.evaluation.matching import NONE, match
from adafocal.measures import OF_COMPARISON
from adafocal.outcomes import Outcomes
from adafocal.predictions import Predictions
from adafocal.selective import risk_coverage_curve

SIGNIFICANT = 1 - LEVEL
ROUNDING = 1e-6  # of probabilities: logits and what was made of them, or digits of a text


def compare(
    predictions: Mapping[str, Record],
    *,
    baseline: str | None = None,
    ids: Mapping[str, ArrayLike] | None = None,
    paired: bool | None = None,
    positive_class: int | None = None,
    n_bins: int = 15,
) -> Comparison:
    """Compare predictions of several models on the same rows, or on different ones.

    Accuracy, NLL, Brier score, debiased ECE, AURC and over-confidence of each minus those of the baseline, with 95 %
    intervals whose coverage is simulated in the docs, and a verdict on each corrected for all of them (Holm). Lower is
    better, but for accuracy; over-confidence is better the nearer it is to 0, which is what its p-value asks.

    Args:
        predictions: At least two records by name: all :class:`~adafocal.predictions.Predictions` of the same classes,
            or all :class:`~adafocal.outcomes.Outcomes`. Where classes are named, those of another order are put in
            order.
        baseline: What the others are compared with; None: the first.
        ids: What each row is called, by the same names; rows without a partner are left out and counted. None: rows
            are matched by their order where there are as many and labels agree.
        paired: False: take the rows to be independent; True: raise where they cannot be matched; None: match them
            where that is possible, and say so where it is not.
        positive_class: The calibrated event is that the label is this class; None: that the top label is right.
        n_bins: Number of bins.

    Returns:
        The comparison, plain numbers.

    Raises:
        TypeError: If these are no records, or of both kinds.
        ValueError: If there are fewer than two, classes differ, labels are not known, there is no such baseline, or
            rows cannot be matched as asked.

    Example:
        >>> import torch
        >>> from adafocal import Outcomes
        >>> right = torch.arange(200) % 5 > 0
        >>> surer = torch.where(right, 0.9, 0.6)
        >>> found = compare({"flat": Outcomes(confidence=torch.full((200,), 0.9), correct=right),
        ...                  "surer": Outcomes(confidence=surer, correct=right)})
        >>> found["surer"].versus_baseline["brier"].verdict
        'better'
    """
    check_integer("n_bins", n_bins, minimum=1)
    records, notes = _of_one_kind(predictions)
    baseline = next(iter(records)) if baseline is None else baseline
    if baseline not in records:
        raise InvalidValueError(
            f"`baseline` must be one of {listed(records)}, got {shown(baseline)}{or_meant(baseline, records)}"
        )
    if positive_class is not None and any(isinstance(one, Outcomes) for one in records.values()):
        raise InvalidValueError(f"`positive_class` must not be given for outcomes, got {positive_class}.")
    matched = match(records, ids, paired=paired)
    held = {name: counted(record) for name, record in matched.records.items()}
    sides = {
        name: Side.of(rows_of(record, positive_class), Sampling.of(record), n_bins=n_bins)
        for name, record in held.items()
    }
    found = {
        name: _differences(held[baseline], held[name], sides[baseline], side, paired=matched.by != NONE)
        for name, side in sides.items()
        if name != baseline
    }
    judged, tests = corrected(found)
    compared = tuple(
        _compared(name, record, sides[name], matched.left_out[name], judged.get(name, {}), n_bins, positive_class)
        for name, record in held.items()
    )
    event = _event(next(iter(records.values())), positive_class)
    notes = [*matched.notes, *notes, *_said(sides, found, tests)]
    return Comparison(baseline, compared, matched.by, tests, event, tuple(notes))


def _compared(
    name: str,
    record: Record,
    side: Side,
    left_out: int,
    differences: Mapping[str, MeasuredDifference],
    n_bins: int,
    positive_class: int | None,
) -> Compared:
    sums = sums_in_memory(record, n_bins=n_bins, positive_class=positive_class)
    risks = risk_coverage_curve(side.rows.sure, ~side.rows.right, sample_weight=side.sampling.weight)
    return Compared(
        name=name,
        summary=summary_of(sums),
        aurc=side.measures["aurc"].value,
        left_out=left_out,
        versus_baseline=differences,
        bins=sums.bins,
        curve=smooth_reliability_from_bins(sums.cells),
        risk_coverage=risks,
    )


def _event(record: Record, positive_class: int | None) -> Event:
    if isinstance(record, Outcomes):
        return Event("the answer is right", of_outcomes=True)
    if positive_class is None:
        return Event()
    name = f"class {positive_class}" if record.classes is None else record.classes[positive_class]
    return Event(f"the label is {name}", positive_class)


def _of_one_kind(predictions: Mapping[str, Record]) -> tuple[dict[str, Record], list[str]]:
    """Check that records can be compared, and put their classes in one order."""
    if not isinstance(predictions, Mapping):
        raise InvalidTypeError(f"`predictions` must be records by name, got {type(predictions).__name__}.")
    if len(predictions) < 2:
        raise InvalidValueError(f"`predictions` must hold at least two records, got {len(predictions)}.")
    for name, record in predictions.items():
        if not isinstance(name, str):
            raise InvalidTypeError(f"`predictions` must have names that are text, got {shown(name)}.")
        if not isinstance(record, (Predictions, Outcomes)):
            raise InvalidTypeError(
                f"`predictions` must be Predictions or Outcomes, got {type(record).__name__} for {shown(name)}."
            )
    (first_name, first), *_ = predictions.items()
    records: dict[str, Record] = {}
    notes = []
    for name, record in predictions.items():
        if type(record) is not type(first):
            kinds = ["outcomes" if isinstance(one, Outcomes) else "predictions" for one in (first, record)]
            raise InvalidTypeError(
                f"`predictions` must all be of one kind, got {kinds[0]} in {shown(first_name)} and {kinds[1]} in "
                f"{shown(name)}."
            )
        records[name] = record
        if isinstance(record, Predictions) and isinstance(first, Predictions):
            record.labels  # noqa: B018 (raises where there are none)
            records[name], note = _in_order(record, first, name, first_name)
            notes += [note] if note else []
    return records, notes


def _in_order(record: Predictions, first: Predictions, name: str, first_name: str) -> tuple[Predictions, str]:
    """Put the classes in the order of the first record's, and say so; numbers are taken to be in that order."""
    if record.n_classes != first.n_classes and not (record.ragged and first.ragged):
        raise InvalidValueError(
            f"`predictions` must have the same classes, got {first.n_classes} in {shown(first_name)} and "
            f"{record.n_classes} in {shown(name)}."
        )
    if record.classes == first.classes:
        return record, ""
    if record.classes is None or first.classes is None:
        numbers, named = (name, first_name) if record.classes is None else (first_name, name)
        return (
            record,
            f"The classes of {printable(numbers)} have no names: they are taken for those of {printable(named)}.",
        )
    said = [listed(one.classes) for one in (first, record) if one.classes is not None]
    if set(record.classes) != set(first.classes):
        raise InvalidValueError(
            f"`predictions` must have the same classes, got {said[0]} in {shown(first_name)} and {said[1]} in "
            f"{shown(name)}."
        )
    order = torch.tensor([record.classes.index(one) for one in first.classes], device=record.device)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=record.device)
    values = record.probs if record.logits is None else record.logits
    parts = {part: getattr(record, part) for part in ("features", "weight", "cluster")}
    parts |= {record.kind: values[:, order], "labels": place[record.labels]}
    moved = Predictions(**parts, classes=first.classes)
    return moved, f"The classes of {printable(name)} are put in the order of {printable(first_name)}."


def _same(first: Record, second: Record, base: Side, side: Side) -> bool:
    """Tell whether all rows are alike but for rounding: then what differs says nothing."""
    if first.n != second.n or first.probs.shape != second.probs.shape:
        return False
    alike = bool(torch.isclose(first.probs.cpu().double(), second.probs.cpu().double(), rtol=0, atol=ROUNDING).all())
    nll = bool(torch.isclose(base.rows.nll, side.rows.nll, rtol=1e-3, atol=1e-5).all())
    return alike and nll and bool((base.rows.right == side.rows.right).all())


def _differences(
    first: Record, second: Record, base: Side, side: Side, *, paired: bool
) -> dict[str, MeasuredDifference]:
    if paired and _same(first, second, base, side):
        return {name: MeasuredDifference(0.0, 0.0, 0.0, nan, nan, SAME) for name in OF_COMPARISON}
    return {name: difference(name, base, side, paired=paired) for name in OF_COMPARISON}


def difference(name: str, base: Side, side: Side, *, paired: bool) -> MeasuredDifference:
    """Take a measure of one set from that of another; its verdict is not yet corrected."""
    first, second = base.measures[name], side.measures[name]
    value = second.value - first.value
    why = first.why or second.why or _too_few(base) or _too_few(side)
    if why:
        return MeasuredDifference(value if isfinite(value) else nan, nan, nan, nan, nan, UNKNOWN, why)
    ends = ends_of(name, base, side, paired=paired)
    p, worse = p_value(ends), -value if OF_COMPARISON[name].better == "higher" else value
    if OF_COMPARISON[name].better == "zero":
        # Nearer to 0 by their squares: the difference times the sum, both of which must be told from 0.
        total = contrast(name, base, side, paired=paired, sign=1)
        p, worse = max(p, p_value(total.ends)), value * total.value
    return MeasuredDifference(value, *ends(LEVEL), p, p, WORSE if worse > 0 else BETTER)


def _too_few(side: Side) -> str:
    if side.sampling.n_independent >= 2 - 1e-9:
        return ""
    return "fewer than two clusters" if side.sampling.cluster is not None else "effectively fewer than two rows"


def corrected(
    found: dict[str, dict[str, MeasuredDifference]],
) -> tuple[dict[str, dict[str, MeasuredDifference]], int]:
    """Correct p-values for the number of tests, all comparisons and measures together."""
    p_values = {f"{name}\0{measure}": one.p_value for name, of in found.items() for measure, one in of.items()}
    of_holm = holm(p_values)
    judged = {
        name: {measure: _verdict(one, of_holm[f"{name}\0{measure}"]) for measure, one in of.items()}
        for name, of in found.items()
    }
    return judged, sum(isfinite(p) for p in p_values.values())


def _verdict(one: MeasuredDifference, p: float) -> MeasuredDifference:
    told = one.verdict if one.verdict in (SAME, UNKNOWN) or p < SIGNIFICANT else UNDECIDED
    return MeasuredDifference(one.value, one.low, one.high, one.p_value, p, told, one.why)


def _said(sides: dict[str, Side], found: dict[str, dict[str, MeasuredDifference]], tests: int) -> list[str]:
    """Say what tests are corrected for, what rows count, and what has no interval."""
    notes = []
    if tests:
        over = "measures" if len(found) == 1 else f"measures and {len(found)} comparisons"
        notes.append(
            f"Verdicts are at the 5 % level, corrected for {tests} test{'s' if tests > 1 else ''} ({over}, Holm); "
            "each interval is that of one difference."
        )
    side = next(iter(sides.values()))
    if side.sampling.weight is not None:
        sizes = dict.fromkeys(f"{one.sampling.n_effective:,.1f}" for one in sides.values())
        notes.append(f"Weighted: the effective sample size is {' and '.join(sizes)}.")
    if side.sampling.cluster is not None:
        counts = dict.fromkeys(f"{one.sampling.n_clusters:,}" for one in sides.values())
        notes.append(f"Intervals are those of {' and '.join(counts)} clusters.")
    for name, of in found.items():
        reasons: dict[str, list[str]] = {}
        for measure, one in of.items():
            if one.why:
                reasons.setdefault(one.why, []).append(SHORT[measure])
        versus = f" for {printable(name)}" if len(found) > 1 else ""
        notes += [f"No interval of {', '.join(names)}{versus}: {why}." for why, names in reasons.items()]
    return notes
