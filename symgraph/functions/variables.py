"""Declaring variables: inputs, shared variables, constants; and turning operands into tensors."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.cell import SharedCell
from symgraph.errors import DTypeError, ShapeError, UsageError
from symgraph.op import Op
from symgraph.ops import elementwise, leaves
from symgraph.sizes import Dim, Size
from symgraph.tensor import Tensor, apply, check_number, describe, leaf, leaf_of
from symgraph.types import DTYPES, DType, TensorType, as_dtype, parse_shape, promote, shape_text

__all__ = [
    "SharedVariable",
    "as_tensor",
    "constant",
    "elementwise_node",
    "matrix",
    "promoted",
    "scalar",
    "shared",
    "size_value",
    "tensor",
    "tensor3",
    "vector",
]


def tensor(name: str | None = None, shape: Any = (), dtype: Any = "float64") -> Tensor:
    """Declare an input of the given shape and dtype.

    ``shape`` holds ints, names (equal names are equal sizes) or None (any size).

    Raises:
        ShapeError, DTypeError: an entry that is no size, a dtype that is not supported.

    >>> x = tensor("x", shape=("n", 3), dtype="float32")
    >>> x.type
    TensorType(dtype=dtype('float32'), shape=(n, 3), weak=False)
    """
    if name is not None and not isinstance(name, str):
        raise UsageError(
            f"tensor: the name is {name!r}, not a string; shape and dtype come after it"
        )
    return leaf(leaves.input_, {}, TensorType(as_dtype(dtype), parse_shape(shape)), name)


def _of_rank(kind: str, rank: int, name: str | None, shape: Any, dtype: Any) -> Tensor:
    dims = parse_shape((None,) * rank if shape is None else shape)
    if len(dims) != rank:
        raise ShapeError(
            f"{kind}: shape {shape_text(dims)} has {len(dims)} axes, not {rank}; use sg.tensor"
        )
    return leaf(leaves.input_, {}, TensorType(as_dtype(dtype), dims), name)


def scalar(name: str | None = None, dtype: Any = "float64") -> Tensor:
    """Declare a 0-d input."""
    return _of_rank("scalar", 0, name, (), dtype)


def vector(name: str | None = None, shape: Any = None, dtype: Any = "float64") -> Tensor:
    """Declare an input with one axis."""
    return _of_rank("vector", 1, name, shape, dtype)


def matrix(name: str | None = None, shape: Any = None, dtype: Any = "float64") -> Tensor:
    """Declare an input with two axes."""
    return _of_rank("matrix", 2, name, shape, dtype)


def tensor3(name: str | None = None, shape: Any = None, dtype: Any = "float64") -> Tensor:
    """Declare an input with three axes."""
    return _of_rank("tensor3", 3, name, shape, dtype)


# ---- shared variables ----------------------------------------------------------------------------


class SharedVariable(Tensor):
    """A variable with a value that functions read and, through ``updates``, replace."""

    __slots__ = ("cell",)

    cell: SharedCell

    def get_value(self, borrow: bool = False) -> np.ndarray[Any, Any]:
        """The current value: a copy, or with ``borrow=True`` a read-only view of the memory."""
        if not borrow:
            return self.cell.copy()
        view = self.cell.array.view()
        view.flags.writeable = False
        return view

    def set_value(self, value: Any) -> None:
        """Replace the value; where dtype or shape do not fit it raises and changes nothing."""
        self.cell.replace(_checked_value(self, value))


def _checked_value(variable: SharedVariable, value: Any) -> np.ndarray[Any, Any]:
    array = _plain_array(value, f"set_value of {describe(variable)}")
    if not np.can_cast(
        array.dtype, variable.dtype, "safe" if not _is_number(value) else "same_kind"
    ):
        raise DTypeError(
            f"set_value of {describe(variable)}: the value is {array.dtype.name}, "
            f"the variable {variable.dtype.name}; convert it with .astype({variable.dtype.name!r})"
        )
    want = variable.cell.array.shape if variable.cell.static else None
    fits = array.shape == want if want is not None else _matches(array.shape, variable.shape)
    if not fits:
        raise ShapeError(
            f"set_value of {describe(variable)}: the value has shape {array.shape}, "
            f"the variable {shape_text(variable.shape)}"
        )
    return np.array(array, variable.dtype, order="C")


def _matches(have: tuple[int, ...], want: tuple[Dim, ...]) -> bool:
    return len(have) == len(want) and all(
        isinstance(w, Size) or h == w for h, w in zip(have, want, strict=True)
    )


def shared(
    value: Any, name: str | None = None, shape: Any = None, dtype: Any = None
) -> SharedVariable:
    """A variable holding a copy of ``value``; its shape is static unless ``shape`` says otherwise.

    >>> w = shared(np.zeros(2), name="w")
    >>> w.set_value([1, 2]); w.get_value()
    array([1., 2.])
    """
    array = _plain_array(value, "shared")
    array = np.array(array, as_dtype(dtype if dtype is not None else array.dtype), order="C")
    dims = parse_shape(array.shape if shape is None else shape)
    if not _matches(array.shape, dims):
        raise ShapeError(
            f"shared: the value has shape {array.shape}, not the declared {shape_text(dims)}"
        )
    out = leaf_of(SharedVariable, leaves.shared, TensorType(array.dtype, dims), name)
    out.cell = SharedCell(array, static=shape is None)
    return out


# ---- constants and operands ----------------------------------------------------------------------


def _is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float)) and not isinstance(value, np.generic)


def _plain_array(value: Any, what: str) -> np.ndarray[Any, Any]:
    if isinstance(value, Tensor):
        raise UsageError(f"{what}: {describe(value)} is symbolic; an array is wanted (use .eval())")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{what}: this {type(value).__name__} is not an array; make its rows equally long "
            f"({error})"
        ) from None
    if array.dtype.kind not in "biuf":
        raise DTypeError(
            f"{what}: a value of dtype {array.dtype} (from {type(value).__name__}) is not "
            "supported; "
            "symgraph has bool, integers, float32 and float64"
        )
    if array.dtype.name == "float16" or array.dtype.itemsize > 8:
        raise DTypeError(
            f"{what}: dtype {array.dtype} is not supported; convert it to float32 or float64"
        )
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def constant(value: Any, dtype: Any = None) -> Tensor:
    """A literal array (copied, read-only). A Python number without ``dtype`` stays weak.

    >>> constant([1.0, 2.0]).type.dtype, constant(2).type.weak
    (dtype('float64'), True)
    """
    if isinstance(value, Tensor):
        return value if dtype is None else cast(value, as_dtype(dtype))
    if isinstance(value, Size):
        return size_value(value)
    if (
        isinstance(value, (int, float))
        and not isinstance(value, (bool, np.generic))
        and dtype is None
    ):
        kind = DTYPES["int64" if isinstance(value, int) else "float64"]
        return _number(value, kind, "constant", weak=True)
    if isinstance(value, bool) and dtype is None:
        return _literal(np.array(value), weak=True)
    if dtype is not None and _is_number(value):
        return _literal(check_number(value, as_dtype(dtype), "constant"))
    if isinstance(value, (list, tuple)) and any(isinstance(v, Tensor) for v in value):
        raise UsageError(
            "constant: a list of tensors is not an array; join them with sg.stack or sg.concat"
        )
    array = _plain_array(value, "constant")
    return _literal(
        np.array(array, as_dtype(dtype if dtype is not None else array.dtype), order="C")
    )


def _literal(array: np.ndarray[Any, Any], weak: bool = False) -> Tensor:
    array = np.array(array, DTYPES[array.dtype.name], order="C")
    array.flags.writeable = False
    return _frozen_literal(array, weak)


def _frozen_literal(array: np.ndarray[Any, Any], weak: bool = False) -> Tensor:
    """The constant of an array that nobody can write to."""
    if array.size > 64:
        return leaf(leaves.constant, {"value": array}, TensorType(array.dtype, array.shape), None)
    return apply(
        leaves.constant, (), (("value", array), ("weak", True)) if weak else (("value", array),)
    )


def number(value: float | int | bool, dtype: DType) -> Tensor:
    """A 0-d constant of exactly this dtype."""
    return _number(value, dtype, "constant")


def _number(value: float | int | bool, dtype: DType, what: str, weak: bool = False) -> Tensor:
    sign = math.copysign(1, value) if value == 0 else 1.0
    return _frozen_literal(_checked_number(value, sign, dtype, what), weak)


@functools.lru_cache(maxsize=1024, typed=True)
def _checked_number(value: Any, sign: float, dtype: DType, what: str) -> np.ndarray[Any, Any]:
    """A number as an array nobody can write to; 0.0 and -0.0 are told apart by their sign."""
    array = check_number(value, dtype, what)
    array.flags.writeable = False
    return array


def size_value(dim: Dim, dtype: DType | None = None) -> Tensor:
    """A size as a 0-d value: weak int64, or of the given dtype."""
    if isinstance(dim, int):
        return constant(dim) if dtype is None else number(dim, dtype)
    if dtype is None:
        return apply(leaves.size, (), (("dim", dim), ("dtype", DTYPES["int64"]), ("weak", True)))
    return apply(leaves.size, (), (("dim", dim), ("dtype", dtype)))


Size.to_value = staticmethod(size_value)


def as_tensor(value: Any, what: str = "operand") -> Tensor:
    """``value`` as a tensor; raises UsageError for what cannot be one."""
    if isinstance(value, Tensor):
        return value
    if value is None or isinstance(value, (str, bytes, Mapping)):
        raise UsageError(
            f"{what}: {value!r} is not a tensor, array or number; declare a variable with sg.tensor"
        )
    return constant(value)


def cast(x: Tensor, dtype: DType) -> Tensor:
    """x as ``dtype``: x itself, a converted literal or size, or an ``astype`` node."""
    type_ = x._array_type()
    if type_.dtype == dtype and not type_.weak:
        return x
    if x.op is leaves.constant and (type_.weak or x.type.shape == ()):
        with np.errstate(all="ignore"):
            return _literal(np.asarray(x.attrs["value"]).astype(dtype))
    if x.op is leaves.size:
        return size_value(x.attrs["dim"], dtype)
    return apply(elementwise.astype, (x,), (("dtype", dtype),))


def promoted(what: str, *values: Any, floating: bool = False) -> tuple[Tensor, ...]:
    """The operands in one dtype by NumPy 2's promotion; ``floating`` makes integers float64."""
    if _agree(values, floating):
        return values
    operands: list[tuple[DType, bool]] = []
    made: list[Any] = []
    for value in values:
        if _is_number(value):
            kind = (
                "bool"
                if isinstance(value, bool)
                else "int64"
                if isinstance(value, int)
                else "float64"
            )
            operands.append((DTYPES[kind], True))
            made.append(value)
        else:
            t = as_tensor(value, what)
            operands.append((t._array_type().dtype, t.type.weak))
            made.append(t)
    dtype, weak = promote(*operands)
    if floating and dtype.kind != "f":
        dtype = DTYPES["float64"]
    return tuple([_to(what, v, dtype, weak) for v in made])


