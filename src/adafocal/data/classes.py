# SPDX-License-Identifier: Apache-2.0
"""The classes of a data set: one numbering for all parts, names for all, and samples of each to learn from."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from adafocal._text import listed, shown
from adafocal.data.labels import UNLABELLED
from adafocal.data.sources import Source
from adafocal.errors import InvalidValueError

UNKNOWN = "Labels must be names or class indices >= 0, got none in any part: "


def aligned(sources: Mapping[str, Source], label: str | None = None) -> tuple[dict[str, Source], list[str]]:
    """Bring all parts to one numbering of the classes, and leave out parts without labels or with hidden ones (-1).

    Indices with gaps, such as 0, 2, 5, and -1 beside others become names.

    Args:
        sources: What was read, by part.
        label: The column of labels that the user named.

    Returns:
        The parts that have labels, and the names of those that were left out.

    Raises:
        ValueError: If no part has labels, or one has names and another has indices.
    """
    known = {name: source for name, source in sources.items() if len(source) and source.labels.max() > UNLABELLED}
    left_out = [name for name in sources if name not in known]
    if not known:
        columns = next((source.columns for source in sources.values()), ())
        if columns:
            what, got = ("set", "") if label is None else ("a column of the data", f"{shown(label)} for ")
            remedy = ": name the one that holds the classes" if label is None else ""
            raise InvalidValueError(f"`data.label_column` must be {what}, got {got}columns {listed(columns)}{remedy}.")
        raise InvalidValueError(f"{UNKNOWN}images lie in one folder per class.")
    names = {source.class_names for source in known.values()}
    for part, source in known.items():
        if source.class_names and source.labels.min() < 0:
            n = int((source.labels < 0).sum())
            raise InvalidValueError(f"Labels must be class indices >= 0, got -1 in {n:,} rows of part {part}.")
    if names == {()}:
        values = np.unique(np.concatenate([np.unique(source.labels) for source in known.values()]))
        if (values == np.arange(len(values))).all():
            return known, left_out
        renamed = {part: _by_value(source, values) for part, source in known.items()}
        return renamed, left_out
    if () in names:
        kinds = [f"{'names' if source.class_names else 'indices'} in {part}" for part, source in known.items()]
        raise InvalidValueError(f"Labels must be names in all parts or indices in all, got {listed(kinds)}.")
    if len(names) == 1:
        return known, left_out
    union = sorted(set().union(*names))
    number = {name: place for place, name in enumerate(union)}
    renumbered = {
        part: replace(
            source,
            labels=np.array([number[name] for name in source.class_names], dtype=np.int64)[source.labels],
            class_names=tuple(union),
        )
        for part, source in known.items()
    }
    return renumbered, left_out


def class_names(sources: Mapping[str, Source]) -> tuple[str, ...]:
    """Name the classes, by numbers where the source has none."""
    n = 1 + max(int(source.labels.max()) for source in sources.values())
    names = next(iter(sources.values())).class_names
    return names if len(names) >= n else tuple(str(place) for place in range(n))


def with_every_class(parts: dict[str, Tensor], labels: np.ndarray) -> dict[str, Tensor]:
    """Let the training part have a sample of every class, where a rare one was drawn into other parts alone.

    A sample of the missing class changes places with one of the training part's most frequent class; parts that lack no
    class stay as they are.

    Args:
        parts: Rows of each part, ``train`` among them.
        labels: Class of each row.
    """
    train = parts["train"].numpy().copy()
    others = {name: rows.numpy().copy() for name, rows in parts.items() if name != "train"}
    counts = np.bincount(labels[train], minlength=1 + int(labels.max()))
    missing = [value for value in np.unique(labels).tolist() if counts[value] == 0]
    if not missing:
        return parts
    for value in missing:
        most = int(counts.argmax())
        if counts[most] < 2:
            break  # fewer samples than classes: said by `check_classes`
        place = int(np.flatnonzero(labels[train] == most)[-1])
        left = np.setdiff1d(np.flatnonzero(labels == value), np.concatenate([train, *others.values()]))
        for rows in (left, *others.values()):
            found = np.flatnonzero(labels[rows] == value)
            if len(found):
                rows[found[0]], train[place] = train[place], rows[found[0]]
                counts[[most, value]] += (-1, 1)
                break
    return {name: torch.from_numpy(train if name == "train" else others[name]) for name in parts}


def count_classes(parts: Mapping[str, tuple[Source, Tensor]], n_classes: int) -> dict[str, np.ndarray]:
    """Count the samples of each class by part."""
    return {
        name: np.bincount(source.labels[rows.numpy()], minlength=n_classes) for name, (source, rows) in parts.items()
    }


def check_classes(counts: Mapping[str, np.ndarray], names: tuple[str, ...]) -> None:
    """Raise unless there are two classes, and the training part has samples of every class that another part has.

    Args:
        counts: Samples of each class by part, shape (C,).
        names: Names of the classes.
    """
    train = counts["train"]
    if (train > 0).sum() < 2:
        found = listed(names[place] for place in np.flatnonzero(train))
        raise InvalidValueError(f"The training part must hold at least two classes, got {found} alone.")
    others = np.sum([part for name, part in counts.items() if name != "train"], axis=0)
    missing = np.flatnonzero((train == 0) & (others > 0))
    if len(missing):
        named = [f"{names[place]} ({others[place]:,} in other parts)" for place in missing]
        raise InvalidValueError(
            f"The training part must hold samples of every class, got none of {listed(named)}: leave these rows out, "
            "or draw the parts anew."
        )


def notes_on(counts: Mapping[str, np.ndarray], names: tuple[str, ...]) -> list[str]:
    """Say which parts lack a class, and which classes have no sample at all."""
    total = np.sum(list(counts.values()), axis=0)
    notes = []
    if nowhere := [names[place] for place in np.flatnonzero(total == 0)]:
        notes.append(f"Classes without a sample in any part: {listed(nowhere)}")
    for part, held in counts.items():
        if missing := [names[place] for place in np.flatnonzero((held == 0) & (total > 0))]:
            notes.append(f"Classes without a sample in the {part} part: {listed(missing)}")
    return notes


def _by_value(source: Source, values: np.ndarray) -> Source:
    labels = np.searchsorted(values, source.labels).astype(np.int64)
    return replace(source, labels=labels, class_names=tuple(str(value) for value in values.tolist()))
