# SPDX-License-Identifier: Apache-2.0
"""Every claim of speed in one table: ours over a named peer, in pairs of turns; writes docs/results/speed.csv.

python benchmarks/speed/run.py [--only losses measures] [--repeats 7] [--peers PYTHON] [--output docs/results/speed.csv]

`make benchmarks` runs it with the peers in an environment of their own. A file per room holds its rows, each room is a
process of one thread, and a row whose peer is not installed says so. Numbers are medians of ratios of processor time.
"""

import argparse
import csv
import importlib
import io
import os
import platform
import statistics
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

FOLDER = Path(__file__).parent
ROOMS = ("losses", "topology", "measures", "tables", "start")
FIELDS = ["room", "what", "peer", "ratio", "low", "high", "goal", "seconds", "note", "made"]


def measured(room: str, repeats: int) -> None:
    """Measure the rows of a room, in this process, and print them as lines of CSV."""
    import torch
    from row import version_of_peer

    torch.set_num_threads(1)
    writer = csv.DictWriter(sys.stdout, FIELDS, lineterminator="\n")
    made = f"{datetime.now(timezone.utc):%Y-%m-%d}, Python {platform.python_version()}, torch {torch.__version__}"
    for row in importlib.import_module(room).ROWS:
        cells = {"room": room, "what": row.what, "peer": row.peer, "goal": row.goal, "note": row.note, "made": made}
        try:
            cells["made"] += f", {version_of_peer(row.package)}" if row.package else ""
            pairs = row.pairs(repeats)
        except ImportError as error:
            writer.writerow(cells | {"note": f"not measured: {error}"})
            continue
        ratios = sorted(ours / peer for ours, peer in pairs)
        low, middle, high = statistics.quantiles(ratios, n=4)
        taken = statistics.median(ours for ours, _ in pairs)
        numbers = {"ratio": f"{middle:.3g}", "low": f"{low:.3g}", "high": f"{high:.3g}", "seconds": f"{taken:.3g}"}
        writer.writerow(cells | numbers)
        sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=ROOMS, default=ROOMS)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--peers", default=None, help="the Python of an environment with requirements.txt")
    parser.add_argument("--output", type=Path, default=None)
    parser.add_argument("--room", choices=ROOMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.room:
        measured(options.room, options.repeats)
        return
    table = read(options.output) if options.output and options.output.exists() else {}
    for room in options.only:
        rows: list[dict[str, str]] = []
        command = [sys.executable, __file__, "--room", room, "--repeats", str(options.repeats)]
        settings = {"OMP_NUM_THREADS": "1"} | ({"ADAFOCAL_PEERS": options.peers} if options.peers else {})
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | settings) as process:
            assert process.stdout is not None
            for line in process.stdout:
                rows += csv.DictReader(io.StringIO(line), FIELDS)
                print(told(rows[-1]), flush=True)
        if process.returncode:
            raise SystemExit(f"the rows of {room} failed with status {process.returncode}")
        table[room] = rows
        if options.output:
            write(table, options.output)


def read(path: Path) -> dict[str, list[dict[str, str]]]:
    """Read the rows of each room."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {room: [row for row in rows if row["room"] == room] for room in ROOMS}


def write(table: dict[str, list[dict[str, str]]], path: Path) -> None:
    """Write the rows of all rooms: those that are not measured keep what they had."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for room in ROOMS for row in table.get(room, []))


def told(row: dict[str, str]) -> str:
    if not row["ratio"]:
        return f"{row['what']:<58} {row['note']}"
    verdict = "reached" if float(row["ratio"]) <= float(row["goal"]) else "not reached"
    spread = f"[{row['low']}, {row['high']}]"
    return f"{row['what']:<58} {row['ratio']:>6} {spread:<16} of {row['peer']}; goal {row['goal']}: {verdict}"


if __name__ == "__main__":
    main()
