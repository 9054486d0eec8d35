# SPDX-License-Identifier: Apache-2.0
"""Records and sums as values: equality never raises, and every kind of sums has one vocabulary."""

import dataclasses
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

import adafocal
from adafocal import Predictions
from adafocal._sums import Sums
from adafocal.calibration import (
    BinStats,
    CaseStats,
    StreamSums,
    bin_stats,
    binned_error,
    case_stats,
    grid_stats,
    merge,
    stream_sums,
)
from adafocal.losses.validation_statistics import ValidationStatistics
from adafocal.training.history import EpochSums
from adafocal.training.voxels import VoxelSums


def dataclasses_of_the_library() -> list[type]:
    found = set()
    for module in pkgutil.walk_packages(adafocal.__path__, "adafocal."):
        if not module.name.endswith("__main__"):
            names = vars(importlib.import_module(module.name)).values()
            found |= {c for c in names if inspect.isclass(c) and dataclasses.is_dataclass(c)}
    return sorted(found, key=lambda c: (c.__module__, c.__qualname__))


def holds_tensors(hint: object) -> bool:
    if typing.get_origin(hint) is Callable:
        return False
    if inspect.isclass(hint) and (issubclass(hint, (Tensor, np.ndarray)) or hasattr(hint, "array_type")):
        return True
    return any(holds_tensors(part) for part in typing.get_args(hint))


def with_tensors() -> list[type]:
    return [c for c in dataclasses_of_the_library() if any(map(holds_tensors, typing.get_type_hints(c).values()))]


def test_the_records_that_hold_tensors_are_found():
    names = {c.__name__ for c in with_tensors()}

    assert len(names) >= 22
    assert {"BinStats", "StreamSums", "LossGroups", "Split", "RocCurve", "PersistenceDiagram"} <= names
    assert not names & {"CalibrationSummary", "TrainConfig", "Estimate"}


@pytest.mark.parametrize("record", with_tensors(), ids=lambda c: c.__name__)
def test_a_record_that_holds_tensors_is_equal_to_itself_alone(record):
    # Tensors compare element by element: the generated equality would raise where they have several.
    assert record.__eq__ is object.__eq__
    assert record.__hash__ is object.__hash__


EDGES = torch.tensor([0.25, 0.5, 0.75])


def batches(n: int = 90) -> list[tuple[Tensor, Tensor]]:
    logits = 2 * torch.randn(n, 3)
    return list(zip(logits.split(40), torch.randint(3, (n,)).split(40), strict=True))


