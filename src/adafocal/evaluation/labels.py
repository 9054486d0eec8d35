# SPDX-License-Identifier: Apache-2.0
"""Tables in which several labels of a row may apply: read, measured label by label, and summed for diagrams."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from adafocal._text import listed
from adafocal.calibration import BinStats, bin_stats, equal_width_edges, evaluate
from adafocal.calibration.multilabel import MultilabelSummary
from adafocal.errors import InvalidValueError
from adafocal.evaluation.event import Event
from adafocal.multilabel import MultilabelPredictions, from_table
from adafocal.results.outcome import CLASS_BINS
from adafocal.tables.columns import Names
from adafocal.tables.read import read_whole
from adafocal.tables.source import Source

LABEL = Event("the label applies", 1)


@dataclass(frozen=True, eq=False)
class LabelsMeasured:
    """What tables of several labels tell.

    Attributes:
        summary: Every number of every label.
        bins: Ten equal-width bins of each label's probability, by its name.
        independent: Whether samples stand for themselves, and do not belong to clusters.
    """

    summary: MultilabelSummary
    bins: dict[str, BinStats]
    independent: bool


def measure_labels(files: Sequence[Source], names: Names, *, n_bins: int) -> LabelsMeasured:
    """Read files as one table, and measure it.

    Args:
        files: Parts of one table.
        names: Names of columns; ``several`` among them.
        n_bins: Number of bins of the measures.

    Raises:
        ValueError: If a file is damaged, lacks columns, holds other labels than the first, or no such predictions.
    """
    records = [read_whole(file, names, from_table, rows=True) for file in files]
    first = records[0]
    for file, record in zip(files, records, strict=True):
        if (record.names, record.kind) != (first.names, first.kind):
            rule = f"`FILE` must name tables of the same labels, {first.kind} of {listed(first.names)} as in {files[0]}"
            raise InvalidValueError(f"{rule}, got {record.kind} of {listed(record.names)} in {file}.")
    record = first if len(records) == 1 else MultilabelPredictions.concatenate(records)
    summary = evaluate(record, n_bins=n_bins)
    bins = {name: _bins(record, name) for name in summary.labels}
    return LabelsMeasured(summary, bins, independent=record.cluster is None)


def _bins(record: MultilabelPredictions, name: str) -> BinStats:
    binary = record.of_label(name)
    edges = equal_width_edges(CLASS_BINS, dtype=torch.float64).to(binary.device)
    probs = binary.probs[:, 1].double().clamp(max=1.0)
    return bin_stats(probs, binary.labels == 1, edges, sample_weight=binary.weight)
