# SPDX-License-Identifier: Apache-2.0
"""Volumes whose topology is known."""

import torch


def _grid(size=15):
    axis = torch.linspace(-1, 1, size)
    return torch.meshgrid(axis, axis, axis, indexing="ij")


def ball():
    x, y, z = _grid()
    return x**2 + y**2 + z**2 < 0.6


def hollow_sphere():
    x, y, z = _grid()
    square = x**2 + y**2 + z**2
    return (square < 0.8) & (square > 0.3)


def torus():
    """Give a hollow tube bent to a ring: two tunnels, one cavity."""
    x, y, z = _grid(25)
    square = ((x**2 + y**2).sqrt() - 0.6) ** 2 + z**2
    return (square < 0.11) & (square > 0.02)


def two_blobs():
    x, y, z = _grid()
    return ((x - 0.5) ** 2 + y**2 + z**2 < 0.1) | ((x + 0.5) ** 2 + y**2 + z**2 < 0.1)


def ring():
    x, y, z = _grid()
    return ((x**2 + y**2).sqrt() - 0.6).abs().lt(0.2) & (z.abs() < 0.2)


def broken_ring():
    x, y, _ = _grid()
    return ring() & ~((x > 0) & (y.abs() < 0.1))


BETTI = [
    (ball, (1, 0, 0)),
    (hollow_sphere, (1, 0, 1)),
    (torus, (1, 2, 1)),
    (two_blobs, (2, 0, 0)),
    (ring, (1, 1, 0)),
    (broken_ring, (1, 0, 0)),
]
