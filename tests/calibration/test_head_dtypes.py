# SPDX-License-Identifier: Apache-2.0
import torch

from adafocal.calibration import top_label_from_features


def test_features_and_bias_take_the_dtype_of_the_head():
    generator = torch.Generator().manual_seed(3)
    features, weight = torch.randn(6, 4, generator=generator), torch.randn(3, 4, generator=generator)
    bias, labels = torch.randn(3, generator=generator), torch.tensor([0, 1, 2, 0, 1, 2])
    expected = top_label_from_features(features, weight, labels, bias=bias)
    found = top_label_from_features(features.double().tolist(), weight, labels.tolist(), bias=bias.double())

    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
