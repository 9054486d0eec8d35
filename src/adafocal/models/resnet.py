# SPDX-License-Identifier: Apache-2.0
"""Residual networks in the form for small images, and in the ImageNet form."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from adafocal._checks import check_choice, check_integer
from adafocal.errors import InvalidValueError
from adafocal.models.base import HeadedModel, image_channels


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; the activation follows the sum.

    Args:
        channels: Channels that come in.
        width: Channels of the convolutions and of the output.
        stride: Step of the first convolution.
    """

    expansion = 1

    def __init__(self, channels: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = conv(channels, width, kernel=3, stride=stride), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = conv(width, width, kernel=3), nn.BatchNorm2d(width)
        self.shortcut = shortcut(channels, width, stride=stride)

    def forward(self, inputs: Tensor) -> Tensor:
        """Add convolutions and shortcut: activations of shape (N, width, H / stride, W / stride)."""
        hidden = F.relu(self.norm1(self.conv1(inputs)))
        return F.relu(self.norm2(self.conv2(hidden)) + self.shortcut(inputs))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut; the 3x3 one takes the step.

    Args:
        channels: Channels that come in.
        width: Channels of the 3x3 convolution; the output has four times as many.
        stride: Step of the 3x3 convolution.
    """

    expansion = 4

    def __init__(self, channels: int, width: int, *, stride: int) -> None:
        super().__init__()
        wide = self.expansion * width
        self.conv1, self.norm1 = conv(channels, width, kernel=1), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = conv(width, width, kernel=3, stride=stride), nn.BatchNorm2d(width)
        self.conv3, self.norm3 = conv(width, wide, kernel=1), nn.BatchNorm2d(wide)
        self.shortcut = shortcut(channels, wide, stride=stride)

    def forward(self, inputs: Tensor) -> Tensor:
        """Add convolutions and shortcut: activations of shape (N, 4 · width, H / stride, W / stride)."""
        hidden = F.relu(self.norm1(self.conv1(inputs)))
        hidden = F.relu(self.norm2(self.conv2(hidden)))
        return F.relu(self.norm3(self.conv3(hidden)) + self.shortcut(inputs))


Block = type[BasicBlock] | type[Bottleneck]
BLOCKS: dict[int, tuple[Block, tuple[int, ...]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    110: (Bottleneck, (3, 4, 26, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


class ResNet(HeadedModel):
    """Residual network of four stages; the calibration papers' networks, not the three-stage ones of He et al.'s CIFAR.

    Args:
        input_shape: Shape (C, H, W) of an image.
        n_classes: Number of classes.
        depth: 18, 34, 50, 101, 110 or 152. The 110 is Mukhoti et al.'s: bottlenecks in stages of 3, 4, 26 and 3.
        width: Channels of the first stage; each stage doubles them.
        stem: ``small`` starts with a 3x3 convolution at full size (CIFAR, Tiny-ImageNet), ``imagenet`` with a 7x7
            convolution and a pooling that quarter the sides.
        pool: The features are means over ``pool`` x ``pool`` tiles; the Tiny-ImageNet networks of the papers have 2.

    Raises:
        ValueError: If an argument is out of range, the input is no image, or it does not fall into that many tiles.

    Reference:
        He, Zhang, Ren, Sun: Deep residual learning for image recognition, CVPR 2016, https://arxiv.org/abs/1512.03385;
        CIFAR form as in Mukhoti et al., NeurIPS 2020, https://arxiv.org/abs/2002.09437, section 5.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        n_classes: int,
        depth: int = 50,
        width: int = 64,
        stem: str = "small",
        pool: int = 1,
    ) -> None:
        super().__init__()
        if depth not in BLOCKS:
            raise InvalidValueError(f"`depth` must be one of {', '.join(map(str, BLOCKS))}, got {depth!r}.")
        check_integer("width", width, minimum=1)
        check_choice("stem", stem, ("small", "imagenet"))
        check_integer("pool", pool, minimum=1)
        block, counts = BLOCKS[depth]
        large = stem == "imagenet"
        step = (32 if large else 8) * pool
        if pool > 1 and any(side % step for side in input_shape[1:]):
            raise InvalidValueError(
                f"`pool` {pool} must go with sides that are multiples of {step}, got {tuple(input_shape)}."
            )
        self.pool = pool
        self.stem = nn.Sequential(
            conv(image_channels(input_shape), width, kernel=7 if large else 3, stride=2 if large else 1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1) if large else nn.Identity(),
        )
        widths = [width * 2**i for i in range(4)]
        self.stages = stages(block, width, widths, counts)
        self.head = nn.Linear(widths[-1] * block.expansion * pool**2, n_classes)

    def features(self, inputs: Tensor) -> Tensor:
        """Average the last activations over tiles of places: the penultimate layer, shape (N, D)."""
        hidden: Tensor = self.stages(self.stem(inputs))
        if self.pool == 1:
            return hidden.mean(dim=(2, 3))
        # Not adaptive_avg_pool2d: its gradient on CUDA depends on the order of threads.
        n, channels, height, width = hidden.shape
        tiles = hidden.reshape(n, channels, self.pool, height // self.pool, self.pool, width // self.pool)
        return tiles.mean(dim=(3, 5)).flatten(1)


def conv(channels: int, width: int, *, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Make a convolution without bias that keeps the sides but for its stride."""
    return nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False)


def shortcut(channels: int, width: int, *, stride: int) -> nn.Module:
    """Lead past a block: the identity, or a 1x1 convolution where size or channels change."""
    if stride == 1 and channels == width:
        return nn.Identity()
    return nn.Sequential(conv(channels, width, kernel=1, stride=stride), nn.BatchNorm2d(width))


def stages(block: Block, channels: int, widths: Sequence[int], counts: Sequence[int]) -> nn.Sequential:
    """Stack blocks in stages; all but the first start with a stride of 2."""
    layers = []
    for place, (width, count) in enumerate(zip(widths, counts, strict=True)):
        for i in range(count):
            layers.append(block(channels, width, stride=2 if place > 0 and i == 0 else 1))
            channels = width * block.expansion
    return nn.Sequential(*layers)
