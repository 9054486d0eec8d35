# SPDX-License-Identifier: Apache-2.0
"""Modules that have moved: the old path still imports the module, with a warning, for one version."""

import importlib
import sys
import warnings
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "adafocal._columns": "adafocal.tables.columns",
    "adafocal._scan": "adafocal.tables.scan",
    "adafocal.evaluation.remedy": "adafocal.scaling.remedy",
    "adafocal.evaluation.rows": "adafocal.calibration.rows",
    "adafocal.evaluation.sample": "adafocal.scaling.sample",
    "adafocal.losses.observed": "adafocal.losses.validation_statistics",
    "adafocal.losses.persistence": "adafocal.topology.persistence",
    "adafocal.losses.terms": "adafocal.losses.base",
    "adafocal.losses.wasserstein": "adafocal.topology.wasserstein",
    "adafocal.metrics.inputs": "adafocal.metrics.sums",
    "adafocal.metrics.segmentation": "adafocal.topology.masks",
    "adafocal.models.inputs": "adafocal.models.base",
    "adafocal.report.evaluation": "adafocal.evaluation.measure",
    "adafocal.report.evaluation_tasks": "adafocal.evaluation.tasks",
    "adafocal.report.contents": "adafocal.results.contents",
    "adafocal.report.ood_figures": "adafocal.report.figures",
    "adafocal.report.ood_panels": "adafocal.report.ood_page",
    "adafocal.report.outcome": "adafocal.results.outcome",
    "adafocal.report.ranks_figure": "adafocal.report.figures",
    "adafocal.report.records": "adafocal.results.comparison",
    "adafocal.report.segmentation_table": "adafocal.report.tables",
    "adafocal.study.executor": "adafocal.workers.local",
    "adafocal.study.metrics": "adafocal.measures",
    "adafocal.study.on_ray": "adafocal.workers.on_ray",
}


class _Finder(MetaPathFinder, Loader):
    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        old, new = module.__name__, MOVED[module.__name__]
        warnings.warn(f"`{old}` has moved to `{new}`.", DeprecationWarning, stacklevel=2)
        sys.modules[old] = importlib.import_module(new)


def install() -> None:
    """Let old paths lead to new places."""
    sys.meta_path.append(_Finder())
