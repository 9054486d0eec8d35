# SPDX-License-Identifier: Apache-2.0
"""Data that a function of the user's own gives: imported, called, and split where it does not split itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adafocal._own import find, is_own, offers, telling
from adafocal._text import listed
from adafocal._typed import parameters_of, typed_arguments
from adafocal.data.catalogue import DATASETS
from adafocal.data.classes import check_classes, count_classes, with_every_class
from adafocal.data.config import DataConfig, share_of
from adafocal.data.given import GivenPart, Inputs, read_given
from adafocal.data.sources import Source
from adafocal.data.splits import DataSplits, Split, size_within, stratified_parts
from adafocal.data.used import check_used
from adafocal.errors import InvalidValueError

DRAWN = {"validation": 0.1, "test": 0.2}  # shares of the rows, where parts are not given
SEED = "seed"
Rows = tuple[Source, Tensor]


def is_made(config: DataConfig) -> bool:
    """Tell whether a function makes the data: own code by its name, or what an installed package offers."""
    if is_own(config.name):
        return True
    if config.name in DATASETS or "/" in config.name or config.path is not None:
        return False
    return any(one.name == config.name for one in offers("data.name", DATASETS))


@dataclass(frozen=True, eq=False)
class Made:
    """Images or texts that a function made.

    Attributes:
        parts: Where each part's rows are from, and which they are.
        names: Names of the classes.
        how: How the parts were found, in words.
    """

    parts: Mapping[str, Rows]
    names: tuple[str, ...]
    how: str


def make_data(config: DataConfig, *, seed: int) -> DataSplits | Made:
    """Call the function that makes the data.

    Args:
        config: Its name, its arguments and the sizes of the parts.
        seed: Given to the function if it takes ``seed``; fixes the split.

    Returns:
        ``DataSplits`` as the function made them, or of arrays; images and texts as they would be read from files.

    Raises:
        TypeError: If it gives nothing of the forms in :mod:`adafocal.data.given`.
        ValueError: If there is no such function, it does not take the arguments, or the sizes do not fit.
        RuntimeError: If its own code raises something.
    """
    name = config.name
    function = find("data.name", name, DATASETS)
    typed = typed_arguments("data.args", name, function, config.args, ours=(SEED,))
    given = {SEED: seed} if SEED in parameters_of("data.name", name, function) else {}
    with telling("data.name", name, [getattr(function, "__module__", None) or ""]):
        made = function(**given, **typed)
        if isinstance(made, DataSplits):
            check_used(config, "own_splits")
            return made
        parts, names = read_given(made, name)
    drawn = _drawn(parts, config, seed=seed)
    stored = {part: _as_stored(held.inputs) for part, held in parts.items()}
    sources = {part: Source(stored[part] or (), held.labels, names) for part, held in parts.items()}
    rows = {part: (sources[source], places) for part, (source, places) in drawn.items()}
    check_classes(count_classes(rows, len(names)), names)
    found = Made(rows, names, _told(drawn))
    if all(inputs is not None for inputs in stored.values()):
        return found
    check_used(config, "own_arrays")
    return _splits_of_arrays(parts, drawn, found)


def _told(drawn: Mapping[str, tuple[str, Tensor]]) -> str:
    """Say how the parts were found."""
    new = [part for part, (source, _) in drawn.items() if source != part]
    if "train" in new:
        return "drawn from all rows"
    return f"as the function gives them{f', {listed(new)} drawn from train' if new else ''}"


def _as_stored(inputs: Inputs) -> Sequence[object] | None:
    """Texts, and images as rows of (H, W, channels), as files hold them; None of other numbers."""
    if isinstance(inputs, list):
        return inputs
    if inputs.dtype != torch.uint8 or inputs.ndim not in (3, 4):
        return None
    if inputs.ndim == 4 and inputs.shape[1] in (1, 3) and inputs.shape[3] not in (1, 3):
        inputs = inputs.permute(0, 2, 3, 1)
    return list(inputs.numpy())


def _splits_of_arrays(
    parts: Mapping[str, GivenPart], drawn: Mapping[str, tuple[str, Tensor]], made: Made
) -> DataSplits:
    """Arrays that the model takes as they are; bytes that are no images become numbers."""
    splits: dict[str, Split] = {}
    for part, (source, places) in drawn.items():
        inputs = parts[source].inputs
        assert isinstance(inputs, Tensor)
        inputs = inputs.float() if inputs.dtype == torch.uint8 else inputs
        splits[part] = Split(inputs[places], torch.from_numpy(parts[source].labels[places.numpy()]), places)
    return DataSplits(**splits, class_names=made.names, how=made.how)  # type: ignore[arg-type]


def _drawn(parts: dict[str, GivenPart], config: DataConfig, *, seed: int) -> dict[str, tuple[str, Tensor]]:
    """Say of each part which given one its rows come from, and which they are: those that are missing from train."""
    first = next(iter(parts))  # train, or all
    n = len(parts[first])
    asked = {part: getattr(config, f"{part}_size") for part in ("validation", "scaling", "test")}
    drawn = {part: share_of(asked[part] or share, n) for part, share in DRAWN.items() if part not in parts}
    if "scaling" not in parts and asked["scaling"]:
        drawn["scaling"] = share_of(asked["scaling"], n)
    train = size_within("train_size", config.train_size, n - sum(drawn.values()), of=n)
    places = stratified_parts(parts[first].labels, [train, *drawn.values()], seed=seed)
    fresh = with_every_class(dict(zip(("train", *drawn), places, strict=True)), parts[first].labels)
    found = {part: (first, rows) for part, rows in fresh.items()}
    for part, held in parts.items():
        if part in asked:
            found[part] = (part, _some(held.labels, part, asked[part], seed=seed))
    return found


def _some(labels: np.ndarray, part: str, asked: float | None, *, seed: int) -> Tensor:
    """All rows of a part, or as many as were asked for."""
    n = len(labels)
    size = share_of(asked, n) if asked else n
    if size > n:
        raise InvalidValueError(f"`data.{part}_size` must be at most {n}, what the function gives, got {asked}.")
    return torch.arange(n) if size == n else stratified_parts(labels, [size], seed=seed)[0]