def _agree(values: tuple[Any, ...], floating: bool) -> bool:
    """Whether promotion would leave the values as they are: tensors of one dtype, none weak."""
    dtype: DType | None = None
    for value in values:
        if not isinstance(value, Tensor):
            return False
        type_ = value.type
        if not isinstance(type_, TensorType) or type_.weak:
            return False
        if dtype is None:
            dtype = type_.dtype
        elif type_.dtype is not dtype:
            return False
    return dtype is not None and (not floating or dtype.kind == "f")


def _to(what: str, value: Any, dtype: DType, weak: bool) -> Tensor:
    if not isinstance(value, Tensor):
        return _number(value, dtype, what, weak)
    return _weakly(value, dtype) if weak else cast(value, dtype)


def _weakly(x: Tensor, dtype: DType) -> Tensor:
    """A weak value as ``dtype``, still weak: so x / (n / 2) keeps x's float32."""
    if x.type.dtype == dtype:
        return x
    if x.op is leaves.constant:
        return _literal(np.asarray(x.attrs["value"]).astype(dtype), weak=True)
    more = (("dtype", dtype), ("weak", True))
    if x.op is leaves.size:
        return apply(leaves.size, (), (("dim", x.attrs["dim"]), *more))
    return apply(elementwise.astype, (x,), more)


def elementwise_node(op: Op, *values: Any, floating: bool = False) -> Tensor:
    """``op`` on promoted operands."""
    return apply(op, promoted(op.name, *values, floating=floating))


def as_tensors(values: Sequence[Any], what: str) -> tuple[Tensor, ...]:
    """Every value as a tensor."""
    return tuple(as_tensor(v, what) for v in values)
