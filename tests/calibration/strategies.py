# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for confidences and whether the event happened."""

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from torch import Tensor

# No deadline: a busy machine is no failure.
quick = settings(max_examples=25, deadline=None)

CONFIDENCE = st.floats(min_value=0.0, max_value=1.0, width=32)
# Few distinct values, so that ties, 0, 1 and the edges of equal-width bins are common.
TIED_CONFIDENCE = st.integers(min_value=0, max_value=10).map(lambda tenth: tenth / 10)


@st.composite
def samples(draw: st.DrawFn, *, min_size: int = 1, max_size: int = 60) -> tuple[Tensor, Tensor]:
    """Give float64 confidences in [0, 1] and booleans of the same shape (N,)."""
    n = draw(st.integers(min_value=min_size, max_value=max_size))
    elements = draw(st.sampled_from([CONFIDENCE, TIED_CONFIDENCE]))
    confidence = draw(npst.arrays(np.float64, n, elements=elements))
    correct = draw(npst.arrays(np.bool_, n))
    return torch.from_numpy(confidence), torch.from_numpy(correct)


N_BINS = st.integers(min_value=1, max_value=20)
BINNING = st.sampled_from(["equal_width", "equal_mass"])
