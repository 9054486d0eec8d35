# SPDX-License-Identifier: Apache-2.0
"""Validation batches under Accelerate, without the samples that it repeats to even out the processes."""

from adafocal._checks import require
from adafocal._shapes import Labels, Logits

require("accelerate")

from accelerate.state import GradientState, PartialState  # noqa: E402


def without_repeats(logits: Logits, labels: Labels) -> tuple[Logits, Labels]:
    """Cut from a validation batch what Accelerate repeats of earlier samples, as ``gather_for_metrics`` does.

    Call it within the loop over a prepared loader, and hand what is left, if anything, to
    :meth:`~adafocal.losses.AdaFocalLoss.observe`: ``adapt`` merges the processes, so nothing need be gathered.
    Accelerate tells repeats only where the data set has a length.

    Args:
        logits: This process's batch, shape (N, C, …).
        labels: Its labels; samples come first.

    Returns:
        Both with the samples that no process has had before, maybe none.

    Example:
        >>> without_repeats(torch.zeros(2, 3), torch.tensor([0, 1]))[1]
        tensor([0, 1])
    """
    state = GradientState()
    sampler = getattr(state.active_dataloader, "batch_sampler", None)
    if not state.end_of_dataloader or state.remainder <= 0 or not getattr(sampler, "even_batches", True):
        return logits, labels
    # In the last round, process after process, only the first `remainder` samples are new.
    kept = max(0, state.remainder - PartialState().process_index * len(labels))
    return logits[:kept], labels[:kept]
