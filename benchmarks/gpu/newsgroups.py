# SPDX-License-Identifier: Apache-2.0
"""20 Newsgroups with the GP-CNN in the papers' size: 1000 words, vectors of GloVe where they are at hand."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import torch
from loop import Task
from torch import Tensor

from adafocal.data import DataConfig, inputs, load_splits
from adafocal.data.texts import encode_words, words
from adafocal.models import make_model


def prepare(options: argparse.Namespace, cache: Path) -> None:
    """Split, number the words and look up their vectors, once for all processes."""
    if cache.exists():
        return
    config = DataConfig(name="20newsgroups", root=str(options.data), length=options.words)
    with patch.object(inputs, "encode_words", last_words if options.keep == "last" else encode_words):
        splits = load_splits(config, seed=0)
    parts = {name: (part.inputs, part.labels) for name, part in splits.parts.items()}
    torch.save({"parts": parts, "vocabulary": list(splits.vocabulary)}, cache)


def last_words(texts: Sequence[str], *, vocabulary: Sequence[str], length: int) -> Tensor:
    """Turn texts into ids of their last words, padded in front, as the dual focal loss's authors do."""
    ends = [" ".join(words(text)[: -length - 1 : -1]) for text in texts]  # from the last word backwards
    return encode_words(ends, vocabulary=vocabulary, length=length).flip(1)


def make_task(options: argparse.Namespace, cache: Path, device: torch.device) -> Task:
    """Put everything on the device."""
    stored = torch.load(cache, weights_only=True)
    parts = {
        name: tuple(values[: options.images].to(device) for values in pair) for name, pair in stored["parts"].items()
    }
    glove = options.data / "glove.txt"
    settings = {"width": 2 * options.width, **({"glove": str(glove)} if glove.exists() else {})}
    shape = tuple(parts["train"][0].shape[1:])
    vocabulary = stored["vocabulary"]
    return Task(
        parts=parts,
        model=lambda: make_model("text_cnn", settings, input_shape=shape, n_classes=20, vocabulary=vocabulary),
        optimizer=lambda model: torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3),
        train=lambda batch: batch,
        plain=lambda batch: batch,
        epochs=options.epochs or 50,
        batch_size=options.batch_size,
        compiled=options.compile,
        loss_args={"dual_focal": {"gamma": 3.0}},  # its authors' for text
    )
