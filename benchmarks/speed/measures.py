# SPDX-License-Identifier: Apache-2.0
"""Evaluation and measures: metrics in batches, areas that rank millions of scores, and whole evaluations."""

from collections.abc import Callable

import torch
from row import Pairs, Row, alternating
from torch import Tensor

from adafocal import Predictions
from adafocal.calibration import evaluate, merge_sums, stream_summary, stream_sums
from adafocal.metrics import CalibrationError
from adafocal.selective import augrc, aurc

IN_A_PIECE = 1 << 18  # numbers; pieces of files are about as large


def ranked(n: int) -> tuple[Tensor, Tensor]:
    """Confidences in [0.5, 1) and whether their predictions are wrong, as often as they say."""
    generator = torch.Generator().manual_seed(0)
    confidence = 0.5 + torch.rand(n, generator=generator) / 2
    return confidence, torch.rand(n, generator=generator) > confidence


def logits_of(n: int, n_classes: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(n, n_classes, generator=generator)
    return logits, torch.randint(n_classes, (n,), generator=generator)


def metric(inputs: str, n: int, n_classes: int, batch: int, note: str = "") -> Row:
    """A metric over all batches, update and compute."""

    def pairs(repeats: int) -> Pairs:
        from torchmetrics.classification import MulticlassCalibrationError

        values, labels = logits_of(n, n_classes)
        values = values.softmax(dim=1) if inputs == "probs" else values
        batches = list(zip(values.split(batch), labels.split(batch), strict=True))

        def over(make: Callable[[], CalibrationError | MulticlassCalibrationError]) -> Callable[[], object]:
            def call() -> Tensor:
                made = make()
                for rows, row_labels in batches:
                    made.update(rows, row_labels)
                return made.compute()

            return call

        ours, theirs = (lambda: CalibrationError(inputs=inputs)), (lambda: MulticlassCalibrationError(n_classes, 15))
        return alternating(over(ours), over(theirs), repeats)

    return Row(f"ECE metric of {inputs}, {n:,} x {n_classes}", "torchmetrics", 0.333, pairs, note)


def over_argsort(area: Callable[[Tensor, Tensor], Tensor]) -> Callable[[int], Pairs]:
    def pairs(repeats: int) -> Pairs:
        import numpy as np

        confidence, wrong = ranked(10**7)
        return alternating(lambda: area(confidence, wrong), lambda: np.argsort(confidence.numpy()), repeats)

    return pairs


def growth(repeats: int) -> Pairs:
    large, small = ranked(10**7), ranked(10**6)
    return alternating(lambda: aurc(*large), lambda: aurc(*small), repeats)


def record(n: int) -> Predictions:
    logits, labels = logits_of(n, 10)
    return Predictions(probs=logits.softmax(dim=1), labels=labels)


def over_stream(repeats: int) -> Pairs:
    """Everything in memory over the same rows as a stream, both to their summaries."""
    held = record(10**6)
    rows = IN_A_PIECE // held.n_classes
    pieces = [held[slice(first, first + rows)] for first in range(0, held.n, rows)]

    def stream() -> object:
        total = stream_sums(pieces[0])
        for piece in pieces[1:]:
            total = merge_sums(total, stream_sums(piece))
        return stream_summary(total)

    return alternating(lambda: evaluate(held), stream, repeats)


def over_more_rows(repeats: int) -> Pairs:
    few, many = record(10**5), record(10**6)
    return alternating(lambda: evaluate(few), lambda: evaluate(many), repeats)


REST = (
    "All steps as one function of NumPy, without layers and sentences for faults, take 0.45, 0.43 and 0.36 at 10, 21 "
    "and 40 classes in the same run: turning the rows is 0.1, the checks that they are distributions 0.05, bins 0.1."
)
EXPONENTIALS = (
    "All steps as one function of NumPy, its coarser exponential among them, take 0.40, 0.5 and 0.45 at 10, 21 and 40 "
    "classes in the same run; torch's exponentials alone are 0.12, 0.2 and 0.4 ms a batch."
)
BRIER = "A quarter of it are the parts of the Brier score, which a stream has not: they sort each class."
ROWS = [
    metric("probs", 10**6, 10, 10_000, REST),
    metric("probs", 65_536, 21, 8_192, REST),
    metric("probs", 65_536, 40, 8_192, REST),
    metric("probs", 50_000, 1_000, 1_000),
    metric("logits", 10**6, 10, 10_000, EXPONENTIALS),
    metric("logits", 65_536, 21, 8_192, EXPONENTIALS),
    metric("logits", 65_536, 40, 8_192, EXPONENTIALS),
    metric("logits", 50_000, 1_000, 1_000, "The exponentials of the softmax, which both take, are half of it."),
    Row("evaluate in memory, 1e6 x 10", "the same rows as a stream", 2.0, over_stream, BRIER),
    Row("evaluate, 1e5 x 10", "itself of 1e6 rows", 1.0, over_more_rows),
    Row("AURC of 1e7 rows", "NumPy's argsort of the scores", 0.3, over_argsort(aurc)),
    Row("AUGRC of 1e7 rows", "NumPy's argsort of the scores", 0.3, over_argsort(augrc)),
    Row("AURC of 1e7 rows", "itself of 1e6 rows", 11.0, growth),
]
