# SPDX-License-Identifier: Apache-2.0
"""Which columns of a table hold predictions: found by name, never guessed from values."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields

from adafocal._settings import check_choice, or_meant
from adafocal._text import listed, printable, without_shared_words
from adafocal.errors import InvalidTypeError, InvalidValueError

SINGULAR = {"logits": "logit", "probs": "prob", "features": "feature", "labels": "label"}
OUTCOMES = "outcomes"
LIKELIHOODS = ("sum", "character", "byte", "token")
RULE = "`logits` or `probs` (or `logit_0 …` or `prob_0 …`), or `confidence` and `correct`"


@dataclass(frozen=True, kw_only=True)
class Names:
    """What the user says of the columns; None: found by the rules of :func:`find_columns`.

    Attributes:
        logits: Name of the logits.
        probs: Name of the probabilities.
        label: Name of the class index or class name.
        confidence: Name of the probability that an answer is right, of outcomes.
        correct: Name of whether it was right, of outcomes.
        weight: Name of the weights of rows; None: all weigh 1.
        cluster: Name of what rows belong together by; None: rows stand for themselves.
        by: Names of the columns of groups, joined by commas; None reads none.
        time: Name of when rows were; None reads none.
        time_unit: What numbers in it count since 1970, ``s``, ``ms``, ``us`` or ``ns``; None where it holds dates.
        positive: Label of the class that a single column of probabilities speaks of; None: 1, True or yes.
        features: Whether features are read where there are some.
        unlabelled: Whether a table without labels is read as well.
        normalize: Whether rows of probabilities are divided by their sum, whatever it is.
        of_event: Whether ``positive`` may name a class of several columns, whose event is then what is measured.
        ragged: Whether each row has choices of its own, of any number, in place of classes that all rows share.
        likelihood: Of evaluation logs, how log-likelihoods become probabilities, one of ``LIKELIHOODS``; None: ``sum``.
        filter: Of evaluation logs, which filter of answers is read; None where there is but one.
        outcomes: Whether outcomes are asked for, by whatever names.
        several: Whether several labels of a row may apply: columns ``label_cat …`` are read as features are.

    Raises:
        TypeError: If more than one of ``logits``, ``probs`` and ``confidence`` is given, or the label of outcomes.
    """

    logits: str | None = None
    probs: str | None = None
    label: str | None = None
    confidence: str | None = None
    correct: str | None = None
    weight: str | None = None
    cluster: str | None = None
    by: str | None = None
    time: str | None = None
    time_unit: str | None = None
    positive: str | None = None
    features: bool = False
    unlabelled: bool = False
    normalize: bool = False
    of_event: bool = False
    ragged: bool = False
    likelihood: str | None = None
    filter: str | None = None
    outcomes: bool = False
    several: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is not bool and value is not None and not isinstance(value, str):
                raise InvalidTypeError(f"`{field.name}` must be the name of a column, got {value!r}.")
        if self.likelihood is not None:
            check_choice("likelihood", self.likelihood, LIKELIHOODS)
        if self.logits is not None and self.probs is not None:
            raise InvalidTypeError("`logits` or `probs` must be given, and not both.")
        if self.likelihood is not None and self.confidence is not None:
            raise InvalidTypeError(
                f"`likelihood` must not be given with `confidence`, got {self.likelihood!r} and {self.confidence!r}: "
                "one tells how sure answers are."
            )
        if self.of_outcomes and (self.logits or self.probs or self.label):
            other = "logits" if self.logits else "probs" if self.probs else "label"
            raise InvalidTypeError(f"`confidence` and `correct` must not be given with `{other}`: name one kind.")

    @property
    def of_outcomes(self) -> bool:
        """Whether outcomes are asked for."""
        return self.outcomes or self.confidence is not None or self.correct is not None


@dataclass(frozen=True)
class Columns:
    """Names of the columns that hold predictions.

    Attributes:
        kind: ``logits``, ``probs`` or ``outcomes``.
        values: One list column, one column per class, one of a single class, or the confidence of outcomes.
        label: The column of labels, or of whether outcomes are right; None for none.
        features: One list column, one column per feature, or none.
        classes: Names of the classes, one per column of values, where columns are named by them.
        weight: The column of weights, or none.
        cluster: The column of what belongs together, or none.
        by: The columns of groups, or none.
        time: The column of when rows were, or none.
        ragged: Whether each row has choices of its own, of any number; where it has none, values are ``nothing``.
    """

    kind: str
    values: tuple[str, ...]
    label: str | None
    features: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    weight: str | None = None
    cluster: str | None = None
    by: tuple[str, ...] = ()
    time: str | None = None
    ragged: bool = False

    @property
    def nothing(self) -> float:
        """The value of a choice that a row does not have."""
        return -math.inf if self.kind == "logits" else 0.0

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns that hold numbers only."""
        return (*self.values, *self.features, *(() if self.weight is None else (self.weight,)))

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns that may hold words, each once."""
        return tuple(
            name for name in dict.fromkeys((self.label, self.cluster, self.time, *self.by)) if name is not None
        )

    @property
    def wanted(self) -> list[str]:
        """All of them, each once."""
        return list(dict.fromkeys([*self.numbers, *self.texts]))


def find_columns(header: Sequence[str], names: Names) -> Columns:
    """Find the columns of predictions by name; nothing is guessed from values.

    Unless named, the predictions are the column ``logits`` or ``probs`` (of lists, or of the one probability of two
    classes), or the columns ``logit_0 …``, ``prob_0 …`` or ``prob_cat, prob_dog …``, and the label is ``label`` or
    ``labels``. A given name may be one column, a prefix ``NAME_0 …`` or names joined by commas, one per class. Where
    there are none of these, ``confidence`` and ``correct`` are outcomes.

    Args:
        header: All column names of the table.
        names: Names that the user gave.

    Raises:
        ValueError: If a column is missing or there twice, or two sets of columns fit.
    """
    for option in ("likelihood", "filter"):
        if getattr(names, option) is not None:
            raise InvalidValueError(f"`{option}` must go with an evaluation log, got {getattr(names, option)!r}.")
    counts = Counter(header)
    weight, cluster, time = (column_there(counts, name) for name in (names.weight, names.cluster, names.time))
    by = () if names.by is None else group_columns(counts, names.by)
    kind, values = _values(counts, names)
    features: tuple[str, ...]
    classes: tuple[str, ...]
    if names.several:
        label, (classes, features) = None, _several(counts, values, _classes(values, kind, names.logits or names.probs))
    elif kind == OUTCOMES:
        label, features, classes = column_there(counts, names.correct or "correct"), (), ()
    else:
        features = _find(counts, "features", "feature") if names.features else ()
        label, classes = _label(counts, names), _classes(values, kind, names.logits or names.probs)
    columns = Columns(kind, values, label, features, classes, weight, cluster, by, time, names.ragged)
    for name in columns.wanted:
        if counts[name] > 1:
            raise InvalidValueError(f"columns must have names of their own, got {counts[name]} named `{name}`.")
    return columns


def _several(
    counts: Counter[str], values: tuple[str, ...], classes: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Find a column of labels for every column of values, or one column of lists for one; and the names of labels."""
    if len(values) > 1:
        return classes, tuple(str(column_there(counts, f"label_{name}")) for name in classes or range(len(values)))
    name = values[0].partition("_")[2]
    if f"label_{name}" not in counts:
        return (), (str(_label(counts, Names(unlabelled=False))),)
    return (() if name == "0" else (name,)), (f"label_{name}",)


