# SPDX-License-Identifier: Apache-2.0
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
import torch

from adafocal.workers import local
from adafocal.workers.executor import WorkerDiedError
from adafocal.workers.local import LocalExecutor


def work(item):
    """Do what the item says: square a number, raise, or die until a file says it was tried before."""
    kind, value = item
    if kind == "raise":
        raise ValueError(f"`value` must be lucky, got {value}.")
    if kind == "lock":
        raise OSError(f"{value} cannot be sent back", lambda: None)
    if kind == "die":
        value.write_text(value.read_text() + "x")
        if len(value.read_text()) < 2 or value.name == "always":
            os.kill(os.getpid(), signal.SIGKILL)
        return value.name
    if kind == "variable":
        return os.environ.get(value)
    if kind == "parent":
        return os.getppid()
    if kind == "threads":
        return torch.get_num_threads()
    return value**2


WAITING = """
import os, sys, time
from pathlib import Path
from adafocal.workers.local import LocalExecutor

def wait(path):
    Path(path + ".part").write_text(str(os.getpid()))
    os.rename(path + ".part", path)
    time.sleep(600)

if __name__ == "__main__":
    list(LocalExecutor(1, imports=tuple(sys.argv[2:])).outcomes(wait, [sys.argv[1]]))
"""


IMPORTS = [(), ("torch",)]  # each worker for itself; once for all


@pytest.fixture(scope="module", params=IMPORTS, ids=str)
def outcomes(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("deaths")
    (folder / "once").write_text("")
    (folder / "always").write_text("")
    items = [
        ("square", 3),
        ("raise", 13),
        ("die", folder / "once"),
        ("die", folder / "always"),
        ("lock", 1),
        ("square", 4),
    ]
    found = [
        outcome for outcome in LocalExecutor(2, imports=request.param).outcomes(work, items) if outcome is not None
    ]
    return folder, {outcome.index: outcome for outcome in found}


def test_every_item_has_one_outcome(outcomes):
    assert sorted(outcomes[1]) == [0, 1, 2, 3, 4, 5]
    assert [outcomes[1][place].value for place in (0, 5)] == [9, 16]


def test_an_error_comes_back_as_it_was_raised(outcomes):
    error = outcomes[1][1].error

    assert type(error) is ValueError
    assert str(error) == "`value` must be lucky, got 13."


def test_an_error_that_cannot_be_sent_comes_as_text(outcomes):
    assert "1 cannot be sent back" in str(outcomes[1][4].error)


def test_an_item_whose_worker_dies_is_tried_once_more_and_the_others_go_on(outcomes):
    folder, found = outcomes

    assert (found[2].value, found[2].error) == ("once", None)
    assert isinstance(found[3].error, WorkerDiedError)
    assert str(found[3].error) == "its worker process died 2 times (killed, or out of memory)"
    assert (folder / "always").read_text() == "xx"


def test_no_items_are_no_work():
    assert list(LocalExecutor(2).outcomes(work, [])) == []


@pytest.mark.parametrize(("bound", "threads"), [("1", 1), ("many", os.cpu_count()), ("", os.cpu_count())])
@pytest.mark.parametrize("imports", IMPORTS, ids=str)
def test_a_worker_takes_no_more_threads_than_the_environment_allows(monkeypatch, bound, threads, imports):
    monkeypatch.setenv("OMP_NUM_THREADS", bound)

    executor = LocalExecutor(1, imports=imports)
    [outcome] = [outcome for outcome in executor.outcomes(work, [("threads", None)]) if outcome is not None]

    assert outcome.value == threads


@pytest.mark.parametrize("imports", IMPORTS, ids=str)
def test_a_worker_has_the_variables_of_now(monkeypatch, imports):
    found = []
    for value in ("first", "second"):
        monkeypatch.setenv("OF_NOW", value)
        found += [
            one.value for one in LocalExecutor(1, imports=imports).outcomes(work, [("variable", "OF_NOW")]) if one
        ]

    assert found == ["first", "second"]


@pytest.mark.skipif(local.METHOD == "spawn", reason="this system cannot fork in safety")
def test_what_workers_need_is_imported_once_and_before_they_are_told_a_device_never(monkeypatch):
    once = LocalExecutor(2, imports=("torch",)).outcomes(work, [("parent", None), ("parent", None)])
    each = LocalExecutor(2, n_devices=2, imports=("torch",)).outcomes(work, [("parent", None)])

    assert {one.value == os.getpid() for one in once if one} == {False}
    assert [one.value for one in each if one] == [os.getpid()]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("imports", IMPORTS, ids=str)
def test_workers_end_with_a_parent_that_is_killed(tmp_path, how, imports):
    (tmp_path / "waiting.py").write_text(WAITING)
    parent = subprocess.Popen([sys.executable, str(tmp_path / "waiting.py"), str(tmp_path / "pid"), *imports])
    _until((tmp_path / "pid").exists)
    worker = int((tmp_path / "pid").read_text())

    parent.send_signal(how)
    parent.wait()

    _until(lambda: not _alive(worker))


def _until(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    pytest.fail("it did not happen within a minute")


def _alive(process):
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


ENDING = """
import atexit, sys, time
from adafocal.workers.local import LocalExecutor

def work(item):
    atexit.register(time.sleep, 0.5)

if __name__ == "__main__":
    imports = tuple(sys.argv[1:])
    print(len([outcome for outcome in LocalExecutor(2, imports=imports).outcomes(work, [1, 2]) if outcome]))
"""


@pytest.mark.parametrize("imports", IMPORTS, ids=str)
def test_workers_that_are_told_to_end_while_they_end_say_nothing(tmp_path, imports):
    (tmp_path / "ending.py").write_text(ENDING)
    line = [sys.executable, tmp_path / "ending.py", *imports]
    ended = subprocess.run(line, capture_output=True, text=True, check=True)

    assert (ended.stdout, ended.stderr) == ("2\n", "")
