# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from PIL import Image

from adafocal.data import ImageTransform, normalise, random_flip, random_shift
from adafocal.data.augment import pixel_statistics
from adafocal.data.stored import _fit, _random_box


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


@pytest.mark.parametrize("pad", [1, 2])
def test_shifts_reach_both_ends_of_the_padding_and_every_place_between(pad):
    # A single bright pixel tells where its image went; 60 images for each of the places.
    places = 2 * pad + 1
    images = torch.zeros(60 * places**2, 1, 7, 9)
    images[:, 0, 3, 4] = 1
    shifted = random_shift(images, pad=pad, generator=generator())[:, 0].nonzero()[:, 1:] - torch.tensor([3, 4])
    reached, count = shifted.unique(dim=0, return_counts=True)

    assert reached.tolist() == [[i, j] for i in range(-pad, pad + 1) for j in range(-pad, pad + 1)]
    assert count.min() > 60 / 2  # 4 standard deviations
    assert count.max() < 60 * 3 / 2


@pytest.mark.parametrize(("width", "height", "largest"), [(200, 200, 1.0), (300, 200, 8 / 9), (150, 200, 1.0)])
def test_random_crops_cover_8_to_100_percent_of_the_area_at_3_to_4_up_to_4_to_3(width, height, largest):
    rng = np.random.default_rng(0)
    left, top, right, bottom = np.array([_random_box(width, height, rng) for _ in range(20_000)]).T
    w, h = right - left, bottom - top
    area, ratio = w * h / (width * height), w / h

    assert (left.min(), top.min()) >= (0, 0)
    assert right.max() <= width
    assert bottom.max() <= height
    assert 0.08 <= area.min() * (1 + 1e-9) < 0.085
    assert 0.97 < area.max() / largest <= 1 + 1e-9
    assert 3 / 4 <= ratio.min() * (1 + 1e-9) < 0.755
    assert 4 / 3 >= ratio.max() * (1 - 1e-9) > 1.325
    # Small crops always fit, so that their laws show: areas even, ratios even in their logarithm, places even.
    small = area < 0.4
    assert area[small].mean() == pytest.approx((0.08 + 0.4) / 2, abs=0.005)
    assert np.log(ratio[small]).mean() == pytest.approx(0, abs=0.01)
    for start, room in ((left[small], (width - w)[small]), (top[small], (height - h)[small])):
        assert (start / room).mean() == pytest.approx(0.5, abs=0.01)
        assert (start / room).min() < 0.005
        assert (start / room).max() > 0.995


@pytest.mark.parametrize(("width", "height", "box"), [(1000, 10, (495, 0, 505, 10)), (10, 1000, (0, 495, 10, 505))])
def test_where_hardly_any_crop_fits_it_is_the_square_in_the_middle(width, height, box):
    rng = np.random.default_rng(0)

    assert box in {_random_box(width, height, rng) for _ in range(50)}


@pytest.mark.parametrize(("width", "height", "box"), [(16, 16, (1, 1, 15, 15)), (32, 16, (9, 1, 23, 15))])
def test_the_crop_in_the_middle_scales_the_shorter_side_to_8_7_of_the_size(width, height, box):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)
    image = Image.fromarray(pixels)
    cut = np.asarray(_fit(image, (14, 14), "center", np.random.default_rng(0)))

    assert np.array_equal(cut, np.asarray(image.crop(box)))


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
