# SPDX-License-Identifier: Apache-2.0
"""The most confident mistakes on the page: pictures or snippets of text, as ``examples.json`` of a run keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adafocal.errors import InvalidValueError
from adafocal.report.contents import LossContents, RunContents
from adafocal.report.html import is_base64, short
from adafocal.report.tables import number

PER_RUN, PER_LOSS = 24, 8
LONGEST_TEXT = 300
MAX_BYTES = 500_000  # of pictures and texts on one page


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
    """Give the most confident mistakes of the first run of each loss that kept some, within a share of the bytes."""
    kept = [(loss, loss.runs[0]) for loss in losses if loss.runs[0].examples]
    most = PER_RUN if len(kept) == 1 else PER_LOSS
    return [_of_run(loss.title, run, most=most, max_bytes=max_bytes // len(kept)) for loss, run in kept]


def _of_run(title: str, run: RunContents, *, most: int, max_bytes: int) -> Examples:
    record, names, shown = run.examples, run.class_names, []
    for one in record["examples"][:most]:
        example = _example(one, names)
        max_bytes -= len(example.image) + len(example.text)
        if max_bytes < 0:
            break
        shown.append(example)
    mistakes = f"{record['mistakes']:,} mistakes in {record['n']:,} predictions"
    caption = f"The {len(shown)} surest of {mistakes}." if shown else f"{mistakes}."
    return Examples(f"{title} (seed {run.summary['seed']})", caption[0].upper() + caption[1:], shown)


def _example(one: dict[str, Any], names: Sequence[str]) -> Example:
    known = range(len(names))
    if one["predicted"] not in known or one["label"] not in known:
        found = f"{one['predicted']!r} and {one['label']!r}"
        raise InvalidValueError(f"`examples.json` must name classes of the run, 0 to {known[-1]}, got {found}.")
    predicted, label = names[one["predicted"]], names[one["label"]]
    confidence = f"{number(one['confidence'], 1, scale=100)} %"
    return Example(
        row=int(one["row"]),
        predicted=predicted,
        label=label,
        confidence=confidence,
        image=one["image"] if is_base64(one.get("image")) else "",
        text=short(one.get("text", ""), LONGEST_TEXT),
        alt=f"Test sample of row {int(one['row'])}: a {label}, taken for a {predicted}.",
    )