def _label(counts: Counter[str], names: Names) -> str | None:
    if names.label is not None:
        return column_there(counts, names.label)
    found = [name for name in ("label", "labels") if name in counts]
    if len(found) == 2 or not (found or names.unlabelled):
        several = any(name.startswith("label_") for name in counts)
        remedy = " (or, of models whose labels are independent, --multilabel)" if several and not names.several else ""
        _missing(counts, f"either `label` or `labels`{remedy}")
    return found[0] if found else None


def group_columns(counts: Counter[str], by: str) -> tuple[str, ...]:
    """Part the names of columns that are joined by commas, or raise if one is none."""
    parts = [by] if by in counts else [part.strip() for part in by.split(",")]
    for part in parts:
        column_there(counts, part)
    return tuple(dict.fromkeys(parts))


def _values(counts: Counter[str], names: Names) -> tuple[str, tuple[str, ...]]:
    """Find kind and columns of the predictions."""
    if names.of_outcomes:
        column_there(counts, names.correct or "correct")
        return OUTCOMES, (str(column_there(counts, names.confidence or "confidence")),)
    asked = {"logits": names.logits, "probs": names.probs}
    one = [(kind, name) for kind in asked for name in counts if name.startswith(f"{SINGULAR[kind]}_")]
    if names.several and len(one) == 1:  # one label is enough
        return one[0][0], (one[0][1],)
    kinds = [kind for kind, name in asked.items() if name is not None] or list(asked)
    found = {kind: _find(counts, asked[kind] or kind, SINGULAR[kind], given=asked[kind] is not None) for kind in kinds}
    found = {kind: columns for kind, columns in found.items() if columns}
    if not found and len(kinds) > 1 and not names.several and {"confidence", "correct"} <= counts.keys():
        return OUTCOMES, ("confidence",)
    if not found and names.logits is None and "logits" in kinds:
        # Nothing tells whether `logit_scale` is a class, so that anything else goes first.
        found = {"logits": named} if len(named := _named(counts, "logit_")) > 1 else {}
    if not found:
        _missing(counts, RULE if len(kinds) > 1 else f"`{printable(asked[kinds[0]])}`", asked[kinds[0]])
    if len(found) > 1:
        raise InvalidValueError("columns must hold logits or probabilities, or one must be named, got both.")
    ((kind, values),) = found.items()
    if len(set(values)) < len(values):
        raise InvalidValueError(f"`{kind}` must name each column once, got {listed(values)}.")
    return kind, values


