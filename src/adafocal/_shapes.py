# SPDX-License-Identifier: Apache-2.0
"""Names for tensor shapes in signatures.

With jaxtyping installed (the test suite), the names carry shapes that are checked on every call.
Without it they are plain tensors, so the library itself needs only torch and numpy.
Axes: ``n`` samples (``m`` of another set), ``c`` classes, ``b`` bins, ``d`` features.
"""

from typing import TYPE_CHECKING, TypeAlias

from torch import Tensor

if TYPE_CHECKING:
    Scalar: TypeAlias = Tensor
    Logits: TypeAlias = Tensor
    Labels: TypeAlias = Tensor
    PerSample: TypeAlias = Tensor
    Confidence: TypeAlias = Tensor
    OtherConfidence: TypeAlias = Tensor
    Correct: TypeAlias = Tensor
    ProbMatrix: TypeAlias = Tensor
    ClassIndex: TypeAlias = Tensor
    PerBin: TypeAlias = Tensor
    CountPerBin: TypeAlias = Tensor
    SumInBins: TypeAlias = Tensor
    CountInBins: TypeAlias = Tensor
    InnerEdges: TypeAlias = Tensor
    Volume: TypeAlias = Tensor
    BirthDeath: TypeAlias = Tensor
    Features: TypeAlias = Tensor
    HeadWeight: TypeAlias = Tensor
    HeadBias: TypeAlias = Tensor
else:
    try:
        from jaxtyping import Float, Int, Num, Shaped
    except ModuleNotFoundError:
        Scalar = Logits = Labels = PerSample = Confidence = OtherConfidence = Correct = Tensor
        ProbMatrix = ClassIndex = PerBin = CountPerBin = InnerEdges = Volume = BirthDeath = Tensor
        Features = HeadWeight = HeadBias = SumInBins = CountInBins = Tensor
    else:
        Scalar = Float[Tensor, ""]
        Logits = Float[Tensor, "*logit_axes"]
        Labels = Num[Tensor, "*label_axes"]
        PerSample = Shaped[Tensor, "*n"]
        Confidence = Float[Tensor, " n"]
        OtherConfidence = Float[Tensor, " m"]
        Correct = Shaped[Tensor, " n"]
        ProbMatrix = Float[Tensor, "n c"]
        ClassIndex = Int[Tensor, " n"]
        PerBin = Float[Tensor, " b"]
        CountPerBin = Int[Tensor, " b"]
        SumInBins = Float[Tensor, "*rows b"]
        CountInBins = Int[Tensor, "*rows b"]
        InnerEdges = Float[Tensor, " inner"]
        Volume = Shaped[Tensor, "..."]
        BirthDeath = Float[Tensor, "_ 2"]
        Features = Float[Tensor, "*n d"]
        HeadWeight = Float[Tensor, "c d"]
        HeadBias = Float[Tensor, " c"]
