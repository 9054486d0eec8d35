# SPDX-License-Identifier: Apache-2.0
"""Whether labels are shifted is what the model's own loss says, whatever its class is called."""

import pytest
import tiny
import torch
import transformers
from torch import nn

from adafocal.integrations.shift import shifts_labels
from adafocal.integrations.transformers import AdaFocalTrainerCallback
from adafocal.losses import AdaFocalLoss

pytestmark = pytest.mark.filterwarnings("ignore:.*pin_memory.*", "ignore:.*torch.jit.script.*", "ignore::FutureWarning")
SIZES = {"vocab_size": 40, **tiny.SIZES}
BART = {
    "vocab_size": 40, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "max_position_embeddings": 64,
    "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2,
}  # fmt: skip
POSITIONS = {"max_position_embeddings": 64}


def llama(cls=transformers.LlamaForCausalLM, **options):
    return cls(transformers.LlamaConfig(**SIZES, num_key_value_heads=2, pad_token_id=0, **options))


class Chat(transformers.LlamaForCausalLM):
    """A user's subclass, whose name says nothing."""


class Whole(nn.Module):
    """A user's module around a model."""

    def __init__(self):
        super().__init__()
        self.body = llama()

    def forward(self, **inputs):
        return self.body(**inputs)


class Tuples(Whole):
    """A user's module that takes few arguments and returns a tuple."""

    def forward(self, input_ids, labels=None):
        output = self.body(input_ids, labels=labels)
        return (output.logits,) if labels is None else (output.loss, output.logits)


