"""Random graphs hold pipelines to their word: strict keeps every bit, default every meaning.

Hypothesis prints the smallest failing graph, its arrays and the seed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from agreement import allowances
from hypothesis import HealthCheck, given, seed, settings
from random_graphs import Example
from wild_graphs import EXTREME, FINITE, ORDINARY, UNDEFINED, WILD_STEPS, Wild, wild_examples

import symgraph as sg
from symgraph.backends.precise import evaluate_precisely, rounded
from symgraph.backends.reference.evaluate import evaluate_graph
from symgraph.errors import SymgraphError
from symgraph.graph import Graph, topological
from symgraph.ops import OPS
from symgraph.passes.pipeline import PIPELINES, run_passes

Array = np.ndarray[Any, Any]
SETTINGS: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "derandomize": False,
    "print_blob": True,
    "suppress_health_check": list(HealthCheck),
}

#: How much larger than that of the graph as written the error of the simplified one may be.
FACTOR = 4.0

#: Enough to tell 1 - exp(5e-324) from 0.
BITS = 4096


def run(graph: Graph, example: Example) -> Array | None:
    """The output; None where the call is refused (an index out of range).

    Element-wise operations are computed element by element: NumPy's vector loops round some of them
    otherwise than its scalar ones, so results would depend on where an element stands.
    """
    given_ = dict(zip(example.inputs, example.arrays, strict=True))
    values: dict[sg.Tensor, Any] = {}

    def observe(node: sg.Tensor, value: Any) -> None:
        values[node] = value
        if "elementwise" in node.op.traits and "exact" not in node.op.traits:
            operands = [np.broadcast_to(values[i], value.shape).flatten() for i in node.inputs]
            single = [
                node.op.evaluate(*[o[k : k + 1] for o in operands]) for k in range(value.size)
            ]
            value.reshape(-1)[:] = np.concatenate(single) if single else ()

    try:
        with np.errstate(all="ignore"):
            return np.asarray(evaluate_graph(graph, given_, observe)[0])
    except SymgraphError:
        return None


def both(example: Example, pipeline: str) -> tuple[Graph, Graph]:
    """The graph as written and as the pipeline leaves it."""
    before = Graph(example.outputs, example.inputs)
    return before, run_passes(before, PIPELINES[pipeline])[0]


def told(after: Graph) -> str:
    return f"simplified to {[sg.pprint(o) for o in after.outputs]}"


def precise(graph: Graph, example: Example, bits: int | None = None) -> Array:
    """What mathematics says; zeros have no sign there."""
    values = dict(zip(example.inputs, example.arrays, strict=True))
    found: Array = rounded(evaluate_precisely(graph, values, bits)[0], np.float64)
    return found


@seed(20)
@settings(max_examples=300, **SETTINGS)
@given(wild_examples(EXTREME, most=60))
def test_strict_changes_no_bit(example: Example) -> None:
    before, after = both(example, "strict")
    want, got = run(before, example), run(after, example)
    if want is None or got is None:
        return
    np.testing.assert_array_equal(got, want, told(after))
    number = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(want[number]), told(after))


@seed(21)
@settings(max_examples=300, **SETTINGS)
@given(wild_examples(FINITE, most=60))
def test_default_keeps_finite_results_finite(example: Example) -> None:
    before, after = both(example, "default")
    want, got = run(before, example), run(after, example)
    if want is None or got is None or not (np.isfinite(want) & ~np.isfinite(got)).any():
        return
    # At a pole the sign of a zero decides, and rounding rules may change that.
    lost = np.isfinite(want) & ~np.isfinite(got) & np.isfinite(precise(before, example, BITS))
    assert not lost.any(), f"{got} instead of {want}; {told(after)}"


@seed(22)
@settings(max_examples=200, **SETTINGS)
@given(wild_examples(UNDEFINED))
def test_default_hides_no_nan(example: Example) -> None:
    """What is NaN as written and in mathematics stays NaN."""
    before, after = both(example, "default")
    want, got = run(before, example), run(after, example)
    if want is None or got is None or not np.isnan(want).any():
        return
    hidden = np.isnan(want) & np.isnan(precise(before, example, BITS)) & ~np.isnan(got)
    assert not hidden.any(), f"{got} instead of {want}; {told(after)}"


@seed(23)
@settings(max_examples=200, **SETTINGS)
@given(wild_examples(EXTREME))
def test_default_hides_no_infinity(example: Example) -> None:
    """What is infinite as written and in mathematics stays so."""
    before, after = both(example, "default")
    want, got = run(before, example), run(after, example)
    if want is None or got is None or not (np.isinf(want) & (got != want)).any():
        return
    if not any(np.isinf(a).any() for a in example.arrays):
        return  # what overflowed on the way may be repaired
    hidden = np.isinf(want) & (precise(before, example, BITS) == want) & (got != want)
    assert not hidden.any(), f"{got} instead of {want}; {told(after)}"


@seed(24)
@settings(max_examples=200, **SETTINGS)
@given(wild_examples(ORDINARY))
def test_default_is_no_less_accurate(example: Example) -> None:
    """The error against mpmath, beside that of the graph as written and what roundings may do."""
    before, after = both(example, "default")
    want, got = run(before, example), run(after, example)
    if want is None or got is None or want.dtype != np.float64:
        return
    truth = precise(before, example)
    f = sg.function(example.inputs, example.outputs, passes=(), backend="reference")
    with np.errstate(all="ignore"):
        allowed = FACTOR * (np.abs(want - truth) + allowances(f, example.arrays)[0])
        allowed = allowed + 8 * np.finfo(want.dtype).eps * np.abs(truth) + 1e-300
        wrong = np.abs(got - truth) > allowed
    assert not (wrong & np.isfinite(want)).any(), f"{got} {want} {truth} {told(after)}"


def test_every_operation_is_reached() -> None:
    """The generator leaves out no operation but shared variables and the user's word."""
    seen: set[str] = set()
    for step in dict.fromkeys(WILD_STEPS):

        @seed(25)
        @settings(max_examples=150, **SETTINGS)
        @given(wild_examples(ORDINARY, most=8, table=(step, step, Wild.cut)))
        def collect(example: Example) -> None:
            seen.update(n.op.name for n in topological(example.outputs))

        collect()
    assert set(OPS) - seen <= {"shared", "assume_normalised"}
