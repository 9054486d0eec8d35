# SPDX-License-Identifier: Apache-2.0
"""Which rows of several tables are the same: by an identifier, or by their order."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from adafocal._arrays import ArrayLike, as_array
from adafocal._reading import Record
from adafocal._text import printable, shown
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.outcomes import Outcomes
from adafocal.predictions import Predictions
from adafocal.tables.labels import as_coded

ID, ORDER, NONE = "id", "order", "none"


@dataclass(frozen=True)
class Matched:
    """Records whose rows are the same, or are not.

    Attributes:
        records: The records by name, of the rows that are compared.
        by: What told: ``id``, ``order``, or ``none`` where rows are not matched.
        left_out: How many rows of each have no partner.
        notes: Sentences for the reader.
    """

    records: dict[str, Record]
    by: str
    left_out: dict[str, int]
    notes: list[str] = field(default_factory=list)


def match(
    records: Mapping[str, Record], ids: Mapping[str, ArrayLike] | None = None, *, paired: bool | None = None
) -> Matched:
    """Find the rows that all records hold.

    Args:
        records: Checked records of one kind by name, with the same classes.
        ids: What each row is called, by the same names; None: rows are matched by their order where they may be.
        paired: False: do not match; True: raise where rows cannot be matched; None: say so instead.

    Raises:
        TypeError: If ``ids`` are given and rows are not to be matched.
        ValueError: If an identifier is missing, there twice, or has two labels; no row is matched; or matched rows
            differ in weight or cluster.
    """
    if paired is False:
        if ids is not None:
            raise InvalidTypeError("`ids` must not be given where rows are not to be matched (`--unpaired`).")
        return Matched(dict(records), NONE, dict.fromkeys(records, 0), ["Rows are not matched, as asked."])
    if ids is not None:
        return _by_id(records, ids)
    why = _why_not_by_order(list(records.items()))
    if why is None:
        of = list(records.values())
        _check_alike(records)
        known = "" if isinstance(of[0], Predictions) else ", which nothing in the tables confirms: give ids to be sure"
        return Matched(dict(records), ORDER, dict.fromkeys(records, 0), [f"Rows are matched by their order{known}."])
    if paired:
        raise InvalidValueError(f"rows must be the same in the same order, got {why}: give ids, or compare unpaired.")
    said = f"Rows are not matched ({why}), so the samples are taken to be independent: intervals are wider."
    return Matched(dict(records), NONE, dict.fromkeys(records, 0), [said])


def _why_not_by_order(named: Sequence[tuple[str, Record]]) -> str | None:
    """Say what tells that rows of one place are not the same; None where nothing does."""
    (name, first), *others = named
    for other, record in others:
        if record.n != first.n:
            return f"{first.n:,} rows in {printable(name)} and {record.n:,} in {printable(other)}"
        if isinstance(record, Predictions):
            differ = record.labels.cpu() != first.labels.cpu()
            if differ.any():
                count, row = int(differ.sum()), int(differ.nonzero()[0])
                return (
                    f"the labels of {count:,} of {first.n:,} rows differ between {printable(name)} and "
                    f"{printable(other)}, first in row {row}"
                )
    return None


def _by_id(records: Mapping[str, Record], ids: Mapping[str, ArrayLike]) -> Matched:
    if set(ids) != set(records):
        raise InvalidValueError(f"`ids` must be given for each of {list(records)}, got {list(ids)}.")
    texts = {name: _checked_ids(name, ids[name], record.n) for name, record in records.items()}
    places = {name: {text: row for row, text in enumerate(of)} for name, of in texts.items()}
    if not set.intersection(*(set(of) for of in places.values())):
        # 7.0 of a table whose column of integers has become one of floats is 7 of another.
        places = {name: {_plain(text): row for text, row in of.items()} for name, of in places.items()}
    first, *others = places.values()
    shared = [text for text in first if all(text in other for other in others)]
    if not shared:
        kinds = "; ".join(f"{shown(next(iter(of)))} in {printable(name)}" for name, of in places.items())
        raise InvalidValueError(f"`id` must have values that all tables hold, got none in common, such as {kinds}.")
    rows = {name: torch.tensor([of[text] for text in shared]) for name, of in places.items()}
    chosen: dict[str, Record] = {name: record[rows[name]] for name, record in records.items()}
    _check_labels(chosen, shared)
    _check_alike(chosen, shared)
    left_out = {name: record.n - len(shared) for name, record in records.items()}
    notes = [f"{len(shared):,} rows are matched by their id."]
    if any(left_out.values()):
        said = ", ".join(f"{count:,} of {printable(name)}" for name, count in left_out.items() if count)
        notes.append(f"Rows without a partner are left out: {said}.")
    return Matched(chosen, ID, left_out, notes)


def _checked_ids(name: str, values: ArrayLike, n: int) -> list[str]:
    array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else as_array("ids", values)
    if array.shape != (n,):
        raise InvalidValueError(f"`ids` must have one value per row of {shown(name)}, {n}, got shape {array.shape}.")
    coded = as_coded(array, "ids")
    missing = [place for place, text in enumerate(coded.values) if text is None or text in ("", "nan", "NaT")]
    lost = np.isin(coded.index, missing)
    if lost.any():
        raise InvalidValueError(
            f"`id` must have no missing values, got {int(lost.sum()):,} of {n:,} rows in {printable(name)}, first row "
            f"{int(np.flatnonzero(lost)[0])}."
        )
    texts = [str(coded.values[code]) for code in coded.index.tolist()]
    twice = {text: count for text, count in Counter(texts).items() if count > 1}
    if twice:
        text = next(iter(twice))
        raise InvalidValueError(
            f"`id` must have each value once, got {len(twice):,} on several rows of {printable(name)}, such as "
            f"{shown(text)} on {twice[text]:,}."
        )
    return texts


def _plain(text: str) -> str:
    whole, point, rest = text.partition(".")
    return whole if point and not rest.strip("0") and whole.lstrip("+-").isdecimal() else text


def _check_labels(records: dict[str, Record], shared: Sequence[str]) -> None:
    """Refuse an id that has two labels; outcomes of one question may well differ."""
    (name, first), *others = records.items()
    for other, record in others:
        if isinstance(first, Outcomes) or isinstance(record, Outcomes):
            return
        differ = (record.labels != first.labels.to(record.device)).cpu()
        if differ.any():
            row = int(differ.nonzero()[0])
            got = [_label(one, row) for one in (first, record)]
            raise InvalidValueError(
                f"`label` must be the same for one id, got different ones for {int(differ.sum()):,} of "
                f"{len(shared):,}, such as {shown(shared[row])}: {got[0]} in {printable(name)}, {got[1]} in "
                f"{printable(other)}."
            )


def _label(record: Predictions, row: int) -> str:
    index = int(record.labels[row])
    return str(index) if record.classes is None else shown(record.classes[index])


def _check_alike(records: Mapping[str, Record], shared: Sequence[str] | None = None) -> None:
    """Refuse rows that count or belong together otherwise in one table than in another."""
    (name, first), *others = records.items()
    for other, record in others:
        for what in ("weight", "cluster"):
            held = [getattr(one, what) for one in (first, record)]
            if (held[0] is None) != (held[1] is None):
                raise InvalidValueError(f"`{what}` must be given for all tables, got it for some.")
            if held[0] is None:
                continue
            one, two = (values.cpu() for values in held)
            differ = one != two
            if what == "weight":  # those of text tables are float32
                differ = (one.double() - two.double()).abs() > 1e-6 * one.double()
            if not differ.any():
                continue
            row = int(differ.nonzero()[0])
            place = f"row {row}" if shared is None else f"id {shown(shared[row])}"
            raise InvalidValueError(
                f"`{what}` must be the same for one row in all tables, got different ones for {int(differ.sum()):,} of "
                f"{first.n:,} rows of {printable(name)} and {printable(other)}, first {place}."
            )
