"""Expressions on which the rules of the family layout fire."""

from __future__ import annotations

from rule_example import Example, node

import symgraph as sg
from symgraph import Tensor
from symgraph.ops import shape as s

__all__ = ["EXAMPLES"]


def _wide(x: Tensor, rows: int = 2) -> Tensor:
    return node(s.broadcast_to, sg.sum(x), shape=(rows, 3))


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
    "sum_permuted":       lambda x, y, z, k: sg.sum(x.T, axis=0),
    "sum_expanded":       lambda x, y, z, k: sg.sum(sg.expand_dims(x, 1), axis=(1, 2)),
}
# fmt: on
