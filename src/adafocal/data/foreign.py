# SPDX-License-Identifier: Apache-2.0
"""Other data, in the form that a trained model takes: for shift and out-of-distribution tests."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from adafocal._settings import or_meant
from adafocal._text import listed
from adafocal.data.config import DataConfig
from adafocal.data.features import Features
from adafocal.data.folders import part_named
from adafocal.data.labels import UNLABELLED, WHOLE
from adafocal.data.load import kind_of_source, read_sources
from adafocal.data.sources import Source
from adafocal.data.splits import DataSplits, Split
from adafocal.data.stored import StoredImages, decode_images
from adafocal.data.texts import encode_subwords, encode_words
from adafocal.errors import InvalidValueError

COLUMNS = ("input_column", "label_column")


def foreign_source(data: DataConfig, part: str, *, like: DataSplits, config: DataConfig) -> Source:
    """Read one part of another data set, by the columns that the training data have.

    Args:
        data: The other data.
        part: The part to take; a data set with a single part gives that one.
        like: The parts that the model was trained on.
        config: Settings of the training data, whose columns are those of the other data unless it says others.

    Raises:
        FileNotFoundError: If the data are not where the settings say.
        ValueError: If there is no such part, or the data cannot be read.
    """
    named = {name: getattr(data, name) or getattr(config, name) for name in COLUMNS}
    if like.features is not None:
        names = tuple(column.name for column in like.features.columns)
        data = replace(data, feature_columns=data.feature_columns or names, label_column=named["label_column"])
    else:
        try:
            return _part(read_sources(replace(data, **named)), part)
        except InvalidValueError:
            if named == {name: getattr(data, name) for name in COLUMNS}:
                raise
    return _part(read_sources(data), part)


def foreign_split(source: Source, *, like: DataSplits, config: DataConfig) -> Split:
    """Bring one part of another data set into the form of a trained model's inputs.

    Images are scaled to the size and converted to the channels of the training part; texts are split into the words of
    its vocabulary, and cut to its length; numbers and categories are encoded by its columns. Classes are those of the
    same name.

    Args:
        source: The part.
        like: The parts that the model was trained on.
        config: Settings of the training data: its tokenizer.

    Returns:
        All samples of the part, in their order. Labels are classes of the model where all of its classes are; else they
        are as they stand there, and one is at least the number of the model's classes.

    Raises:
        ValueError: If it holds images where the model takes texts, or the like, or the model takes volumes.
    """
    if like.dense:
        raise InvalidValueError("The data must be volumes, as the model was trained on, got other data.")
    rows = torch.arange(len(source))
    takes, held = _taken(like, config), kind_of_source(source)
    if held != takes:
        raise InvalidValueError(f"The data must be {takes}, as the model was trained on, got {held}.")
    if takes == "numbers":
        inputs = _numbers(source, like)
    else:
        inputs = _texts(source, like, config) if takes == "texts" else _images(source, rows, like)
    return Split(inputs, torch.from_numpy(labels_like(source, like.class_names)), rows)


def labels_like(source: Source, class_names: Sequence[str]) -> np.ndarray:
    """Number the classes of other data as a model does, by name.

    Args:
        source: The other data.
        class_names: Names of the model's C classes.

    Returns:
        Class indices, int64, shape (N,); C where the model has no such class, -1 where there is no label. Indices
        without names, where the model's classes have names that are no numbers, stay as they are.

    Example:
        >>> labels_like(Source(["x", "y"], np.array([0, 1]), ("bees", "wasps")), ("ants", "bees"))
        array([1, 2])
    """
    place: Mapping[str, int] = {name: number for number, name in enumerate(class_names)}
    names = source.class_names
    if not names:
        if not all(WHOLE.fullmatch(name) for name in class_names):
            return source.labels
        names = tuple(str(number) for number in range(1 + max(0, int(source.labels.max(initial=0)))))
    number = np.array([place.get(name, len(class_names)) for name in names] or [0], dtype=np.int64)
    return np.where(source.labels == UNLABELLED, place.get("-1", UNLABELLED), number[source.labels])


def _part(sources: Mapping[str, Source], part: str) -> Source:
    meant = {part_named(name) or name: source for name, source in sources.items()}
    found = sources.get(part, meant.get(part_named(part) or part))
    if found is None and len(sources) > 1:
        raise InvalidValueError(f"`part` must be one of {listed(sources)}, got {part!r}{or_meant(part, sources)}")
    return next(iter(sources.values())) if found is None else found


def _taken(like: DataSplits, config: DataConfig) -> str:
    """Tell what a model was trained on: numbers where it is given rows of what are neither words nor subwords."""
    if like.vocabulary is not None or config.tokenizer is not None:
        return "texts"
    return "numbers" if len(like.train.inputs.shape) == 2 else "images"


def _numbers(source: Source, like: DataSplits) -> Tensor:
    if like.features is None or not isinstance(source.inputs, Features):
        raise InvalidValueError("The data must be given by the same function as those that the model was trained on.")
    return like.features(source.inputs)


def _texts(source: Source, like: DataSplits, config: DataConfig) -> Tensor:
    texts: Sequence[str] = [str(text) for text in source.inputs]
    length = like.train.inputs.shape[1]
    if like.vocabulary is None:
        return encode_subwords(texts, tokenizer=str(config.tokenizer), length=length)
    return encode_words(texts, vocabulary=like.vocabulary, length=length)


def _images(source: Source, rows: Tensor, like: DataSplits) -> Tensor:
    channels, height, width = like.train.inputs.shape[1:]
    first = source.inputs[0]
    fits = isinstance(first, np.ndarray) and first.shape[:2] == (height, width)
    size = None if fits else (height, width)
    images = decode_images(StoredImages(source.inputs, rows, channels=channels, size=size, upright=True))
    if like.normalised_by is None:
        return images
    mean, deviation = like.normalised_by
    return (images.float() / 255 - mean) / deviation
