# SPDX-License-Identifier: Apache-2.0
"""Training one classifier: settings in, a run folder out.

===========================  ==========================================================
config.py                    TrainConfig: every setting of a run
batches.py                   seeded batches of tensors in memory
classifier.py                the Lightning module
history.py                   metrics and gammas per epoch, in ``metrics.csv``
voxels.py                    dense predictions as rows and as sums
cases.py                     scores of single cases, best and worst case
segmentation.py              results of a run that labels every voxel
provenance.py                versions, hardware, git revision
run.py                       run: fit, predict, write the run folder
===========================  ==========================================================
"""

from adafocal.data import DataConfig
from adafocal.training.config import OptimizerConfig, TrainConfig

__all__ = ["DataConfig", "OptimizerConfig", "TrainConfig"]
