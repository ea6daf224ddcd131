"""Known traps of differentiation behind a mask: first, second and third derivatives, every mode.

A row is a function that is a sum of terms in one element each, points at which it bites, and for
every point the smooth function that is active there (None: nothing was selected, so every
derivative is exactly 0). The derivatives of the active function come from mpmath.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import symgraph as sg

Array = np.ndarray[Any, Any]
Active = Callable[[Any], Any]

ROUTES = (("reference", "strict"), ("reference", "default"), ("reference", "fast"),
          ("llvm", "default"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trap:
    """``f`` at points: on ``selected`` ones it is ``active``, elsewhere ``other`` (or constant)."""

    name: str
    f: Callable[[Any], Any]
    at: tuple[float, ...]
    active: Active
    selected: Callable[[float], bool] = lambda x: x > 0
    other: Active | None = None

    def wanted(self, order: int) -> list[float]:
        """The derivative of the given order at every point."""
        return [self._at(x, order) for x in self.at]

    def _at(self, x: float, order: int) -> float:
        piece = self.active if self.selected(x) else self.other
        if piece is None:
            return 0.0
        with mp.workdps(80):
            return float(mp.re(mp.diff(piece, mp.mpf(x), order)))


UP = (0.0, -0.0, 2.25, -1.0)
ONE = (0.5, 1.0, -1.0, 2.0, -0.25)


def positive(branch: Callable[[Any], Any], other: Any = 0) -> Callable[[Any], Any]:
    """``branch`` where x > 0."""
    return lambda x: sg.where(x > 0, branch(x), other)


def unit(branch: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``branch`` where \\|x\\| < 1."""
    return lambda x: sg.where(sg.abs(x) < 1, branch(x), 0)


def inside(x: float) -> bool:
    return abs(x) < 1


def nonzero(x: float) -> bool:
    return x != 0


def pair(x: Any) -> Any:
    """x and 2x in a row for each element."""
    return sg.stack([x, 2 * x], axis=1)


def keep(x: Any) -> Any:
    """x where positive: nothing else is selected."""
    return sg.where(x > 0, x, 0)


def twice(x: Any) -> Any:
    """A mask within a mask: log where x > 1, sqrt on (0, 1]."""
    return sg.where(x > 0, sg.where(x > 1, sg.log(x - 1), sg.sqrt(x)), 0)


def thrice(x: Any) -> Any:
    """Three masks, each hiding a pole of the branch inside it."""
    inner = sg.where(x > 2, sg.sqrt(x - 2), 1 / (2 - x))
    middle = sg.where(x > 1, sg.where(sg.not_equal(x, 2), inner, 0), sg.log(x))
    return sg.where(x > 0, middle, 0)


def _thrice(x: Any) -> Any:
    return mp.sqrt(x - 2) if x > 2 else 1 / (2 - x) if x > 1 else mp.log(x)


