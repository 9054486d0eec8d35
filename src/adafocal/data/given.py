# SPDX-License-Identifier: Apache-2.0
"""What a function of the user's own may give as data, brought to one form: parts by name, arrays with labels.

A part is a pair ``(inputs, labels)`` or a ``torch.utils.data.Dataset`` of such pairs of single samples. A function
gives one part, which is split; a tuple ``(train, test)`` or ``(train, validation, test)`` of parts; a mapping from
their names to parts, with ``class_names`` if it likes; or ``DataSplits``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from adafocal._text import listed, shown
from adafocal.errors import InvalidTypeError, InvalidValueError

PARTS = ("train", "validation", "scaling", "test")
CLASS_NAMES = "class_names"
Inputs: TypeAlias = Tensor | list[str]


@runtime_checkable
class Samples(Protocol):
    """What a data set of single samples offers."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: int, /) -> object: ...


@dataclass(frozen=True, eq=False)
class GivenPart:
    """One part, read.

    Attributes:
        inputs: A tensor with N rows, or N texts.
        labels: Class indices, int64, or names of classes, shape (N,).
        class_names: What a data set says of its classes; empty where it says nothing.
    """

    inputs: Inputs
    labels: np.ndarray
    class_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)


def read_given(made: object, title: str) -> tuple[dict[str, GivenPart], tuple[str, ...]]:
    """Read what a function gave: parts by name, ``all`` for a single one, and names of the classes.

    Args:
        made: What it gave.
        title: What it is called.

    Returns:
        The parts with labels that are indices, and the names of the C classes.

    Raises:
        TypeError: If it is none of the forms above.
        ValueError: If parts do not fit together.
    """
    raw, names = _raw_parts(made, title)
    parts = {part: _read(value, f"{title} ({part})") for part, value in raw.items()}
    empty = [part for part, held in parts.items() if not len(held)]
    if empty:
        raise InvalidValueError(
            f"`data.name` {title} must give at least one sample in each part, got none as {empty[0]}."
        )
    kinds = {part: _kind(held.inputs) for part, held in parts.items()}
    if len(set(kinds.values())) > 1:
        said = ", ".join(f"{kind} as {part}" for part, kind in kinds.items())
        raise InvalidValueError(f"`data.name` {title} must give alike inputs in all parts, got {said}.")
    names = names or next((held.class_names for held in parts.values() if held.class_names), ())
    return _numbered(parts, names, title)


def _raw_parts(made: object, title: str) -> tuple[dict[str, object], tuple[str, ...]]:
    if isinstance(made, Mapping):
        names = tuple(map(str, made.get(CLASS_NAMES) or ()))
        parts = {str(part): value for part, value in made.items() if part != CLASS_NAMES and value is not None}
        if set(parts) == {"inputs", "labels"}:
            return {"all": (parts["inputs"], parts["labels"])}, names
        if "train" not in parts or not set(parts) <= set(PARTS):
            raise InvalidValueError(
                f"`data.name` {title} must give a part train, and others among {', '.join(PARTS[1:])}, got "
                f"{listed(parts) or 'none'}."
            )
        return {part: parts[part] for part in PARTS if part in parts}, names
    if _is_part(made):
        return {"all": made}, ()
    if isinstance(made, (tuple, list)) and len(made) in (2, 3) and all(map(_is_part, made)):
        return dict(
            zip(("train", "test") if len(made) == 2 else ("train", "validation", "test"), made, strict=True)
        ), ()
    raise InvalidTypeError(
        f"`data.name` {title} must give (inputs, labels), a torch Dataset, parts by name such as "
        f"{{'train': (inputs, labels), 'test': ...}}, (train, validation, test) or DataSplits, got {shown(made)}."
    )


def _is_part(value: object) -> bool:
    if isinstance(value, (tuple, list)):
        return len(value) == 2 and all(_is_column(one) for one in value)
    return not isinstance(value, (str, bytes, Tensor, np.ndarray)) and isinstance(value, Samples)


def _is_column(value: object) -> bool:
    """Whether this holds something of every sample, and is no part itself."""
    if isinstance(value, (tuple, list)):
        return not (len(value) == 2 and all(isinstance(one, (Tensor, np.ndarray)) for one in value))
    return isinstance(value, (Tensor, np.ndarray))


def _read(value: object, title: str) -> GivenPart:
    names: tuple[str, ...] = ()
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise InvalidTypeError(f"`data.name` {title} must be (inputs, labels), got {len(value)} things.")
        inputs, labels = value
    elif isinstance(value, (str, bytes, Tensor, np.ndarray)) or not isinstance(value, Samples):
        raise InvalidTypeError(f"`data.name` {title} must be (inputs, labels) or a torch Dataset, got {shown(value)}.")
    else:
        inputs, labels = _items(value, title)
        names = tuple(map(str, getattr(value, "classes", None) or ()))
    read = _inputs(inputs, title), _labels(labels, title), names
    if len(read[0]) != len(read[1]):
        raise InvalidValueError(
            f"`data.name` {title} must give a label per input, got {len(read[1])} for {len(read[0])}."
        )
    return GivenPart(*read)


