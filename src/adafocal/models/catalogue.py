# SPDX-License-Identifier: Apache-2.0
"""Every model by name: what the command line, recipes and docs read."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from adafocal.models.mlp import MLP


@dataclass(frozen=True)
class ModelSpec:
    """A model of the catalogue.

    Attributes:
        name: Name on the command line.
        title: Name in tables and pages.
        cls: The module class; takes ``input_shape``, ``n_classes`` and its own settings.
    """

    name: str
    title: str
    cls: type[nn.Module]


MODELS = {"mlp": ModelSpec(name="mlp", title="MLP", cls=MLP)}
GIVEN = ("input_shape", "n_classes")  # by the data, not by the user


def make_model(
    name: str, arguments: Mapping[str, Any] | None = None, *, input_shape: Sequence[int], n_classes: int
) -> nn.Module:
    """Build a model of the catalogue.

    Args:
        name: A key of ``MODELS``.
        arguments: Settings of its class.
        input_shape: Shape of one sample.
        n_classes: Number of classes C.

    Returns:
        A new model.

    Raises:
        ValueError: If the name is unknown or a setting is not one of the model's.
    """
    if name not in MODELS:
        raise ValueError(f"`model` must be one of {', '.join(MODELS)}, got {name!r}.")
    cls = MODELS[name].cls
    known = [parameter for parameter in inspect.signature(cls).parameters if parameter not in GIVEN]
    for argument in arguments or {}:
        if argument not in known:
            raise ValueError(f"`model_args` of {name} must be among {', '.join(known)}, got {argument!r}.")
    return cls(input_shape=tuple(input_shape), n_classes=n_classes, **(arguments or {}))
