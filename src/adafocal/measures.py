# SPDX-License-Identifier: Apache-2.0
"""The catalogue of measures: how each is named, written and read, wherever it is shown.

Measures of predictions and of detection stand beside their functions (``calibration/catalogue.py`` lists the first);
here are those that only runs have. What has a ``title`` is printed by ``adafocal evaluate``; the tuples of names at the
end say what else shows which.
"""

from adafocal._measure import UNDEFINED as UNDEFINED
from adafocal._measure import Measure as Measure
from adafocal.calibration.catalogue import CATALOGUE
from adafocal.calibration.errors import ECE_DEBIASED
from adafocal.calibration.measure import PredictionMeasure
from adafocal.ood.intervals import OF_DETECTION as OF_DETECTION


def _scaled(name: str) -> Measure:
    of = CATALOGUE[name]
    return Measure(
        name=f"{name}_scaled",
        heading=f"{of.heading} after T",
        source=f"test_scaled.{name}",
        unit=of.unit,
        digits=of.digits,
    )


def _best_scaled(name: str, heading: str) -> Measure:
    return Measure(
        name=f"{name}_best_scaled",
        heading=f"{heading} after best",
        source=f"best_scaling.test.{name}",
        unit="" if name == "nll" else "%",
        digits=CATALOGUE[name].digits if name in CATALOGUE else 2,
    )


_OF_RUNS_ALONE = (
    Measure(name="error", unit="%"),
    _scaled("ece"),
    _scaled("nll"),
    _best_scaled("error", "error %"),
    _best_scaled("ece", "ECE %"),
    _best_scaled("nll", "NLL"),
    Measure(name="temperature", heading="T", better="neither", source="temperature"),
    Measure(name="dice", heading="Dice", digits=3, better="higher", source="segmentation.dice.mean"),
    Measure(name="hausdorff95", heading="HD95", unit="voxels", source="segmentation.hausdorff95.mean"),
    Measure(name="betti0_error", heading="Components", source="segmentation.betti0_error.mean"),
    Measure(name="betti1_error", heading="Tunnels", source="segmentation.betti1_error.mean"),
    Measure(name="betti2_error", heading="Cavities", source="segmentation.betti2_error.mean"),
    Measure(name="voxel_ece", heading="ECE % pooled", unit="%", source="segmentation.voxels_pooled.ece"),
    Measure(
        name="voxel_ece_per_case", heading="per case", page_heading="per case", unit="%",
        source="segmentation.voxels_per_case.ece",
    ),
    Measure(
        name="voxel_ece_foreground", heading="foreground", page_heading="foreground", unit="%",
        source="segmentation.voxels_pooled.ece_predicted_foreground",
    ),
    Measure(name="class_ece", heading="class ECE %", unit="%", source="segmentation.class_ece.mean", later=True),
    Measure(name="class_ace", heading="class ACE %", unit="%", source="segmentation.class_ace.mean", later=True),
    Measure(name="class_mce", heading="class MCE %", unit="%", source="segmentation.class_mce.mean", later=True),
)  # fmt: skip
OF_PREDICTIONS: dict[str, PredictionMeasure] = {name: measure for name, measure in CATALOGUE.items() if measure.title}
MEASURES: dict[str, Measure] = {**OF_PREDICTIONS, **{one.name: one for one in _OF_RUNS_ALONE}, **OF_DETECTION}


def _chosen(*names: str) -> dict[str, Measure]:
    return {name: MEASURES[name] for name in names}


OF_BEST = ("error_best_scaled", "ece_best_scaled", "nll_best_scaled")
OF_GROUPS = _chosen("accuracy", "overconfidence", "ece", "ece_equal_mass", "nll", "brier")
OF_RUNS = _chosen(
    "error", "ece", "ece_equal_mass", "nll", "overconfidence", "ece_scaled", "nll_scaled", "temperature", *OF_BEST
)
COMPARED = {name: measure for name, measure in OF_RUNS.items() if measure.better == "lower"}
_IN_TABLES_ALONE = ("nll_scaled", "error_best_scaled", "nll_best_scaled")
ON_PAGES = {name: measure for name, measure in OF_RUNS.items() if name not in _IN_TABLES_ALONE}
DIFFERENCES = _chosen("error", "ece", "ece_equal_mass", "nll")
IN_SHORT = _chosen("error", "ece", "nll")
OF_MASKS = {name: measure for name, measure in MEASURES.items() if measure.source.startswith("segmentation.")}
AURC = Measure(name="aurc", heading="AURC %", title="area under the risk-coverage curve (AURC)", unit="%")
OF_COMPARISON = _chosen("accuracy", "nll", "brier", ECE_DEBIASED.name, "overconfidence") | {"aurc": AURC}
