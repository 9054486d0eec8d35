# SPDX-License-Identifier: Apache-2.0
"""Stops a command at each of its file operations, gives it again, and compares what it leaves with an unbroken one.

    python tests/killing.py FOLDER SCENARIO ...

This process only loads modules and forks, so that a command costs no start. A scenario is JSON: ``command``, the
arguments of ``adafocal``, where ``{}`` is a folder with ``images.npz``; ``before``, commands that run once;
``signal``, by name, KILL unless given; ``every``, to leave out operations. An operation is whatever Python's audit
events tell of (open to write, rename, remove, mkdir, rmdir, truncate, lock), and start, middle and end of what
PyTorch and Arrow write without telling Python. A command ``run FOLDER`` is the training of a short run without the
command line. Prints for each scenario, as JSON, the count of operations, and sentences on what went wrong.
"""

import csv
import hashlib
import json
import os
import re
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from tensorboardX.proto import event_pb2

import adafocal.report.evaluation_page
import adafocal.report.ood_page
import adafocal.report.page
import adafocal.report.paper
import adafocal.study.execute
import adafocal.study.results
import adafocal.training.measured
import adafocal.training.ood
import adafocal.training.results
import adafocal.training.run
from adafocal.cli import main
from adafocal.recipes import RECIPES
from adafocal.workers.executor import Outcome

TOLD = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink", "fcntl.flock"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

SHORT = replace(RECIPES["digits"].config, epochs=1)
ENDS = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 128 + signal.SIGTERM, signal.SIGINT: 128 + signal.SIGINT}
WORDS = {signal.SIGKILL: "", signal.SIGTERM: "terminated; ", signal.SIGINT: "interrupted; "}


class Inline:
    """Works in this process, so that every operation of a study is seen."""

    workers = 1

    def outcomes(self, function, items):
        for index, item in enumerate(items):
            yield Outcome(index, function(item))


class Operations:
    """Counts the file operations of this process in a folder, and sends it a signal before one of them."""

    def __init__(self, folder, last, number):
        self.folder, self.last, self.number, self.count = str(folder), last, number, 0

    def watch(self):
        sys.addaudithook(self.hear)
        torch.save = self.seen(torch.save, 1)
        pq.write_table = self.seen(pq.write_table, 1)

    def hear(self, event, arguments):
        if event in TOLD and (not isinstance(arguments[0], (str, Path)) or self.folder in str(arguments[0])):
            self.step()
        elif event == "open" and isinstance(arguments[0], (str, Path)) and self.folder in str(arguments[0]):
            mode, flags = arguments[1], arguments[2] or 0
            if any(letter in (mode or "") for letter in "wax+") or flags & WRITING:
                self.step()

    def step(self):
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), self.number)

    def seen(self, write, place):
        """Stop a writer that does not open its file in Python before, in the middle of and after its work."""

        def writing(*arguments, **options):
            self.step()
            if self.count + 1 == self.last:
                write(*arguments, **options)
                os.truncate(arguments[place], os.stat(arguments[place]).st_size // 2)
            self.step()
            write(*arguments, **options)
            self.step()

        return writing


def run(command, folder, last=0, number=signal.SIGKILL):
    """Run a command in a child that gets a signal at an operation.

    Returns:
        Its exit status, negative for a signal; the count of operations; and what it wrote to standard error.
    """
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        status = 99
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(os.open(f"{folder}.stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
            torch.set_num_threads(1)
            adafocal.study.execute.local_executor = lambda *_: Inline()
            operations = Operations(folder, last, number)
            operations.watch()
            status = begin([argument.replace("{}", str(folder)) for argument in command])
            os.write(writable, str(operations.count).encode())
        finally:
            os._exit(status)
    os.close(writable)
    _, status = os.waitpid(child, 0)
    told = os.read(readable, 100)
    os.close(readable)
    return os.waitstatus_to_exitcode(status), int(told or 0), Path(f"{folder}.stderr").read_text()


def begin(command):
    if command[0] != "run":
        return main(command)
    adafocal.training.results.summarise = adafocal.training.measured.summarise = few_numbers
    adafocal.training.run.run(SHORT, command[1], progress=False)
    return 0


def few_numbers(predictions, *, n_bins):
    """Stand for the measures of a part, which cost more than everything else of a short run and write nothing."""
    error = 1.0 - float(predictions.correct.double().mean())
    return {"error": error, **dict.fromkeys(("ece", "ece_equal_mass", "nll", "overconfidence"), 0.1 * n_bins)}


def tree(folder):
    """Give what each file holds, without dates and durations."""
    return {
        re.sub(r"tfevents.*", "tfevents", str(path.relative_to(folder))): content(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "log.txt"
    }


def content(path):
    if path.name == "metrics.csv":
        with path.open() as file:
            return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    if path.suffix == ".ckpt":
        return digest(torch.load(path, weights_only=True))
    if "tfevents" in path.name:
        return events(path.read_bytes())
    data = path.read_bytes()
    if path.name == "provenance.json" or path.suffix == ".html":
        data = re.sub(rb"\d{4}-\d\d-\d\d[T ]\d\d:[\d:+]+", b"", data)
    return hashlib.sha256(data).hexdigest()


def digest(value):
    if isinstance(value, torch.Tensor):
        return hashlib.sha256(np.ascontiguousarray(value.numpy())).hexdigest()
    if isinstance(value, dict):
        return {str(key): digest(one) for key, one in value.items() if key != "seconds"}
    return [digest(one) for one in value] if isinstance(value, (list, tuple)) else repr(value)


def events(data):
    """Give step, tag and value of each scalar in a file of TensorBoard's."""
    found, place = [], 0
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 8], "little")
        event = event_pb2.Event.FromString(data[place + 12 : place + 12 + length])
        found += [(event.step, one.tag, one.simple_value) for one in event.summary.value if one.tag != "seconds"]
        place += 16 + length
    return found


def stopped_everywhere(folder, *, command, before=(), signal_name="KILL", every=1):
    work, given = folder / "work", folder / "given"
    number = signal.Signals[f"SIG{signal_name}"]

    def restore():
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(given, work)

    work.mkdir(parents=True)
    label = np.arange(160) % 3
    images = np.broadcast_to(60 * label[:, None, None, None], (160, 8, 8, 3)).astype(np.uint8)
    np.savez(work / "images.npz", image=images, label=label)
    for earlier in before:
        status, _, said = run(earlier, work)
        assert status == 0, (earlier, said)
    work.rename(given)
    restore()
    status, count, said = run(command, work)
    assert status == 0, said
    assert count > 0
    expected, problems = tree(work), []
    for last in range(1, count + 1, every):
        restore()
        status, _, said = run(command, work, last, number)
        if status != ENDS[number] or said.count("\n") > 1 or (WORDS[number] not in said):
            problems.append(f"{last}: stopped, it ended with {status} and said {said[-2000:]!r}")
        left = sorted(str(path.relative_to(work)) for path in work.rglob("*"))
        status, _, said = run(command, work)
        found = tree(work)
        others = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        if status or others:
            problems.append(
                f"{last}: again, it ended with {status} and said {said!r}; {others} differ; it found {left}"
            )
    return {"operations": count, "problems": problems}


if __name__ == "__main__":
    for place, line in enumerate(sys.argv[2:]):
        scenario = json.loads(line)
        scenario["signal_name"] = scenario.pop("signal", "KILL")
        print(json.dumps(stopped_everywhere(Path(sys.argv[1]) / str(place), **scenario)), flush=True)
