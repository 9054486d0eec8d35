# SPDX-License-Identifier: Apache-2.0
"""AdaFocal in other people's training loops.

===========================  ==========================================================
lightning.py                 AdaFocalCallback and LossEpochCallback for any LightningModule
transformers.py              AdaFocalTrainerCallback for the Trainer of transformers
trl.py                       AdaFocalSFTTrainer: any loss of the focal family in TRL
rewards.py                   stated confidences, and rewards for them
accelerate.py                without_repeats: validation batches of an Accelerate loop
own_head.py                  logits of a language model from its features, some tokens at a time
validates.py                 whether a trainer will ever validate
summary.py                   what an update is worth telling
===========================  ==========================================================
"""
