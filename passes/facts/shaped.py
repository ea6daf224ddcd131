"""Facts about leaves, moved elements, reductions and products."""

from __future__ import annotations

import numpy as np

from symgraph.op import Op
from symgraph.ops import index, leaves
from symgraph.ops import reduction as r
from symgraph.ops import shape as s
from symgraph.ops.product import matmul
from symgraph.passes.facts.elementwise import Transfer, union
from symgraph.passes.facts.known import INF, Known, constant, limits_of, made, unknown
from symgraph.sizes import Dim, lower_bound, product
from symgraph.tensor import Tensor

__all__ = ["SHAPED"]

#: No array has more elements in any axis.
_LONGEST = 2**63 - 1

# ---- leaves --------------------------------------------------------------------------------------


def _constant(node: Tensor, ins: list[Known]) -> Known:
    return constant(node.attrs["value"])


def _count(node: Tensor, low: int | None, high: int) -> Known:
    """A number of elements, or a position among them."""
    least = -_LONGEST if low is None else low
    if node.dtype.kind != "f":  # symbolic sizes are not expected to leave the dtype's range
        high = min(high, int(limits_of(node.dtype)[1])) if high == _LONGEST else high
    return made(node.dtype, least, high, nan=False, minus=False, integral=True)


def _size(node: Tensor, ins: list[Known]) -> Known:
    """A size may be 0 when called; *positive* means the others, as elsewhere."""
    low = lower_bound(node.attrs["dim"])
    found = _count(node, low, _LONGEST)
    return found._replace(positive=low is not None and low >= 0)


def _last(n: Dim) -> int:
    return max(n - 1, 0) if isinstance(n, int) else _LONGEST


def _iota(node: Tensor, ins: list[Known]) -> Known:
    n = node.attrs["length"]
    if not isinstance(n, int) and node.dtype.itemsize < 4:
        return unknown(node)
    return _count(node, 0, _last(n))


def _position(node: Tensor, ins: list[Known]) -> Known:
    return _count(node, 0, _last(node.inputs[0].shape[node.attrs["axis"][0]]))


def _nonzero(node: Tensor, ins: list[Known]) -> Known:
    return _count(node, 0, _last(node.inputs[0].shape[0]))


# ---- moved elements ------------------------------------------------------------------------------


def _first(node: Tensor, ins: list[Known]) -> Known:
    return ins[0]


def _any_of(node: Tensor, ins: list[Known]) -> Known:
    return union(ins)


def _set(node: Tensor, ins: list[Known]) -> Known:
    return union(ins[:2])


def _accumulated(node: Tensor, ins: list[Known]) -> Known:
    base, updates = ins[:2]
    return _total(node, union([base, updates]), None)


def _item(node: Tensor, ins: list[Known]) -> Known:
    pair = node.inputs[0]
    if pair.op is not r.max_and_argmax:
        return unknown(node)
    if node.attrs["index"] == 0:
        return ins[0]
    return _count(node, 0, _last(pair.inputs[0].shape[pair.attrs["axis"][0]]))


# ---- reductions ----------------------------------------------------------------------------------


def _terms(node: Tensor) -> int | None:
    """How many elements each result is made of, where that is known."""
    x = node.inputs[0]
    n = product(x.shape[k] for k in node.attrs["axis"])
    return n if isinstance(n, int) else None


def _total(node: Tensor, a: Known, n: int | None) -> Known:
    """Sums of ``n`` elements (any number, where that is not known), in any order."""
    low, high = a.lo if n == 1 else min(a.lo, 0), a.hi if n == 1 else max(a.hi, 0)
    if n is not None and n > 1:
        low, high = a.lo * n, a.hi * n
    elif n is None:
        low, high = (-INF if low < 0 else 0), (INF if high > 0 else 0)
    if node.dtype.kind == "f" and n is not None:
        slack = 1 + 2 * n * float(np.finfo(node.dtype).eps)
        low *= slack if low < 0 else 1 / slack
        high *= slack if high > 0 else 1 / slack
    if node.dtype.kind != "f" and n is None and low != high:
        return unknown(node)
    same_sign = a.lo >= 0 or a.hi <= 0
    total = made(node.dtype, low, high, minus=a.minus, integral=a.integral, positive=a.positive)
    return total._replace(
        nan=node.dtype.kind == "f" and (a.nan or not (same_sign or not total.infinite))
    )


