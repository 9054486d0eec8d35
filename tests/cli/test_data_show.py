# SPDX-License-Identifier: Apache-2.0
"""`adafocal data show`: what would be trained on is said before anyone trains, and nothing is trained."""

import re
import subprocess
import sys

import numpy as np
import pytest

from adafocal.cli import main
from data.own_sets import measured, photos, spoken, write_table


def show(capsys, *arguments, status=0):
    assert main(["data", *map(str, arguments)]) == status
    found = capsys.readouterr()
    return found.out if status == 0 else found.err


def line(text, name):
    return next(one.removeprefix(name).strip() for one in text.splitlines() if one.startswith(name))


def test_a_folder_of_photos_is_told_and_drawn(tmp_path, capsys):
    folder = photos(tmp_path / "insects", ("ants", "bees"))
    (folder / "wasps").mkdir()
    page = tmp_path / "page.html"
    out = show(capsys, "show", folder, "--data.image_size", 8, "--seed", 3, "-o", page)

    assert line(out, "data") == f"insects, images in {folder}"
    assert line(out, "a sample") == "8 x 8 pixels, colour, scaled to 8 x 8"
    assert line(out, "normalised").endswith("of pixels from 0 to 1; not augmented")
    assert line(out, "parts") == "train 28, validation 4, test 8; drawn from all rows, seed 3"
    assert line(out, "to be trained") == "insects, Small CNN"
    assert line(out, "note") == "Folders without images, which are no classes: wasps"
    rows = [re.findall(r"\w+", one) for one in out.splitlines() if re.search(r"ants|bees", one) and "│" in one]
    assert rows == [["ants", "14", "2", "4"], ["bees", "14", "2", "4"]]
    html = page.read_text(encoding="utf-8")
    assert html.count("data:image/png;base64,") == 12
    assert "Folders without images, which are no classes: wasps" in html
    assert "http" not in re.sub(r"<meta[^>]*>", "", html)
    assert not (tmp_path / "runs").exists()


def test_the_flags_are_those_of_train(tmp_path, capsys):
    path = write_table(tmp_path / "wine.csv", {**measured(), "fold": (["train"] * 7 + ["val", "test", "test"]) * 6})
    page = tmp_path / "page.html"
    out = show(capsys, "show", "--data.path", path, "--data.split_column", "fold", "-o", page)

    assert line(out, "a sample") == "2 numbers, and 1 columns of categories, one-hot: 5 inputs"
    assert line(out, "parts") == "train 42, validation 6, test 12; as the data come by column fold"
    assert "width" in page.read_text(encoding="utf-8")
    assert "nothing" not in show(capsys, "show", "--recipe", "digits")
    assert "`data.length` must be left out for numbers, got 9." in show(
        capsys, "show", path, "--data.length", 9, "--data.split_column", "fold", status=2
    )


def test_texts_and_volumes_and_noisy_digits_are_told(tmp_path, capsys):
    out = show(
        capsys, "show", write_table(tmp_path / "t.jsonl", spoken()), "--data.length", 5, "-o", tmp_path / "t.html"
    )
    assert line(out, "a sample").startswith("5 words, cut or padded, of a vocabulary of ")
    assert "good" in (tmp_path / "t.html").read_text(encoding="utf-8")

    cube = np.random.default_rng(0).integers(0, 9, (8, 4, 4, 4), dtype=np.uint8)
    held = {f"c{n}_{kind}": cube[n] % (9 if kind == "image" else 2) for n in range(8) for kind in ("image", "label")}
    np.savez(tmp_path / "v.npz", names=np.array([f"c{n}" for n in range(8)]), **held)
    out = show(capsys, "show", tmp_path / "v.npz", "-o", tmp_path / "v.html")
    assert line(out, "a sample") == "16 x 16 x 16 voxels, channels: 1"
    assert "2 classes, voxels" in out
    assert "data:image/png;base64," in (tmp_path / "v.html").read_text(encoding="utf-8")

    out = show(capsys, "show")
    assert line(out, "data") == "digits, images of scikit-learn"
    assert line(out, "noise") == "deviation 0.4 of values from 0 to 1, added once"


