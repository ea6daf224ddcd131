"""One expression for each rule on which it fires; rules that are plain patterns get theirs from
the pattern.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import symgraph as sg
from symgraph import Tensor
from symgraph.functions.creation import iota
from symgraph.functions.variables import number, size_value
from symgraph.ops import elementwise as e
from symgraph.ops import index, leaves
from symgraph.ops import reduction as r
from symgraph.ops import shape as s
from symgraph.passes.rules.pattern import Call, Const, Literal, Node, Pattern, Var
from symgraph.passes.rules.rule import Rule
from symgraph.tensor import apply

__all__ = ["ABSOLUTE", "examples_of"]

#: x, y and z have the shape (n, 3) and one floating dtype; k holds n labels 0, 1 or 2
Example = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def _wide(x: Tensor, rows: int = 2) -> Tensor:
    return apply(s.broadcast_to, (sg.sum(x),), (("shape", (rows, 3)),))


def _op(op: sg.Op, *inputs: Tensor, **attrs: object) -> Tensor:
    return apply(op, inputs, tuple(attrs.items()))


def _rows(x: Tensor) -> Tensor:
    return sg.exp(x) / sg.sum(sg.exp(x), axis=1, keepdims=True)


def _per_size(x: Tensor) -> Tensor:
    """A scalar factor 1 / n with the n of x."""
    return 1 / size_value(x.shape[0], x.dtype)


def _top(x: Tensor) -> Tensor:
    return sg.max(x, axis=1, keepdims=True)


def _picked(x: Tensor, k: Tensor) -> Tensor:
    """A gradient with respect to what labels picked: added to zeros at (0, k[0]), (1, k[1]), ..."""
    zeros = sg.zeros(x.shape, dtype=x.dtype)
    return _op(index.scatter_add, zeros, x[:, 0], iota(x.shape[0]), k, axes=(0, 1))


def _hot(k: Tensor) -> Tensor:
    inside = _op(index.gather, iota(3), k, axes=(0,))
    return sg.equal(sg.expand_dims(inside, 1), iota(3))


def _weighted(q: Tensor, y: Tensor, rows: bool = False) -> Tensor:
    return q * sg.sum((y / q) * q, axis=1 if rows else None, keepdims=rows)


def _softmax_backprop(x: Tensor, y: Tensor) -> Tensor:
    total = sg.sum(sg.exp(x), axis=1, keepdims=True)
    return sg.exp(x) * (y * (1 / total) - sg.expand_dims(sg.sum(y * (y / total), axis=1), 1))


# fmt: off
EXAMPLES: dict[str, Example] = {
    # ---- folding ---------------------------------------------------------------------------------
    "fold_exact":         lambda x, y, z, k: x + (number(2, x.dtype) * number(3, x.dtype)),
    "fold":               lambda x, y, z, k: x + sg.exp(number(1, x.dtype)),
    "fold_size":          lambda x, y, z, k: x + _op(leaves.size, dim=3, dtype=x.dtype),
    "cast_size": lambda x, y, z, k: (
        x + _op(e.astype, size_value(x.shape[0]), dtype=x.dtype)
    ),
    # ---- moving ----------------------------------------------------------------------------------
    "reshape_chain":      lambda x, y, z, k: sg.squeeze(sg.expand_dims(x, 1), 1),
    "reshape_simpler":    lambda x, y, z, k: x.reshape((x.shape[0], 1, 3)),
    "permute_chain":      lambda x, y, z, k: x.T.T,
    "permute_in_order":   lambda x, y, z, k: x[:, None].transpose((1, 0, 2)),
    "slice_chain":        lambda x, y, z, k: x[:, ::-1][:, 1:],
    "slice_whole": lambda x, y, z, k: (
        _op(s.slice_, x, starts=(0, 0), steps=(1, 1), lengths=x.shape)
    ),
    "concat_one":         lambda x, y, z, k: _op(s.concat, x, axis=0),
    "broadcast_chain": lambda x, y, z, k: (
        sg.broadcast_to(sg.broadcast_to(sg.sum(x), (3,)), (2, 3))
    ),
    "broadcast_none":     lambda x, y, z, k: _op(s.broadcast_to, x, shape=x.shape),
    "broadcast_leading":  lambda x, y, z, k: sg.broadcast_to(x[0][None], (2, 3)),
    "broadcast_one": lambda x, y, z, k: (
        sg.broadcast_to(sg.expand_dims(sg.sum(x), (0, 1)), (2, 3))
    ),
    "scalar_moved":       lambda x, y, z, k: _wide(x).T,
    "broadcast_expanded": lambda x, y, z, k: sg.expand_dims(sg.broadcast_to(x[0], (2, 3)), (0, 2)),
    "broadcast_implicit": lambda x, y, z, k: sg.add(sg.broadcast_to(sg.sum(y), x.shape), x),
    "unary_below_move":   lambda x, y, z, k: sg.exp(x.T),
    "both_below_move":    lambda x, y, z, k: x.T + y.T,
    "sign_above":         lambda x, y, z, k: (-x).T,
    "scale_above":        lambda x, y, z, k: (sg.sum(y) * x).T,
    "sum_permuted":       lambda x, y, z, k: sg.sum(x.T, axis=0),
    "sum_expanded":       lambda x, y, z, k: sg.sum(sg.expand_dims(x, 1), axis=(1, 2)),
    # ---- logic -----------------------------------------------------------------------------------
    "where_again_true":   lambda x, y, z, k: sg.where(x > y, sg.where(x > y, x, y), z),
    "where_again_false":  lambda x, y, z, k: sg.where(x > y, z, sg.where(x > y, x, y)),
    "astype_chain":       lambda x, y, z, k: sg.astype(sg.astype(x > 0, "float32"), "float64"),
    "astype_same":        lambda x, y, z, k: _op(e.astype, x, dtype=x.dtype),
    "equal_same":         lambda x, y, z, k: sg.equal(k, k),
    "unequal_same":       lambda x, y, z, k: sg.not_equal(k, k),
    "finite_integer":     lambda x, y, z, k: sg.isfinite(k),
    "nan_integer":        lambda x, y, z, k: sg.isnan(k),
    "inf_integer":        lambda x, y, z, k: sg.isinf(k),
    # ---- row functions ---------------------------------------------------------------------------
    "softmax_quotient":   lambda x, y, z, k: _rows(x),
    "softmax_product": lambda x, y, z, k: (
        sg.exp(x) * (1 / sg.sum(sg.exp(x), axis=1, keepdims=True))
    ),
    "softmax_product_laid_out": lambda x, y, z, k: sg.exp(x).T * (1 / sg.sum(sg.exp(x), axis=1)),
    "softmax_average": lambda x, y, z, k: (
        sg.sum(sg.sigmoid(y) * sg.exp(x), axis=1) / sg.sum(sg.exp(x), axis=1)
    ),
    "softmax_weighted_quotient": lambda x, y, z, k: _weighted(sg.softmax(x), y, rows=True),
    "softmax_weighted_quotient_vector": lambda x, y, z, k: _weighted(sg.softmax(x, axis=None), y),
    "softmax_factor":     lambda x, y, z, k: _softmax_backprop(x, y),
    "sum_of_exp_by_matmul": lambda x, y, z, k: sg.exp(x) @ sg.ones((3, 2), dtype=x.dtype),
    "sum_of_exp_by_matmul_first": lambda x, y, z, k: (
        sg.ones((2, 3), dtype=x.dtype) @ sg.exp(x).T
    ),
    "logsumexp_spelled":  lambda x, y, z, k: sg.log(sg.sum(sg.exp(x), axis=1)),
    "logsumexp_scaled":   lambda x, y, z, k: sg.log(0.25 * sg.sum(sg.exp(x), axis=1)),
    "log_softmax_spelled": lambda x, y, z, k: x - sg.logsumexp(x, axis=1, keepdims=True),
    "log_softmax_vector": lambda x, y, z, k: x.T - sg.logsumexp(x, axis=1),
    "log_softmax_reversed": lambda x, y, z, k: sg.logsumexp(x, axis=1, keepdims=True) - x,
    "log_softmax_reversed_vector": lambda x, y, z, k: sg.logsumexp(x, axis=1) - x.T,
    "log_of_softmax":     lambda x, y, z, k: sg.log(sg.softmax(x)),
    "softmax_shift":      lambda x, y, z, k: sg.softmax(x - _top(x)),
    "softmax_shift_added": lambda x, y, z, k: sg.softmax(x + number(3, x.dtype)),
    "softmax_any_shift":  lambda x, y, z, k: sg.softmax(x - y[:, :1]),
    "softmax_any_shift_added": lambda x, y, z, k: sg.softmax(x + y[:, :1]),
    "log_softmax_shift":  lambda x, y, z, k: sg.log_softmax(x - _top(x)),
    "log_softmax_shift_added": lambda x, y, z, k: sg.log_softmax(x + number(3, x.dtype)),
    "logsumexp_shift":    lambda x, y, z, k: sg.logsumexp(x - _top(x), axis=1) + sg.max(x, axis=1),
    "logsumexp_shift_kept": lambda x, y, z, k: (
        sg.logsumexp(x - _top(x), axis=1, keepdims=True) + _top(x)
    ),
    # ---- exponentials and logarithms -------------------------------------------------------------
    "exp_log_softmax":    lambda x, y, z, k: sg.exp(sg.log_softmax(x)),
    "log_of_indexed":     lambda x, y, z, k: sg.log(sg.softmax(x)[sg.arange(x.shape[0]), k]),
    "log_of_reciprocal":  lambda x, y, z, k: sg.log(1 / sg.abs(y)),
    "log_of_cosh":        lambda x, y, z, k: sg.log(sg.cosh(x)),
    "log_of_either":      lambda x, y, z, k: sg.log(sg.softmax(x) / sg.sigmoid(y)),
    "log_of_where":       lambda x, y, z, k: sg.log(sg.where(z > 0, sg.sigmoid(x), sg.softmax(y))),
    "logsumexp_of_terms": lambda x, y, z, k: (
        sg.log(number(3, x.dtype) + sg.exp(x) + sg.exp(y))
    ),
    "power_of_e":         lambda x, y, z, k: sg.pow(number(math.e, x.dtype), x),
    "log_exp_over":       lambda x, y, z, k: sg.log(sg.exp(x) / sg.abs(y)),
    "log_over_exp":       lambda x, y, z, k: sg.log(sg.abs(y) / sg.exp(x)),
    "log_times_exp":      lambda x, y, z, k: sg.log(sg.exp(x) * sg.abs(y)),
    "log_prod":           lambda x, y, z, k: sg.log(sg.prod(x, axis=1)),
    # ---- labels ----------------------------------------------------------------------------------
    "one_hot_write":      lambda x, y, z, k: _picked(x, k),
    "one_hot_sum":        lambda x, y, z, k: (
        sg.sum(((k - 1)[:, None] == sg.arange(3)).astype(x.dtype), axis=1)
    ),
    "log_of_picked": lambda x, y, z, k: (
        sg.log(sg.sum(sg.where((k - 1)[:, None] == sg.arange(3), sg.sigmoid(x), 0.0), axis=1))
    ),
    "log_of_picked_product": lambda x, y, z, k: (
        sg.log(sg.sum(sg.one_hot(k, 3, dtype=x.dtype) * sg.softmax(x), axis=1))
    ),
    "picked_sum": lambda x, y, z, k: (
        sg.sum(sg.where(_hot(k), x[:, :1], number(0, x.dtype)), axis=1)
    ),
    # ---- arithmetic
    # --------------------------------------------------------------------------------
    "literal_first":      lambda x, y, z, k: x * number(3, x.dtype),
    "commuted_twin":      lambda x, y, z, k: sg.where(x > 0, sg.multiply(x, y), sg.multiply(y, x)),
    # ------------------------------------------------------------------------------
    "sum_negative":       lambda x, y, z, k: sg.sum(-x, axis=1),
    "square_sqrt":        lambda x, y, z, k: sg.square(sg.sqrt(sg.abs(x))),
    "abs_nonnegative":    lambda x, y, z, k: sg.abs(sg.exp(x)),
    "relu_nonnegative":   lambda x, y, z, k: sg.relu(sg.exp(x)),
    "pow_half":           lambda x, y, z, k: sg.pow(sg.abs(x), number(0.5, x.dtype)),
    "size_arithmetic":    lambda x, y, z, k: size_value(x.shape[0]) + size_value(x.shape[0]),
    # ---- scaling ---------------------------------------------------------------------------------
    "sum_chain":          lambda x, y, z, k: sg.sum(sg.sum(x, axis=1), axis=0),
    "sum_constant":       lambda x, y, z, k: sg.sum(_wide(x), axis=1),
    "sum_scaled":         lambda x, y, z, k: sg.sum(number(3, x.dtype) * x, axis=1),
    "divide_by_size":     lambda x, y, z, k: x / size_value(x.shape[0], x.dtype),
    "scale_rises":        lambda x, y, z, k: y * (_per_size(x) * x),
    "scales_join":        lambda x, y, z, k: number(3, x.dtype) * (_per_size(x) * x),
    "factor_difference":  lambda x, y, z, k: _per_size(x) * x - _per_size(x) * y,
    "factor_sum":         lambda x, y, z, k: _per_size(x) * x + _per_size(x) * y,
    "flip_difference":    lambda x, y, z, k: number(-3, x.dtype) * (x - y),
    "flip_difference_over": lambda x, y, z, k: (-1 / size_value(x.shape[0], x.dtype)) * (x - y),
    "times_positive_quotient_minus": lambda x, y, z, k: sg.softplus(x) * (y / sg.softplus(x) - z),
    "minus_times_positive_quotient": lambda x, y, z, k: sg.softplus(x) * (z - y / sg.softplus(x)),
    "times_positive_quotient_plus":  lambda x, y, z, k: sg.softplus(x) * (y / sg.softplus(x) + z),
    "minus_normalised": lambda x, y, z, k: (
        sg.softmax(x) - y * sg.sum(sg.softmax(x), axis=1, keepdims=True)
    ),
    "normalised_minus": lambda x, y, z, k: (
        y * sg.sum(sg.softmax(x), axis=1, keepdims=True) - sg.softmax(x)
    ),
}
# fmt: on

#: rules whose result may cancel to zero: their error is measured against the inputs
CANCELLING = ("logsumexp", "log_softmax", "log_of", "normalised", "weighted")
ABSOLUTE = frozenset(name for name in EXAMPLES if any(part in name for part in CANCELLING))

LITERALS = (2.0, 3.0, -2.0, 0.5, -1.0, 0.0, 1.0, 4.0)


def examples_of(
    rule: Rule, x: Tensor, y: Tensor, z: Tensor, k: Tensor
) -> Iterator[Callable[[], Tensor]]:
    """Builders of expressions on which ``rule`` may fire; one of them must."""
    if rule.name in EXAMPLES:
        yield lambda: EXAMPLES[rule.name](x, y, z, k)
        return
    left = rule.left
    assert not isinstance(left, Node), f"rule {rule.name} needs an entry in EXAMPLES"
    for first in LITERALS:
        yield partial(_grown, left, [x, y, z], {}, [first, 3.0])
    yield lambda: _grown(left, [x > 0, y > 0, z > 0], {}, [1.0, 1.0])


def _grown(
    p: Pattern, free: list[Tensor], bound: dict[str, Tensor], literals: list[float]
) -> Tensor:
    """The pattern with variables in place of its names."""
    if isinstance(p, Var):
        if p.name not in bound:
            fresh = free.pop(0)
            bound[p.name] = fresh > 0 if p.name == "t" and fresh.dtype.kind != "b" else fresh
        return bound[p.name]
    like = (free or list(bound.values()))[0]
    numbers = [t.dtype for t in (like, *bound.values()) if t.dtype.kind != "b"]
    dtype = numbers[0] if numbers else like.dtype
    if isinstance(p, Const):
        return bound.setdefault(p.name, number(literals.pop(0), dtype))
    if isinstance(p, Literal):
        return number(p.value, sg.constant(True).dtype if isinstance(p.value, bool) else dtype)
    assert isinstance(p, Call)
    axis = {"axis": (1,)} if p.op in (r.sum_, r.prod) else {}
    return _op(p.op, *[_grown(a, free, bound, literals) for a in p.args], **axis)
