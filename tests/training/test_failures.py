# SPDX-License-Identifier: Apache-2.0
"""Full disks, folders that cannot be written, and checkpoints that are damaged, foreign or hostile."""

import os
import pickle
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from adafocal.recipes import RECIPES
from adafocal.training.checkpoints import AtomicCheckpointIO, read_checkpoint
from adafocal.training.predict import predict_with
from adafocal.training.run import build, run

SHORT = replace(RECIPES["digits"].config, epochs=2, logger="none")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    run(SHORT, folder, progress=False)
    return folder


@pytest.fixture
def unfinished(trained, tmp_path):
    """A run that was cut short after its last checkpoint."""
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    (folder / "summary.json").unlink()
    return folder


class Hostile:
    """Runs code where it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (open, (str(self.trace), "w"))


DAMAGED = (
    "must be a checkpoint of this run, got a file that is damaged or holds more than tensors and numbers; nothing of "
    "it was run."
)


def test_a_checkpoint_with_code_is_refused_and_the_code_does_not_run(unfinished, tmp_path, rejects):
    last = unfinished / "checkpoints/last.ckpt"
    for write in (lambda: torch.save({"state_dict": Hostile(tmp_path / "trace")}, last), lambda: last.write_bytes(
        pickle.dumps(Hostile(tmp_path / "trace"))
    )):  # fmt: skip
        write()
        with rejects(ValueError, f"{str(last)!r} {DAMAGED}"):
            run(SHORT, unfinished, progress=False)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("keep", [0, 100, 5_000])
def test_a_damaged_checkpoint_is_refused_when_a_run_goes_on_and_when_it_predicts(keep, unfinished, trained, rejects):
    last = unfinished / "checkpoints/last.ckpt"
    last.write_bytes(last.read_bytes()[:keep])
    with rejects(ValueError, f"{str(last)!r} {DAMAGED}"):
        run(SHORT, unfinished, progress=False)
    shutil.copy(trained / "summary.json", unfinished)
    with rejects(ValueError, f"{str(last)!r} {DAMAGED}"):
        predict_with(unfinished)


def test_a_checkpoint_of_another_number_of_classes_or_bins_is_refused(unfinished, rejects):
    last = unfinished / "checkpoints/last.ckpt"
    checkpoint = torch.load(last, weights_only=True)
    checkpoint["state_dict"]["model.head.weight"] = torch.zeros(7, 64)
    torch.save(checkpoint, last)
    expected = tuple(build(SHORT).model.head.weight.shape)
    with rejects(
        ValueError,
        f"{str(last)!r} must be a checkpoint of this run, with model.head.weight of shape {expected}, got (7, 64).",
    ):
        run(SHORT, unfinished, progress=False)


def test_a_checkpoint_of_another_loss_or_without_weights_is_refused(tmp_path, rejects):
    path, classifier = tmp_path / "last.ckpt", build(SHORT)
    state = classifier.state_dict()
    for content, reason in (
        ({"state_dict": {**state, "loss.count": torch.zeros(3)}}, "got one with loss.count."),
        ({"state_dict": {k: v for k, v in state.items() if k != "loss.gamma"}}, "got one without loss.gamma."),
        ({"weights": state}, "got a file without `state_dict`."),
        ([1, 2], "got a file without `state_dict`."),
    ):
        torch.save(content, path)
        with rejects(ValueError, f"{str(path)!r} must be a checkpoint of this run, {reason}"):
            read_checkpoint(path, classifier)


FULL = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import torch
from adafocal.training.checkpoints import AtomicCheckpointIO
path = Path(sys.argv[1])
AtomicCheckpointIO().save_checkpoint({"state_dict": torch.zeros(10)}, path)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    AtomicCheckpointIO().save_checkpoint({"state_dict": torch.zeros(1_000_000)}, path)
except OSError as error:
    print(error)
print(torch.load(path, weights_only=True)["state_dict"].shape, sorted(entry.name for entry in path.parent.iterdir()))
"""


def test_a_full_disk_ends_in_a_sentence_and_never_costs_the_checkpoint_before(tmp_path):
    path = tmp_path / "last.ckpt"
    done = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True, check=True)
    sentence, kept = done.stdout.splitlines()

    assert re.fullmatch(
        rf"The checkpoint '{path}' could not be written \(.+\); an earlier one is as it was, and the same command goes "
        r"on from there\.",
        sentence,
    )
    assert kept == "torch.Size([10]) ['last.ckpt']"


def test_a_full_disk_in_mid_training_leaves_a_run_that_goes_on(tmp_path, monkeypatch):
    save, calls = AtomicCheckpointIO.save_checkpoint, []

    def failing(self, checkpoint, path, storage_options=None):
        calls.append(path)
        if len(calls) > 3:
            raise OSError(28, "No space left on device", str(path))
        save(self, checkpoint, path, storage_options)

    config = replace(SHORT, epochs=4)
    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", failing)
    with pytest.raises(OSError, match="No space left"):
        run(config, tmp_path / "run", progress=False)
    monkeypatch.undo()

    assert run(config, tmp_path / "run", progress=False) == run(config, tmp_path / "whole", progress=False)


