"""Check the rewrites of a compiled function again, on numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.arguments import bind_arguments, convert_argument
from symgraph.backends.reference.evaluate import evaluate_graph
from symgraph.errors import SymgraphError
from symgraph.graph import Graph
from symgraph.passes.rules.rule import EXACT, FINITE_ONLY, ROUNDING, STABILISING
from symgraph.passes.trace import Rewrite
from symgraph.printer import brief
from symgraph.program import Function
from symgraph.samples import Values, draw, given_values, whole_number

__all__ = ["Replay", "ReplayStep", "replay"]

Array = np.ndarray[Any, Any]
#: How far apart results may be in units in the last place: of each element where a rule rounds, of
#: the largest where it regroups or where the original may have cancelled.
ROUNDED, REGROUPED = 16, 4096


@dataclass(frozen=True, slots=True)
class ReplayStep:
    """One rewrite computed again: ``passed``, and if not, ``why``; ``error`` is the largest
    difference relative to the largest result.
    """

    rewrite: Rewrite
    passed: bool
    error: float
    why: str = ""

    def __str__(self) -> str:
        r = self.rewrite
        verdict = "ok" if self.passed else "BROKEN"
        where = f" ({r.line})" if r.line is not None else ""
        text = f"{verdict:6}  {r.rule} [{r.contract}] in {r.pass_name}{where}: "
        text += f"relative difference {self.error:.1e}" if not self.why else self.why
        return (
            text if self.passed else f"{text}\n        {brief(r.before)}\n     -> {brief(r.after)}"
        )


@dataclass(frozen=True, slots=True, repr=False)
class Replay:
    """All rewrites of a function computed again. ``str()`` is a report with a line for each step
    that broke its contract and for each rule that kept it.
    """

    name: str
    steps: tuple[ReplayStep, ...]

    @property
    def failures(self) -> tuple[ReplayStep, ...]:
        """The steps that broke their contract."""
        return tuple(s for s in self.steps if not s.passed)

    @property
    def passed(self) -> bool:
        """Whether every step kept its contract."""
        return not self.failures

    def __str__(self) -> str:
        broken = len(self.failures)
        verdict = "all keep their contracts" if not broken else f"{broken} broke their contracts"
        head = f"replay of {self.name}: {len(self.steps)} rewrites, {verdict}"
        return "\n".join([head, *map(str, self.failures), *self._kept()])

    def _kept(self) -> list[str]:
        by_rule: dict[tuple[str, str], list[float]] = {}
        for s in self.steps:
            if s.passed:
                by_rule.setdefault((s.rewrite.rule, s.rewrite.contract), []).append(s.error)
        return [
            f"ok      {rule} [{contract}], {len(errors)} times: "
            f"relative difference up to {max(errors):.1e}"
            for (rule, contract), errors in by_rule.items()
        ]

    def __repr__(self) -> str:
        return str(self)


def replay(function: Function, arrays: Sequence[Any] = (), seed: int = 0) -> Replay:
    """Evaluate both sides of every rewrite of ``function`` with NumPy and compare them.

    Raises:
        UsageError, ShapeError, DTypeError: the arrays do not fit the function's inputs.

    >>> import symgraph as sg
    >>> x = sg.vector("x")
    >>> f = sg.function([x], sg.log(1 + sg.exp(x)), backend="reference")
    >>> found = replay(f)
    >>> found.passed, len(found.steps)
    (True, 1)
    """
    values = _values(function, arrays, whole_number(seed, "replay: seed", 0))
    evaluate_graph(function.original, values)  # sizes and indices that do not fit raise here
    steps = [step for r in _groups(function.rewrites) for step in _checked(function, r, values)]
    return Replay(function.name, tuple(steps))


def _values(function: Function, arrays: Sequence[Any], seed: int) -> Values:
    if not arrays:
        return draw(function.original, seed=seed)
    inputs = function.signature.inputs
    given = bind_arguments(function.name, inputs, tuple(arrays), {})
    converted = [convert_argument(i, v, function.name) for i, v in zip(inputs, given, strict=True)]
    return given_values(function.original, converted)


def _groups(rewrites: Sequence[Rewrite]) -> list[list[Rewrite]]:
    """Rewrites that are evaluated together; each shares most of its nodes with the next."""
    return [list(rewrites[k : k + 64]) for k in range(0, len(rewrites), 64)]


def _checked(function: Function, rewrites: list[Rewrite], values: Values) -> list[ReplayStep]:
    ends = [side for r in rewrites for side in (r.before, r.after)]
    try:
        found = _evaluated(function, ends, values)
    except SymgraphError as error:
        if len(rewrites) > 1:  # one of them is to blame
            return [step for r in rewrites for step in _checked(function, [r], values)]
        return [ReplayStep(rewrites[0], False, np.inf, f"cannot be computed: {error}")]
    pairs = zip(rewrites, found[::2], found[1::2], strict=True)
    return [compared(r, want, got) for r, want, got in pairs]


def _evaluated(function: Function, nodes: list[Any], values: Values) -> list[Any]:
    known: dict[Any, Any] = {}
    graph = Graph(nodes, function.original.inputs)
    evaluate_graph(graph, values, known.__setitem__)
    return [known[n] for n in nodes]


def compared(rewrite: Rewrite, want: Any, got: Any) -> ReplayStep:
    """A step from the values of both sides."""
    if isinstance(want, tuple):
        parts = [compared(rewrite, a, b) for a, b in zip(want, got, strict=True)]
        return min(parts, key=lambda s: (s.passed, -s.error))
    want, got = np.asarray(want), np.asarray(got)
    if want.shape != got.shape or want.dtype != got.dtype:
        why = f"{got.dtype}{got.shape} replaces {want.dtype}{want.shape}"
        return ReplayStep(rewrite, False, np.inf, why)
    with np.errstate(all="ignore"):
        why = _broken(rewrite.contract, want, got)
        return ReplayStep(rewrite, not why, _difference(want, got), why)


def _broken(contract: str, want: Array, got: Array) -> str:
    """Why the contract is broken, or nothing."""
    if want.dtype.kind != "f":
        return _where(want == got, want, got)
    same = (want == got) | (np.isnan(want) & np.isnan(got))
    if contract == EXACT:
        return _where((same & (np.signbit(want) == np.signbit(got))) | np.isnan(want), want, got)
    unit = np.spacing(np.maximum(np.abs(want), np.abs(got)))
    limit = ROUNDED * unit
    if contract != ROUNDING:
        finite = np.abs(want[np.isfinite(want)])
        largest = np.spacing(finite.max(initial=1.0 if contract == STABILISING else 0.0))
        limit = np.maximum(limit, REGROUPED * largest)
    healed = ~np.isfinite(want) & (contract in (STABILISING, FINITE_ONLY))
    overflowed = np.isinf(want) & np.isfinite(got)  # on the way, where the inputs were finite
    return _where(same | (np.abs(want - got) <= limit) | healed | overflowed, want, got)


def _where(good: Array, want: Array, got: Array) -> str:
    bad = ~np.asarray(good)
    if not bad.any():
        return ""
    at = tuple(int(k) for k in np.argwhere(bad)[0])
    place = f" at {at}" if at else ""
    return f"{got[at]} for {want[at]}{place}; {int(bad.sum())} of {bad.size} elements"


def _difference(want: Array, got: Array) -> float:
    if not want.size:
        return 0.0
    apart = np.abs(got.astype(float) - want.astype(float))
    scale = np.abs(want.astype(float))
    finite = np.isfinite(apart)
    largest = scale[np.isfinite(scale)].max(initial=0.0)
    return float(apart[finite].max(initial=0.0) / (largest or 1.0))
