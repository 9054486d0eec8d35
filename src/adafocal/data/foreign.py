# SPDX-License-Identifier: Apache-2.0
"""Other data, in the form that a trained model takes: for shift and out-of-distribution tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adafocal._settings import or_meant
from adafocal.data.config import DataConfig
from adafocal.data.sources import Source
from adafocal.data.splits import DataSplits, Split
from adafocal.data.stored import StoredImages, decode_images
from adafocal.data.texts import encode_subwords, encode_words
from adafocal.errors import InvalidValueError


def foreign_split(sources: dict[str, Source], part: str, *, like: DataSplits, config: DataConfig) -> Split:
    """Bring one part of another data set into the form of a trained model's inputs.

    Images are scaled to the size and converted to the channels of the training part; texts are split into the words of
    its vocabulary, and cut to its length.

    Args:
        sources: Parts of the other data set, by name.
        part: The part to take; a data set with a single part gives that one.
        like: The parts that the model was trained on.
        config: Settings of the training data: its tokenizer.

    Returns:
        All samples of the part, in their order, with their own labels.

    Raises:
        ValueError: If there is no such part, it holds images where the model takes texts, or the other way round, or
            the model takes volumes.
    """
    if like.dense:
        raise InvalidValueError("The data must be volumes, as the model was trained on, got other data.")
    if part not in sources and len(sources) > 1:
        raise InvalidValueError(f"`part` must be one of {', '.join(sources)}, got {part!r}{or_meant(part, sources)}")
    source = sources.get(part, next(iter(sources.values())))
    rows = torch.arange(len(source))
    takes_texts = like.train.inputs.shape[1:].numel() > 0 and len(like.train.inputs.shape) == 2
    if isinstance(source.inputs[0], str) != takes_texts:
        kinds = ("texts", "images") if takes_texts else ("images", "texts")
        raise InvalidValueError(f"The data must be {kinds[0]}, as the model was trained on, got {kinds[1]}.")
    inputs = _texts(source, like, config) if takes_texts else _images(source, rows, like)
    return Split(inputs, torch.from_numpy(np.asarray(source.labels, dtype=np.int64)), rows)


def _texts(source: Source, like: DataSplits, config: DataConfig) -> Tensor:
    texts: Sequence[str] = [str(text) for text in source.inputs]
    length = like.train.inputs.shape[1]
    if like.vocabulary is None:
        return encode_subwords(texts, tokenizer=str(config.tokenizer), length=length)
    return encode_words(texts, vocabulary=like.vocabulary, length=length)


def _images(source: Source, rows: Tensor, like: DataSplits) -> Tensor:
    channels, height, width = like.train.inputs.shape[1:]
    first: Any = source.inputs[0]
    fits = isinstance(first, np.ndarray) and first.shape[:2] == (height, width)
    if not isinstance(first, (bytes, Path, np.ndarray)):
        raise InvalidValueError(f"The data must be images or texts, got {type(first).__name__}.")
    size = None if fits else (height, width)
    images = decode_images(StoredImages(source.inputs, rows, channels=channels, size=size))
    if like.normalised_by is None:
        return images
    mean, deviation = like.normalised_by
    return (images.float() / 255 - mean) / deviation
