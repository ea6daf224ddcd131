"""Jacobians and Hessians: one derivative sweep, computed for a whole basis at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph import functions as f
from symgraph.errors import GradientError, UsageError
from symgraph.functions.variables import as_tensor
from symgraph.loading import loading
from symgraph.ops import leaves
from symgraph.passes.gradient import (
    as_list,
    check_policy,
    check_targets,
    grad,
    influences,
    jvp,
    not_connected,
    vjp,
)
from symgraph.tensor import Tensor, describe, leaf

__all__ = ["hessian", "jacobian"]

MODES = ("auto", "reverse", "forward")


def jacobian(
    y: Any,
    x: Any,
    mode: str = "auto",
    consider_constant: Sequence[Tensor] = (),
    disconnected: str = "raise",
    stabilise: bool = True,
) -> Any:
    """All partial derivatives of ``y`` with respect to ``x``; the shape is ``y.shape + x.shape``.

    One sweep is built and batched over a basis: reverse mode over the elements of y, forward mode
    over those of x. ``"auto"`` takes forward mode where x is known to have fewer elements, else
    reverse. Either argument may be a list or dict; the result has the form of ``y``, each entry
    that of ``x``.

    Raises:
        UsageError, GradientError, ShapeError: as :func:`symgraph.grad`.

    >>> import symgraph as sg
    >>> W, x = sg.matrix("W", shape=(2, 3)), sg.vector("x", shape=3)
    >>> jacobian(W @ x, x).shape
    (2, 3)
    """
    if mode not in MODES:
        raise UsageError(f"jacobian: mode={mode!r} is not one of {', '.join(map(repr, MODES))}")
    ys, outer = as_list(
        y if isinstance(y, (list, tuple, dict)) else as_tensor(y, "jacobian"), "jacobian"
    )
    xs, inner = as_list(x, "jacobian")
    check_targets(xs, "jacobian")
    check_policy(disconnected, "jacobian")
    options: dict[str, Any] = {"consider_constant": consider_constant, "stabilise": stabilise}
    return outer([inner(_row(one, xs, mode, disconnected, options)) for one in ys])


def _row(
    y: Tensor, xs: list[Tensor], mode: str, disconnected: str, options: dict[str, Any]
) -> list[Tensor | None]:
    """The derivatives of one variable by each of the others."""
    if y.dtype.kind != "f":
        raise GradientError(f"jacobian: {describe(y)} is {y.dtype.name} and has no derivative")
    linked = influences([y], options["consider_constant"])
    forward = [x for x in xs if x in linked and _takes_forward(y, x, mode)]
    back = [x for x in xs if x in linked and not _takes_forward(y, x, mode)]
    found = {x: _forward(y, x, options) for x in forward} | _reverse(y, back, options)
    return [found[x] if x in found else _unlinked(y, x, disconnected) for x in xs]


def _unlinked(y: Tensor, x: Tensor, disconnected: str) -> Tensor | None:
    if disconnected == "raise":
        raise not_connected(x, "jacobian", describe(y))
    return None if disconnected == "none" else f.zeros((*y.shape, *x.shape), y.dtype)


def _takes_forward(y: Tensor, x: Tensor, mode: str) -> bool:
    known = isinstance(x.size, int) and isinstance(y.size, int)
    return mode == "forward" or (mode == "auto" and known and x.size < y.size)


def _reverse(y: Tensor, xs: list[Tensor], options: dict[str, Any]) -> dict[Tensor, Tensor]:
    if not xs:
        return {}
    cotangent = leaf(leaves.input_, {}, y._array_type(), None)
    rows = _each(vjp(y, xs, cotangent, **options), {cotangent: _basis(y)})
    return {x: f.reshape(r, (*y.shape, *x.shape)) for x, r in zip(xs, rows, strict=True)}


def _forward(y: Tensor, x: Tensor, options: dict[str, Any]) -> Tensor:
    tangent = leaf(leaves.input_, {}, x._array_type(), None)
    along = jvp(y, x, tangent, **options)
    (columns,) = _each([along], {tangent: _basis(x)})
    return f.reshape(f.moveaxis(columns, 0, -1), (*y.shape, *x.shape))


def _each(outputs: Any, along: dict[Tensor, Tensor]) -> Any:
    with loading:
        from symgraph.passes.batch import batch  # other derivatives do without

    return batch(outputs, along)


def _basis(x: Tensor) -> Tensor:
    """The unit arrays of x's shape, one after the other."""
    return f.reshape(f.eye(x.size, dtype=x.dtype), (x.size, *x.shape))


def hessian(
    cost: Tensor,
    x: Any,
    mode: str = "forward",
    consider_constant: Sequence[Tensor] = (),
    disconnected: str = "raise",
) -> Any:
    """The second derivatives of a scalar ``cost``, of shape ``x.shape + x.shape`` (eq. 4.6).

    For a list of variables, a list of rows of blocks. By default forward over reverse: one
    Hessian-vector product, batched over the unit vectors (section 6.5.10).

    >>> import symgraph as sg
    >>> x = sg.vector("x", shape=3)
    >>> hessian(sg.sum(x**3), x).shape
    (3, 3)
    """
    gradient = grad(cost, x, consider_constant=consider_constant, disconnected=disconnected)
    return jacobian(gradient, x, mode, consider_constant, disconnected="zero")
