"""How much rounding error each rewrite of a compiled function removed or added."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.audit_results import Audit, Measured, RuleAudit
from symgraph.backends.precise import PRECISIONS, evaluate_precisely, precise_difference, rounded
from symgraph.backends.reference.evaluate import evaluate_graph
from symgraph.errors import SymgraphError
from symgraph.graph import Graph, topological
from symgraph.ops import leaves
from symgraph.passes.rules.rule import EXACT, NORMWISE, STABILISING
from symgraph.passes.trace import Rewrite
from symgraph.printer import brief
from symgraph.program import Function
from symgraph.samples import KINDS, Values, draw, whole_number
from symgraph.tensor import Tensor
from symgraph.types import TensorType

__all__ = ["Audit", "Measured", "RuleAudit", "audit"]

Array = np.ndarray[Any, Any]
#: A rewrite or function of more element operations than this is not measured, nor draws of the
#: whole function beyond the second number: mpmath needs some ten microseconds for each operation.
COSTLY, WHOLE = 300_000, 40_000
#: An error may double and grow by this many ulps before a rewrite counts as having made something
#: worse: what rounding a few times more costs; and by what one ulp in the operands changes, this
#: many times.
ALLOWED, CONDITIONED = 4.0, 2.0
#: How many operations below the operands that both sides share a stabilising rule may look.
DEEPER = 3
#: So many rewrites may add up their few ulps before the whole function counts as worse.
ADDED = 8
#: A sample draws at least so many numbers for each input, in up to eight draws.
COVERED = 24


def audit(function: Function, samples: int = 6, seed: int = 0, per_rule: int = 3) -> Audit:
    """Measure every rule that fired in ``function`` on sampled and boundary inputs.

    Both sides of a rewrite start from the same floats: those that NumPy computes for the operands
    they share. So the error is the rule's own, not that of what came before. A stabilising rule may
    look into these operands (``sqrt(x + 1) - sqrt(x)`` is known from x, not from rounded roots): if
    it seems to make something worse, both sides start from up to three operations further below.

    Shared variables keep their values; random choices depend on ``seed`` alone.

    Raises:
        UnsupportedError: mpmath is not installed.
        UsageError: a number that is not whole, or too small.

    >>> import symgraph as sg
    >>> x = sg.vector("x", shape=3)
    >>> f = sg.function([x], sg.log(1 + sg.exp(x)), backend="reference")
    >>> found = audit(f)
    >>> found.rules[0].result.before > 1e9, found.rules[0].result.after < 4, found.worse
    (True, True, ())
    """
    for name, value, least in (
        ("samples", samples, 1),
        ("seed", seed, 0),
        ("per_rule", per_rule, 1),
    ):
        whole_number(value, f"audit: {name}", least)
    evaluate_precisely(Graph([]), {}, PRECISIONS[0])  # says so where mpmath is missing
    with np.errstate(all="ignore"):
        return _audited(function, samples, seed, per_rule)


def _audited(function: Function, samples: int, seed: int, per_rule: int) -> Audit:
    drawn = _draws(function, samples, seed)
    by_rule: dict[str, list[Rewrite]] = {}
    for r in function.rewrites:
        by_rule.setdefault(r.rule, []).append(r)
    rules = tuple(_rule(function, found, drawn, per_rule) for found in by_rule.values())
    whole, left_out = _whole(function, drawn)
    return Audit(function.name, rules, whole, left_out, len(drawn))


def _draws(function: Function, samples: int, seed: int) -> list[Values]:
    """The samples; each is several draws where the inputs are so small that they would miss what
    lies at the boundaries."""
    first = draw(function.original, KINDS[0], seed)
    smallest = min([a.size for a in first.values() if a.dtype.kind == "f"], default=COVERED)
    repeats = min(8, -(-COVERED // max(1, smallest)))
    count = samples * repeats
    return [draw(function.original, KINDS[k % 3], seed + k) for k in range(count)]


def _rule(
    function: Function, rewrites: list[Rewrite], drawn: Sequence[Values], most: int
) -> RuleAudit:
    first = rewrites[0]
    results: list[Measured] = []
    reasons: dict[str, None] = {}
    for r in _spread(rewrites, most):
        try:
            found = _rewrite(function, r, drawn)
        except SymgraphError as error:
            reasons[str(error)] = None
            continue
        if isinstance(found, str):
            reasons[found] = None
        else:
            results.append(found)
    worst = _worst(results) if results else None
    return RuleAudit(
        first.rule, first.contract, len(rewrites), len(results), worst, "; ".join(reasons)
    )


def _spread(rewrites: list[Rewrite], most: int) -> list[Rewrite]:
    """At most so many, the first and the last among them."""
    if len(rewrites) <= most:
        return rewrites
    places = np.linspace(0, len(rewrites) - 1, most).round().astype(int)
    return [rewrites[k] for k in dict.fromkeys(places.tolist())]


def _worst(results: Sequence[Measured]) -> Measured:
    """All results as one: the largest errors, the witness of the most telling."""
    telling = max(results, key=lambda m: (m.worse, m.worse_by if m.worse else m.before))
    return Measured(
        max(m.before for m in results),
        max(m.after for m in results),
        max(m.worse_by for m in results),
        telling.witness,
        telling.outcome,
        all(m.same_bits for m in results),
    )


# ---- one rewrite ---------------------------------------------------------------------------------


def _rewrite(function: Function, r: Rewrite, drawn: Sequence[Values]) -> Measured | str:
    """The errors of a rewrite, or why they were not measured."""
    if not isinstance(r.before.type, TensorType):
        return "a tuple is not measured"
    cut = _shared(r.before, r.after)
    found = _from(function, r, drawn, cut)
    for _ in range(DEEPER if r.contract == STABILISING else 0):
        below = _deeper(r.before, cut)
        if isinstance(found, str) or not found.worse or set(below) == set(cut):
            return found
        cut, again = below, _from(function, r, drawn, below)
        found = found if isinstance(again, str) or again.worse else again
    return found


def _deeper(before: Tensor, cut: list[Tensor]) -> list[Tensor]:
    """The cut one operation further below, where that works on elements."""
    below = dict.fromkeys(i for n in cut for i in (n.inputs if n.op.elementwise else (n,)))
    return _complete(before, {n: None for n in below if n.op is not leaves.constant})


def _from(
    function: Function, r: Rewrite, drawn: Sequence[Values], shared: list[Tensor]
) -> Measured | str:
    """The errors of a rewrite whose sides start from the values of ``shared``."""
    results = []
    for values in drawn:
        known: dict[Tensor, Any] = {}
        evaluate_graph(Graph(shared, function.original.inputs), values, known.__setitem__)
        given = {n: np.asarray(known[n]) for n in shared}
        sides = [_above(root, given) for root in (r.before, r.after)]
        everything = values | given  # the inputs say what the sizes are
        if _cost(sides, everything) > COSTLY:
            return f"not measured: more than {COSTLY:.0e} element operations"
        before, after = sides
        results.append(_sides(before, after, everything, given, r.contract))
    return _worst(results)


def _shared(before: Tensor, after: Tensor) -> list[Tensor]:
    """The topmost operations that both sides depend on: where the two part."""
    below = set(topological([before]))
    met: dict[Tensor, None] = {}
    stack, seen = [after], {after}
    while stack:
        node = stack.pop()
        if node in below and node.op is not leaves.constant and isinstance(node.type, TensorType):
            met[node] = None
            continue
        fresh = [i for i in node.inputs if i not in seen]
        seen.update(fresh)
        stack.extend(fresh)
    return _complete(before, met)


def _complete(before: Tensor, met: dict[Tensor, None]) -> list[Tensor]:
    """The cut of the original: what it meets below must not be looked through again."""
    order = topological([before], met)
    rest = [n for n in order if n.op in (leaves.input_, leaves.shared)]
    return list(dict.fromkeys([*met, *rest]))


def _above(root: Tensor, given: Values) -> Graph:
    """The graph of the root whose given nodes are not looked through.

    Evaluation asks for the values of given nodes first, so that their own operands, which are part
    of the graph, would only cost time: a graph without them is made.
    """
    graph = Graph([])
    graph.outputs = (root,)
    graph.nodes = [*given, *topological([root], given)]
    return graph


def _cost(sides: Sequence[Graph], values: Values) -> float:
    """How many element operations, roughly."""
    known: dict[Tensor, Any] = {}
    for side in sides:
        evaluate_graph(side, values, known.__setitem__)
    return sum(_work(n, known) for n in known if n not in values)


def _work(node: Tensor, known: dict[Tensor, Any]) -> float:
    value = known[node]
    size = float(max(1, getattr(value, "size", 1)))
    if node.op.name == "matmul":
        return size * float(np.shape(known[node.inputs[0]])[-1])
    return max([size, *(float(np.size(known[i])) for i in node.inputs if i in known)])


def _sides(before: Graph, after: Graph, values: Values, given: Values, contract: str) -> Measured:
    (old,) = evaluate_graph(before, values)
    (new,) = evaluate_graph(after, values)
    if contract == EXACT and _same_bits(old, new):
        return Measured(0.0, 0.0, 0.0, "", "", True)
    (truth,) = evaluate_precisely(before, values)

    def moved(sign: float) -> Any:
        return evaluate_precisely(before, values | _moved(given, sign))[0]

    return _measured(
        truth, old, new, given, moved, normwise=contract == NORMWISE,
        pointwise=_pointwise(before, given) and _pointwise(after, given),
    )  # fmt: skip


def _same_bits(old: Array, new: Array) -> bool:
    """Any NaN equals any NaN."""
    if old.dtype.kind != "f":
        return bool(np.array_equal(old, new))
    same = (old == new) & (np.signbit(old) == np.signbit(new)) | (np.isnan(old) & np.isnan(new))
    return bool(np.all(same))


def _moved(given: Values, sign: float) -> Values:
    """Floats moved to their neighbours: all away from zero, or every second one towards it."""
    out: Values = {}
    for v, array in given.items():
        if array.dtype.kind != "f":
            continue
        towards = np.full(array.shape, np.inf, array.dtype)
        towards.reshape(-1)[::2] *= sign
        out[v] = np.asarray(np.nextafter(array, np.copysign(towards, array * towards)))
    return out


def _measured(
    truth: Any,
    old: Array,
    new: Array,
    given: Values,
    moved: Callable[[float], Any],
    *,
    normwise: bool,
    pointwise: bool,
    allowed: float = ALLOWED,
) -> Measured:
    truth = np.asarray(truth)
    if truth.size == 0:
        return Measured(0.0, 0.0, 0.0)
    a, b = _ulps(old, truth, normwise), _ulps(new, truth, normwise)
    growth = np.where(np.isinf(a), 0.0, b - 2 * np.where(np.isinf(a), 0.0, a)) - allowed
    if (growth > 0).any() and new.dtype.kind == "f":
        for sign in (1.0, -1.0):
            growth -= CONDITIONED * _shift(np.asarray(moved(sign)), truth, new.dtype, normwise)
    grown = float(growth.max())
    at = int(growth.argmax()) if grown > 0 else int(a.argmax())
    place = tuple(int(k) for k in np.unravel_index(at, truth.shape))
    told = max(float(a.max()), grown) > 0
    shown = [str(v[place]) for v in (old, new, rounded(truth, new.dtype))]
    outcome = "{} before, {} after, where {} is right".format(*shown) if told else ""
    witness = _witness(given, place, truth.shape if pointwise else None) if told else ""
    return Measured(float(a.max()), float(b.max()), max(0.0, grown), witness, outcome)


def _shift(moved: Array, truth: Array, dtype: Any, normwise: bool) -> Array:
    """How many ulps the mathematical value moves with its operands."""
    shift = _ulps(rounded(moved, dtype), truth, normwise)
    return np.where(np.isfinite(shift), shift, 0.0)


def _ulps(got: Array, truth: Array, normwise: bool) -> Array:
    """How far off each element is, in units in the last place of the mathematical value."""
    if got.dtype.kind != "f":
        return np.where(np.asarray(got == truth), 0.0, np.inf)
    want = rounded(truth, got.dtype)
    with np.errstate(all="ignore"):
        unit = np.spacing(np.where(np.isfinite(want), np.abs(want), np.finfo(got.dtype).max))
        if normwise:
            unit = np.full_like(unit, unit[np.isfinite(want)].max(initial=unit.min()))
        off = [
            0.0 if g == w or (g != g and w != w) else float(precise_difference(g, t) / float(u))
            for g, w, t, u in zip(got.flat, want.flat, truth.flat, unit.flat, strict=True)
        ]
    return np.array(off).reshape(truth.shape)


def _witness(given: Values, place: tuple[int, ...], shape: tuple[int, ...] | None) -> str:
    """The values at which something was seen: of the one element, where elements are apart."""
    parts = [f"{brief(v, 48)} = {_at(a, place, shape)}" for v, a in given.items()]
    where = f" (element {', '.join(map(str, place))})" if place else ""
    return "; ".join(parts) + where


def _pointwise(graph: Graph, given: Values) -> bool:
    """Whether each element of the outputs depends on the elements at its place alone."""
    leaf = (leaves.constant, leaves.size, leaves.input_, leaves.shared)
    return all(n in given or n.op in leaf or n.op.elementwise for n in graph.nodes)


def _at(array: Array, place: tuple[int, ...], shape: tuple[int, ...] | None) -> str:
    """The element that stands at the place, or a small array, or its shape."""
    if shape is not None and array.ndim <= len(shape):
        ends = shape[len(shape) - array.ndim :]
        if all(n in (1, m) for n, m in zip(array.shape, ends, strict=True)):
            at = place[len(shape) - array.ndim :]
            found = array[tuple(0 if n == 1 else k for n, k in zip(array.shape, at, strict=True))]
            return str(found)
    if array.size <= 8:
        return np.array2string(array, separator=", ").replace("\n", "")
    return f"array({'x'.join(map(str, array.shape))})"


# ---- the whole function --------------------------------------------------------------------------


def _whole(function: Function, drawn: Sequence[Values]) -> tuple[Measured | None, str]:
    """The errors of all outputs of the original graph and of the optimised one; what was left
    out."""
    results: list[Measured] = []
    spent = 0.0
    for count, values in enumerate(drawn):
        known: dict[Tensor, Any] = {}
        old = evaluate_graph(function.original, values, known.__setitem__)
        work = sum(_work(n, known) for n in function.original.nodes if n.inputs)
        spent += work
        if work > COSTLY:
            return None, f"not measured: one takes about {work:.0e} element operations"
        if count and spent > WHOLE:
            cost = f"one takes about {work:.0e} element operations"
            return _worst(results), f"on {count} of {len(drawn)} draws: {cost}"
        try:
            results += _outputs(function, values, old)
        except SymgraphError as error:
            return None, f"not measured: {error}"
    return (_worst(results), "") if results else (None, "nothing to measure")


def _outputs(function: Function, values: Values, old: list[Array]) -> list[Measured]:
    original = function.original
    new = evaluate_graph(function.graph, values)
    truths = evaluate_precisely(original, values)

    @functools.cache
    def moved(sign: float) -> list[Any]:
        return evaluate_precisely(original, values | _moved(values, sign))

    def output(k: int, sign: float) -> Any:
        return moved(sign)[k]

    pointwise = _pointwise(original, {})
    contracts = [r.contract for r in function.rewrites if r.contract != EXACT]
    normwise, allowed = NORMWISE in contracts, ALLOWED * min(max(1, len(contracts)), ADDED)
    return [
        _measured(
            truth, a, b, values, functools.partial(output, k), normwise=normwise,
            pointwise=pointwise, allowed=allowed,
        )
        for k, (truth, a, b) in enumerate(zip(truths, old, new, strict=True))
    ]  # fmt: skip
