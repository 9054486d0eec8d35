# SPDX-License-Identifier: Apache-2.0
"""Time and memory of each loss over `F.cross_entropy`, alternating in one run; prints median ratios.

python benchmarks/losses.py [--repeats 30] [--losses adafocal focal ...] [--no-peers] [--no-memory]

Peers (MONAI, kornia, a loop over samples as in the authors' code) are measured where they are installed.
"kept" is what a loss holds for backward, "peak" the growth of the process's peak memory over one step, both in units
of the logits; peaks are taken in fresh processes.
"""

import argparse
import importlib.util
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from adafocal.losses import LOSSES, make_loss

Loss = Callable[[Tensor, Tensor], Tensor]
NAMES = [name for name, spec in LOSSES.items() if not spec.dense]  # benchmarks/topology.py has the others
SIZES = [(128, 10), (8192, 1000), (65536, 21)]
GOALS = {(128, 10): 2.5, (8192, 1000): 1.15, (65536, 21): 1.5}  # for AdaFocal on 2 CPU cores
MEMORY_SIZE = (8192, 4000)


def monai_focal() -> Loss:
    from monai.losses import FocalLoss

    # Its input wants a spatial axis, its target a channel of class indices.
    criterion = FocalLoss(gamma=3.0, use_softmax=True, to_onehot_y=True, include_background=True)
    return lambda logits, labels: criterion(logits[:, :, None], labels[:, None, None])


def kornia_focal() -> Loss:
    from kornia.losses import focal_loss

    return lambda logits, labels: focal_loss(logits, labels, alpha=None, gamma=3.0, reduction="mean")


def python_loop() -> Loss:
    """Look each sample's gamma up in Python, bin by bin, as published AdaFocal code does."""
    gammas, edges = [1.0] * 15, [(i + 1) / 15 for i in range(14)]

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        log_p = F.log_softmax(logits, dim=1).gather(1, labels[:, None])[:, 0]
        p = log_p.exp()
        gamma = []
        for i in range(len(p)):
            value = p[i].item()
            for b in range(15):
                if b == 14 or value < edges[b]:
                    gamma.append(gammas[b])
                    break
        return -((1 - p + 1e-20) ** torch.tensor(gamma) * log_p).mean()

    return loss


PEERS = {"monai": ("MONAI focal", monai_focal), "kornia": ("kornia focal", kornia_focal)}


def contenders(names: list[str], *, peers: bool) -> dict[str, Callable[[], Loss]]:
    chosen: dict[str, Callable[[], Loss]] = {name: (lambda name=name: make_loss(name)) for name in names}
    if peers:
        chosen |= {title: make for module, (title, make) in PEERS.items() if importlib.util.find_spec(module)}
        chosen["python loop"] = python_loop
    return chosen


def batch(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(*size, generator=generator, requires_grad=True)
    return logits, torch.randint(size[1], size[:1], generator=generator)


clock = time.perf_counter


def seconds_per_step(loss: Loss, logits: Tensor, labels: Tensor, calls: int) -> float:
    start = clock()
    for _ in range(calls):
        logits.grad = None
        loss(logits, labels).backward()
    return (clock() - start) / calls


def ratio_to_cross_entropy(loss: Loss, size: tuple[int, int], repeats: int) -> tuple[float, float, float]:
    """Give the median ratio and its quartiles over pairs of runs, A B A B …, so that drift of the machine cancels."""
    logits, labels = batch(size)
    calls = max(1, 2_000_000 // (size[0] * size[1]) // 4)
    if seconds_per_step(loss, logits, labels, 1) > 0.3:  # the loop over samples: a few pairs say enough
        calls, repeats = 1, min(repeats, 4)
    seconds_per_step(F.cross_entropy, logits, labels, calls)
    ratios = [
        seconds_per_step(loss, logits, labels, calls) / seconds_per_step(F.cross_entropy, logits, labels, calls)
        for _ in range(repeats)
    ]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return low, middle, high


def kept_for_backward(loss: Loss, size: tuple[int, int]) -> float:
    """Give the size of everything held for backward beside the inputs, in units of the logits."""
    logits, labels = batch(size)
    inputs = {logits.data_ptr(), labels.data_ptr()}
    held: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in inputs:
            held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        value = loss(logits, labels)
    value.backward()
    return sum(held.values()) / logits.untyped_storage().nbytes()


def peak_of_one_step(loss: Loss, size: tuple[int, int]) -> float:
    """Give the growth of this process's peak memory over one step, in units of the logits."""
    warm_logits, warm_labels = batch((64, 10))
    loss(warm_logits, warm_labels).backward()
    logits, labels = batch(size)
    before = peak_bytes()
    loss(logits, labels).backward()
    return (peak_bytes() - before) / logits.untyped_storage().nbytes()


def peak_bytes() -> int:
    """Give the peak memory of this process (Linux); `resource` would count that of the parent before the start."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def peak_in_fresh_process(name: str) -> float:
    command = [sys.executable, __file__, "--peak-of", name]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--losses", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--no-peers", dest="peers", action="store_false")
    parser.add_argument("--no-memory", dest="memory", action="store_false")
    parser.add_argument("--cpu-time", action="store_true", help="count CPU seconds: for a machine that others use")
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak_of:
        print(peak_of_one_step(contenders(NAMES, peers=True)[options.peak_of](), MEMORY_SIZE))
        return
    if options.cpu_time:
        global clock
        clock = time.process_time
    kind = "CPU time" if options.cpu_time else "time"
    print(f"forward + backward, {kind} over F.cross_entropy: median [quartiles] of {options.repeats} pairs")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()} {platform.processor()}")
    memory = f"{'kept':>7}{'peak':>7}  at {MEMORY_SIZE[0]} x {MEMORY_SIZE[1]}" if options.memory else ""
    print(f"{'loss':<16}" + "".join(f"{f'{n} x {c}':>24}" for n, c in SIZES) + memory)
    for name, make in contenders(options.losses, peers=options.peers).items():
        cells = [ratio_to_cross_entropy(make(), size, options.repeats) for size in SIZES]
        line = f"{name:<16}" + "".join(f"{f'{mid:.2f} [{low:.2f}, {high:.2f}]':>24}" for low, mid, high in cells)
        if options.memory:
            line += f"{kept_for_backward(make(), MEMORY_SIZE):>7.2f}{peak_in_fresh_process(name):>7.2f}"
        print(line, flush=True)
    print(f"{'goal (adafocal)':<16}" + "".join(f"{GOALS[size]:>24.2f}" for size in SIZES))


if __name__ == "__main__":
    main()
