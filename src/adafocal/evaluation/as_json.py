# SPDX-License-Identifier: Apache-2.0
"""What was measured as plain values, for a JSON file."""

import torch

from adafocal.calibration import BinStats, simultaneous_band
from adafocal.evaluation.measure import ALL, Measured
from adafocal.scaling.remedy import Remedy


def to_json(measured: dict[str, Measured], remedy: Remedy | None = None) -> dict[str, object]:
    """Turn everything into plain values: the summary of all rows, its bins, that of each group, and what to do."""
    whole = measured[ALL]
    groups = {name: _summary(part) for name, part in measured.items() if name != ALL}
    return {
        **_summary(whole),
        "method": "exact" if whole.exact else "streamed",
        "bins": _bins(whole.bins, independent=not whole.summary.n_clusters),
        **({"groups": groups} if groups else {}),
        **({"remedy": remedy.to_dict()} if remedy is not None else {}),
    }


def _summary(part: Measured) -> dict[str, object]:
    """The numbers, with the answer in the words of what is calibrated."""
    values = part.summary.to_dict()
    words = " ".join(part.summary.verdict.sentences(of_class=part.event.of_class))
    return {**values, "verdict": {**values["verdict"], "text": words}}  # type: ignore[dict-item]


def _bins(bins: BinStats, *, independent: bool) -> list[dict[str, object]]:
    """Name the numbers of each bin; the band holds all of them at once, and is null where rows belong together."""
    edges = [0.0, *bins.edges.tolist(), 1.0]
    ends = torch.stack(simultaneous_band(bins), dim=1).tolist() if independent else [None] * bins.n_bins
    parts = (bins.count, bins.confidence, bins.accuracy)
    columns = zip(edges, edges[1:], *(part.tolist() for part in parts), ends, strict=False)
    names = ("lower", "upper", "count", "confidence", "accuracy", "accuracy_band")
    return [dict(zip(names, values, strict=True)) for values in columns]
