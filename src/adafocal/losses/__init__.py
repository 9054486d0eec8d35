# SPDX-License-Identifier: Apache-2.0
"""Losses: a pure function of one value per sample, and a module with the contract of ``nn.CrossEntropyLoss``.

===========================  ==========================================================
terms.py                     what the losses share: per-sample cross-entropy, reduction
modulate.py                  the transform behind the focal family
focal.py                     focal and inverse focal
flsd.py                      FLSD, scheduled focal, gamma from a target probability
dual_focal.py                dual focal
adafocal.py                  AdaFocal
update_rule.py               its update rule
observed.py                  what a validation pass has shown so far
linear.py                    cross-entropy of a linear head without all logits
brier.py                     Brier score; cross-entropy with a Brier-scaled gradient
mmce.py                      maximum mean calibration error
confidence.py                confidence score functions
aurc.py                      regularized AURC; soft and hard ranks
selective_au.py              selective AU
margin.py                    margin-based label smoothing
logit_norm.py                logit normalisation
topology.py                  topology-aware focal, for segmentation
catalogue.py                 LOSSES: every loss by name, with paper and formula
===========================  ==========================================================
"""

from adafocal.losses.adafocal import AdaFocalLoss
from adafocal.losses.aurc import AURCLoss, soft_rank
from adafocal.losses.brier import BrierLoss, BrierWeightedLoss, brier_loss, brier_weighted_loss
from adafocal.losses.catalogue import LOSSES, LossSpec, loss_title, make_loss
from adafocal.losses.confidence import confidence_score
from adafocal.losses.dual_focal import DualFocalLoss, dual_focal_loss
from adafocal.losses.flsd import FLSDLoss, ScheduledFocalLoss, gamma_for_target
from adafocal.losses.focal import FocalLoss, InverseFocalLoss, focal_loss, inverse_focal_loss
from adafocal.losses.linear import linear_cross_entropy
from adafocal.losses.logit_norm import LogitNormLoss
from adafocal.losses.margin import MarginSmoothingLoss
from adafocal.losses.mmce import MMCELoss, mmce_penalty
from adafocal.losses.modulate import modulate
from adafocal.losses.selective_au import SelectiveAULoss
from adafocal.losses.topology import TopologyAwareFocalLoss, topology_loss
from adafocal.losses.update_rule import update_gammas
from adafocal.topology.persistence import PersistenceDiagram, persistence_diagram, persistence_diagrams
from adafocal.topology.wasserstein import wasserstein_distance

__all__ = [
    "LOSSES",
    "AURCLoss",
    "AdaFocalLoss",
    "BrierLoss",
    "BrierWeightedLoss",
    "DualFocalLoss",
    "FLSDLoss",
    "FocalLoss",
    "InverseFocalLoss",
    "LogitNormLoss",
    "LossSpec",
    "MMCELoss",
    "MarginSmoothingLoss",
    "PersistenceDiagram",
    "ScheduledFocalLoss",
    "SelectiveAULoss",
    "TopologyAwareFocalLoss",
    "brier_loss",
    "brier_weighted_loss",
    "confidence_score",
    "dual_focal_loss",
    "focal_loss",
    "gamma_for_target",
    "inverse_focal_loss",
    "linear_cross_entropy",
    "loss_title",
    "make_loss",
    "mmce_penalty",
    "modulate",
    "persistence_diagram",
    "persistence_diagrams",
    "soft_rank",
    "topology_loss",
    "update_gammas",
    "wasserstein_distance",
]
