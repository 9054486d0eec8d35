# SPDX-License-Identifier: Apache-2.0
"""What a measure of predictions is: how it is computed from sums, and what is promised of it."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from adafocal._measure import Measure
from adafocal.calibration.sums import PredictionSums

LEVEL = 0.95
GOOD, ON_AVERAGE = "How good are the predictions?", "Is confidence right on average?"
APART, CHANCE = "How far is confidence off?", "Could it be chance?"
COST, CLASSES = "What does it cost?", "Is the probability of every class right?"
QUESTIONS = (GOOD, ON_AVERAGE, APART, CHANCE, COST, CLASSES)


@dataclass(frozen=True, kw_only=True)
class PredictionMeasure(Measure):
    """A number of :class:`~adafocal.calibration.CalibrationSummary`; a fraction unless it has another unit.

    It stands at the end of the file of its function, and takes one line of ``catalogue.py``. Its field of the summary
    and its row in the docs are written by ``scripts/generated.py``; ``tests/contracts/test_measures.py`` holds what it
    promises.

    Attributes:
        about: What it is, as its field of the summary says it: a sentence.
        compute: The number, a scalar, from sums of at least one sample.
        ends: Lower and upper end of its interval of the level ``LEVEL``, where it has one.
        about_ends: What the field of the interval says.
        question: Which of ``QUESTIONS`` it answers: under these it is shown.
        low: Its smallest value.
        high: Its largest value.
        of_shares: Whether it depends on shares alone, so that samples that all count twice change nothing. What is
            debiased, or tests, knows how many samples there are.
        is_the_gap: Whether it is the distance between confidence and outcome where all samples have the same of both.
    """

    unit: str = "%"
    about: str
    compute: Callable[[PredictionSums], Tensor]
    ends: Callable[[PredictionSums], tuple[Tensor, Tensor]] | None = None
    about_ends: str = ""
    question: str = APART
    low: float = 0.0
    high: float = 1.0
    of_shares: bool = True
    is_the_gap: bool = False
