# SPDX-License-Identifier: Apache-2.0
import sys
import types
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adafocal.models import MODELS, make_model
from adafocal.models.text_cnn import word_vectors

IMAGES = ("mlp", "small_cnn", "resnet18", "resnet50", "resnet110", "wide_resnet", "densenet121")
SMALL = {
    "mlp": {"width": 8},
    "small_cnn": {"width": 4},
    "resnet18": {"width": 4},
    "resnet50": {"width": 2},
    "resnet110": {"width": 1},
    "wide_resnet": {"widen": 1, "depth": 8},
    "densenet121": {"growth": 2},
}


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def basic_block(channels, width):
    shortcut = channels * width + 2 * width if channels != width else 0
    return 9 * channels * width + 9 * width**2 + 4 * width + shortcut


# ResNet-50 with 1000 classes: the count that torchvision publishes. ResNet-18, ResNet-50 and DenseNet-121 in the CIFAR
# form: 11.17, 23.5 and 6.96 million in the public CIFAR code bases. ResNet-110 adds, to their ResNet-101 of
# 42,512,970, three bottlenecks of 1024 channels.
@pytest.mark.parametrize(
    ("name", "settings", "n_classes", "expected"),
    [
        ("resnet18", {}, 10, 11_173_962),
        ("resnet50", {}, 10, 23_520_842),
        ("resnet50", {}, 100, 23_705_252),
        ("resnet50", {"stem": "imagenet"}, 1000, 25_557_032),
        ("resnet110", {"depth": 101}, 10, 42_512_970),
        ("resnet110", {}, 10, 42_512_970 + 3 * (2 * 1024 * 256 + 9 * 256**2 + 2 * (2 * 256 + 1024))),
        ("densenet121", {}, 10, 6_956_298),
    ],
)
def test_parameter_counts_are_the_published_ones(name, settings, n_classes, expected):
    with torch.device("meta"):
        model = make_model(name, settings, input_shape=(3, 32, 32), n_classes=n_classes)

    assert parameters(model) == expected


def test_wide_resnet_has_the_parameters_that_its_blocks_add_up_to():
    with torch.device("meta"):
        model = make_model("wide_resnet", input_shape=(3, 32, 32), n_classes=10)
    stem_and_head = 27 * 16 + 2 * 16 + 641 * 10
    widths = [16, 160, 320, 640]
    blocks = sum(basic_block(a, b) + 3 * basic_block(b, b) for a, b in pairwise(widths))

    assert parameters(model) == stem_and_head + blocks == 36_481_434  # the paper's WRN-28-10: 36.5 million


@pytest.mark.parametrize("name", IMAGES)
def test_logits_are_the_head_of_the_features(name):
    model = make_model(name, SMALL[name], input_shape=(3, 32, 32), n_classes=5).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        logits, features = model(images), model.features(images)
        expected = model.head(features)

    assert logits.shape == (2, 5)
    assert features.ndim == 2
    torch.testing.assert_close(logits, expected)


@pytest.mark.parametrize("name", IMAGES)
def test_every_parameter_gets_a_gradient(name):
    model = make_model(name, SMALL[name], input_shape=(3, 32, 32), n_classes=5)
    nn.functional.cross_entropy(model(torch.randn(4, 3, 32, 32)), torch.tensor([0, 1, 2, 3])).backward()

    assert [key for key, value in model.named_parameters() if value.grad is None] == []


@pytest.mark.parametrize("name", IMAGES[1:])
def test_networks_for_images_take_grey_ones_and_other_sizes(name):
    model = make_model(name, SMALL[name], input_shape=(1, 64, 48), n_classes=3).eval()

    assert model(torch.zeros(1, 1, 64, 48)).shape == (1, 3)


def test_the_imagenet_stem_quarters_the_sides():
    model = make_model("resnet18", {"stem": "imagenet", "width": 4}, input_shape=(3, 64, 64), n_classes=2)

    assert model.stem(torch.zeros(1, 3, 64, 64)).shape == (1, 4, 16, 16)


