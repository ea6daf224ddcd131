"""float64 code for the rare lanes of float32 functions, in functions that are emitted once."""

from __future__ import annotations

from collections.abc import Callable

from symgraph.backends.llvm.builder import Builder, Value, lanes_of, vector_type
from symgraph.backends.llvm.vectormath.floating import Mask, Real, by_pieces, where

__all__ = ["with_rare"]

LANES = 8


def with_rare(
    rare: Mask, value: Real, name: str, wide: Callable[..., Real], *arguments: Real
) -> Real:
    """``value``, but ``wide(*arguments)`` in the rare lanes, reached only if there are any.

    ``wide`` is float64 code; it stands in a function ``wide_<name>`` of the module.
    """
    merged = value.b.choose(
        rare.any(),
        lambda: [where(rare, _call(name, wide, *arguments), value).value],
        lambda: [value.value],
    )
    return Real(value.b, merged[0])


def _call(name: str, wide: Callable[..., Real], *arguments: Real) -> Real:
    """``wide`` between conversions."""
    like, function, type_ = arguments[0], f"wide_{name}", vector_type("float", LANES)
    b, values = like.b, [x.value for x in arguments]
    if function not in b.module.functions:
        _emit(b, function, type_, wide, len(arguments))
    if lanes_of(like.value.type) == 1:
        result = b.call(function, type_, [b.splat(v, LANES) for v in values])
        return Real(b, b.extract(result, 0))

    def piece(*parts: Value) -> Value:
        return b.call(function, type_, list(parts))

    return by_pieces(like, piece, LANES, *values)


def _emit(outer: Builder, name: str, type_: str, wide: Callable[..., Real], count: int) -> None:
    body = Builder(
        outer.module,
        name,
        type_,
        [(type_, f"x{k}") for k in range(count)],
        linkage="internal",
        attributes="noinline nounwind",
    )
    body.ret(wide(*[Real(body, x).widen() for x in body.args]).narrow().value)
