# SPDX-License-Identifier: Apache-2.0
"""Names for tensor shapes in signatures.

With jaxtyping installed (the test suite), the names carry shapes that are checked on every call.
Without it they are plain tensors, so the library itself needs only torch and numpy.
Axes: ``n`` samples (``m`` of another set), ``c`` classes, ``b`` bins, ``d`` features.

``Given[…]`` is what public functions are given: type checkers let callers hand in arrays of any kind, which
``_docs.documented`` makes tensors; within the function, and for the checks of shapes, it is the tensor.
"""

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from torch import Tensor

if TYPE_CHECKING:
    from typing import Annotated as Float
    from typing import Annotated as Int
    from typing import Annotated as Num
    from typing import Annotated as Shaped

    T = TypeVar("T")
    Given: TypeAlias = T | Any
else:
    try:
        from jaxtyping import Float, Int, Num, Shaped
    except ModuleNotFoundError:

        class _Plain:
            def __class_getitem__(cls, item):
                return item[0]

        Float = Int = Num = Shaped = _Plain

    class Given:
        def __class_getitem__(cls, item):
            return item


Scalar: TypeAlias = Float[Tensor, ""]
Logits: TypeAlias = Float[Tensor, "*logit_axes"]
Labels: TypeAlias = Shaped[Tensor, "*label_axes"]
Targets: TypeAlias = Shaped[Tensor, "*label_axes"]
Weights: TypeAlias = Num[Tensor, "*label_axes"]
SomeWeights: TypeAlias = Num[Tensor, "*weight_axes"]
PerSample: TypeAlias = Shaped[Tensor, "*n"]
Confidence: TypeAlias = Float[Tensor, " n"]
OtherConfidence: TypeAlias = Float[Tensor, " m"]
Correct: TypeAlias = Shaped[Tensor, " n"]
ProbMatrix: TypeAlias = Float[Tensor, "n c"]
ClassIndex: TypeAlias = Int[Tensor, " n"]
PerBin: TypeAlias = Float[Tensor, " b"]
CountPerBin: TypeAlias = Num[Tensor, " b"]
SumInBins: TypeAlias = Float[Tensor, "*rows b"]
CountInBins: TypeAlias = Num[Tensor, "*rows b"]
SampleWeight: TypeAlias = Num[Tensor, " n"]
InnerEdges: TypeAlias = Float[Tensor, " inner"]
Volume: TypeAlias = Shaped[Tensor, "..."]
BirthDeath: TypeAlias = Float[Tensor, "_ 2"]
Features: TypeAlias = Float[Tensor, "*n d"]
HeadWeight: TypeAlias = Float[Tensor, "c d"]
HeadBias: TypeAlias = Float[Tensor, " c"]
