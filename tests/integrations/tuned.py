# SPDX-License-Identifier: Apache-2.0
"""Tiny language models with random weights, the words of this repository's own pages, and trainers of TRL."""

from pathlib import Path

import datasets
import tokenizers
import torch
import transformers
import trl

PAGES = [Path(__file__).parents[2] / "docs" / name for name in ("segmentation.md", "speed.md")]
SPECIAL = ["<pad>", "<eos>", "<unk>", "<user>", "<model>", "<end>"]
CHAT = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}<model> {% generation %}"
    "{{ message['content'] + ' <end>' }}{% endgeneration %}{% else %}<user> {{ message['content'] + ' <end>' }}"
    "{% endif %} {% endfor %}"
)


def lines():
    """Lines of prose of more than five words."""
    text = "\n".join(path.read_text("utf-8") for path in PAGES).splitlines()
    return [line for line in text if len(line.split()) > 5 and "|" not in line][:53]


def words():
    vocabulary = {
        word: number for number, word in enumerate([*SPECIAL, *sorted({w for x in lines() for w in x.split()})])
    }
    raw = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )
    fast.chat_template = CHAT
    return fast


def rows(kind="text", part=slice(0, 40)):
    """The lines as text, as prompt and completion, or as a conversation."""
    if kind == "text":
        return datasets.Dataset.from_dict({"text": lines()[part]})
    halves = [(" ".join(line.split()[:3]), " ".join(line.split()[3:])) for line in lines()[part]]
    if kind == "completion":
        return datasets.Dataset.from_list([{"prompt": first + " ", "completion": last} for first, last in halves])
    return datasets.Dataset.from_list(
        [{"messages": [{"role": "user", "content": a}, {"role": "assistant", "content": b}]} for a, b in halves]
    )


def network(family="Qwen2", **settings):
    torch.manual_seed(0)
    sizes = {
        "vocab_size": len(words()), "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "head_dim": 8,
        "num_attention_heads": 2, "num_key_value_heads": 1, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": None,
    }  # fmt: skip
    config = getattr(transformers, f"{family}Config")(**{**sizes, **settings})
    return transformers.AutoModelForCausalLM.from_config(config)


def arguments(folder, **options):
    standard = {
        "use_cpu": True, "report_to": "none", "disable_tqdm": True, "save_strategy": "no", "logging_strategy": "no",
        "optim": "sgd", "learning_rate": 0.5, "lr_scheduler_type": "constant", "max_grad_norm": 0.0, "bf16": False,
        "per_device_train_batch_size": 8, "per_device_eval_batch_size": 4, "num_train_epochs": 2, "seed": 0,
        "eval_strategy": "epoch", "max_length": 24, "dataloader_pin_memory": False, "shuffle_dataset": False,
    }  # fmt: skip
    return trl.SFTConfig(output_dir=str(folder), **{**standard, **options})


def trainer(cls, folder, *, kind="text", model=None, given=None, **options):
    return cls(
        network() if model is None else model,
        arguments(folder, **options),
        train_dataset=rows(kind),
        eval_dataset=rows(kind, slice(40, 53)),
        processing_class=words(),
        **(given or {}),
    )
