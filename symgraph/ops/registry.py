"""The table of all operations, and the type rules most of them share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symgraph.errors import DTypeError, GraphError
from symgraph.op import Attrs, Equations, Evaluate, Infer, Op
from symgraph.types import DTYPES, DType, TensorType, broadcast_shapes

__all__ = ["NUMERIC", "OPS", "declare", "elementwise"]

#: Every operation of the language by name.
OPS: dict[str, Op] = {}

NUMERIC = "iuf"


def declare(name: str, infer: Infer, evaluate: Evaluate, traits: str = "", doc: str = "") -> Op:
    """Add an operation to the language."""
    if name in OPS:
        raise GraphError(f"operation {name!r} is declared twice")
    OPS[name] = op = Op(name, infer, evaluate, frozenset(traits.split()), doc=doc)
    return op


def elementwise(
    name: str,
    evaluate: Callable[..., Any],
    *,
    kinds: str = "f",
    result: str = "same",
    traits: str = "",
    doc: str = "",
) -> Op:
    """Declare an op applied element by element to broadcast operands of one dtype.

    ``kinds`` are the dtype kinds it takes (``b``, ``i``, ``u``, ``f``); ``result`` is ``same`` or
    the name of a dtype.
    """

    fixed = None if result == "same" else DTYPES[result]

    def infer(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
        dtype, first = common_dtype(name, types, kinds), types[0]
        if types.count(first) == len(types):
            return first if fixed is None else TensorType(fixed, first.shape, first.weak)
        shape = broadcast_shapes(name, [t.shape for t in types], equations)
        weak = all(t.weak for t in types)
        return TensorType(dtype if fixed is None else fixed, shape, weak)

    return declare(name, infer, evaluate, "elementwise " + traits, doc)


def common_dtype(name: str, types: tuple[TensorType, ...], kinds: str) -> DType:
    """The one dtype of the operands, checked against what the op takes."""
    dtype = types[0].dtype
    for t in types[1:]:
        if t.dtype is not dtype and t.dtype != dtype:
            raise DTypeError(
                f"{name}: operands are {dtype.name} and {t.dtype.name}; cast one with astype"
            )
    if dtype.kind not in kinds:
        raise DTypeError(f"{name} is not defined for {dtype.name}; cast with astype first")
    return dtype
