# SPDX-License-Identifier: Apache-2.0
"""Scaling after training: fitted on validation predictions, applied to test predictions.

===========================  ==========================================================
temperature.py               one temperature: exact minimum of the NLL, or the papers' grid
scores.py                    from a predictions record to log-scores and back
files.py                     fitted scalings as JSON
===========================  ==========================================================
"""

from adafocal.scaling.temperature import Temperature, fit_temperature

__all__ = ["Temperature", "fit_temperature"]
