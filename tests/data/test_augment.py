# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from adafocal.data import ImageTransform, normalise, random_flip, random_shift
from adafocal.data.augment import pixel_statistics


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_shifted_image_is_the_padded_one_cut_somewhere():
    images = torch.randint(1, 255, (50, 3, 6, 5), dtype=torch.uint8)
    shifted = random_shift(images, pad=2, generator=generator())
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    offsets = set()
    for before, after in zip(padded, shifted, strict=True):
        found = [(i, j) for i in range(5) for j in range(5) if torch.equal(before[:, i : i + 6, j : j + 5], after)]
        assert len(found) == 1
        offsets |= set(found)

    assert shifted.dtype == torch.uint8
    assert len(offsets) > 15  # of 25


def test_about_half_of_the_images_are_mirrored_whole():
    images = torch.rand(400, 1, 3, 3)
    flipped = random_flip(images, generator=generator())
    same = (flipped == images).flatten(1).all(dim=1)
    mirrored = (flipped == images.flip(3)).flatten(1).all(dim=1)

    assert bool((same ^ mirrored).all())
    assert 160 < int(mirrored.sum()) < 240


def test_normalising_gives_the_training_images_mean_zero_and_deviation_one():
    images = torch.randint(0, 256, (40, 3, 8, 8), dtype=torch.uint8)
    mean, deviation = pixel_statistics(images)
    inputs = normalise(images, mean=mean, deviation=deviation)

    assert mean == pytest.approx((images.double() / 255).mean(dim=(0, 2, 3)).tolist())
    torch.testing.assert_close(inputs.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(inputs.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(normalise(images.float() / 255, mean=mean, deviation=deviation), inputs)


def test_a_constant_channel_is_not_divided_by_zero():
    assert pixel_statistics(torch.zeros(2, 1, 2, 2, dtype=torch.uint8)) == ((0.0,), (1.0,))


def test_the_transform_augments_in_training_alone_and_follows_the_generator():
    transform = ImageTransform((0.5,), (0.25,), pad=2, flip=True)
    images = torch.randint(0, 256, (20, 1, 8, 8), dtype=torch.uint8)
    trained = [transform(images, training=True, generator=generator(seed)) for seed in (0, 0, 1)]

    torch.testing.assert_close(transform(images), (images.float() / 255 - 0.5) / 0.25)
    assert torch.equal(trained[0], trained[1])
    assert not torch.equal(trained[0], trained[2])
