# SPDX-License-Identifier: Apache-2.0
"""TRL's own trainer with a loss of the focal family; needs the extra `trl`."""

import re
from types import MethodType

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

pytest.importorskip("trl")
peft = pytest.importorskip("peft")

import test_ranks  # noqa: E402
import trl  # noqa: E402
import tuned  # noqa: E402

from adafocal.integrations.own_head import fuse_in_parts, kept_features, top_confidence  # noqa: E402
from adafocal.integrations.trl import AdaFocalSFTTrainer  # noqa: E402
from adafocal.losses import AdaFocalLoss, FocalLoss, PerClassAdaFocalLoss  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning"),
]
KINDS = {
    "padded": {},
    "packed": {"packing": True},
    "free of padding": {"padding_free": True, "max_length": None},
    "accumulated": {"gradient_accumulation_steps": 3, "per_device_train_batch_size": 2},
    "completions": {"kind": "completion", "completion_only_loss": True},
    "assistants": {"kind": "messages", "assistant_only_loss": True, "packing": True},
    "bfloat16": {"bf16": True},
}


def run(cls, folder, **options):
    one = tuned.trainer(cls, folder, **options)
    one.train()
    losses = [entry["eval_loss"] for entry in one.state.log_history if "eval_loss" in entry]
    return one, losses


@pytest.mark.parametrize("kind", KINDS)
def test_with_cross_entropy_it_is_trls_own_trainer(kind, tmp_path):
    theirs, expected = run(trl.SFTTrainer, tmp_path, **KINDS[kind])
    ours, losses = run(AdaFocalSFTTrainer, tmp_path, given={"criterion": "cross_entropy"}, **KINDS[kind])
    focal, close = run(AdaFocalSFTTrainer, tmp_path, given={"criterion": FocalLoss(gamma=0.0)}, **KINDS[kind])
    start = tuned.network().state_dict()

    assert losses == expected
    assert all(map(torch.equal, ours.model.state_dict().values(), theirs.model.state_dict().values()))
    assert close == pytest.approx(expected, rel=1e-3 if kind == "bfloat16" else 1e-5)
    tolerance = {"rtol": 0, "atol": 1e-2 if kind == "bfloat16" else 1e-5}
    torch.testing.assert_close(focal.model.state_dict(), theirs.model.state_dict(), **tolerance)
    assert not torch.equal(theirs.model.lm_head.weight, start["lm_head.weight"])


def test_dft_is_that_of_trl(tmp_path):
    theirs, expected = run(trl.SFTTrainer, tmp_path, loss_type="dft")
    ours, losses = run(AdaFocalSFTTrainer, tmp_path, given={"criterion": "dft"})

    assert losses == pytest.approx(expected, rel=1e-6)
    torch.testing.assert_close(ours.model.state_dict(), theirs.model.state_dict(), rtol=0, atol=1e-6)


def test_metrics_of_trl_stay(tmp_path):
    theirs, _ = run(trl.SFTTrainer, tmp_path, num_train_epochs=1)
    ours, _ = run(AdaFocalSFTTrainer, tmp_path, num_train_epochs=1, given={"criterion": FocalLoss(gamma=0.0)})
    names = ["eval_entropy", "eval_mean_token_accuracy", "eval_num_tokens"]
    told = [next(entry for entry in one.state.log_history if "eval_loss" in entry) for one in (ours, theirs)]

    assert [told[0][name] for name in names] == pytest.approx([told[1][name] for name in names], rel=1e-5)


def by_hand(model, criterion, collated):
    """Observe an evaluation set from all logits: the model's own, of the token before."""
    with torch.no_grad():
        logits = model(**{name: values for name, values in collated.items() if name != "labels"}).logits
    criterion.observe(logits[:, :-1].movedim(-1, 1), collated["labels"][:, 1:])
    return criterion.adapt()


