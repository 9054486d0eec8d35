# SPDX-License-Identifier: Apache-2.0
"""Data sets by name, split by seed.

===========================  ==========================================================
config.py                    DataConfig: which data set, where it lies, how it is split
used.py, kinds.py            which settings each kind of data reads; what kind settings name
layout.py, roles.py          what lies at a path, and what the columns of a table are for, by names and a first row
folders.py, saved.py         folders of images; what `datasets` saved, and the hub
splits.py                    Split, DataSplits and the seeded, stratified splits
sources.py                   Parquet, npz, image folders and the hub
stored.py                    images that stay encoded: decoded at once or batch by batch
texts.py                     words, vocabulary, token ids
augment.py                   shift, mirror and normalise whole batches on the device
corruptions.py               noise, blur and the like, at five severities
volumes.py                   volumes and masks at one size, split by case
volume_files.py              Decathlon tasks, NIfTI folders and npz files
digits.py                    scikit-learn's handwritten digits, made hard by noise
own.py, given.py             data that a function of the user's own gives
catalogue.py                 DATASETS: every data set by name
load.py                      load_splits: read, split, decode or tokenise
===========================  ==========================================================
"""

from adafocal.data.augment import ImageTransform, normalise, random_flip, random_shift
from adafocal.data.catalogue import DATASETS, DatasetSpec
from adafocal.data.config import DataConfig
from adafocal.data.corruptions import CORRUPTIONS, corrupt
from adafocal.data.load import load_splits
from adafocal.data.splits import DataSplits, Split, stratified_parts, stratified_split
from adafocal.data.stored import StoredImages

__all__ = [
    "CORRUPTIONS",
    "DATASETS",
    "DataConfig",
    "DataSplits",
    "DatasetSpec",
    "ImageTransform",
    "Split",
    "StoredImages",
    "corrupt",
    "load_splits",
    "normalise",
    "random_flip",
    "random_shift",
    "stratified_parts",
    "stratified_split",
]
