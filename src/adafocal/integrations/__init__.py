# SPDX-License-Identifier: Apache-2.0
"""AdaFocal in other people's training loops.

===========================  ==========================================================
lightning.py                 AdaFocalCallback and LossEpochCallback for any LightningModule
transformers.py              AdaFocalTrainerCallback for the Trainer of transformers
accelerate.py                without_repeats: validation batches of an Accelerate loop
validates.py                 whether a trainer will ever validate
summary.py                   what an update is worth telling
===========================  ==========================================================
"""
