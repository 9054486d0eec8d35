# SPDX-License-Identifier: Apache-2.0
"""Arguments of arguments are given whole: the parser would drop those beside one that is set by a dotted flag."""

import json

import pytest

from adafocal.cli import main
from adafocal.cli.options import parse, train_parser

INNER = {"streaming": True, "n_bins": 7, "rate": 1e-3, "base": "dual", "gamma_min": -2}


@pytest.mark.parametrize(
    "written", [json.dumps(INNER), "{streaming: true, n_bins: 7, rate: 1e-3, base: dual, gamma_min: -2}"]
)
def test_arguments_of_a_base_loss_are_given_in_braces(written):
    line = ["--loss", "l1_ace", "--loss_args.base", "adafocal", "--loss-args.base-args", written]
    asked = parse(train_parser("train", "Train."), line)

    assert asked.config.loss_args == {"base": "adafocal", "base_args": INNER}


@pytest.mark.parametrize("flag", ["--loss_args.base_args.streaming", "--loss-args.base-args.streaming=true"])
def test_one_of_them_alone_is_refused_with_the_way_to_write_it(flag, capsys):
    value = [] if "=" in flag else ["true"]

    assert main(["train", "--loss", "l1_ace", flag, *value]) == 2
    assert capsys.readouterr().err == (
        "adafocal train: `loss_args.base_args` must be given as a whole, as in --loss_args.base_args "
        "'{streaming: …}', got --loss_args.base_args.streaming alone.\n"
    )


def test_one_level_is_typed_by_the_parser():
    asked = parse(
        train_parser("train", "Train."), ["--loss", "l1_ace", "--loss_args.n_bins=5", "--loss_args.binning=soft"]
    )

    assert asked.config.loss_args == {"n_bins": 5, "binning": "soft"}