TRAPS: tuple[Trap, ...] = (
    # ---- one function with a pole, behind where --------------------------------------------------
    Trap("sqrt", positive(sg.sqrt), UP, mp.sqrt),
    Trap("log", positive(sg.log), UP, mp.log),
    Trap("log2", positive(sg.log2), UP, lambda x: mp.log(x, 2)),
    Trap("log10", positive(sg.log10), UP, mp.log10),
    Trap("log1p", lambda x: sg.where(x > -1, sg.log1p(x), 0), (0.5, -1.0, -3.0), mp.log1p,
         lambda x: x > -1),
    Trap("cbrt", positive(sg.cbrt), UP, mp.cbrt),
    Trap("divide", lambda x: sg.where(x != 0, 3 / x, 0), UP, lambda x: 3 / x, nonzero),
    Trap("reciprocal", lambda x: sg.where(x != 0, sg.reciprocal(x), 0), UP, lambda x: 1 / x,
         nonzero),
    Trap("0/0", lambda x: sg.where(x != 0, sg.sin(x) / x, 1), UP, lambda x: mp.sin(x) / x, nonzero),
    Trap("0 log 0", positive(lambda x: x * sg.log(x)), UP, lambda x: x * mp.log(x)),
    Trap("xlogy", positive(lambda x: sg.xlogy(x, x)), UP, lambda x: x * mp.log(x)),
    Trap("power 1/2", positive(lambda x: x**0.5), UP, mp.sqrt),
    Trap("power -3/2", positive(lambda x: x**-1.5), UP, lambda x: x ** mp.mpf(-1.5)),
    Trap("power -2", lambda x: sg.where(x != 0, x**-2, 0), UP, lambda x: x**-2, nonzero),
    Trap("0**0", positive(lambda x: sg.pow(x, x), 1), UP, lambda x: x**x),
    Trap("base 0 by exponent", positive(lambda x: sg.pow(sg.relu(x), x + 1)), UP,
         lambda x: x ** (x + 1)),
    Trap("negative base by exponent", positive(lambda x: sg.pow(x - 1, sg.floor(x) + 0 * x)),
         (-2.0, 2.25), lambda x: (x - 1) ** 2),
    Trap("atan2 at the origin", positive(lambda x: sg.atan2(x, x * x)), UP,
         lambda x: mp.atan(1 / x)),
    Trap("atan2 of a ray", lambda x: sg.where(x != 0, sg.atan2(x, 2 * x) * x, 0), (0.0, 2.0),
         lambda x: mp.atan(mp.mpf(0.5)) * x, nonzero),
    Trap("asin", unit(sg.asin), ONE, mp.asin, inside),
    Trap("acos", unit(sg.acos), ONE, mp.acos, inside),
    Trap("atanh", unit(sg.atanh), ONE, mp.atanh, inside),
    Trap("acosh", lambda x: sg.where(x > 1, sg.acosh(x), 0), (1.0, 0.5, -3.0, 2.0), mp.acosh,
         lambda x: x > 1),
    Trap("logit", lambda x: sg.where((x > 0) & (x < 1), sg.logit(x), 0), (0.0, 1.0, 2.0, 0.25),
         lambda x: mp.log(x / (1 - x)), lambda x: 0 < x < 1),
    Trap("tan of a pole", positive(lambda x: sg.tan(1 / x)), UP, lambda x: mp.tan(1 / x)),
    Trap("exp of a pole", positive(lambda x: sg.exp(-1 / x)), UP, lambda x: mp.exp(-1 / x)),
    Trap("exp overflow", lambda x: sg.where(x < 1, sg.exp(1000 * x), 0), (0.001, 2.0, 1e6),
         lambda x: mp.exp(1000 * x), lambda x: x < 1),
    Trap("exp minus exp", lambda x: sg.where(x < 1, sg.exp(800 * x) - sg.exp(900 * x), x),
         (0.001, 2.0), lambda x: mp.exp(800 * x) - mp.exp(900 * x), lambda x: x < 1, lambda x: x),
    Trap("cosh overflow", lambda x: sg.where(x < 9, sg.cosh(x), x), (2.0, 1e4), mp.cosh,
         lambda x: x < 9, lambda x: x),
    # ---- sums of squares, norms, reductions of a masked branch -----------------------------------
    Trap("root of squares", positive(lambda x: sg.sqrt(x * x + 4 * x * x)), UP,
         lambda x: mp.sqrt(5) * x),
    Trap("norm", positive(lambda x: sg.norm(pair(x), axis=1)), UP, lambda x: mp.sqrt(5) * x),
    Trap("root of a sum", positive(lambda x: sg.sqrt(sg.sum(pair(x), axis=1))), UP,
         lambda x: mp.sqrt(3 * x)),
    Trap("logsumexp of -inf", positive(lambda x: sg.logsumexp(sg.log(pair(x)), axis=1)), UP,
         lambda x: mp.log(3 * x)),
    Trap("softmax of -inf",
         positive(lambda x: sg.softmax(sg.log(pair(x)) * x[:, None], axis=1)[:, 0]), UP,
         lambda x: 1 / (1 + mp.mpf(2) ** x)),
    Trap("log-softmax of 0/0", positive(lambda x: sg.log_softmax(1 / pair(x), axis=1)[:, 0]), UP,
         lambda x: -mp.log(1 + mp.exp(-1 / (2 * x)))),
    Trap("max of a pole", positive(lambda x: sg.max(sg.log(pair(x)), axis=1)), UP,
         lambda x: mp.log(2 * x)),
    Trap("min of a pole", positive(lambda x: sg.min(sg.sqrt(pair(x)), axis=1)), UP, mp.sqrt),
    Trap("max and its place", positive(lambda x: sg.max_and_argmax(sg.log(pair(x)), axis=1)[0]), UP,
         lambda x: mp.log(2 * x)),
    Trap("product", positive(lambda x: sg.prod(sg.sqrt(pair(x)), axis=1) * x), UP,
         lambda x: mp.sqrt(2) * x * x),
    Trap("masked sum", lambda x: sg.sum(sg.where(pair(x) > 0, sg.sqrt(pair(x)), 0), axis=1), UP,
         lambda x: (1 + mp.sqrt(2)) * mp.sqrt(x)),
    Trap("masked max", lambda x: sg.max(sg.where(pair(x) > 0, sg.log(pair(x) + 1), 0), axis=1),
         (-0.5, -1.0, 2.0), lambda x: mp.log(2 * x + 1)),
    Trap("masked mean", lambda x: sg.mean(sg.where(pair(x) > 0, 1 / pair(x), 0), axis=1), UP,
         lambda x: mp.mpf(3) / 4 / x),
    Trap("masked logsumexp", positive(
        lambda x: sg.logsumexp(sg.where(pair(x) > 0, sg.log(pair(x)), -np.inf), axis=1)),
         UP, lambda x: mp.log(3 * x)),
    Trap("running sum", positive(lambda x: sg.cumulative_sum(sg.sqrt(pair(x)), axis=1)[:, 1]), UP,
         lambda x: (1 + mp.sqrt(2)) * mp.sqrt(x)),
    Trap("running product",
         positive(lambda x: sg.cumulative_prod(sg.sqrt(pair(x)), axis=1)[:, 1]), UP,
         lambda x: mp.sqrt(2) * x),
    # ---- behind what was not selected ------------------------------------------------------------
    Trap("behind where", lambda x: sg.sqrt(keep(x)), UP, mp.sqrt),
    Trap("behind relu", lambda x: sg.sqrt(sg.relu(x)), UP, mp.sqrt),
    Trap("behind maximum", lambda x: sg.sqrt(sg.maximum(x, 0)), (-1.0, 2.25), mp.sqrt),
    Trap("behind minimum", lambda x: sg.log(-sg.minimum(x, 0)), (3.0, -2.0),
         lambda x: mp.log(-x), lambda x: x < 0),
    Trap("behind clip", lambda x: sg.log(sg.clip(x, 0, 3)), (-1.0, 2.25, 5.0), mp.log,
         lambda x: 0 < x < 3),
    Trap("behind max", lambda x: sg.sqrt(sg.max(sg.stack([x, 0 * x], axis=1), axis=1)),
         (2.25,), mp.sqrt),
    Trap("behind two roots", lambda x: sg.sqrt(sg.sqrt(keep(x))), UP,
         lambda x: mp.sqrt(mp.sqrt(x))),
    Trap("behind a product", lambda x: sg.sqrt(sg.prod(pair(keep(x)), axis=1)), UP,
         lambda x: mp.sqrt(2) * x),
    Trap("behind a matrix product", lambda x: sg.sqrt((pair(keep(x)) @ np.ones((2, 1)))[:, 0]), UP,
         lambda x: mp.sqrt(3 * x)),
    Trap("behind a log of a root", lambda x: sg.log(sg.sqrt(keep(x))), UP, lambda x: mp.log(x) / 2),
    Trap("behind a power", lambda x: keep(x) ** -0.5, UP, lambda x: x ** mp.mpf(-0.5)),
    Trap("behind abs", lambda x: sg.where(x != 0, sg.sqrt(sg.abs(x)), 0), UP,
         lambda x: mp.sqrt(abs(x)), nonzero),
    Trap("double where", positive(lambda x: sg.log(sg.where(x > 0, x, 1))), UP, mp.log),
    Trap("nested twice", twice, (0.0, -1.0, 0.25, 3.0),
         lambda x: mp.log(x - 1) if x > 1 else mp.sqrt(x)),
    Trap("nested, at the inner pole", twice, (0.0, 1.0), mp.sqrt),
    Trap("nested thrice", thrice, (0.0, -1.0, 0.5, 1.5, 2.0, 3.0), _thrice,
         lambda x: x > 0 and x != 2),
    Trap("each hides the other", lambda x: sg.where(x > 0, sg.log(x), sg.sqrt(-x)), (-4.0, 2.0),
         mp.log, other=lambda x: mp.sqrt(-x)),
    Trap("mask of a mask", lambda x: sg.where(sg.where(x > 0, sg.log(x), -1.0) > 0, sg.acosh(x), 0),
         (0.0, -1.0, 0.5, 2.0), mp.acosh, lambda x: x > 1),
    Trap("where times where", lambda x: keep(x) * positive(sg.log)(x), UP, lambda x: x * mp.log(x)),
    Trap("mask in the denominator", positive(lambda x: x / sg.where(x > 0, sg.sqrt(x), 0)), UP,
         mp.sqrt),
    # ---- through what moves elements -------------------------------------------------------------
    Trap("through reshape", positive(lambda x: sg.reshape(sg.sqrt(x), (1, -1))[0]), UP, mp.sqrt),
    Trap("through transpose", positive(lambda x: sg.log(pair(x)).T[0]), UP, mp.log),
    Trap("through broadcast",
         lambda x: sg.where(x > 0, sg.broadcast_to(sg.sqrt(x), (3, x.shape[0])), 0), UP,
         lambda x: 3 * mp.sqrt(x)),
    Trap("through matmul", positive(lambda x: (sg.sqrt(x)[:, None] @ np.ones((1, 1)))[:, 0]), UP,
         mp.sqrt),
    Trap("through a right factor", positive(lambda x: (np.ones((1, 2)) @ sg.log(pair(x)).T)[0]), UP,
         lambda x: mp.log(2 * x * x)),
    Trap("through both factors",
         positive(lambda x: (sg.sqrt(x)[:, None, None] @ sg.log(x)[:, None, None])[:, 0, 0]), UP,
         lambda x: mp.sqrt(x) * mp.log(x)),
    Trap("through stacked products",
         positive(lambda x: (np.ones((1, 2)) @ sg.sqrt(pair(x))[:, :, None])[:, 0, 0]), UP,
         lambda x: (1 + mp.sqrt(2)) * mp.sqrt(x)),
    Trap("behind matmul", lambda x: sg.sum(sg.sqrt(keep(x))[:, None] @ np.ones((1, 2)), axis=1), UP,
         lambda x: 2 * mp.sqrt(x)),
    Trap("through slice", lambda x: sg.where(x[::-1] > 0, sg.sqrt(x)[::-1], 0), UP, mp.sqrt),
    Trap("through take", lambda x: sg.where(sg.take(x, [3, 0, 2, 1]) > 0,
                                            sg.take(sg.log(x), [3, 0, 2, 1]), 0), UP, mp.log),
    Trap("through concat", lambda x: sg.where(sg.concat([x, x]) > 0,
                                              sg.concat([sg.log(x), sg.sqrt(x)]), 0), UP,
         lambda x: mp.log(x) + mp.sqrt(x)),
    Trap("through pad", lambda x: sg.where(sg.pad(x, 2) > 0, sg.pad(sg.sqrt(x), 2), 0), UP,
         mp.sqrt),
    Trap("through an update",
         positive(lambda x: sg.zeros_like(x).at[::-1].set(sg.sqrt(x)[::-1])), UP, mp.sqrt),
    Trap("through a conversion", positive(lambda x: sg.sqrt(x.astype("float64") + 0.0)), UP,
         mp.sqrt),
)  # fmt: skip


