"""Expressions on which the rules of the family logic fire."""

from __future__ import annotations

from rule_example import Example, node

import symgraph as sg
from symgraph.functions.creation import iota
from symgraph.functions.variables import number, size_value
from symgraph.ops import elementwise as e
from symgraph.ops import index, leaves

__all__ = ["EXAMPLES"]


def _mask(truth: sg.Tensor, like: sg.Tensor) -> sg.Tensor:
    return sg.astype(truth, like.dtype)


def _zero(like: sg.Tensor) -> sg.Tensor:
    return number(0, like.dtype)


def _square(x: sg.Tensor) -> sg.Tensor:
    return sg.reshape(sg.stack([x[0], x[1], x[2]]), (3, 3))


# fmt: off
EXAMPLES: dict[str, Example] = {
    # ---- folding ---------------------------------------------------------------------------------
    "fold_exact":         lambda x, y, z, k: x + (number(2, x.dtype) * number(3, x.dtype)),
    "fold":               lambda x, y, z, k: x + sg.exp(number(1, x.dtype)),
    "fold_size":          lambda x, y, z, k: x + node(leaves.size, dim=3, dtype=x.dtype),
    "cast_size": lambda x, y, z, k: (
        x + node(e.astype, size_value(x.shape[0]), dtype=x.dtype)
    ),
    # ---- logic -----------------------------------------------------------------------------------
    "where_again_true":   lambda x, y, z, k: sg.where(x > y, sg.where(x > y, x, y), z),
    "where_again_false":  lambda x, y, z, k: sg.where(x > y, z, sg.where(x > y, x, y)),
    "astype_chain":       lambda x, y, z, k: sg.astype(sg.astype(x > 0, "float32"), "float64"),
    "astype_same":        lambda x, y, z, k: node(e.astype, x, dtype=x.dtype),
    "equal_same":         lambda x, y, z, k: sg.equal(k, k),
    "unequal_same":       lambda x, y, z, k: sg.not_equal(k, k),
    "finite_integer":     lambda x, y, z, k: sg.isfinite(k),
    "nan_integer":        lambda x, y, z, k: sg.isnan(k),
    "inf_integer":        lambda x, y, z, k: sg.isinf(k),
    "xor_not":            lambda x, y, z, k: sg.logical_xor(x > y, sg.logical_not(x > y)),
    "where_and":          lambda x, y, z, k: sg.where(x > y, y > z, sg.constant(False)),
    "where_or":           lambda x, y, z, k: sg.where(x > y, sg.constant(True), y > z),
    "where_not_and":      lambda x, y, z, k: sg.where(x > y, sg.constant(False), y > z),
    "where_not_or":       lambda x, y, z, k: sg.where(x > y, y > z, sg.constant(True)),
    "xor_nots": lambda x, y, z, k: (
        sg.logical_xor(sg.logical_not(x > y), sg.logical_not(y > z))
    ),
    "and_of_nots": lambda x, y, z, k: (
        sg.logical_and(sg.logical_not(x > y), sg.logical_not(y > z))
    ),
    "or_of_nots": lambda x, y, z, k: (
        sg.logical_or(sg.logical_not(x > y), sg.logical_not(y > z))
    ),
    "and_absorbs":        lambda x, y, z, k: sg.logical_and(x > y, sg.logical_or(x > y, y > z)),
    "or_absorbs":         lambda x, y, z, k: sg.logical_or(x > y, sg.logical_and(x > y, y > z)),
    "and_repeats":        lambda x, y, z, k: sg.logical_and(x > y, sg.logical_and(x > y, y > z)),
    "or_repeats":         lambda x, y, z, k: sg.logical_or(x > y, sg.logical_or(x > y, y > z)),
    "and_excludes": lambda x, y, z, k: (
        sg.logical_and(x > y, sg.logical_or(sg.logical_not(x > y), y > z))
    ),
    "or_excludes": lambda x, y, z, k: (
        sg.logical_or(x > y, sg.logical_and(sg.logical_not(x > y), y > z))
    ),
    "astype_trunc":       lambda x, y, z, k: sg.astype(sg.trunc(x), "int64"),
    # ---- masks -----------------------------------------------------------------------------------
    "where_both":         lambda x, y, z, k: sg.where(x > y, sg.where(y > z, x, z), z),
    "where_either":       lambda x, y, z, k: sg.where(x > y, x, sg.where(y > z, x, z)),
    "where_implied": lambda x, y, z, k: (
        sg.where(sg.logical_and(x > y, y > z), sg.where(y > z, x, y), z)
    ),
    "where_excluded": lambda x, y, z, k: (
        sg.where(sg.logical_or(x > y, y > z), z, sg.where(y > z, x, y))
    ),
    "where_opposite": lambda x, y, z, k: (
        sg.where(z > 0, x, number(0, x.dtype)) + sg.where(z > 0, number(0, x.dtype), y)
    ),
    "where_opposite_less": lambda x, y, z, k: (
        sg.where(z > 0, x, number(0, x.dtype)) - sg.where(z > 0, number(0, x.dtype), y)
    ),
    "where_less_opposite": lambda x, y, z, k: (
        sg.where(z > 0, number(0, x.dtype), x) - sg.where(z > 0, y, number(0, x.dtype))
    ),
    "scaled_mask_added": lambda x, y, z, k: (
        sg.where(z > 0, x, number(0, x.dtype))
        + number(3, x.dtype) * sg.where(z > 0, y, number(0, x.dtype))
    ),
    "masked_scale": lambda x, y, z, k: (
        number(-3, x.dtype) * sg.where(z > 0, number(2, x.dtype) * x, number(0, x.dtype))
    ),
    "masks_merged": lambda x, y, z, k: (
        sg.where(z > 0, x, number(2, x.dtype)) - sg.where(z > 0, y, number(3, x.dtype))
    ),
    "masked_operand": lambda x, y, z, k: (
        sg.abs(sg.where(z > 0, number(1, x.dtype), number(-2, x.dtype)))
    ),
    "condition_known": lambda x, y, z, k: (
        sg.where(z > 0, sg.exp(sg.where(z > 0, x, y)) * _mask(z > 0, x), y)
    ),
    "branches_alike":     lambda x, y, z, k: sg.where(z > 0, sg.exp(x), sg.exp(y)),
    "masked_product":     lambda x, y, z, k: sg.where(z > 0, x, number(0, x.dtype)) * y,
    "masked_quotient":    lambda x, y, z, k: sg.where(z > 0, x, number(0, x.dtype)) / y,
    "mask_factor":        lambda x, y, z, k: sg.astype(z > 0, x.dtype) * x,
    "sum_masked": lambda x, y, z, k: (
        sg.sum(sg.where(z[:, :1] > 0, x, number(0, x.dtype)), axis=1)
    ),
    "prod_masked": lambda x, y, z, k: (
        sg.prod(sg.where(z[0] > 0, x, number(1, x.dtype)), axis=0)
    ),
    "masks_multiplied":   lambda x, y, z, k: _mask(x > y, x) * _mask(y > z, x),
    "masks_minimum":      lambda x, y, z, k: sg.minimum(_mask(x > y, x), _mask(y > z, x)),
    "masks_maximum":      lambda x, y, z, k: sg.maximum(_mask(x > y, x), _mask(y > z, x)),
    "mask_from_one":      lambda x, y, z, k: number(1, x.dtype) - _mask(x > y, x),
    "mask_square":        lambda x, y, z, k: sg.square(_mask(x > y, x)),
    "mask_root":          lambda x, y, z, k: sg.sqrt(_mask(x > y, x)),
    "mask_sign":          lambda x, y, z, k: sg.sign(_mask(x > y, x)),
    # ---- comparisons -----------------------------------------------------------------------------
    "comparison_literal_second": lambda x, y, z, k: node(e.less, number(2, x.dtype), x),
    "comparison_decided": lambda x, y, z, k: sg.less(sg.square(x), number(0, x.dtype)),
    "comparisons_combined": lambda x, y, z, k: sg.logical_or(x < y, sg.equal(y, x)),
    "isnan_known":        lambda x, y, z, k: sg.isnan(_mask(x > y, x)),
    "isinf_known":        lambda x, y, z, k: sg.isinf(sg.sin(x)),
    "isfinite_known":     lambda x, y, z, k: sg.isfinite(_mask(x > y, x)),
    "compare_mask":       lambda x, y, z, k: sg.equal(_mask(x > y, z), number(1, z.dtype)),
    "compare_integers":   lambda x, y, z, k: sg.astype(k, "float64") < 2.0,
    "compare_unconverted": lambda x, y, z, k: (
        sg.less(sg.astype(sg.astype(x, "float32"), "float64"), node(
            e.astype, sg.astype(y, "float32"), dtype=sg.types.as_dtype("float64")))
    ),
    "compare_sizes":      lambda x, y, z, k: size_value(x.shape[0]) < size_value(x.shape[0] + 1),
    "extreme_size": lambda x, y, z, k: (
        k + sg.maximum(size_value(k.shape[0]), size_value(k.shape[0] + 1))
    ),
    "maximum_settled":    lambda x, y, z, k: sg.maximum(sg.sin(x), number(-2, x.dtype)),
    "minimum_settled":    lambda x, y, z, k: sg.minimum(sg.sigmoid(x), number(1, x.dtype)),
    "maximum_zero":       lambda x, y, z, k: sg.maximum(x, number(0, x.dtype)),
    "clip_inside":        lambda x, y, z, k: sg.clip(sg.sin(x), -1, 2),
    "clip_below":         lambda x, y, z, k: sg.clip(sg.sin(x), 0.5, 2),
    "clip_above":         lambda x, y, z, k: sg.clip(sg.sin(x), -2, 0.5),
    "clip_clip":          lambda x, y, z, k: sg.clip(sg.clip(x, -2, 2), -1, 3),
    "relu_of_maximum":    lambda x, y, z, k: sg.relu(sg.maximum(x, number(-1, x.dtype))),
    "relu_settled":       lambda x, y, z, k: sg.relu(sg.square(x)),
    "abs_settled":        lambda x, y, z, k: sg.abs(sg.exp(x)),
    "abs_below":          lambda x, y, z, k: sg.abs(sg.minimum(x, number(0, x.dtype))),
    "sign_settled":       lambda x, y, z, k: sg.sign(_mask(x > y, x) + number(1, x.dtype)),
    "floor_of_whole":     lambda x, y, z, k: sg.floor(sg.ceil(x)),
    "ceil_of_whole":      lambda x, y, z, k: sg.ceil(sg.ceil(x) + sg.floor(y)),
    "trunc_of_whole":     lambda x, y, z, k: sg.trunc(sg.sign(x)),
    "round_of_whole":     lambda x, y, z, k: sg.round(_mask(x > y, x)),
    "floor_divide_same": lambda x, y, z, k: (
        sg.floor_divide(sg.argmax(x, axis=1) + 1, sg.argmax(x, axis=1) + 1)
    ),
    "remainder_of_small": lambda x, y, z, k: sg.argmax(x, axis=1) % 3,
    "floor_divide_small": lambda x, y, z, k: sg.argmax(x, axis=1) // 4,
    # ---- opposite conditions ---------------------------------------------------------------------
    "choices_of_both":    lambda x, y, z, k: sg.where(x > 0, y, z) * sg.where(x > 0, z, y),
    "masks_excluded": lambda x, y, z, k: (
        sg.where(sg.sign(x) > 0, y, _zero(x)) + sg.where(sg.sign(x) <= 0, z, _zero(x))
    ),
    "masks_complete": lambda x, y, z, k: (
        sg.astype(k > 1, x.dtype) + sg.astype(k <= 1, x.dtype)
    ),
    "relu_beside_above": lambda x, y, z, k: (
        sg.relu(x) + sg.where(x > number(0, x.dtype), _zero(x), y)
    ),
    "relu_beside_below": lambda x, y, z, k: (
        sg.relu(x) + sg.where(x <= number(0, x.dtype), y, _zero(x))
    ),
    "extremes_add":       lambda x, y, z, k: sg.maximum(x, y) + sg.minimum(x, y),
    "extremes_multiply":  lambda x, y, z, k: sg.maximum(x, y) * sg.minimum(x, y),
    "extremes_subtract":  lambda x, y, z, k: sg.maximum(x, y) - sg.minimum(x, y),
    "extremes_at_zero": lambda x, y, z, k: (
        sg.relu(x) + sg.minimum(x, number(0, x.dtype))
    ),
    # ---- diagonals -------------------------------------------------------------------------------
    "diagonal_transposed":    lambda x, y, z, k: sg.diag(x[:, 0]).T,
    "diagonal_of_transposed": lambda x, y, z, k: sg.where(sg.eye(3, dtype="bool"), _square(x).T, 0),
    "diagonal_read":          lambda x, y, z, k: sg.diag(sg.diag(x[:, 0])),
    "diagonal_axes": lambda x, y, z, k: (
        node(index.gather, _square(x), sg.arange(3), sg.arange(3), axes=(1, 0))
    ),
    "sum_of_diagonal":        lambda x, y, z, k: sg.sum(sg.diag(x[:, 0])),
    "one_hot_total":          lambda x, y, z, k: sg.sum(sg.one_hot(k, 3, dtype=x.dtype)),
    "one_hot_picks": lambda x, y, z, k: (
        sg.sum(sg.one_hot(sg.argmax(x, axis=1), 3, dtype=x.dtype) * sg.sin(sg.tanh(y)), axis=1)
    ),
    "labels_checked_once": lambda x, y, z, k: (
        node(index.gather, x, node(index.gather, iota(x.shape[0]), k, axes=(0,)), axes=(0,))
    ),
}
# fmt: on
