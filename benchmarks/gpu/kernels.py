# SPDX-License-Identifier: Apache-2.0
"""Time and memory of losses, and of the head of a vocabulary, as multiples of cross-entropy's in the same run."""

import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adafocal.losses import AdaFocalLoss, linear_cross_entropy, make_loss

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
SIZES = ((128, 10), (4096, 1000), (8192, 32_768))
HEADS = ((8192, 32_768, 1024), (8192, 131_072, 2048))  # tokens, vocabulary, width
COMPILED = (4096, 1000)
SMALL_SIZES, SMALL_HEADS = ((16, 10),), ((16, 64, 8),)
NAMES = ("cross_entropy", "focal", "flsd53", "dual_focal", "adafocal", "brier")
Step = Callable[[], Tensor]


def measure(deadline: float, *, small: bool) -> list[dict[str, object]]:
    """Measure every case that the time allows; each case's first is cross-entropy, to which the others are held."""
    rows: list[dict[str, object]] = []
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for dtype in (torch.float32, torch.bfloat16):
        for size in SMALL_SIZES if small else SIZES:
            case = {"what": "loss", "size": "x".join(map(str, size)), "dtype": str(dtype).removeprefix("torch.")}
            rows += compared(case, losses(size, dtype, device), deadline, device)
        for tokens, vocabulary, width in SMALL_HEADS if small else HEADS:
            size = f"{tokens}x{vocabulary} width {width}"
            case = {"what": "head", "size": size, "dtype": str(dtype).removeprefix("torch.")}
            rows += compared(case, heads(tokens, vocabulary, width, dtype, device), deadline, device)
    for row in rows:
        print(
            " ".join(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()), flush=True
        )
    return rows


def losses(size: tuple[int, int], dtype: torch.dtype, device: torch.device) -> dict[str, Step]:
    torch.manual_seed(0)
    logits = (3 * torch.randn(size, device=device)).to(dtype).requires_grad_()
    labels = torch.randint(size[1], size[:1], device=device)

    def step(criterion: nn.Module) -> Tensor:
        logits.grad = None
        loss: Tensor = criterion(logits, labels)
        loss.backward()
        return loss

    made = {name: make_loss(name).to(device) for name in NAMES}
    steps = {name: lambda one=one: step(one) for name, one in made.items()}
    if device.type == "cuda" and size == COMPILED:
        for name in ("cross_entropy", "adafocal"):
            compiled = torch.compile(made[name])
            steps[f"{name}, compiled"] = lambda one=compiled: step(one)
    return steps


def heads(tokens: int, vocabulary: int, width: int, dtype: torch.dtype, device: torch.device) -> dict[str, Step]:
    torch.manual_seed(0)
    features = torch.randn(tokens, width, device=device, dtype=dtype).requires_grad_()
    weight = (torch.randn(vocabulary, width, device=device, dtype=dtype) / width**0.5).requires_grad_()
    labels = torch.randint(vocabulary, (tokens,), device=device)
    criterion = AdaFocalLoss(streaming=True).to(device)

    def step(loss_of: Step) -> Tensor:
        features.grad = weight.grad = None
        loss = loss_of()
        loss.backward()
        return loss

    steps: dict[str, Step] = {
        "cross_entropy": lambda: F.cross_entropy(features @ weight.T, labels),
        "adafocal": lambda: criterion(features @ weight.T, labels),
        "adafocal, chunks": lambda: criterion.from_cross_entropy(
            linear_cross_entropy(features, weight, labels), labels
        ),
    }
    if hasattr(F, "linear_cross_entropy"):
        steps["cross_entropy, F.linear_cross_entropy"] = lambda: F.linear_cross_entropy(features, weight, labels)
    if device.type == "cuda" and importlib.util.find_spec("liger_kernel") is not None:
        from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss

        mean, each = LigerFusedLinearCrossEntropyLoss(), LigerFusedLinearCrossEntropyLoss(reduction="none")
        steps["cross_entropy, Liger"] = lambda: mean(weight, features, labels)
        steps["adafocal, Liger"] = lambda: criterion.from_cross_entropy(each(weight, features, labels), labels)
    return {name: lambda one=one: step(one) for name, one in steps.items()}


def compared(
    case: dict[str, object], steps: dict[str, Step], deadline: float, device: torch.device
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    base: tuple[float, float] | None = None
    for name, step in steps.items():
        if time.time() > deadline:
            break
        try:
            seconds, memory = timed(step, device)
        except Exception as error:  # too large for this device, or another version of a kernel: the others go on
            rows.append({**case, "step": name, "failed": f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"})
            continue
        base = base or (seconds, memory)
        ratios = {"time_ratio": seconds / base[0], "memory_ratio": memory / base[1] if base[1] else 1.0}
        rows.append({**case, "step": name, "ms": 1e3 * seconds, "mib": memory, **ratios})
    return rows


def timed(step: Step, device: torch.device, *, repeats: int = 15) -> tuple[float, float]:
    """Give the median seconds of a step once warm, and by how many MiB it raises the peak of the allocator."""
    if device.type != "cuda":
        step()
        start = time.perf_counter()
        step()
        return time.perf_counter() - start, 0.0
    for _ in range(4):
        step()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    memory = (torch.cuda.max_memory_allocated() - before) / 2**20
    found = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        step()
        end.record()
        end.synchronize()
        found.append(start.elapsed_time(end) / 1e3)
    return statistics.median(found), memory
