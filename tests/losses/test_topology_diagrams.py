# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from losses.shapes_with_holes import BETTI, ball, ring

pytest.importorskip("cripser", reason="needs the extra topology")

from adafocal.topology.persistence import persistence_diagram, persistence_diagrams

known = pytest.mark.parametrize(("make", "betti"), BETTI, ids=lambda value: getattr(value, "__name__", None))
either = pytest.mark.parametrize("construction", ["V", "T"])


def gudhi_diagrams(volume, construction, superlevel):
    gudhi = pytest.importorskip("gudhi")
    values = (-volume if superlevel else volume).double().numpy()
    # gudhi names the constructions by where the values sit: on the vertices of the complex, or on its largest cells.
    cells = {"vertices": values} if construction == "V" else {"top_dimensional_cells": values}
    complex_ = gudhi.CubicalComplex(**cells)
    complex_.compute_persistence()
    found = [complex_.persistence_intervals_in_dimension(dim) for dim in range(volume.ndim)]
    found = [(-points if superlevel else points)[points[:, 0] < points[:, 1]] for points in found]
    return [np.array(sorted(points.tolist())).reshape(-1, 2) for points in found]


@known
@either
def test_a_mask_has_the_betti_numbers_of_its_shape(make, betti, construction):
    diagram = persistence_diagram(make().float(), construction=construction, essential_death=0.0)

    assert diagram.betti(0.5) == betti
    assert set(diagram.birth.tolist()) == {1.0}
    assert set(diagram.death.tolist()) == {0.0}
    assert diagram.dim.numel() == sum(betti)


@known
def test_a_probability_map_has_the_betti_numbers_of_each_of_its_level_sets(make, betti):
    mask = make()
    probs = torch.where(mask, 0.75 + 0.2 * torch.rand(mask.shape), 0.3 * torch.rand(mask.shape))

    assert persistence_diagram(probs, essential_death=0.0).betti(0.5) == betti
    assert persistence_diagram(1 - probs, superlevel=False, essential_death=1.0).betti(0.5) == betti


@either
@pytest.mark.parametrize("superlevel", [True, False])
@pytest.mark.parametrize("shape", [(17,), (9, 12), (6, 7, 8)], ids=str)
@pytest.mark.parametrize("levels", [None, 4], ids=["distinct", "many ties"])
def test_diagrams_are_those_of_gudhi(construction, superlevel, shape, levels):
    volume = torch.rand(shape) if levels is None else torch.randint(levels, shape) / levels
    diagram = persistence_diagram(volume, construction=construction, superlevel=superlevel)
    for dim, expected in enumerate(gudhi_diagrams(volume, construction, superlevel)):
        found = np.array(sorted(diagram.points(dim).tolist())).reshape(-1, 2)
        np.testing.assert_array_equal(expected.astype(np.float32), found.astype(np.float32))


@either
@pytest.mark.parametrize("shape", [(5, 1), (1, 5), (5, 5, 1), (1, 1, 1), (1, 5, 5), (1,)], ids=str)
def test_axes_of_length_one_are_no_topology(construction, shape):
    constant = persistence_diagram(torch.full(shape, 0.4), construction=construction, essential_death=0.0)
    torch.testing.assert_close(constant.points(0), torch.tensor([[0.4, 0.0]]))
    volume = torch.rand(shape)
    diagram = persistence_diagram(volume, construction=construction)
    line = persistence_diagram(volume.squeeze().reshape(-1) if volume.ndim < 3 else volume, construction=construction)
    assert sorted(line.birth.tolist()) == sorted(diagram.birth.tolist())


@either
def test_births_and_deaths_are_the_values_of_their_voxels(construction):
    volume = torch.rand(6, 7, 8)
    volume[:2] = volume[:, :, -1] = 0.0  # the border that is cut away moves no index
    diagram = persistence_diagram(volume, construction=construction)
    flat, dies = volume.flatten(), diagram.death_index >= 0

    assert torch.equal(flat[diagram.birth_index], diagram.birth)
    assert torch.equal(flat[diagram.death_index[dies]], diagram.death[dies])
    assert int((~dies).sum()) == 1
    assert diagram.birth[~dies] == volume.max()
    assert diagram.death[~dies] == -torch.inf
    assert (diagram.birth > diagram.death).all()


