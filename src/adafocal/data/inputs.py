# SPDX-License-Identifier: Apache-2.0
"""From the rows of each part to what a network takes: decoded images, token ids, encoded features."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adafocal._text import listed
from adafocal.data.augment import ImageTransform, pixel_statistics
from adafocal.data.catalogue import DatasetSpec
from adafocal.data.config import DataConfig
from adafocal.data.features import (
    Features,
    constant_columns,
    counts_rows,
    fit_encoding,
    tells_class,
    unseen_categories,
)
from adafocal.data.parts import Rows
from adafocal.data.photos import look_at
from adafocal.data.splits import DataSplits, Split
from adafocal.data.stored import Crop, StoredImages, channels_of, decode_images
from adafocal.data.texts import build_vocabulary, encode_subwords, encode_words
from adafocal.errors import InvalidValueError

IN_MEMORY = 1 << 32  # bytes of decoded images; more stay encoded until a batch needs them


def text_splits(
    spec: DatasetSpec,
    config: DataConfig,
    parts: Mapping[str, Rows],
    names: tuple[str, ...],
    *,
    seed: int,  # noqa: ARG001
) -> DataSplits:
    """Turn texts into token ids, by the words of the training part."""
    prepare = spec.prepare or str
    texts = {part: [prepare(source.inputs[row]) for row in rows.tolist()] for part, (source, rows) in parts.items()}
    length = config.length or spec.length
    vocabulary = None
    if config.tokenizer is None:
        vocabulary = build_vocabulary(texts["train"], size=config.vocabulary_size)
        encoded = {part: encode_words(t, vocabulary=vocabulary, length=length) for part, t in texts.items()}
    else:
        encoded = {part: encode_subwords(t, tokenizer=config.tokenizer, length=length) for part, t in texts.items()}
    return DataSplits(**_splits(parts, encoded), class_names=names, vocabulary=vocabulary)


def feature_splits(
    spec: DatasetSpec,  # noqa: ARG001
    config: DataConfig,
    parts: Mapping[str, Rows],
    names: tuple[str, ...],
    *,
    seed: int,  # noqa: ARG001
) -> DataSplits:
    """Scale numbers and encode categories, by the training part."""
    source, rows = parts["train"]
    features = source.inputs
    assert isinstance(features, Features)
    notes = []
    if config.feature_columns is None:
        counting = [name for name, held in features.columns.items() if counts_rows(held)]
        if counting:
            notes.append(f"Columns that number the rows, which are not read: {listed(counting)}")
            features = features.without(counting)
        if telling := [name for name, held in features.columns.items() if tells_class(held, source.labels)]:
            raise InvalidValueError(
                f"Columns of features must not be another name of the class, got {listed(telling)}, whose every value "
                "belongs to one class: name the features by `data.feature_columns`."
            )
    if not features.columns:
        raise InvalidValueError("`data.feature_columns` must name the features, got none that can be read.")
    encoding = fit_encoding(features, rows.numpy())
    if constant := constant_columns(features, rows.numpy()):
        notes.append(f"Columns that do not vary in the training part: {listed(constant)}")
    held = {id(one): one.inputs for one, _ in parts.values()}
    whole = {key: encoding(inputs) for key, inputs in held.items()}  # type: ignore[arg-type]
    encoded = {part: whole[id(one)][places] for part, (one, places) in parts.items()}
    unseen = sum((Counter(unseen_categories(encoding, inputs)) for inputs in held.values()), Counter())  # type: ignore[arg-type]
    for name, count in unseen.items():
        notes.append(f"Rows of `{name}` with a category that the training part has not, which is zero: {count:,}")
    return DataSplits(**_splits(parts, encoded), class_names=names, features=encoding, notes=tuple(notes))


def image_splits(
    spec: DatasetSpec, config: DataConfig, parts: Mapping[str, Rows], names: tuple[str, ...], *, seed: int
) -> DataSplits:
    """Decode images, or let those of large sets stay encoded until a batch needs them."""
    stored, notes = _stored(spec, config, parts)
    large = spec.large or (spec.own and sum(int(np.prod(images.shape)) for images in stored.values()) > IN_MEMORY)
    if large:
        if config.noise > 0:
            raise InvalidValueError(f"`data.noise` must be 0 for data sets that stay on disk, got {config.noise}.")
        crop: dict[str, Crop] = {part: "none" if spec.own else "center" for part in stored}
        if config.augment and not spec.own:
            crop["train"] = "random"
        inputs: dict[str, Any] = {part: replace(images, crop=crop[part]) for part, images in stored.items()}
    else:
        inputs = {part: decode_images(images) for part, images in stored.items()}
    mean, deviation = spec.mean, spec.deviation
    if mean is None or deviation is None or len(mean) != stored["train"].channels:
        # So many tell the mean to 0.001 (a standard error on CIFAR-10), and not all of a large set are decoded for it.
        mean, deviation = pixel_statistics(inputs["train"][torch.arange(min(len(stored["train"]), 10_000))])
    if config.noise > 0:
        generator = torch.Generator().manual_seed(seed)
        inputs = {part: images.float() / 255.0 for part, images in inputs.items()}
        for images in inputs.values():
            images += config.noise * torch.randn(images.shape, generator=generator)
    augment = config.augment
    transform = ImageTransform(mean, deviation, pad=spec.pad if augment else 0, flip=spec.flip and augment)
    return DataSplits(**_splits(parts, inputs), class_names=names, transform=transform, notes=notes)


def _stored(
    spec: DatasetSpec, config: DataConfig, parts: Mapping[str, Rows]
) -> tuple[dict[str, StoredImages], tuple[str, ...]]:
    """Say how images are to be read: grey or in colour, upright, and of which size."""
    source, rows = parts["train"]
    side = config.image_size or spec.image_size
    size = None if side is None else (side, side)
    found = look_at([source.inputs for source, _ in parts.values()], size) if spec.own else None
    channels = channels_of(source.inputs[int(rows[0])]) if found is None else found.channels
    stored = {
        part: StoredImages(source.inputs, rows, channels=channels, size=size, upright=spec.own)
        for part, (source, rows) in parts.items()
    }
    return stored, () if found is None else found.notes


def _splits(parts: Mapping[str, Rows], inputs: Mapping[str, Tensor | StoredImages]) -> dict[str, Any]:
    return {
        part: Split(inputs[part], torch.from_numpy(source.labels[rows.numpy()]), rows)
        for part, (source, rows) in parts.items()
    }
