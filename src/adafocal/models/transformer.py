# SPDX-License-Identifier: Apache-2.0
"""Any sequence classifier of the transformers library."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from adafocal._checks import require
from adafocal.errors import InvalidValueError
from adafocal.models.base import sequence_length


class TransformerClassifier(nn.Module):
    """A network of ``transformers`` with a classification head, by hub name or local folder.

    Args:
        input_shape: Shape (L,) of a sequence of token ids of the network's own tokenizer, padded on the right.
        n_classes: Number of classes.
        name: Hub name, or folder that holds the network.
        pretrained: Whether to load weights; False starts from random ones of the same architecture.

    Raises:
        ModuleNotFoundError: Without transformers, with the command that installs it.
        OSError: If the network cannot be found.
        ValueError: If the network has no linear layer that ends in ``n_classes`` logits.

    Reference:
        Wolf et al.: Transformers: state-of-the-art natural language processing, EMNLP 2020,
        https://arxiv.org/abs/1910.03771.
    """

    def __init__(
        self, *, input_shape: Sequence[int], n_classes: int, name: str = "bert-base-uncased", pretrained: bool = True
    ) -> None:
        super().__init__()
        sequence_length(input_shape)
        transformers = require("transformers")
        config = transformers.AutoConfig.from_pretrained(name, num_labels=n_classes)
        automatic = transformers.AutoModelForSequenceClassification
        if pretrained:
            # A stored head may have other classes; sizes elsewhere cannot differ: the configuration is the network's.
            self.body = automatic.from_pretrained(name, config=config, ignore_mismatched_sizes=True)
        else:
            self.body = automatic.from_config(config)
        self.pad_id = 0 if config.pad_token_id is None else config.pad_token_id
        heads = [m for m in self.body.modules() if isinstance(m, nn.Linear) and m.out_features == n_classes]
        if not heads:
            raise InvalidValueError(
                f"`name` must be a network with a linear layer of {n_classes} logits, got {name!r}."
            )
        self._head = [heads[-1]]  # in a list, so that its weights are not registered twice

    def features(self, inputs: Tensor) -> Tensor:
        """Catch what the last linear layer reads, shape (N, D); the last token's where it reads every token's."""
        seen: list[Tensor] = []

        def remember(_module: nn.Module, arguments: tuple[Any, ...]) -> None:
            seen.append(arguments[0])

        handle = self._head[0].register_forward_pre_hook(remember)
        try:
            self(inputs)
        finally:
            handle.remove()
        hidden = seen[-1]
        if hidden.ndim == 2:
            return hidden
        last = (inputs != self.pad_id).sum(dim=1).clamp_min(1) - 1
        return hidden[torch.arange(len(hidden), device=hidden.device), last]

    def forward(self, inputs: Tensor) -> Tensor:
        """Classify, by logits of shape (N, C)."""
        inputs = inputs.long()
        logits: Tensor = self.body(input_ids=inputs, attention_mask=(inputs != self.pad_id).long()).logits
        return logits
