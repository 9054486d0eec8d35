# SPDX-License-Identifier: Apache-2.0
"""Samples as people can look at them: small pictures, beginnings of texts, rows of numbers by their names."""

import base64
import io
import textwrap
from collections.abc import Sequence
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from adafocal._settings import require
from adafocal.data.features import FeatureEncoding
from adafocal.data.stored import StoredImages
from adafocal.data.texts import PADDING, UNKNOWN

IMAGE_SIDE = 64  # pixels of the longer side: a colour PNG stays near 10 kB
TEXT_LENGTH = 280  # characters


def shown_samples(
    inputs: Tensor | StoredImages,
    rows: Tensor,
    *,
    vocabulary: Sequence[str] | None = None,
    tokenizer: str | None = None,
    features: FeatureEncoding | None = None,
) -> list[dict[str, str]]:
    """Make samples visible.

    Args:
        inputs: Images, token ids, encoded features or volumes, shape (N, …).
        rows: Which of them.
        vocabulary: Words of the token ids, where the inputs are texts split into words.
        tokenizer: Name of the ``transformers`` tokenizer, where the inputs are its ids.
        features: How columns became the inputs, where they are numbers and categories.

    Returns:
        For each row a mapping. Images of one or three channels, and the middle of volumes, come as ``image``, a base64
        PNG of at most 64 pixels a side, floating-point ones stretched to their own range; tokens and numbers come as
        ``text`` of at most 280 characters, tokens in lower case and with … for words outside the vocabulary. Other
        inputs have neither.
    """
    if len(rows) == 0:
        return []
    if len(inputs.shape) == 4 and inputs.shape[1] in (1, 3):
        return [{"image": png(inputs[row[None]][0])} for row in rows]
    if len(inputs.shape) == 5:
        return [{"image": png(inputs[row[None]][0, :1, inputs.shape[2] // 2])} for row in rows]
    texts: list[str] = []
    if isinstance(inputs, Tensor) and inputs.ndim == 2:
        held = inputs[rows.to(inputs.device)].cpu()
        if features is not None:
            texts = [numbers_of(row, features) for row in held]
        elif vocabulary is not None:
            texts = [_words(row, vocabulary) for row in held.tolist()]
        elif tokenizer is not None:
            decoder = require("transformers").AutoTokenizer.from_pretrained(tokenizer)
            texts = [decoder.decode(row, skip_special_tokens=True) for row in held.tolist()]
    shown = [{"text": textwrap.shorten(text, TEXT_LENGTH, placeholder=" …")} for text in texts]
    return shown or [{} for _ in rows]


def numbers_of(inputs: Tensor, features: FeatureEncoding) -> str:
    """Write one encoded row as its columns had it, to four digits."""
    said, start = [], 0
    for column in features.columns:
        width = len(column.inputs)
        part = inputs[start : start + width].double().numpy()
        if column.categories:
            said.append(f"{column.name} {column.categories[int(part.argmax())] if part.any() else '…'}")
        else:
            values = part * np.array(column.deviation) + np.array(column.mean)
            said.append(f"{column.name} {' '.join(f'{value:.4g}' for value in values[:4])}{' …' * (width > 4)}")
        start += width
    return ", ".join(said)


def png(image: Tensor) -> str:
    """Encode one image, shape (1 or 3, H, W), uint8 or floating point, as a base64 PNG."""
    pixels = image.cpu()
    if pixels.dtype != torch.uint8:
        wide = pixels.double().nan_to_num()
        low, high = wide.amin(), wide.amax()
        pixels = ((wide - low) / (high - low).clamp_min(1e-12) * 255).round().to(torch.uint8)
    array = np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())
    picture = require("PIL.Image").fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    picture.thumbnail((IMAGE_SIDE, IMAGE_SIDE))
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _words(ids: Sequence[int], vocabulary: Sequence[str]) -> str:
    known = ["…" if number == UNKNOWN else vocabulary[number] for number in ids if number != PADDING]
    return " ".join("…" if word == "…" else " ".join(run) for word, run in groupby(known))
