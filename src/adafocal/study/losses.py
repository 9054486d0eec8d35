# SPDX-License-Identifier: Apache-2.0
"""The losses of a study: by name, with arguments as in ``focal(gamma=1)``, of the user's own, or under another name."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import yaml

from adafocal._own import find, is_own, offers
from adafocal._settings import check_choice
from adafocal._text import shown
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.losses.catalogue import LOSSES, check_loss_args, loss_title, usual_arguments
from adafocal.losses.own import check_own_loss

WRITTEN = re.compile(r"(?P<loss>[^()\s]+)\s*\((?P<arguments>.*)\)", re.S)
ARGUMENT = re.compile(r"(?:^|(?<=,))\s*([A-Za-z_]\w*)\s*=\s*")
KEYS = ("loss", "loss_args", "name")
SUFFIX = " + best scaling"  # of the row of a loss after it


@dataclass(frozen=True)
class StudyLoss:
    """A loss of a study.

    Attributes:
        loss: A loss of the catalogue, of an installed package, or ``package.module:name``.
        loss_args: Its arguments, over those of the experiment.
        title: How tables call it; empty for what it is.
    """

    loss: str
    loss_args: Mapping[str, object] = field(default_factory=dict)
    title: str = ""

    @property
    def name(self) -> str:
        """Name in the study: its folders, ``results.csv``, the baseline."""
        arguments = ", ".join(f"{name}={_written(value)}" for name, value in self.loss_args.items())
        return self.title or (f"{self.loss}({arguments})" if arguments else self.loss)

    def check(self) -> None:
        """Refuse an unknown loss, or arguments that it does not take; own code is imported.

        Raises:
            TypeError: If an argument of own code is of the wrong type.
            ValueError: If either is so.
            RuntimeError: If own code raises something as it is imported.
        """
        if self.loss in LOSSES:
            check_loss_args(self.loss, self.loss_args)
            return
        if not is_own(self.loss):
            check_choice("losses", self.loss, (*LOSSES, *(one.name for one in offers("loss", LOSSES))))
        if self.loss_args:
            check_own_loss(self.loss, self.loss_args)
        else:  # the experiment may give what it needs
            find("loss", self.loss, LOSSES)

    def title_with(self, arguments: Mapping[str, object] | None) -> str:
        """Name a run of it in tables, with the arguments that it had; those that the title does not tell come after.

        Example:
            >>> StudyLoss("adafocal", {"rate": 0.5}).title_with({"rate": 0.5, "n_bins": 15})
            'AdaFocal (rate = 0.5)'
        """
        held = dict(arguments or {})
        if self.title:
            return self.title
        title = loss_title(self.loss, held)
        if is_own(self.loss):
            return title
        usual = usual_arguments(self.loss) if self.loss in LOSSES else {}
        told = [name for name in self.loss_args if loss_title(self.loss, {**held, name: usual.get(name)}) != title]
        rest = [
            f"{name} = {_written(value)}"
            for name, value in self.loss_args.items()
            if name not in told and value != usual.get(name)
        ]
        return f"{title} ({', '.join(rest)})" if rest else title


def read_loss(value: object) -> StudyLoss:
    """Read a loss as a command line or a plan names it: ``focal``, ``focal(gamma=1)`` or a mapping.

    Raises:
        TypeError: If it is neither.
        ValueError: If it cannot be read.

    Example:
        >>> read_loss("focal(gamma=1)").loss_args, read_loss({"loss": "focal", "name": "mine"}).name
        ({'gamma': 1}, 'mine')
    """
    if isinstance(value, Mapping):
        loss, arguments, name = (value.get(key) for key in KEYS)
        unknown = [key for key in value if key not in KEYS]
        arguments = {} if arguments is None else arguments
        if (
            unknown
            or not isinstance(loss, str)
            or not isinstance(arguments, Mapping)
            or not isinstance(name or "", str)
        ):
            raise InvalidValueError(
                f"`losses` must hold names, or mappings of loss, loss_args and name to theirs, got {shown(value)}."
            )
        return StudyLoss(loss, dict(arguments), str(name or ""))
    if not isinstance(value, str):
        raise InvalidTypeError(f"`losses` must hold names of losses, got {shown(value)}.")
    written = WRITTEN.fullmatch(value.strip())
    if written is None:
        return StudyLoss(value)
    return StudyLoss(written["loss"], _arguments(value, written["arguments"]))


def _arguments(value: str, text: str) -> dict[str, object]:
    try:
        held = yaml.safe_load("{" + ARGUMENT.sub(r' "\1": ', text) + "}")
    except yaml.YAMLError:
        held = None
    if not isinstance(held, dict) or list(held) != ARGUMENT.findall(text) or not held:
        raise InvalidValueError(f"`losses` must name arguments as in focal(gamma=1), got {shown(value)}.")
    return held


def told_apart(titles: Mapping[str, str]) -> dict[str, str]:
    """Let losses whose titles are the same have their names beside them.

    Example:
        >>> told_apart({"a:Loss": "Loss", "b:Loss": "Loss", "focal": "Focal"})
        {'a:Loss': 'Loss [a:Loss]', 'b:Loss': 'Loss [b:Loss]', 'focal': 'Focal'}
    """
    held = list(titles.values())
    return {name: title if held.count(title) == 1 else f"{title} [{name}]" for name, title in titles.items()}


def check_apart(losses: Iterable[StudyLoss]) -> None:
    """Raise if two losses are one, or one is named as the row of another after its best scaling."""
    seen: list[StudyLoss] = []
    for one in losses:
        if one.name.endswith(SUFFIX):
            raise InvalidValueError(
                f"`name` must not end in {SUFFIX!r}, as the row of a loss after its best scaling does, got "
                f"{shown(one.name)}: choose another."
            )
        for other in seen:
            if (one.loss, dict(one.loss_args)) == (other.loss, dict(other.loss_args)):
                raise InvalidValueError(
                    f"`losses` must hold none twice, got {shown(other.name)} and {shown(one.name)}, which are the same."
                )
        seen.append(one)


def _written(value: object) -> str:
    """Write a value so that it is read as it was."""
    return (
        value if isinstance(value, str) and yaml.safe_load(value) == value and "," not in value else json.dumps(value)
    )