def column_there(counts: Counter[str], name: str | None) -> str | None:
    """Give the name of a column back, or raise if it is none."""
    if name is not None and name not in counts:
        _missing(counts, f"`{printable(name)}`", name)
    return name


def _missing(counts: Counter[str], wanted: str, name: str | None = None) -> None:
    there = listed(counts.elements()) or "no column"
    one = None if name is None or "," in name else name
    raise InvalidValueError(f"columns must include {wanted}, got {there}{or_meant(one, counts)}")


def _find(counts: Counter[str], name: str, singular: str, *, given: bool = False) -> tuple[str, ...]:
    if name in counts:
        return (name,)
    if "," in name:
        parts = tuple(part.strip() for part in name.split(","))
        return parts if all(part in counts for part in parts) else ()
    prefixes = (f"{name}_",) if given else (f"{name}_", f"{singular}_")
    for prefix in prefixes:
        numbered = {column for column in counts if column.startswith(prefix) and column[len(prefix) :].isdecimal()}
        wanted = tuple(f"{prefix}{index}" for index in range(len(numbered)))
        if numbered and not numbered.issuperset(wanted):
            missing = next(column for column in wanted if column not in numbered)
            raise InvalidValueError(f"columns must be numbered from {prefix}0 without a gap, got no `{missing}`.")
        if len(numbered) == 1 and singular != "feature":
            raise InvalidValueError(
                f"columns must be numbered by the classes, got `{wanted[0]}` alone: name the one of the positive class."
            )
        if numbered:
            return wanted
    if not given and singular in counts:
        return (singular,)
    # Rows of probabilities that are none do not sum to 1; of logits nothing tells, so that these go last.
    by_name = prefixes if given or singular == "prob" else ()
    return next((named for prefix in by_name if len(named := _named(counts, prefix)) > 1), ())


def _named(counts: Counter[str], prefix: str) -> tuple[str, ...]:
    return tuple(column for column in counts if column.startswith(prefix) and column != prefix)


def _classes(values: tuple[str, ...], kind: str, given: str | None) -> tuple[str, ...]:
    """Name the classes by the columns, less the prefix by which they were found; numbers are no names."""
    if len(values) == 1:
        return ()
    if given is not None and "," in given:
        classes = without_shared_words(values)
    else:
        prefixes = (f"{given or kind}_", f"{SINGULAR[kind]}_")
        prefix = next(prefix for prefix in prefixes if all(value.startswith(prefix) for value in values))
        classes = tuple(value.removeprefix(prefix) for value in values)
    if classes == tuple(str(index) for index in range(len(values))):
        return ()
    return classes
