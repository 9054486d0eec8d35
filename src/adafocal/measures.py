# SPDX-License-Identifier: Apache-2.0
"""The catalogue of measures: how each is named, written and read, wherever it is shown.

A new measure is a line here beside its own file. What has a ``title`` is printed by ``adafocal evaluate``; the tuples
of names at the end say what else shows which.
"""

from dataclasses import dataclass, replace
from math import isfinite, isnan

UNDEFINED = "-"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measure.

    Attributes:
        name: Its name in files, and as an attribute of summaries and detections.
        heading: Heading of its column, with the unit.
        page_heading: The same on pages; empty for the heading with a capital.
        title: What it is, in words; empty where it is no measure of predictions.
        unit: ``%`` for a fraction, which is shown in percent; ``nats``, ``voxels`` or nothing.
        digits: Digits behind the point in tables; a number that stands alone has one more unless it is in percent.
        better: Which values are: ``lower``, ``higher``, those near ``zero``, or ``neither``.
        interval: Attribute that holds its interval. Only what has one of known coverage: an error above zero by noise
            alone has none.
        streams: Whether it is exact where rows are too many for memory.
        source: Where the summary of a run holds it; empty for the test part.
    """

    name: str
    heading: str
    page_heading: str = ""
    title: str = ""
    unit: str = ""
    digits: int = 2
    better: str = "lower"
    interval: str = ""
    streams: bool = True
    source: str = ""

    @property
    def place(self) -> str:
        """Where the summary of a run holds it."""
        return self.source or f"test.{self.name}"

    @property
    def scale(self) -> float:
        """What values are multiplied by to be shown."""
        return 100.0 if self.unit == "%" else 1.0

    @property
    def label(self) -> str:
        """The heading without its unit."""
        return self.heading.replace(" %", "")

    @property
    def on_page(self) -> str:
        """The heading on pages."""
        return self.page_heading or self.heading[0].upper() + self.heading[1:]

    def text(self, value: float, *, signed: bool = False) -> str:
        """Give a value as the tables of a terminal show it."""
        return UNDEFINED if isnan(value) else f"{self.scale * value:{'+' if signed else ''}.{self.digits}f}"

    def page_text(self, value: float, *, sign: str = "-") -> str:
        """Give a value as the tables of a page show it: with a true minus sign, a dash for what is not defined.

        Example:
            >>> MEASURES["overconfidence"].page_text(-0.0625), MEASURES["nll"].page_text(float("nan"))
            ('−6.25', '–')
        """
        return f"{self.scale * value:{sign}.{self.digits}f}".replace("-", "−") if isfinite(value) else "–"

    def alone(self, value: float) -> str:
        """Give a value that stands without a heading, with its unit."""
        return f"{self.scale * value:.{self.digits}f} %" if self.unit == "%" else f"{value:.{self.digits + 1}f}"


def _fraction(name: str, title: str, heading: str = "", **more: str) -> Measure:
    return Measure(name=name, heading=heading or f"{title or name} %", title=title, unit="%", **more)  # type: ignore[arg-type]


def _fine(name: str, title: str, heading: str = "") -> Measure:
    """Give one that a stream knows from its fine grid alone."""
    return replace(_fraction(name, title, heading), streams=False)


def _scaled(measure: Measure) -> Measure:
    name, heading = f"{measure.name}_scaled", f"{measure.heading} after T"
    return replace(measure, name=name, heading=heading, title="", source=f"test_scaled.{measure.name}")


def _masks(name: str, heading: str, source: str, **more: object) -> Measure:
    return Measure(name=name, heading=heading, source=f"segmentation.{source}", **more)  # type: ignore[arg-type]


def _detection(name: str, heading: str, **more: str) -> Measure:
    return replace(_fraction(name, "", heading, interval=name), **{"better": "higher", **more})  # type: ignore[arg-type]


_ECE = _fraction("ece", "ECE, equal-width bins", "ECE %")
_NLL = Measure(name="nll", heading="NLL", title="negative log-likelihood (nats)", unit="nats", digits=3)
_GAP = {"heading": "confidence - accuracy %", "page_heading": "Conf. − acc. %", "better": "zero"}
_ALL = (
    _fraction("accuracy", "accuracy", better="higher", interval="accuracy_interval"),
    _NLL,
    Measure(name="brier", heading="Brier score", title="Brier score", digits=3),
    _fraction(
        "overconfidence", "over-confidence (confidence - accuracy)", interval="overconfidence_interval", **_GAP
    ),
    _ECE,
    _fine("ece_equal_mass", "ECE, equal-mass bins", "ECE, equal mass %"),
    _fine("ece_debiased", "ECE, equal-mass bins, debiased"),
    _fine("ece_sweep", "ECE, monotonic sweep"),
    _fine("smooth_ece", "smooth ECE"),
    _fine("ks", "KS calibration error"),
    _fine("rms", "RMS calibration error"),
    replace(_fine("rms_debiased", "RMS calibration error, debiased"), interval="rms_interval"),
    _fraction("mce", "maximum calibration error"),
    _fraction("classwise_ece", "classwise ECE"),
    Measure(
        name="p_calibrated", heading="p", title="p-value of the test: is it calibrated?", better="neither",
        streams=False,
    ),
    _fraction("error", ""),
    _scaled(_ECE),
    _scaled(_NLL),
    Measure(name="temperature", heading="T", better="neither", source="temperature"),
    _masks("dice", "Dice", "dice.mean", digits=3, better="higher"),
    _masks("hausdorff95", "HD95", "hausdorff95.mean", unit="voxels"),
    _masks("betti0_error", "Components", "betti0_error.mean"),
    _masks("betti1_error", "Tunnels", "betti1_error.mean"),
    _masks("betti2_error", "Cavities", "betti2_error.mean"),
    _masks("voxel_ece", "ECE % pooled", "voxels_pooled.ece", unit="%"),
    _masks("voxel_ece_per_case", "per case", "voxels_per_case.ece", page_heading="per case", unit="%"),
    _masks(
        "voxel_ece_foreground", "foreground", "voxels_pooled.ece_predicted_foreground", page_heading="foreground",
        unit="%",
    ),
    _detection("auroc", "AUROC %"),
    _detection("aupr_out", "AUPR-out %"),
    _detection("aupr_in", "AUPR-in %"),
    _detection("fpr95", "FPR95 %", page_heading="FPR at 95 % TPR, %", better="lower"),
)  # fmt: skip
MEASURES = {measure.name: measure for measure in _ALL}


def _chosen(*names: str) -> dict[str, Measure]:
    return {name: MEASURES[name] for name in names}


OF_PREDICTIONS = {name: measure for name, measure in MEASURES.items() if measure.title}
OF_GROUPS = _chosen("accuracy", "overconfidence", "ece", "ece_equal_mass", "nll", "brier")
OF_RUNS = _chosen("error", "ece", "ece_equal_mass", "nll", "overconfidence", "ece_scaled", "nll_scaled", "temperature")
COMPARED = {name: measure for name, measure in OF_RUNS.items() if measure.better == "lower"}
ON_PAGES = {name: measure for name, measure in OF_RUNS.items() if name != "nll_scaled"}
DIFFERENCES = _chosen("error", "ece", "ece_equal_mass", "nll")
IN_SHORT = _chosen("error", "ece", "nll")
OF_MASKS = {name: measure for name, measure in MEASURES.items() if measure.source.startswith("segmentation.")}
OF_DETECTION = _chosen("auroc", "aupr_out", "aupr_in", "fpr95")
