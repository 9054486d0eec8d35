# SPDX-License-Identifier: Apache-2.0
"""A recipe on other data than its own: what it says of its data is not meant, and titles say what ran."""

from dataclasses import replace

import pytest

from adafocal.data import DataConfig
from adafocal.recipes import RECIPES
from adafocal.study.plan import Experiment

DIGITS = RECIPES["digits"]
BERT = RECIPES["20newsgroups-bert"]


def test_a_recipe_says_nothing_of_other_data():
    mnist = DIGITS.on({"data.name": "mnist", "data.root": "/data"})

    assert mnist.config.data == DataConfig(name="mnist")
    assert replace(mnist.config, data=DIGITS.config.data) == DIGITS.config
    assert DIGITS.on({"data.noise": 0.1}) is DIGITS


def test_what_belongs_to_the_network_stays():
    reviews = BERT.on({"data.name": "owner/reviews"}).config.data

    assert (reviews.tokenizer, reviews.length) == (BERT.config.data.tokenizer, 512)


def test_published_numbers_are_those_of_the_recipes_own_data():
    recipe = RECIPES["cifar10-resnet50"]
    assert recipe.expected
    assert recipe.on({"data.name": "svhn"}).expected == {}
    assert recipe.on({"data.path": "cifar"}).expected == recipe.expected


@pytest.mark.parametrize(("path", "name"), [("photos", "photos"), ("/a/b/wine.csv", "wine"), ("x/birds/", "birds")])
def test_data_without_a_name_are_called_as_where_they_lie(path, name):
    assert RECIPES["images"].on({"data.path": path}).config.data.name == name
    assert RECIPES["images"].on({"data.path": path, "data.name": "mine"}).config.data.name == "mine"


def title(recipe, *, varied=None, **changes):
    config = recipe.config
    data = replace(config.data, **{name[5:]: value for name, value in changes.items() if name.startswith("data_")})
    rest = {name: value for name, value in changes.items() if not name.startswith("data_")}
    return Experiment(recipe.name, replace(config, data=data, **rest), varied or {}).title


def test_titles_say_what_ran():
    assert title(DIGITS) == title(DIGITS, epochs=3) == "Noisy digits, MLP"
    assert title(DIGITS, data_noise=0.0) == "Digits, MLP"
    assert title(DIGITS, data_noise=0.2) == "Digits with noise 0.2, MLP"
    assert title(DIGITS, data_noise=0.2, varied={"data.noise": 0.2}) == "Noisy digits, MLP, data.noise 0.2"
    assert title(DIGITS, data_name="mine", data_noise=0.0, model="resnet18") == "mine, ResNet-18"
    assert title(RECIPES["images"], data_name="photos") == "photos, Small CNN"
    assert title(RECIPES["images"], data_name="cifar10") == "CIFAR-10, Small CNN"


def test_folders_of_a_neutral_recipe_are_called_as_the_data():
    photos = replace(RECIPES["images"].config, data=DataConfig(name="photos"))
    assert Experiment("images", photos).name == "photos"
    assert Experiment("digits", replace(DIGITS.config, data=DataConfig(name="mnist"))).name == "digits"
