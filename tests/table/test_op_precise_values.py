"""The mathematical value of every operation, rounded, against NumPy's: ordinary and special."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from op_case import Array, Case, draw, variables
from op_cases import CASES

import symgraph as sg
from symgraph.backends.precise import evaluate_precisely, rounded
from symgraph.backends.precise.rows import ARRAYS
from symgraph.backends.precise.scalars import REAL, TRUTH
from symgraph.backends.reference.evaluate import evaluate_graph
from symgraph.graph import Graph
from symgraph.ops import OPS
from symgraph.types import TensorType

SEED = 20260411

#: One row a label is enough: rows that differ in dtypes and layouts alone have the same graph.
ROWS = [(c, d) for c in CASES for d in c.dtypes[:2]]


def close(got: Array, want: Array, ulps: float, regrouped: bool) -> Array:
    """Equal, or a few units in the last place apart; zeros have no sign here, any NaN is one."""
    if want.dtype.kind != "f":
        return np.asarray(got == want)
    with np.errstate(all="ignore"):
        unit = np.spacing(np.abs(want))
        finite = np.abs(want[np.isfinite(want)])
        if regrouped and finite.size:
            unit = np.maximum(unit, np.spacing(np.maximum(finite.max(), want.dtype.type(1))))
        near = np.abs(got - want) <= ulps * unit
    return np.asarray(near | (got == want) | (np.isnan(got) & np.isnan(want)))


@pytest.mark.parametrize(("case", "dtype"), ROWS, ids=[f"{c.id}-{d}" for c, d in ROWS])
def test_value_of_every_row(case: Case, dtype: str) -> None:
    rng = np.random.default_rng(SEED)
    xs = variables(case, dtype)
    graph = Graph([case.build(*xs)], xs)
    for n in case.sizes:
        values = dict(zip(xs, draw(case, rng, n, dtype), strict=True))
        (want,) = evaluate_graph(graph, values)
        (found,) = evaluate_precisely(graph, values, 256)
        got = rounded(found, want.dtype)
        assert got.shape == want.shape
        good = close(got, want, max(case.ulps, 4), case.regrouped)
        assert good.all(), f"seed {SEED}, n={n}: {got[~good]} for {want[~good]}"


SPECIAL = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, 2.5, -3.0, 30.0, -1e-5, 1e300, -1e300, 5e-324]
EDGES = np.array([*SPECIAL, np.inf, -np.inf, np.nan])

#: The sign of a zero decides an angle or a limit there, not only the sign of a pole.
UNSIGNED = {"divide", "reciprocal", "atan2", "pow", "floor_divide", "remainder"}

ELEMENTWISE = [
    c
    for c in CASES
    if c.op in OPS and OPS[c.op].elementwise and not c.label and "float64" in c.dtypes
]


@pytest.mark.parametrize("case", ELEMENTWISE, ids=[c.id for c in ELEMENTWISE])
def test_special_values(case: Case) -> None:
    edges = EDGES[(EDGES != 0) | ~np.signbit(EDGES)] if case.op in UNSIGNED else EDGES
    xs = [
        sg.tensor(f"x{k}", shape=("m",), dtype=a.dtype or "float64")
        for k, a in enumerate(case.args)
    ]
    grid = list(itertools.product(edges, repeat=len(xs)))
    values = {
        x: np.array(c).astype(x.dtype) for x, c in zip(xs, zip(*grid, strict=True), strict=True)
    }
    graph = Graph([case.build(*xs)], xs)
    (want,) = evaluate_graph(graph, values)
    got = rounded(evaluate_precisely(graph, values, 4096)[0], want.dtype)
    poles = np.isinf(got) & np.isinf(want) & np.any([a == 0 for a in values.values()], axis=0)
    good = close(got, want, max(case.ulps, 4), False) | poles
    shown = [(*(a[k] for a in values.values()), got[k], want[k]) for k in np.flatnonzero(~good)]
    assert good.all(), f"{len(shown)}: {shown[:6]}"


def test_a_mathematical_value_is_stated_for_every_operation() -> None:
    """A new operation needs a line in ``REAL`` or in ``ARRAYS`` (backends/precise)."""
    nodes = [n for c in CASES for n in Graph([c.build(*variables(c, c.dtypes[0]))]).nodes]
    used = {n.op for n in nodes if any(_on_floats(i) for i in n.inputs)}
    computing = {op.name for op in used if "moves" not in op.traits}
    assert computing - {*REAL, *TRUTH, *ARRAYS, "astype", "scatter_set"} == set()


def _on_floats(x: sg.Tensor) -> bool:
    return not isinstance(x.type, TensorType) or x.dtype.kind == "f"
