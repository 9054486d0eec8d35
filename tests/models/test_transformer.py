# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from adafocal.models import make_model

transformers = pytest.importorskip("transformers")
SIZES = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8}


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    config = transformers.BertConfig(**SIZES, max_position_embeddings=20)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return str(folder)


def classifier(folder, **settings):
    return make_model("transformer", {"name": folder, **settings}, input_shape=(12,), n_classes=5).eval()


def test_a_local_network_gets_a_head_for_the_classes_and_keeps_its_weights(bert):
    model = classifier(bert)
    stored = transformers.AutoModel.from_pretrained(bert).embeddings.word_embeddings.weight

    assert model(torch.randint(1, 40, (3, 12))).shape == (3, 5)
    assert torch.equal(model.body.bert.embeddings.word_embeddings.weight, stored)
    assert not torch.equal(classifier(bert, pretrained=False).body.bert.embeddings.word_embeddings.weight, stored)


def test_logits_are_the_head_of_the_features(bert):
    model = classifier(bert)
    tokens = torch.randint(1, 40, (3, 12))
    with torch.no_grad():
        features = model.features(tokens)

        assert features.shape == (3, 16)
        torch.testing.assert_close(model.body.classifier(features), model(tokens))


def test_padding_is_not_read(bert):
    model = classifier(bert)
    short = torch.randint(1, 40, (2, 7))
    padded = torch.cat([short, torch.zeros(2, 5, dtype=torch.long)], dim=1)
    with torch.no_grad():
        torch.testing.assert_close(model(padded), model(short), atol=1e-5, rtol=1e-4)


def test_a_network_that_reads_the_last_token_gives_that_token_as_features(tmp_path):
    config = transformers.GPT2Config(vocab_size=40, n_embd=16, n_layer=1, n_head=2, n_positions=20, pad_token_id=0)
    transformers.GPT2ForSequenceClassification(config).save_pretrained(tmp_path)
    model = classifier(str(tmp_path))
    tokens = torch.tensor([[5, 6, 7, 0, 0], [5, 6, 7, 8, 9]])
    with torch.no_grad():
        features = model.features(tokens)

        assert features.shape == (2, 16)
        torch.testing.assert_close(model.body.score(features), model(tokens))


def test_the_head_is_stored_once(bert):
    assert not [name for name in classifier(bert).state_dict() if "_head" in name]