def top_label(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return logits.softmax(1).amax(1), logits.argmax(1) == labels


# Each kind: the sums of nothing, the sums of a batch, and the numbers that follow.
KINDS = {
    "bins": (
        BinStats.empty(EDGES),
        lambda z, y: bin_stats(*top_label(z, y), EDGES),
        lambda sums: [sums.compute(), sums.compute(norm="l2", debias=True), sums.compute(norm="max")],
    ),
    "cells": (BinStats.empty(grid_stats(*top_label(*batches()[0])).edges), lambda z, y: grid_stats(*top_label(z, y)),
              lambda sums: [sums.compute()]),
    "stream": (
        StreamSums.empty(n_classes=3),
        lambda z, y: stream_sums(Predictions(logits=z, labels=y)),
        lambda sums: [sums.compute().ece, sums.compute().brier, sums.compute().smooth_ece],
    ),
    "validation": (
        ValidationStatistics.empty(),
        lambda z, y: ValidationStatistics.of_batch(*top_label(z, y), streaming=False),
        lambda sums: [sums.compute(4, streaming=False, like=EDGES).gap],
    ),
    "streamed validation": (
        ValidationStatistics.empty(),
        lambda z, y: ValidationStatistics.of_batch(*top_label(z, y), streaming=True),
        lambda sums: [sums.compute(4, streaming=True, like=EDGES).gap],
    ),
    "epoch": (EpochSums.empty(EDGES), lambda z, y: EpochSums.of_batch(z, y, EDGES),
              lambda sums: list(sums.compute().values())),
    "cases": (
        CaseStats.empty(n_classes=3),
        lambda z, y: case_stats(z, y, torch.arange(len(y)) % 4),
        lambda sums: [sums.errors(name) for name in ("ece", "ace", "mce")],
    ),
    "voxels": (
        VoxelSums.empty(n_classes=3, n_bins=15),
        lambda z, y: VoxelSums.of_part(z, y, n_bins=15),
        lambda sums: list(sums.compute().values()),
    ),
}  # fmt: skip


def close(first, second):
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(torch.as_tensor(one), torch.as_tensor(other), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_parts_merge_into_the_sums_of_the_whole_in_any_grouping(kind):
    empty, of_batch, numbers = KINDS[kind]
    parts = batches()
    a, b, c = (of_batch(*part) for part in parts)
    whole = of_batch(*(torch.cat(values) for values in zip(*parts, strict=True)))

    for merged in (a.merge(b).merge(c), a.merge(b.merge(c)), c.merge(a).merge(b), empty.merge(a).merge(b).merge(c)):
        close(numbers(merged), numbers(whole))
    close(numbers(a.merge(empty)), numbers(a))
    close(numbers(a), numbers(of_batch(*parts[0])))  # merging has changed no part


@pytest.mark.parametrize("kind", ["bins", "stream", "epoch", "cases", "voxels"])
def test_what_is_no_part_is_refused_by_its_name(kind, rejects):
    empty, *_ = KINDS[kind]
    with rejects(TypeError, f"`second` must be {type(empty).__name__}, got Tensor: use {empty.made_by}."):
        empty.merge(torch.zeros(3))


def test_sums_of_other_bins_or_classes_are_no_parts(rejects):
    with rejects(ValueError, "`second.edges` must equal `first.edges`: sums over different bins cannot be added."):
        StreamSums.empty(n_classes=3).merge(StreamSums.empty(n_classes=3, n_bins=4))
    with rejects(ValueError, "`second.class_gaps` must have the shape of `first.class_gaps`, (3, 15), got (2, 15)."):
        StreamSums.empty(n_classes=3).merge(StreamSums.empty(n_classes=2))
    with rejects(ValueError, "`second.count` must have the shape of `first.count`, (4,), got (2, 4)."):
        merge(BinStats.empty(EDGES), BinStats.empty(EDGES, 2))
    with rejects(TypeError, "`first` must be BinStats, got Tensor: use bin_stats."):
        merge(torch.zeros(3), BinStats.empty(EDGES))


def test_nothing_has_no_numbers(rejects):
    assert BinStats.empty(EDGES).compute().isnan()
    assert BinStats.empty(EDGES, 2).compute(norm="max").isnan().tolist() == [True, True]
    assert ValidationStatistics.empty().compute(3, streaming=False, like=EDGES) is None
    assert ValidationStatistics.empty().compute(3, streaming=True, like=EDGES) is None
    with rejects(ValueError, "`sums` must hold at least one sample, got 0."):
        StreamSums.empty(n_classes=3).compute()


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
@pytest.mark.parametrize("debias", [False, True])
def test_rows_of_sums_have_the_errors_of_each_row(norm, debias):
    if debias and norm == "max":
        return
    each = [bin_stats(*top_label(*part), EDGES) for part in batches()]
    parts = zip(*((s.count, s.confidence_sum, s.correct_sum) for s in each), strict=True)
    rows = BinStats(EDGES, *(torch.stack(part) for part in parts))
    errors = torch.stack([binned_error(stats, norm=norm, debias=debias) for stats in each])

    torch.testing.assert_close(rows.compute(norm=norm, debias=debias), errors, rtol=0, atol=1e-15)
    torch.testing.assert_close(rows.weight.sum(dim=1), torch.ones(3, dtype=torch.float64))
    assert rows.n_bins == 4


def test_sums_move_as_a_whole():
    moved = StreamSums.empty(n_classes=3).to("cpu")

    assert moved.totals.dtype == torch.float64
    assert isinstance(moved.bins, Sums)
