# SPDX-License-Identifier: Apache-2.0
"""Run the command line with ``python -m adafocal.cli``."""

from adafocal.cli import main

raise SystemExit(main())
