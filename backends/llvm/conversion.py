"""Arguments that machine code does not take at once, made into arrays that it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.arguments import bind_arguments, convert_argument
from symgraph.cell import SharedCell
from symgraph.program import Signature
from symgraph.tensor import Tensor

__all__ = ["converter"]

Array = np.ndarray[Any, Any]


def converter(signature: Signature) -> Callable[..., tuple[Array, ...]]:
    """A function from the arguments of a call to one clean array for each input.

    It raises what `bind_arguments` and `convert_argument` raise.
    """
    inputs, name = signature.inputs, signature.name
    kinds = [np.dtype(v.dtype.type) for v in inputs]  # the one descriptor the entry knows
    cells = [variable.cell for variable in signature.updated]

    def convert(*args: Any, **kwargs: Any) -> tuple[Array, ...]:
        by_place = len(args) == len(inputs) and not kwargs
        given = args if by_place else bind_arguments(name, inputs, args, kwargs)
        rows = zip(inputs, kinds, given, strict=True)
        arrays = [clean(variable, kind, value, name) for variable, kind, value in rows]
        if cells:  # a copy keeps the old value of what the call changes
            arrays = [a.copy() if meets(a, cells) else a for a in arrays]
        return tuple(arrays)

    return convert


def meets(array: Array, cells: Sequence[SharedCell]) -> bool:
    """Whether an array may be memory of one of these shared variables."""
    return any(np.may_share_memory(array, cell.array) for cell in cells)


def clean(variable: Tensor, kind: np.dtype[Any], value: Any, name: str) -> Array:
    """``value`` as exactly an ndarray of ``kind``, C-contiguous and aligned: copied once or not."""
    if type(value) is np.ndarray and value.dtype is kind and value.ndim == variable.ndim:
        sizes = zip(variable.shape, value.shape, strict=True)
        if all(have == want or type(want) is not int for want, have in sizes):
            flags = value.flags
            return value if flags.c_contiguous and flags.aligned else value.copy(order="C")
    array = np.ascontiguousarray(convert_argument(variable, value, name)).reshape(np.shape(value))
    plain = array if type(array) is np.ndarray else array.view(np.ndarray)
    return plain if plain.dtype is kind else plain.view(kind)