@pytest.mark.skipif(not hasattr(os, "setuid") or os.getuid() != 0, reason="needs root, to become somebody else")
def test_a_read_only_folder_ends_in_one_sentence(tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(0o555)
    for parent in tmp_path.parents[:3]:
        parent.chmod(0o755)
    tmp_path.chmod(0o755)
    # A run before everything is imported: the other user may not be allowed to read this environment.
    code = (
        "import os, sys; from adafocal.cli import main; *train, place = sys.argv[1:]; "
        "main([*train, place + '/run']); os.setuid(65534); sys.exit(main([*train, place + '/closed/run']))"
    )
    options = ["--epochs", "1", "--logger", "none", "--progress", "false"]
    command = [sys.executable, "-c", code, "train", *options, "--run_dir", str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )

    assert done.returncode == 2
    # What other libraries say at the end, who cannot remove what they made as root, is theirs.
    before, said, _ = done.stderr.partition(f"adafocal train: Permission denied: {str(folder / 'run')!r}.\n")
    assert said, done.stderr
    assert "Traceback" not in before


def records_of(path):
    with zipfile.ZipFile(path) as archive:
        return [(entry.header_offset, entry.file_size, entry.filename) for entry in archive.infolist()]


@pytest.mark.parametrize("select", ["last", "best"])
def test_a_flipped_byte_anywhere_in_a_record_of_a_checkpoint_is_seen_before_it_is_used(select, unfinished, rejects):
    path = unfinished / f"checkpoints/{select}.ckpt"
    whole = path.read_bytes()
    for offset, size, name in records_of(path):
        start = whole.index(name.encode(), offset) + len(name)
        start += int.from_bytes(whole[offset + 28 : offset + 30], "little")  # padding, so that tensors are aligned
        for place in {start, start + size // 2, start + size - 1} if size else ():
            damaged = bytearray(whole)
            damaged[place] ^= 1
            path.write_bytes(damaged)
            with rejects(ValueError, f"{str(path)!r} {DAMAGED}"):
                AtomicCheckpointIO().load_checkpoint(path)
    damaged = bytearray(whole)
    damaged[len(whole) // 2 : len(whole) // 2 + 4096] = bytes(4096)
    path.write_bytes(damaged)

    with rejects(ValueError, f"{str(path)!r} {DAMAGED}"):
        read_checkpoint(path, build(SHORT))


def test_damaged_weights_of_the_best_epoch_are_seen_before_results_are_made_with_them(tmp_path, monkeypatch):
    config = replace(SHORT, epochs=1, select="best")
    save = AtomicCheckpointIO.save_checkpoint

    def damaging(self, checkpoint, path, storage_options=None):
        save(self, checkpoint, path, storage_options)
        if str(path).endswith("best.ckpt"):
            content = bytearray(Path(path).read_bytes())
            offset, size, _ = max(records_of(path), key=lambda record: record[1])
            content[offset + size // 2] ^= 1
            Path(path).write_bytes(content)

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", damaging)
    with pytest.raises(ValueError, match="damaged"):
        run(config, tmp_path / "run", progress=False)
    assert not (tmp_path / "run/test.parquet").exists()


def test_weights_that_are_not_finite_or_of_another_kind_or_no_tensors_are_refused(tmp_path, rejects):
    path, classifier = tmp_path / "last.ckpt", build(SHORT)
    name, weight = "model.head.weight", classifier.state_dict()["model.head.weight"]
    for value, reason in (
        (weight.clone().fill_(float("nan")), f"with finite {name}, got NaN or infinity: the training that wrote it "
         "diverged"),
        (weight.long(), f"with {name} of dtype torch.float32, got torch.int64"),
        ([1.0], f"with a tensor {name}, got list"),
    ):  # fmt: skip
        torch.save({"state_dict": {**classifier.state_dict(), name: value}}, path)
        with rejects(ValueError, f"{str(path)!r} must be a checkpoint of this run, {reason}."):
            read_checkpoint(path, classifier)
    torch.save({"state_dict": {**classifier.state_dict(), name: weight.bfloat16()}}, path)
    read_checkpoint(path, classifier)


def test_weights_alone_are_not_enough_to_go_on_from(unfinished, rejects):
    last = unfinished / "checkpoints/last.ckpt"
    shutil.copy(unfinished / "checkpoints/best.ckpt", last)
    with rejects(
        ValueError,
        f"{str(last)!r} must be a checkpoint of this run that training can go on from, got one without "
        "`optimizer_states`.",
    ):
        run(SHORT, unfinished, progress=False)
