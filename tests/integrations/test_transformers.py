# SPDX-License-Identifier: Apache-2.0
import json

import pytest
import tiny
import torch
import transformers
from torch import nn

from adafocal.integrations.transformers import AdaFocalTrainerCallback
from adafocal.losses import AdaFocalLoss

TASKS = ["sequences", "tokens", "causal"]
pytestmark = pytest.mark.filterwarnings("ignore:.*pin_memory.*", "ignore:.*torch.jit.script.*", "ignore::FutureWarning")


class ByHand(transformers.TrainerCallback):
    """Observe the evaluation set from the model itself, one sample at a time, and adapt a loss of its own."""

    def __init__(self, task, criterion):
        self.task, self.criterion, self.gammas = task, criterion, []

    def on_evaluate(self, args, state, control, **kwargs):
        for item in kwargs["eval_dataloader"].dataset:
            with torch.no_grad():
                logits = kwargs["model"](item["input_ids"][None], attention_mask=item["attention_mask"][None]).logits[0]
            labels = item["labels"]
            if self.task == "causal":  # the token before predicts
                logits, labels = logits[:-1], labels[1:]
            self.criterion.observe(logits, labels)
        self.criterion.adapt()
        self.gammas.append(self.criterion.gamma.clone())


@pytest.mark.parametrize("task", TASKS)
def test_gammas_follow_one_update_per_evaluation_of_an_odd_number_of_samples(task, tmp_path):
    callback = AdaFocalTrainerCallback(AdaFocalLoss(n_bins=4))
    by_hand = ByHand(task, AdaFocalLoss(n_bins=4))
    tiny.trainer(task, callback, tmp_path, callbacks=[by_hand], eval_strategy="epoch").train()

    assert len(by_hand.gammas) == 2
    assert callback.criterion.gamma.ne(1.0).all()
    torch.testing.assert_close(callback.criterion.gamma, by_hand.gammas[-1], rtol=0, atol=1e-6)
    torch.testing.assert_close(callback.criterion.edges, by_hand.criterion.edges, rtol=0, atol=1e-6)


def weights_after_training(task, folder, **options):
    callback = AdaFocalTrainerCallback(AdaFocalLoss(n_bins=4, gamma_init=2.0))
    run = tiny.trainer(task, callback, folder, num_train_epochs=1, **options)
    run.train()
    return run.model.state_dict()


@pytest.mark.parametrize("task", TASKS)
def test_gradient_accumulation_equals_one_large_batch(task, tmp_path):
    whole = weights_after_training(task, tmp_path, per_device_train_batch_size=16)
    parts = weights_after_training(task, tmp_path, per_device_train_batch_size=2, gradient_accumulation_steps=8)
    start = tiny.network(task).state_dict()

    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-6)
    assert not any(torch.equal(start[name], whole[name]) for name in start if name.endswith("dense.weight"))


@pytest.mark.parametrize("task", TASKS)
def test_with_gamma_zero_it_is_the_models_own_loss(task):
    callback = AdaFocalTrainerCallback(AdaFocalLoss(gamma_init=0.0), shift_labels=task == "causal")
    model, data = tiny.network(task), tiny.made_up(task, 6, seed=3)
    batch = {name: torch.stack([data[row][name] for row in range(6)]) for name in data[0]}
    n_items = batch["labels"][..., 1:].ne(-100).sum() if task == "causal" else batch["labels"].ne(-100).sum()
    theirs = model(**batch).loss
    outputs = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])

    torch.testing.assert_close(callback.compute_loss_func(outputs, batch["labels"]), theirs)
    torch.testing.assert_close(callback.compute_loss_func(outputs, batch["labels"], n_items), theirs)
    torch.testing.assert_close(callback.compute_loss_func(outputs, batch["labels"], 2 * n_items), theirs / 2)


@pytest.mark.parametrize("pooled_rate", [None, "predictive"])
def test_a_resumed_run_continues_the_same_trajectory(pooled_rate, tmp_path):
    def run(folder, epochs, resume=None):
        callback = AdaFocalTrainerCallback(AdaFocalLoss(n_bins=4, pooled_rate=pooled_rate))
        one = tiny.trainer(
            "sequences", callback, folder, eval_strategy="epoch", save_strategy="epoch", num_train_epochs=epochs
        )
        one.train(resume_from_checkpoint=resume)
        return callback.criterion, one

    whole, unbroken = run(tmp_path / "whole", 4)
    run(tmp_path / "cut", 2)
    resumed, after = run(tmp_path / "cut", 4, resume=str(tmp_path / "cut" / "checkpoint-8"))
    gammas = [[entry.get("eval_gamma_1") for entry in one.state.log_history] for one in (unbroken, after)]
    stored = json.loads((tmp_path / "whole" / "checkpoint-16" / "trainer_state.json").read_text())

    assert torch.equal(resumed.gamma, whole.gamma)
    assert torch.equal(resumed.edges, whole.edges)
    assert pooled_rate is None or torch.equal(resumed.forecast, whole.forecast)
    assert gammas[0] == gammas[1]
    assert len(set(gammas[0]) - {None}) == 4
    assert torch.equal(torch.tensor(stored["stateful_callbacks"]["adafocal"]["gamma"]), whole.gamma)


