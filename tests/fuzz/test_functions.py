# SPDX-License-Identifier: Apache-2.0
"""Every public function with arguments changed at random, by fixed seeds: a value or a sentence, no other error."""

import inspect
import math
import random
import warnings

import numpy as np
import pytest
import torch

from adafocal import losses
from adafocal.errors import AdafocalError
from adafocal.losses import LOSSES, make_loss
from contracts.test_values import BAD, ENTRIES, given

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unchecked_shapes")]
TRIES = 60  # of each function
JUNK = [
    None, "x", "", -1, 0, 1, 2, 3.5, -0.5, math.nan, math.inf, -math.inf, True, False, [], (0.1, 0.2), {}, {"a": 1},
    [1], 1 + 2j, b"x", np.float32(0.5), np.ones(3), torch.tensor(1.0), torch.ones(3), torch.ones(0), object(), 10**400,
]  # fmt: skip
LOGITS, LABELS = torch.randn(12, 4, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 4
SOFT = LOGITS.softmax(1)
TENSORS = [
    LOGITS, LOGITS[0], LOGITS[:0], LOGITS[:, :1], LOGITS[:, :0], LOGITS.long(), LOGITS.half(), LOGITS.double(),
    LOGITS.to(torch.complex64), LOGITS * math.nan, LOGITS / 0.0, 1e30 * LOGITS, LOGITS.view(2, 6, 4), LOGITS.T, LABELS,
    LABELS[:0], LABELS - 7, LABELS + 9, LABELS.float(), LABELS.bool(), LABELS.to(torch.uint8), SOFT, 100 * SOFT,
    SOFT > 0.3, SOFT.round(), torch.zeros(12), torch.ones(()),
]  # fmt: skip
OF_LOSSES = {
    name: value for name, value in vars(losses).items() if name in losses.__all__ and inspect.isfunction(value)
}
CLASSES = {name: value for name, value in vars(losses).items() if inspect.isclass(value) and name.endswith("Loss")}


def tried(call, *arguments, **options):
    """Call; any error but a sentence is a fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call(*arguments, **options)
        except AdafocalError as error:
            sentence = str(error)
            assert sentence
            assert "\n" not in sentence
            return None


def options_of(call):
    kinds = (inspect.Parameter.KEYWORD_ONLY,)
    return [name for name, parameter in inspect.signature(call).parameters.items() if parameter.kind in kinds]


@pytest.mark.parametrize("name", ENTRIES)
def test_measures_answer_changed_arguments_by_a_value_or_a_sentence(name):
    entry, chance = ENTRIES[name], random.Random(name)
    for _ in range(TRIES):
        arguments, options = given(entry), dict(entry.options)
        for place in chance.sample(range(len(arguments)), chance.randint(0, len(arguments))):
            change = chance.choice(list(BAD[entry.roles[place]].values()))
            arguments[place] = change(arguments[place])
        for option in chance.sample(sorted(options), chance.randint(0, len(options))):
            options[option] = chance.choice(JUNK)
        tried(entry.call, *arguments, **options)


@pytest.mark.parametrize("name", sorted(OF_LOSSES))
def test_functions_of_losses_answer_changed_arguments_by_a_value_or_a_sentence(name):
    call, chance = OF_LOSSES[name], random.Random(name)
    positional = [p for p in inspect.signature(call).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    required = [name for name in options_of(call) if inspect.signature(call).parameters[name].default is inspect._empty]
    for _ in range(3 * TRIES):
        arguments = [chance.choice([*TENSORS, *JUNK]) for _ in positional]
        if len(arguments) >= 2 and chance.random() < 0.5:
            arguments[:2] = [LOGITS, LABELS]
        options = {option: chance.choice([0.5, 2.0, torch.ones(12)]) for option in required}
        for option in chance.sample(options_of(call), min(2, len(options_of(call)))):
            options[option] = chance.choice([*JUNK, *TENSORS])
        tried(call, *arguments, **options)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_losses_are_made_of_changed_options_or_refused(name):
    cls, chance = CLASSES[name], random.Random(name)
    for _ in range(3 * TRIES):
        options = {option: chance.choice(JUNK) for option in chance.sample(options_of(cls), chance.randint(1, 3))}
        criterion = tried(cls, **options)
        if criterion is not None and name != "TopologyAwareFocalLoss":
            tried(criterion, LOGITS, LABELS)


OURS = [name for name in LOSSES if not LOSSES[name].dense and LOSSES[name].cls is not torch.nn.CrossEntropyLoss]


@pytest.mark.parametrize("name", OURS)
def test_losses_answer_changed_batches_by_a_value_or_a_sentence(name):
    chance = random.Random(name)
    for _ in range(3 * TRIES):
        criterion = make_loss(name, {"reduction": chance.choice(["none", "mean", "sum"])})
        tried(criterion, chance.choice([LOGITS, *TENSORS, *JUNK]), chance.choice([LABELS, SOFT, *TENSORS, *JUNK]))
        if hasattr(criterion, "observe"):
            tried(criterion.observe, chance.choice([LOGITS, *TENSORS, *JUNK]), chance.choice([LABELS, *TENSORS, *JUNK]))
