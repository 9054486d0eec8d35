# SPDX-License-Identifier: Apache-2.0
"""Neighbours that float32 finds are those that float64 finds."""

import pytest
import torch

from adafocal.ood import neighbours
from adafocal.ood.neighbours import kth_cosines


def unit(n, d, seed):
    rows = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(rows)


def plainly(queries, bank, k):
    cosines = queries @ bank.T + 0.5 * (bank == 0).all(dim=1)
    return cosines.topk(k, dim=1).values[:, -1]


def close_together(n, d, *, apart):
    """Rows around one direction whose cosines with each other differ by less than float32 can tell."""
    return torch.nn.functional.normalize(unit(1, d, 0) + apart * unit(n, d, 1))


@pytest.mark.parametrize("k", [1, 7, 50, 83, 84, 99, 100])
@pytest.mark.parametrize("d", [1, 3, 64, 512])
def test_the_cosine_is_that_of_float64(k, d):
    queries, bank = unit(60, d, 2), unit(100, d, 3)

    torch.testing.assert_close(kth_cosines(queries, bank, k), plainly(queries, bank, k), rtol=0, atol=1e-15 * d + 4e-16)


@pytest.mark.parametrize("n", [10, 300])  # so few that all may be in doubt, and more
def test_rows_that_float32_cannot_tell_apart_are_measured_anew(n):
    bank, queries = close_together(n, 32, apart=1e-5), unit(20, 32, 4)
    found = kth_cosines(queries, bank, n // 2)

    wanted = plainly(queries, bank, n // 2)
    rough = (queries.float() @ bank.float().T).topk(n // 2, dim=1).values[:, -1].double()
    assert (found - wanted).abs().max() < 1e-14 < (rough - wanted).abs().max()


def test_equal_rows_of_a_bank_and_zeros_count_as_they_do_in_float64():
    bank = torch.cat([unit(5, 16, 5).repeat(40, 1), torch.zeros(30, 16, dtype=torch.float64)])
    queries = torch.cat([unit(5, 16, 5), unit(20, 16, 6), torch.zeros(2, 16, dtype=torch.float64)])

    for k in (1, 40, 41, 70, 71, 230):
        torch.testing.assert_close(kth_cosines(queries, bank, k), plainly(queries, bank, k), rtol=0, atol=1e-14)


def test_only_rows_in_doubt_are_searched_anew_and_most_are_not(monkeypatch):
    searched = []
    plain = torch.addmm

    def addmm(half, queries, bank):
        searched.append((queries.dtype, len(queries)))
        return plain(half, queries, bank)

    monkeypatch.setattr(torch, "addmm", addmm)
    # Other libraries set it for the whole process, as transformers may have in a test before.
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "highest")
    twice = torch.cat([unit(2000, 64, 7), close_together(200, 64, apart=1e-7)])
    kth_cosines(torch.cat([unit(300, 64, 8), unit(1, 64, 0)]), twice, 50)

    assert searched[0] == (torch.float32, 301)
    assert len(searched) == 2
    assert searched[1][0] == torch.float64
    assert 1 <= searched[1][1] <= 15  # 2 % of the rows have their 50th neighbour among those 200


@pytest.mark.parametrize("precision", ["medium", "high"])
def test_shorter_types_that_a_user_allows_do_not_find_neighbours(precision, monkeypatch):
    queries, bank = unit(40, 64, 9), unit(200, 64, 10)
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: precision)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = kth_cosines(queries, bank, 20)

    torch.testing.assert_close(found, plainly(queries, bank, 20), rtol=0, atol=1e-14)


def test_autocast_does_not_round_them():
    queries, bank = unit(40, 64, 11), unit(200, 64, 12)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = kth_cosines(queries, bank, 20)

    torch.testing.assert_close(found, plainly(queries, bank, 20), rtol=0, atol=1e-14)


def test_float32_is_off_by_far_less_than_is_assumed():
    queries, bank = unit(200, 512, 13), unit(500, 512, 14)
    alike = close_together(500, 512, apart=0.1)  # whose products add up without a change of sign

    for rows in (bank, alike):
        off = (queries.float() @ rows.float().T).double() - queries @ rows.T
        assert off.abs().max() < 0.2 * neighbours.SAFETY * 512**0.5 * 2.0**-24
