# SPDX-License-Identifier: Apache-2.0
"""A loop that does half of what AdaFocal needs is told once; one that does all of it never."""

import copy
import io
import pickle
import warnings

import pytest
import torch

from adafocal.losses import AdaFocalLoss, loop

USUAL = loop.STEPS
LOGITS, LABELS = torch.zeros(4, 3, requires_grad=True), torch.tensor([0, 1, 2, 0])


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(loop, "STEPS", 5)
    monkeypatch.setattr(loop, "PASSES", 3)


def steps(criterion, n):
    for _ in range(n):
        criterion(LOGITS, LABELS)


def told(action):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    return [str(warning.message) for warning in caught]


def test_an_epoch_of_imagenet_in_batches_of_32_is_not_told():
    assert USUAL > 1_281_167 / 32


def test_training_without_observe_and_adapt_is_told_once():
    criterion = AdaFocalLoss()

    assert told(lambda: steps(criterion, 20)) == [
        "AdaFocalLoss took 5 training steps and its gammas never moved: in each validation pass hand every batch to "
        "`observe`, then call `adapt` once."
    ]


def test_cross_entropies_of_a_kernel_count_as_steps():
    criterion = AdaFocalLoss()
    ce = torch.ones(4, requires_grad=True)

    assert len(told(lambda: [criterion.from_cross_entropy(ce, LABELS) for _ in range(9)])) == 1


def test_validation_and_evaluation_are_no_steps():
    criterion = AdaFocalLoss()

    def measure():
        with torch.no_grad():
            steps(criterion, 9)
        criterion(LOGITS.detach(), LABELS)
        criterion.eval()
        steps(criterion, 9)

    assert told(measure) == []


def test_observing_without_adapting_is_told_once():
    criterion = AdaFocalLoss()

    def train():
        for _ in range(9):
            steps(criterion, 3)
            criterion.observe(LOGITS, LABELS)
            criterion.observe(LOGITS, LABELS)

    assert told(train) == [
        "AdaFocalLoss observed 3 validation passes and its gammas never moved: call `adapt` once after each of them."
    ]


def test_a_loop_that_adapts_is_never_told():
    criterion = AdaFocalLoss()

    def train():
        for _ in range(5):
            steps(criterion, 4)
            criterion.observe(LOGITS, LABELS)
            criterion.adapt()

    assert told(train) == []


def test_gammas_that_were_loaded_may_stay():
    criterion = AdaFocalLoss()
    criterion.load_state_dict(AdaFocalLoss().state_dict())

    assert told(lambda: steps(criterion, 20)) == []


def pickled(criterion):
    return pickle.loads(pickle.dumps(criterion))


def saved(criterion):
    file = io.BytesIO()
    torch.save(criterion, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled, saved])
def test_a_copy_counts_on(copied):
    criterion = AdaFocalLoss()
    steps(criterion, 4)

    assert len(told(lambda: steps(copied(criterion), 1))) == 1


def test_a_loss_that_was_pickled_before_there_was_a_watch_trains():
    criterion = AdaFocalLoss()
    state = {name: value for name, value in vars(criterion).items() if name != "_watch"}
    old = AdaFocalLoss.__new__(AdaFocalLoss)
    old.__setstate__(state)

    assert len(told(lambda: steps(old, 6))) == 1
    assert "gamma=1 to 1" in repr(old)


def test_the_state_dict_has_no_new_names():
    assert set(AdaFocalLoss().state_dict()) == {"gamma", "edges"}


def test_a_compiled_loss_is_one_graph_and_is_not_counted(unchecked_shapes):
    criterion = AdaFocalLoss()
    compiled = torch.compile(criterion, fullgraph=True, backend="eager")

    assert told(lambda: steps(compiled, 9)) == []


def test_the_range_of_the_gammas_is_shown():
    criterion = AdaFocalLoss(n_bins=2)
    assert repr(criterion).endswith("gamma=1 to 1 (adapted 0 times))")

    criterion.observe(torch.tensor([[4.0, 0.0], [4.0, 0.0]]), torch.tensor([0, 1]))
    criterion.adapt()
    assert repr(criterion).endswith("gamma=1 to 1.619 (adapted 1 times))")

    other = AdaFocalLoss(n_bins=2)
    other.load_state_dict(criterion.state_dict())
    assert repr(other).endswith("gamma=1 to 1.619 (loaded))")
    assert "gamma=" not in repr(AdaFocalLoss().to("meta")).rpartition("gamma_max")[2]
