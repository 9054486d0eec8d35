# SPDX-License-Identifier: Apache-2.0
"""The most confident mistakes on the page: pictures or snippets of text, as ``examples.json`` of a run keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass

from adafocal._text import capital, short
from adafocal.errors import InvalidValueError
from adafocal.measures import Measure
from adafocal.report.html import is_base64
from adafocal.results.contents import LossContents
from adafocal.results.folder import RunFolder
from adafocal.results.run import Mistakes, WrongPrediction

PER_RUN, PER_LOSS = 24, 8
LONGEST_TEXT = 300
MAX_BYTES = 500_000  # of pictures and texts on one page
CONFIDENCE = Measure(name="confidence", heading="confidence %", unit="%", digits=1)


@dataclass(frozen=True)
class Example:
    """One wrong prediction.

    Attributes:
        row: Its row in the source.
        predicted: The predicted class.
        label: The true class.
        confidence: Probability of the predicted class, in percent, as text.
        image: A PNG in base64; empty for none.
        text: A snippet; empty for none.
        alt: What the picture is of.
    """

    row: int
    predicted: str
    label: str
    confidence: str
    image: str
    text: str
    alt: str


@dataclass(frozen=True)
class Examples:
    """The worst examples of one loss.

    Attributes:
        title: The loss, and the seed of the run.
        caption: How many of how many are shown.
        shown: The examples.
    """

    title: str
    caption: str
    shown: list[Example]


def worst_of(losses: Sequence[LossContents], *, max_bytes: int = MAX_BYTES) -> list[Examples]:
    """Pick the most confident mistakes of the first run of each loss that kept some, within a share of the bytes."""
    kept = [(loss.title, run, run.mistakes) for loss in losses for run in loss.runs[:1] if run.mistakes is not None]
    most = PER_RUN if len(kept) == 1 else PER_LOSS
    return [_of_run(*one, most=most, max_bytes=max_bytes // len(kept)) for one in kept]


def _of_run(title: str, run: RunFolder, record: Mistakes, *, most: int, max_bytes: int) -> Examples:
    names, shown = run.class_names, []
    for one in record.examples[:most]:
        example = _example(one, names)
        max_bytes -= len(example.image) + len(example.text)
        if max_bytes < 0:
            break
        shown.append(example)
    mistakes = f"{record.mistakes:,} mistakes in {record.n:,} predictions"
    caption = f"The {len(shown)} surest of {mistakes}." if shown else f"{mistakes}."
    return Examples(f"{title} (seed {run.summary.seed})", capital(caption), shown)


def _example(one: WrongPrediction, names: Sequence[str]) -> Example:
    known = range(len(names))
    if one.predicted not in known or one.label not in known:
        found = f"{one.predicted!r} and {one.label!r}"
        raise InvalidValueError(f"`examples.json` must name classes of the run, 0 to {known[-1]}, got {found}.")
    predicted, label = names[one.predicted], names[one.label]
    return Example(
        row=one.row,
        predicted=predicted,
        label=label,
        confidence=f"{CONFIDENCE.page_text(one.confidence)} %",
        image=str(one.image) if is_base64(one.image) else "",
        text=short(one.text, LONGEST_TEXT),
        alt=f"Test sample of row {one.row}: a {label}, taken for a {predicted}.",
    )