def _items(dataset: Samples, title: str) -> tuple[list[object], list[object]]:
    """Read a data set of single samples, once."""
    inputs, labels = [], []
    for place in range(len(dataset)):
        item = dataset[place]
        if not isinstance(item, (tuple, list)) or len(item) < 2:
            raise InvalidTypeError(
                f"`data.name` {title} must give pairs of input and label, got {shown(item)} at {place}."
            )
        inputs.append(item[0])
        labels.append(item[1])
    return inputs, labels


def _inputs(values: object, title: str) -> Inputs:
    if isinstance(values, (list, tuple)) and values and all(isinstance(one, str) for one in values):
        return list(values)
    try:
        if isinstance(values, (list, tuple)):
            values = [one if isinstance(one, Tensor) else torch.from_numpy(np.array(one)) for one in values]
            tensor = torch.stack(values) if values else torch.empty(0, 1)
        else:
            tensor = values.detach().cpu() if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
    except (TypeError, ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())[:200]
        raise InvalidTypeError(
            f"`data.name` {title} must give inputs of one shape, or texts, got others: {said}."
        ) from error
    if tensor.ndim == 0 or tensor.is_complex():
        raise InvalidTypeError(f"`data.name` {title} must give a row per sample, got {shown(values)}.")
    if tensor.ndim == 1:
        tensor = tensor[:, None]  # one number per sample
    if tensor.is_floating_point() or tensor.dtype == torch.bool:
        tensor = tensor.float()
        wrong = ~tensor.flatten(1).isfinite().all(dim=1)
        if bool(wrong.any()):
            raise InvalidValueError(
                f"`data.name` {title} must give finite inputs, got others in row {int(wrong.nonzero()[0])}."
            )
        return tensor
    return tensor if tensor.dtype == torch.uint8 else tensor.long()


def _labels(values: object, title: str) -> np.ndarray:
    values = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
    if isinstance(values, (list, tuple)):
        values = [one.item() if isinstance(one, (Tensor, np.generic)) and one.ndim == 0 else one for one in values]
    labels = np.asarray(values)
    if labels.dtype == object and all(isinstance(one, str) for one in labels.flat):
        labels = labels.astype(str)
    if labels.ndim != 1 or labels.dtype.kind not in "biuU":
        raise InvalidTypeError(
            f"`data.name` {title} must give labels of shape (N,), class indices or names, got shape {labels.shape} of "
            f"{labels.dtype}: give DataSplits for other data."
        )
    labels = labels if labels.dtype.kind == "U" else labels.astype(np.int64)
    if labels.dtype.kind != "U" and len(labels) and labels.min() < 0:
        raise InvalidValueError(
            f"`data.name` {title} must give labels >= 0, got {labels.min()} in row {labels.argmin()}."
        )
    return labels


def _kind(inputs: Inputs) -> str:
    return f"{inputs.dtype} of shape {tuple(inputs.shape[1:])}" if isinstance(inputs, Tensor) else "texts"


def _numbered(
    parts: dict[str, GivenPart], names: Sequence[str], title: str
) -> tuple[dict[str, GivenPart], tuple[str, ...]]:
    """Number labels that are names, and name classes that are numbers."""
    words = {held.labels.dtype.kind == "U" for held in parts.values()}
    if len(words) > 1:
        raise InvalidValueError(
            f"`data.name` {title} must give labels of one kind in all parts, got indices and names."
        )
    found = sorted(set().union(*(held.labels.tolist() for held in parts.values())))
    if words == {True}:
        known = list(names) or found
        unknown = [one for one in found if one not in known]
        if unknown:
            raise InvalidValueError(f"`data.name` {title} must give labels among its classes, got {shown(unknown[0])}.")
        number = {name: place for place, name in enumerate(known)}
        labels = {part: np.array([number[one] for one in held.labels.tolist()]) for part, held in parts.items()}
    else:
        known = list(names) or [str(place) for place in range(found[-1] + 1)]
        labels = {part: held.labels for part, held in parts.items()}
        if found[-1] >= len(known):
            raise InvalidValueError(
                f"`data.name` {title} must give labels below the number of its classes, {len(known)}, got {found[-1]}."
            )
    if len(known) < 2:
        raise InvalidValueError(f"`data.name` {title} must give at least 2 classes, got {len(known)}.")
    return {part: GivenPart(held.inputs, labels[part]) for part, held in parts.items()}, tuple(known)
