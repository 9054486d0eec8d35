# SPDX-License-Identifier: Apache-2.0
"""``adafocal scale apply``: scale a table piece by piece, by group and for other shares of the classes where asked."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from jsonargparse import Namespace
from rich.console import Console

from adafocal._files import check_output
from adafocal._reading import Record, checked
from adafocal._text import listed
from adafocal.calibration import StreamSums, merge_sums, stream_summary, stream_sums
from adafocal.cli.columns import names_of
from adafocal.cli.prior import read_prior
from adafocal.cli.scale_rows import groups_of, positive_of
from adafocal.cli.scale_shown import show
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.outcomes import Outcomes
from adafocal.predictions import Predictions
from adafocal.scaling import estimate_prior, load_scaling, shift_prior
from adafocal.scaling.catalogue import Scaling
from adafocal.scaling.groups import GroupScaling
from adafocal.scaling.origin import Origin
from adafocal.scaling.sample import Sample, most_rows
from adafocal.scaling.scores import as_predictions, like
from adafocal.tables.columns import OUTCOMES, Names
from adafocal.tables.piece import Piece
from adafocal.tables.rewrite import rewrite
from adafocal.tables.scan import scan
from adafocal.tables.source import Source, known_suffix

MOST_SHOWN = 20  # classes whose shares are printed
TO_ESTIMATE = 100_000, 20_000_000  # rows and numbers from which shares are estimated


class Applied:
    """A scaling, piece by piece, and what it met on the way."""

    def __init__(self, fitted: Scaling, names: Names) -> None:
        self.fitted, self.names = fitted, names
        self.origin: Origin | None = getattr(fitted, "origin", None)
        self.unnamed: tuple[str, ...] = ()
        self.pooled: Counter[str | None] = Counter()

    def __call__(self, piece: Piece) -> tuple[Record, Predictions]:
        """Check the rows of a piece, and scale them."""
        record = checked(piece)
        if self.origin is not None:
            self.origin.check_kind(piece.columns.kind, positive_of(piece, self.names))
            if isinstance(record, Predictions) and record.classes is None and self.origin.classes:
                self.unnamed = self.origin.classes
        plain = as_predictions(record)
        if not isinstance(self.fitted, GroupScaling):
            return record, self.fitted.apply(plain)
        groups = groups_of(piece)
        pooled = self.fitted.pooled
        alone = {group for group in set(groups) if self.fitted.of(group) is pooled}
        self.pooled.update(group for group in groups if group in alone)
        return record, self.fitted.apply(plain, groups)

    def tell(self, console: Console) -> None:
        """Say what was taken for granted."""
        if self.unnamed:
            console.print(f"classes have no names in this table: taken for {listed(self.unnamed)} in this order")
        if (without := self.pooled.pop(None, 0)) > 0:
            console.print(f"rows without a group take the pooled scaling: {without:,}")
        if isinstance(self.fitted, GroupScaling) and not self.fitted.groups:
            console.print("groups did not differ beyond chance where this was fitted: all take the pooled scaling")
        elif self.pooled:
            rows = sum(self.pooled.values())
            names = listed(sorted(map(str, self.pooled)))
            console.print(f"groups without a scaling of their own take the pooled one: {names} ({rows:,} rows)")


def apply(options: Namespace, console: Console) -> None:
    """Scale a table and write it anew."""
    known_suffix(options.output, writes=True)
    source = Source.of(options.predictions)
    reads = [options.scaling, *([] if source.path is None else [source.path])]
    check_output("output", options.output, reads=reads)
    fitted = load_scaling(options.scaling)
    # A label is needed to say what the scaling did, not to apply it.
    names = _with_groups(names_of(options, unlabelled=options.label is None), fitted)
    applied = Applied(fitted, names)
    shifted = _shifted(options.prior, applied, source, console)
    applied.pooled.clear()
    sums: list[tuple[StreamSums, StreamSums]] = []

    def change(piece: Piece) -> tuple[str, np.ndarray]:
        record, scaled = applied(piece)
        after = like(record, shifted(scaled))
        if isinstance(record, Outcomes) or record.labelled:
            pair = stream_sums(record), stream_sums(after)
            sums[:] = [(merge_sums(sums[0][0], pair[0]), merge_sums(sums[0][1], pair[1]))] if sums else [pair]
        values = after.confidence if isinstance(after, Outcomes) else getattr(after, after.kind)
        return after.kind, values.numpy()

    rows = rewrite(source, names, options.output, change)
    applied.tell(console)
    for before, after in sums:
        results = {"before": stream_summary(before), "after": stream_summary(after)}
        show(results, f"Scaling of {options.scaling}", console)
    console.print(f"{rows:,} predictions {options.output}")


def _with_groups(names: Names, fitted: Scaling) -> Names:
    if isinstance(fitted, GroupScaling):
        return names if names.by is not None else replace(names, by=fitted.by)
    if names.by is not None:
        raise InvalidValueError(
            f"`by` must go with a scaling that was fitted by group, got {names.by!r}: fit it with --by."
        )
    return names


def _shifted(
    given: Sequence[str] | None, applied: Applied, source: Source, console: Console
) -> Callable[[Predictions], Predictions]:
    """Make what turns scaled predictions into those under the shares of the classes that are asked for."""
    if given is None:
        return lambda scaled: scaled
    origin = applied.origin
    if origin is None or origin.shares is None:
        raise InvalidValueError(
            "`prior` must go with a scaling that says the class shares of its data, got an older one, or one of ragged "
            "choices: fit it anew, on classes."
        )
    if origin.kind == OUTCOMES:
        raise InvalidTypeError(
            "`prior` must go with predictions of classes, got a scaling of outcomes: whether an answer is right is no "
            "class whose share is known."
        )
    before = list(origin.shares)
    classes = _class_names(origin)
    wanted = read_prior(given, classes)
    how = "as given"
    if wanted is None:
        sample = Sample(partial(most_rows, most=TO_ESTIMATE))
        for piece in scan([source], applied.names):
            if piece.n:
                sample.add(applied(piece)[1])
        wanted = estimate_prior(sample.joined(), source=before).tolist()  # type: ignore[arg-type]
        how = "estimated" if sample.held == sample.seen else f"estimated from {sample.held:,} of {sample.seen:,} rows"
    order = sorted(range(len(classes)), key=lambda c: -abs(wanted[c] - before[c]))[:MOST_SHOWN]
    parts = [f"{classes[c]} {before[c]:.3f} to {wanted[c]:.3f}" for c in sorted(order)]
    more = f", and {len(classes) - len(order):,} classes that change less" if len(order) < len(classes) else ""
    console.print(f"class shares, {how}: {', '.join(parts)}{more}; the predicted class may change")
    return lambda scaled: shift_prior(scaled, source=before, target=wanted)


def _class_names(origin: Origin) -> list[str]:
    if origin.classes is None and origin.positive is not None:
        return [f"not {origin.positive}" if origin.positive != "1" else "0", origin.positive]
    return list(origin.classes or map(str, range(origin.n_classes)))
