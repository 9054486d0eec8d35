# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin that tries mutants: each in a fork of a process that has imported everything already.

The living function gets the code of its mutant in place, so that a mutant costs the tests that reach its line and no
import. What runs on import and cannot be replaced, such as the fields of a class, is imported anew in the fork.
"""

import argparse
import contextlib
import importlib.abc
import importlib.util
import itertools
import json
import os
import resource
import signal
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from mutant_sources import PACKAGE, ROOT, Mutant, relative

SOON = 40  # tests that run first where everything is imported anew
MEMORY = 8 << 30  # bytes; a mutant may ask for all there is
DEFAULTS = "tests/contracts/test_defaults.py"
NOTHING: dict[str, Any] = {"lines": {}, "seconds": {}, "failed": []}
PLAIN = ["-q", "-o", "addopts=", "-m", "not slow", "-p", "no:cacheprovider", "--tb=no", "--assert=plain"]


def _joined(known: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    lines: dict[str, dict[str, list[str]]] = {}
    for part in (known["lines"], more["lines"]):
        for file, of_file in part.items():
            for line, tests in of_file.items():
                here = lines.setdefault(file, {}).setdefault(str(line), [])
                here.extend(test for test in tests if test)
    return {"lines": lines, "seconds": known["seconds"] | more["seconds"], "failed": known["failed"] + more["failed"]}


class Trial:
    """A plugin that runs, instead of the tests, the mutants against the tests: each in a fork."""

    def __init__(self, mutants: list[Mutant], results: Path, arguments: argparse.Namespace) -> None:
        self._mutants, self._results, self._arguments = mutants, results, arguments
        self._failed: set[str] = set()
        self._seconds: dict[str, float] = defaultdict(float)
        self._watch: Any = None

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Measure the tests, then try each mutant on those that reach its line."""
        items = {item.nodeid: item for item in session.items}
        reach = self._measure(list(items.values()))
        with self._results.open("w", encoding="utf-8") as log:
            for mutant in self._mutants:
                if mutant.compiled is not None:
                    tests = _tests_for(mutant, reach, self._arguments.patience)
                    tests = [test for test in tests if test in items]
                    outcome, seconds = self._try(mutant, [items[test] for test in tests], reach["seconds"])
                    log.write(
                        json.dumps([*relative(mutant), mutant.line, mutant.formula, outcome, round(seconds, 2)]) + "\n"
                    )
                    log.flush()
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember what failed, and how long it took."""
        self._seconds[report.nodeid] += report.duration
        if report.failed:
            self._failed.add(report.nodeid)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Tell the coverage measurement which test runs."""
        if self._watch is not None:
            self._watch.switch_context(nodeid)

    def _run(self, items: list[pytest.Item], *, stop: bool) -> bool:
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if stop and self._failed:
                item.session._setupstate.teardown_exact(None)
                return False
        return not self._failed

    def _measure(self, items: list[pytest.Item]) -> dict[str, Any]:
        """Run the tests without a fault: which lines each reaches, how long it takes, and which fail."""
        place = self._results.with_suffix(".reach.json")
        known = json.loads(place.read_text("utf-8")) if self._arguments.reuse and place.exists() else NOTHING
        measured = known["seconds"].keys() | set(known["failed"])
        items = [item for item in items if item.nodeid not in measured]
        if (child := os.fork()) == 0:
            import coverage

            self._watch = coverage.Coverage(data_file=None, source=[str(PACKAGE)], config_file=False)
            self._watch.start()
            self._run(items, stop=False)
            self._watch.stop()
            data = self._watch.get_data()
            lines = {
                str(Path(path).relative_to(PACKAGE)): data.contexts_by_lineno(path) for path in data.measured_files()
            }
            seconds = {test: value for test, value in self._seconds.items() if test not in self._failed}
            found = _joined(known, {"lines": lines, "seconds": seconds, "failed": sorted(self._failed)})
            place.write_text(json.dumps(found), encoding="utf-8")
            os._exit(0)
        os.waitpid(child, 0)
        found = json.loads(place.read_text("utf-8"))
        print("fail without a fault, and are left out:", found["failed"])
        found["wide"] = Counter(
            test for of_file in found["lines"].values() for tests in of_file.values() for test in tests
        )
        return dict(found)

    def _try(self, mutant: Mutant, items: list[pytest.Item], seconds: dict[str, float]) -> tuple[str, float]:
        if not items:
            return "unreached", 0.0
        start, limit = time.monotonic(), 30 + int(5 * sum(seconds[item.nodeid] for item in items))
        if (child := os.fork()) == 0:
            signal.alarm(limit)
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            survived = False
            with contextlib.suppress(BaseException):  # a mutant may break what pytest itself needs
                survived = not inject(mutant) or self._run(items, stop=True)
                # What the tests did not see in place they may see anew: a factory has run on import already.
                survived = survived and _run_anew(mutant, items)
            os._exit(0 if survived else 1)
        status = os.waitpid(child, 0)[1]
        timeout = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
        return "timeout" if timeout else "caught" if status else "survived", time.monotonic() - start


