# SPDX-License-Identifier: Apache-2.0
"""Selective prediction: what it costs to abstain on the least confident samples.

===========================  ==========================================================
weights.py                   the weight of each rank in the area under the risk-coverage curve
===========================  ==========================================================
"""

from adafocal.selective.weights import rank_weights

__all__ = ["rank_weights"]
