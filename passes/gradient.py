"""Derivatives as users ask for them: grad, vjp, jvp, hvp. All are graph functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from symgraph import functions as f
from symgraph.collection import paused_collection
from symgraph.errors import DTypeError, GradientError, ShapeError, UsageError
from symgraph.functions.variables import as_tensor, cast, number
from symgraph.graph import Graph, topological
from symgraph.op import Undefined
from symgraph.ops import leaves
from symgraph.ops.elementwise import stop_gradient
from symgraph.origins import Derived, deriving
from symgraph.passes.build_grad import grad_table
from symgraph.passes.build_jvp import build_jvp
from symgraph.passes.derivatives.forms import zeros_of
from symgraph.passes.rebuild import substitute
from symgraph.passes.stabilise import stabilised
from symgraph.sizes import is_one
from symgraph.tensor import Tensor, describe, leaf
from symgraph.types import broadcast_shapes, shape_text

__all__ = ["grad", "hvp", "jvp", "vjp"]

Form = TypeVar("Form")
POLICIES = ("raise", "zero", "none")

#: What may change between calls; anything made of other leaves is a constant.
VARIABLES = (leaves.input_, leaves.shared)

#: How a derivative that turned out constant comes from what was differentiated.
LINEAR = "derivative"


def as_list(value: Any, what: str) -> tuple[list[Tensor], Any]:
    """The tensors of an argument, and how to give results back in its form."""
    if isinstance(value, Tensor):
        return [value], lambda results: results[0]
    if isinstance(value, dict):
        keys = list(value)
        return _tensors(value.values(), what), lambda results: dict(zip(keys, results, strict=True))
    if isinstance(value, (list, tuple)):
        kind = type(value)
        return _tensors(value, what), lambda results: kind(results)
    raise UsageError(f"{what}: {value!r} is not a tensor or a list of tensors")


def _tensors(values: Iterable[Any], what: str) -> list[Tensor]:
    out = list(values)
    for v in out:
        if not isinstance(v, Tensor):
            raise UsageError(f"{what}: {v!r} is not a tensor")
    return out


def check_targets(targets: Sequence[Tensor], what: str) -> None:
    """Raise GradientError for a variable that is not floating-point."""
    for t in targets:
        if t.dtype.kind != "f":
            raise GradientError(
                f"{what}: {describe(t)} is {t.dtype.name}; "
                "only floating-point variables have derivatives"
            )


def check_policy(disconnected: str, what: str) -> None:
    """Raise UsageError unless ``disconnected`` is one of the policies."""
    if disconnected not in POLICIES:
        raise UsageError(
            f"{what}: disconnected={disconnected!r} is not one of {', '.join(map(repr, POLICIES))}"
        )


def _check_scalar(cost: Tensor, what: str) -> None:
    if cost.ndim != 0:
        raise ShapeError(
            f"{what}: the cost {describe(cost)} has shape {shape_text(cost.shape)}, not a scalar; "
            "reduce it with sg.sum or sg.mean, or use sg.vjp with a cotangent, or sg.jacobian"
        )
    if cost.dtype.kind != "f":
        raise GradientError(
            f"{what}: the cost {describe(cost)} is {cost.dtype.name}; a float is needed"
        )


def grad(
    cost: Tensor | None,
    wrt: Any,
    known_grads: dict[Tensor, Any] | None = None,
    consider_constant: Sequence[Tensor] = (),
    disconnected: str = "raise",
    stabilise: bool = True,
) -> Any:
    """The gradient of a scalar ``cost`` by ``wrt`` (a tensor, list or dict; same form back).

    ``wrt`` may name any variable of the graph. ``known_grads`` gives cotangents of intermediate
    variables to start from, beside the cost (which may then be None). ``disconnected`` says what a
    variable that the cost does not depend on gets: an error, zeros, or None. The expression is
    stabilised first, so that derivatives are those of the mathematical function;
    ``stabilise=False`` differentiates it as written.

    Raises:
        ShapeError: the cost is not a scalar. GradientError: the derivative is undefined or not
        connected; the message says where and why.

    >>> import symgraph as sg, numpy as np
    >>> x = sg.vector("x")
    >>> grad(sg.sum(x * x), x).eval({x: np.array([1.0, 2.0])}, backend="reference")
    array([2., 4.])
    """
    targets, form = as_list(wrt, "grad")
    check_targets(targets, "grad")
    pairs: list[tuple[Tensor, Tensor]] = []
    if cost is not None:
        cost = as_tensor(cost, "grad")
        _check_scalar(cost, "grad")
        pairs.append((cost, number(1, cost.dtype)))
    for y, g in (known_grads or {}).items():
        pairs.append((y, _direction(y, g, "grad: known_grads", "cotangent")))
    if not pairs:
        raise UsageError("grad: needs a cost or known_grads")
    return form(_reverse(pairs, targets, consider_constant, disconnected, stabilise, "grad"))


def vjp(
    outputs: Any,
    wrt: Any,
    cotangents: Any,
    consider_constant: Sequence[Tensor] = (),
    disconnected: str = "zero",
    stabilise: bool = True,
) -> Any:
    """The transposed Jacobian times ``cotangents``: one an output, of its shape (eq. 6.54)."""
    ys, _ = as_list(outputs, "vjp")
    targets, form = as_list(wrt, "vjp")
    check_targets(targets, "vjp")
    given = _paired(cotangents, outputs, ys, "vjp", "cotangents", "outputs")
    pairs = [(y, _direction(y, g, "vjp", "cotangent")) for y, g in zip(ys, given, strict=True)]
    return form(_reverse(pairs, targets, consider_constant, disconnected, stabilise, "vjp"))


def _paired(
    values: Any, like: Any, variables: Sequence[Tensor], what: str, kind: str, of: str
) -> list[Any]:
    """One value for each variable: a dictionary by the same keys, a sequence, or one alone."""
    if isinstance(values, dict) and isinstance(like, dict):
        if values.keys() != like.keys():
            raise UsageError(
                f"{what}: {kind} with the keys {list(values)} for {of} with {list(like)}"
            )
        return [values[k] for k in like]
    if isinstance(like, Tensor):
        listed = isinstance(values, (list, tuple)) and len(values) == 1
        return [values[0] if listed and isinstance(values[0], Tensor) else values]
    given = list(values) if isinstance(values, (list, tuple)) else [values]
    if len(given) != len(variables):
        raise UsageError(f"{what}: {len(given)} {kind} for {len(variables)} {of}")
    return given


def _direction(y: Tensor, g: Any, what: str, kind: str) -> Tensor:
    """A cotangent or tangent of ``y``: of its dtype and its shape."""
    value = as_tensor(g, what)
    if y.dtype.kind != "f":
        raise GradientError(f"{what}: {describe(y)} is {y.dtype.name} and takes no {kind}")
    if value.dtype.kind == "f" and value.dtype != y.dtype and not value.type.weak:
        raise DTypeError(
            f"{what}: the {kind} of {describe(y)} is {value.dtype.name}, not {y.dtype.name}"
        )
    value = cast(value, y.dtype)
    ones = [d for d, n in zip(value.shape, y.shape, strict=False) if is_one(d) and not is_one(n)]
    if value.ndim != y.ndim or ones:  # nothing is stretched: a slip would pass unseen
        raise ShapeError(
            f"{what}: the {kind} of {describe(y)} has shape {shape_text(value.shape)}, "
            f"not {shape_text(y.shape)}; stretch it with sg.broadcast_to if that is meant"
        )
    broadcast_shapes(f"{what}: the {kind} of {describe(y)}", [value.shape, y.shape], [])
    return f.broadcast_to(value, y.shape)


@paused_collection()
def _reverse(
    pairs: list[tuple[Tensor, Tensor]],
    targets: list[Tensor],
    constants: Sequence[Tensor],
    disconnected: str,
    stabilise: bool,
    what: str,
) -> list[Any]:
    check_policy(disconnected, what)
    roots = [y for y, _ in pairs]
    better = stabilised(roots, [*targets, *constants]) if stabilise else roots
    seeds: dict[Tensor, Tensor] = {}
    for root, (_, g) in zip(better, pairs, strict=True):  # roots may coincide: their cotangents add
        seeds[root] = f.add(seeds[root], g) if root in seeds else g
    table = grad_table(Graph([*seeds]), seeds, targets, constants)
    linked: set[Tensor] = set()
    if any(t not in table for t in targets):
        linked = influences(roots, constants)
    results = [_result(t, table.get(t), disconnected, what, t in linked) for t in targets]
    return constants_of([roots[0]] * len(results), results)


def constants_of(roots: Sequence[Tensor], results: Sequence[Tensor | None]) -> list[Any]:
    """The results; one that holds no variable remembers that it is a derivative of its root.

    The derivative of a linear function is a constant, and its own derivative is 0: it is not an
    expression that has nothing to do with the variable. Such a constant is a node of its own, whose
    origin is the root.
    """
    known: dict[Tensor, bool] = {}
    return [
        _own(y, r) if r is not None and _is_fixed(r, known) else r
        for y, r in zip(roots, results, strict=True)
    ]


def _is_fixed(result: Tensor, known: dict[Tensor, bool]) -> bool:
    """Whether no variable is below a node; ``known`` is kept. The search ends at the first one."""
    below: Tensor | None
    path = [(result, iter(result.inputs))]
    while path and result not in known:
        node, inputs = path[-1]
        for below in inputs:
            if not known.get(below):
                break
        else:
            below = None
        if node.op in VARIABLES or below in known:
            known.update([(n, False) for n, _ in path])
        elif below is not None:
            path.append((below, iter(below.inputs)))
        else:
            known[node] = True
            path.pop()
    return known[result]


def _own(root: Tensor, result: Tensor | None) -> Tensor | None:
    if result is None:
        return None
    with deriving(root, LINEAR):
        cuts = {
            c: leaf(c.op, c.attrs, c.type, None)
            for c in topological([result])
            if c.op is leaves.constant
        }
    return substitute([result], cuts)[0]


def influences(roots: Iterable[Tensor], constants: Iterable[Tensor]) -> set[Tensor]:
    """Every variable the roots depend on, not looking through constants."""
    closed = set(constants)
    found: set[Tensor] = set()
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            if node not in closed and node.op is not stop_gradient:
                waiting.extend(node.inputs)
                origin = node.origin
                if isinstance(origin, Derived) and origin.how == LINEAR:
                    waiting.append(origin.source)
    return found


def _result(target: Tensor, found: Any, disconnected: str, what: str, linked: bool) -> Any:
    if isinstance(found, Undefined):
        raise GradientError(f"{what} with respect to {describe(target)}: {found.reason}")
    if found is not None:
        return found if found.shape == target.shape else f.broadcast_to(found, target.shape)
    if linked or disconnected == "zero":
        return zeros_of(target)
    if disconnected == "none":
        return None
    raise not_connected(target, what, "the cost")


def not_connected(target: Tensor, what: str, result: str) -> GradientError:
    """The error for a variable that the result does not depend on."""
    return GradientError(
        f"{what}: {result} does not depend on {describe(target)}; leave it out, or pass "
        "disconnected='zero' (or 'none')"
    )


def jvp(
    outputs: Any,
    wrt: Any,
    tangents: Any,
    consider_constant: Sequence[Tensor] = (),
    stabilise: bool = True,
) -> Any:
    """The directional derivative of ``outputs`` along ``tangents`` of ``wrt`` (forward mode).

    Nothing is differentiated through the tangents. Same form back as ``outputs``.

    Raises:
        UsageError, ShapeError, DTypeError: the tangents do not fit the variables. GradientError:
        the derivative is undefined; the message says where and why.

    >>> import symgraph as sg
    >>> x, t = sg.vector("x", shape=3), sg.vector("t", shape=3)
    >>> jvp(sg.sum(x), x, t).shape
    ()
    """
    ys, form = as_list(outputs, "jvp")
    xs, _ = as_list(wrt, "jvp")
    check_targets(xs, "jvp")
    given = _paired(tangents, wrt, xs, "jvp", "tangents", "variables")
    directions = [_direction(x, t, "jvp", "tangent") for x, t in zip(xs, given, strict=True)]
    return form(_forward(ys, xs, directions, consider_constant, stabilise))


def _forward(
    ys: list[Tensor],
    xs: list[Tensor],
    directions: list[Tensor],
    constants: Sequence[Tensor],
    stabilise: bool,
) -> list[Any]:
    along: dict[Tensor, Tensor] = {}
    for x, t in zip(xs, directions, strict=True):
        along[x] = f.add(along[x], t) if x in along else t
    roots = stabilised(ys, [*xs, *constants]) if stabilise else ys
    graph = Graph([*roots, *along.values()])
    found = build_jvp(graph, along, roots, constants)
    results = [_tangent_result(y, found[r]) for y, r in zip(ys, roots, strict=True)]
    return constants_of(ys, results)


def _tangent_result(y: Tensor, t: Any) -> Tensor:
    if isinstance(t, Undefined):
        raise GradientError(f"jvp of {describe(y)}: {t.reason}")
    if t is None:
        if y.dtype.kind != "f":
            raise GradientError(f"jvp: {describe(y)} is {y.dtype.name} and has no tangent")
        return zeros_of(y)
    assert isinstance(t, Tensor)
    return t if t.shape == y.shape else f.broadcast_to(t, y.shape)


def hvp(cost: Tensor, wrt: Any, vectors: Any, consider_constant: Sequence[Tensor] = ()) -> Any:
    """The Hessian of ``cost`` times ``vectors`` (eq. 6.59), without ever forming the Hessian.

    Forward over reverse: the gradient is differentiated along the vectors, which are constants even
    where they were computed from ``wrt``. Same form back as ``wrt``; a variable that the gradient
    does not depend on gives zeros.
    """
    targets, form = as_list(wrt, "hvp")
    check_targets(targets, "hvp")
    given = _paired(vectors, wrt, targets, "hvp", "vectors", "variables")
    directions = [_direction(x, v, "hvp", "vector") for x, v in zip(targets, given, strict=True)]
    gradient = grad(cost, targets, consider_constant=consider_constant, disconnected="zero")
    return form(_forward(gradient, targets, directions, consider_constant, True))