def test_tiles_of_the_pool_are_the_adaptive_average(rejects):
    model = make_model("resnet18", {"width": 2, "pool": 2}, input_shape=(3, 64, 64), n_classes=2).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = nn.functional.adaptive_avg_pool2d(model.stages(model.stem(images)), 2).flatten(1)
        torch.testing.assert_close(model.features(images), expected)

    assert model(images).shape == (2, 2)
    with rejects(ValueError, "`pool` 2 must go with sides that are multiples of 16, got (3, 8, 8)."):
        make_model("resnet18", {"pool": 2}, input_shape=(3, 8, 8), n_classes=2)


def test_a_sequence_is_refused_by_a_network_for_images_and_an_image_by_one_for_texts(rejects):
    with rejects(ValueError, "`input_shape` must be (channels, height, width) of an image, got (1000,)."):
        make_model("resnet50", input_shape=(1000,), n_classes=2)
    with rejects(ValueError, "`input_shape` must be (length,) of a token sequence, got (3, 32, 32)."):
        make_model("text_cnn", input_shape=(3, 32, 32), n_classes=2, vocabulary=("", "?"))
    with rejects(ValueError, "`model` must suit the data, got text_cnn, which reads words, for data without them."):
        make_model("text_cnn", input_shape=(3, 32, 32), n_classes=2)


def test_settings_out_of_range_are_refused(rejects):
    with rejects(ValueError, "`depth` must be one of 18, 34, 50, 101, 110, 152, got 20."):
        make_model("resnet50", {"depth": 20}, input_shape=(3, 8, 8), n_classes=2)
    with rejects(ValueError, "`depth` must be 6 k + 2, got 28."):
        make_model("wide_resnet", {"depth": 28}, input_shape=(3, 8, 8), n_classes=2)
    with rejects(ValueError, f"`model` must be one of {', '.join(MODELS)}, got 'vgg'."):
        make_model("vgg", input_shape=(3, 8, 8), n_classes=2)
    with rejects(
        ValueError, "`model_args` of wide_resnet must be among depth, widen, got 'width': did you mean 'widen'?"
    ):
        make_model("wide_resnet", {"width": 3}, input_shape=(3, 8, 8), n_classes=2)


WORDS = ("<pad>", "<unknown>", "cat", "dog", "tree")


def text_cnn(**settings):
    return make_model("text_cnn", {"width": 6, **settings}, input_shape=(30,), n_classes=3, vocabulary=WORDS)


def test_the_text_network_gives_logits_and_does_not_look_at_where_a_phrase_stands():
    model = text_cnn().eval()
    with torch.no_grad():
        model.embedding.weight[0] = -10.0  # padding that no filter answers to
        for conv in model.convs:
            conv.weight.abs_()
            conv.bias.zero_()
        early, late = torch.zeros(2, 1, 30, dtype=torch.int32)
        early[0, 8:10], late[0, 18:20] = 2, 2

        assert model(early).shape == (1, 3)
        torch.testing.assert_close(model.features(early), model.features(late))


def test_the_text_network_is_three_convolutions_with_pooling_between_them():
    model = text_cnn().eval()
    ids = torch.randint(5, (4, 30))
    places = model.embedding(ids).transpose(1, 2)
    for i, conv in enumerate(model.convs):
        pooled = F.max_pool1d(places, 5, stride=1) if i > 0 else places
        places = F.relu(F.conv1d(pooled, conv.weight, conv.bias))
    expected = model.head(F.relu(model.hidden(places.amax(2))))

    torch.testing.assert_close(model(ids), expected)
    assert [name for name, _ in model.named_parameters() if name.startswith("convs.0")] == [
        "convs.0.weight",
        "convs.0.bias",
    ]


