# SPDX-License-Identifier: Apache-2.0
"""AdaFocal in the Trainer of transformers: a tiny BERT from scratch, on texts that this file makes up.

python examples/huggingface_trainer.py
"""

import tempfile

import torch
import transformers
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

from adafocal import AdaFocalLoss
from adafocal.integrations.transformers import AdaFocalTrainerCallback

N_WORDS, N_CLASSES = 200, 4


def texts(n: int, seed: int) -> list[dict[str, torch.Tensor]]:
    """Make up sequences of word ids in which each class has a word of its own."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(N_CLASSES, (n,), generator=generator)
    ids = torch.randint(N_CLASSES, N_WORDS, (n, 16), generator=generator)
    ids = torch.where(torch.rand(n, 16, generator=generator) < 0.12, labels[:, None], ids)
    return [{"input_ids": row, "labels": label} for row, label in zip(ids, labels, strict=True)]


def main() -> None:
    transformers.set_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    model = BertForSequenceClassification(BertConfig(vocab_size=N_WORDS, num_labels=N_CLASSES, **sizes))
    callback = AdaFocalTrainerCallback(AdaFocalLoss())
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(), num_train_epochs=4, learning_rate=3e-3, eval_strategy="epoch",
        per_device_train_batch_size=32, report_to="none", disable_tqdm=True, logging_strategy="no", save_strategy="no",
    )  # fmt: skip
    trainer = Trainer(
        model,
        arguments,
        train_dataset=texts(1024, seed=1),
        eval_dataset=texts(301, seed=2),
        compute_loss_func=callback.compute_loss_func,  # shifts labels for causal language models, skips -100
        callbacks=[callback],  # adapts after each evaluation; checkpoints hold the gammas
    )
    trainer.train()
    for entry in trainer.state.log_history:
        if "eval_ece_equal_mass" in entry:
            error, gamma = 100 * entry["eval_ece_equal_mass"], entry["eval_gamma_14"]
            print(f"epoch {entry['epoch']:.0f}: equal-mass ECE {error:.1f} %, gamma of the surest bin {gamma:.2f}")


if __name__ == "__main__":
    main()
