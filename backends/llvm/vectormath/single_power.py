"""float32 powers from tables in registers, for processors with AVX-512, in float32 throughout.

``a**y = 2**(y log2(a))`` with the logarithm and the product in two parts. ``a = 2**e m`` and ``R``
is a multiple of 1/32 near ``1/m``, so ``f = m R - 1`` is exact and
``log2(a) = e - log2(R) + log2(1 + f)``.
"""

from __future__ import annotations

from symgraph.backends.llvm.vectormath.avx512 import (
    exponent_of,
    limited,
    look_up,
    reciprocal_estimate,
    scale_by_floor,
    significand_near_one,
)
from symgraph.backends.llvm.vectormath.floating import Real, fast_two_sum, where
from symgraph.backends.llvm.vectormath.table_exponential import POWERS, POWERS_LOW

__all__ = ["single_pow"]

# -log2(R) in multiples of 2**-16, and the rest, at 32 R modulo 32; R is in [21/32, 43/32].
LOGS = (
    0.0,
    -0.0443878173828125,
    -0.08746337890625,
    -0.1292877197265625,
    -0.169921875,
    -0.2094573974609375,
    -0.2479248046875,
    -0.285400390625,
    -0.321929931640625,
    -0.3575592041015625,
    -0.3923187255859375,
    -0.42626953125,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.678070068359375,
    0.6076812744140625,
    0.5405731201171875,
    0.4764404296875,
    0.4150390625,
    0.35614013671875,
    0.299560546875,
    0.2451171875,
    0.1926422119140625,
    0.1420135498046875,
    0.093109130859375,
    0.045806884765625,
)
LOGS_LOW = (
    0.0,
    -6.301975645328639e-06,
    5.376559215619636e-07,
    4.702781552623492e-06,
    -3.1264423796528718e-06,
    4.0318318497156724e-06,
    -2.7087560283689527e-06,
    -1.8282372593603213e-06,
    1.8367533130003721e-06,
    7.199483661679551e-06,
    1.3028071634835214e-06,
    4.776547939400189e-06,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    1.8367533130003721e-06,
    1.3028071634835214e-06,
    -4.7387543418153655e-06,
    -2.3857444375607884e-06,
    -1.5632211898264359e-06,
    3.6735066260007443e-06,
    -2.650160979555949e-07,
    -4.68966345579247e-06,
    2.8660283533099573e-06,
    5.455067821458215e-06,
    2.7353209475222684e-07,
    -3.195152430635062e-06,
)
# log2(1 + f) = f (PER + PER_LOW + f SLOPE + f**2 (...)): on |f| <= 0.0161 its relative error is
# 2**-32.8, and on |f| <= 0.0239, where R is not 1, four times that.
PER, PER_LOW = 1.4426950216293335, 1.925963033500011e-08
SLOPE = -0.7213475108146667
CURVE = (0.48089832067489624, -0.360819548368454, 0.2886941432952881)
# (2**r - 1) / r on |r| <= 0.0735: error 2**-31.1 of 2**r.
TAIL = (0.6931471824645996, 0.24022650718688965, 0.05550993233919144, 0.009619634598493576)
# Past this every power of two overflows or underflows.
END = 200.0


def single_pow(a: Real, y: Real) -> Real:
    """``a**y`` for positive finite ``a`` and finite ``y``; other arguments give anything."""
    log, log_low = _log2_parts(a)
    product = y * log
    exponent = limited(product, END)
    magic = exponent.format.magic / 16
    shifted = exponent + magic
    n, index = shifted - magic, shifted.bits()
    low = y.mad(log_low, y.mad(log, -product))
    r = (exponent - n) + where(product.equals(exponent), low, 0.0)
    power = look_up(POWERS, index)
    p = r.mad(r.poly(TAIL), look_up(POWERS_LOW["float"], index))
    return scale_by_floor(power.mad(p, power), n)


def _log2_parts(a: Real) -> tuple[Real, Real]:
    """``log2(a)`` in two parts, the second up to 2**-11 of the first, to about 2**-31 of it."""
    m = significand_near_one(a)
    magic = m.format.magic / 32
    shifted = reciprocal_estimate(m) + magic
    index, f = shifted.bits(), m.mad(shifted - magic, -1.0)
    square = f * f
    # f (PER + f SLOPE + ...) in two parts; what rounding takes from the sum is exact.
    whole = f.mad(SLOPE, PER)
    lost = f.mad(SLOPE, PER - whole) + square.mad(f.poly(CURVE, square), PER_LOW)
    product = f * whole
    low = f.mad(lost, f.mad(whole, -product))
    # Both exponents are floored, and that of m is -1 or 0.
    leading = look_up(LOGS, index) - (exponent_of(m) - exponent_of(a))
    total, missed = fast_two_sum(leading, product)
    return total, missed + (low + look_up(LOGS_LOW, index))