# Gemma 2 caps its logits, Granite divides and Cohere multiplies them: confidence is that of what the model gives.
FAMILIES = {
    "Qwen2": {},
    "Gemma2": {"final_logit_softcapping": 0.05},
    "Granite": {"logits_scaling": 0.2},
    "Cohere": {"logit_scale": 7.0},
    "GPT2": {"n_embd": 16, "n_head": 2, "n_layer": 1},
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("packed", [False, True])
def test_gammas_follow_the_models_own_logits(family, packed, tmp_path, monkeypatch):
    monkeypatch.setattr("adafocal.calibration.linear.LOGITS_AT_A_TIME", 5 * len(tuned.words()))
    criterion, own, seen = AdaFocalLoss(n_bins=4), AdaFocalLoss(n_bins=4), []
    given = {"criterion": criterion}
    one = tuned.trainer(
        AdaFocalSFTTrainer, tmp_path, given=given, model=tuned.network(family, **FAMILIES[family]), num_train_epochs=1,
        per_device_eval_batch_size=13, packing=packed, eval_packing=packed, learning_rate=0.1,
    )  # fmt: skip
    one.add_callback(type("Watch", (trl.trainer.sft_trainer.TrainerCallback,), {
        "on_evaluate": lambda self, *_, **kwargs: seen.append(
            by_hand(kwargs["model"], own, next(iter(kwargs["eval_dataloader"])))
        )
    }))  # fmt: skip
    one.train()

    assert own.gamma.ne(1.0).all()
    torch.testing.assert_close(criterion.gamma, own.gamma, rtol=0, atol=1e-5)
    torch.testing.assert_close(criterion.edges, own.edges, rtol=1e-4, atol=0)
    assert int(seen[0].count.sum()) > 100


class Largest(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else [result]:
            self.numel = max(self.numel, value.numel() if isinstance(value, torch.Tensor) else 0)
        return result


def test_confidence_is_found_some_tokens_at_a_time_and_the_model_is_as_it_was(monkeypatch):
    n_words = 500
    monkeypatch.setattr("adafocal.calibration.linear.LOGITS_AT_A_TIME", 7 * n_words)
    model = tuned.network(vocab_size=n_words).eval()
    ids = torch.randint(n_words, (3, 40))
    with torch.no_grad(), kept_features(model) as kept:
        logits = model(input_ids=ids).logits
    with Largest() as seen:
        confidence = top_confidence(model, kept[0], kept[0].last_hidden_state.flatten(0, 1))

    torch.testing.assert_close(confidence, logits.softmax(-1).amax(-1).flatten())
    assert seen.numel <= max(7 * n_words, n_words * 16)
    assert torch.equal(model(input_ids=ids).logits, logits)
    assert len(kept) == 1
    assert len(top_confidence(model, kept[0], torch.zeros(0, 16))) == 0


def test_what_a_hook_has_put_on_the_backbone_stays(monkeypatch):
    monkeypatch.setattr("adafocal.calibration.linear.LOGITS_AT_A_TIME", 7 * len(tuned.words()))
    model, seen = tuned.network(), []
    plain = model.base_model.forward
    model.base_model.forward = lambda *args, **inputs: (seen.append(1), plain(*args, **inputs))[1]  # as Accelerate's do
    trl.trainer.utils.add_fused_lm_head(model)
    fuse_in_parts(model)
    ids = torch.randint(len(tuned.words()), (3, 40))
    first, again = (model(input_ids=ids, labels=ids, fused_lm_head=True).log_probs for _ in range(2))

    assert len(seen) == 2
    assert torch.equal(first, again)


@pytest.mark.parametrize(
    ("kind", "family"),
    [*(("padded", family) for family in FAMILIES), *((kind, "Qwen2") for kind in KINDS if kind != "padded")],
)
def test_on_a_cpu_the_head_works_on_some_tokens_at_a_time(kind, family, tmp_path, monkeypatch):
    def trained(name, size):
        monkeypatch.setattr("adafocal.calibration.linear.LOGITS_AT_A_TIME", size * len(tuned.words()))
        model, criterion = tuned.network(family, **FAMILIES[family]), AdaFocalLoss(n_bins=4)
        with Largest() as seen:
            one, losses = run(
                AdaFocalSFTTrainer, tmp_path / name, model=model, given={"criterion": criterion}, learning_rate=0.1,
                **KINDS[kind],
            )  # fmt: skip
        logged = [entry["eval_mean_token_accuracy"] for entry in one.state.log_history if "eval_loss" in entry]
        return seen.numel, losses, logged, criterion.gamma, one.model.state_dict()

    whole, parts = trained("whole", 10_000), trained("parts", 7)

    assert parts[0] <= 7 * 32_768 < whole[0]  # TRL's tile has so many columns, however few words there are
    tolerance = 1e-2 if kind == "bfloat16" else 1e-4
    assert parts[1] == pytest.approx(whole[1], rel=tolerance)
    assert parts[2] == pytest.approx(whole[2], abs=tolerance)
    torch.testing.assert_close(parts[3], whole[3], rtol=0, atol=tolerance)
    torch.testing.assert_close(parts[4], whole[4], rtol=0, atol=tolerance)
    assert whole[3].ne(1.0).any()


def test_a_batch_without_a_token_that_counts_goes_through_the_head_in_parts(monkeypatch):
    monkeypatch.setattr("adafocal.calibration.linear.LOGITS_AT_A_TIME", 7 * len(tuned.words()))
    model = tuned.network()
    trl.trainer.utils.add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))
    fuse_in_parts(model)
    ids = torch.randint(len(tuned.words()), (3, 40))
    output = model(input_ids=ids, labels=torch.full_like(ids, -100), fused_lm_head=True)
    output.log_probs.sum().backward()

    assert output.log_probs.shape == output.is_top1.shape == (3, 39)
    assert not output.label_mask.any()
    assert output.loss == 0.0
    assert model.lm_head.weight.grad.eq(0.0).all()
    assert model(input_ids=ids).logits.shape == (3, 40, len(tuned.words()))
    assert model.generate(ids[:1, :3], max_new_tokens=2).shape[1] > 3


