# SPDX-License-Identifier: Apache-2.0
"""Which columns of a table hold predictions: found by name, never guessed from values."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from adafocal._text import listed, printable
from adafocal.errors import InvalidTypeError, InvalidValueError

SINGULAR = {"logits": "logit", "probs": "prob", "features": "feature"}


@dataclass(frozen=True)
class Names:
    """Names of columns given by the user; None: found by the rules of :func:`find_columns`.

    Attributes:
        logits: Name of the logits.
        probs: Name of the probabilities.
        label: Name of the class index.
        by: Name of the column of groups; None reads none.
        features: Whether features are read where there are some.

    Raises:
        TypeError: If both ``logits`` and ``probs`` are given.
    """

    logits: str | None = None
    probs: str | None = None
    label: str | None = None
    by: str | None = None
    features: bool = False

    def __post_init__(self) -> None:
        if self.logits is not None and self.probs is not None:
            raise InvalidTypeError("`logits` or `probs` must be given, and not both.")


@dataclass(frozen=True)
class Columns:
    """Names of the columns that hold predictions.

    Attributes:
        kind: ``logits`` or ``probs``.
        values: One list column, or one column per class.
        label: The column of class indices.
        features: One list column, one column per feature, or none.
        by: The column of groups, or none.
    """

    kind: str
    values: tuple[str, ...]
    label: str
    features: tuple[str, ...] = ()
    by: str | None = None

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns that hold numbers."""
        return (*self.values, self.label, *self.features)

    @property
    def wanted(self) -> list[str]:
        """All of them, each once."""
        return list(dict.fromkeys([*self.numbers, *(() if self.by is None else (self.by,))]))


def find_columns(header: Sequence[str], names: Names) -> Columns:
    """Find the columns of predictions by name; nothing is guessed from values.

    Unless named, the predictions are the list column ``logits`` or ``probs`` or the columns ``logit_0 …`` or
    ``prob_0 …``, and the class index is ``label`` or ``labels``. A given name may be one column, a prefix ``NAME_0 …``
    or names joined by commas, one per class.

    Args:
        header: All column names of the table.
        names: Names that the user gave.

    Raises:
        ValueError: If a column is missing or there twice, or two sets of columns fit.
    """
    counts = Counter(header)
    kind, values = _values(counts, names)
    label = names.label
    labels = [name for name in ((label,) if label is not None else ("label", "labels")) if name in counts]
    if len(labels) != 1:
        _missing(counts, "either `label` or `labels`" if label is None else f"`{printable(label)}`")
    if names.by is not None and names.by not in counts:
        _missing(counts, f"`{printable(names.by)}`")
    features = _find(counts, "features", "feature") if names.features else ()
    columns = Columns(kind, values, labels[0], features, names.by)
    for name in columns.wanted:
        if counts[name] > 1:
            raise InvalidValueError(f"columns must have names of their own, got {counts[name]} named `{name}`.")
    return columns


def _values(counts: Counter[str], names: Names) -> tuple[str, tuple[str, ...]]:
    """Give kind and columns of the predictions."""
    asked = {"logits": names.logits, "probs": names.probs}
    kinds = [kind for kind, name in asked.items() if name is not None] or list(asked)
    found = {kind: _find(counts, asked[kind] or kind, SINGULAR[kind]) for kind in kinds}
    found = {kind: columns for kind, columns in found.items() if columns}
    if not found:
        by_rule = "`logits` or `probs` (or `logit_0 …` or `prob_0 …`)"
        _missing(counts, by_rule if len(kinds) > 1 else f"`{printable(asked[kinds[0]])}`")
    if len(found) > 1:
        raise InvalidValueError("columns must hold logits or probabilities, or one must be named, got both.")
    ((kind, values),) = found.items()
    if len(set(values)) < len(values):
        raise InvalidValueError(f"`{kind}` must name each column once, got {listed(values)}.")
    return kind, values


def _missing(counts: Counter[str], wanted: str) -> None:
    raise InvalidValueError(f"columns must include {wanted}, got {listed(counts.elements()) or 'no column'}.")


def _find(counts: Counter[str], name: str, singular: str) -> tuple[str, ...]:
    if name in counts:
        return (name,)
    if "," in name:
        parts = tuple(part.strip() for part in name.split(","))
        return parts if all(part in counts for part in parts) else ()
    for prefix in (f"{name}_", f"{singular}_"):
        numbered = {column for column in counts if column.startswith(prefix) and column[len(prefix) :].isdecimal()}
        wanted = tuple(f"{prefix}{index}" for index in range(len(numbered)))
        if numbered and not numbered.issuperset(wanted):
            missing = next(column for column in wanted if column not in numbered)
            raise InvalidValueError(f"columns must be numbered from {prefix}0 without a gap, got no `{missing}`.")
        if numbered:
            return wanted
    return ()
