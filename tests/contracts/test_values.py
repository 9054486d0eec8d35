# SPDX-License-Identifier: Apache-2.0
"""What is no probability, label or score gets a sentence from every public function that measures; never a number.

Every name that the measuring parts export stands in one table below, with what its arguments are. A new name without an
entry fails the first test.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial, wraps
from typing import Any

import numpy as np
import pandas
import pyarrow
import pytest
import torch
from torch import Tensor

from adafocal import calibration, losses, metrics, ood, scaling, selective
from adafocal.errors import AdafocalError
from adafocal.multilabel import MultilabelPredictions
from adafocal.predictions import Predictions
from adafocal.topology import masks as segmentation

PARTS = {"calibration": calibration, "selective": selective, "scaling": scaling, "ood": ood, "metrics": metrics}
N, C = 60, 4


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


LOGITS = 2 * torch.randn(N, C, generator=_generator())
PROBS = LOGITS.softmax(dim=1)
LABELS = torch.multinomial(PROBS, 1, generator=_generator())[:, 0]
CONFIDENCE, CORRECT = PROBS.amax(dim=1), PROBS.argmax(dim=1) == LABELS
FEATURES = torch.randn(N, 6, generator=_generator())
HEAD = torch.randn(C, 6, generator=_generator())
LINEAR = Predictions(logits=FEATURES @ HEAD.T, labels=LABELS, features=FEATURES)
MASK = torch.rand(4, 5, 6, generator=_generator()) < 0.5
GOOD: dict[str, Any] = {
    "confidence": CONFIDENCE,
    "correct": CORRECT.float(),
    "yes_no": CORRECT.float(),
    "probs": PROBS,
    "logits": LOGITS,
    "log_probs": PROBS.log(),
    "several_logits": LOGITS,
    "several_probs": PROBS,
    "several_labels": (PROBS > 0.2).float(),
    "several": MultilabelPredictions(logits=LOGITS, labels=(PROBS > 0.2).long()),
    "labels": LABELS,
    "edges": torch.tensor([0.25, 0.5, 0.75]),
    "stats": calibration.bin_stats(CONFIDENCE, CORRECT, torch.tensor([0.25, 0.5, 0.75])),
    "sums": calibration.stream_sums(LINEAR),
    "share": torch.tensor([0.1, 0.5, 1.0]),
    "count": torch.tensor([10, 0, 7]),
    "any_confidence": 5 * CONFIDENCE,
    "losses": (~CORRECT).float(),
    "scores": LOGITS[:, 0],
    "features": FEATURES,
    "head": HEAD,
    "predictions": LINEAR,
    "two_classes": Predictions(logits=LINEAR.logits[:, :2], labels=(LABELS == 1).long()),
    "mask": MASK,
    "sets": {"other": LINEAR},
    "row": ood.compare_scores(LINEAR, {"other": LINEAR}, scores=["msp"])[0],
}
GOOD["part"] = GOOD["stats"]
GOOD["cells"] = calibration.grid_stats(CONFIDENCE, CORRECT)


def put(value: complex) -> Callable[[Tensor], Tensor]:
    """Give the tensor with one entry in the middle replaced."""

    def change(tensor: Tensor) -> Tensor:
        changed = tensor.clone()
        changed.view(-1)[tensor.numel() // 2] = value
        return changed

    return change


STRANGE: dict[str, Callable[[Tensor], Any]] = {
    "an array": lambda t: t.detach().numpy(),
    "a list": lambda t: t.tolist(),
    "nothing": lambda t: None,
    "a number": lambda t: 0.5,
    "complex": lambda t: t.to(torch.complex64),
}
NUMBERS = STRANGE | {
    "one NaN": put(math.nan),
    "all NaN": lambda t: torch.full_like(t, math.nan),
    "inf": put(math.inf),
    "of too many axes": lambda t: t[None, None],
    "a scalar": lambda t: t.flatten()[0],
}
FLOATS = NUMBERS | {"booleans": lambda t: t > 0, "integers": lambda t: t.round().long()}
SHARES = FLOATS | {
    "-inf": put(-math.inf),
    "negative": put(-0.1),
    "slightly negative": put(-1e-4),
    "above 1": put(1.2),
    "percent": lambda t: 100 * t,
    "logits": lambda t: 5 * (t - t.mean()),
    "percent in half precision": lambda t: (100 * t).half(),
    "one NaN in half precision": lambda t: put(math.nan)(t).bfloat16(),
}
OF_STATS: dict[str, Callable[[Any], Any]] = {
    "an array": lambda s: s.count.numpy(),
    "nothing": lambda s: None,
    "a tensor": lambda s: s.confidence_sum,
    "NaN sums": lambda s: replace(s, confidence_sum=put(math.nan)(s.confidence_sum)),
    "NaN corrects": lambda s: replace(s, correct_sum=put(math.nan)(s.correct_sum)),
    "negative sums": lambda s: replace(s, correct_sum=-s.correct_sum - 1),
    "sums above the count": lambda s: replace(s, confidence_sum=100 * s.confidence_sum + 1),
    "negative counts": lambda s: replace(s, count=-s.count - 1),
}
OF_RECORDS = {
    "an array": lambda p: np.zeros((3, 2)),
    "a tensor": lambda p: torch.full((3, 2), 0.5),
    "a list": lambda p: [[0.5, 0.5]],
    "nothing": lambda p: None,
    "a mapping": lambda p: {"probs": p.probs, "labels": p.labels},
}
BAD: dict[str, Mapping[str, Callable[[Any], Any]]] = {
    "confidence": SHARES,
    "correct": NUMBERS | {"negative": put(-1.0), "two": put(2.0), "labels": lambda t: 3 * t, "short": lambda t: t[1:]},
    "probs": SHARES
    | {
        "rows that sum to more": put(0.999999),
        "zeros": torch.zeros_like,
        "ones": torch.ones_like,
        "negative mass": lambda t: t - torch.tensor([0.9, -0.3, -0.3, -0.3]),
        "short": lambda t: t[1:],
    },
    "logits": FLOATS | {"all -inf in a row": lambda t: t.index_fill(0, torch.tensor([3]), -math.inf)},
    "log_probs": FLOATS | {"probabilities": lambda t: t.exp(), "logits": lambda t: 3 * t},
    "several": {"an array": lambda r: r.probs.numpy(), "two classes": lambda r: r.pooled(), "nothing": lambda r: None},
    "several_logits": FLOATS | {"no label": lambda t: t[:, :0]},
    "several_probs": SHARES | {"no label": lambda t: t[:, :0]},
    "labels": STRANGE
    | {
        "as floats": lambda t: t.float(),
        "booleans": lambda t: t > 0,
        "one-hot": lambda t: torch.nn.functional.one_hot(t, C),
        "one-hot floats": lambda t: torch.nn.functional.one_hot(t, C).float(),
        "the number of classes": put(C),
        "negative": put(-1),
        "far outside": put(10**12),
        "short": lambda t: t[1:],
        "a scalar": lambda t: t[0],
    },
    "edges": SHARES | {"falling": lambda t: t.flip(0)},
    "stats": OF_STATS,
    "cells": OF_STATS,
    "sums": {"an array": lambda s: s.totals.numpy(), "nothing": lambda s: None, "a record": lambda s: s.cells},
    "share": SHARES,
    "count": {
        "an array": lambda t: t.numpy(),
        "negative": put(-1),
        "short": lambda t: t[1:],
        "nothing": lambda t: None,
    },
    "any_confidence": FLOATS | {"empty": lambda t: t[:0], "short": lambda t: t[1:]},
    "losses": NUMBERS | {"-inf": put(-math.inf), "short": lambda t: t[1:]},
    "scores": FLOATS | {"empty": lambda t: t[:0]},
    "features": FLOATS | {"short": lambda t: t[1:]},
    "head": FLOATS | {"of other width": lambda t: t[:, 1:]},
    "predictions": OF_RECORDS,
    "two_classes": OF_RECORDS | {"four classes": lambda _: LINEAR},
    "mask": STRANGE | {"floats": lambda t: t.float(), "of two axes": lambda t: t[0]},
    "sets": {"a record": lambda s: s["other"], "arrays": lambda s: {"other": np.zeros((3, 2))}, "empty": lambda s: {}},
    "row": {"an array": lambda r: np.zeros(3), "nothing": lambda r: None},
}
BAD["part"] = {kind: OF_STATS[kind] for kind in ("an array", "nothing", "a tensor")}  # sums are read later
BAD["yes_no"] = BAD["correct"] | {"shares": put(0.5)}
BAD["several_labels"] = BAD["yes_no"]
# Infinite scores are exact where only order matters; bins are assigned to values of any shape.
ALLOWED = {("any_confidence", "inf"), ("scores", "inf")}
ALLOWED_OF = {("calibration.assign_bins", "of too many axes"), ("calibration.assign_bins", "a scalar")}


@dataclass(frozen=True)
class Entry:
    """A public name: what its positional arguments are, and its other options."""

    roles: tuple[str, ...]
    options: Mapping[str, Any]
    call: Callable[..., Any]
    empty: bool = False  # whether N = 0 has a meaning


def entry(part: Any, name: str, *roles: str, empty: bool = False, **options: Any) -> tuple[str, Entry]:
    return f"{part.__name__.split('.')[-1]}.{name}", Entry(roles, options, getattr(part, name), empty)


def updated(make: Callable[..., Any], **settings: Any) -> Callable[[Tensor, Tensor], Tensor]:
    def measure(values: Tensor, labels: Tensor) -> Tensor:
        metric = make(**settings)
        metric.update(values, labels)
        return metric.compute()

    return measure


def of_metric(name: str, **settings: Any) -> list[tuple[str, Entry]]:
    make = getattr(metrics, name)
    return [
        (f"metrics.{name} of {inputs}", Entry((inputs, "labels"), {}, updated(make, inputs=inputs, **settings), True))
        for inputs in ("logits", "probs")
    ]


def of_labels() -> list[tuple[str, Entry]]:
    """Every metric of sigmoid models: of any shape, or of as many labels as there are columns."""
    kinds = {"Binary": {}, "Multilabel": {"n_labels": C}}
    named = [(name, options) for kind, options in kinds.items() for name in metrics.__all__ if name.startswith(kind)]
    return [
        (f"metrics.{name} of {inputs}", Entry((f"several_{inputs}", "several_labels"), {},
         updated(getattr(metrics, name), inputs=inputs, **options), True))
        for name, options in named for inputs in ("logits", "probs")
    ]  # fmt: skip


def of_cases(name: str) -> tuple[str, Entry]:
    """A function of voxels as rows, all of which are of one case."""
    function = getattr(calibration, name)

    @wraps(function)
    def call(values: Tensor, labels: Tensor) -> Any:
        sized = not isinstance(values, Tensor) or values.ndim > 0
        return function(values, labels, cases=np.zeros(len(values) if sized and hasattr(values, "__len__") else 1, int))

    return f"calibration.{name}", Entry(("logits", "labels"), {}, call, True)


def _of_volumes(inputs: str) -> tuple[str, Entry]:
    """The metric of cases, for voxels as rows of one case."""

    def call(values: Tensor, labels: Tensor) -> Tensor:
        metric = metrics.CaseCalibrationError(n_classes=C, inputs=inputs)
        sized = not isinstance(values, Tensor) or values.ndim > 0
        metric.update(values, labels, np.zeros(len(values) if sized and hasattr(values, "__len__") else 1, int))
        return metric.compute()

    return f"metrics.CaseCalibrationError of {inputs}", Entry((inputs, "labels"), {}, call, True)


EVENT = ("confidence", "correct")
YES_NO = ("confidence", "yes_no")
CLASSES = ("probs", "labels")
RANKED = ("any_confidence", "losses")
SCORED = ("scores", "scores")
FITTED = {
    "scaling.Temperature": scaling.Temperature(2.0).apply,
    "scaling.AffineScaling": scaling.fit_vector(LINEAR, regularization=1.0).apply,
    "scaling.BinaryScaling": scaling.fit_histogram(LINEAR, n_bins=3).apply,
    "scaling.FocalTemperature": scaling.FocalTemperature(2.0, 1.0).apply,
    "scaling.GroupScaling": partial(scaling.fit_by_group(LINEAR, ["a"] * LINEAR.n).apply, groups=["a"] * LINEAR.n),
    "scaling.StructuredScaling": scaling.fit_structured_matrix(LINEAR).apply,
    "ood.Mahalanobis": ood.fit_mahalanobis(LINEAR).score,
    "ood.NearestNeighbour": ood.fit_nearest_neighbour(LINEAR, k=3).score,
    "ood.VirtualLogit": ood.fit_vim(LINEAR, dimension=2).score,
}
ENTRIES: dict[str, Entry] = dict(
    [
        entry(calibration, "assign_bins", "confidence", "edges", empty=True),
        entry(calibration, "bin_stats", *EVENT, "edges", empty=True),
        entry(calibration, "binned_error", "stats"),
        entry(calibration, "brier_decomposition", *CLASSES),
        entry(calibration, "brier_score", *CLASSES),
        entry(calibration, "calibration_test", *YES_NO),
        *(of_cases(name) for name in ("case_calibration", "case_stats")),
        entry(calibration, "classwise_calibration_error", *CLASSES),
        entry(calibration, "equal_mass_edges", "confidence", n_bins=5),
        entry(calibration, "evaluate", "predictions"),
        entry(calibration, "expected_calibration_error", *EVENT),
        entry(calibration, "grid_ks_error", "cells"),
        entry(calibration, "grid_stats", *EVENT, empty=True),
        entry(calibration, "join_cells", "cells", "edges"),
        entry(calibration, "joined_equal_mass", "cells", n_bins=5),
        entry(calibration, "joined_sweep", "cells"),
        entry(calibration, "ks_calibration_error", *EVENT),
        entry(calibration, "multilabel_calibration_error", "several_probs", "several_labels"),
        entry(calibration, "negative_log_likelihood", "log_probs", "labels"),
        entry(calibration, "one_class_from_probs", *CLASSES, empty=True),
        entry(calibration, "overconfidence", *EVENT),
        entry(calibration, "overconfidence_interval", *EVENT),
        entry(calibration, "reliability_data", *EVENT),
        entry(calibration, "reliability_from_bins", "stats"),
        entry(calibration, "rms_calibration_interval", *YES_NO),
        entry(calibration, "rms_interval_from_bins", "stats"),
        entry(calibration, "simultaneous_band", "stats"),
        entry(calibration, "smooth_calibration_error", *EVENT),
        entry(calibration, "smooth_reliability", *EVENT),
        entry(calibration, "smooth_reliability_from_bins", "cells"),
        entry(calibration, "stream_summary", "sums"),
        entry(calibration, "stream_sums", "predictions"),
        entry(calibration, "sweep_calibration_error", *EVENT),
        entry(calibration, "sweep_edges", *EVENT),
        entry(calibration, "top_label_from_features", "features", "head", "labels", empty=True),
        entry(calibration, "top_label_from_logits", "logits", "labels", empty=True),
        entry(calibration, "top_label_from_probs", *CLASSES, empty=True),
        entry(calibration, "two_bin_calibration_error", *EVENT),
        entry(calibration, "wilson_interval", "share", "count", level=0.95, empty=True),
        ("calibration.merge", Entry(("part",), {}, lambda stats: calibration.merge(stats, stats))),
        ("calibration.merge_sums", Entry(("sums",), {}, lambda sums: calibration.merge_sums(sums, sums))),
        entry(selective, "aurc", *RANKED),
        entry(selective, "augrc", *RANKED),
        entry(selective, "coverage_at_risk", *RANKED, risk=0.1),
        entry(selective, "excess_aurc", *RANKED),
        entry(selective, "risk_at_coverage", *RANKED, coverage=0.5),
        entry(selective, "risk_coverage_curve", *RANKED),
        entry(selective, "selective_summary", *RANKED),
        entry(ood, "aupr", *SCORED),
        entry(ood, "auroc", *SCORED),
        entry(ood, "auroc_interval", *SCORED),
        entry(ood, "detection", *SCORED, n_resamples=20),
        entry(ood, "fpr_at_tpr", *SCORED),
        entry(ood, "roc_curve", *SCORED),
        entry(ood, "score_histogram", *SCORED),
        entry(ood, "compare_scores", "predictions", "sets", scores=["msp"], n_resamples=20),
        entry(ood, "comparison_record", "row"),
        *(entry(ood, f"{name}_score", "predictions") for name in ("msp", "entropy", "margin", "max_logit", "energy")),
        *(entry(ood, f"fit_{name}", "predictions") for name in ("mahalanobis", "nearest_neighbour", "vim")),
        *(entry(scaling, f"fit_{name}", "predictions") for name in ("temperature", "histogram", "isotonic")),
        entry(scaling, "choose_scaling", "predictions"),
        entry(scaling, "scaled_nll", "predictions"),
        entry(scaling, "fit_by_group", "predictions", groups=["a"] * GOOD["predictions"].n),
        entry(scaling, "fit_per_label", "several"),
        entry(scaling, "estimate_prior", "predictions", source=[1 / C] * C),
        entry(scaling, "shift_prior", "predictions", source=[1 / C] * C, target=[0.5, *[0.5 / (C - 1)] * (C - 1)]),
        *(
            entry(scaling, f"fit_{name}", "predictions", regularization=1.0)
            for name in ("vector", "matrix", "dirichlet")
        ),
        *(
            entry(scaling, f"fit_{name}", "predictions")
            for name in ("structured_vector", "structured_matrix", "focal_temperature")
        ),
        *(entry(scaling, f"fit_{name}", "two_classes") for name in ("platt", "beta", "quadratic")),
        *((name, Entry(("predictions",), {}, method)) for name, method in FITTED.items()),
        ("scaling.PerLabelScaling", Entry(("several",), {}, scaling.fit_per_label(GOOD["several"]).apply)),
        ("scaling.LogOddsScaling", Entry(("two_classes",), {}, scaling.fit_platt(GOOD["two_classes"]).apply)),
        *of_labels(),
        *of_metric("BrierScore"),
        *of_metric("CalibrationError"),
        *of_metric("ClasswiseCalibrationError", n_classes=C),
        *(_of_volumes(inputs) for inputs in ("logits", "probs")),
        *of_metric("NegativeLogLikelihood"),
        *of_metric("Overconfidence"),
        *((f"segmentation.{name}", Entry(("mask", "mask"), {}, getattr(segmentation, name))) for name in
          ("dice_score", "hausdorff_distance_95")),
        ("segmentation.betti_numbers", Entry(("mask",), {}, segmentation.betti_numbers)),
    ]
)  # fmt: skip
NO_DATA = {  # names that take no data: results, tables, and functions of plain numbers or of a file
    *(f"calibration.{name}" for name in ("BinStats", "BrierDecomposition", "CalibrationSummary", "ReliabilityData")),
    *(f"calibration.{name}" for name in ("CaseCalibration", "CaseStats", "MultilabelSummary")),
    *(f"calibration.{name}" for name in ("SmoothCurve", "StreamSums", "Verdict", "equal_width_edges", "grid_edges")),
    *(f"selective.{name}" for name in ("RiskCoverageCurve", "SelectiveSummary", "rank_weights")),
    *(f"scaling.{name}" for name in ("ARGMAX_PRESERVING", "Choice", "METHODS", "load_scaling")),
    *(f"ood.{name}" for name in ("FEATURE_SCORES", "SCORES", "ComparisonRow", "Detection", "Estimate", "RocCurve")),
}
# Functions and metrics take arrays of any kind for tensors; records say what they take.
ARRAYS = ("an array", "a list")


def takes_arrays(name: str, role: str) -> bool:
    of_volumes = ("segmentation.dice_score", "segmentation.hausdorff_distance_95")
    return name.startswith(("calibration.", "selective.", "ood.", "metrics.", *of_volumes)) and isinstance(
        GOOD[role], Tensor
    )


CASES = [
    pytest.param(name, place, role, kind, id=f"{name}-{place}-{kind}")
    for name, entry in ENTRIES.items()
    for place, role in enumerate(entry.roles)
    for kind in BAD[role]
    if (role, kind) not in ALLOWED
    and (name, kind) not in ALLOWED_OF
    and not (kind in ARRAYS and takes_arrays(name, role))
]


def given(entry: Entry, **changes: Any) -> list[Any]:
    return [changes.get(str(place), GOOD[role]) for place, role in enumerate(entry.roles)]


def tensors(result: Any) -> list[Tensor]:
    """Give every number of a result as tensors."""
    if isinstance(result, Tensor):
        return [result.detach()]
    if isinstance(result, np.ndarray):
        return [torch.from_numpy(result)]
    if isinstance(result, (float, int)):
        return [torch.tensor(float(result), dtype=torch.float64)]
    if isinstance(result, Mapping):
        result = list(result.values())
    if isinstance(result, (list, tuple)):
        return [tensor for part in result for tensor in tensors(part)]
    if hasattr(result, "__dict__"):
        return tensors(vars(result))
    return []


def test_every_public_name_has_an_entry():
    exported = {f"{part}.{name}" for part, module in PARTS.items() for name in module.__all__}
    named = {name.split(" of ")[0] for name in ENTRIES if not name.startswith("segmentation.")} | NO_DATA
    of_segmentation = {
        f"segmentation.{name}"
        for name, value in vars(segmentation).items()
        if inspect.isfunction(value) and value.__module__ == segmentation.__name__ and not name.startswith("_")
    }

    assert named == exported
    assert {name for name in ENTRIES if name.startswith("segmentation.")} == of_segmentation
    assert (len(exported), len(ENTRIES), len(NO_DATA)) == (138, 134, 25)


@pytest.mark.parametrize("name", ENTRIES)
def test_what_is_right_is_measured(name, unchecked_shapes):
    entry = ENTRIES[name]
    results = tensors(entry.call(*given(entry), **entry.options))

    assert len(results) > 0 or name in ("scaling.Temperature",)


@pytest.mark.parametrize(("name", "place", "role", "kind"), CASES)
@pytest.mark.filterwarnings("error")
def test_what_is_no_measurement_gets_a_sentence(name, place, role, kind, unchecked_shapes):
    entry = ENTRIES[name]
    arguments = given(entry, **{str(place): BAD[role][kind](GOOD[role])})
    with pytest.raises(AdafocalError) as refused:
        entry.call(*arguments, **entry.options)

    sentence = str(refused.value)
    assert sentence.startswith("`")
    assert sentence.endswith(".") or "use " in sentence
    assert "\n" not in sentence
    assert len(sentence) < 300
    if kind == "an array" and isinstance(GOOD[role], Tensor):
        assert "make it one by torch.as_tensor" in sentence


COLUMNS: dict[str, Callable[[np.ndarray], Any]] = {
    "NumPy": lambda a: a,
    "NumPy of a sheet that may not be written": lambda a: np.broadcast_to(a, (2, *a.shape))[1],
    "NumPy in another order of bytes": lambda a: a.astype(a.dtype.newbyteorder()),
    "lists": lambda a: a.tolist(),
    "tuples": lambda a: tuple(map(tuple, a.tolist())) if a.ndim == 2 else tuple(a.tolist()),
    "pandas": lambda a: pandas.DataFrame(a) if a.ndim == 2 else pandas.Series(a, index=range(len(a))[::-1]),
    "pandas with missing values": lambda a: (
        pandas.DataFrame(a) if a.ndim == 2 else pandas.Series(a).convert_dtypes() if a.dtype != bool else
        pandas.Series(a, dtype="boolean")
    ),
    "Arrow": lambda a: pyarrow.array(a.tolist() if a.ndim == 2 else a),
    "Arrow in chunks": lambda a: pyarrow.chunked_array(list(map(pyarrow.array, (a[:1].tolist(), a[1:].tolist())))),
}  # fmt: skip
TAKE_ARRAYS = [name for name, entry in ENTRIES.items() if any(takes_arrays(name, role) for role in entry.roles)]


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("name", [name for name in TAKE_ARRAYS if not name.startswith("segmentation.")])
@pytest.mark.filterwarnings("error")
def test_columns_of_any_kind_are_measured_as_tensors(name, kind):
    entry = ENTRIES[name]
    wide = [
        value.double() if isinstance(value, Tensor) and value.is_floating_point() else value for value in given(entry)
    ]
    if kind == "pandas with missing values" and name.startswith("calibration.wilson"):
        wide[0] = wide[0] / 2  # pandas makes whole numbers of whole ones
    columns = [COLUMNS[kind](value.numpy()) if isinstance(value, Tensor) else value for value in wide]

    actual, expected = entry.call(*columns, **entry.options), entry.call(*wide, **entry.options)
    assert type(actual) is type(expected)
    for one, other in zip(tensors(actual), tensors(expected), strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12, equal_nan=True)


def test_columns_of_polars_are_measured_as_tensors():
    polars = pytest.importorskip("polars")
    columns = polars.Series(CONFIDENCE.double().numpy()), polars.Series(CORRECT.numpy())
    expected = calibration.expected_calibration_error(CONFIDENCE.double(), CORRECT)

    assert torch.equal(calibration.expected_calibration_error(*columns), expected)


def test_weights_and_options_may_be_columns_too():
    values, weight = (CONFIDENCE.double(), CORRECT), torch.arange(N)
    expected = calibration.bin_stats(*values, GOOD["edges"].double(), sample_weight=weight)
    actual = calibration.bin_stats(
        confidence=values[0].numpy(), correct=pandas.Series(CORRECT.numpy()), edges=[0.25, 0.5, 0.75],
        sample_weight=pyarrow.array(weight.tolist()),
    )  # fmt: skip

    for part in ("edges", "count", "confidence_sum", "correct_sum", "square_sum"):
        torch.testing.assert_close(getattr(actual, part), getattr(expected, part), rtol=0, atol=1e-12)


def test_volumes_may_be_arrays():
    other = MASK.flip(0)

    assert segmentation.dice_score(MASK.numpy(), other.tolist()) == segmentation.dice_score(MASK, other)


def test_every_function_with_tensors_takes_arrays():
    assert len(TAKE_ARRAYS) == 81
    for name in (name for name in TAKE_ARRAYS if not name.startswith("metrics.")):
        assert hasattr(ENTRIES[name].call, "__wrapped__"), name


SINGLE = {"confidence", "probs", "several_probs", "share", "correct", "yes_no", "several_labels", "labels"}


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if SINGLE & set(entry.roles)])
def test_no_sample_gives_nothing_or_a_sentence(name, unchecked_shapes):
    entry = ENTRIES[name]
    arguments = [
        value if role in ("edges", "head") else value[:0] for role, value in zip(entry.roles, given(entry), strict=True)
    ]
    if not entry.empty:
        with pytest.raises(AdafocalError, match=r"at least one sample|N >= 1"):
            entry.call(*arguments, **entry.options)
        return
    for result in tensors(entry.call(*arguments, **entry.options)):
        # Nothing, sums of nothing, or not a number.
        assert result.numel() == 0 or bool((result.isnan() | (result == 0)).all()) or "bin_stats" in name or (
            "grid_stats" in name or "case_" in name
        )  # fmt: skip


PROBABILITIES = {"confidence", "probs", "several_probs"}
TAKE_PROBABILITIES = [name for name, entry in ENTRIES.items() if entry.roles[0] in PROBABILITIES]


@pytest.mark.parametrize("name", TAKE_PROBABILITIES)
@pytest.mark.parametrize("excess", [1e-7, 5e-7])
def test_rounding_above_one_is_taken(name, excess, unchecked_shapes):
    entry = ENTRIES[name]
    values = GOOD[entry.roles[0]].double().clone()
    rest = torch.tensor([1 + excess, 0.0, 0.0, 0.0], dtype=torch.float64)
    values[3] = rest if values.ndim == 2 else 1 + excess
    results = tensors(entry.call(*given(entry, **{"0": values}), **entry.options))

    assert not any(bool(result.double().isnan().any()) for result in results)


@pytest.mark.parametrize("name", TAKE_PROBABILITIES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_measured_as_the_same_numbers_in_float32(name, dtype, unchecked_shapes):
    entry = ENTRIES[name]
    narrow = GOOD[entry.roles[0]].to(dtype)
    wide = narrow.double() / narrow.double().sum(dim=1, keepdim=True) if entry.roles[0] == "probs" else narrow.float()
    # Rounding moves the sums of rows, which float32 is not forgiven.
    tolerance = 2e-2 if entry.roles[0] == "probs" else 1e-5
    if name == "calibration.equal_mass_edges" or entry.roles[0] == "probs":
        entry.call(*given(entry, **{"0": narrow}), **entry.options)
    if entry.roles[0] == "probs":
        return
    actual = tensors(entry.call(*given(entry, **{"0": narrow}), **entry.options))
    expected = tensors(entry.call(*given(entry, **{"0": wide}), **entry.options))
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if isinstance(GOOD[entry.roles[0]], Tensor)])
def test_gradients_and_strides_do_not_matter(name, unchecked_shapes):
    entry = ENTRIES[name]
    first = GOOD[entry.roles[0]]
    expected = tensors(entry.call(*given(entry), **entry.options))
    strided = first.repeat_interleave(2, dim=0)[::2]
    variants = [strided] if first.dtype == torch.bool else [strided, first.clone().requires_grad_()]
    for values in variants:
        actual = tensors(entry.call(*given(entry, **{"0": values}), **entry.options))
        for one, other in zip(actual, expected, strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dtype", ["float32", torch.int64, None])
def test_edges_and_weights_of_no_floating_dtype_are_refused(dtype, rejects):
    for make in (
        lambda: calibration.equal_width_edges(3, dtype=dtype),
        lambda: calibration.grid_edges(dtype=dtype),
        lambda: selective.rank_weights(3, kind="ln", dtype=dtype),
    ):
        with rejects(TypeError, f"`dtype` must be a floating-point torch.dtype, got {dtype!r}."):
            make()


def test_one_nan_among_a_thousand_is_no_evidence(rejects):
    confidence, correct = torch.full((1000,), 0.8), torch.arange(1000) < 800
    confidence[123] = math.nan
    with rejects(ValueError, "`confidence` must lie in [0, 1], got nan at position 123."):
        calibration.calibration_test(confidence, correct)


def test_the_sentence_names_the_rule_the_value_and_the_remedy(rejects):
    with rejects(ValueError, "`confidence` must lie in [0, 1], got 95 at position 1."):
        calibration.expected_calibration_error(torch.tensor([0.9, 95.0]), torch.tensor([True, True]))
    with rejects(
        ValueError,
        "`probs` must be class probabilities, not negative and with a sum of 1 within 0.001, "
        "got [0.6, 0.6] at position 1.",
    ):
        calibration.brier_score(torch.tensor([[0.5, 0.5], [0.6, 0.6]]), torch.tensor([0, 1]))
    with rejects(TypeError, "`labels` must be integer class indices, got dtype torch.float32: use labels.long()."):
        calibration.brier_score(torch.tensor([[0.5, 0.5]]), torch.tensor([1.0]))
    with rejects(TypeError, "`logits` must be a floating-point tensor, got ndarray: make it one by torch.as_tensor."):
        losses.FocalLoss()(np.array([[0.5, 0.5]]), torch.tensor([1]))
    with rejects(TypeError, "`confidence` must be numbers, got dtype <U4."):
        calibration.ks_calibration_error(["high"], torch.tensor([True]))
    with rejects(TypeError, "`confidence` must be a floating-point tensor, got dtype torch.int64."):
        calibration.ks_calibration_error([1, 0], torch.tensor([True, False]))
    with rejects(TypeError, "`confidence` must be a floating-point tensor, got str."):
        calibration.ks_calibration_error("high", torch.tensor([True]))
    with rejects(ValueError, "`correct` must be yes or no, 1 or 0, got 0.5 at position 0."):
        calibration.calibration_test(torch.tensor([0.5]), torch.tensor([0.5]))
