# SPDX-License-Identifier: Apache-2.0
import shutil

import numpy as np
import pytest
import torch

from adafocal.cli import main
from adafocal.data import DataConfig
from adafocal.predictions import Predictions
from adafocal.training.config import TrainConfig
from adafocal.training.predict import load_classifier, predict_with
from adafocal.training.run import run


def images(n, n_classes, seed):
    """Squares whose brightness tells the class."""
    generator = np.random.default_rng(seed)
    label = generator.integers(n_classes, size=n)
    image = generator.integers(0, 40, size=(n, 8, 8)) + 60 * label[:, None, None]
    return {"image": image.clip(0, 255).astype(np.uint8), "label": label}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    place = tmp_path_factory.mktemp("data")
    (place / "squares").mkdir()
    np.savez(place / "squares/train.npz", **images(200, 3, 0))
    np.savez(place / "squares/test.npz", **images(80, 3, 1))
    (place / "letters").mkdir()
    np.savez(place / "letters/test.npz", **images(30, 5, 2))
    data = DataConfig(name="squares", path=str(place / "squares"), validation_size=50)
    folder = place / "run"
    run(TrainConfig(data=data, model="mlp", model_args={"width": 16}, epochs=3), folder, progress=False)
    return place, folder


def test_the_test_part_gives_the_predictions_of_the_run(trained):
    _, folder = trained
    again, first = predict_with(folder), Predictions.load(folder / "test.parquet")

    torch.testing.assert_close(again.logits, first.logits)
    assert torch.equal(again.labels, first.labels)
    assert again.features is None


def test_features_are_the_penultimate_layer_in_the_same_order(trained):
    _, folder = trained
    predictions = predict_with(folder, part="train", features=True)
    head = load_classifier(folder).model.head

    assert predictions.features.shape == (150, 16)
    torch.testing.assert_close(head(predictions.features).detach(), predictions.logits)


def test_other_data_with_the_same_classes_keep_their_labels(trained):
    place, folder = trained
    data = DataConfig(name="other", path=str(place / "squares"))
    other = predict_with(folder, data=data, part="test")
    labels = np.load(place / "squares/test.npz")["label"]

    assert other.labels.tolist() == labels.tolist()
    by_label = Predictions.load(folder / "test.parquet")
    assert sorted(other.confidence.tolist()) == pytest.approx(sorted(by_label.confidence.tolist()), abs=1e-6)


def test_other_data_with_other_classes_get_label_0(trained):
    place, folder = trained
    other = predict_with(folder, data=DataConfig(name="letters", path=str(place / "letters")))

    assert (other.n, other.n_classes) == (30, 3)
    assert other.labels.eq(0).all()


def test_corruption_changes_the_predictions_and_severity_how_much(trained):
    _, folder = trained
    clean = predict_with(folder)
    shifts = [
        float((predict_with(folder, corruption="contrast", severity=severity).logits - clean.logits).abs().mean())
        for severity in (1, 5)
    ]

    assert 0 < shifts[0] < shifts[1]


def test_the_command_writes_a_file_that_ood_reads(trained, tmp_path, capsys):
    place, folder = trained
    out = str(tmp_path / "letters.parquet")
    assert main(["predict", str(folder), "--path", str(place / "letters"), "--features", "true", "-o", out]) == 0
    assert "30 predictions in" in capsys.readouterr().out
    assert main(["ood", "--id", str(folder / "test.parquet"), "--ood", out]) == 0
    assert "AUROC" in capsys.readouterr().out


def test_mistakes_end_in_one_sentence(trained, rejects, tmp_path):
    _, folder = trained
    with rejects(ValueError, "`part` must be one of train, validation, test, got 'tset': did you mean 'test'?"):
        predict_with(folder, part="tset")
    with rejects(ValueError, f"`run_dir` must hold a finished run, got {str(tmp_path)!r}."):
        predict_with(tmp_path)
    with rejects(ValueError, "`data.name` must be a data set that is read from files, got 'digits'."):
        predict_with(folder, data=DataConfig(name="digits"))


def test_a_checkpoint_of_another_model_is_refused(trained, tmp_path):
    _, folder = trained
    copy = tmp_path / "run"
    shutil.copytree(folder, copy)
    settings = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(settings.replace("width: 16", "width: 8"))

    with pytest.raises(ValueError, match="must be a checkpoint of this run, with "):
        predict_with(copy)


def photos(folder, places, size=8):
    from PIL import Image

    generator = np.random.default_rng(5)
    for place in places:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 255, (size, size), dtype=np.uint8)).save(folder / place)


def test_a_folder_of_images_without_classes_is_predicted_by_name(trained, tmp_path, capsys):
    _, folder = trained
    places = ["b.png", "a.png", "deep/c.png", "deep/er/d.png"]
    photos(tmp_path / "photos", places)
    for suffix in (".csv", ".parquet", ".npz"):
        out = tmp_path / f"out{suffix}"
        assert main(["predict", str(folder), "--path", str(tmp_path / "photos"), "-o", str(out)]) == 0
        predictions = Predictions.load(out)
        assert (predictions.labelled, predictions.n) == (False, 4)
        with pytest.raises(ValueError, match="`labels` must be given"):
            _ = predictions.labels
    import pyarrow.parquet as pq

    assert pq.read_table(tmp_path / "out.parquet")["file"].to_pylist() == sorted(places)
    assert [line.split(",")[0] for line in (tmp_path / "out.csv").read_text().splitlines()] == ["file", *sorted(places)]
    assert main(["evaluate", str(tmp_path / "out.csv")]) == 2
    assert "columns must include either `label` or `labels`" in capsys.readouterr().err


def test_images_without_classes_are_no_data_to_train_on(trained, tmp_path, capsys):
    photos(tmp_path / "photos", ["a.png", "0/b.png", "1/c.png"])
    options = ["--data.name", "mine", "--data.path", str(tmp_path / "photos"), "--data.train_size", "null"]

    assert main(["train", *options, "--run_dir", str(tmp_path / "run")]) == 2
    sentence = "Labels must be names or class indices >= 0, got none in any part: images lie in one folder per class."
    assert sentence in capsys.readouterr().err


def test_a_run_on_scaled_digits_takes_images_in_the_same_range(tmp_path):
    assert (
        main(["train", "--epochs", "1", "--data.noise", "0", "--progress", "false", "--run_dir", str(tmp_path / "run")])
        == 0
    )
    held = load_classifier(tmp_path / "run").splits
    mean, deviation = held.normalised_by
    images = (255 * (held.test.inputs[:20, 0] * deviation + mean)).round().byte().numpy()
    (tmp_path / "digits").mkdir()
    np.savez(tmp_path / "digits" / "test.npz", image=images, label=held.test.labels[:20].numpy())
    data = DataConfig(name="other", path=str(tmp_path / "digits"))

    found = predict_with(tmp_path / "run", data=data, part="test")
    torch.testing.assert_close(found.logits, predict_with(tmp_path / "run").logits[:20], atol=0.02, rtol=0.02)
