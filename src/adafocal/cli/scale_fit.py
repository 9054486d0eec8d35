# SPDX-License-Identifier: Apache-2.0
"""``adafocal scale fit``: fit a scaling, say out of fold what it does, and write it with what it was fitted on."""

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import NamedTuple

from rich.console import Console

from adafocal._checks import check_integer
from adafocal._reading import Record
from adafocal._text import listed
from adafocal.calibration import CalibrationSummary, evaluate
from adafocal.calibration.rows import counted
from adafocal.cli.scale_rows import Rows, named
from adafocal.cli.scale_shown import NUMBERS, show
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.predictions import Predictions
from adafocal.scaling.catalogue import ARGMAX_PRESERVING, Scaling
from adafocal.scaling.crossfit import cross_fit, draw_folds, refused_in_fold, why_not
from adafocal.scaling.files import Described
from adafocal.scaling.groups import FEWEST, POOLED, Fit, GroupScaling, fit_groups
from adafocal.scaling.sample import spread_rows
from adafocal.scaling.scores import as_predictions, like
from adafocal.tables.columns import OUTCOMES
from adafocal.tables.piece import said_of
from adafocal.tables.source import Source

LARGEST = 20_000_000  # numbers that are cross-fitted; of more, rows spread over all


class Tried(NamedTuple):
    """What was measured: the rows before, after, and by other names; why it is not out of fold, if it is not."""

    records: Mapping[str, Record]
    why_not: str = ""


def fit_and_tell(
    rows: Rows,
    source: Source,
    fit: Fit,
    *,
    method: str,
    options: Mapping[str, object],
    by: str | None,
    folds: int,
    console: Console,
) -> Scaling:
    """Fit a scaling and print what it does to rows that it was not fitted to; give it with what it was fitted on."""
    check_integer("folds", folds, minimum=0)
    if folds == 1:
        raise InvalidValueError("`folds` must be 0 or an integer >= 2, got 1: with 0 nothing is held out.")
    record = rows.record
    for line in said_of(rows.said):
        console.print(line, soft_wrap=True)
    fitted: Scaling
    if by is None:
        fitted = fit(as_predictions(record))
        tried = _out_of_fold(record, fit, folds)
    else:
        grouped = fit_groups(record, rows.groups or [], fit=fit, by=by, n_folds=folds)
        fitted, tried = grouped.fitted, Tried(grouped.rows, grouped.why_not)
    title = f"{method.replace('_', ' ').capitalize()} scaling{'' if by is None else f' by {by}'}"
    tried = _or_in_sample(tried, record, fitted, rows.groups, console)
    results = {name: evaluate(held) for name, held in tried.records.items()}
    where = "on the data it was fitted to" if tried.why_not else f"out of fold ({folds} folds)"
    show(results, f"{title} {where}", console)
    keeps = _keeps(method, record, fitted, tried, console)
    if isinstance(fitted, GroupScaling):
        _tell_groups(fitted, rows.groups or [], console)
    if not isinstance(fitted, Described) or fitted.origin is None:
        return fitted
    told = replace(
        fitted.origin,
        kind=rows.kind, positive=rows.positive, options=dict(options), source=named(source), keeps_predicted=keeps,
        out_of_fold=None if tried.why_not else {"folds": folds, **{name: _plain(one) for name, one in results.items()}},
    )  # fmt: skip
    classes = f" ({listed(told.classes)})" if told.classes else ""
    held = "ragged choices" if getattr(record, "ragged", False) else f"{told.n_classes} classes{classes}"
    of = "outcomes" if told.kind == OUTCOMES else f"{told.kind} of {held}"
    console.print(f"fitted on {told.rows:,} rows of {of}")
    return fitted.with_origin(told)


def _out_of_fold(record: Record, fit: Fit, folds: int) -> Tried:
    if (reason := why_not(record, folds)) != "":
        return Tried({}, reason)
    record = counted(record)
    some = spread_rows(record, max(2 * folds, LARGEST // record.probs.shape[1]))
    try:
        return Tried({"before": some, "after": cross_fit(some, fit, draw_folds(some, folds))})
    except (InvalidValueError, InvalidTypeError) as refused:
        return Tried({}, refused_in_fold(refused))


def _or_in_sample(
    tried: Tried, record: Record, fitted: Scaling, groups: list[str | None] | None, console: Console
) -> Tried:
    """Say why nothing was measured out of fold, and take the rows of the fit, whose numbers flatter."""
    if not tried.why_not:
        return tried
    console.print(f"not measured out of fold: {tried.why_not}")
    plain = as_predictions(record)
    after = fitted.apply(plain, groups) if isinstance(fitted, GroupScaling) else fitted.apply(plain)
    return Tried({"before": record, "after": like(record, after)}, tried.why_not)


def _keeps(method: str, record: Record, fitted: Scaling, tried: Tried, console: Console) -> bool | None:
    """Say whether predicted classes, or the order of confidences, stay as they are."""
    if isinstance(record, Predictions):
        keeps = method in ARGMAX_PRESERVING
        before, after = (as_predictions(tried.records[name]).predicted for name in ("before", "after"))
        changed = int((before != after).sum())
        may = f"may change: it does in {changed:,} of {len(before):,} rows"
        console.print(f"predicted class {'and order of the classes are kept' if keeps else may}")
        return keeps
    if isinstance(fitted, GroupScaling) and fitted.groups:
        console.print("order of confidences is kept within a group at most")
        return None
    before = record.probs[:, 1].double()
    steps = fitted.apply(as_predictions(record)).probs[:, 1].double()[before.argsort()].diff()
    kept = bool((steps >= -1e-6).all())
    console.print(f"order of confidences {'is kept, but for ties' if kept else 'is not kept'}")
    return None


def _tell_groups(fitted: GroupScaling, groups: list[str | None], console: Console) -> None:
    """Say which groups have a scaling of their own, and what becomes of the others."""
    named = {group for group in groups if group is not None}
    if fitted.strength == POOLED:
        console.print(f"groups {len(named):,}, which do not differ beyond chance: all take the pooled scaling")
    else:
        count = f"{len(fitted.groups):,} of {len(named):,} have a scaling of their own"
        console.print(f"groups {count}, to which the others count as {fitted.strength:g} rows: {listed(fitted.groups)}")
    without = sum(group is None for group in groups)
    small = sorted(named - fitted.groups.keys())
    if small and fitted.strength != POOLED:
        console.print(f"groups of fewer than {FEWEST} rows take the pooled scaling: {listed(small)}")
    if without:
        console.print(f"rows without a group take the pooled scaling: {without:,}")


def _plain(summary: CalibrationSummary) -> dict[str, float | int | None]:
    numbers = {name: float(getattr(summary, name)) for name in NUMBERS}
    return {"rows": summary.n, **{name: value if isfinite(value) else None for name, value in numbers.items()}}
