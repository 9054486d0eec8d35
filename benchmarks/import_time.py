# SPDX-License-Identifier: Apache-2.0
"""Time `import adafocal`, and its first use, over `import torch`: whole processes, alternating; prints median ratios.

python benchmarks/import_time.py [--repeats 9]
"""

import argparse
import statistics
import subprocess
import sys
import time

STATEMENTS = {
    "import adafocal": "import torch; import adafocal",
    "first use of the loss": "import torch; import adafocal; adafocal.AdaFocalLoss",
    "loss and calibration": "import torch; import adafocal; adafocal.AdaFocalLoss, adafocal.calibration.evaluate",
}


def seconds(statement: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    seconds("import torch")
    print(f"process time over that of `import torch`: median [quartiles] of {repeats} pairs; goal 1.15")
    for name, statement in STATEMENTS.items():
        ratios = [seconds(statement) / seconds("import torch") for _ in range(repeats)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"{name:<32}{middle:.2f} [{low:.2f}, {high:.2f}]")


if __name__ == "__main__":
    main()
