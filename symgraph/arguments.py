"""Arrays given to a function: converted where nothing is lost, else refused with an error."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.errors import DTypeError, ShapeError, UsageError
from symgraph.tensor import Tensor, check_number, describe
from symgraph.types import shape_text

__all__ = ["bind_arguments", "convert_argument"]

Array = np.ndarray[Any, Any]
EXACT = 2.0**53  # up to here an int is a float


def bind_arguments(
    name: str, inputs: Sequence[Tensor], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> list[Any]:
    """One value for every input, from positional and keyword arguments.

    Raises:
        UsageError: too many, missing, unknown or ambiguous arguments; the message names them.
    """
    wanted = ", ".join(i.name or f"#{k}" for k, i in enumerate(inputs))
    if len(args) > len(inputs):
        raise UsageError(
            f"{name}() takes {len(inputs)} arguments ({wanted}); {len(args)} were given; drop the "
            f"last {len(args) - len(inputs)}"
        )
    values: list[Any] = [*args, *[_MISSING] * (len(inputs) - len(args))]
    for key, value in kwargs.items():
        places = [k for k, i in enumerate(inputs) if i.name == key]
        if not places:
            raise UsageError(f"{name}() has no input named {key!r}; its inputs are {wanted}")
        if len(places) > 1:
            raise UsageError(
                f"{name}(): {len(places)} inputs are named {key!r}; pass them by position"
            )
        if values[places[0]] is not _MISSING:
            raise UsageError(f"{name}(): {key!r} was given by position and by name")
        values[places[0]] = value
    missing = [i.name or f"#{k}" for k, i in enumerate(inputs) if values[k] is _MISSING]
    if missing:
        raise UsageError(f"{name}() is missing {', '.join(missing)}; its inputs are {wanted}")
    return values


_MISSING = object()


class _Argument:
    """What an error calls an argument, spelled only when there is one."""

    __slots__ = ("function", "variable")

    def __init__(self, variable: Tensor, function: str) -> None:
        self.variable, self.function = variable, function

    def __str__(self) -> str:
        return f"{self.function}: argument {describe(self.variable)}"


def convert_argument(variable: Tensor, value: Any, function: str) -> Array:
    """``value`` as a C-contiguous, aligned, native array of the declared dtype and rank.

    Arrays convert where NumPy calls the cast safe; Python numbers to the declared dtype.

    Raises:
        DTypeError, ShapeError, UsageError: naming the argument, what it was and what is wanted.
    """
    what = _Argument(variable, function)
    if isinstance(value, Tensor):
        raise UsageError(
            f"{what} got the symbolic {describe(value)}; an array is wanted (use .eval())"
        )
    if is_masked(value):
        raise UsageError(
            f"{what} got a masked array with masked elements; fill it first with "
            "array.filled(value)"
        )
    dtype = variable.dtype
    if isinstance(value, (bool, int, float)) and not isinstance(value, np.generic):
        array = _number(value, dtype, what)
    else:
        array = _array(value, dtype, what)
    if array.ndim != variable.ndim:
        raise ShapeError(
            f"{what} got an array with {array.ndim} axes, shape {array.shape}; declared "
            f"{shape_text(variable.shape)}" + _rank_cure(array.ndim, variable.ndim)
        )
    for axis, (have, want) in enumerate(zip(array.shape, variable.shape, strict=True)):
        if isinstance(want, int) and have != want:
            raise ShapeError(
                f"{what} got shape {array.shape}; declared {shape_text(variable.shape)}: "
                f"axis {axis} has size {have}, wanted {want}"
            )
    return np.require(array, dtype=dtype, requirements=["C", "A"])


def is_masked(value: Any) -> bool:
    """Whether ``value`` is a masked array with masked elements.

    There is none while nobody has imported numpy.ma, which takes longer than most compilations.
    """
    masked = sys.modules.get("numpy.ma.core")
    kind = getattr(masked, "MaskedArray", None)
    return kind is not None and isinstance(value, kind) and bool(value.mask.any())


def _rank_cure(have: int, want: int) -> str:
    if have < want:
        return "; add axes with array[None] or array[:, None]"
    return "; drop axes with array.squeeze() or array.reshape(...)"


def _number(value: Any, dtype: Any, what: _Argument) -> Array:
    if dtype.kind == "f" and -EXACT <= value <= EXACT:
        return np.array(value, dtype)
    if dtype.kind == "b" and not isinstance(value, bool):
        raise DTypeError(
            f"{what} got the number {value!r}; declared bool, so True or False is wanted"
        )
    if dtype.kind in "iu" and isinstance(value, float):
        raise DTypeError(f"{what} got the float {value!r}; declared {dtype.name}: pass an int")
    return check_number(value, dtype, str(what), "pass one in that range, or declare a wider dtype")


def _array(value: Any, dtype: Any, what: _Argument) -> Array:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{what} got {type(value).__name__}, which is not an array; make its rows equally long "
            f"({error})"
        ) from None
    kind = type(value).__name__
    if array.dtype == dtype:
        return array
    if array.dtype.kind not in "biuf":
        raise DTypeError(
            f"{what} got {kind} of dtype {array.dtype}; declared {dtype.name}, so pass an array of "
            "real numbers"
        )
    if isinstance(value, (list, tuple)):
        if _plain_numbers(array, dtype):
            return array.astype(dtype)
        raise DTypeError(
            f"{what} got a {kind} with numbers that {dtype.name} cannot hold; declared "
            f"{dtype.name}: pass numbers "
            "that fit, or declare another dtype"
        )
    if np.can_cast(array.dtype, dtype, "safe"):
        return array.astype(dtype)
    raise DTypeError(
        f"{what} got dtype {array.dtype.name}; declared {dtype.name}, and the conversion could "
        "lose values: "
        f"write array.astype({dtype.name!r})"
    )


def _plain_numbers(array: Array, dtype: Any) -> bool:
    """Whether a list of Python numbers fits: ints in range, floats into floats."""
    if dtype.kind == "f":
        return array.dtype.kind in "iuf"
    if dtype.kind not in "iu" or array.dtype.kind not in "iu":
        return array.size == 0
    limits = np.iinfo(dtype)
    return bool(array.size == 0 or (array.min() >= limits.min and array.max() <= limits.max))
