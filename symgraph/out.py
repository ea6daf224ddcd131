"""``f(..., out=array)``: results written into arrays of the caller's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.errors import DTypeError, ShapeError, UnsupportedError, UsageError
from symgraph.program import Signature
from symgraph.sizes import Atom, evaluate, symbols_of
from symgraph.tensor import Tensor

__all__ = ["check_out", "take_out", "write_out"]

Array = np.ndarray[Any, Any]


def take_out(signature: Signature, kwargs: dict[str, Any]) -> Any:
    """Take ``out`` out of the keyword arguments; None where it is not given.

    An input named "out" has precedence: then the keyword is that input.
    """
    if any(variable.name == "out" for variable in signature.inputs):
        return None
    return kwargs.pop("out", None)


def check_out(
    signature: Signature, results: Sequence[Tensor], out: Any, sizes: Mapping[Atom, int]
) -> list[Array]:
    """The arrays in ``out``, in the order of the results, once each is known to fit.

    Raises:
        UsageError, DTypeError, ShapeError: naming what does not fit.
        UnsupportedError: the size of a result is known only after the call.
    """
    named = spread_out(signature, out)
    known: dict[int, str] = {}
    for (what, array), result in zip(named, results[: signature.n_outputs], strict=True):
        check_one(what, array, result, sizes)
        other = known.setdefault(id(array), what)
        if other != what:
            raise UsageError(f"{what} is the same array as {other}; each result needs its own")
    return [array for _, array in named]


def write_out(targets: Sequence[Array], values: Sequence[Array]) -> None:
    """Copy the results; none of them shares memory with a target that is not its own."""
    for target, value in zip(targets, values, strict=True):
        if target is not value:
            np.copyto(target, value)


def spread_out(signature: Signature, out: Any) -> list[tuple[str, Any]]:
    """Each array with the name that an error gives it."""
    name, form, count = signature.name, signature.form, signature.n_outputs
    if form == "one":
        return [(f"{name}: out", out)]
    if form == "none":
        raise UsageError(f"{name}() has no results; drop out=")
    if form == "dict":
        if not isinstance(out, Mapping) or set(out) != set(signature.keys):
            have = list(out) if isinstance(out, Mapping) else type(out).__name__
            raise UsageError(
                f"{name}: out is {have}; a dict with the keys {list(signature.keys)} is wanted"
            )
        return [(f"{name}: out[{key!r}]", out[key]) for key in signature.keys]
    if not isinstance(out, (list, tuple)) or len(out) != count:
        have = f"{len(out)} arrays" if isinstance(out, (list, tuple)) else type(out).__name__
        raise UsageError(f"{name}: out is {have}; a {form} of {count} arrays is wanted")
    return [(f"{name}: out[{k}]", array) for k, array in enumerate(out)]


def check_one(what: str, array: Any, result: Tensor, sizes: Mapping[Atom, int]) -> None:
    """Raise unless ``array`` can hold ``result`` exactly as it is."""
    if not isinstance(array, np.ndarray):
        raise UsageError(
            f"{what} is {type(array).__name__}, not an array; pass numpy.empty(shape, "
            f"{result.dtype.name!r})"
        )
    if array.dtype != result.dtype:
        raise DTypeError(
            f"{what} has dtype {array.dtype}; the result has {result.dtype.name}, and nothing is "
            "converted: pass an array of that dtype"
        )
    unknown = {atom for dim in result.shape for atom in symbols_of(dim)} - sizes.keys()
    if unknown:
        raise UnsupportedError(
            f"{what}: the shape {result.shape} of the result is known only after the call; leave "
            "out= away"
        )
    shape = tuple(evaluate(dim, sizes) for dim in result.shape)
    if array.shape != shape:
        raise ShapeError(f"{what} has shape {array.shape}; the result has {shape} in this call")
    if not array.flags.writeable:
        raise UsageError(f"{what} is read-only; pass a writeable array")