def test_names_from_data_steer_neither_terminal_nor_page(tmp_path, capsys):
    columns = {**spoken(), "label": ["<script>alert(1)</script>", "b\x1b[2J\u202e"] * 30}
    page = tmp_path / "page.html"
    out = show(capsys, "show", write_table(tmp_path / "t.csv", columns), "-o", page)

    assert "\x1b[2J" not in out
    assert "\u202e" not in out
    html = page.read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "\u202e" not in html


def test_what_is_no_show_is_one_sentence_and_nothing_is_the_help(capsys):
    assert "`COMMAND` must be one of 'show', got 'shw': did you mean 'show'?" in show(capsys, "shw", status=2)
    with pytest.raises(SystemExit):
        main(["data"])
    assert "--data.path" in capsys.readouterr().out


def test_an_output_that_cannot_be_is_refused_before_anything_is_read(tmp_path, capsys):
    assert "`output` must name a file" in show(capsys, "show", photos(tmp_path / "p"), "-o", tmp_path, status=2)
    assert "which is not there" in show(capsys, "show", tmp_path / "nothing", status=2)


def test_it_loads_no_training_engine(tmp_path):
    path = write_table(tmp_path / "t.csv", spoken())
    code = (
        "import sys; from adafocal.cli import main; assert main(['data', 'show', sys.argv[1]]) == 0; "
        "slow = ('pytorch_lightning', 'lightning', 'transformers', 'matplotlib'); "
        "found = [name for name in slow if name in sys.modules]; "
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True)


@pytest.mark.parametrize("name", ["cifar10", "digits", "imagenet", "os:system"])
def test_a_folder_that_is_called_like_other_data_or_code_is_ones_own(name, tmp_path, capsys):
    out = show(capsys, "show", photos(tmp_path / name))

    assert line(out, "parts") == "train 28, validation 4, test 8; drawn from all rows, seed 0"
    assert line(out, "to be trained") == f"{'os_system' if ':' in name else f'own {name}'}, Small CNN"


def test_what_was_left_out_is_said_by_the_run_and_on_its_page(tmp_path, capsys):
    folder = photos(tmp_path / "insects")
    (folder / "wasps").mkdir()
    line_of = ["train", "--data.path", str(folder), "--epochs", "1", "--progress", "false"]
    assert main([*line_of, "--run_dir", str(tmp_path / "run")]) == 0

    note = "Folders without images, which are no classes: wasps"
    assert line(capsys.readouterr().out, "note on the data") == note
    assert f"{note}." in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert '"ants"' in (tmp_path / "run" / "summary.json").read_text(encoding="utf-8")


def test_a_run_on_numbers_shows_its_mistakes_as_rows_and_predicts_other_tables(tmp_path, capsys):
    columns = measured(200)
    columns["label"] = [label if row % 5 else "left" for row, label in enumerate(columns["label"])]
    path = write_table(tmp_path / "d.csv", columns)
    assert (
        main(
            [
                "train",
                "--data.path",
                str(path),
                "--epochs",
                "2",
                "--progress",
                "false",
                "--run_dir",
                str(tmp_path / "run"),
            ]
        )
        == 0
    )
    assert '"text": "width ' in (tmp_path / "run" / "examples.json").read_text(encoding="utf-8")

    turned = {name: columns[name][:10] for name in ("colour", "label", "height", "width")} | {"more": [1] * 10}
    other = write_table(tmp_path / "other.parquet", turned)
    for out, source in (
        ("a", write_table(tmp_path / "first.csv", {k: v[:10] for k, v in columns.items()})),
        ("b", other),
    ):
        assert main(["predict", str(tmp_path / "run"), "--path", str(source), "-o", str(tmp_path / f"{out}.csv")]) == 0
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    del turned["height"]
    capsys.readouterr()
    gone = write_table(tmp_path / "gone.csv", turned)
    assert main(["predict", str(tmp_path / "run"), "--path", str(gone), "-o", str(tmp_path / "c.csv")]) == 2
    assert "`data.feature_columns` must name columns of the data, got height for columns" in capsys.readouterr().err
