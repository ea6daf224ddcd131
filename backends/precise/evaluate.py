"""Walk a graph in arithmetic of many bits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import mpmath
import numpy as np

from symgraph.backends.precise.rows import ARRAYS
from symgraph.backends.precise.scalars import REAL, TRUTH, guarded
from symgraph.backends.reference.evaluate import bind_sizes, check_equations, resolve
from symgraph.errors import UnsupportedError, UsageError
from symgraph.graph import Graph
from symgraph.op import Op
from symgraph.ops import OPS, leaves
from symgraph.ops import elementwise as e
from symgraph.ops import index as index_ops
from symgraph.origins import root_line
from symgraph.sizes import Atom, symbols_of
from symgraph.tensor import Tensor, describe

__all__ = ["agree", "at_precision", "difference", "exact", "rounded"]

Array = np.ndarray[Any, Any]
_cache: dict[str, Callable[..., Any]] = {}


def exact(values: Any) -> Array:
    """Floats as mpmath numbers, exactly; other arrays as they are."""
    array = np.asarray(values)
    if array.dtype.kind != "f":
        return array
    out = np.empty(array.shape, object)
    out.reshape(-1)[:] = [mpmath.mpf(float(v)) for v in array.reshape(-1)]
    return out


def at_precision(graph: Graph, values: Mapping[Tensor, Any], precision: int) -> list[Any]:
    """The values of the outputs with ``precision`` bits."""
    arrays = {v: np.asarray(a) for v, a in values.items()}
    sizes = bind_sizes(arrays.items())
    check_equations(graph, sizes, complete=False)
    needed = set(graph.nodes)  # other values are given for their sizes
    known: dict[Tensor, Any] = {v: exact(a) for v, a in arrays.items() if v in needed}
    with mpmath.workprec(precision), np.errstate(all="ignore"):
        for node in graph.nodes:
            if node not in known:
                known[node] = _value(node, [known[i] for i in node.inputs], sizes)
                if node.op is index_ops.nonzero:
                    _count(node, known[node], sizes)
    return [known[o] for o in graph.outputs]


def _count(node: Tensor, found: Array, sizes: dict[Atom, int]) -> None:
    for atom in symbols_of(node.attrs["count"]):
        if atom.kind == "count":
            sizes[atom] = len(found)


def _value(node: Tensor, inputs: list[Any], sizes: Mapping[Atom, int]) -> Any:
    op = node.op
    if op in (leaves.input_, leaves.shared):
        raise UsageError(f"no value was given for {describe(node)}")
    known = op is not index_ops.nonzero  # a count is what nonzero finds out
    attrs = {k: resolve(v, sizes) if known else v for k, v in node.attrs.items()}
    if op is e.astype:
        return _converted(inputs[0], attrs["dtype"])
    floats = any(isinstance(i, tuple) or i.dtype == object for i in inputs)
    if not floats or op is index_ops.scatter_set or "moves" in op.traits:
        out = op.evaluate(*inputs, **attrs)
        return _result(op, exact(out) if not floats else out)
    if OPS.get(op.name) is op and op.name in ARRAYS:
        return _result(op, ARRAYS[op.name](*inputs, **attrs))
    if OPS.get(op.name) is op and (op.name in REAL or op.name in TRUTH):
        return _elementwise(op.name)(*inputs)
    line = root_line(node.origin)
    raise UnsupportedError(
        f"{op.name}{f' (made at {line})' if line else ''} has no mathematical value here; it is no "
        "operation of symgraph's own"
    )


def _result(op: Op, out: Any) -> Any:
    return out if isinstance(out, tuple) else np.asarray(out)


def _elementwise(name: str) -> Callable[..., Array]:
    found = _cache.get(name)
    if found is None:
        truth = name in TRUTH
        scalar = guarded((TRUTH if truth else REAL)[name])

        def found(*arrays: Array) -> Array:
            stretched = np.broadcast_arrays(*arrays)
            out = np.empty(stretched[0].shape, bool if truth else object)
            columns = [a.reshape(-1) for a in stretched]
            out.reshape(-1)[:] = [scalar(*row) for row in zip(*columns, strict=True)]
            return out

        _cache[name] = found
    return found


def _converted(x: Array, dtype: Any) -> Array:
    """Between floats nothing changes; to integers values are cut off and saturate, as in astype."""
    if dtype.kind == "f":
        if x.dtype == object:
            return x
        out = np.empty(x.shape, object)
        out.reshape(-1)[:] = [mpmath.mpf(int(v)) for v in x.reshape(-1)]
        return out
    if x.dtype != object:
        return np.asarray(e.astype.evaluate(x, dtype=dtype))
    if dtype.kind == "b":
        return np.array([v != 0 for v in x.reshape(-1)], bool).reshape(x.shape)
    limits = np.iinfo(dtype)
    whole = [_whole(v, int(limits.min), int(limits.max)) for v in x.reshape(-1)]
    return np.array(whole, dtype).reshape(x.shape)


def _whole(v: Any, low: int, high: int) -> int:
    if v != v:
        return 0
    return high if v >= high else low if v <= low else int(v)


# ---- comparing -----------------------------------------------------------------------------------


def agree(before: list[Any], after: list[Any], settled: bool) -> bool:
    """Whether two results have the same first 64 bits; zeros count only if ``settled``."""
    return all(
        _same(x, y, settled)
        for a, b in zip(before, after, strict=True)
        for x, y in zip(np.ravel(a), np.ravel(b), strict=True)
    )


def _same(x: Any, y: Any, settled: bool) -> bool:
    if not isinstance(y, mpmath.mpf):
        return bool(x == y)
    if x != x or y != y:
        return bool(x != x and y != y)
    if mpmath.isinf(y) or mpmath.isinf(x):
        return bool(x == y)
    if y == 0 or x == 0:
        return bool(x == y) and settled
    return bool(abs(x - y) <= abs(y) * mpmath.ldexp(1, -64))


def rounded(values: Any, dtype: Any) -> Array:
    """Each value rounded to the nearest element of ``dtype``."""
    array = np.asarray(values)
    if array.dtype != object:
        return array.astype(dtype)
    kind = np.dtype(dtype)
    with np.errstate(all="ignore"):
        out = [_nearest(v, kind) for v in array.reshape(-1)]
        return np.array(out, kind).reshape(array.shape)


def _nearest(v: Any, kind: Any) -> Any:
    if not mpmath.isfinite(v) or v == 0:
        return kind.type(float(v))
    limits = np.finfo(kind)
    size = int(mpmath.mag(v))
    if size > limits.maxexp:
        return kind.type(math.copysign(math.inf, v))
    lowest = int(limits.minexp) - limits.nmant  # of the smallest subnormal
    unit = max(size - limits.nmant - 1, lowest)  # the last place, as a power of two
    return kind.type(np.ldexp(float(mpmath.nint(mpmath.ldexp(v, -unit))), unit))  # may overflow


def difference(got: Any, truth: Any) -> Any:
    """How far a float is from the mathematical value; 0 where both are the same infinity or NaN."""
    g = mpmath.mpf(float(got))
    if (g != g and truth != truth) or g == truth:
        return mpmath.mpf(0)
    if not (mpmath.isfinite(g) and mpmath.isfinite(truth)):
        return mpmath.inf
    return abs(g - truth)
