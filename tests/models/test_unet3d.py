# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from adafocal.models import make_model

pytest.importorskip("monai")


def unet(**settings):
    return make_model("unet3d", {"width": 4, "depth": 3, **settings}, input_shape=(2, 8, 12, 4), n_classes=3)


def test_every_voxel_gets_a_logit_per_class_from_features_of_its_own():
    model, inputs = unet().eval(), torch.randn(2, 2, 8, 12, 4)
    features, logits = model.features(inputs), model(inputs)

    assert features.shape == (2, 4, 8, 12, 4)
    assert logits.shape == (2, 3, 8, 12, 4)
    weight, bias = model.head.weight[:, :, 0, 0, 0], model.head.bias
    expected = weight @ features[1, :, 5, 7, 2] + bias
    torch.testing.assert_close(logits[1, :, 5, 7, 2], expected)


def test_settings_change_depth_and_units():
    small, deep, residual = (unet(**settings) for settings in ({}, {"depth": 2}, {"n_residual_units": 1}))
    sizes = [sum(parameter.numel() for parameter in model.parameters()) for model in (deep, small, residual)]

    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 3


def test_the_network_learns_a_mask():
    model = unet(width=8)
    inputs = torch.randn(1, 2, 8, 12, 4)
    labels = (inputs[:, 0] > 0).long()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))

    assert losses[-1] < 0.5 * losses[0]


def test_sides_that_cannot_be_halved_and_other_shapes_are_refused(rejects):
    sentence = "`input_shape` must be (channels, D, H, W) of a volume with sides divisible by 4, got "
    for shape in ((1, 8, 10, 8), (3, 8, 8)):
        with rejects(ValueError, f"{sentence}{shape}."):
            make_model("unet3d", {"depth": 3}, input_shape=shape, n_classes=2)
    with rejects(ValueError, "`depth` must be an integer >= 2, got 1."):
        unet(depth=1)
