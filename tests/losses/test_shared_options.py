# SPDX-License-Identifier: Apache-2.0
"""The options that every loss shares show in signature and documentation of a class that names none of them."""

import inspect

import pytest
import torch
from typing_extensions import Unpack

from adafocal.losses import LOSSES, focal_loss
from adafocal.losses.base import ClassificationLoss, LossOptions, SampleOptions, per_sample_loss

SHARED = ["weight", "ignore_index", "reduction", "label_smoothing", "sigmoid", "pos_weight"]


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


def sections(documented):
    return [part.split(":")[0] for part in inspect.getdoc(documented).split("\n\n")]


def test_a_function_of_single_samples_documents_what_all_of_them_take_and_give():
    @per_sample_loss
    def own_loss(logits, labels, *, scale: float, **options: Unpack[SampleOptions]):
        """A loss.

        Args:
            scale: Its own setting,
                on two lines.

        Example:
            >>> 1
            1
        """
        return options

    assert names(own_loss) == ["logits", "labels", "scale", *(name for name in SHARED if name != "reduction")]
    assert sections(own_loss) == ["A loss.", "Args", "Returns", "Raises", "Example"]
    lines = own_loss.__doc__.split("\n\n")[1].split("\n")
    documented = [line.split(":")[0].strip() for line in lines if not line.startswith("     ")]
    assert documented == ["Args", *names(own_loss)]
    assert own_loss(0, 0, scale=1.0, ignore_index=3) == {"ignore_index": 3}
    with pytest.raises(TypeError, match="unexpected keyword argument 'weigth'"):
        focal_loss(torch.zeros(1, 2), torch.zeros(1).long(), gamma=1.0, weigth=None)


@pytest.mark.parametrize("name", [name for name in LOSSES if issubclass(LOSSES[name].cls, ClassificationLoss)])
def test_every_loss_says_what_it_raises_once_and_before_its_example(name):
    found = sections(LOSSES[name].cls)

    assert [found.count(section) for section in ("Args", "Raises", "Example")] == [1, 1, 1]
    assert found.index("Args") < found.index("Raises") < found.index("Example")


def test_an_option_that_a_loss_names_itself_stays_as_it_is():
    class Smoothed(ClassificationLoss):
        """A loss.

        Args:
            reduction: Of its own.
            ignore_index: Documented here.
        """

        def __init__(self, *, reduction: str = "sum", **options: Unpack[LossOptions]) -> None:
            super().__init__(reduction=reduction, **options)

    assert names(Smoothed) == ["reduction", *(name for name in SHARED if name != "reduction")]
    assert inspect.signature(Smoothed).parameters["reduction"].default == "sum"
    assert [Smoothed.__doc__.count(f" {name}: ") for name in names(Smoothed)] == [1] * 6
    assert "reduction: Of its own.\n" in Smoothed.__doc__
    assert "ignore_index: Documented here.\n" in Smoothed.__doc__


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
