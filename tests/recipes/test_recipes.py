# SPDX-License-Identifier: Apache-2.0
"""Every recipe takes two steps on small synthetic data, with its own loss settings, optimiser and transform."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch

from adafocal.data import DATASETS, load_splits
from adafocal.losses import LOSSES, AdaFocalLoss, make_loss
from adafocal.models import MODELS, make_model
from adafocal.predictions import Predictions
from adafocal.recipes import RECIPES, LossSettings, Recipe, get_recipe
from adafocal.scaling import fit_temperature
from adafocal.training.batches import TensorBatches
from adafocal.training.config import from_plain, plain
from adafocal.training.optimizers import make_optimizer
from adafocal.training.run import run

PUBLISHED = [name for name, recipe in RECIPES.items() if not recipe.neutral]
FULL = [name for name in PUBLISHED if not name.endswith("-short") and name != "digits"]
SMALL = {
    "resnet50": {"width": 2},
    "resnet110": {"width": 1},
    "wide_resnet": {"widen": 1},
    "densenet121": {"growth": 2},
    "text_cnn": {"width": 4, "embedding_size": 4},
    "mlp": {},
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Three classes of coloured noise, 32 x 32."""
    folder = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    for part, n in (("train", 36), ("test", 24), ("valid", 24)):
        labels = np.arange(n) % 3
        pixels = generator.integers(0, 120, (n, 32, 32, 3)) + 120 * np.eye(3, dtype=int)[labels][:, None, None, :]
        np.savez(folder / f"{part}.npz", image=pixels.astype(np.uint8), label=labels)
    (folder / "valid.npz").rename(folder / "validation.npz")
    return folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    labels = [row % 3 for row in range(60)]
    written = [f"From: x\n\nabout {('cats', 'dogs', 'trees')[label]} and so on" for label in labels]
    pyarrow.parquet.write_table(pyarrow.table({"text": written, "label": labels}), folder / "train-0.parquet")
    return folder


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """Twelve volumes of noise around a bright box of two classes."""
    pytest.importorskip("monai")
    file, arrays = tmp_path_factory.mktemp("volumes") / "boxes.npz", {"names": [f"box_{row}" for row in range(12)]}
    generator = np.random.default_rng(0)
    for row in range(12):
        label = np.zeros((13 + row % 3, 15, 16), dtype=np.uint8)
        label[3:9, 2:7, 4:12], label[3:9, 7:12, 4:12] = 1, 2
        image = (generator.integers(0, 100, label.shape) + 60 * label).astype(np.uint8)
        arrays |= {f"box_{row}_image": image, f"box_{row}_label": label}
    np.savez(file, **arrays)
    return file


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "about", "cats", "dogs", "trees", "and", "so", "on"]
    (folder / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = transformers.BertConfig(vocab_size=len(words), **sizes, max_position_embeddings=64)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def small(images, texts, request):
    """Cut the settings of a recipe down to a machine's instant, leaving loss, optimiser and schedule alone."""

    def cut(config):
        data = config.data
        if data.name == "digits":
            return config
        if config.model == "unet3d":
            sizes = {"train_size": 6, "validation_size": 3, "test_size": 3, "volume_size": (16, 16, 16)}
            data = replace(data, path=str(request.getfixturevalue("volumes")), **sizes)
            return replace(config, data=data, batch_size=3, model_args={**config.model_args, "width": 2})
        sizes = {"train_size": 24, "validation_size": 12, "test_size": 12}
        path = texts if data.name.startswith("20newsgroups") else images
        length = None if path == images else 24
        data = replace(data, path=str(path), image_size=32 if path == images else None, length=length, **sizes)
        if config.model == "timm":  # not installed where these tests run
            return replace(config, data=data, batch_size=12, model="small_cnn", model_args={})
        if config.model != "transformer":
            fixed = {name: value for name, value in config.model_args.items() if name in ("stem", "pool")}
            return replace(config, data=data, batch_size=12, model_args=fixed | SMALL[config.model])
        folder = request.getfixturevalue("bert")
        return replace(config, data=replace(data, tokenizer=folder), batch_size=12, model_args={"name": folder})

    return cut


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_takes_two_steps_and_adapts(name, small):
    config = small(get_recipe(name).config)
    splits = load_splits(config.data, seed=0)
    model = make_model(
        config.model,
        config.model_args,
        input_shape=splits.train.inputs.shape[1:],
        n_classes=splits.n_classes,
        vocabulary=splits.vocabulary,
    )
    criterion = make_loss(config.loss, config.loss_args)
    optimizer = make_optimizer(config.optimizer, model)
    before = [parameter.clone() for parameter in model.parameters()]
    transform = splits.transform or (lambda inputs, training=False: inputs)
    for inputs, labels in islice(TensorBatches(splits.train, config.batch_size, shuffle_seed=0), 2):
        optimizer.zero_grad()
        loss = criterion(model(transform(inputs, training=True)), labels)
        loss.backward()
        if config.optimizer.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.clip_norm, error_if_nonfinite=True)
        optimizer.step()
        assert bool(torch.isfinite(loss))
    moved = [not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)]

    assert sum(moved) > 0.9 * len(moved)
    if isinstance(criterion, AdaFocalLoss):
        model.eval()
        n_observed = 0
        with torch.no_grad():
            for inputs, labels in TensorBatches(splits.validation, 12):
                criterion.observe(model(transform(inputs)), labels)
                found = model(transform(inputs)).argmax(1) != criterion.ignore_predicted
                n_observed += int((found & (labels != -100)).sum()) if splits.dense else len(labels)
        assert criterion.adapt().count.sum() == n_observed
        assert criterion.gamma.ne(1.0).any() == (n_observed > 0)


