# SPDX-License-Identifier: Apache-2.0
"""The most confident mistakes of a run, small enough to show on a page: ``examples.json``.

::

    {"part": "test", "n": 997, "mistakes": 280, "examples": [
      {"row": 1204, "label": 3, "predicted": 8, "confidence": 0.998, "image": "<base64 PNG>"}, …]}

``row`` counts in the source; ``label`` and ``predicted`` are class indices. ``image`` or ``text`` is there where the
data can be shown.
"""

import base64
import io
import json
import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from adafocal._checks import check_integer, require
from adafocal._files import write_text
from adafocal.data.splits import Split
from adafocal.data.stored import StoredImages
from adafocal.data.texts import PADDING, UNKNOWN
from adafocal.errors import InvalidValueError
from adafocal.predictions import Predictions

N_EXAMPLES = 24
IMAGE_SIDE = 64  # pixels of the longer side: a colour PNG stays near 10 kB
TEXT_LENGTH = 280  # characters


def worst_examples(
    split: Split,
    predictions: Predictions,
    *,
    vocabulary: Sequence[str] | None = None,
    tokenizer: str | None = None,
    n: int = N_EXAMPLES,
) -> list[dict[str, object]]:
    """Find the wrong predictions of largest confidence, with what they were made from.

    Args:
        split: The samples, in the order of the predictions.
        predictions: Predictions of this part.
        vocabulary: Words of the token ids, where the inputs are texts split into words.
        tokenizer: Name of the ``transformers`` tokenizer, where the inputs are its ids.
        n: At most so many.

    Returns:
        Mappings with ``row``, ``label``, ``predicted`` and ``confidence``, the surest first; of equal confidences the
        earlier sample. Images of one or three channels come as ``image``, a base64 PNG of at most 64 pixels a side,
        floating-point ones stretched to their own range; tokens come as ``text`` of at most 280 characters, lower case
        and with … for words outside the vocabulary. Other inputs have neither.

    Raises:
        ValueError: If the numbers of samples differ, or ``n`` is below 1.
    """
    check_integer("n", n, minimum=1)
    if len(split) != predictions.n:
        raise InvalidValueError(f"`predictions` must have one row per sample, {len(split)}, got {predictions.n}.")
    wrong = (~predictions.correct).nonzero()[:, 0]
    confidence = predictions.confidence
    rows = wrong[torch.argsort(confidence[wrong], descending=True, stable=True)[:n]]
    shown = _shown(split.inputs, rows, vocabulary, tokenizer)
    return [
        {
            "row": int(split.index[row]),
            "label": int(predictions.labels[row]),
            "predicted": int(predictions.predicted[row]),
            "confidence": round(float(confidence[row]), 6),
            **extra,
        }
        for row, extra in zip(rows.tolist(), shown, strict=True)
    ]


def write_examples(path: str | Path, predictions: Predictions, examples: Sequence[Mapping[str, object]]) -> None:
    """Write the worst examples of the test part's predictions in one step."""
    mistakes = predictions.n - int(predictions.correct.sum())
    record = {"part": "test", "n": predictions.n, "mistakes": mistakes, "examples": examples}
    write_text(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def _shown(
    inputs: Tensor | StoredImages, rows: Tensor, vocabulary: Sequence[str] | None, tokenizer: str | None
) -> list[dict[str, str]]:
    if len(rows) == 0:
        return []
    if len(inputs.shape) == 4 and inputs.shape[1] in (1, 3):
        return [{"image": _png(inputs[row[None]][0])} for row in rows]
    texts: list[str] = []
    if isinstance(inputs, Tensor) and inputs.ndim == 2:
        ids = inputs[rows.to(inputs.device)].cpu()
        if vocabulary is not None:
            texts = [_words(row, vocabulary) for row in ids.tolist()]
        elif tokenizer is not None:
            decoder = require("transformers").AutoTokenizer.from_pretrained(tokenizer)
            texts = [decoder.decode(row, skip_special_tokens=True) for row in ids.tolist()]
    shown = [{"text": textwrap.shorten(text, TEXT_LENGTH, placeholder=" …")} for text in texts]
    return shown or [{} for _ in rows]


def _png(image: Tensor) -> str:
    """Encode one image, shape (1 or 3, H, W), uint8 or floating point."""
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
