# SPDX-License-Identifier: Apache-2.0
"""Losses: a pure function of one value per sample, and a module with the contract of ``nn.CrossEntropyLoss``.

Below stands one line per file of losses, in the order of lists, tables and plots. Each file names in ``__all__`` what
is public, and enters its losses into the catalogue. What they share:

===========================  ==========================================================
catalogue.py                 LOSSES: every loss by name, with paper and formula
own.py                       classes and functions of the user's own
base.py                      the module that losses derive from, with their four options
penalised.py                 losses that add a penalty to any other
cross_entropy.py             cross-entropy per sample, and functions of it
reduction.py                 from losses of samples to one number
options.py, targets.py       what options and labels may be
modulate.py                  the transform behind the focal family
update_rule.py               AdaFocal's rule
validation_statistics.py     what a validation pass has shown so far
confidence.py                confidence score functions
decayed_sum.py               the running sums behind soft ranks
===========================  ==========================================================
"""

import inspect
import typing

# isort: off
from adafocal.losses.catalogue import *
from adafocal.losses.focal import *  # focal and inverse focal
from adafocal.losses.flsd import *  # FLSD, scheduled focal, gamma from a target probability
from adafocal.losses.dual_focal import *
from adafocal.losses.dft import *  # dynamic fine-tuning
from adafocal.losses.adafocal import *
from adafocal.losses.adafocal_per_class import *
from adafocal.losses.brier import *  # Brier score; cross-entropy with a Brier-scaled gradient
from adafocal.losses.mmce import *  # maximum mean calibration error
from adafocal.losses.aurc import *  # regularized AURC; soft ranks
from adafocal.losses.selective_au import *
from adafocal.losses.margin import *  # margin-based label smoothing
from adafocal.losses.logit_norm import *
from adafocal.losses.topology import *  # topology-aware focal, for segmentation
from adafocal.losses.l1_ace import *  # marginal L1 average calibration error, for segmentation
from adafocal.losses.nacl import *  # neighbour-aware calibration, for segmentation
from adafocal.losses.linear import *  # cross-entropy of a linear head without all logits

# isort: on
from adafocal.losses.confidence import confidence_score as confidence_score
from adafocal.losses.modulate import modulate as modulate
from adafocal.losses.update_rule import update_gammas as update_gammas
from adafocal.topology.persistence import PersistenceDiagram as PersistenceDiagram
from adafocal.topology.persistence import persistence_diagram as persistence_diagram
from adafocal.topology.persistence import persistence_diagrams as persistence_diagrams
from adafocal.topology.wasserstein import wasserstein_distance as wasserstein_distance

if not typing.TYPE_CHECKING:  # type checkers read `__all__` as text alone; without one they take every name above
    __all__ = sorted(name for name, it in globals().items() if not (name.startswith("_") or inspect.ismodule(it)))
