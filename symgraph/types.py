"""The types of variables (an element type with a shape, or a tuple); NumPy 2's promotion."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import DTypeError, ShapeError
from symgraph.sizes import Dim, Size, differ, fresh, symbol

__all__ = [
    "DTYPES",
    "DType",
    "TensorType",
    "TupleType",
    "Type",
    "as_dtype",
    "broadcast_dims",
    "broadcast_shapes",
    "equate",
    "float_for",
    "parse_shape",
    "promote",
    "shape_text",
]

DType = np.dtype[Any]

_NAMES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32",
    "float64",
)  # fmt: skip

#: The element types, by name.
DTYPES: dict[str, DType] = {name: np.dtype(name) for name in _NAMES}

Equation = tuple[Dim, Dim]


def shape_text(shape: tuple[Dim, ...]) -> str:
    """A shape as Python would spell the tuple, sizes by name."""
    inner = ", ".join(map(str, shape))
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


@dataclass(frozen=True, slots=True)
class TensorType:
    """An array type; ``weak`` values take part in promotion like Python numbers do."""

    dtype: DType
    shape: tuple[Dim, ...]
    weak: bool = False

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype.name}[{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class TupleType:
    """The type of an operation with several results."""

    items: tuple[TensorType, ...]

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.items))})"


Type = TensorType | TupleType


@functools.lru_cache(maxsize=256)
def as_dtype(spec: Any) -> DType:
    """The supported dtype that ``spec`` names, in native byte order.

    Raises:
        DTypeError: not a dtype, or one symgraph does not have.
    """
    try:
        dtype = np.dtype(spec)
    except TypeError:
        raise DTypeError(
            f"dtype={spec!r} is not an element type; use one of {', '.join(_NAMES)}"
        ) from None
    name = "int64" if dtype == np.int64 else "uint64" if dtype == np.uint64 else dtype.name
    if name not in DTYPES or not dtype.isnative:
        raise DTypeError(
            f"dtype {dtype.str if not dtype.isnative else dtype.name} is not supported; "
            f"use one of {', '.join(_NAMES)} in native byte order"
        )
    return DTYPES[name]


def parse_shape(shape: Any) -> tuple[Dim, ...]:
    """A declared shape: ints, names, sizes, or None for a size nobody has named.

    Raises:
        ShapeError: an entry is negative or of another kind.
    """
    if isinstance(shape, (int, str, Size)) or shape is None:
        shape = (shape,)
    if not isinstance(shape, (list, tuple)):
        raise ShapeError(
            f"shape={shape!r} is not a shape; use an int, a name, None, or a tuple of them"
        )
    return tuple(_parse_dim(d, shape) for d in shape)


def _parse_dim(d: Any, shape: Any) -> Dim:
    if d is None:
        return fresh()
    if isinstance(d, Size):
        return d
    if isinstance(d, str):
        if not d.isidentifier() or d.startswith("_"):
            raise ShapeError(
                f"shape={shape!r}: {d!r} is not a size name; use an identifier that does not start "
                "with _"
            )
        return symbol(d)
    if isinstance(d, (int, np.integer)) and not isinstance(d, bool):
        if d < 0:
            raise ShapeError(
                f"shape={shape!r}: the size {d} is negative; use a name or None for a size not "
                "known yet"
            )
        return int(d)
    raise ShapeError(f"shape={shape!r}: {d!r} is not a size; use an int, a name, or None")


def float_for(dtype: DType) -> DType:
    """The floating type an operation such as ``exp`` computes an operand of ``dtype`` in."""
    return dtype if dtype.kind == "f" else DTYPES["float64"]


def _weak_kind(dtype: DType) -> Any:
    return {"b": False, "i": 0, "u": 0, "f": 0.0}[dtype.kind]


@functools.lru_cache(maxsize=4096)
def promote(*operands: tuple[DType, bool]) -> tuple[DType, bool]:
    """NumPy 2's common type of (dtype, weak) operands, and whether it is still weak.

    uint64 with a signed integer is float64, as in NumPy. A weak operand has the kind of a Python
    number: it never widens a strong operand of its own or a higher kind.
    """
    strong = [d for d, weak in operands if not weak]
    if not strong:
        kinds = {d.kind for d, _ in operands}
        name = "float64" if "f" in kinds else "int64" if kinds & {"i", "u"} else "bool"
        return DTYPES[name], True
    base = functools.reduce(np.promote_types, strong)
    for d, weak in operands:
        if weak:
            base = np.result_type(base, _weak_kind(d))
    return DTYPES[base.name], False


def equate(a: Dim, b: Dim, equations: list[Equation]) -> Dim | None:
    """One dim for two that must be equal (the static or earlier one); None if they never are.

    A pair that is not provably equal is added to ``equations``, to be checked when called.
    """
    if a == b:
        return a
    if differ(a, b):
        return None
    equations.append((a, b))
    return b if type(b) is int else a


def broadcast_dims(a: Dim, b: Dim, equations: list[Equation]) -> Dim | None:
    """The common extent of two axes; only a literal 1 stretches. None if they do not fit."""
    if type(a) is int and a == 1:
        return b
    if type(b) is int and b == 1:
        return a
    return equate(a, b, equations)


def broadcast_shapes(
    what: str, shapes: list[tuple[Dim, ...]], equations: list[Equation]
) -> tuple[Dim, ...]:
    """The shape of an element-wise result; axes align at the right.

    Raises:
        ShapeError: two sizes of one axis can never be equal.
    """
    first = shapes[0]
    if shapes.count(first) == len(shapes):
        return first
    rank = max(map(len, shapes))
    out: list[Dim] = []
    for axis in range(-rank, 0):
        dim: Dim = 1
        for s in shapes:
            if len(s) >= -axis and s[axis] is not dim:
                met = broadcast_dims(dim, s[axis], equations)
                if met is None:
                    spelled = " and ".join(map(shape_text, shapes))
                    raise ShapeError(
                        f"{what}: shapes {spelled} do not broadcast "
                        f"(axis {axis}: {dim} against {s[axis]})"
                    )
                dim = met
        out.append(dim)
    return tuple(out)
