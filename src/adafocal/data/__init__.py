# SPDX-License-Identifier: Apache-2.0
"""Data sets by name, split by seed.

===========================  ==========================================================
splits.py                    Split, DataSplits and the seeded, stratified split
digits.py                    scikit-learn's handwritten digits, made hard by noise
catalogue.py                 DATASETS: every data set by name
===========================  ==========================================================
"""

from adafocal.data.catalogue import DATASETS, DatasetSpec, load_splits
from adafocal.data.splits import DataSplits, Split, stratified_split

__all__ = ["DATASETS", "DataSplits", "DatasetSpec", "Split", "load_splits", "stratified_split"]
