# SPDX-License-Identifier: Apache-2.0
"""The head of a causal language model with all that the model does to its logits, on some tokens at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from adafocal._checks import require
from adafocal._dtypes import at_least_float32
from adafocal.calibration.linear import rows_at_a_time
from adafocal.integrations.shift import unwrapped

require("transformers")

from transformers.utils.generic import ModelOutput  # noqa: E402


@contextmanager
def kept_features(model: nn.Module) -> Iterator[list[ModelOutput]]:
    """Keep what the backbone of a model returns, in a list that is empty before it has run."""
    kept: list[ModelOutput] = []
    handle = _backbone(model).register_forward_hook(lambda *passed: kept.append(passed[-1]))
    try:
        yield kept
    finally:
        handle.remove()


@torch.no_grad()
def top_confidence(model: nn.Module, output: ModelOutput, features: Tensor) -> Tensor:
    """Compute the largest probability of each token, as many tokens at a time as have 2^24 logits.

    Models scale or cap their logits, each in its own way. So the model itself is asked, while its backbone answers with
    the features of some tokens: nothing is known of the head but its size.

    Args:
        model: Causal language model of the transformers library, maybe wrapped.
        output: What its backbone has returned.
        features: Last hidden states of the tokens asked for, shape (n, D).

    Returns:
        Probabilities in [0, 1], in float32 or wider, shape (n,).
    """
    bare, backbone = unwrapped(model), _backbone(model)
    size = rows_at_a_time(bare.get_output_embeddings().weight, None)  # type: ignore[operator]
    parts = []
    try:
        for some in torch.split(features, size):
            answer = type(output)(**{**output, "last_hidden_state": some[None]})
            backbone.forward = lambda *_, answer=answer, **__: answer
            ids = torch.zeros(1, len(some), dtype=torch.int64, device=some.device)
            logits = at_least_float32(bare(input_ids=ids, use_cache=False).logits[0])
            parts.append(torch.exp(logits.amax(dim=-1) - logits.logsumexp(dim=-1)))
    finally:
        vars(backbone).pop("forward", None)
    return torch.cat(parts).clamp_max(1.0) if parts else features.new_zeros(0)


def _backbone(model: nn.Module) -> nn.Module:
    backbone: nn.Module = unwrapped(model).base_model  # type: ignore[assignment]
    return backbone
