# SPDX-License-Identifier: Apache-2.0
"""The four options that every loss shares show in signature and documentation of a class that names none of them."""

import inspect

import torch
from typing_extensions import Unpack

from adafocal.losses.base import ClassificationLoss, LossOptions

SHARED = ["weight", "ignore_index", "reduction", "label_smoothing"]


def names(cls):
    return list(inspect.signature(cls).parameters)


def test_options_are_spelled_out_behind_a_loss_s_own_settings():
    class Own(ClassificationLoss):
        """A loss.

        Args:
            scale: Its own setting.

        Returns:
            Args: nothing of interest.
        """

        def __init__(self, *, scale: float = 2.0, **options: Unpack[LossOptions]) -> None:
            super().__init__(**options)
            self.scale = scale

    assert names(Own) == ["scale", *SHARED]
    assert {option.kind for option in inspect.signature(Own).parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    before, _, after = Own.__doc__.partition("    scale: Its own setting.")
    assert before == "A loss.\n\nArgs:\n"
    documented = [line.split(":")[0] for line in after.split("\n\n")[0].strip().split("\n")]
    assert [line.strip() for line in documented] == SHARED
    assert Own.__doc__.count("ignore_index:") == 1
    assert Own(scale=3.0, ignore_index=1, weight=torch.tensor([0.0, 2.0])).weight.tolist() == [0.0, 2.0]


def test_an_option_that_a_loss_names_itself_stays_as_it_is():
    class Smoothed(ClassificationLoss):
        """A loss.

        Args:
            reduction: Of its own.
            ignore_index: Documented here.
        """

        def __init__(self, *, reduction: str = "sum", **options: Unpack[LossOptions]) -> None:
            super().__init__(reduction=reduction, **options)

    assert names(Smoothed) == ["reduction", "weight", "ignore_index", "label_smoothing"]
    assert inspect.signature(Smoothed).parameters["reduction"].default == "sum"
    assert Smoothed.__doc__.count("ignore_index:") == 1
    assert "label_smoothing:" not in Smoothed.__doc__


def test_a_loss_without_settings_or_documentation_has_the_options_of_the_base():
    class Plain(ClassificationLoss):
        pass

    class Fixed(ClassificationLoss):
        """Says nothing of arguments."""

        def __init__(self, *, only: int) -> None:
            super().__init__()

    assert names(Plain) == SHARED
    assert not Plain.__doc__
    assert names(Fixed) == ["only"]
    assert Fixed.__doc__ == "Says nothing of arguments."
