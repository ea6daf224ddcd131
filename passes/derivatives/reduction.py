"""Derivatives of reductions, row functions and running sums."""

from __future__ import annotations

from typing import Any

from symgraph import functions as f
from symgraph.functions.creation import iota
from symgraph.functions.reduction import running_product
from symgraph.functions.shape import place_node, slice_axis
from symgraph.functions.variables import number
from symgraph.op import Derivative
from symgraph.ops import reduction as r
from symgraph.passes.derivatives.forms import Masked, linear_op, table, undefined
from symgraph.sizes import maximum, product
from symgraph.tensor import Tensor, apply


def widen(g: Tensor, node: Tensor) -> Tensor:
    """A reduced value stretched back over the axes it was reduced along."""
    return f.broadcast_to(f.expand_dims(g, node.attrs["axis"]), node.inputs[0].shape)


def _kept(value: Tensor, node: Tensor) -> Tensor:
    return f.expand_dims(value, node.attrs["axis"])


# ---- extremes: ties share equally; what is not selected is a strong zero -------------------------


def _ties(node: Tensor) -> Tensor:
    return f.equal(node.inputs[0], _kept(node, node))


def _tied(mask: Tensor, node: Tensor) -> Tensor:
    """How many elements share the extreme: piecewise constant; none at all only where a NaN won."""
    count = f.sum(mask.astype(node.dtype), axis=node.attrs["axis"])
    return f.stop_gradient(f.maximum(count, 1))


def _extreme_bprop(node: Tensor, g: Tensor) -> tuple[Any, ...]:
    mask = _ties(node)
    share = g / _tied(mask, node)
    return (Masked(f.where(mask, widen(share, node), number(0, g.dtype)), mask),)


def _extreme_jvp(node: Tensor, tangents: tuple[Any, ...]) -> Tensor:
    mask, axis = _ties(node), node.attrs["axis"]
    total = f.sum(f.where(mask, tangents[0], number(0, node.dtype)), axis=axis)
    return total / _tied(mask, node)


def _first_mask(node: Tensor) -> Tensor:
    (axis,) = node.attrs["axis"]
    x = node.inputs[0]
    place = f.expand_dims(iota(x.shape[axis]), tuple(range(1, x.ndim - axis)))
    return f.equal(f.expand_dims(apply(r.item, (node,), (("index", 1),)), axis), place)


def _max_and_argmax_bprop(node: Tensor, cotangents: tuple[Any, ...]) -> tuple[Any, ...]:
    if cotangents[0] is None:
        return (None,)
    g = cotangents[0]
    mask = _first_mask(node)
    return (Masked(f.where(mask, widen(g, node), number(0, g.dtype)), mask),)


def _max_and_argmax_jvp(node: Tensor, tangents: tuple[Any, ...]) -> tuple[Any, ...]:
    picked = f.where(_first_mask(node), tangents[0], number(0, tangents[0].dtype))
    return f.sum(picked, axis=node.attrs["axis"]), None


# ---- products ------------------------------------------------------------------------------------


def _exclusive(x: Tensor, axis: int, reverse: bool) -> Tensor:
    """The product of the elements before (if reversed, after) each one: zeros are fine."""
    n = x.shape[axis]
    running = running_product(x, axis, reverse)
    shape = tuple(n if k == axis else d for k, d in enumerate(x.shape))
    kept = slice_axis(running, axis, 1 if reverse else 0, maximum(n - 1, 0))
    starts = tuple(0 if reverse or k != axis else 1 for k in range(x.ndim))
    return place_node(kept, number(1, x.dtype), starts, (1,) * x.ndim, shape)


