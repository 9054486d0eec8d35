# SPDX-License-Identifier: Apache-2.0
"""The most confident mistakes of a run, small enough to show on a page: ``examples.json``.

::

    {"part": "test", "n": 997, "mistakes": 280, "examples": [
      {"row": 1204, "label": 3, "predicted": 8, "confidence": 0.998, "image": "<base64 PNG>"}, …]}

``row`` counts in the source; ``label`` and ``predicted`` are class indices. ``image`` or ``text`` is there where the
data can be shown.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from adafocal._checks import check_integer
from adafocal._files import write_text
from adafocal.data.features import FeatureEncoding
from adafocal.data.shown import shown_samples
from adafocal.data.splits import Split
from adafocal.errors import InvalidValueError
from adafocal.predictions import Predictions

N_EXAMPLES = 24


def worst_examples(
    split: Split,
    predictions: Predictions,
    *,
    vocabulary: Sequence[str] | None = None,
    tokenizer: str | None = None,
    features: FeatureEncoding | None = None,
    n: int = N_EXAMPLES,
) -> list[dict[str, object]]:
    """Find the wrong predictions of largest confidence, with what they were made from.

    Args:
        split: The samples, in the order of the predictions.
        predictions: Predictions of this part.
        vocabulary: Words of the token ids, where the inputs are texts split into words.
        tokenizer: Name of the ``transformers`` tokenizer, where the inputs are its ids.
        features: How columns became the inputs, where they are numbers and categories.
        n: At most so many.

    Returns:
        Mappings with ``row``, ``label``, ``predicted`` and ``confidence``, the surest first; of equal confidences the
        earlier sample. ``image`` or ``text`` are those of :func:`adafocal.data.shown.shown_samples`.

    Raises:
        ValueError: If the numbers of samples differ, or ``n`` is below 1.
    """
    check_integer("n", n, minimum=1)
    if len(split) != predictions.n:
        raise InvalidValueError(f"`predictions` must have one row per sample, {len(split)}, got {predictions.n}.")
    wrong = (~predictions.correct).nonzero()[:, 0]
    confidence = predictions.confidence
    rows = wrong[torch.argsort(confidence[wrong], descending=True, stable=True)[:n]]
    shown = shown_samples(split.inputs, rows, vocabulary=vocabulary, tokenizer=tokenizer, features=features)
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
