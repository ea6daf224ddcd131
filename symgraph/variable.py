"""The variable users hold: :class:`Tensor`, its facts, operators and methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from symgraph.errors import UnsupportedError, UsageError
from symgraph.op import Op
from symgraph.origins import Origin, root_line
from symgraph.sizes import Dim, product
from symgraph.types import DType, TensorType, TupleType

__all__ = ["Tensor", "bind", "describe"]


class _Late:
    """The public functions, bound when they have been loaded (they are built on this module)."""

    module: Any = None


_fn = _Late()


def bind(functions: ModuleType) -> None:
    """Give the operators and methods of :class:`Tensor` their functions."""
    _fn.module = functions


class Tensor:
    """A typed value in a graph.

    ``op``, ``inputs`` and ``attrs`` say how it is computed, ``type`` what it is (``dtype``,
    ``shape``, ``ndim``); ``name`` is the user's name for inputs and shared variables. Operators and
    methods build new nodes; nothing is computed before a function is called. ``==`` is
    element-wise; compare nodes with ``is``.
    """

    __slots__ = (
        "__weakref__", "after", "attrs", "equations", "inputs", "key", "name", "op", "origin",
        "type",
    )  # fmt: skip

    op: Op
    inputs: tuple[Tensor, ...]
    attrs: Mapping[str, Any]
    type: Any
    name: str | None
    origin: Origin | None
    equations: tuple[tuple[Dim, Dim], ...]
    #: nodes that are no inputs but must run first: they find out a size this node's type depends on
    after: tuple[Tensor, ...]
    #: what makes two nodes one; None where a node has an identity of its own
    key: Any

    __array_priority__ = 1000

    # ---- facts -------------------------------------------------------------------------------

    @property
    def dtype(self) -> DType:
        """The element type."""
        try:
            dtype: DType = self.type.dtype
        except AttributeError:
            raise self._has_several() from None
        return dtype

    @property
    def shape(self) -> tuple[Any, ...]:
        """The extents: Python ints where static, sizes where only known when called."""
        try:
            shape: tuple[Any, ...] = self.type.shape
        except AttributeError:
            raise self._has_several() from None
        return shape

    @property
    def ndim(self) -> int:
        try:
            return len(self.type.shape)
        except AttributeError:
            raise self._has_several() from None

    @property
    def size(self) -> Any:
        """The number of elements, an int or a size."""
        return product(self.shape)

    @property
    def T(self) -> Tensor:
        """The matrix with its axes reversed, as in NumPy."""
        return self._call("transpose")

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged."""
        return self._call("matrix_transpose")

    @property
    def at(self) -> Any:
        """Writes as values: ``x.at[index].set(v)`` and ``x.at[index].add(v)``."""
        return _fn.module.IndexedUpdate(self)

    def _array_type(self) -> TensorType:
        if isinstance(self.type, TensorType):
            return self.type
        raise self._has_several()

    def _has_several(self) -> UsageError:
        return UsageError(f"{describe(self)} has several results; take one with [0], [1], ...")

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Tensor:
        out: Tensor = getattr(_fn.module, name)(self, *args, **kwargs)
        return out

    # ---- operators ---------------------------------------------------------------------------

    def __add__(self, other: Any) -> Tensor:
        return self._call("add", other)

    def __radd__(self, other: Any) -> Tensor:
        return _swap("add", self, other)

    def __sub__(self, other: Any) -> Tensor:
        return self._call("subtract", other)

    def __rsub__(self, other: Any) -> Tensor:
        return _swap("subtract", self, other)

    def __mul__(self, other: Any) -> Tensor:
        return self._call("multiply", other)

    def __rmul__(self, other: Any) -> Tensor:
        return _swap("multiply", self, other)

    def __truediv__(self, other: Any) -> Tensor:
        return self._call("divide", other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return _swap("divide", self, other)

    def __floordiv__(self, other: Any) -> Tensor:
        return self._call("floor_divide", other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return _swap("floor_divide", self, other)

    def __mod__(self, other: Any) -> Tensor:
        return self._call("remainder", other)

    def __rmod__(self, other: Any) -> Tensor:
        return _swap("remainder", self, other)

    def __pow__(self, other: Any) -> Tensor:
        return self._call("pow", other)

    def __rpow__(self, other: Any) -> Tensor:
        return _swap("pow", self, other)

    def __matmul__(self, other: Any) -> Tensor:
        return self._call("matmul", other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return _swap("matmul", self, other)

    def __and__(self, other: Any) -> Tensor:
        return self._call("bitwise_and", other)

    def __rand__(self, other: Any) -> Tensor:
        return _swap("bitwise_and", self, other)

    def __or__(self, other: Any) -> Tensor:
        return self._call("bitwise_or", other)

    def __ror__(self, other: Any) -> Tensor:
        return _swap("bitwise_or", self, other)

    def __xor__(self, other: Any) -> Tensor:
        return self._call("bitwise_xor", other)

    def __rxor__(self, other: Any) -> Tensor:
        return _swap("bitwise_xor", self, other)

    def __lshift__(self, other: Any) -> Tensor:
        return self._call("bitwise_left_shift", other)

    def __rlshift__(self, other: Any) -> Tensor:
        return _swap("bitwise_left_shift", self, other)

    def __rshift__(self, other: Any) -> Tensor:
        return self._call("bitwise_right_shift", other)

    def __rrshift__(self, other: Any) -> Tensor:
        return _swap("bitwise_right_shift", self, other)

    def __neg__(self) -> Tensor:
        return self._call("negative")

    def __pos__(self) -> Tensor:
        return self._call("positive")

    def __abs__(self) -> Tensor:
        return self._call("abs")

    def __invert__(self) -> Tensor:
        return self._call("bitwise_invert")

    def __lt__(self, other: Any) -> Tensor:
        return self._call("less", other)

    def __le__(self, other: Any) -> Tensor:
        return self._call("less_equal", other)

    def __gt__(self, other: Any) -> Tensor:
        return self._call("greater", other)

    def __ge__(self, other: Any) -> Tensor:
        return self._call("greater_equal", other)

    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        return self._call("equal", other)

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        return self._call("not_equal", other)

    __hash__ = object.__hash__

    def __getitem__(self, index: Any) -> Tensor:
        return self._call("getitem", index)

    # ---- methods -----------------------------------------------------------------------------

    def sum(self, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
        return self._call("sum", axis=axis, keepdims=keepdims, dtype=dtype)

    def prod(self, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
        return self._call("prod", axis=axis, keepdims=keepdims, dtype=dtype)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return self._call("mean", axis=axis, keepdims=keepdims)

    def var(self, axis: Any = None, keepdims: bool = False, correction: float = 0) -> Tensor:
        return self._call("var", axis=axis, keepdims=keepdims, correction=correction)

    def std(self, axis: Any = None, keepdims: bool = False, correction: float = 0) -> Tensor:
        return self._call("std", axis=axis, keepdims=keepdims, correction=correction)

    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return self._call("max", axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return self._call("min", axis=axis, keepdims=keepdims)

    def argmax(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return self._call("argmax", axis=axis, keepdims=keepdims)

    def argmin(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return self._call("argmin", axis=axis, keepdims=keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return self._call("any", axis=axis, keepdims=keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return self._call("all", axis=axis, keepdims=keepdims)

    def cumsum(self, axis: Any = None) -> Tensor:
        return self._call("cumulative_sum", axis=axis)

    def reshape(self, *shape: Any) -> Tensor:
        return self._call("reshape", shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Tensor:
        given = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None
        return self._call("transpose", given)

    def squeeze(self, axis: Any = None) -> Tensor:
        return self._call("squeeze", axis)

    def flatten(self) -> Tensor:
        return self._call("reshape", (-1,))

    ravel = flatten

    def astype(self, dtype: Any) -> Tensor:
        return self._call("astype", dtype)

    def dot(self, other: Any) -> Tensor:
        return self._call("dot", other)

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        return self._call("clip", min, max)

    def take(self, indices: Any, axis: Any = None) -> Tensor:
        return self._call("take", indices, axis=axis)

    def eval(self, values: Mapping[Tensor, Any] | None = None, **options: Any) -> Any:
        """The value, given arrays for the inputs it depends on: ``(x + 1).eval({x: array})``."""
        return _fn.module.evaluate_tensor(self, values, **options)

    # ---- what a symbolic value cannot do -----------------------------------------------------

    def _refuse(self, action: str, instead: str) -> UsageError:
        return UsageError(
            f"{action} of {describe(self)}: it has no value before the call; {instead}"
        )

    def __bool__(self) -> bool:
        raise self._refuse("bool()", "use sg.where(condition, a, b), & | ~, or .eval()")

    def __float__(self) -> float:
        raise self._refuse("float()", "compile it with sg.function or use .eval()")

    def __int__(self) -> int:
        raise self._refuse("int()", "compile it with sg.function or use .eval()")

    __index__ = __int__

    def __complex__(self) -> complex:
        raise self._refuse("complex()", "complex types are not supported; use .eval()")

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise self._refuse("np.asarray()", "use sg functions on it, or .eval() for its value")

    def __contains__(self, item: Any) -> bool:
        raise self._refuse("'in'", "use sg.any(x == value)")

    def __len__(self) -> int:
        if not self.shape:
            raise UsageError(f"len() of {describe(self)}: it has no axes")
        if isinstance(self.shape[0], int):
            return self.shape[0]
        raise self._refuse("len()", "use x.shape[0], which may be used as a size or a value")

    def __iter__(self) -> Iterator[Tensor]:
        if isinstance(self.type, TupleType):
            return iter([self[k] for k in range(len(self.type.items))])
        if not self.shape:
            raise UsageError(f"iteration over {describe(self)}: it has no axes")
        if not isinstance(self.shape[0], int):
            raise self._refuse("iteration", "declare a static first axis, or use array operations")
        return iter([self[k] for k in range(self.shape[0])])

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return _fn.module.call_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return _fn.module.call_array_function(func, args, kwargs)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise UnsupportedError(
            f"assignment to an element of {describe(self)}: tensors are values; "
            "write y = x.at[index].set(v) or .add(v)"
        )

    def __copy__(self) -> Tensor:
        return self

    def __deepcopy__(self, memo: Any) -> Tensor:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise UsageError(
            f"{describe(self)}: expressions cannot be pickled; save the code that makes them and "
            "the values of shared variables (w.get_value())"
        )

    def __repr__(self) -> str:
        return f"<{describe(self)}: {self.type}>"

    def __str__(self) -> str:
        return str(_fn.module.pprint_tensor(self)) if _fn.module else repr(self)

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


def _swap(name: str, right: Tensor, left: Any) -> Tensor:
    out: Tensor = getattr(_fn.module, name)(left, right)
    return out


def describe(x: Tensor) -> str:
    """A variable in an error message: its name or operation, and where the user made it."""
    line = root_line(x.origin)
    made = f" (made at {line})" if line is not None else ""
    if x.name:
        return f"{x.name}{made}"
    return f"the result of {x.op.name}{made}"