def derivatives(f: Callable[[Any], Any], x: Any, v: Any) -> Iterator[tuple[str, int, Any]]:
    """Derivatives by several routes: name, order, expression; ``v`` is all ones."""
    total = sg.sum(f(x))

    def back(y: Any) -> Any:
        return sg.grad(sg.sum(y), x, disconnected="zero")

    def ahead(y: Any) -> Any:
        return sg.jvp(y, x, v)

    gradient = back(total)
    twice_back = back(gradient)
    along = ahead(gradient)
    yield "reverse", 1, gradient
    yield "reverse over reverse", 2, twice_back
    yield "forward over reverse", 2, along
    yield "Hessian-vector product", 2, sg.hvp(total, x, v)
    yield "reverse over forward", 2, back(ahead(f(x)))
    yield "reverse, three times", 3, back(twice_back)
    yield "reverse over forward over reverse", 3, back(along)
    yield "forward over forward over reverse", 3, ahead(along)


def directional(f: Callable[[Any], Any], x: Any, v: Any) -> Iterator[tuple[str, int, Any]]:
    """Forward mode alone: sums over all elements."""
    y = sg.sum(f(x))
    for order, name in ((1, "forward"), (2, "forward over forward"), (3, "forward, three times")):
        y = sg.jvp(y, x, v)
        yield name, order, y


