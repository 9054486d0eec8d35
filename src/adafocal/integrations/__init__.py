# SPDX-License-Identifier: Apache-2.0
"""AdaFocal in other people's training loops.

===========================  ==========================================================
lightning.py                 AdaFocalCallback and LossEpochCallback for any LightningModule
===========================  ==========================================================
"""