def test_a_checkpoint_without_gammas_is_told(tmp_path):
    run = tiny.trainer("sequences", AdaFocalTrainerCallback(AdaFocalLoss()), tmp_path, save_strategy="epoch")
    run.train()
    path = tmp_path / "checkpoint-4" / "trainer_state.json"
    state = json.loads(path.read_text())
    del state["stateful_callbacks"]["adafocal"]
    path.write_text(json.dumps(state))
    with pytest.warns(UserWarning, match="^The checkpoint holds no AdaFocal gammas"):
        run.train(resume_from_checkpoint=str(path.parent))


def test_a_checkpoint_of_other_bins_is_refused(rejects, tmp_path):
    tiny.trainer("sequences", AdaFocalTrainerCallback(AdaFocalLoss(n_bins=4)), tmp_path, save_strategy="epoch").train()
    other = tiny.trainer("sequences", AdaFocalTrainerCallback(AdaFocalLoss(n_bins=5)), tmp_path)
    with rejects(ValueError, "`n_bins` must be 4 as in the checkpoint, got 5."):
        other.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))


def test_a_checkpoint_of_another_rule_is_refused(rejects, tmp_path):
    tiny.trainer("sequences", AdaFocalTrainerCallback(AdaFocalLoss()), tmp_path, save_strategy="epoch").train()
    callback = AdaFocalTrainerCallback(AdaFocalLoss(pooled_rate="predictive"))
    with rejects(
        ValueError,
        "`pooled_rate` must be as in the checkpoint, which holds edges, gamma, got 'predictive'.",
    ):
        tiny.trainer("sequences", callback, tmp_path).train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))


def test_evaluation_outside_of_training_and_before_its_first_step_leaves_the_gammas_alone(tmp_path):
    callback = AdaFocalTrainerCallback(AdaFocalLoss(n_bins=4))
    seen = []

    class Watch(transformers.TrainerCallback):
        def on_step_end(self, *_, **__):
            seen.append(callback.criterion.gamma.clone())

    run = tiny.trainer("sequences", callback, tmp_path, eval_on_start=True, num_train_epochs=1, callbacks=[Watch()])
    run.evaluate()
    run.train()
    trained = callback.criterion.gamma.clone()
    run.evaluate()
    run.predict(run.eval_dataset)

    assert len(seen) == 4
    assert all(gamma.eq(1.0).all() for gamma in seen)
    assert torch.equal(callback.criterion.gamma, trained)


def test_the_metrics_of_an_evaluation_tell_calibration_and_gammas_and_choose_the_best_model(tmp_path):
    callback = AdaFocalTrainerCallback(AdaFocalLoss(n_bins=2))
    run = tiny.trainer(
        "sequences", callback, tmp_path, eval_strategy="epoch", save_strategy="best",
        metric_for_best_model="eval_ece_equal_mass", greater_is_better=False,
    )  # fmt: skip
    run.train()
    errors = [entry["eval_ece_equal_mass"] for entry in run.state.log_history if "eval_ece_equal_mass" in entry]

    assert len(errors) == 2
    assert run.state.best_metric == min(errors)
    assert run.state.log_history[-2]["eval_gamma_1"] == callback.criterion.gamma[1].item()


def test_users_metrics_work_beside_it(tmp_path):
    seen = []

    def accuracy(prediction):
        seen.append(prediction.predictions.shape)
        return {"accuracy": float((prediction.predictions == prediction.label_ids).mean())}

    callback = AdaFocalTrainerCallback(AdaFocalLoss(n_bins=4))
    run = tiny.trainer("sequences", callback, tmp_path, eval_strategy="epoch", num_train_epochs=1)
    run.compute_metrics = accuracy
    run.preprocess_logits_for_metrics = lambda logits, labels: logits.argmax(-1)
    run.train()

    assert seen == [(13,)]
    assert callback.criterion.gamma.ne(1.0).any()


