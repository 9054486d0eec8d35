# SPDX-License-Identifier: Apache-2.0
"""Peak memory and time of one training step on a vocabulary: logits at once, and a chunk at a time.

Every measurement is a process of its own; variants take turns. Peak memory is the growth of the process's peak beyond
imports, data, weights and their gradients. With a GPU it is that of torch's allocator; Liger's fused cross-entropy
takes part there where it is installed.

python benchmarks/vocabulary.py [--tokens 4096] [--vocabulary 32768] [--width 256] [--repeats 5]
"""

import argparse
import importlib.util
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adafocal.calibration import top_label_from_features, top_label_from_logits
from adafocal.losses import AdaFocalLoss, linear_cross_entropy
from adafocal.losses.linear import recomputed_cross_entropy

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
Step = Callable[[Tensor, nn.Linear, Tensor, AdaFocalLoss], None]


def cross_entropy(features: Tensor, head: nn.Linear, labels: Tensor, criterion: AdaFocalLoss) -> None:
    F.cross_entropy(head(features), labels).backward()


def adafocal(features: Tensor, head: nn.Linear, labels: Tensor, criterion: AdaFocalLoss) -> None:
    criterion(head(features), labels).backward()


def cross_entropy_chunks(features: Tensor, head: nn.Linear, labels: Tensor, criterion: AdaFocalLoss) -> None:
    options = nn.LinearCrossEntropyOptions()  # torch's own way and size of chunks
    F.linear_cross_entropy(features, head.weight, labels, options=options).backward()


def adafocal_chunks(features: Tensor, head: nn.Linear, labels: Tensor, criterion: AdaFocalLoss) -> None:
    criterion.from_cross_entropy(linear_cross_entropy(features, head.weight, labels), labels).backward()


def adafocal_recomputed(features: Tensor, head: nn.Linear, labels: Tensor, criterion: AdaFocalLoss) -> None:
    size = max(1, (1 << 24) // len(head.weight))
    ce = recomputed_cross_entropy(features, head.weight, labels, None, -100, size)
    criterion.from_cross_entropy(ce, labels).backward()


def liger(features: Tensor, head: nn.Linear, labels: Tensor, criterion: AdaFocalLoss) -> None:
    from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss

    LigerFusedLinearCrossEntropyLoss()(head.weight, features, labels).backward()


def trl_head(features: Tensor, head: nn.Linear, labels: Tensor, criterion: AdaFocalLoss, parts: bool = False) -> None:
    """Take TRL's fused head as its trainer does, on a transformer without layers."""
    from transformers import LlamaConfig, LlamaForCausalLM
    from trl.trainer.utils import add_fused_lm_head

    from adafocal.integrations.own_head import fuse_in_parts

    config = LlamaConfig(vocab_size=8, hidden_size=head.weight.shape[1], num_hidden_layers=0, num_attention_heads=1)
    model = LlamaForCausalLM(config).to(DEVICE)
    model.lm_head = head
    add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))
    if parts:
        fuse_in_parts(model)
    output = model(inputs_embeds=features[None], shift_labels=labels[None], fused_lm_head=True)
    criterion.from_cross_entropy(-output.log_probs[0], labels).backward()


def observe(features: Tensor, head: nn.Linear, labels: Tensor, criterion: AdaFocalLoss) -> None:
    with torch.no_grad():
        criterion.observe_top_label(*top_label_from_logits(head(features), labels))


def observe_chunks(features: Tensor, head: nn.Linear, labels: Tensor, criterion: AdaFocalLoss) -> None:
    criterion.observe_top_label(*top_label_from_features(features, head.weight, labels))


VARIANTS: dict[str, Step] = {
    "cross-entropy on logits": cross_entropy,
    "AdaFocal on logits": adafocal,
    "cross-entropy, F.linear_cross_entropy": cross_entropy_chunks,
    "AdaFocal, chunks": adafocal_chunks,
    "AdaFocal, chunks of an older torch": adafocal_recomputed,
    "AdaFocal, TRL's head": trl_head,
    "AdaFocal, TRL's head in parts": partial(trl_head, parts=True),
    "Liger fused cross-entropy": liger,
    "observe logits": observe,
    "observe, chunks": observe_chunks,
}
BASELINES = {"observe logits": "observe logits", "observe, chunks": "observe logits"}


def peak() -> float:
    """Give the peak memory so far in MiB."""
    if DEVICE == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def one_step(name: str, tokens: int, vocabulary: int, width: int) -> dict[str, float]:
    torch.manual_seed(0)
    features = torch.randn(tokens, width, device=DEVICE, requires_grad=True)
    labels = torch.randint(vocabulary, (tokens,), device=DEVICE)
    head, criterion = nn.Linear(width, vocabulary, bias=False, device=DEVICE), AdaFocalLoss(streaming=True).to(DEVICE)
    few = slice(0, 8)
    VARIANTS[name](features[few], head, labels[few], criterion)  # kernels are found, gradients allocated
    head.weight.grad, before = torch.zeros_like(head.weight), peak()
    wall, cpu = time.perf_counter(), time.process_time()
    VARIANTS[name](features, head, labels, criterion)
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "peak": peak() - before}


def table(results: dict[str, list[dict[str, float]]]) -> None:
    def median(name: str, kind: str) -> float:
        return statistics.median(result[kind] for result in results[name])

    print(f"{'':<38} {'peak MiB':>9} {'seconds':>8} {'ratio':>6} {'CPU s':>7} {'ratio':>6}")
    for name in results:
        base = BASELINES.get(name, "cross-entropy on logits")
        seconds, cpu = median(name, "seconds"), median(name, "cpu")
        ratios = seconds / median(base, "seconds"), cpu / median(base, "cpu")
        print(
            f"{name:<38} {median(name, 'peak'):>+9.0f} {seconds:>8.2f} {ratios[0]:>6.2f} {cpu:>7.2f} {ratios[1]:>6.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--vocabulary", type=int, default=32768)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    options = parser.parse_args()
    size = (options.tokens, options.vocabulary, options.width)
    if options.variant:
        print(json.dumps(one_step(options.variant, *size)))
        return
    device = (
        torch.cuda.get_device_name() if DEVICE == "cuda" else f"{platform.machine()}, {torch.get_num_threads()} threads"
    )
    print(
        f"torch {torch.__version__}, {device}; {size[0]} tokens x {size[1]} classes, width {size[2]}, float32, ", end=""
    )
    print(f"{options.repeats} processes each; the logits would take {size[0] * size[1] * 4 / 2**20:.0f} MiB")
    without = set() if importlib.util.find_spec("trl") is not None else {name for name in VARIANTS if "TRL" in name}
    if DEVICE != "cuda" or importlib.util.find_spec("liger_kernel") is None:
        without.add("Liger fused cross-entropy")
    results: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS if name not in without}
    sizes = ["--tokens", str(size[0]), "--vocabulary", str(size[1]), "--width", str(size[2])]
    for _ in range(options.repeats):
        for name, found in results.items():
            command = [sys.executable, __file__, *sizes, "--variant", name]
            found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            print(name, found[-1], file=sys.stderr, flush=True)
    table(results)


if __name__ == "__main__":
    main()
