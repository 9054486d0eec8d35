# SPDX-License-Identifier: Apache-2.0
"""What is calibrated: that the top label is right, that a class is the label, or that an answer is right."""

from dataclasses import dataclass

from adafocal._settings import or_meant
from adafocal._text import listed, shown
from adafocal.calibration.measure import APART, ON_AVERAGE
from adafocal.errors import InvalidValueError
from adafocal.measures import OF_PREDICTIONS
from adafocal.tables.columns import OUTCOMES
from adafocal.tables.piece import Piece

_ACCURACY, _OVER = OF_PREDICTIONS["accuracy"], OF_PREDICTIONS["overconfidence"]
OF_CLASS = {
    _ACCURACY.title: "accuracy of the class at 0.5",
    _OVER.title: "mean probability - share of the class",
    _OVER.heading: "probability - share %",
    ON_AVERAGE: "Is the probability right on average?",
    APART: "How far is the probability off?",
}


@dataclass(frozen=True)
class Event:
    """The calibrated event.

    Attributes:
        text: What happens, as a clause.
        index: The class that it is about; None for the top label, and for outcomes.
        of_outcomes: Whether rows are outcomes, which have no classes.
        label: The label that the user named as the event of a single column; None for none.
        of_choices: Whether each row has choices of its own, so that nothing speaks of single classes.
    """

    text: str = "the top label is right"
    index: int | None = None
    of_outcomes: bool = False
    label: str | None = None
    of_choices: bool = False

    @property
    def of_class(self) -> bool:
        """Whether it is about a class: its probability is no confidence, and its share no accuracy."""
        return self.index is not None

    @property
    def probability(self) -> str:
        """What its probability is called."""
        return "probability" if self.of_class else "confidence"

    @property
    def share(self) -> str:
        """What its share is called."""
        return "share" if self.of_class else "accuracy"

    def check_occurs(self, occurs: bool) -> None:
        """Refuse a positive label that no row has: a slip of the pen would make every row a negative one.

        Args:
            occurs: Whether a row has it.

        Raises:
            ValueError: If none has.
        """
        if self.label is not None and not occurs:
            raise InvalidValueError(f"`positive_class` must be a label that occurs, got {shown(self.label)}.")

    def says(self, title: str) -> str:
        """The title of a measure in words that fit."""
        return OF_CLASS.get(title, title) if self.of_class else title


def find_event(piece: Piece, positive_class: int | str | None) -> Event:
    """The event that the rows of a table can tell.

    Args:
        piece: Some of them.
        positive_class: Index, name or label of a class; None for the top label, of a single column for the class that
            it speaks of.

    Raises:
        ValueError: If there is no such class.
    """
    named = None if positive_class is None else str(positive_class)
    if piece.columns.kind == OUTCOMES:
        if named is not None:
            raise InvalidValueError(f"`positive_class` must not be given for outcomes, got {shown(named)}.")
        return Event("the answer is right", of_outcomes=True)
    if piece.columns.ragged:
        if named is not None:
            raise InvalidValueError(f"`positive_class` must not be given for ragged choices, got {shown(named)}.")
        return Event("the top choice is right", of_choices=True)
    if piece.single:
        (column,) = piece.columns.values
        return Event(f"the label is {named if named is not None else '1'}, by {column}", 1, label=named)
    if named is None:
        return Event()
    classes, n_classes = piece.columns.classes, piece.values.shape[1]
    if named in classes:
        return Event(f"the label is {named}", classes.index(named))
    if named.isdecimal() and int(named) < n_classes:
        index = int(named)
        return Event(f"the label is {classes[index] if classes else f'class {index}'}", index)
    known = listed(classes) if classes else f"0 to {n_classes - 1}"
    raise InvalidValueError(f"`positive_class` must be a class, {known}, got {shown(named)}{or_meant(named, classes)}")