@pytest.mark.parametrize(("backend", "passes"), ROUTES, ids=[" ".join(r) for r in ROUTES])
@pytest.mark.parametrize("trap", TRAPS, ids=[t.name for t in TRAPS])
def test_trap(trap: Trap, backend: str, passes: str) -> None:
    """Each route gives the derivative of the active piece, exactly 0 where none is active."""
    n = len(trap.at)
    x, v = sg.vector("x", shape=n), sg.vector("v", shape=n)
    whole = list(derivatives(trap.f, x, v))
    sums = list(directional(trap.f, x, v))
    outputs = [e for *_, e in whole + sums]
    run = sg.function([x, v], outputs, backend=backend, passes=passes)
    found = run(list(trap.at), np.ones(n))
    for (name, order, _), got in zip(whole, found, strict=False):
        _compare(got, np.array(trap.wanted(order)), f"{trap.name}: {name}")
    for (name, order, _), got in zip(sums, found[len(whole) :], strict=True):
        _compare(got, np.sum(trap.wanted(order)), f"{trap.name}: {name}")


def _compare(got: Array, want: Array, what: str) -> None:
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12, err_msg=what)
    if np.ndim(want):
        assert got[want == 0].tolist() == [0.0] * int((want == 0).sum()), what


def test_the_table_is_long_enough() -> None:
    assert len({t.name for t in TRAPS}) >= 60
