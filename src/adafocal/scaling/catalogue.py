# SPDX-License-Identifier: Apache-2.0
"""Every scaling method by name: what the command line, tests and docs read."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

from adafocal.predictions import Predictions
from adafocal.scaling.affine import AFFINE_BUILDERS, fit_dirichlet, fit_matrix, fit_vector
from adafocal.scaling.binary import BINARY_BUILDERS, fit_histogram, fit_isotonic
from adafocal.scaling.files import read_fitted
from adafocal.scaling.focal_temperature import FocalTemperature, fit_focal_temperature
from adafocal.scaling.groups import BY_GROUP, group_builder
from adafocal.scaling.log_odds import LOG_ODDS_BUILDERS, fit_beta, fit_platt, fit_quadratic
from adafocal.scaling.structured import STRUCTURED_BUILDERS, fit_structured_matrix, fit_structured_vector
from adafocal.scaling.temperature import Temperature, fit_temperature


@runtime_checkable
class Scaling(Protocol):
    """What every fitted scaling has in common."""

    def apply(self, predictions: Predictions) -> Predictions:
        """Scale predictions."""
        ...

    def save(self, path: str | Path) -> None:
        """Write to a JSON file."""
        ...


METHODS: Mapping[str, Callable[..., Scaling]] = {
    "temperature": fit_temperature,
    "focal_temperature": fit_focal_temperature,
    "structured_vector": fit_structured_vector,
    "structured_matrix": fit_structured_matrix,
    "vector": fit_vector,
    "matrix": fit_matrix,
    "dirichlet": fit_dirichlet,
    "platt": fit_platt,
    "beta": fit_beta,
    "quadratic": fit_quadratic,
    "isotonic": fit_isotonic,
    "isotonic_top_label": partial(fit_isotonic, event="top_label"),
    "histogram": fit_histogram,
    "histogram_top_label": partial(fit_histogram, event="top_label"),
}
# What reads the parameters of a saved one, by the method that its file names.
SINGLE: Mapping[str, Callable[..., Scaling]] = {
    "temperature": Temperature,
    "focal_temperature": FocalTemperature,
    **STRUCTURED_BUILDERS,
    **AFFINE_BUILDERS,
    **LOG_ODDS_BUILDERS,
    **BINARY_BUILDERS,
}
BUILDERS: Mapping[str, Callable[..., Scaling]] = {**SINGLE, BY_GROUP: group_builder(SINGLE)}
# What the field calls them for short.
ALIASES: Mapping[str, str] = {"sms": "structured_matrix", "svs": "structured_vector"}
ARGMAX_PRESERVING = ("temperature", "focal_temperature", "isotonic_top_label", "histogram_top_label")
TWO_CLASSES = ("platt", "beta", "quadratic")


def load_scaling(path: str | Path) -> Scaling:
    """Read a fitted scaling of any method.

    Args:
        path: A JSON file that a scaling's ``save`` wrote.

    Returns:
        The fitted scaling, ready to ``apply``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds something else.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Temperature(1.5).save(f"{folder}/T.json")
        ...     load_scaling(f"{folder}/T.json")
        Temperature(temperature=1.5, at_bound=False)
    """
    fitted: Scaling = read_fitted(path, BUILDERS)
    return fitted
