# SPDX-License-Identifier: Apache-2.0
"""Any image classifier of the timm library."""

from collections.abc import Sequence

from torch import Tensor, nn

from adafocal._checks import require
from adafocal.models.base import image_channels


class TimmClassifier(nn.Module):
    """A network of ``timm`` by name, with a new head for the classes at hand.

    Args:
        input_shape: Shape (C, H, W) of an image; networks with position embeddings want the size they were made for.
        n_classes: Number of classes.
        name: A name of ``timm.list_models()``.
        pretrained: Whether to load weights from the hub.

    Raises:
        ModuleNotFoundError: Without timm, with the command that installs it.
        RuntimeError: If timm knows no such network.

    Reference:
        Wightman: PyTorch image models, 2019, https://doi.org/10.5281/zenodo.4414861.
    """

    def __init__(
        self, *, input_shape: Sequence[int], n_classes: int, name: str = "resnet50", pretrained: bool = False
    ) -> None:
        super().__init__()
        channels = image_channels(input_shape)
        timm = require("timm")
        self.body = timm.create_model(name, pretrained=pretrained, num_classes=n_classes, in_chans=channels)

    def features(self, inputs: Tensor) -> Tensor:
        """Pool the features that the head reads, shape (N, D)."""
        hidden: Tensor = self.body.forward_head(self.body.forward_features(inputs), pre_logits=True)
        return hidden

    def forward(self, inputs: Tensor) -> Tensor:
        """Classify, by logits of shape (N, C)."""
        logits: Tensor = self.body(inputs)
        return logits
