# SPDX-License-Identifier: Apache-2.0
"""The shape of masks in three dimensions: components, tunnels, cavities, and how far two masks agree.

===========================  ==========================================================
persistence.py               persistence diagrams of cubical complexes
wasserstein.py               distance of two diagrams
matching.py                  which of their points belong together
masks.py                     overlap, distance of surfaces and Betti numbers of masks
===========================  ==========================================================
"""

from adafocal.topology.masks import betti_numbers, dice_score, hausdorff_distance_95
from adafocal.topology.persistence import PersistenceDiagram, persistence_diagram, persistence_diagrams
from adafocal.topology.wasserstein import wasserstein_distance

__all__ = [
    "PersistenceDiagram",
    "betti_numbers",
    "dice_score",
    "hausdorff_distance_95",
    "persistence_diagram",
    "persistence_diagrams",
    "wasserstein_distance",
]
