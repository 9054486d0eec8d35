# SPDX-License-Identifier: Apache-2.0
"""What the command prints without importing what it is about: helps and catalogues, kept as text.

``scripts/generated.py`` writes them from what there is, and a test holds them to it.
"""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

PRINTED = Path(__file__).with_name("printed.json")
# Commands that print a help of their own, beside those of COMMANDS.
WITHIN = ("scale fit", "scale apply", "data show")


@cache
def printed() -> dict[str, Any]:
    """Read the helps, lines by command, and the catalogues, lines by entry."""
    held: dict[str, Any] = json.loads(PRINTED.read_text("utf-8"))
    return held


def help_of(words: Sequence[str]) -> str | None:
    """Give the help that a line asks for, if it asks for nothing else."""
    if not words or words[-1] not in ("-h", "--help"):
        return None
    lines = printed()["help"].get(" ".join(words[:-1]))
    return None if lines is None else "\n".join(lines)
