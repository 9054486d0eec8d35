# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch

from adafocal.losses import persistence_diagram
from adafocal.topology.masks import betti_numbers, dice_score, hausdorff_distance_95
from losses.shapes_with_holes import BETTI


def cube(start: int, side: int = 4, size: int = 12) -> torch.Tensor:
    mask = torch.zeros(size, size, size, dtype=torch.bool)
    mask[start : start + side, 2 : 2 + side, 2 : 2 + side] = True
    return mask


EMPTY = torch.zeros(12, 12, 12, dtype=torch.bool)


def test_dice_is_the_share_of_overlap():
    assert dice_score(cube(2), cube(2)) == 1.0
    assert dice_score(cube(2), cube(4)) == 0.5
    assert dice_score(cube(2, side=2), cube(2)) == 2 * 8 / (8 + 64)
    assert dice_score(cube(2), EMPTY) == 0.0
    assert math.isnan(dice_score(EMPTY, EMPTY))


def test_the_distance_of_a_shifted_cube_is_its_shift():
    pytest.importorskip("monai")
    assert hausdorff_distance_95(cube(2), cube(2)) == 0.0
    assert hausdorff_distance_95(cube(2), cube(5)) == 3.0
    assert hausdorff_distance_95(cube(5), cube(2)) == 3.0


def test_a_twentieth_of_the_surface_may_be_anywhere():
    pytest.importorskip("monai")
    stray = cube(2)
    stray[11, 11, 11] = True

    assert hausdorff_distance_95(stray, cube(2)) == 0.0


def test_a_missed_structure_is_as_far_as_the_volume_is_wide():
    assert hausdorff_distance_95(cube(2), EMPTY) == pytest.approx(12 * 3**0.5)
    assert hausdorff_distance_95(EMPTY, cube(2)) == pytest.approx(12 * 3**0.5)
    assert math.isnan(hausdorff_distance_95(EMPTY, EMPTY))


@pytest.mark.parametrize(("shape", "expected"), BETTI, ids=lambda value: getattr(value, "__name__", None))
def test_betti_numbers_of_known_shapes(shape, expected):
    assert betti_numbers(shape()) == expected


def test_betti_numbers_are_those_of_the_persistence_diagram():
    pytest.importorskip("cripser")
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        mask = torch.rand(7, 9, 8, generator=generator) < 0.45
        diagram = persistence_diagram(mask.float(), essential_death=0.0)
        # Where a diagram has no border of background, what touches the edge of the array is not closed either way.
        assert betti_numbers(mask) == diagram.betti(0.5)


def test_an_empty_and_a_full_mask_have_no_holes():
    assert betti_numbers(EMPTY) == (0, 0, 0)
    assert betti_numbers(~EMPTY) == (1, 0, 0)


def test_other_than_two_boolean_volumes_of_one_shape_is_refused(rejects):
    with rejects(TypeError, "`true` must be a boolean tensor, got torch.int64."):
        dice_score(EMPTY, EMPTY.long())
    with rejects(ValueError, "`predicted` must have shape (D, H, W), got (12, 12)."):
        betti_numbers(EMPTY[0])
    with rejects(ValueError, "`predicted` must have the shape of `true`, (11, 12, 12), got (12, 12, 12)."):
        hausdorff_distance_95(EMPTY, EMPTY[1:])