class WithoutLoss(nn.Module):
    """A user's module that leaves the loss to others."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(40, 16), nn.Linear(16, 40)

    def forward(self, input_ids, attention_mask=None, labels=None):
        return {"logits": self.head(self.embedding(input_ids))}


def llava():
    vision = transformers.CLIPVisionConfig(**tiny.SIZES, image_size=8, patch_size=4)
    text = transformers.LlamaConfig(**SIZES, num_key_value_heads=2)
    config = transformers.LlavaConfig(text_config=text, vision_config=vision, image_token_index=39)
    return transformers.LlavaForConditionalGeneration(config)


def vision():
    config = transformers.ViTConfig(**tiny.SIZES, image_size=8, patch_size=4)
    return transformers.ViTForImageClassification(config)


MODELS = {
    "GPT2LMHeadModel": (lambda: tiny.network("causal"), True),
    "LlamaForCausalLM": (llama, True),
    "a subclass": (lambda: llama(Chat), True),
    "a compiled model": (lambda: torch.compile(llama()), True),
    "a compiled subclass": (lambda: torch.compile(llama(Chat)), True),
    "a model in parallel": (lambda: nn.DataParallel(llama()), True),
    "a model in a module": (Whole, True),
    "a model that returns a tuple": (Tuples, True),
    "Qwen2ForCausalLM": (
        lambda: transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**SIZES, num_key_value_heads=2)),
        True,
    ),
    "MixtralForCausalLM with its auxiliary loss": (
        lambda: transformers.MixtralForCausalLM(
            transformers.MixtralConfig(**SIZES, num_key_value_heads=2, num_local_experts=2, output_router_logits=True)
        ),
        True,
    ),
    "BertLMHeadModel": (
        lambda: transformers.BertLMHeadModel(transformers.BertConfig(**SIZES, **POSITIONS, is_decoder=True)),
        True,
    ),
    "LlavaForConditionalGeneration": (llava, True),
    "BartForCausalLM": (lambda: transformers.BartForCausalLM(transformers.BartConfig(**BART)), False),
    "MarianForCausalLM": (lambda: transformers.MarianForCausalLM(transformers.MarianConfig(**BART)), False),
    "BartForConditionalGeneration": (
        lambda: transformers.BartForConditionalGeneration(transformers.BartConfig(**BART)),
        False,
    ),
    "T5ForConditionalGeneration": (
        lambda: transformers.T5ForConditionalGeneration(
            transformers.T5Config(
                vocab_size=40, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0
            )
        ),
        False,
    ),
    "XLNetLMHeadModel": (
        lambda: transformers.XLNetLMHeadModel(
            transformers.XLNetConfig(vocab_size=40, d_model=16, n_layer=1, n_head=2, d_inner=16)
        ),
        False,
    ),
    "BertForMaskedLM": (lambda: transformers.BertForMaskedLM(transformers.BertConfig(**SIZES, **POSITIONS)), False),
    "BertForTokenClassification": (lambda: tiny.network("tokens"), False),
    "LlamaForTokenClassification": (lambda: llama(transformers.LlamaForTokenClassification, num_labels=3), False),
    "BertForSequenceClassification": (lambda: tiny.network("sequences"), False),
    "LlamaForSequenceClassification": (lambda: llama(transformers.LlamaForSequenceClassification, num_labels=3), False),
    "a model without a loss": (WithoutLoss, None),
    "a model of images": (vision, None),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_models_own_loss_says_whether_labels_are_shifted(name):
    make, expected = MODELS[name]
    torch.manual_seed(0)
    model = make().train()
    next(model.modules()).training = False  # a mode of its own, as a frozen part has
    before = {key: value.clone() for key, value in model.state_dict().items()}
    modes, state = [module.training for module in model.modules()], torch.get_rng_state()

    assert shifts_labels(model) is expected
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def copies(model):
    """Give how likely a causal model makes each token of itself, not of the one before it."""
    data = tiny.made_up("causal", 32, 1)
    ids = data.columns["input_ids"]
    with torch.no_grad():
        return model.eval()(input_ids=ids).logits.log_softmax(-1).gather(-1, ids.unsqueeze(-1)).exp().mean().item()


def test_a_subclass_of_a_causal_model_does_not_learn_to_copy(tmp_path):
    def trained(**options):
        torch.manual_seed(0)
        callback = AdaFocalTrainerCallback(AdaFocalLoss(n_bins=4), **options)
        run = tiny.trainer("causal", callback, tmp_path, model=llama(Chat), num_train_epochs=6)
        run.train()
        return run.model, callback

    model, callback = trained()
    copying, _ = trained(shift_labels=False)

    assert callback.shift_labels is True
    assert copies(copying) > 2 * copies(model)


def test_training_on_tokens_is_refused_where_the_loss_cannot_tell(rejects, tmp_path):
    undecided = AdaFocalTrainerCallback(AdaFocalLoss())
    sentence = (
        "`shift_labels` must be True (token i predicts label i + 1, as in causal language models) or False for a model "
        "whose own loss does not tell, got None."
    )
    with rejects(ValueError, sentence):
        tiny.trainer("causal", undecided, tmp_path, model=WithoutLoss()).train()

    told = AdaFocalTrainerCallback(AdaFocalLoss(), shift_labels=True)
    tiny.trainer("causal", told, tmp_path, model=WithoutLoss(), num_train_epochs=1).train()
    assert told.shift_labels is True


def test_what_the_user_says_stands(tmp_path):
    callback = AdaFocalTrainerCallback(AdaFocalLoss(), shift_labels=False)
    tiny.trainer("causal", callback, tmp_path)

    assert callback.shift_labels is False


@pytest.mark.parametrize("first", [True, False], ids=["listed before", "listed after"])
def test_early_stopping_by_the_calibration_error_works_in_any_order(first, tmp_path, caplog):
    callback = AdaFocalTrainerCallback(AdaFocalLoss(n_bins=4))
    early = transformers.EarlyStoppingCallback(early_stopping_patience=1, early_stopping_threshold=10.0)
    best = {"metric_for_best_model": "eval_ece_equal_mass", "greater_is_better": False, "load_best_model_at_end": True}
    epochs = {"eval_strategy": "epoch", "save_strategy": "epoch", "num_train_epochs": 6}
    before = [early] if first else []
    run = tiny.trainer("sequences", callback, tmp_path, callbacks=before, **epochs, **best)
    if not first:
        run.add_callback(early)
    run.train()
    errors = [entry for entry in run.state.log_history if "eval_ece_equal_mass" in entry]

    # No evaluation is better than the one before by 10, so patience ends in the second epoch.
    assert len(errors) == 2
    assert "early stopping required" not in caplog.text
