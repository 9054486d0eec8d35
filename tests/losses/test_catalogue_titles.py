# SPDX-License-Identifier: Apache-2.0
import pytest

from adafocal.losses import LOSSES, loss_title


@pytest.mark.parametrize(
    ("name", "arguments", "title"),
    [
        ("focal", {"gamma": 2.0, "reduction": "sum"}, "Focal (γ = 2)"),
        ("dual_focal", {"gamma": 6.1}, "Dual focal (γ = 6.1)"),
        ("label_smoothing", {"label_smoothing": 0.1}, "Label smoothing (0.1)"),
        ("mmce", {"penalty_weight": 8}, "Cross-entropy + 8 MMCE"),
        ("flsd53", {"label_smoothing": 0.1}, "FLSD-53"),
        ("focal", {"gamma": [1.0, 2.0]}, "Focal (γ = 3)"),
        ("somebody's", {"gamma": 1.0}, "somebody's"),
    ],
)
def test_a_title_tells_the_numbers_a_loss_was_trained_with(name, arguments, title):
    assert loss_title(name, arguments) == title


@pytest.mark.parametrize("name", LOSSES)
def test_without_arguments_the_title_is_the_catalogues(name):
    assert loss_title(name) == loss_title(name, dict(LOSSES[name].defaults)) == LOSSES[name].title
