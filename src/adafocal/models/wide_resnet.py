# SPDX-License-Identifier: Apache-2.0
"""Wide residual networks for small images."""

from collections.abc import Sequence

from torch import Tensor, nn

from adafocal._checks import check_integer
from adafocal.errors import InvalidValueError
from adafocal.models.base import HeadedModel, image_channels
from adafocal.models.resnet import BasicBlock, conv, stages


class WideResNet(HeadedModel):
    """Three stages of basic blocks of 16, 32 and 64 times ``widen`` channels.

    Args:
        input_shape: Shape (C, H, W) of an image.
        n_classes: Number of classes.
        depth: 6 k + 2 with k blocks per stage.
        widen: Factor of the channels.

    Raises:
        ValueError: If ``depth`` is not 6 k + 2, ``widen`` is below 1, or the input is no image.

    Reference:
        Zagoruyko, Komodakis: Wide residual networks, BMVC 2016, https://arxiv.org/abs/1605.07146, table 1.

    Differs from the paper:
        Activations follow the sum, and shortcuts are not counted as layers, as in the networks of the calibration
        papers (Mukhoti et al., NeurIPS 2020): their WRN-26-10 has the blocks of the paper's WRN-28-10.
    """

    def __init__(self, *, input_shape: Sequence[int], n_classes: int, depth: int = 26, widen: int = 10) -> None:
        super().__init__()
        check_integer("depth", depth, minimum=8)
        if depth % 6 != 2:
            raise InvalidValueError(f"`depth` must be 6 k + 2, got {depth}.")
        check_integer("widen", widen, minimum=1)
        self.stem = nn.Sequential(conv(image_channels(input_shape), 16, kernel=3), nn.BatchNorm2d(16), nn.ReLU())
        widths = [16 * widen, 32 * widen, 64 * widen]
        self.stages = stages(BasicBlock, 16, widths, [depth // 6] * 3)
        self.head = nn.Linear(widths[-1], n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, inputs: Tensor) -> Tensor:
        """Average the last activations over all places: the penultimate layer, shape (N, 64 · widen)."""
        hidden: Tensor = self.stages(self.stem(inputs))
        return hidden.mean(dim=(2, 3))
