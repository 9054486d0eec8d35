# SPDX-License-Identifier: Apache-2.0
"""Losses: a pure function of one value per sample, and a module with the contract of ``nn.CrossEntropyLoss``.

===========================  ==========================================================
terms.py                     what the losses share: per-sample cross-entropy, reduction
focal.py                     focal, inverse focal, FLSD
adafocal.py                  AdaFocal and its update rule
topology.py                  topology-aware focal, for segmentation
persistence.py               persistence diagrams of images and volumes
wasserstein.py               distance between diagrams
catalogue.py                 LOSSES: every loss by name, with paper and formula
===========================  ==========================================================
"""

from adafocal.losses.adafocal import AdaFocalLoss, update_gammas
from adafocal.losses.catalogue import LOSSES, LossSpec, make_loss
from adafocal.losses.flsd import FLSDLoss
from adafocal.losses.focal import FocalLoss, InverseFocalLoss, focal_loss, inverse_focal_loss
from adafocal.losses.persistence import PersistenceDiagram, persistence_diagram, persistence_diagrams
from adafocal.losses.topology import TopologyAwareFocalLoss, topology_loss
from adafocal.losses.wasserstein import wasserstein_distance

__all__ = [
    "LOSSES",
    "AdaFocalLoss",
    "FLSDLoss",
    "FocalLoss",
    "InverseFocalLoss",
    "LossSpec",
    "PersistenceDiagram",
    "TopologyAwareFocalLoss",
    "focal_loss",
    "inverse_focal_loss",
    "make_loss",
    "persistence_diagram",
    "persistence_diagrams",
    "topology_loss",
    "update_gammas",
    "wasserstein_distance",
]
