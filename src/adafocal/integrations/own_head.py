# SPDX-License-Identifier: Apache-2.0
"""The head of a causal language model with all that the model does to its logits, on some tokens at a time."""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MethodType

import torch
from torch import Tensor, nn

from adafocal._checks import require
from adafocal._dtypes import at_least_float32
from adafocal.calibration.linear import rows_at_a_time
from adafocal.integrations.shift import unwrapped

require("transformers")

from transformers.utils.generic import ModelOutput  # noqa: E402

IGNORED = -100  # label of a token that does not count


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
    bare = unwrapped(model)
    parts = []
    for some in torch.split(features, rows_at_a_time(_head(bare), None)):
        with _answering(bare, output, some):
            logits = at_least_float32(bare(input_ids=_unread_ids(some), use_cache=False).logits[0])
        parts.append(torch.exp(logits.amax(dim=-1) - logits.logsumexp(dim=-1)))
    return torch.cat(parts).clamp_max(1.0) if parts else features.new_zeros(0)


def fuse_in_parts(model: nn.Module) -> None:
    """Let the fused head that TRL has put on a model work on as many tokens at a time as have 2^24 logits, on a CPU.

    Without Triton TRL computes with several copies of a tile of 4,096 tokens by 32,768 words, which take more memory
    than the logits of smaller batches would. Smaller batches than that, other devices and mixtures of experts with a
    loss of their own are left to TRL as they are.

    Args:
        model: Causal language model of the transformers library with TRL's head, maybe wrapped.
    """
    adapted = hasattr(model, "get_base_model")  # then TRL takes the model below the adapter, too
    bare: nn.Module = model.get_base_model() if adapted else model  # type: ignore[operator]
    whole = bare.forward.__func__  # type: ignore[attr-defined]

    @functools.wraps(whole)  # what the model takes is asked of its signature
    def in_parts(
        self: nn.Module,
        *args: object,
        labels: Tensor | None = None,
        shift_labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        fused_lm_head: bool = False,
        **inputs: object,
    ) -> object:
        targets = labels if shift_labels is None else shift_labels
        if not fused_lm_head or targets is None or not _many(self, targets) or _routes(self, inputs):
            inputs |= {"labels": labels, "shift_labels": shift_labels, "num_items_in_batch": num_items_in_batch}
            return whole(self, *args, fused_lm_head=fused_lm_head, **inputs)
        output = _backbone(self)(*args, **{**inputs, "use_cache": False})
        features: Tensor = output.last_hidden_state
        if shift_labels is None:
            features, targets = features[:, :-1], targets[:, 1:]
        project = functools.partial(whole, self, fused_lm_head=True)
        return _fused(self, project, output, features, targets, num_items_in_batch)

    bare.forward = MethodType(in_parts, bare)


def _fused(
    model: nn.Module,
    project: Callable[..., ModelOutput],
    output: ModelOutput,
    features: Tensor,
    targets: Tensor,
    n_items: Tensor | int | None,
) -> ModelOutput:
    """Put the tokens that count through the head, some at a time, and what is found of them in their places."""
    counted, size = targets != IGNORED, rows_at_a_time(_head(model), None)
    parts = []
    for some, wanted in zip(torch.split(features[counted], size), torch.split(targets[counted], size), strict=True):
        with _answering(model, output, some):
            parts.append(project(input_ids=_unread_ids(some), shift_labels=wanted[None]))
    found = {
        name: _placed(torch.cat([part[name][0] for part in parts]), counted)
        for name in parts[0]
        if name not in ("loss", "label_mask")
    }
    n = counted.sum().clamp(min=1) if n_items is None else n_items
    return type(parts[0])(**found, loss=-found["log_probs"].sum() / n, label_mask=counted)


def _placed(values: Tensor, counted: Tensor) -> Tensor:
    """Put values of the tokens that count in their places, and zeros in the others."""
    return values.new_zeros(counted.shape).masked_scatter(counted, values)


def _many(model: nn.Module, targets: Tensor) -> bool:
    """Whether these are more tokens than a CPU should take at a time; a head that lies elsewhere in parts says no."""
    head = _head(model)
    return targets.device.type == "cpu" and len(head) > 0 and targets.numel() > rows_at_a_time(head, None)


def _routes(model: nn.Module, inputs: Mapping[str, object]) -> bool:
    """Whether a mixture of experts is asked for the loss of its router, which is not one of tokens."""
    config = model.config.get_text_config()  # type: ignore[union-attr,operator]
    return bool(inputs.get("output_router_logits") or getattr(config, "output_router_logits", False))


@contextmanager
def _answering(model: nn.Module, output: ModelOutput, features: Tensor) -> Iterator[None]:
    """Let the backbone answer with the features of some tokens, shape (n, D), whatever it is asked."""
    backbone, answer = _backbone(model), type(output)(**{**output, "last_hidden_state": features[None]})
    before = {name: value for name, value in vars(backbone).items() if name == "forward"}  # that of a hook, maybe
    backbone.forward = lambda *_, **__: answer
    try:
        yield
    finally:
        del backbone.forward
        vars(backbone).update(before)


def _unread_ids(features: Tensor) -> Tensor:
    """Token ids that nothing reads, as many as there are features."""
    return torch.zeros(1, len(features), dtype=torch.int64, device=features.device)


def _head(model: nn.Module) -> Tensor:
    weight: Tensor = model.get_output_embeddings().weight  # type: ignore[operator]
    return weight


def _backbone(model: nn.Module) -> nn.Module:
    backbone: nn.Module = unwrapped(model).base_model  # type: ignore[assignment]
    return backbone
