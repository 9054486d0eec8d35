# SPDX-License-Identifier: Apache-2.0
"""Put small faults into the formulas, one at a time, and see whether the tests notice: ``make mutants``.

Faults are made by mutmut's operators; torch is imported once, and each mutant runs in a fork of that process against
the tests that reach its line. Exits with 1 if a room catches less than 90 % of those that ``tests/mutants.toml`` gives
no reason for, or if one of these is in a formula.
"""

import argparse
import json
import os
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
import tomllib
from mutant_sources import PACKAGE, ROOT, mutants_of, relative
from mutant_trial import DEFAULTS, PLAIN, Trial

OUT = ROOT / "build" / "mutants"
ENOUGH = 0.9
ALIVE = 6  # place of the outcome in a line of results
VALUES = "tests/contracts/test_values.py"
FILES = ("tables/*", "_records", "predictions", "_values")
# Room: its files, and the tests that are to notice.
ROOMS: dict[str, tuple[list[str], list[str]]] = {
    "losses": (["losses/*.py"], ["tests/losses", "tests/contracts/test_losses.py", VALUES]),
    "calibration": (
        ["calibration/*.py"],
        ["tests/calibration", "tests/metrics", "tests/losses/test_linear.py", VALUES],
    ),
    "scaling": (["scaling/*.py"], ["tests/scaling", VALUES]),
    "selective": (
        ["selective/*.py", "_estimate.py", "_tails.py"],
        ["tests/selective", "tests/test_tails.py", "tests/test_estimate.py", VALUES],
    ),
    "ood": (["ood/*.py"], ["tests/ood", VALUES]),
    "files": (
        [f"{name}.py" for name in FILES],
        [
            *("tests/tables", "tests/test_value_bounds.py", "tests/test_record_shapes.py"),
            *("tests/test_one_reader.py", "tests/test_predictions.py", "tests/test_untrusted_files.py", VALUES),
        ],
    ),
}


def main() -> int:
    """Run one room or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--room", choices=[*ROOMS, "all"], default="all")
    parser.add_argument("--share", type=float, default=1.0, help="share of the mutants that is run, drawn by --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formulas", action="store_true", help="leave out lost arguments and values")
    parser.add_argument("--only", default="", help="run the files whose path holds this text")
    parser.add_argument("--patience", type=float, default=15.0, help="seconds of tests, quickest first, per mutant")
    parser.add_argument("--again", action="store_true", help="of the last results, run what survived alone")
    parser.add_argument("--reuse", action="store_true", help="measure new tests alone; only if no source has changed")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT / "src"), str(ROOT)]
    os.environ.update(OMP_NUM_THREADS="1", PYTHONPATH=str(ROOT / "src"))
    OUT.mkdir(parents=True, exist_ok=True)
    import hypothesis

    hypothesis.settings.register_profile("mutants", database=None, derandomize=True)
    hypothesis.settings.load_profile("mutants")
    rooms = list(ROOMS) if arguments.room == "all" else [arguments.room]
    good = [run_room(room, arguments) for room in rooms]
    return 0 if all(good) else 1


def run_room(room: str, arguments: argparse.Namespace) -> bool:
    """Run a room's mutants, print what was found, and tell whether that is enough."""
    patterns, tests = ROOMS[room]
    paths = sorted(path for pattern in patterns for path in PACKAGE.glob(pattern) if path.name != "__init__.py")
    mutants = [mutant for path in paths if arguments.only in path.as_posix() for mutant in mutants_of(path)]
    mutants = [mutant for mutant in mutants if mutant.formula or not arguments.formulas]
    n = round(arguments.share * len(mutants))
    chosen = sorted(random.Random(arguments.seed).sample(range(len(mutants)), n))
    print(f"{room}: {n} of {len(mutants)} mutants, seed {arguments.seed}", flush=True)
    results, known = OUT / f"{room}.jsonl", []
    if arguments.again:
        known = [line for line in _read(results) if line[ALIVE] not in ("survived", "unreached")]
        done = {tuple(line[:4]) for line in known}
        chosen = [i for i in chosen if relative(mutants[i]) not in done]
    results.unlink(missing_ok=True)
    if (child := os.fork()) == 0:  # pytest and the package are imported in a process of the room's own
        log = os.open(OUT / f"{room}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(log, stream)
        pytest.main([*PLAIN, *tests, DEFAULTS], plugins=[Trial([mutants[i] for i in chosen], results, arguments)])
        os._exit(0)
    os.waitpid(child, 0)
    with results.open("a", encoding="utf-8") as log:
        log.writelines(json.dumps(line) + "\n" for line in known)
    return report(room, _read(results))


def _read(results: Path) -> list[list[Any]]:
    return [json.loads(line) for line in results.read_text("utf-8").splitlines()]


def reasons() -> list[dict[str, str]]:
    """Read the survivors that are accepted, each with its reason."""
    return tomllib.loads((ROOT / "tests" / "mutants.toml").read_text("utf-8"))["survivor"]


def excused(key: tuple[str, str, str, str], entries: list[dict[str, str]]) -> bool:
    """Tell whether a reason is written: for this change, or for every change of the line or of the function."""
    file, function, before, after = key
    return any(
        entry["file"] == file
        and entry["function"] == function
        and entry.get("before", before) == before
        and entry.get("after", after) == after
        for entry in entries
    )


def report(room: str, results: list[list[Any]]) -> bool:
    """Print the share caught per file and the survivors; tell whether the room passes."""
    entries, per_file, unexplained = reasons(), defaultdict(Counter), 0
    for file, function, before, after, line, formula, outcome, _ in results:
        alive = outcome in ("survived", "unreached")
        named = alive and excused((file, function, before, after), entries)
        per_file[file].update([outcome, "all", *(["explained"] if named else [])])
        if alive and not named:
            unexplained += formula
            kind = "FORMULA" if formula else "wiring"
            print(f"  {outcome} {kind} {file}:{line} {function}\n    - {before}\n    + {after}")
    for file, counts in sorted(per_file.items()):
        print(f"  {file}: {_line(counts)}")
    total: Counter[str] = sum(per_file.values(), Counter())
    print(f"{room}: {_line(total)}; {unexplained} in formulas without a reason", flush=True)
    return unexplained == 0 and _share(total) >= ENOUGH


def _share(counts: Counter[str]) -> float:
    """Give the share caught of what can be: a survivor with a reason is no fault, or none that a test should see."""
    return (counts["caught"] + counts["timeout"]) / max(1, counts["all"] - counts["explained"])


def _line(counts: Counter[str]) -> str:
    caught = counts["caught"] + counts["timeout"]
    left = counts["survived"] + counts["unreached"]
    return (
        f"{caught} of {counts['all']} caught, {counts['timeout']} of them by the clock; {left} survived, "
        f"{counts['explained']} of them with a reason: {100 * _share(counts):.1f} % of the others"
    )


if __name__ == "__main__":
    sys.exit(main())