@pytest.mark.parametrize("why", ["head elsewhere", "router", "whole logits", "no labels"])
def test_what_is_no_head_of_many_tokens_here_is_left_to_trl(why, monkeypatch):
    monkeypatch.setattr("adafocal.calibration.linear.LOGITS_AT_A_TIME", 7 * len(tuned.words()))
    model, asked = tuned.network(), []
    model.forward = MethodType(lambda self, *args, **inputs: asked.append((args, inputs)), model)
    if why == "head elsewhere":  # as under DeepSpeed's third stage, until it is gathered
        model.lm_head.weight = torch.nn.Parameter(torch.zeros(0))
    fuse_in_parts(model)
    ids = torch.randint(9, (3, 40))
    inputs = {"labels": None if why == "no labels" else ids, "fused_lm_head": why != "whole logits"}
    inputs |= {"output_router_logits": True} if why == "router" else {}
    model(ids, **inputs)

    assert asked == [((ids,), {"shift_labels": None, "num_items_in_batch": None, **inputs})]


def test_a_resumed_run_continues_the_same_trajectory(tmp_path):
    def part(folder, epochs, resume=None):
        criterion = AdaFocalLoss(n_bins=4)
        one = tuned.trainer(
            AdaFocalSFTTrainer, folder, given={"criterion": criterion}, num_train_epochs=epochs, save_strategy="epoch"
        )
        one.train(resume_from_checkpoint=resume)
        return criterion, one.model.state_dict()

    whole, weights = part(tmp_path / "whole", 3)
    part(tmp_path / "cut", 1)
    resumed, again = part(tmp_path / "cut", 3, resume=str(tmp_path / "cut" / "checkpoint-5"))

    assert torch.equal(resumed.gamma, whole.gamma)
    assert torch.equal(resumed.edges, whole.edges)
    assert whole.gamma.ne(1.0).any()
    torch.testing.assert_close(again, weights)


def test_adapters_learn_and_the_rest_stays(tmp_path):
    criterion = AdaFocalLoss(n_bins=4)
    lora = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    one, _ = run(AdaFocalSFTTrainer, tmp_path, given={"criterion": criterion, "peft_config": lora})
    start, now = tuned.network().state_dict(), one.model.get_base_model().state_dict()

    assert torch.equal(now["lm_head.weight"], start["lm_head.weight"])
    assert any(now[name].any() for name in now if "lora_B" in name)
    assert criterion.gamma.ne(1.0).any()


