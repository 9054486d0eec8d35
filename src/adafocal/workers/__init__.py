# SPDX-License-Identifier: Apache-2.0
"""Where work runs: one function on many items, in processes of this machine or on a cluster.

===========================  ==========================================================
executor.py                  Executor: what every place offers, and what became of an item
local.py                     processes of this machine that share its cores
on_ray.py                    tasks of a Ray cluster, or of a local Ray
===========================  ==========================================================
"""