def _sum(node: Tensor, ins: list[Known]) -> Known:
    return _total(node, ins[0], _terms(node))


def _prod(node: Tensor, ins: list[Known]) -> Known:
    (a,) = ins
    if node.dtype.kind != "f":
        return unknown(node) if not 0 <= a.lo <= a.hi <= 1 else made(node.dtype, 0, 1)
    inside = a.lo >= -1 and a.hi <= 1
    low = (0 if a.lo >= 0 else -1) if inside else (0 if not a.below else -INF)
    return made(
        node.dtype, low, 1 if inside else INF, nan=a.nan or not (inside or a.lo >= 1),
        minus=a.below, integral=a.integral, positive=a.positive,
    )  # fmt: skip


def _extreme(worst: int) -> Transfer:
    """The greatest (or least) element; of none, the dtype's least (or greatest) value."""

    def transfer(node: Tensor, ins: list[Known]) -> Known:
        (a,) = ins
        x = node.inputs[0]
        low = lower_bound(product(x.shape[k] for k in node.attrs["axis"]))
        if low is not None and low > 0:
            return a
        end = limits_of(x.dtype)[worst]
        none = Known(end, end, False, False, end != 0, True, a.positive)
        return union([a, none])

    return transfer


def _norm(node: Tensor, ins: list[Known]) -> Known:
    (a,) = ins
    return made(node.dtype, 0, INF, nan=a.nan, minus=False, positive=a.positive)


def _softmax(node: Tensor, ins: list[Known]) -> Known:
    (a,) = ins
    return made(node.dtype, 0, 1, nan=a.nan or a.infinite, minus=False, positive=True)


def _log_softmax(node: Tensor, ins: list[Known]) -> Known:
    (a,) = ins
    return made(node.dtype, -INF, 0, nan=a.nan or a.infinite)


def _logsumexp(node: Tensor, ins: list[Known]) -> Known:
    (a,) = ins
    return made(node.dtype, -INF, INF, nan=a.nan)


def _running(node: Tensor, ins: list[Known]) -> Known:
    low, high = min(k.lo for k in ins), max(k.hi for k in ins)
    if node.dtype.kind != "f":
        return unknown(node)
    if node.op is r.cumulative_sum:
        return _total(node, ins[0], None)
    return made(node.dtype, 0 if low >= 0 else -INF, 0 if low == high == 0 else INF)


def _matmul(node: Tensor, ins: list[Known]) -> Known:
    a, b = ins
    if node.dtype.kind != "f":
        return unknown(node)
    corners = [0 if 0 in (p, q) else p * q for p in (a.lo, a.hi) for q in (b.lo, b.hi)]
    lost = (a.zero and b.infinite) or (b.zero and a.infinite)
    parts = Known(
        min(corners), max(corners), a.nan or b.nan or lost, a.below or b.below,
        integral=a.integral and b.integral, positive=a.positive and b.positive,
    )  # fmt: skip
    inner = node.inputs[0].shape[-1]
    return _total(node, parts, inner if isinstance(inner, int) else None)


# fmt: off
SHAPED: dict[Op, Transfer] = {
    # ---- leaves ----------------------------------------------------------------------------------
    leaves.constant: _constant, leaves.size: _size, leaves.iota: _iota,
    # ---- moved elements --------------------------------------------------------------------------
    s.reshape: _first, s.permute_dims: _first, s.expand_dims: _first, s.squeeze: _first,
    s.broadcast_to: _first, s.slice_: _first, s.concat: _any_of, s.place: _any_of,
    index.gather: _first, index.scatter_set: _set, index.scatter_add: _accumulated,
    index.nonzero: _nonzero,
    # ---- reductions ------------------------------------------------------------------------------
    r.sum_: _sum, r.prod: _prod, r.max_: _extreme(0), r.min_: _extreme(1),
    r.argmax: _position, r.argmin: _position, r.softmax: _softmax, r.log_softmax: _log_softmax,
    r.logsumexp: _logsumexp, r.norm: _norm,
    r.cumulative_sum: _running, r.linear_recurrence: _running,
    r.max_and_argmax: _extreme(0), r.item: _item,
    matmul: _matmul,
}
# fmt: on
