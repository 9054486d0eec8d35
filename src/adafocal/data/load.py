# SPDX-License-Identifier: Apache-2.0
"""From a data set's name to its parts: read, split, decode or tokenise."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adafocal.data.augment import ImageTransform, pixel_statistics
from adafocal.data.catalogue import DatasetSpec, get_dataset
from adafocal.data.config import DataConfig, share_of
from adafocal.data.sources import Source, read_hub, read_source
from adafocal.data.splits import DataSplits, Split, size_within, stratified_parts
from adafocal.data.stored import StoredImages, channels_of, decode_images
from adafocal.data.texts import build_vocabulary, encode_subwords, encode_words
from adafocal.data.used import check_used
from adafocal.errors import InvalidValueError, MissingFileError

Rows = tuple[Source, Tensor]


def load_splits(config: DataConfig, *, seed: int) -> DataSplits:
    """Load a data set and split it by seed.

    Args:
        config: Which data set, where it lies, and the sizes of its parts.
        seed: Fixes split and noise, unless ``config.split_seed`` does.

    Returns:
        Disjoint parts with the class shares of what they were drawn from. Images are uint8 and decoded, texts are
        token ids; ``transform`` turns batches of them into inputs.

    Raises:
        FileNotFoundError: If the data are not where the settings say.
        ValueError: If the name is unknown, the sizes do not fit the data, or the data are no images or texts.
    """
    spec = get_dataset(config)
    seed = seed if config.split_seed is None else config.split_seed
    if spec.load is not None:
        if spec.kind is not None:
            check_used(config, spec.kind)
        return spec.load(config, seed=seed)
    sources = aligned(read_sources(config))
    parts = draw_parts(spec, config, sources, seed=seed)
    names = class_names(sources)
    first = parts["train"][0].inputs[int(parts["train"][1][0])]
    if isinstance(first, str):
        check_used(config, "texts")
        return _text_splits(spec, config, parts, names)
    if isinstance(first, (bytes, Path, np.ndarray)):
        check_used(config, "images", table=not isinstance(first, Path))
        return _image_splits(spec, config, parts, names, seed=seed)
    raise InvalidValueError(f"`data.input_column` must hold images or texts, got {type(first).__name__}.")


def draw_parts(spec: DatasetSpec, config: DataConfig, sources: dict[str, Source], *, seed: int) -> dict[str, Rows]:
    """Draw the rows of train, validation, scaling and test part, by the data set's scheme.

    Raises:
        ValueError: If a part is missing or the sizes do not fit.
    """
    test_name = next((name for name in spec.test_parts if name in sources), None)
    train_source = sources.get("train", sources.get("all"))
    if train_source is None:
        raise InvalidValueError(
            f"`data.path` must hold a part named train, or one unnamed part, got {', '.join(sources)}."
        )
    if spec.scheme == "pooled" or test_name is None:
        return _draw_pooled(spec, config, pool(sources), seed=seed)
    test_source = sources[test_name]
    held = test_source if spec.scheme == "halved" else train_source
    scaling = share_of(config.scaling_size, len(held))
    sizes = {"validation": _validation_size(spec, config, len(held)), "scaling": scaling}
    free = len(held) - sum(sizes.values())
    if spec.scheme == "halved":
        drawn = _draw(
            held, {**sizes, "test": size_within("test_size", config.test_size, free, of=len(held))}, seed=seed
        )
        n = len(train_source)
        train = _draw(train_source, {"train": share_of(config.train_size or n, n)}, seed=seed)
    else:
        drawn = _draw(
            held, {"train": size_within("train_size", config.train_size, free, of=len(held)), **sizes}, seed=seed
        )
        train = {"train": drawn.pop("train")}
        if config.test_size is None:
            drawn["test"] = (test_source, torch.arange(len(test_source)))
        else:
            drawn |= _draw(test_source, {"test": share_of(config.test_size, len(test_source))}, seed=seed)
    return train | drawn


def _draw_pooled(spec: DatasetSpec, config: DataConfig, source: Source, *, seed: int) -> dict[str, Rows]:
    n = len(source)
    validation, scaling = _validation_size(spec, config, n), share_of(config.scaling_size, n)
    test = share_of(config.test_size or round(spec.test * n), n)
    train = size_within("train_size", config.train_size, n - validation - test - scaling, of=n)
    sizes = {"train": train, "validation": validation, "scaling": scaling, "test": test}
    return _draw(source, sizes, seed=seed)


def _draw(source: Source, sizes: dict[str, int], *, seed: int) -> dict[str, Rows]:
    drawn = stratified_parts(source.labels, list(sizes.values()), seed=seed)
    return {name: (source, rows) for name, rows in zip(sizes, drawn, strict=True) if len(rows) > 0}


def _validation_size(spec: DatasetSpec, config: DataConfig, n: int) -> int:
    if config.validation_size is not None:
        return share_of(config.validation_size, n)
    return round(spec.validation * n) if spec.validation < 1 else int(spec.validation)


def aligned(sources: dict[str, Source]) -> dict[str, Source]:
    """Bring all parts to one numbering of the classes, and leave out parts whose labels are hidden (-1).

    Raises:
        ValueError: If no part has labels.
    """
    known = {name: source for name, source in sources.items() if len(source) and source.labels.min() >= 0}
    if not known:
        rule = "Labels must be names or class indices >= 0, got none in any part"
        raise InvalidValueError(f"{rule}: images lie in one folder per class.")
    names = {source.class_names for source in known.values()}
    if len(names) == 1:
        return known
    union = sorted(set().union(*names))
    number = {name: place for place, name in enumerate(union)}
    return {
        part: replace(
            source,
            labels=np.array([number[name] for name in source.class_names], dtype=np.int64)[source.labels],
            class_names=tuple(union),
        )
        for part, source in known.items()
    }


def class_names(sources: dict[str, Source]) -> tuple[str, ...]:
    """Name the classes, by numbers where the source has none."""
    n = 1 + max(int(source.labels.max()) for source in sources.values())
    names = next(iter(sources.values())).class_names
    return names if len(names) >= n else tuple(str(place) for place in range(n))


def pool(sources: dict[str, Source]) -> Source:
    """Join all parts, in the order train, validation, test."""
    order = sorted(sources, key=lambda name: ("train", "all", "validation", "valid", "val", "test").index(name))
    inputs = [value for name in order for value in sources[name].inputs]
    labels = np.concatenate([sources[name].labels for name in order])
    return Source(inputs, labels, sources[order[0]].class_names)


def read_sources(config: DataConfig) -> dict[str, Source]:
    """Read the parts of a data set as they are stored, by name.

    Raises:
        FileNotFoundError: If the data are not where the settings say.
        ValueError: If the name is unknown or the data set is made, not read.
    """
    spec = get_dataset(config)
    if spec.load is not None:
        raise InvalidValueError(f"`data.name` must be a data set that is read from files, got {config.name!r}.")
    columns = {"input_column": config.input_column, "label_column": config.label_column}
    path = config.path
    if path is None and config.root is not None:
        path = str(Path(config.root) / (spec.folder or config.name))
        if not Path(path).exists():
            raise MissingFileError(f"`data.root` must hold a folder {Path(path).name}, got {config.root!r}.")
    if path is not None:
        return read_source(path, **columns, large=spec.large)
    return read_hub(spec.hub or config.name, **columns)


def _text_splits(spec: DatasetSpec, config: DataConfig, parts: dict[str, Rows], names: tuple[str, ...]) -> DataSplits:
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


def _image_splits(
    spec: DatasetSpec, config: DataConfig, parts: dict[str, Rows], names: tuple[str, ...], *, seed: int
) -> DataSplits:
    source, rows = parts["train"]
    channels = channels_of(source.inputs[int(rows[0])])
    side = config.image_size or spec.image_size
    size = None if side is None else (side, side)
    stored = {part: StoredImages(s.inputs, rows, channels=channels, size=size) for part, (s, rows) in parts.items()}
    if spec.large:
        if config.noise > 0:
            raise InvalidValueError(f"`data.noise` must be 0 for data sets that stay on disk, got {config.noise}.")
        inputs: dict[str, Any] = {part: replace(images, crop="center") for part, images in stored.items()}
        if config.augment:
            inputs["train"] = replace(stored["train"], crop="random")
    else:
        inputs = {part: decode_images(images) for part, images in stored.items()}
    mean, deviation = spec.mean, spec.deviation
    if mean is None or deviation is None or len(mean) != channels:
        # So many tell the mean to 0.001 (a standard error on CIFAR-10), and not all of a large set are decoded for it.
        mean, deviation = pixel_statistics(inputs["train"][torch.arange(min(len(rows), 10_000))])
    if config.noise > 0:
        generator = torch.Generator().manual_seed(seed)
        inputs = {part: images.float() / 255.0 for part, images in inputs.items()}
        for images in inputs.values():
            images += config.noise * torch.randn(images.shape, generator=generator)
    augment = config.augment
    transform = ImageTransform(mean, deviation, pad=spec.pad if augment else 0, flip=spec.flip and augment)
    return DataSplits(**_splits(parts, inputs), class_names=names, transform=transform)


def _splits(parts: dict[str, Rows], inputs: Mapping[str, Tensor | StoredImages]) -> dict[str, Any]:
    return {
        part: Split(inputs[part], torch.from_numpy(source.labels[rows.numpy()]), rows)
        for part, (source, rows) in parts.items()
    }
