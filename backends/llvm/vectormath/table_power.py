"""Powers of float32 numbers in float64 from tables in registers, for processors with AVX-512."""

from __future__ import annotations

from symgraph.backends.llvm.vectormath.avx512 import look_up, scale_by_floor
from symgraph.backends.llvm.vectormath.floating import Real
from symgraph.backends.llvm.vectormath.table_exponential import LOG2_E, POWERS
from symgraph.backends.llvm.vectormath.table_logarithm import LOGS, split

__all__ = ["table_pow"]

# (log(1 + f) - f) / f**2 on |f| <= 0.0318: error 2**-37.3 of log(1 + f).
CURVE = (
    -0.5000000000171818,
    0.33333327048208905,
    -0.24999986570256658,
    0.20020113145967747,
    -0.16690905538377993,
)
# (2**r - 1) / r on |r| <= 1/32: error 2**-29.2 of 2**r.
EXP2_TAIL = (0.6931471800001523, 0.2402342927844891, 0.0555059832022855)
# Past this every power of two overflows or underflows in float32.
END = 200.0


def table_pow(a: Real, y: Real) -> Real:
    """``a**y`` for positive finite ``a``, rounded to float32; other arguments give anything."""
    wide = a.widen()
    minus_e, f, index = split(wide)
    log = (f * f).mad(f.poly(CURVE), f) + look_up(LOGS["double"], index)
    exponent = (log.mad(LOG2_E, -minus_e) * y.widen()).clamp(-END, END)
    magic = wide.format.magic / 16
    shifted = exponent + magic
    n = shifted - magic
    r = exponent - n
    power = look_up(POWERS, shifted.bits())
    return scale_by_floor(power.mad(r * r.poly(EXP2_TAIL), power), n).narrow()