def _others(node: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """For each element the product of the others, with the reduced axes flattened last."""
    x, axis = node.inputs[0], node.attrs["axis"]
    keep = [k for k in range(x.ndim) if k not in axis]
    order = (*keep, *axis)
    front = f.permute_dims(x, order)
    flat = f.reshape(front, (*(x.shape[k] for k in keep), product(x.shape[k] for k in axis)))
    last = flat.ndim - 1
    others = f.reshape(_exclusive(flat, last, False) * _exclusive(flat, last, True), front.shape)
    back = sorted(range(x.ndim), key=lambda k: order[k])
    return f.permute_dims(others, back), axis


def _prod_bprop(node: Tensor, g: Tensor) -> tuple[Any, ...]:
    return (widen(g, node) * _others(node)[0],)


def _prod_jvp(node: Tensor, tangents: tuple[Any, ...]) -> Tensor:
    others, axis = _others(node)
    return f.sum(others * tangents[0], axis=axis)


# ---- lengths -------------------------------------------------------------------------------------


def _direction(node: Tensor) -> Tensor:
    """x / |x|, and a strong zero where x is 0."""
    length = _kept(node, node)
    return f.where(f.equal(length, 0), number(0, node.dtype), node.inputs[0] / length)


def _norm_bprop(node: Tensor, g: Tensor) -> tuple[Any, ...]:
    apart = f.not_equal(widen(node, node), 0)
    return (Masked(widen(g, node) * _direction(node), apart),)


def _norm_jvp(node: Tensor, tangents: tuple[Any, ...]) -> Tensor:
    return f.sum(_direction(node) * tangents[0], axis=node.attrs["axis"])


# ---- row functions -------------------------------------------------------------------------------


def _logsumexp_bprop(node: Tensor, g: Tensor) -> tuple[Any, ...]:
    return (widen(g, node) * f.softmax(node.inputs[0], axis=node.attrs["axis"]),)


def _logsumexp_jvp(node: Tensor, tangents: tuple[Any, ...]) -> Tensor:
    axis = node.attrs["axis"]
    return f.sum(f.softmax(node.inputs[0], axis=axis) * tangents[0], axis=axis)


def _softmax_rule(node: Tensor, g: Tensor) -> Tensor:
    """The Jacobian diag(q) - q q^T is symmetric: one rule serves both modes."""
    axis = node.attrs["axis"]
    return node * (g - f.sum(g * node, axis=axis, keepdims=True))


def _log_softmax_bprop(node: Tensor, g: Tensor) -> tuple[Any, ...]:
    axis = node.attrs["axis"]
    q = f.softmax(node.inputs[0], axis=axis)
    return (g - q * f.sum(g, axis=axis, keepdims=True),)


def _log_softmax_jvp(node: Tensor, tangents: tuple[Any, ...]) -> Tensor:
    axis, t = node.attrs["axis"], tangents[0]
    q = f.softmax(node.inputs[0], axis=axis)
    return f.subtract(t, f.sum(q * t, axis=axis, keepdims=True))


# ---- running sums --------------------------------------------------------------------------------


def _running(op: Any, inputs: tuple[Tensor, ...], node: Tensor, flipped: bool = False) -> Tensor:
    reverse = node.attrs["reverse"] != flipped
    return apply(op, inputs, (("axis", node.attrs["axis"]), ("reverse", reverse)))


def _shifted(x: Tensor, axis: int, ahead: bool) -> Tensor:
    """x moved one place along the axis, zero entering: the next if ``ahead``, else the last."""
    n = x.shape[axis]
    kept = slice_axis(x, axis, 1 if ahead else 0, maximum(n - 1, 0))
    starts = tuple(1 if k == axis and not ahead else 0 for k in range(x.ndim))
    return place_node(kept, number(0, x.dtype), starts, (1,) * x.ndim, x.shape)


def _recurrence_bprop(node: Tensor, g: Tensor) -> tuple[Any, ...]:
    a, axis, reverse = node.inputs[0], node.attrs["axis"], node.attrs["reverse"]
    later = _shifted(a, axis, ahead=not reverse)
    adjoint = _running(r.linear_recurrence, (later, g), node, flipped=True)
    return adjoint * _shifted(node, axis, ahead=reverse), adjoint


def _recurrence_jvp(node: Tensor, tangents: tuple[Any, ...]) -> Tensor:
    a, axis, reverse = node.inputs[0], node.attrs["axis"], node.attrs["reverse"]
    drive = tangents[1]
    if tangents[0] is not None:
        moved = tangents[0] * _shifted(node, axis, ahead=reverse)
        drive = moved if drive is None else drive + moved
    return _running(r.linear_recurrence, (a, drive), node)


POSITION = "the position of an extreme element is piecewise constant"

table(
    {
        r.sum_: linear_op(lambda node, g: widen(g, node)),
        r.prod: Derivative(bprop=_prod_bprop, jvp=_prod_jvp),
        r.max_: Derivative(bprop=_extreme_bprop, jvp=_extreme_jvp),
        r.min_: Derivative(bprop=_extreme_bprop, jvp=_extreme_jvp),
        r.max_and_argmax: Derivative(bprop=_max_and_argmax_bprop, jvp=_max_and_argmax_jvp),
        r.argmax: undefined(POSITION),
        r.argmin: undefined(POSITION),
        r.norm: Derivative(bprop=_norm_bprop, jvp=_norm_jvp),
        r.any_: undefined("its results are discrete"),
        r.all_: undefined("its results are discrete"),
        r.logsumexp: Derivative(bprop=_logsumexp_bprop, jvp=_logsumexp_jvp),
        r.softmax: Derivative(
            bprop=lambda node, g: (_softmax_rule(node, g),),
            jvp=lambda node, t: _softmax_rule(node, t[0]),
        ),
        r.log_softmax: Derivative(bprop=_log_softmax_bprop, jvp=_log_softmax_jvp),
        r.cumulative_sum: linear_op(
            lambda node, g: _running(r.cumulative_sum, (g,), node, flipped=True)
        ),
        r.linear_recurrence: Derivative(bprop=_recurrence_bprop, jvp=_recurrence_jvp),
    }
)
