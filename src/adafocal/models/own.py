# SPDX-License-Identifier: Apache-2.0
"""Models of the user's own: a class of ``nn.Module``, or a function that returns one."""

from collections.abc import Collection, Mapping, Sequence

from torch import nn

from adafocal._own import find, telling
from adafocal._typed import parameters_of, typed_arguments
from adafocal.errors import InvalidTypeError, InvalidValueError


def own_model(
    name: str,
    arguments: Mapping[str, object] | None = None,
    *,
    input_shape: Sequence[int],
    n_classes: int,
    vocabulary: Sequence[str] | None = None,
    built_in: Collection[str] = (),
) -> nn.Module:
    """Import a model of the user's own and build it; see :func:`adafocal.models.make_model`.

    It is given what it names of ``input_shape``, ``n_classes`` and ``vocabulary``, and its own arguments.

    Raises:
        TypeError: If it gives no module, or an argument is of another type than its annotation says.
        ValueError: If there is no such thing, its signature does not take the arguments, or it asks for words of data
            that have none.
        RuntimeError: If its own code raises something.
    """
    function = find("model", name, built_in)
    of_data = {"input_shape": tuple(input_shape), "n_classes": n_classes, "vocabulary": vocabulary}
    typed = typed_arguments("model_args", name, function, arguments, ours=tuple(of_data))
    takes = parameters_of("model", name, function)
    asked = takes.get("vocabulary")
    if vocabulary is None and asked is not None and asked.default is asked.empty:
        raise InvalidValueError(f"`model` must suit the data, got {name}, which reads words, for data without them.")
    given = {key: value for key, value in of_data.items() if key in takes and value is not None}
    with telling("model", name, [function.__module__ or ""]):
        model = function(**given, **typed)
    if not isinstance(model, nn.Module):
        raise InvalidTypeError(
            f"`model` must name a class of nn.Module or a function that returns one, got {name}, which gives "
            f"{type(model).__name__}."
        )
    return model
