"""The graph as kernels want it: row functions spelled out, copies made explicit where no view
exists."""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np

from symgraph import functions as f
from symgraph.backends.llvm.memory_ops import copy, inside
from symgraph.backends.llvm.reduction import peak
from symgraph.backends.llvm.views import View, compose, is_scalar_literal, source_of, viewer
from symgraph.backends.llvm.windows import join, joinable, place
from symgraph.functions.variables import number
from symgraph.graph import Graph
from symgraph.op import Op
from symgraph.ops import elementwise, index, leaves, reduction, shape
from symgraph.ops.product import matmul
from symgraph.ops.ranges import SQUARES
from symgraph.origins import with_origin
from symgraph.passes.rebuild import rebuilt
from symgraph.sizes import is_one, product
from symgraph.tensor import Tensor, apply, is_outdated

__all__ = ["prepare"]


def _shifted(x: Tensor, axis: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """The shift of softmax (the maximum, made finite), and x minus it."""
    most = float(np.finfo(x.dtype).max)
    top = _reduced(peak, x, axis, keepdims=True)
    low, high = number(-most, x.dtype), number(most, x.dtype)
    finite = f.where(f.less(top, low), low, top)  # an instruction each; a clip orders zeros too
    shift = f.where(f.greater(finite, high), high, finite)
    return shift, f.subtract(x, shift)


def _softmax(node: Tensor, x: Tensor) -> Tensor:
    axis = node.attrs["axis"]
    e = f.exp(_shifted(x, axis)[1])
    return f.divide(e, _reduced(reduction.sum_, e, axis, keepdims=True))


def _log_total(moved: Tensor, axis: tuple[int, ...], keepdims: bool = False) -> Tensor:
    """log of the sum of exp of what is left of the shift: the terms that are 1 are counted, so that
    the others still show where they are tiny.
    """
    zero = number(0, moved.dtype)
    top = f.equal(moved, zero)
    ones = _reduced(reduction.sum_, f.astype(top, moved.dtype), axis, keepdims=keepdims)
    rest = _reduced(reduction.sum_, f.where(top, zero, f.exp(moved)), axis, keepdims=keepdims)
    return f.log1p(f.add(f.subtract(ones, number(1, moved.dtype)), rest))


def _log_softmax(node: Tensor, x: Tensor) -> Tensor:
    axis = node.attrs["axis"]
    moved = _shifted(x, axis)[1]
    return f.subtract(moved, _log_total(moved, axis, keepdims=True))


def _logsumexp(node: Tensor, x: Tensor) -> Tensor:
    axis = node.attrs["axis"]
    shift, moved = _shifted(x, axis)
    return f.add(_log_total(moved, axis), f.squeeze(shift, axis))


def _norm(node: Tensor, x: Tensor) -> Tensor:
    """Three sums of squares in one loop, of x as it is and scaled up and down: one of them is
    safe.
    """
    axis, safe = node.attrs["axis"], SQUARES[x.dtype.itemsize]

    def total(scale: float) -> Tensor:
        scaled = x if scale == 1 else f.multiply(x, number(scale, x.dtype))
        return _reduced(reduction.sum_, f.square(scaled), axis)

    plain = total(1)
    large = f.sqrt(total(safe.down)) * number(1 / safe.down, x.dtype)
    small = f.sqrt(total(safe.up)) * number(1 / safe.up, x.dtype)
    rest = f.where(f.less(plain, safe.lowest), small, f.sqrt(plain))
    return f.where(f.greater(plain, safe.highest), large, rest)


def _item(node: Tensor, both: Tensor) -> Tensor:
    """One half of max_and_argmax; the two reductions share one loop."""
    op = (reduction.max_, reduction.argmax)[node.attrs["index"]]
    return _reduced(op, both.inputs[0], both.attrs["axis"])


def _reduced(op: Op, x: Tensor, axis: tuple[int, ...], keepdims: bool = False) -> Tensor:
    """A reduction in kernel form."""
    out = _trivial(apply(op, (x,), (("axis", axis),)), x)
    return f.expand_dims(out, axis) if keepdims else out


def _trivial(node: Tensor, x: Tensor) -> Tensor:
    """A reduction over nothing but axes of size 1 is no reduction."""
    axis = node.attrs["axis"]
    if any(not (type(x.shape[k]) is int and x.shape[k] == 1) for k in axis):
        return rebuilt(node, (x,))
    if node.op in (reduction.argmax, reduction.argmin):
        return f.broadcast_to(number(0, node.dtype), node.shape)
    return f.squeeze(x, axis)


def _is_vector(x: Tensor, axis: int) -> bool:
    """Whether a matrix is a vector with an axis put in. One that is merely seen to have one row is
    none: bits do not depend on which sizes are known.
    """
    return x.op is shape.expand_dims and x.inputs[0].ndim == 1 and x.attrs["axes"] == (axis,)


def _product(node: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The product of two vectors is a sum, which threads can share out. The product kernel takes
    three batch axes; more are spelled out and joined.
    """
    batch = node.shape[:-2]
    if node.dtype.kind == "f" and _is_vector(a, 0) and _is_vector(b, 1):
        pairs = f.multiply(a.inputs[0], b.inputs[0])
        total = _trivial(apply(reduction.sum_, (pairs,), (("axis", (0,)),)), pairs)
        return f.reshape(total, node.shape)
    if len(batch) <= 3:
        return rebuilt(node, (a, b))
    joined = product(batch)
    parts = []
    for x in (a, b):
        wide = f.broadcast_to(x, (*batch, *x.shape[-2:]))
        packed = apply(copy, (wide,))
        parts.append(f.reshape(packed, (joined, *x.shape[-2:])))
    return f.reshape(f.matmul(*parts), node.shape)


def _picking(node: Tensor, table: Tensor, *indices: Tensor) -> Tensor:
    """Elements picked from an element-wise expression: the expression of its picked operands.

    Where fewer elements are picked than there are, less is computed and the table is not stored.
    """
    whole = node.attrs["axes"] == tuple(range(table.ndim)) and node.ndim < table.ndim
    stretched = any(is_one(d) for d in table.shape)
    fewer = set(node.shape) <= set(table.shape)
    if not (whole and fewer and table.op.elementwise) or stretched:
        return rebuilt(node, (table, *indices))
    return _picked(table, indices, {}, 16)


def _picked(
    x: Tensor, indices: tuple[Tensor, ...], done: dict[Tensor, Tensor], depth: int
) -> Tensor:
    """``x[indices]`` with one index per axis, axes of size 1 being stretched.

    Operations more than ``depth`` levels down are left as they are.
    """
    if x not in done:
        ones = tuple(k for k, d in enumerate(x.shape) if is_one(d))
        rest = tuple(i for k, i in enumerate(indices) if k not in ones)
        small = f.squeeze(x, ones) if ones else x
        if not rest or (len(rest) == 1 and _counts(rest[0], small)):
            done[x] = small
        elif x.op.elementwise and not ones and depth > 0:
            aligned = [(i, indices[len(indices) - i.ndim :]) for i in x.inputs]
            operands = [_picked(i, own, done, depth - 1) for i, own in aligned]
            done[x] = rebuilt(x, tuple(operands))
        else:
            table = apply(copy, (small,)) if small.op is inside else small
            done[x] = apply(index.gather, (table, *rest), (("axes", tuple(range(small.ndim))),))
    return done[x]


def _counts(index: Tensor, x: Tensor) -> bool:
    """Whether an index is 0, 1, 2, ... along the whole of ``x``."""
    return index.op is leaves.iota and index.shape == x.shape


_REDUCTIONS = (
    reduction.sum_, reduction.prod, reduction.max_, reduction.min_, reduction.any_, reduction.all_,
    reduction.argmax, reduction.argmin,
)  # fmt: skip

EXPANSIONS: dict[Op, Callable[..., Tensor]] = {
    reduction.softmax: _softmax,
    reduction.log_softmax: _log_softmax,
    reduction.logsumexp: _logsumexp,
    reduction.norm: _norm,
    reduction.item: _item,
    elementwise.assume_normalised: lambda node, x: x,
    matmul: _product,
    index.gather: _picking,
    shape.place: place,
    **dict.fromkeys(_REDUCTIONS, _trivial),
}


def _buffered(node: Tensor) -> Tensor:
    """The node with ramps and literals copied to memory where its kernel reads memory."""
    first = {index.scatter_add: 1, index.scatter_set: 1}.get(node.op, 0)
    last = 1 if node.op is index.gather else len(node.inputs)
    if node.op not in _FROM_MEMORY:
        return node
    inputs = list(node.inputs)
    for k in range(first, last):
        source = source_of(inputs[k])
        ramp = source.op is leaves.iota and node.op is not index.gather
        if ramp or source.op is inside or is_scalar_literal(source):
            inputs[k] = apply(copy, (inputs[k],))
    return rebuilt(node, tuple(inputs))


_FROM_MEMORY = (
    index.gather, index.scatter_add, index.scatter_set, index.nonzero, matmul,
    reduction.cumulative_sum, reduction.linear_recurrence,
)  # fmt: skip


def _is_read_on_the_way(node: Tensor, graph: Graph) -> bool:
    """Whether those who read a join can compute it: loops over elements, which need no buffer."""
    return all(o is not node for o in graph.outputs) and all(
        n.op.elementwise or n.op in EXPANSIONS for n in graph.get_consumers(node)
    )


#: Ops that may look different in kernel form though what they read is as it was.
_CHANGING = frozenset((*EXPANSIONS, *_FROM_MEMORY, shape.concat, shape.reshape))


def prepare(graph: Graph) -> list[Tensor]:
    """The outputs of ``graph`` in kernel form; build inside a private table."""
    done: dict[Tensor, Tensor] = {}
    view = viewer()
    for node in graph.nodes:
        inputs = tuple([done[i] for i in node.inputs])
        if (
            node.op in _CHANGING
            or not all(map(operator.is_, inputs, node.inputs))
            or is_outdated(node)
        ):
            with with_origin(node.origin):
                done[node] = _viewable(_buffered(_expanded(node, inputs, graph)), view)
        else:
            done[node] = node
    return [done[o] for o in graph.outputs]


def _expanded(node: Tensor, inputs: tuple[Tensor, ...], graph: Graph) -> Tensor:
    """The node on prepared inputs, spelled out."""
    expand = EXPANSIONS.get(node.op)
    if node.op is shape.concat and joinable(inputs) and _is_read_on_the_way(node, graph):
        expand = join
    return expand(node, *inputs) if expand is not None else rebuilt(node, inputs)


def _viewable(node: Tensor, view: Callable[[Tensor], View]) -> Tensor:
    """The node, its input copied first where a reshape has no view of it."""
    if node.op is not shape.reshape or compose(node, view(node.inputs[0])) is not None:
        return node
    return rebuilt(node, (apply(copy, (node.inputs[0],)),))
