# SPDX-License-Identifier: Apache-2.0
"""From what was read to the rows of each part: by the data's own parts, by a column, by groups, or drawn."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adafocal._text import listed, shown
from adafocal.data.catalogue import DatasetSpec
from adafocal.data.classes import with_every_class
from adafocal.data.config import DataConfig, share_of
from adafocal.data.folders import PARTS, part_named
from adafocal.data.groups import check_apart, group_parts
from adafocal.data.sources import Source, joined
from adafocal.data.splits import size_within, stratified_parts
from adafocal.errors import InvalidValueError

Rows = tuple[Source, Tensor]


@dataclass(frozen=True, eq=False)
class Drawn:
    """The rows of each part.

    Attributes:
        parts: Where each part's rows are from, and which they are.
        how: How they were found, in words.
    """

    parts: Mapping[str, Rows]
    how: str


def draw_parts(spec: DatasetSpec, config: DataConfig, held: Mapping[str, Rows], *, seed: int) -> Drawn:
    """Find the rows of train, validation, scaling and test part.

    Args:
        spec: The data set; those of the catalogue have a scheme.
        config: Sizes.
        held: What was read, with one numbering of the classes, by the names of parts or ``all``.
        seed: Fixes what is drawn.

    Raises:
        ValueError: If a part is missing, the sizes do not fit, or a group would be in two parts.
    """
    train = held.get("train", held.get("all"))
    if train is None:
        raise InvalidValueError(f"`data.path` must hold a part named train, or one unnamed part, got {listed(held)}.")
    check_apart(held)
    test_name = next((name for name in spec.test_parts if name in held), None)
    if spec.own and {"test", "validation"} <= held.keys():
        return _given(config, {**held, "train": train}, seed=seed)
    if spec.own and "scaling" in held:
        rule = "Data with a part named scaling must have parts named validation and test too"
        raise InvalidValueError(f"{rule}, got {listed(held)}.")
    if spec.scheme == "pooled" or test_name is None:
        rows = train if len(held) == 1 or spec.own else pool({name: source for name, (source, _) in held.items()})
        return Drawn(_pooled(spec, config, rows, seed=seed), f"drawn from all rows{_by(rows)}")
    if spec.scheme == "halved":
        drawn = _halved(spec, config, train, held[test_name], seed=seed)
        return Drawn(drawn, "train is the data's own, validation and test are drawn from its validation part")
    drawn = _official(spec, config, train, held[test_name], seed=seed)
    return Drawn(drawn, f"test is the data's own {test_name} part, the others are drawn from train{_by(train)}")


def _by(rows: Rows) -> str:
    return "" if rows[0].groups is None else ", whole groups"


def _given(config: DataConfig, held: Mapping[str, Rows], *, seed: int) -> Drawn:
    """Take the parts that the data come in; a second validation part is drawn from the first where there is none."""
    parts = {
        name: _some(held[name], getattr(config, f"{name}_size"), seed=seed) for name in ("train", "test", "validation")
    }
    cut = any(getattr(config, f"{name}_size") for name in ("train", "validation", "scaling", "test"))
    how = "as the data come, some of them drawn" if cut else "as the data come"
    if "scaling" in held:
        parts["scaling"] = _some(held["scaling"], config.scaling_size or None, seed=seed)
    elif config.scaling_size:
        rows = held["validation"]
        n = len(rows[1])
        size = share_of(config.scaling_size, n)
        left = size_within("validation_size", config.validation_size, n - size, of=n)
        parts |= _draw(rows, {"validation": left, "scaling": size}, seed=seed)
        how = f"as the data come, scaling drawn from validation{_by(rows)}"
    return Drawn(parts, how)


def _official(spec: DatasetSpec, config: DataConfig, train: Rows, test: Rows, *, seed: int) -> dict[str, Rows]:
    n = len(train[1])
    sizes = {"validation": _validation_size(spec, config, n), "scaling": share_of(config.scaling_size, n)}
    free = n - sum(sizes.values())
    sizes = {"train": size_within("train_size", config.train_size, free, of=n), **sizes}
    return _draw(train, sizes, seed=seed, whole=spec.own) | {"test": _some(test, config.test_size, seed=seed)}


def _halved(spec: DatasetSpec, config: DataConfig, train: Rows, held: Rows, *, seed: int) -> dict[str, Rows]:
    n = len(held[1])
    sizes = {"validation": _validation_size(spec, config, n), "scaling": share_of(config.scaling_size, n)}
    free = n - sum(sizes.values())
    drawn = _draw(held, {**sizes, "test": size_within("test_size", config.test_size, free, of=n)}, seed=seed)
    n = len(train[1])
    return _draw(train, {"train": share_of(config.train_size or n, n)}, seed=seed) | drawn


def _pooled(spec: DatasetSpec, config: DataConfig, rows: Rows, *, seed: int) -> dict[str, Rows]:
    n = len(rows[1])
    validation, scaling = _validation_size(spec, config, n), share_of(config.scaling_size, n)
    test = share_of(config.test_size or spec.test, n)
    train = size_within("train_size", config.train_size, n - validation - test - scaling, of=n)
    sizes = {"train": train, "validation": validation, "scaling": scaling, "test": test}
    return _draw(rows, sizes, seed=seed, whole=spec.own)


def _some(rows: Rows, size: int | float | None, *, seed: int) -> Rows:
    """Take all rows of a part in their order, or draw some."""
    if size is None:
        return rows
    (part,) = _draw(rows, {"some": share_of(size, len(rows[1]))}, seed=seed).values()
    return part


def _draw(rows: Rows, sizes: Mapping[str, int], *, seed: int, whole: bool = False) -> dict[str, Rows]:
    """Draw parts; ``whole`` lets the training part have every class."""
    source, places = rows
    labels = source.labels[places.numpy()]
    if source.groups is None:
        found = stratified_parts(labels, list(sizes.values()), seed=seed)
    else:
        found = group_parts(labels, source.groups[places.numpy()], list(sizes.values()), seed=seed)
    parts = {name: part for name, part in zip(sizes, found, strict=True) if len(part) > 0}
    if whole and source.groups is None:
        parts = with_every_class(parts, labels)
    return {name: (source, places[part]) for name, part in parts.items()}


def _validation_size(spec: DatasetSpec, config: DataConfig, n: int) -> int:
    if config.validation_size is not None:
        return share_of(config.validation_size, n)
    return share_of(float(spec.validation), n) if spec.validation < 1 else int(spec.validation)


def pool(sources: Mapping[str, Source]) -> Rows:
    """Join all parts, in the order train, validation, test."""
    order = sorted(sources, key=lambda name: ("train", "all", "validation", "scaling", "test").index(name))
    labels = np.concatenate([sources[name].labels for name in order])
    groups = [one for name in order if (one := sources[name].groups) is not None]
    known = np.concatenate(groups) if len(groups) == len(order) else None
    inputs = joined([sources[name].inputs for name in order])
    return Source(inputs, labels, sources[order[0]].class_names, known), torch.arange(len(labels))


def in_parts(sources: Mapping[str, Source], column: str | None) -> dict[str, Rows]:
    """Give the rows of each part that the data come in, or that a column of them names.

    Raises:
        ValueError: If there is a column though the data come in parts, or a value of it is no name of a part.
    """
    if column is None:
        return {name: (source, torch.arange(len(source))) for name, source in sources.items()}
    source = sources.get("all")
    if source is None or source.splits is None:
        raise InvalidValueError(
            f"`data.split_column` must be null for data that come in parts, got {shown(column)} for {listed(sources)}."
        )
    names = np.unique(source.splits).tolist()
    if unknown := [name for name in names if part_named(name) is None]:
        raise InvalidValueError(f"`{column}` must hold names of parts ({listed(PARTS)}), got {listed(unknown)}.")
    meant = np.array([part_named(name) for name in names])[np.searchsorted(names, source.splits)]
    return {part: (source, torch.from_numpy(np.flatnonzero(meant == part))) for part in np.unique(meant).tolist()}
