# SPDX-License-Identifier: Apache-2.0
"""Evaluation and measures: areas that rank millions of scores, whole evaluations, and metrics in batches."""

from collections.abc import Callable

import torch
from row import Pairs, Row, alternating
from torch import Tensor

from adafocal.selective import augrc, aurc


def ranked(n: int) -> tuple[Tensor, Tensor]:
    """Confidences in [0.5, 1) and whether their predictions are wrong, as often as they say."""
    generator = torch.Generator().manual_seed(0)
    confidence = 0.5 + torch.rand(n, generator=generator) / 2
    return confidence, torch.rand(n, generator=generator) > confidence


def over_argsort(area: Callable[[Tensor, Tensor], Tensor]) -> Callable[[int], Pairs]:
    def pairs(repeats: int) -> Pairs:
        import numpy as np

        confidence, wrong = ranked(10**7)
        return alternating(lambda: area(confidence, wrong), lambda: np.argsort(confidence.numpy()), repeats)

    return pairs


def growth(make: Callable[[int], Callable[[], object]]) -> Callable[[int], Pairs]:
    """Time ten million rows and a million of one function."""

    def pairs(repeats: int) -> Pairs:
        return alternating(make(10**7), make(10**6), repeats)

    return pairs


def areas(n: int) -> Callable[[], object]:
    confidence, wrong = ranked(n)
    return lambda: aurc(confidence, wrong)


ROWS = [
    Row("AURC of 1e7 rows", "NumPy's argsort of the scores", 0.3, over_argsort(aurc)),
    Row("AUGRC of 1e7 rows", "NumPy's argsort of the scores", 0.3, over_argsort(augrc)),
    Row("AURC of 1e7 rows", "itself of 1e6 rows", 11.0, growth(areas)),
]
