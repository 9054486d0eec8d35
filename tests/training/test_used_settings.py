# SPDX-License-Identifier: Apache-2.0
"""A setting that nothing reads is refused by name; settings that older runs lack, or do not read, change nothing."""

import pytest

from adafocal.errors import InvalidValueError
from adafocal.training.config import OptimizerConfig, TrainConfig, plain
from adafocal.training.folder import computes_the_same
from adafocal.training.used import check_reached, check_read, only_read

UNREAD = {
    "optimizer.momentum": TrainConfig(optimizer=OptimizerConfig(name="adam", momentum=0.5)),
    "optimizer.milestones": TrainConfig(optimizer=OptimizerConfig(schedule="cosine", milestones=(3,))),
    "optimizer.lr_decay": TrainConfig(optimizer=OptimizerConfig(schedule="cosine", lr_decay=0.5)),
    "logger_args": TrainConfig(logger="none", logger_args={"project": "mine"}),
}


@pytest.mark.parametrize("name", UNREAD)
def test_a_setting_that_is_not_read_is_refused_by_name(name):
    with pytest.raises(InvalidValueError, match=f"`{name}` must be left out"):
        check_read(UNREAD[name])
    check_read(only_read(UNREAD[name]))


def test_what_was_asked_for_is_refused_even_at_its_default():
    adam = TrainConfig(optimizer=OptimizerConfig(name="adam"))
    check_read(adam)
    check_read(adam, {"optimizer.name"})
    with pytest.raises(InvalidValueError, match=r"`optimizer\.momentum` .* got 0\.9: .*sgd"):
        check_read(adam, {"optimizer.momentum"})


def test_without_milestones_their_factor_is_not_read():
    with pytest.raises(InvalidValueError, match=r"`optimizer\.lr_decay`"):
        check_read(TrainConfig(optimizer=OptimizerConfig(milestones=(), lr_decay=0.5)))


def test_a_milestone_that_is_asked_for_must_be_reached():
    check_reached(TrainConfig(epochs=76))
    with pytest.raises(InvalidValueError, match=r"`optimizer\.milestones` must lie below `epochs`, 50, got 50"):
        check_reached(TrainConfig(epochs=50))


def test_a_run_is_the_same_whatever_it_does_not_read():
    adam = TrainConfig(optimizer=OptimizerConfig(name="adam"))
    older = plain(TrainConfig(optimizer=OptimizerConfig(name="adam", momentum=0.5)))
    assert computes_the_same(older, adam)
    assert not computes_the_same(older | {"epochs": 3}, adam)


def test_a_run_of_an_older_version_is_the_same_at_the_defaults_of_newer_settings():
    older = plain(TrainConfig())
    del older["ema"], older["data"]["augment"]
    assert computes_the_same(older, TrainConfig())
    assert not computes_the_same(older, TrainConfig(ema=0.9))
    assert not computes_the_same(older | {"of a later version": 1}, TrainConfig())
