# SPDX-License-Identifier: Apache-2.0
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from adafocal.data import CORRUPTIONS, corrupt

NOISE = ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise")


def photographs(channels=3):
    """Coarse shapes that grow finer and fainter, as in photographs."""
    source = torch.Generator().manual_seed(5)
    images = torch.zeros(8, channels, 32, 32)
    for side, strength in ((4, 0.6), (12, 0.3), (32, 0.1)):
        coarse = torch.rand(8, channels, side, side, generator=source)
        images += strength * torch.nn.functional.interpolate(coarse, (32, 32), mode="bilinear")
    return (images * 255).to(torch.uint8)


def error(images, corrupted):
    return float((corrupted.float() - images.float()).square().mean())


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_severity_does_more_harm_than_the_one_before(name):
    images = photographs()
    errors = [
        error(images, corrupt(images, name, severity=severity, generator=torch.Generator().manual_seed(0)))
        for severity in (1, 2, 3, 4, 5)
    ]

    assert errors[0] > 0
    assert all(milder < stronger for milder, stronger in pairwise(errors))


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_generator_fixes_the_result_and_images_are_left_alone(name, channels):
    images = photographs(channels)
    before = images.clone()
    first, again, other = (
        corrupt(images, name, severity=3, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )

    assert torch.equal(images, before)
    assert first.shape == images.shape
    assert first.dtype == torch.uint8
    assert torch.equal(first, again)
    assert torch.equal(first, other) == (name not in NOISE)


def test_ten_families_of_five_severities_are_there():
    assert len(CORRUPTIONS) == 10
    assert all(len(corruption.strengths) == 5 for corruption in CORRUPTIONS.values())


def test_gaussian_noise_has_its_standard_deviation():
    grey = torch.full((20, 3, 32, 32), 128, dtype=torch.uint8)

    noise = (corrupt(grey, "gaussian_noise", severity=5).float() - 128) / 255
    assert float(noise.std()) == pytest.approx(0.10, rel=0.02)
    shots = corrupt(grey, "shot_noise", severity=5).float() / 255
    assert float(shots.std()) == pytest.approx((0.502 / 50) ** 0.5, rel=0.02)


def test_impulse_noise_changes_its_share_of_values_to_black_or_white():
    grey = torch.full((20, 3, 32, 32), 128, dtype=torch.uint8)
    changed = corrupt(grey, "impulse_noise", severity=5)

    assert set(changed.unique().tolist()) == {0, 128, 255}
    assert float((changed != 128).double().mean()) == pytest.approx(0.07, rel=0.05)


@pytest.mark.parametrize("name", ["gaussian_blur", "defocus_blur", "pixelate", "contrast"])
def test_an_even_image_stays_even(name):
    grey = torch.full((1, 3, 32, 32), 77, dtype=torch.uint8)

    assert torch.equal(corrupt(grey, name, severity=5), grey)


def test_contrast_keeps_the_mean_and_scales_the_rest():
    images = photographs()
    flat = corrupt(images, "contrast", severity=5).float()

    torch.testing.assert_close(flat.mean(dim=(2, 3)), images.float().mean(dim=(2, 3)), atol=0.1, rtol=0)
    torch.testing.assert_close(flat.std(dim=(2, 3)), 0.15 * images.float().std(dim=(2, 3)), atol=0.2, rtol=0.02)


def test_brightness_keeps_hue_and_saturation():
    colour = torch.tensor([100, 50, 0], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 8, 8).contiguous()

    bright = corrupt(colour, "brightness", severity=3)[0, :, 0, 0].tolist()
    assert bright == [138, 69, 0]


def test_the_strongest_gaussian_blur_is_scipys():
    ndimage = pytest.importorskip("scipy.ndimage")
    images = photographs()
    blurred = corrupt(images, "gaussian_blur", severity=5)[0, 1].numpy()
    expected = ndimage.gaussian_filter(images[0, 1].numpy().astype(float), 1.0, mode="mirror", radius=4)

    assert np.abs(blurred - expected).max() <= 0.51


def test_jpeg_is_what_pillow_writes_at_that_quality(tmp_path):
    images = photographs()
    Image.fromarray(images[0].permute(1, 2, 0).numpy()).save(tmp_path / "a.jpg", quality=40)
    expected = np.asarray(Image.open(tmp_path / "a.jpg"))

    assert np.array_equal(corrupt(images, "jpeg", severity=5)[0].permute(1, 2, 0).numpy(), expected)


def test_bad_input_is_refused(rejects):
    images = photographs()
    with rejects(ValueError, "`severity` must be an integer from 1 to 5, got 6."):
        corrupt(images, "jpeg", severity=6)
    with rejects(TypeError, "`images` must be uint8, got dtype torch.float32."):
        corrupt(images.float(), "jpeg", severity=1)
    with rejects(ValueError, "`images` must have shape (N, 1 or 3, H, W), got (3, 32, 32)."):
        corrupt(images[0], "jpeg", severity=1)
    names = ", ".join(map(repr, CORRUPTIONS))
    with rejects(ValueError, f"`name` must be one of {names}, got 'fog'."):
        corrupt(images, "fog", severity=1)


@pytest.mark.data
def test_each_severity_does_more_harm_to_real_images(data_root):
    from adafocal.data import DataConfig, load_splits

    config = DataConfig(name="cifar10", root=str(data_root), train_size=100, validation_size=100, test_size=200)
    images = load_splits(config, seed=0).test.inputs
    for name in CORRUPTIONS:
        errors = [
            error(images, corrupt(images, name, severity=severity, generator=torch.Generator().manual_seed(0)))
            for severity in (1, 2, 3, 4, 5)
        ]
        assert errors == sorted(errors), name
