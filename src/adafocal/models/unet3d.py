# SPDX-License-Identifier: Apache-2.0
"""The 3-D U-Net of MONAI, with a head that reads features of every voxel."""

from collections.abc import Sequence

from torch import Tensor, nn

from adafocal._checks import check_integer, require
from adafocal.errors import InvalidValueError
from adafocal.models.base import HeadedModel


class UNet3d(HeadedModel):
    """A U-Net for volumes: strided convolutions down, transposed ones up, one logit per voxel and class.

    Args:
        input_shape: Shape (channels, D, H, W) of a volume; sides divisible by 2^(depth - 1).
        n_classes: Number of classes.
        width: Channels of the first level, which each further level doubles; also the number of features of a voxel.
        depth: Number of levels, at least 2.
        n_residual_units: Residual units per level; 0 has a single convolution.
        dropout: Probability that a channel is dropped in training.

    Raises:
        ModuleNotFoundError: Without MONAI, with the command that installs it.
        ValueError: If a setting is out of range, or the input is no volume whose sides can be halved as often.

    Reference:
        Kerfoot et al.: Left-ventricle quantification using residual U-Net, STACOM 2018,
        https://doi.org/10.1007/978-3-030-12029-0_40, as MONAI has it; Cicek et al.: 3D U-Net, MICCAI 2016,
        https://arxiv.org/abs/1606.06650.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        n_classes: int,
        width: int = 32,
        depth: int = 4,
        n_residual_units: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_integer("width", width, minimum=1)
        check_integer("depth", depth, minimum=2)
        check_integer("n_residual_units", n_residual_units, minimum=0)
        factor = 2 ** (depth - 1)
        if len(input_shape) != 4 or any(side % factor for side in input_shape[1:]):
            raise InvalidValueError(
                f"`input_shape` must be (channels, D, H, W) of a volume with sides divisible by {factor}, "
                f"got {tuple(input_shape)}."
            )
        self.body = require("monai.networks.nets").UNet(
            spatial_dims=3,
            in_channels=input_shape[0],
            out_channels=width,
            channels=[width * 2**level for level in range(depth)],
            strides=[2] * (depth - 1),
            num_res_units=n_residual_units,
            norm="instance",
            dropout=dropout,
        )
        # As in MONAI's levels; a ReLU could lose some of a narrow network's few features for good.
        self.activation = nn.PReLU()
        self.head = nn.Conv3d(width, n_classes, kernel_size=1)

    def features(self, inputs: Tensor) -> Tensor:
        """Compute the penultimate layer, shape (N, width, D, H, W)."""
        features: Tensor = self.activation(self.body(inputs))
        return features
