# SPDX-License-Identifier: Apache-2.0
"""Training one classifier: settings in, a run folder out.

===========================  ==========================================================
config.py                    TrainConfig: every setting of a run
batches.py                   seeded batches of tensors in memory, shared out over processes
optimizers.py                optimisers and schedules of the learning rate
classifier.py                the Lightning module
checkpoints.py               written whole or not at all, read without running code
history.py                   metrics and gammas per epoch, in ``metrics.csv`` and the loggers
trainer.py                   the Lightning trainer: callbacks, loggers, devices
voxels.py                    dense predictions as rows and as sums
cases.py                     scores of single cases, best and worst case
segmentation.py              results of a run that labels every voxel
folder.py                    the run folder and who writes it
provenance.py                versions, hardware, git revision
own.py                       own code: whether it may be imported, and a trial before a run
measured.py                  the numbers that are reported, and the best scaling
results.py                   predictions, temperature and numbers of a finished run
run.py                       run: fit, predict, write the run folder
===========================  ==========================================================
"""

from adafocal.data import DataConfig
from adafocal.training.config import OptimizerConfig, TrainConfig

__all__ = ["DataConfig", "OptimizerConfig", "TrainConfig"]
