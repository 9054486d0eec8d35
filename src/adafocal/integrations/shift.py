# SPDX-License-Identifier: Apache-2.0
"""Whether a model of the transformers library trains token i to predict label i + 1: its own loss is asked."""

import inspect
import warnings
from typing import Any

import torch
from torch import Tensor, nn

LENGTH = 6


def shifts_labels(model: nn.Module) -> bool | None:
    """Ask a model's own loss whether it shifts labels, as causal language models do: then it never sees the first one.

    Names do not tell: classes are subclassed, compiled and wrapped; ``BartForCausalLM`` shifts nothing, and ``Llava``,
    which is no causal language model by name, does. So a sequence of a few tokens is put through the model with labels
    that differ in one place. The model ends as it was: modes, random numbers, gradients.

    Args:
        model: Any module that takes ``input_ids`` and ``labels`` and returns ``loss`` and ``logits``; compiled modules
            and the wrappers of parallel training and of peft are looked through.

    Returns:
        Whether it shifts; None where its loss cannot tell, as it reads no tokens or has no loss.
    """
    bare = unwrapped(model)
    modes = {module: module.training for module in bare.modules()}
    try:
        devices = sorted({parameter.get_device() for parameter in bare.parameters() if parameter.is_cuda})
        bare.eval()
        with torch.no_grad(), torch.random.fork_rng(devices=devices), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _ask(bare)
    except Exception:  # whatever a model makes of a few tokens, it is no answer
        return None
    finally:
        for module, training in modes.items():
            module.training = training


def unwrapped(model: nn.Module) -> nn.Module:
    """Unwrap a module from those of a compiler, of parallel training and of an adapter."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            inner = model.module
        if inner is None and callable(getattr(model, "get_base_model", None)):
            inner = model.get_base_model()  # type: ignore[operator]
        if not isinstance(inner, nn.Module) or inner is model:
            return model
        model = inner


def _ask(model: nn.Module) -> bool | None:
    inputs = _tokens(model)
    output = model(**inputs)
    logits: Tensor = output["logits"] if isinstance(output, dict) else output[0]
    if logits.ndim == 2:  # one label for the whole sequence
        return False
    if logits.shape[1] != LENGTH or logits.shape[2] < 2:  # labels out of range would end a CUDA process
        return None
    first, other = torch.tensor([[0, 1, 0, 1, 1, 0]], device=inputs["input_ids"].device), []
    for place in (0, 2):
        changed = first.clone()
        changed[0, place] = 1 - changed[0, place]
        other.append(_loss(model, inputs, changed))
    loss, without_first, without_third = _loss(model, inputs, first), *other
    if not all(torch.isfinite(value) for value in (loss, without_first, without_third)) or loss == without_third:
        return None
    return bool(loss == without_first)


def _loss(model: nn.Module, inputs: dict[str, Tensor], labels: Tensor) -> Tensor:
    output = model(**inputs, labels=labels)
    loss: Tensor = output["loss"] if isinstance(output, dict) else output[0]
    return loss


def _tokens(model: nn.Module) -> dict[str, Tensor]:
    """Make inputs of a few tokens without a meaning of their own, such as that of padding or of an image."""
    config: Any = getattr(model, "config", None)
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    special = {
        value
        for settings in (config, text)
        for name, value in (vars(settings) if settings is not None else {}).items()
        if name.endswith(("token_id", "token_index")) and isinstance(value, int)
    }
    n_words = getattr(text, "vocab_size", None) or 2 * LENGTH
    plain = [word for word in range(min(n_words, 100)) if word not in special][:LENGTH]
    device = next(model.parameters()).device
    ids = torch.tensor([[plain[place % len(plain)] for place in range(LENGTH)]], device=device)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if getattr(config, "is_encoder_decoder", False):
        inputs["decoder_input_ids"] = ids
    taken = inspect.signature(model.forward).parameters
    anything = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in taken.values())
    return {name: value for name, value in inputs.items() if anything or name in taken}
