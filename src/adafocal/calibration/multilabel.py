# SPDX-License-Identifier: Apache-2.0
"""Every number of every label of a sigmoid model: each label's event, their mean, and all entries together."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from adafocal._notebook import frame, table_html
from adafocal._text import listed
from adafocal.calibration.catalogue import CATALOGUE
from adafocal.calibration.classwise import CLASSWISE_ECE
from adafocal.calibration.judge import corrected
from adafocal.calibration.stream import evaluate
from adafocal.calibration.summary import CalibrationSummary, for_json
from adafocal.multilabel import MultilabelPredictions
from adafocal.predictions import Predictions

# A mean of p-values is none, and the parts of two classes that mirror each other say nothing new.
AVERAGED = tuple(name for name in CATALOGUE if name not in ("p_calibrated", CLASSWISE_ECE.name))
NAMED = 5  # labels in a sentence
SHOWN = ("overconfidence", "ece", "ece_equal_mass", "nll", "brier")


@dataclass(frozen=True)
class MultilabelSummary:
    """The calibration of every label, of their mean, and of all entries. Fractions, not percent.

    Attributes:
        labels: The summary of the event "this label applies" of each label with a known entry, by its name. Verdicts
            hold the level over all labels together.
        prevalence: By the same names, the share of the known entries to which the label applies, in [0, 1].
        pooled_prevalence: That share of the known entries of all labels.
        macro: The mean over labels of each measure but the p-value, by its name: every label counts the same.
        micro: The summary of all known entries as one event. Those of one sample are a cluster: they are not
            independent, so what supposes so is NaN.
        n: Number of samples.
        unknown: Names of the labels without a known entry, which are left out.
    """

    labels: Mapping[str, CalibrationSummary]
    prevalence: Mapping[str, float]
    pooled_prevalence: float
    macro: Mapping[str, float]
    micro: CalibrationSummary
    n: int
    unknown: tuple[str, ...] = ()

    @property
    def macro_prevalence(self) -> float:
        """The mean over labels of ``prevalence``."""
        return _mean(self.prevalence.values())

    @property
    def worst_first(self) -> tuple[str, ...]:
        """Names of labels: those that are miscalibrated beyond chance first, and among these the largest errors."""

        def place(name: str) -> tuple[bool, float]:
            verdict = self.labels[name].verdict
            return not verdict.miscalibrated, -max(verdict.error, abs(verdict.gap))

        return tuple(sorted(self.labels, key=place))

    @property
    def headline(self) -> str:
        """How many labels are miscalibrated beyond chance, and which, the worst first."""
        bad = [name for name in self.worst_first if self.labels[name].verdict.miscalibrated]
        more = f" and {len(bad) - NAMED:,} more" if len(bad) > NAMED else ""
        which = f": {listed(bad[:NAMED])}{more}" if bad else ""
        return f"{len(bad):,} of {len(self.labels):,} labels miscalibrated beyond chance{which}."

    @property
    def details(self) -> list[str]:
        """What is not known, and what all entries together say, a sentence each."""
        left = [f"Nothing is known of {listed(self.unknown)}."] if self.unknown else []
        return [*left, f"All entries: {' '.join(self.micro.verdict.sentences(of_class=True))}"]

    @property
    def answer(self) -> str:
        """Headline and details in one line."""
        return " ".join([self.headline, *self.details])

    def to_dict(self) -> dict[str, object]:
        """Turn into plain numbers and lists for JSON; an infinite value or NaN becomes None."""
        labels = {
            name: {"prevalence": self.prevalence[name], **_told(of_label)} for name, of_label in self.labels.items()
        }
        told = {"n": self.n, "n_labels": len(self.labels), "answer": self.answer, "unknown": list(self.unknown)}
        macro = {name: for_json(value) for name, value in self.macro.items()}
        return {**told, "macro": macro, "micro": _told(self.micro), "labels": labels}

    def to_frame(self) -> Any:
        """Turn into a frame of pandas, else of polars: a row for each label, then ``macro`` and ``micro``.

        Columns are ``row`` (the name of the label), ``of`` (``label``, ``macro`` or ``micro``), ``n`` (known entries),
        ``prevalence``, ``verdict``, and every measure.

        Raises:
            ModuleNotFoundError: If neither is installed, with what to install.
        """
        names = list(self.labels)
        summaries = [*self.labels.values(), self.micro]
        columns: dict[str, Sequence[object]] = {
            "row": [*names, "macro", "micro"],
            "of": ["label"] * len(names) + ["macro", "micro"],
            "n": [one.n for one in summaries[:-1]] + [self.n, self.micro.n],
            "prevalence": [self.prevalence[name] for name in names] + [self.macro_prevalence, self.pooled_prevalence],
            "verdict": [one.verdict.kind for one in summaries[:-1]] + ["", self.micro.verdict.kind],
        }
        for name in CATALOGUE:
            values = [getattr(one, name) for one in summaries]
            columns[name] = [*values[:-1], self.macro.get(name, math.nan), values[-1]]
        return frame(columns)

    def _repr_html_(self) -> str:
        measures = [CATALOGUE[name] for name in SHOWN]
        rows = [
            (
                "mean of labels",
                f"{100 * self.macro_prevalence:.2f} %",
                *(one.alone(self.macro[one.name]) for one in measures),
                "",
            )
        ]
        held = [("all entries", self.pooled_prevalence, self.micro)]
        held += [(name, self.prevalence[name], self.labels[name]) for name in self.worst_first]
        for name, share, one in held:
            numbers = (measure.alone(getattr(one, measure.name)) for measure in measures)
            rows.append((name, f"{100 * share:.2f} %", *numbers, one.verdict.headline(of_class=True)))
        headings = ("label", "share", *("mean probability - share" if one.name == "overconfidence" else one.title
                    for one in measures), "verdict")  # fmt: skip
        return table_html(self.answer, headings, rows)


def evaluate_labels(record: MultilabelPredictions, *, n_bins: int) -> MultilabelSummary:
    """Measure every label, and all of them, as :func:`~adafocal.calibration.evaluate` says.

    Raises:
        ValueError: If no entry is known, or every weight of a label's known entries is 0.
    """
    held = record.known.any(dim=0).tolist()
    names = [name for name, known in zip(record.names, held, strict=True) if known]
    pooled = record.pooled()
    each = {name: record.of_label(name) for name in names}
    found = {name: evaluate(one, n_bins=n_bins, positive_class=1) for name, one in each.items()}
    verdicts = corrected({name: one.verdict for name, one in found.items()})
    return MultilabelSummary(
        labels={name: replace(one, verdict=verdicts[name]) for name, one in found.items()},
        prevalence={name: _share(one) for name, one in each.items()},
        pooled_prevalence=_share(pooled),
        macro={name: _mean([getattr(one, name) for one in found.values()]) for name in AVERAGED},
        micro=evaluate(pooled, n_bins=n_bins, positive_class=1),
        n=record.n,
        unknown=tuple(name for name, known in zip(record.names, held, strict=True) if not known),
    )


def _share(binary: Predictions) -> float:
    happened = binary.labels.double()
    weight = torch.ones_like(happened) if binary.weight is None else binary.weight.to(happened)
    return float(weight @ happened / weight.sum())


def _mean(values: Collection[float]) -> float:
    return sum(values) / len(values)


def _told(summary: CalibrationSummary) -> dict[str, object]:
    """The numbers, with the answer in the words of the event of a label."""
    values, words = summary.to_dict(), " ".join(summary.verdict.sentences(of_class=True))
    return {**values, "verdict": {**values["verdict"], "text": words}}  # type: ignore[dict-item]