@pytest.mark.parametrize(
    "name", ["imagenet-resnet50", "20newsgroups-text_cnn", "cifar100-wide_resnet", "hippocampus-unet3d"]
)
def test_a_recipe_runs_from_settings_to_summary(name, small, tmp_path):
    config = replace(small(get_recipe(name).config), epochs=1, accelerator="cpu")
    summary = run(config, tmp_path / "run", progress=False)

    n = config.data.test_size
    assert summary.everything["sizes"] == {"train": 2 * n, "validation": n, "test": n}
    assert 0 <= summary.everything["test"]["error"] <= 1


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_names_what_there_is_and_its_settings_fit(name):
    recipe = RECIPES[name]

    assert recipe.name == name
    assert recipe.neutral or recipe.config.data.name in DATASETS
    assert recipe.config.model in MODELS
    assert from_plain(plain(recipe.config)) == recipe.config
    for loss in set(recipe.losses) & set(LOSSES) | {recipe.config.loss}:
        config = recipe.settings(loss)
        criterion = make_loss(config.loss, config.loss_args)
        assert getattr(criterion, "reduction", None) == recipe.shared.get("reduction", "mean")


def test_every_experiment_has_a_short_form_with_less_of_everything():
    shorts = [name for name in RECIPES if name.endswith("-short")]

    assert sorted(shorts) == sorted(f"{name}-short" for name in FULL)
    assert len(FULL) == 8 + 2 + 2 + 11 + 1
    for name in FULL:
        full, short = RECIPES[name], RECIPES[f"{name}-short"]
        assert short.config.epochs < full.config.epochs
        assert short.config.data.train_size <= 20_000
        assert short.config.loss == full.config.loss
        assert short.shared == full.shared
        assert not short.expected
        assert max(short.config.optimizer.milestones, default=0) < short.config.epochs


def test_the_papers_gammas_come_with_the_loss():
    assert get_recipe("cifar100-resnet110").settings("dual_focal").loss_args == {"reduction": "sum", "gamma": 6.1}
    assert get_recipe("cifar10-wide_resnet").settings("inverse_focal").loss_args == {"reduction": "sum", "gamma": 1.5}
    assert get_recipe("risk-cifar10-resnet50").settings("dual_focal").loss_args == {"gamma": 2.0}
    assert get_recipe("risk-cifar10-resnet50").settings("cross_entropy").loss_args == {}
    assert get_recipe("tiny_imagenet-resnet50").settings("dual_focal").loss_args["gamma"] == 2.3
    assert get_recipe("cifar10-resnet50-short").settings("flsc531").loss_args["milestones"] == (4, 11)


def test_published_numbers_are_those_of_the_tables():
    expected = get_recipe("cifar100-densenet121").expected

    assert (expected["adafocal"].error, expected["adafocal"].ece) == (23.35, 1.38)
    assert (expected["cross_entropy"].ece, expected["cross_entropy"].ece_scaled) == (20.98, 4.27)
    assert get_recipe("20newsgroups-text_cnn").expected["mmce"].ece == 15.48


def test_a_learning_rate_of_a_loss_replaces_the_recipes_but_not_yours():
    recipe = get_recipe("tiny_imagenet-resnet50")
    brier = recipe.settings("brier")
    mine = replace(recipe.config, optimizer=replace(recipe.config.optimizer, lr=0.01))

    assert brier.optimizer.lr == 0.035
    assert recipe.with_loss(brier, "mmce").optimizer.lr == 0.1
    assert recipe.with_loss(mine, "brier").optimizer.lr == 0.01
    assert get_recipe("cifar10-wide_resnet").settings("brier").epochs == 550


def test_the_loss_that_is_set_already_keeps_its_settings():
    recipe = get_recipe("cifar10-resnet50")
    mine = replace(recipe.config, loss_args={"rate": 0.5})

    assert recipe.with_loss(mine, "adafocal") is mine
    assert recipe.with_loss(mine, "flsd53").loss_args == {"reduction": "sum"}


def test_settings_of_a_loss_are_merged_over_the_shared_ones():
    base = get_recipe("digits").config
    recipe = Recipe("x", "X", base, "here", {"reduction": "sum"}, {"focal": LossSettings({"gamma": 1.0})})

    assert recipe.settings("focal").loss_args == {"reduction": "sum", "gamma": 1.0}


def test_an_unknown_recipe_is_refused_with_the_known_ones(rejects):
    with rejects(ValueError, f"`recipe` must be one of {', '.join(RECIPES)}, got 'mnist'."):
        get_recipe("mnist")


def test_a_second_validation_part_is_predicted_and_temperature_is_fitted_to_it(tmp_path):
    base = get_recipe("digits").config
    config = replace(base, epochs=2, data=replace(base.data, scaling_size=200))
    summary = run(config, tmp_path / "run", progress=False)
    held = Predictions.load(tmp_path / "run/scaling.parquet")

    assert summary.everything["sizes"] == {"train": 300, "validation": 500, "scaling": 200, "test": 797}
    assert summary.everything["temperature"] == pytest.approx(fit_temperature(held).temperature)
