# SPDX-License-Identifier: Apache-2.0
"""What would be trained on, in words and counts."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adafocal.data.augment import ImageTransform
from adafocal.data.config import DataConfig
from adafocal.data.shown import shown_samples
from adafocal.data.splits import DataSplits
from adafocal.data.volumes import IGNORED

CALLED = {"digits": "images", "own": "data"}
MOST_EXAMPLES, MOST_OF_CLASS, MOST_TEXTS = 60, 6, 24


@dataclass(frozen=True)
class Sample:
    """One sample of the training part.

    Attributes:
        row: Its row in the source.
        label: Its class.
        image: A PNG in base64; empty for none.
        text: What is shown of a text or of numbers; empty for none.
    """

    row: int
    label: str
    image: str = ""
    text: str = ""


@dataclass(frozen=True)
class Overview:
    """What would be trained on.

    Attributes:
        facts: In words, by what they are about: where the data lie, what a sample is, how they were split.
        classes: Names of the C classes.
        counts: Samples of each class by part, or voxels of volumes.
        unit: What is counted.
        notes: What was left out or changed, a sentence each without its full stop.
    """

    facts: Mapping[str, str]
    classes: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]
    unit: str
    notes: tuple[str, ...]


def overview_of(splits: DataSplits, config: DataConfig, kind: str, *, seed: int, model: str = "") -> Overview:
    """Describe loaded data.

    Args:
        splits: The parts.
        config: The settings that they were loaded by.
        kind: What the samples are, as :func:`adafocal.data.kinds.kind_of` says.
        seed: Seed of the run, which the split follows unless the settings fix it.
        model: What would be trained on them.
    """
    counts = {name: tuple(_counts(part.labels, splits.n_classes)) for name, part in splits.parts.items()}
    unit = "voxels" if splits.dense else "samples"
    facts = {
        "data": f"{config.name}, {CALLED.get(kind, kind)} {_place(config, kind)}",
        "a sample": _sample(splits, config),
        "normalised": _normalised(splits),
        "noise": f"deviation {config.noise:g} of values from 0 to 1, added once" if config.noise else "",
        "parts": _parts(splits, config, seed),
        "to be trained": model,
    }
    return Overview(
        {name: text for name, text in facts.items() if text},
        splits.class_names,
        counts,
        unit,
        splits.notes,
    )


def examples_of(splits: DataSplits, config: DataConfig) -> list[Sample]:
    """Choose a few training samples of each class, the first of their rows, and make them visible."""
    inputs = splits.train.inputs
    most = MOST_EXAMPLES if len(inputs.shape) > 2 else MOST_TEXTS
    if splits.dense:
        rows = torch.arange(min(len(splits.train), MOST_OF_CLASS))
        labels = [""] * len(rows)
    else:
        of_class = max(1, min(MOST_OF_CLASS, most // splits.n_classes))
        found = [(splits.train.labels == place).nonzero()[:of_class, 0] for place in range(splits.n_classes)]
        rows = torch.cat(found)[:most]
        labels = [splits.class_names[place] for place in splits.train.labels[rows].tolist()]
    shown = shown_samples(
        inputs, rows, vocabulary=splits.vocabulary, tokenizer=config.tokenizer, features=splits.features
    )
    numbers = splits.train.index[rows].tolist()
    return [Sample(row, label, **one) for row, label, one in zip(numbers, labels, shown, strict=True)]


def _counts(labels: Tensor, n_classes: int) -> list[int]:
    flat = labels[labels != IGNORED].flatten()
    counts: list[int] = np.bincount(flat.numpy(), minlength=n_classes).tolist()
    return counts


def _place(config: DataConfig, kind: str) -> str:
    if config.path is not None:
        return f"in {config.path}"
    if config.root is not None:
        return f"below {config.root}"
    return {"digits": "of scikit-learn", "own": "that a function makes"}.get(kind, "of the hub")


def _sample(splits: DataSplits, config: DataConfig) -> str:
    shape = tuple(splits.train.inputs.shape[1:])
    if splits.features is not None:
        categories = sum(bool(column.categories) for column in splits.features.columns)
        numbers = sum(len(column.mean) for column in splits.features.columns)
        words = f", and {categories} columns of categories, one-hot" if categories else ""
        return f"{numbers} numbers{words}: {shape[0]} inputs" if categories else f"{numbers} numbers"
    if splits.vocabulary is not None:
        return f"{shape[0]} words, cut or padded, of a vocabulary of {len(splits.vocabulary):,}"
    if len(shape) == 1:
        return f"{shape[0]} tokens of {config.tokenizer}, cut or padded" if config.tokenizer else f"{shape[0]} numbers"
    if len(shape) == 3:
        side = "" if config.image_size is None else f", scaled to {config.image_size} x {config.image_size}"
        colour = {1: "grey", 3: "colour"}.get(shape[0], f"{shape[0]} channels")
        return f"{shape[1]} x {shape[2]} pixels, {colour}{side}"
    return f"{' x '.join(map(str, shape[1:]))} voxels, channels: {shape[0]}"


def _normalised(splits: DataSplits) -> str:
    if splits.features is not None:
        return "numbers to mean 0 and deviation 1 of the training part; categories to 0 and 1"
    if isinstance(splits.transform, ImageTransform):
        transform = splits.transform
        mean, deviation = (" ".join(f"{value:.3f}" for value in part) for part in (transform.mean, transform.deviation))
        changed = [f"shifted by up to {transform.pad} pixels"] if transform.pad else []
        changed += ["mirrored at random"] if transform.flip else []
        more = f"; in training {' and '.join(changed)}" if changed else "; not augmented"
        return f"less mean {mean}, by deviation {deviation} of pixels from 0 to 1{more}"
    if splits.normalised_by is not None:
        return f"less mean {splits.normalised_by[0]:.3f}, by deviation {splits.normalised_by[1]:.3f}"
    return "each channel of a case to mean 0 and deviation 1" if splits.dense else ""


def _parts(splits: DataSplits, config: DataConfig, seed: int) -> str:
    sizes = ", ".join(f"{name} {len(part):,}" for name, part in splits.parts.items())
    how = f"; {splits.how}" if splits.how else ""
    column = "" if config.split_column is None else f" by column {config.split_column}"
    groups = "" if config.group_column is None else f"; no {config.group_column} is in two parts"
    seed = seed if config.split_seed is None else config.split_seed
    drawn = "" if splits.how == "as the data come" else f", seed {seed}"
    return f"{sizes}{how}{column}{groups}{drawn}"
