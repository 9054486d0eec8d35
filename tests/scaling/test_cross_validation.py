# SPDX-License-Identifier: Apache-2.0
"""How the penalty of matrix scaling is chosen, on folds and a grid that the documentation names."""

import pytest
import torch

from adafocal import Predictions
from adafocal.scaling import affine
from adafocal.scaling.scores import same_kind
from adafocal.scaling.temperature import _median_margin


def test_the_grid_and_the_folds_are_those_that_are_documented():
    assert affine.GRID == (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
    assert affine.FOLDS == 3


LABELS = torch.tensor([0, 1, 0, 0, 0, 2, 0, 0, 0, 0])
UNITS = torch.eye(3)[LABELS]


def made(penalty, best, fold):
    """Give a weight and a bias: the best knows how common the classes are, the others fail in the first fold."""
    if penalty == best:
        return torch.zeros(3, 3), torch.tensor([2.0, 0.0, 0.0])
    return (-3.0 if fold == 0 else 5.0) * torch.eye(3), torch.zeros(3)


@pytest.mark.parametrize("best", affine.GRID)
def test_the_penalty_with_the_least_loss_over_all_folds_left_out_is_taken(best, monkeypatch):
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    seen = []

    def fitted(kept, of_kept, regularization, diagonal):
        seen.append((regularization, kept, of_kept, diagonal))
        return made(regularization, best, (len(seen) - 1) % 3)

    monkeypatch.setattr(affine, "_minimise", fitted)
    assert affine._cross_validated(UNITS, LABELS, False) == best

    assert len(seen) == 18
    for place, (penalty, kept, of_kept, diagonal) in enumerate(seen):
        rest = [row for row in range(10) if row not in order[place % 3 :: 3].tolist()]
        assert (penalty, diagonal) == (affine.GRID[place // 3], False)
        assert torch.equal(kept, UNITS[rest])
        assert torch.equal(of_kept, LABELS[rest])


def test_scores_that_have_become_equal_stay_so_unless_the_class_is_to_be_kept():
    before = Predictions(logits=torch.tensor([[1.0, 3.0]]), labels=torch.tensor([0]))
    equal = torch.tensor([[2.0, 2.0]])

    assert same_kind(before, equal).logits.tolist() == [[2.0, 2.0]]
    assert same_kind(before, equal, keep_predicted=True).predicted.tolist() == [1]


def test_the_size_of_logits_is_the_median_distance_of_the_two_largest():
    assert _median_margin(torch.tensor([[0.0, -1.0, -9.0], [-2.0, 0.0, -9.0], [-9.0, -3.0, 0.0]])) == 2.0
    assert _median_margin(torch.tensor([[5.0, 5.0, 1.0], [2.0, 2.0, 0.0]])) == 2.0
    assert _median_margin(torch.zeros(2, 3)) == 0.0
