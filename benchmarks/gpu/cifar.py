# SPDX-License-Identifier: Apache-2.0
"""CIFAR-10 with ResNet-50 as the papers train it, on the device, and how it fares under noise."""

import argparse
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from loop import Task
from PIL import Image
from torch import Tensor, nn

from adafocal.data.augment import normalise, random_flip, random_shift
from adafocal.data.corruptions import corrupt
from adafocal.data.splits import stratified_parts
from adafocal.models import make_model

MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def prepare(options: argparse.Namespace, cache: Path) -> None:
    """Decode the images of all shards that are there, once for all processes."""
    if not cache.exists():
        parts = {part: read(sorted((options.data / "cifar10").glob(f"{part}-*.parquet"))) for part in ("train", "test")}
        torch.save(parts, cache)


def read(shards: list[Path]) -> tuple[Tensor, Tensor]:
    """Read images (N, 3, 32, 32) uint8 and labels."""
    if not shards:
        return torch.empty(0, 3, 32, 32, dtype=torch.uint8), torch.empty(0, dtype=torch.int64)
    tables = [pq.read_table(shard) for shard in shards]
    stored = [row["bytes"] for table in tables for row in table.column("image").to_pylist()]
    labels = np.concatenate([table.column("label").to_numpy() for table in tables])
    with ThreadPoolExecutor(16) as pool:
        images = np.stack(list(pool.map(decode, stored, chunksize=256)))
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels).long()


def decode(stored: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(stored)).convert("RGB"))


def make_task(options: argparse.Namespace, cache: Path, device: torch.device) -> Task:
    """Put everything on the device: 5,000 training images for validation; without a test part as many for test."""
    stored = torch.load(cache, weights_only=True)
    images, labels = stored["train"]
    n_validation = min(5000, len(labels) // 5)
    sizes = [len(labels) - n_validation, n_validation]
    if len(stored["test"][1]) == 0:
        sizes = [sizes[0] - n_validation, n_validation, n_validation]
    rows = stratified_parts(labels.numpy(), sizes, seed=0)
    if options.images is not None:
        rows = tuple(some[: options.images] for some in rows)
    parts = {
        name: (images[some].to(device), labels[some].to(device))
        for name, some in zip(("train", "validation", "test"), rows, strict=False)
    }
    if "test" not in parts:
        parts["test"] = tuple(values[: options.images].to(device) for values in stored["test"])

    def plain(batch: Tensor) -> Tensor:
        return normalise(batch, mean=MEAN, deviation=DEVIATION).contiguous(memory_format=torch.channels_last)

    def noisy(batch: Tensor, severity: int) -> Tensor:
        source = torch.Generator(device).manual_seed(severity)
        return torch.cat(
            [corrupt(part, "gaussian_noise", severity=severity, generator=source) for part in batch.split(2000)]
        )

    def optimizer(model: nn.Module) -> torch.optim.Optimizer:
        fused = device.type == "cuda"
        return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, fused=fused)

    return Task(
        parts=parts,
        model=lambda: make_model("resnet50", {"width": options.width}, input_shape=(3, 32, 32), n_classes=10),
        optimizer=optimizer,
        train=lambda batch: plain(random_flip(random_shift(batch, pad=4))),
        plain=plain,
        shifted={f"gaussian_noise_{severity}": partial(noisy, severity=severity) for severity in (1, 3, 5)},
        milestones=(150 / 350, 250 / 350),
        clip_norm=2.0,
        epochs=options.epochs or 350,
        batch_size=options.batch_size,
        compiled=options.compile,
    )
