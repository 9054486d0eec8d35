# SPDX-License-Identifier: Apache-2.0
"""What people hold their numbers in, as tensors: NumPy, lists, columns of pandas, polars or Arrow."""

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeAlias, TypeVar, get_args

import numpy as np
import torch
from torch import Tensor

from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.tables.labels import as_coded, cluster_codes
from adafocal.tables.piece import RowError

# Whatever NumPy makes an array of: pandas, polars and Arrow columns have `__array__`.
ArrayLike: TypeAlias = Tensor | np.ndarray | Sequence[Any] | Any
Function = TypeVar("Function", bound=Callable[..., Any])


def takes_arrays(function: Function) -> Function:
    """Make arrays of what is given for tensors: the arguments whose annotation is one, or one or None.

    Tensors pass as they are. What is neither passes, too, for the function's own sentence. What becomes a tensor goes
    where the first tensor among the arguments lies.
    """
    names = list(inspect.signature(function).parameters)
    taken = {name for name, one in inspect.signature(function).parameters.items() if _of_tensor(one.annotation)}
    if not taken:
        return function

    @wraps(function)
    def with_tensors(*args: Any, **options: Any) -> Any:
        given = dict(zip(names, args, strict=False)) | options
        arrays = {name: value for name, value in given.items() if name in taken and _is_array(value)}
        if not arrays:
            return function(*args, **options)
        device = next((value.device for value in given.values() if isinstance(value, Tensor)), None)
        made = {name: as_tensor(name, value, "numbers").to(device) for name, value in arrays.items()}
        positional = [made.get(name, value) for name, value in zip(names, args, strict=False)]
        return function(*positional, *args[len(names) :], **(options | {k: v for k, v in made.items() if k in options}))

    return with_tensors  # type: ignore[return-value]


def _of_tensor(annotation: Any) -> bool:
    # Where shapes are checked, an annotation knows of which kind of array it is.
    return any(getattr(one, "array_type", one) is Tensor for one in (annotation, *get_args(annotation)))


def _is_array(values: object) -> bool:
    return not isinstance(values, Tensor) and (isinstance(values, (list, tuple)) or hasattr(values, "__array__"))


def as_array(name: str, values: ArrayLike) -> np.ndarray:
    """Turn what is no tensor into an array.

    Raises:
        TypeError: If it is nothing that holds values in rows.
        ValueError: If rows are of different lengths.
    """
    if isinstance(values, np.ndarray):
        return values
    if not _is_array(values):
        raise InvalidTypeError(f"`{name}` must be a tensor or an array, got {type(values).__name__}.")
    try:
        array = np.asarray(values)
        # A column of lists, as tables hold probabilities.
        if array.dtype == object and array.ndim == 1 and len(array) and isinstance(array[0], (list, tuple, np.ndarray)):
            array = np.asarray([np.asarray(row) for row in array])
        # A column of numbers in which a value is missing comes as objects.
        if array.dtype == object and all(isinstance(value, (int, float, np.number)) for value in array.flat):
            array = array.astype(np.float64)
    except OverflowError as error:
        raise InvalidValueError(f"`{name}` must hold numbers of float64, got one beyond them.") from error
    except (ValueError, TypeError) as error:
        raise InvalidValueError(f"`{name}` must have rows of one length, got {type(values).__name__}.") from error
    return array


def as_tensor(name: str, values: ArrayLike, rule: str) -> Tensor:
    """Turn values into a tensor without gradient, where possible without a copy.

    Raises:
        TypeError: If they are not what ``rule`` says.
    """
    if isinstance(values, Tensor):
        return values.detach()
    array = as_array(name, values)
    if array.dtype.kind not in "iufcb":
        raise InvalidTypeError(f"`{name}` must be {rule}, got dtype {array.dtype}.")
    # NumPy has unsigned integers that PyTorch can hardly compute with, and bytes in another order.
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        if array.size and array.max() > np.iinfo(np.int64).max:
            raise InvalidValueError(f"`{name}` must be below 2^63, got {array.max()}.")
        array = array.astype(np.int64)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    # PyTorch warns of memory that may not be written, such as Arrow's, and takes no negative strides.
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()
    return torch.as_tensor(array)


def as_numbers(name: str, values: ArrayLike) -> Tensor:
    """Turn real numbers into a tensor without gradient, where possible without a copy.

    Raises:
        TypeError: If they are no real numbers.
    """
    tensor = as_tensor(name, values, "numbers")
    if tensor.is_complex() or tensor.dtype == torch.bool:
        raise InvalidTypeError(f"`{name}` must be numbers, got dtype {tensor.dtype}.")
    return tensor


def checked_cluster(cluster: ArrayLike | None, n: int, *, of: str, name: str = "cluster") -> Tensor | None:
    """Number what each of ``n`` rows belongs to, int64, shape (n,); the same in every part of the data.

    Raises:
        TypeError: If there is more than one plain value per row.
        ValueError: If there is not one per row.
    """
    if cluster is None:
        return None
    array = cluster.detach().cpu().numpy() if isinstance(cluster, Tensor) else as_array(name, cluster)
    if array.shape != (n,):
        raise InvalidValueError(f"`{name}` must have one value per row of `{of}`, {n}, got {array.shape}.")
    if array.dtype.kind not in "iu":
        array = cluster_codes(as_coded(array, name), name)
    return torch.as_tensor(array.astype(np.int64))


def checked_weight(weight: ArrayLike | None, n: int, *, of: str) -> Tensor | None:
    """Check how much each of ``n`` rows counts.

    Raises:
        TypeError: If weights are no numbers.
        ValueError: If they are not finite, negative, or not one per row.
    """
    if weight is None:
        return None
    tensor = as_numbers("weight", weight)
    tensor = tensor if tensor.dtype == torch.float64 else tensor.float()
    if tuple(tensor.shape) != (n,):
        raise InvalidValueError(f"`weight` must have one number per row of `{of}`, {n}, got {tuple(tensor.shape)}.")
    good = tensor.isfinite() & (tensor >= 0)
    if not good.all():
        row = int((~good).nonzero()[0])
        raise RowError(f"`weight` must be finite and >= 0, got {float(tensor[row]):g}", row)
    return tensor