def test_two_processes_agree_to_the_last_bit_and_with_one(tmp_path):
    one = test_ranks.states("trl", tmp_path / "one", 1)[0]
    first, second = test_ranks.states("trl", tmp_path / "two", 2)

    for name in ("gamma", "edges"):
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], one[name], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(first["weights"], one["weights"], rtol=0, atol=1e-5)
    assert one["gamma"].ne(1.0).any()


def test_a_run_of_grpo_takes_the_rewards_of_stated_confidences(tmp_path):
    from adafocal.integrations.rewards import brier_reward, correctness_reward

    args = trl.GRPOConfig(
        output_dir=str(tmp_path), use_cpu=True, report_to="none", disable_tqdm=True, bf16=False, max_steps=2,
        per_device_train_batch_size=2, num_generations=2, max_completion_length=6, logging_steps=1, save_strategy="no",
    )  # fmt: skip
    data = tuned.rows("completion").rename_column("completion", "solution")
    one = trl.GRPOTrainer(
        tuned.network(), [correctness_reward, brier_reward], args=args, train_dataset=data,
        processing_class=tuned.words(),
    )  # fmt: skip
    one.train()
    logged = [entry for entry in one.state.log_history if "reward" in entry]

    # Nothing is stated by a model with random weights: no answer is right, and each costs what is unstated.
    assert [entry["rewards/correctness_reward/mean"] for entry in logged] == [0.0, 0.0]
    assert [entry["rewards/brier_reward/mean"] for entry in logged] == [-1.0, -1.0]


def test_metrics_of_ones_own_still_get_logits(tmp_path):
    seen = []
    given = {"compute_metrics": lambda p: seen.append(p.predictions.shape) or {}, "criterion": "focal"}
    one = tuned.trainer(AdaFocalSFTTrainer, tmp_path, given=given)
    one.evaluate()

    assert seen[0][::2] == (13, len(tuned.words()))


WRONG = [
    ({"criterion": FocalLoss(gamma=(1.0, 2.0))}, {}, "`criterion` must treat all tokens alike, got FocalLoss with"),
    ({"criterion": PerClassAdaFocalLoss()}, {}, "`criterion` must treat all tokens alike, got PerClassAdaFocalLoss"),
    ({"criterion": FocalLoss(torch.ones(3))}, {}, "`criterion` must have `weight` None in TRL, got tensor"),
    ({"criterion": FocalLoss(reduction="sum")}, {}, "`criterion` must have `reduction` 'mean' in TRL, got 'sum'."),
    ({"criterion": AdaFocalLoss(base="dual")}, {}, "`from_cross_entropy` needs `base` 'focal'"),
    ({"criterion": "focal", "adapt_to": "a"}, {}, "`adapt_to` must be None where `criterion` never adapts, got 'a'."),
    ({"criterion": "focal"}, {"loss_type": "dft"}, "`args.loss_type` must be 'nll', as `criterion` says"),
    ({"criterion": "focal"}, {"label_smoothing_factor": 0.1}, "`args.label_smoothing_factor` must be 0.0"),
    ({"criterion": "focal", "compute_loss_func": F.cross_entropy}, {}, "`compute_loss_func` must be None"),
]


@pytest.mark.parametrize(("given", "options", "sentence"), WRONG, ids=[sentence[:48] for *_, sentence in WRONG])
def test_what_does_not_fit_is_refused_with_what_to_change(given, options, sentence, tmp_path):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        tuned.trainer(AdaFocalSFTTrainer, tmp_path, given=given, **options)


@pytest.mark.parametrize("criterion", ["brier", 3.0, torch.nn.MSELoss()])
def test_a_loss_of_another_family_is_refused(criterion, tmp_path, unchecked_shapes):
    with pytest.raises(TypeError, match=r"^`criterion` must be a loss of the focal family, such as"):
        tuned.trainer(AdaFocalSFTTrainer, tmp_path, given={"criterion": criterion})


def test_a_run_that_never_evaluates_is_refused(tmp_path):
    with pytest.raises(ValueError, match="AdaFocal moves its gammas after validation, which this trainer never does"):
        tuned.trainer(AdaFocalSFTTrainer, tmp_path, eval_strategy="no").train()
