"""float32 asin and acos, for processors with fused multiply-add.

``asin(s)`` is a polynomial up to 1/2. Past that ``s = sqrt((1 - |x|) / 2)``, in two parts, and
``asin(s) = acos(|x|) / 2``.
"""

from __future__ import annotations

from symgraph.backends.llvm.vectormath.floating import Real, fast_two_sum, where
from symgraph.backends.llvm.vectormath.roots import root_parts

__all__ = ["single_acos", "single_asin"]

# (asin(s) - s) / s**3 in s**2 on |s| <= 1/2: error 2**-27.6 of asin(s).
TAIL = (
    0.16666752099990845,
    0.074953094124794,
    0.04546914994716644,
    0.024184778332710266,
    0.042158305644989014,
)
HALF_PI = (1.5707963705062866, -4.371138828673793e-08)
PI = (3.1415927410125732, -8.742277657347586e-08)


def single_asin(x: Real) -> Real:
    a = x.abs()
    outer = a > 0.5
    start = [where(outer, a.const(part), 0.0) for part in HALF_PI]
    value = from_start(a, a, start[0], start[1], where(outer, a.const(-2.0), 1.0))
    return value.copysign(x)


def single_acos(x: Real) -> Real:
    a = x.abs()
    outer, left = a > 0.5, x < 0.0
    start = [
        where(outer, where(left, a.const(whole), 0.0), half)
        for whole, half in zip(PI, HALF_PI, strict=True)
    ]
    times = where(outer, where(left, a.const(-2.0), 2.0), -1.0)
    return from_start(a, x, start[0], start[1], times)


def from_start(a: Real, inner: Real, start: Real, start_low: Real, times: Real) -> Real:
    """``start + times asin(s)``, with ``s = inner`` where ``a <= 1/2``."""
    outer = a > 0.5
    z = where(outer, a.mad(-0.5, 0.5), a * a)
    root, low = root_parts(z)
    s, low = where(outer, root, inner), where(outer, low, 0.0)
    curve = (s * z).mad(z.poly(TAIL), low)
    total, lost = fast_two_sum(start, s * times)
    return total + curve.mad(times, lost + start_low)
