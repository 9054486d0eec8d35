# SPDX-License-Identifier: Apache-2.0
"""Damaged files of run and study folders end in one sentence that names the file, whoever reads them."""

import json
import shutil

import pytest
import yaml

from adafocal import cli

READ_BY = {
    "config.yaml": ("train", "predict", "report", "compare", "ood"),
    "provenance.json": ("report",),
    "metrics.csv": ("report",),
    "summary.json": ("train", "report", "compare"),
    "examples.json": ("report",),
    "splits.npz": ("compare",),
    "test.parquet": ("report", "compare"),
}
RAW = {
    "empty": b"",
    "cut": None,
    "no text": b"\xff\xfe\x00\x01" * 30,
    "zeros": bytes(200),
    "a list": b"[1, 2]\n",
    "a tag": b"loss: !!python/name:os.system\n",
    "deep": b"[" * 100_000,
    "text": b'"text"',
    "one brace": b"{",
    "no keys": b"{}",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records") / "run"
    assert cli.main(["train", "--epochs", "1", "--run_dir", str(folder), "--progress", "false"]) == 0
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def commands(folder, whole):
    return {
        "train": ["train", "--epochs", "1", "--run_dir", folder, "--progress", "false"],
        "predict": ["predict", folder, "-o", folder.parent / "p.csv"],
        "report": ["report", folder],
        "compare": ["study", "--compare", whole, folder, "--study_dir", folder.parent / "both"],
        "ood": ["ood", "--run", folder, "--pair", "cifar10-svhn"],
    }


# The files have one reader: all kinds of damage are shown to the first command, two of them to the others.
@pytest.mark.parametrize(
    ("name", "reader", "kinds"),
    [
        (name, reader, tuple(RAW) if place == 0 else ("cut", "zeros"))
        for name, readers in READ_BY.items()
        for place, reader in enumerate(readers)
    ],
    ids=lambda one: one if isinstance(one, str) else str(len(one)),
)
def test_a_damaged_file_is_named_in_one_sentence(name, reader, kinds, folder, trained, capsys):
    whole = (folder / name).read_bytes()
    capsys.readouterr()
    for kind in kinds:
        content = RAW[kind]
        (folder / name).write_bytes(whole[: len(whole) // 2 - 3] if content is None else content)
        status = cli.main([str(part) for part in commands(folder, trained)[reader]])
        said = capsys.readouterr().err

        assert "a fault of adafocal" not in said, (kind, said)
        if name == "metrics.csv" and kind not in ("cut", "no text"):
            continue  # a table without epochs
        assert status == 2, (kind, said)
        assert said.count("\n") == 1, (kind, said)
        assert repr(str(folder))[1:-1] in said, (kind, said)


def altered(value, path, new):
    *places, last = path
    for place in places:
        value = value[place]
    if new is KeyError:
        del value[last]
    else:
        value[last] = new


@pytest.mark.parametrize(
    ("name", "path", "new"),
    [
        ("config.yaml", ["loss"], KeyError),
        ("config.yaml", ["loss"], 3),
        ("config.yaml", ["data"], None),
        ("config.yaml", ["data", "name"], KeyError),
        ("config.yaml", ["n_bins"], "many"),
        ("config.yaml", ["n_bins"], True),
        ("config.yaml", ["seed"], 1.5),
        ("config.yaml", ["loss_args"], [1]),
        ("summary.json", ["temperature"], KeyError),
        ("summary.json", ["temperature"], "warm"),
        ("summary.json", ["temperature"], -1.0),
        ("summary.json", ["class_names"], "abc"),
        ("summary.json", ["test"], []),
        ("summary.json", ["test", "ece"], "low"),
        ("summary.json", ["sizes", "train"], None),
        ("provenance.json", ["command"], "train"),
        ("examples.json", ["examples", 0, "row"], "first"),
        ("examples.json", ["mistakes"], KeyError),
        ("config.yaml", ["n_bins"], -5),
        ("summary.json", ["test", "ece_equal_mass"], KeyError),
        ("summary.json", ["class_names"], []),
        ("summary.json", ["class_names"], ["one"]),
        ("config.yaml", ["epochs"], KeyError),
    ],
)
def test_a_wrong_or_missing_value_is_named(name, path, new, folder, capsys):
    load, dump = (json.loads, json.dumps) if name.endswith("json") else (yaml.safe_load, yaml.safe_dump)
    record = load((folder / name).read_text())
    altered(record, path, new)
    (folder / name).write_text(dump(record))
    capsys.readouterr()

    assert cli.main(["report", str(folder)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("path", "new"),
    [
        (["experiments"], []),
        (["experiments", 0, "losses"], []),
        (["experiments", 0, "losses", 0, "runs"], []),
        (["experiments", 0, "losses", 0, "runs", 0, "folder"], 3),
        (["experiments", 0, "losses", 0, "metrics", "ece", "mean"], KeyError),
        (["experiments", 0, "losses", 0, "versus_baseline"], None),
        (["experiments", 0, "title"], KeyError),
        (["baseline"], None),
        (["ranks"], {"ece": {"losses": []}}),
        (["ranks"], {"ece": 1}),
        (["failures"], [{}]),
        (["notes"], "none"),
    ],
)
@pytest.mark.parametrize("reader", ["report", "compare"])
def test_a_comparison_of_another_shape_is_named(reader, path, new, study_folder, trained, tmp_path, capsys):
    folder = tmp_path / "study"
    shutil.copytree(study_folder, folder)
    record = json.loads((folder / "comparison.json").read_text())
    if path == ["ranks"] and reader == "compare":
        return  # which compares anew
    altered(record, path, new)
    (folder / "comparison.json").write_text(json.dumps(record))
    capsys.readouterr()

    assert cli.main([str(part) for part in commands(folder, trained)[reader]]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(folder / "comparison.json") in said