def test_gradients_flow_to_the_critical_voxels_alone():
    volume = torch.tensor([0.9, 0.2, 0.7, 0.1, 0.8], requires_grad=True)
    diagram = persistence_diagram(volume, essential_death=0.0)
    assert sorted(diagram.points(0).tolist()) == sorted(
        [*volume[[4, 3, 2, 1]].view(2, 2).tolist(), [volume[0].item(), 0.0]]
    )
    (diagram.birth - diagram.death).sum().backward()
    assert volume.grad.tolist() == [1.0, -1.0, 1.0, -1.0, 1.0]


@either
def test_gradients_agree_with_finite_differences(construction):
    volume = torch.randperm(36).double().view(3, 3, 4).div(36).requires_grad_()

    def weighted_sum(values):
        diagram = persistence_diagram(values, construction=construction, essential_death=0.0)
        return (diagram.birth * (1.0 + diagram.dim)).square().sum() + (diagram.death**3).sum()

    assert torch.autograd.gradcheck(weighted_sum, volume)
    assert torch.autograd.gradgradcheck(weighted_sum, volume)


def test_what_surrounds_a_mask_changes_nothing_but_the_place():
    mask = torch.rand(5, 6, 7)
    wide = torch.zeros(9, 9, 9)
    wide[2:7, 1:7, 0:7] = mask
    inner, outer = (persistence_diagram(volume, essential_death=0.0) for volume in (mask, wide))
    # In the wide volume a face of the mask is closed by zeros, so only its own classes are there to compare with gudhi.
    for dim, expected in enumerate(gudhi_diagrams(wide, "V", True)):
        found = np.array(sorted(outer.points(dim).tolist())).reshape(-1, 2)
        finite = np.where(np.isfinite(expected), expected, 0.0)
        np.testing.assert_array_equal(finite.astype(np.float32), found.astype(np.float32))
    assert torch.equal(inner.birth.max(), outer.birth.max())


def test_only_the_dimensions_asked_for_are_given():
    volume = torch.rand(6, 6, 6)
    every = persistence_diagram(volume)
    for dims in ((0,), (2,), (0, 2), (1,)):
        some = persistence_diagram(volume, dims=dims)
        assert set(some.dim.tolist()) == set(dims)
        for dim in dims:
            assert sorted(some.points(dim).tolist()) == sorted(every.points(dim).tolist())
    assert every.points(1).shape[1] == 2


def test_threads_change_nothing():
    volumes = [torch.rand(7, 8, 9) for _ in range(5)]
    for alone, together in zip(
        persistence_diagrams(volumes, workers=1), persistence_diagrams(volumes, workers=4), strict=True
    ):
        assert torch.equal(alone.birth, together.birth)
        assert torch.equal(alone.death_index, together.death_index)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtypes_are_kept_and_half_precision_is_widened(dtype):
    diagram = persistence_diagram(torch.rand(4, 4).to(dtype))

    assert diagram.birth.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


def test_a_ring_in_an_image_is_one_component_with_one_hole():
    diagram = persistence_diagram(ring()[:, :, 7].float(), essential_death=0.0)

    assert diagram.betti(0.5) == (1, 1, 0)


def test_bad_volumes_get_one_sentence(rejects):
    with rejects(TypeError, "`volume` must be a floating-point tensor, got dtype torch.bool."):
        persistence_diagram(ball())
    with rejects(ValueError, "`volume` must be finite, got NaN or infinity."):
        persistence_diagram(torch.tensor([0.0, torch.nan]))
    with rejects(ValueError, "`volume` must have 1 to 3 axes and at least one voxel, got shape (1, 2, 3, 4)."):
        persistence_diagram(torch.rand(1, 2, 3, 4))
    with rejects(ValueError, "`volume` must have 1 to 3 axes and at least one voxel, got shape (0, 3)."):
        persistence_diagram(torch.rand(0, 3))
    with rejects(ValueError, "`dims` must be among (0, 1) for 2 axes, got (0, 2)."):
        persistence_diagram(torch.rand(3, 3), dims=(0, 2))
    with rejects(ValueError, "`dims` must be among (0, 1) for 2 axes, got ()."):
        persistence_diagram(torch.rand(3, 3), dims=())
    with rejects(ValueError, "`construction` must be one of 'V', 'T', got 'U'."):
        persistence_diagram(torch.rand(3, 3), construction="U")
    with rejects(ValueError, "`workers` must be an integer >= 1, got 0."):
        persistence_diagrams([torch.rand(3, 3)], workers=0)


def test_a_missing_library_is_named_with_its_extra(monkeypatch, rejects):
    monkeypatch.setitem(__import__("sys").modules, "cripser", None)
    with rejects(ModuleNotFoundError, "cripser is not installed: run `pip install 'adafocal[topology]'`."):
        persistence_diagram(torch.rand(3, 3))
