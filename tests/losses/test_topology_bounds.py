# SPDX-License-Identifier: Apache-2.0
"""The topology term at the bounds of its shapes and settings."""

import pytest
import torch

from adafocal.losses import TopologyAwareFocalLoss, topology_loss

pytest.importorskip("cripser", reason="needs the extra topology")
pytest.importorskip("ot", reason="needs the extra topology")


def test_no_volumes_and_no_classes_cost_nothing():
    assert topology_loss(torch.zeros(0, 2, 4), torch.zeros(0, 2, 4)).shape == (0,)
    assert topology_loss(torch.zeros(3, 0, 4), torch.zeros(3, 0, 4)).tolist() == [0, 0, 0]


def test_an_axis_of_one_voxel_is_one_and_of_none_is_refused(rejects):
    line = torch.tensor([1.0, 0.0, 1.0, 0.0])

    assert topology_loss(line.view(1, 1, 4, 1), line.view(1, 1, 4, 1)).item() == 0
    assert topology_loss(line.view(1, 1, 1, 4), line.view(1, 1, 1, 4)).item() == 0
    for shape in ((1, 1, 0), (1, 1, 0, 4), (1, 1, 4, 0)):
        with pytest.raises(ValueError, match="with at least one voxel"):
            topology_loss(torch.zeros(shape), torch.zeros(shape))


def test_only_the_chosen_dimensions_count():
    ring = torch.ones(1, 1, 5, 5)
    ring[..., 2, 2] = 0.0
    full = torch.ones(1, 1, 5, 5)

    # The ring has one component, as the full square has, and one hole more.
    assert topology_loss(ring, full, dims=[0]).item() == pytest.approx(0, abs=1e-6)
    assert topology_loss(ring, full, dims=[1]).item() == pytest.approx(0.5**0.5, abs=1e-3)
    assert topology_loss(ring, full).item() == pytest.approx(0.5**0.5, abs=1e-3)


def test_settings_end_where_they_should(rejects):
    assert TopologyAwareFocalLoss(order=1.0, max_points=1, workers=1, topology_weight=0.0).order == 1.0
    with rejects(ValueError, "`epsilon` must be a finite number > 0, got 0.0."):
        TopologyAwareFocalLoss(epsilon=0.0)
    with rejects(ValueError, "`order` must be a finite number >= 1, got 0.99."):
        TopologyAwareFocalLoss(order=0.99)


def test_ignored_voxels_are_no_foreground():
    labels = torch.zeros(1, 7, dtype=torch.long)
    labels[0, :2] = 1
    labels[0, 4:6] = -100
    sure = 50.0 * torch.stack([1 - labels.clamp_min(0), labels.clamp_min(0)], dim=1).float()
    inverted = sure.clone()
    inverted[0, :, 4:6] = inverted[0, :, 4:6].flip(0)  # what is ignored is predicted as foreground
    criterion = TopologyAwareFocalLoss(foreground=[1])

    assert criterion.topology(sure, labels).item() == pytest.approx(0, abs=1e-6)
    assert criterion.topology(inverted, labels).item() == pytest.approx(0, abs=1e-6)
