"""Expressions on which the rules of the family layout fire."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from rule_example import Example, node

import symgraph as sg
from symgraph import Tensor
from symgraph.functions.variables import number
from symgraph.ops import reduction as r
from symgraph.ops import shape as s

__all__ = ["EXAMPLES"]


def _wide(x: Tensor, rows: int = 2) -> Tensor:
    return node(s.broadcast_to, sg.sum(x), shape=(rows, 3))


def _indices(values: list[int]) -> Tensor:
    return sg.constant(np.array(values))


def _written(x: Tensor, y: Tensor) -> Tensor:
    """x transposed, with two rows replaced by columns of y."""
    out: Tensor = x.T.at[_indices([2, 0])].set(y.T[:2])
    return out


def _zeros(x: Tensor) -> Tensor:
    """Zeros of the shape of x transposed."""
    return sg.zeros(x.shape[::-1], x.dtype)


def _backwards(x: Tensor) -> Tensor:
    """x written over everything with its first axis reversed."""
    rest = x.ndim - 1
    at = {"starts": (x.shape[0] - 1, *(0,) * rest), "steps": (-1, *(1,) * rest)}
    return node(s.place, x, number(0, x.dtype), shape=x.shape, **at)


def _into_ones(x: Tensor) -> Tensor:
    out: Tensor = sg.ones((5, 3), x.dtype).at[:2].set(x[0])
    return out


def _of_each_reduction() -> dict[str, Example]:
    """The rules that hold for every reduction, by its name."""
    out: dict[str, Example] = {}
    for op in (r.sum_, r.max_, r.min_, r.logsumexp):
        out |= _of_reduction(op, lambda x: x)
    for op in (r.any_, r.all_):
        out |= _of_reduction(op, lambda x: x > 1)
    for op in (r.argmax, r.argmin):
        out[f"{op.name}_permuted"] = partial(_reduced, op, lambda x: x.T, (0,))
        out[f"{op.name}_squeezed"] = partial(_reduced, op, lambda x: sg.squeeze(x[None], 0), (1,))
    return out


def _of_reduction(op: sg.Op, cast: Any) -> dict[str, Example]:
    name = op.name
    return {
        f"{name}_permuted": partial(_reduced, op, lambda x: cast(x).T, (0,)),
        f"{name}_expanded": partial(_reduced, op, lambda x: cast(x)[:, None], (1, 2)),
        f"{name}_squeezed": partial(_reduced, op, lambda x: sg.squeeze(cast(x)[None], 0), (1,)),
        f"{name}_reshaped": partial(_reduced, op, lambda x: cast(x).reshape((*x.shape, 1)), (1,)),
        f"{name}_flipped": partial(_reduced, op, lambda x: cast(x)[:, ::-1], (1,)),
        f"{name}_repeated": partial(
            _reduced, op, lambda x: sg.broadcast_to(cast(x)[:, None], (x.shape[0], 4, 3)), (1, 2)
        ),
    }


def _reduced(
    op: sg.Op, made: Any, axis: tuple[int, ...], x: Tensor, y: Tensor, z: Tensor, k: Tensor
) -> Tensor:
    return node(op, made(x), axis=axis)


# fmt: off
EXAMPLES: dict[str, Example] = {
    # ---- moving ----------------------------------------------------------------------------------
    "reshape_chain":      lambda x, y, z, k: sg.squeeze(sg.expand_dims(x, 1), 1),
    "reshape_simpler":    lambda x, y, z, k: x.reshape((x.shape[0], 1, 3)),
    "permute_chain":      lambda x, y, z, k: x.T.T,
    "permute_in_order":   lambda x, y, z, k: x[:, None].transpose((1, 0, 2)),
    "slice_chain":        lambda x, y, z, k: x[:, ::-1][:, 1:],
    "slice_whole": lambda x, y, z, k: (
        node(s.slice_, x, starts=(0, 0), steps=(1, 1), lengths=x.shape)
    ),
    "concat_one":         lambda x, y, z, k: node(s.concat, x, axis=0),
    "broadcast_chain": lambda x, y, z, k: (
        sg.broadcast_to(sg.broadcast_to(sg.sum(x), (3,)), (2, 3))
    ),
    "broadcast_none":     lambda x, y, z, k: node(s.broadcast_to, x, shape=x.shape),
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
    "permute_expanded":   lambda x, y, z, k: x.T[:, None].transpose((0, 2, 1)),
    "squeeze_permuted":   lambda x, y, z, k: sg.squeeze(x[:, :1].T, 0),
    "broadcast_permuted": lambda x, y, z, k: sg.broadcast_to(x[:, None], (x.shape[0], 2, 3)).mT,
    "broadcast_squeezed": lambda x, y, z, k: (
        sg.squeeze(sg.broadcast_to(sg.sum(x, axis=0), (1, 2, 3)), 0)
    ),
    "broadcast_reshaped": lambda x, y, z, k: sg.broadcast_to(x[0], (4, 3)).reshape((2, 2, 3)),
    "squeeze_sinks":      lambda x, y, z, k: sg.squeeze(sg.exp(x[:, :1]), 1),
    "scalar_below_move":  lambda x, y, z, k: x.T + sg.sum(y),
    # ---- slices ----------------------------------------------------------------------------------
    "slice_of_nothing":   lambda x, y, z, k: sg.exp(x)[:, :0],
    "slice_permuted":     lambda x, y, z, k: x.T[1:, ::2],
    "slice_expanded":     lambda x, y, z, k: x[:, None][1:],
    "slice_squeezed":     lambda x, y, z, k: sg.squeeze(x[:, :1], 1)[1:],
    "slice_reshaped":     lambda x, y, z, k: x.reshape((x.shape[0], 3, 1, 1))[::-1],
    "slice_broadcast":    lambda x, y, z, k: sg.broadcast_to(x[0][None], (5, 3))[1:3, 1:],
    "slice_iota":         lambda x, y, z, k: x[:4] * sg.arange(7, dtype=x.dtype)[:3],
    "slice_concat":       lambda x, y, z, k: sg.concat([x, y], axis=1)[:, 2:4],
    "slice_place":        lambda x, y, z, k: sg.pad(x, ((0, 0), (1, 2)))[:, 1:3],
    "slice_elementwise":  lambda x, y, z, k: sg.where(x > y, x, y[:, :1])[1:, 1:],
    "slice_reduction":    lambda x, y, z, k: sg.max(x, axis=1)[::2],
    "slice_sum":          lambda x, y, z, k: sg.sum(x, axis=0)[1:],
    "slice_running_sum":  lambda x, y, z, k: sg.cumulative_sum(x, axis=1)[:, 2],
    "slice_rowwise":      lambda x, y, z, k: sg.cumulative_sum(x, axis=1)[1:],
    "slice_matmul":       lambda x, y, z, k: (x @ y.T)[1:, ::2],
    # ---- reads by index --------------------------------------------------------------------------
    "gather_line":        lambda x, y, z, k: sg.take(x, [2, 1], axis=1),
    "gather_gather": lambda x, y, z, k: x.T[_indices([0, 0, 1])][k],
    "gather_permuted":    lambda x, y, z, k: x.T[k],
    "gather_written": lambda x, y, z, k: _written(x, y)[_indices([2, 0])],
    "gather_elementwise": lambda x, y, z, k: sg.take(sg.abs(x), [0, 2, 2], axis=1),
    "slice_gather": lambda x, y, z, k: x.T[k][:, 1:],
    # ---- concatenations --------------------------------------------------------------------------
    "concat_empty":       lambda x, y, z, k: sg.concat([x[:, :0], x, y], axis=1),
    "concat_nested":      lambda x, y, z, k: sg.concat([x, sg.concat([y, z], axis=1)], axis=1),
    "concat_slices":      lambda x, y, z, k: sg.concat([x[:, :1], x[:, 1:], y], axis=1),
    "concat_permuted":    lambda x, y, z, k: sg.concat([x.T, y.T], axis=0),
    "concat_expanded":    lambda x, y, z, k: sg.concat([x[None], y[None]], axis=1),
    "concat_elementwise": lambda x, y, z, k: sg.concat([sg.abs(x), sg.abs(y)], axis=1),
    "stack_elementwise":  lambda x, y, z, k: sg.stack([sg.square(x), sg.square(y)]),
    # ---- writes ----------------------------------------------------------------------------------
    "place_whole":        lambda x, y, z, k: _backwards(x),
    "place_same":         lambda x, y, z, k: sg.pad(sg.zeros_like(x), 1),
    "place_chain":        lambda x, y, z, k: sg.pad(sg.pad(x, 1), 2),
    "place_permuted":     lambda x, y, z, k: sg.pad(x, ((1, 0), (0, 2))).T,
    "write_back":         lambda x, y, z, k: x.at[:, 1:].set(x[:, 1:]),
    "write_into_constant": lambda x, y, z, k: _into_ones(x),
    "scatter_back":       lambda x, y, z, k: x.T.at[[2, 0]].set(x.T[[2, 0]]),
    "scatter_twice":      lambda x, y, z, k: x.T.at[k].set(x.T[k]).at[k].set(y.T[k]),
    "scatter_zero":       lambda x, y, z, k: x.T.at[[2, 0]].add(0),
    "place_below":        lambda x, y, z, k: sg.abs(sg.pad(x, 1, constant_values=-1)),
    "places_combine":     lambda x, y, z, k: sg.pad(x, 1) + sg.pad(y, 1),
    "times_placed":       lambda x, y, z, k: sg.pad(x, 1) * sg.pad(y, 1, constant_values=2),
    "matmul_placed": lambda x, y, z, k: x @ sg.pad(y.T, ((0, 0), (1, 1))),
    "sum_placed":         lambda x, y, z, k: sg.sum(sg.pad(x, 1), axis=0),
    "add_places": lambda x, y, z, k: (
        sg.pad(x, ((0, 0), (0, 4))) + sg.pad(y, ((0, 0), (4, 0)))
    ),
    "scaled_scatter": lambda x, y, z, k: 0.5 * _zeros(x).at[k].add(y.T[k]),
    "add_scattered": lambda x, y, z, k: x.T + _zeros(x).at[k].add(y.T[k]),
    "subtract_scattered": lambda x, y, z, k: x.T - _zeros(x).at[k].add(y.T[k]),
    # ---- reductions ------------------------------------------------------------------------------
    "reduction_of_one":   lambda x, y, z, k: sg.max(x[:, :1], axis=1),
    "sum_of_one":         lambda x, y, z, k: sg.sum(x[:, :1], axis=1),
    "reduction_of_ones":  lambda x, y, z, k: sg.max(x[:, None], axis=(1, 2)),
    "sum_of_ones":        lambda x, y, z, k: sg.sum(x[:, None], axis=(1, 2)),
    "extreme_chain":      lambda x, y, z, k: sg.max(sg.max(x, axis=1)),
    "prod_chain_integer": lambda x, y, z, k: sg.prod(sg.prod(x, axis=1)),
    "prod_chain":         lambda x, y, z, k: sg.prod(sg.prod(x, axis=1)),
    "max_negative":       lambda x, y, z, k: sg.max(-x, axis=1),
    "min_negative":       lambda x, y, z, k: sg.min(-x, axis=1),
    "any_not":            lambda x, y, z, k: sg.any(~(x > y), axis=1),
    "all_not":            lambda x, y, z, k: sg.all(~(x > y), axis=1),
    "extreme_steady":     lambda x, y, z, k: sg.max(sg.relu(x), axis=1),
    "extreme_rising":     lambda x, y, z, k: sg.min(sg.exp(x), axis=1),
    "max_sqrt":           lambda x, y, z, k: sg.max(sg.sqrt(sg.abs(x)), axis=1),
    "min_sqrt":           lambda x, y, z, k: sg.min(sg.sqrt(sg.abs(x)), axis=1),
    "sum_factor":         lambda x, y, z, k: sg.sum(sg.tanh(x[:, :1]) * sg.sin(y), axis=1),
    "sum_chosen": lambda x, y, z, k: (
        sg.sum(sg.where(x > y, 3, sg.zeros((), x.dtype)), axis=1)
    ),
    "prod_repeated": lambda x, y, z, k: (
        sg.prod(sg.broadcast_to(x[:, None], (x.shape[0], 3, 3)), axis=1)
    ),
    **_of_each_reduction(),
}
# fmt: on
