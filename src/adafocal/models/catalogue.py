# SPDX-License-Identifier: Apache-2.0
"""Every model by name: what the command line, recipes and docs read."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from adafocal._settings import check_names
from adafocal.errors import InvalidValueError
from adafocal.models.densenet import DenseNet
from adafocal.models.mlp import MLP
from adafocal.models.own import own_model
from adafocal.models.resnet import ResNet
from adafocal.models.small_cnn import SmallCNN
from adafocal.models.text_cnn import TextCNN
from adafocal.models.timm import TimmClassifier
from adafocal.models.transformer import TransformerClassifier
from adafocal.models.unet3d import UNet3d
from adafocal.models.wide_resnet import WideResNet


@dataclass(frozen=True)
class ModelSpec:
    """A model of the catalogue.

    Attributes:
        name: Name on the command line.
        title: Name in tables and pages.
        cls: The module class; takes ``input_shape``, ``n_classes``, ``vocabulary`` if it reads words, and its settings.
        defaults: Settings that differ from the class's own defaults.
    """

    name: str
    title: str
    cls: type[nn.Module]
    defaults: Mapping[str, Any] = field(default_factory=dict)


SPECS = (
    ModelSpec("mlp", "MLP", MLP),
    ModelSpec("small_cnn", "Small CNN", SmallCNN),
    ModelSpec("resnet18", "ResNet-18", ResNet, {"depth": 18}),
    ModelSpec("resnet50", "ResNet-50", ResNet, {"depth": 50}),
    ModelSpec("resnet110", "ResNet-110", ResNet, {"depth": 110}),
    ModelSpec("wide_resnet", "Wide-ResNet-26-10", WideResNet),
    ModelSpec("densenet121", "DenseNet-121", DenseNet),
    ModelSpec("text_cnn", "Global-pooling text CNN", TextCNN),
    ModelSpec("transformer", "Sequence classifier of transformers", TransformerClassifier),
    ModelSpec("timm", "Image classifier of timm", TimmClassifier),
    ModelSpec("unet3d", "3-D U-Net", UNet3d),
)
MODELS = {spec.name: spec for spec in SPECS}
GIVEN = ("input_shape", "n_classes", "vocabulary")  # by the data, not by the user


def make_model(
    name: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    input_shape: Sequence[int],
    n_classes: int,
    vocabulary: Sequence[str] | None = None,
) -> nn.Module:
    """Build a model of the catalogue, of an installed package, or of your own.

    Args:
        name: A key of ``MODELS``; what a package offers by an entry point ``adafocal.models``; or
            ``package.module:name`` of a class or function, which is imported.
        arguments: Settings of its class or function, over the catalogue's defaults.
        input_shape: Shape of one sample.
        n_classes: Number of classes C.
        vocabulary: Words of the token ids, where the data are texts.

    Returns:
        A new model.

    Raises:
        TypeError: If an own setting is of another type than its annotation says, or own code gives no module.
        ValueError: If the name is unknown, a setting is not one of the model's, or the model needs words and the
            data have none.
        RuntimeError: If own code raises something.

    Example:
        >>> model = make_model("resnet18", {"width": 8}, input_shape=(3, 32, 32), n_classes=10)
        >>> model(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """
    if name not in MODELS:
        return own_model(
            name, arguments, input_shape=input_shape, n_classes=n_classes, vocabulary=vocabulary, built_in=MODELS
        )
    spec = MODELS[name]
    parameters = inspect.signature(spec.cls).parameters
    known = [parameter for parameter in parameters if parameter not in GIVEN]
    check_names("model_args", name, arguments or {}, known)
    settings = {**spec.defaults, **(arguments or {})}
    if vocabulary is not None and "vocabulary" not in parameters:
        raise InvalidValueError(
            f"`model` must suit the data, got {name}, which reads no words, for texts: give text_cnn, or transformer "
            "with `data.tokenizer`."
        )
    if "vocabulary" in parameters:
        if vocabulary is None:
            raise InvalidValueError(
                f"`model` must suit the data, got {name}, which reads words, for data without them."
            )
        settings["vocabulary"] = vocabulary
    return spec.cls(input_shape=tuple(input_shape), n_classes=n_classes, **settings)
