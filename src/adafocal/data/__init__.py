# SPDX-License-Identifier: Apache-2.0
"""Data sets by name, split by seed.

===========================  ==========================================================
config.py                    DataConfig: which data set, where it lies, how it is split
used.py, kinds.py            which settings each kind of data reads; what kind settings name
layout.py, roles.py          what lies at a path, and what the columns of a table are for, by names and a first row
folders.py, saved.py         folders of images; what `datasets` saved, and the hub
tabular.py                   tables of texts, numbers or images, in whatever format
sources.py                   parts as they are stored: inputs, classes, groups
labels.py, classes.py        from labels as they are stored to one numbering, with samples of each class to learn from
parts.py, groups.py          the rows of each part: as they come, by a column, by groups, or drawn
splits.py                    Split, DataSplits and the seeded, stratified splits
inputs.py                    from rows to what a network takes
features.py                  numbers scaled and categories one-hot, by the training part
stored.py, photos.py         images that stay encoded or are decoded at once; what somebody's own are like
texts.py                     words, vocabulary, token ids
augment.py                   shift, mirror and normalise whole batches on the device
corruptions.py               noise, blur and the like, at five severities
volumes.py                   volumes and masks at one size, split by case
volume_files.py              Decathlon tasks, NIfTI folders and npz files
digits.py                    scikit-learn's handwritten digits, made hard by noise
own.py, given.py             data that a function of the user's own gives
foreign.py                   other data in the form that a trained model takes
shown.py, overview.py        samples to look at; what would be trained on, in words and counts
catalogue.py                 DATASETS: every data set by name
load.py                      load_splits: read, split, decode, tokenise or encode
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