def test_word_vectors_come_from_the_file_and_stay_fixed(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_text("dog 1.0 2.0 3.0\nbird 9 9 9\ncat -1 0 0.5\n", encoding="utf-8")
    model = text_cnn(glove=str(path))

    assert model.embedding.weight.tolist() == [[0] * 3, [0] * 3, [-1, 0, 0.5], [1, 2, 3], [0] * 3]
    assert not model.embedding.weight.requires_grad
    assert text_cnn(glove=str(path), train_embedding=True).embedding.weight.requires_grad
    n = model.embedding.weight.shape[1]
    assert text_cnn(glove=str(path), embedding_size=n).embedding.weight.shape[1] == n
    with pytest.raises(
        ValueError, match=f"`embedding_size` must be null or {n}, as the vectors of `glove` have, got {n + 1}."
    ):
        text_cnn(glove=str(path), embedding_size=n + 1)
    assert text_cnn().embedding.weight.requires_grad


def test_word_vectors_start_as_small_as_gloves_and_padding_at_zero():
    vocabulary = tuple(map(str, range(2000)))
    model = make_model("text_cnn", {"embedding_size": 50}, input_shape=(30,), n_classes=3, vocabulary=vocabulary)

    assert model.embedding.weight[0].tolist() == [0.0] * 50
    assert float(model.embedding.weight[1:].detach().std()) == pytest.approx(0.1, rel=0.02)


def test_a_file_without_vectors_is_refused_by_line(tmp_path, rejects):
    path = tmp_path / "glove.txt"
    path.write_text("dog 1.0 2.0\ncat 1.0\n", encoding="utf-8")
    with rejects(ValueError, "`glove` must hold one word and as many numbers on each line, got line 2."):
        word_vectors(path, WORDS)
    path.write_text("dog one two\n", encoding="utf-8")
    with rejects(ValueError, "`glove` must hold one word and as many numbers on each line, got line 1."):
        word_vectors(path, WORDS)
    path.write_text("bird 1 2\n", encoding="utf-8")
    with rejects(ValueError, f"`glove` must hold words of the data, got {str(path)!r} with none of them."):
        word_vectors(path, WORDS)


def test_texts_too_short_for_the_filters_are_refused(rejects):
    with rejects(ValueError, "`data.length` must be at least 21 tokens for text_cnn, got 20."):
        make_model("text_cnn", input_shape=(20,), n_classes=3, vocabulary=WORDS)


class FakeTimmNetwork(nn.Module):
    def __init__(self, channels, n_classes):
        super().__init__()
        self.conv, self.head = nn.Conv2d(channels, 7, 3), nn.Linear(7, n_classes)

    def forward_features(self, inputs):
        return self.conv(inputs)

    def forward_head(self, hidden, pre_logits=False):
        pooled = hidden.mean(dim=(2, 3))
        return pooled if pre_logits else self.head(pooled)

    def forward(self, inputs):
        return self.forward_head(self.forward_features(inputs))


def test_a_network_of_timm_is_made_by_name_with_a_head_for_the_classes(monkeypatch):
    asked = []

    def create_model(name, *, pretrained, num_classes, in_chans):
        asked.append((name, pretrained))
        return FakeTimmNetwork(in_chans, num_classes)

    monkeypatch.setitem(sys.modules, "timm", types.SimpleNamespace(create_model=create_model))
    model = make_model("timm", {"name": "vit_small"}, input_shape=(1, 8, 8), n_classes=4)
    images = torch.randn(2, 1, 8, 8)

    assert asked == [("vit_small", False)]
    assert model.features(images).shape == (2, 7)
    torch.testing.assert_close(model.body.head(model.features(images)), model(images))


def test_without_timm_the_message_says_how_to_get_it(monkeypatch, rejects):
    monkeypatch.setitem(sys.modules, "timm", None)
    with rejects(ModuleNotFoundError, "timm is not installed: run `pip install 'adafocal[timm]'`."):
        make_model("timm", input_shape=(3, 8, 8), n_classes=4)


@pytest.mark.parametrize("name", ["mlp", "transformer"])
def test_words_go_to_networks_that_read_them(name, rejects):
    said = f"`model` must suit the data, got {name}, which reads no words, for texts: give text_cnn, or transformer "
    with rejects(ValueError, f"{said}with `data.tokenizer`."):
        make_model(name, input_shape=(30,), n_classes=3, vocabulary=WORDS)