def _tests_for(mutant: Mutant, reach: dict[str, Any], patience: float) -> list[str]:
    """Give the tests that reach the mutated statement, the closest first; of what runs on import, all of the file."""
    lines = reach["lines"].get(mutant.path.relative_to(PACKAGE).as_posix(), {})
    here = {test for line in range(mutant.first, mutant.last + 1) for test in lines.get(str(line), [])}
    seconds = reach["seconds"]
    if not mutant.in_body:
        here = {test for tests in lines.values() for test in tests} | {test for test in seconds if DEFAULTS in test}
    # Tests that reach little are about what they reach; cases of one test wait until every other had a turn.
    ordered = sorted(here & seconds.keys(), key=lambda test: (seconds[test] > patience / 4, reach["wide"][test], test))
    turn: Counter[str] = Counter()
    turns = {test: turn.update([test.partition("[")[0]]) or turn[test.partition("[")[0]] for test in ordered}
    ordered.sort(key=lambda test: (seconds[test] > patience / 4, turns[test]))
    spent = list(itertools.accumulate(seconds[test] for test in ordered))
    return [test for test, until in zip(ordered, spent, strict=True) if until <= patience] or ordered[:1]


def inject(mutant: Mutant) -> bool:
    """Change the living package into the mutant; False where only importing it anew would."""
    living, fresh = sys.modules.get(_module_name(mutant)), ModuleType("fresh")
    if living is None or mutant.compiled is None:
        return False
    fresh.__dict__.update(__name__=living.__name__, __file__=living.__file__, __package__=living.__package__)
    with contextlib.suppress(Exception):
        sys.modules["fresh"] = fresh  # dataclasses look their module up
        exec(mutant.compiled, vars(fresh))
        if not mutant.function:
            return _replace_constants(living, fresh, mutant)
        old, new = (_function(vars(module), mutant.function.split(".")) for module in (living, fresh))
        if old is not None and new is not None and old.__code__.co_freevars == new.__code__.co_freevars:
            old.__code__, old.__defaults__, old.__kwdefaults__ = new.__code__, new.__defaults__, new.__kwdefaults__
            return True
    return False


def _function(names: Any, path: list[str]) -> FunctionType | None:
    """Find a function, or the outermost one that holds it, below its decorators."""
    found = names.get(path[0])
    if isinstance(found, type):
        return _function(vars(found), path[1:]) if len(path) > 1 else None
    while (
        inner := [getattr(found, part) for part in ("__wrapped__", "__func__", "fget") if hasattr(found, part)]
    ) != []:
        found = inner[0]
    return found if isinstance(found, FunctionType) else None


def _replace_constants(living: ModuleType, fresh: ModuleType, mutant: Mutant) -> bool:
    """Replace the constants that differ, wherever they were imported, and the defaults made of them."""
    plain = (int, float, str, tuple, dict, type(None))
    for name, new in vars(fresh).items():
        old = vars(living).get(name)
        if isinstance(new, FunctionType) and isinstance(old, FunctionType) and new.__module__ == living.__name__:
            old.__defaults__, old.__kwdefaults__ = new.__defaults__, new.__kwdefaults__
        elif isinstance(new, plain) and isinstance(old, plain) and name in mutant.module.code and new != old:
            for module in list(sys.modules.values()):
                if module is not None and vars(module).get(name) is old:
                    setattr(module, name, new)
    return True


def _module_name(mutant: Mutant) -> str:
    return ".".join(mutant.path.relative_to(PACKAGE.parent).with_suffix("").parts)


def _run_anew(mutant: Mutant, items: list[pytest.Item]) -> bool:
    """Import the package and the tests again, with the mutated module among them."""
    for name in list(sys.modules):
        home = Path(getattr(sys.modules[name], "__file__", None) or "/")
        if name.split(".")[0] == "adafocal" or ROOT / "tests" in home.parents:
            del sys.modules[name]
    sys.meta_path.insert(0, _Faulty(mutant))
    tests = [item.nodeid for item in items]
    return all(pytest.main([*PLAIN, "-x", *part]) == 0 for part in (tests[:SOON], tests[SOON:]) if part)


class _Faulty(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Import one module of the package from its mutant."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname != _module_name(self._mutant):
            return None
        return importlib.util.spec_from_file_location(fullname, self._mutant.path, loader=self)

    def get_source(self, fullname: str) -> str:
        return self._mutant.code

    def get_code(self, fullname: str) -> Any:
        return self._mutant.compiled
