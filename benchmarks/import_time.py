# SPDX-License-Identifier: Apache-2.0
"""Time `import adafocal`, and its first use, over `import torch`: whole processes, alternating; prints median ratios.

Processor time, of the process and what it waits for.

python benchmarks/import_time.py [--repeats 9]
"""

import argparse
import resource
import statistics
import subprocess
import sys

STATEMENTS = {
    "import adafocal": "import torch; import adafocal",
    "import adafocal.losses": "import torch; import adafocal.losses",
    "first use of the loss": "import torch; import adafocal; adafocal.AdaFocalLoss",
    "loss and calibration": "import torch; import adafocal; adafocal.AdaFocalLoss, adafocal.calibration.evaluate",
}


def seconds(statement: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    seconds("import torch")
    print(f"processor time over that of `import torch`: median [quartiles] of {repeats} pairs; goal 1.05")
    for name, statement in STATEMENTS.items():
        ratios = [seconds(statement) / seconds("import torch") for _ in range(repeats)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"{name:<32}{middle:.2f} [{low:.2f}, {high:.2f}]")


if __name__ == "__main__":
    main()