def test_one_of_several_evaluation_sets_is_named(rejects, tmp_path):
    several = {"near": tiny.made_up("sequences", 13, 2), "far": tiny.made_up("sequences", 9, 5)}
    data = (tiny.made_up("sequences", 32, 1), several)
    named = AdaFocalTrainerCallback(AdaFocalLoss(n_bins=4), eval_dataset="near")
    alone = AdaFocalTrainerCallback(AdaFocalLoss(n_bins=4))
    tiny.trainer("sequences", named, tmp_path, data=data, eval_strategy="epoch").train()
    tiny.trainer("sequences", alone, tmp_path, data=(data[0], several["near"]), eval_strategy="epoch").train()
    unnamed = AdaFocalTrainerCallback(AdaFocalLoss(n_bins=4))

    assert torch.equal(named.criterion.gamma, alone.criterion.gamma)
    with rejects(ValueError, "`eval_dataset` must name one of the evaluation sets where there are several, got None."):
        tiny.trainer("sequences", unnamed, tmp_path, data=data, eval_strategy="epoch").train()


def test_wrong_inputs_are_told_in_one_sentence(rejects):
    with rejects(TypeError, "`criterion` must be an AdaFocalLoss, got CrossEntropyLoss."):
        AdaFocalTrainerCallback(nn.CrossEntropyLoss())
    with rejects(ValueError, "`criterion` must have reduction 'mean', got 'sum'."):
        AdaFocalTrainerCallback(AdaFocalLoss(reduction="sum"))
    callback = AdaFocalTrainerCallback(AdaFocalLoss())
    with rejects(ValueError, "`labels` must be part of every batch for AdaFocal, got NoneType."):
        callback.compute_loss_func((torch.zeros(2, 3),), None)
    with rejects(TypeError, "`outputs` must hold `logits` for AdaFocal, got dict without."):
        callback.compute_loss_func({"loss": torch.zeros(())}, torch.tensor([0]))


@pytest.mark.parametrize(
    ("n_classes", "label", "sentence"),
    [
        (
            1,
            torch.tensor(1.0),
            r"`logits` must have at least 2 classes, got 1 \(shape \(8, 1\)\): .* or `sigmoid=True`",
        ),
        (3, torch.tensor([1.0, 1.0, 0.0]), r"`labels` given as class probabilities must .* use `sigmoid=True`"),
    ],
    ids=["one output", "several labels"],
)
def test_what_ends_in_a_sigmoid_is_refused_in_the_first_step(n_classes, label, sentence, tmp_path, unchecked_shapes):
    ids = tiny.made_up("sequences", 16, 1).columns["input_ids"]
    data = tiny.Texts(ids, label.expand(16, *label.shape))
    callback = AdaFocalTrainerCallback(AdaFocalLoss())
    model = tiny.network("sequences", n_classes=n_classes)

    with pytest.raises(ValueError, match=sentence):
        tiny.trainer("sequences", callback, tmp_path, data=(data, data), model=model).train()


@pytest.mark.data
def test_a_tiny_bert_learns_newsgroups_and_its_gammas_move(data_root, tmp_path):
    import pyarrow.parquet as pq

    from adafocal.data.texts import build_vocabulary, encode_words, without_header

    table = pq.read_table(sorted((data_root / "20newsgroups").glob("*train*.parquet"))[0], columns=["text", "label"])
    rows = [row for row in torch.randperm(len(table), generator=torch.Generator().manual_seed(0)).tolist()]
    texts, labels = table["text"].to_pylist(), table["label"].to_pylist()
    rows = [row for row in rows if labels[row] in (1, 10)][:300]
    texts, labels = [without_header(texts[row]) for row in rows], torch.tensor([labels[row] == 10 for row in rows])
    ids = encode_words(texts, vocabulary=build_vocabulary(texts[:199], size=2000), length=64).long()
    parts = [
        tiny.Texts(ids[part], labels[part].long(), ids[part].ne(0).long()) for part in (slice(199), slice(199, 300))
    ]
    callback = AdaFocalTrainerCallback(AdaFocalLoss(streaming=True))
    run = tiny.trainer(
        "sequences", callback, tmp_path, data=parts, model=tiny.network("sequences", words=2002, n_classes=2),
        eval_strategy="epoch", num_train_epochs=6, optim="adamw_torch", learning_rate=0.02,
    )  # fmt: skip
    run.compute_metrics = lambda p: {"accuracy": float((p.predictions == p.label_ids).mean())}
    run.preprocess_logits_for_metrics = lambda logits, labels: logits.argmax(-1)
    run.train()
    accuracy = [entry["eval_accuracy"] for entry in run.state.log_history if "eval_accuracy" in entry]

    assert max(accuracy) > 0.75
    assert callback.criterion.gamma.ne(1.0).any()
