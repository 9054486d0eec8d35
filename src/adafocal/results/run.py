# SPDX-License-Identifier: Apache-2.0
"""What the files of a run hold, as far as readers rely on it."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import Annotated

from adafocal._records import Some, Whole, number_at
from adafocal.measures import OF_MASKS, OF_RUNS, Measure


@dataclass(frozen=True)
class DataSettings:
    """The data of a run: their name, the noise on them, and arguments of a function that makes them."""

    name: str
    noise: float = 0.0
    args: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``config.yaml``: the resolved settings; ``everything`` holds all of them by name."""

    loss: str
    loss_args: Mapping[str, object] | None = None
    model: str
    seed: int
    epochs: int
    n_bins: int
    data: DataSettings
    optimizer: Mapping[str, object] = field(default_factory=dict)
    everything: Whole


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """``provenance.json``: where results come from; ``everything`` holds revision and what else there is."""

    date: str
    command: tuple[str, ...]
    versions: Mapping[str, object] = field(default_factory=dict)
    hardware: Mapping[str, object] = field(default_factory=dict)
    everything: Whole


@dataclass(frozen=True)
class Sizes:
    """Numbers of samples of the parts."""

    train: int
    validation: int
    test: int


def _needed(part: str) -> frozenset[str]:
    """Names that a part must hold, because they are measures of the catalogue."""
    places = (measure.place for measure in (*OF_RUNS.values(), *OF_MASKS.values()) if not measure.later)
    return frozenset(place.removeprefix(f"{part}.") for place in places if place.startswith(f"{part}."))


def _holds(value: object, place: str) -> bool:
    """Tell whether there is something at a dotted name."""
    first, _, rest = place.partition(".")
    return isinstance(value, Mapping) and first in value and (not rest or _holds(value[first], rest))


class _ByKey(Mapping[str, object]):
    """Reads a record by the keys of its file, as `run` gave its results before; for one version, with a warning."""

    everything: Mapping[str, object]

    def __getitem__(self, name: str) -> object:
        value = self.everything[name]
        text = f"The results of a run are a record: read its attributes, or `.everything[{name!r}]`, not `[{name!r}]`."
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.everything)

    def __len__(self) -> int:
        return len(self.everything)


@dataclass(frozen=True, kw_only=True)
class BestScaling:
    """What the best scaling, chosen and fitted without test labels, makes of the test part.

    It is in ``summary.json``; of runs of older versions, where a study asked, in ``best_scaling.json``.

    Attributes:
        method: Its name; empty where none is better than none.
        part: The part that it was chosen on and fitted to.
        rows: Number of rows of that part.
        test: Results on the test part, of the names that a run has.
    """

    method: str
    part: str
    rows: int
    test: Annotated[Mapping[str, object], _needed("test")]

    def value(self, measure: Measure) -> float:
        """Look up a measure of a run; NaN for what has none after a scaling, as nothing is scaled twice."""
        return number_at({"test": self.test}, measure.place) if measure.place.startswith("test.") else nan

    @property
    def metrics(self) -> dict[str, float]:
        """Test metrics by name, as of a run."""
        return {name: self.value(measure) for name, measure in OF_RUNS.items()}


@dataclass(frozen=True, kw_only=True)
class Summary(_ByKey):
    """``summary.json``: the results of a finished run, in parts that hold at least the measures of the catalogue."""

    loss: str
    seed: int
    class_names: Some[str]
    sizes: Sizes
    temperature: float
    validation: Annotated[Mapping[str, object], _needed("test")] | None = None
    test: Annotated[Mapping[str, object], _needed("test")]
    test_scaled: Annotated[Mapping[str, object], _needed("test_scaled")]
    best_scaling: BestScaling | None = None
    segmentation: Annotated[Mapping[str, object], _needed("segmentation")] | None = None
    notes: tuple[str, ...] = ()
    everything: Whole

    def value(self, measure: Measure) -> float:
        """Look up a measure; NaN where it is not defined, as after a best scaling that is not known."""
        if measure.place.startswith("best_scaling.") and self.best_scaling is None:
            return nan
        if measure.later and not _holds(self.everything, measure.place):
            return nan
        return number_at(self.everything, measure.place)


@dataclass(frozen=True)
class WrongPrediction:
    """A mistake, with a picture in base64 or a text where it can be shown."""

    row: int
    label: int
    predicted: int
    confidence: float
    text: str = ""
    image: object = None


@dataclass(frozen=True)
class Mistakes:
    """``examples.json``: the most confident of the mistakes in ``n`` predictions."""

    n: int
    mistakes: int
    examples: tuple[WrongPrediction, ...]


History = list[dict[str, float]]


def column(history: History, name: str) -> list[float]:
    """Column of ``metrics.csv``, NaN where it has no number."""
    return [row.get(name, nan) for row in history]


def last_value(history: History, name: str) -> float:
    """Find the last number of a column; NaN where it has none."""
    return next((value for value in reversed(column(history, name)) if isfinite(value)), nan)
