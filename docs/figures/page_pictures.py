# SPDX-License-Identifier: Apache-2.0
"""Photograph a study's page in headless Chromium for docs/page.md.

python docs/figures/page_pictures.py runs/page docs/images
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

WIDTH, HEIGHT = 1060, 3700
PARTS = {"page_top": (0, 1405), "page_classes": (1415, 1965)}  # upper and lower edge in pixels


def main(study: str, output: str) -> None:
    """Write one picture per part, in 256 colours."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is not installed.")
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "page.png"
        switches = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--window-size={WIDTH},{HEIGHT}",
        ]
        address = (Path(study) / "report.html").resolve().as_uri()
        subprocess.run([chromium, *switches, f"--screenshot={picture}", address], check=True, capture_output=True)
        with Image.open(picture) as page:
            for name, (top, bottom) in PARTS.items():
                part = page.convert("RGB").crop((0, top, WIDTH, bottom)).quantize(256)
                part.save(Path(output) / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
