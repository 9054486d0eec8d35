# SPDX-License-Identifier: Apache-2.0
"""Tiny networks of the transformers library with random weights, and a corpus small enough to be made up."""

import torch
import transformers
from torch.utils.data import Dataset

WORDS = 40
LENGTH = 12
N_CLASSES = 3
SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
CALM = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


class Texts(Dataset):
    def __init__(self, ids, labels, mask=None):
        self.columns = {"input_ids": ids, "labels": labels}
        self.columns["attention_mask"] = torch.ones_like(ids) if mask is None else mask

    def __len__(self):
        return len(self.columns["labels"])

    def __getitem__(self, row):
        return {name: column[row] for name, column in self.columns.items()}


def made_up(task, n, seed):
    """Sequences in which a class prefers its own words, with labels of the task; some are ignored."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randint(N_CLASSES, (n,), generator=generator)
    ids = torch.randint(1, WORDS, (n, LENGTH), generator=generator)
    own = torch.rand(n, LENGTH, generator=generator) < 0.3
    ids = torch.where(own, 1 + classes[:, None], ids)
    if task == "sequences":
        return Texts(ids, classes)
    tokens = ids % N_CLASSES if task == "tokens" else ids.clone()
    tokens[torch.rand(n, LENGTH, generator=generator) < 0.2] = -100
    return Texts(ids, tokens)


def network(task, words=WORDS, n_classes=N_CLASSES):
    """A network without dropout, so that two ways to the same batch give the same gradients."""
    torch.manual_seed(0)
    if task == "causal":
        config = transformers.GPT2Config(
            vocab_size=words, n_positions=64, n_embd=16, n_layer=1, n_head=2, resid_pdrop=0.0, embd_pdrop=0.0,
            attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
        )  # fmt: skip
        return transformers.GPT2LMHeadModel(config)
    config = transformers.BertConfig(
        vocab_size=words, max_position_embeddings=64, num_labels=n_classes, **SIZES, **CALM
    )
    family = (
        transformers.BertForSequenceClassification if task == "sequences" else transformers.BertForTokenClassification
    )
    return family(config)


def arguments(folder, **options):
    standard = {
        "use_cpu": True, "report_to": "none", "disable_tqdm": True, "save_strategy": "no", "logging_strategy": "no",
        "optim": "sgd", "learning_rate": 0.5, "lr_scheduler_type": "constant", "max_grad_norm": 0.0,
        "per_device_train_batch_size": 8, "per_device_eval_batch_size": 4, "num_train_epochs": 2, "seed": 0,
        "eval_strategy": "steps", "eval_steps": 10**6,
    }  # fmt: skip
    return transformers.TrainingArguments(output_dir=str(folder), **{**standard, **options})


def trainer(task, callback, folder, *, train=32, validation=13, callbacks=(), data=None, model=None, **options):
    """A Trainer of the task; callbacks given besides see each evaluation before the gammas move."""
    train_set, eval_set = data or (made_up(task, train, 1), made_up(task, validation, 2))
    return transformers.Trainer(
        model or network(task),
        arguments(folder, **options),
        train_dataset=train_set,
        eval_dataset=eval_set,
        compute_loss_func=callback.compute_loss_func,
        callbacks=[*callbacks, callback],
    )
