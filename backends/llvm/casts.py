"""One dtype to another."""

from __future__ import annotations

from symgraph.backends.llvm.builder import Builder, Value, lanes_of, scalar_of
from symgraph.backends.llvm.scalars import is_signed, register_type
from symgraph.types import DType

__all__ = ["convert"]


def convert(b: Builder, x: Value, have: DType, want: DType) -> Value:
    """One dtype to another as NumPy's astype; floats out of an integer's range saturate."""
    to = register_type(want)
    if have == want:
        return x
    if have.kind == "f":
        if want.kind == "f":
            return b.cast("fpext" if want.itemsize > have.itemsize else "fptrunc", x, to)
        if want.kind == "b":
            return b.fcmp("une", x, b.const(x.type, 0))
        return _saturating(b, x, want)
    if want.kind == "b":
        return b.icmp("ne", x, b.const(x.type, 0))
    if want.kind == "f":
        return b.cast("sitofp" if is_signed(have) else "uitofp", x, to)
    if have.kind == "b":
        return b.cast("zext", x, to)
    if want.itemsize > have.itemsize:
        return b.cast("sext" if is_signed(have) else "zext", x, to)
    return b.cast("trunc", x, to) if want.itemsize < have.itemsize else x


def _saturating(b: Builder, x: Value, want: DType) -> Value:
    bits, significant = 8 * want.itemsize, 24 if scalar_of(x.type) == "float" else 53
    if lanes_of(x.type) > 1 and bits - is_signed(want) <= min(significant, 31):
        return _clamped(b, x, want)
    lanes, to = lanes_of(x.type), register_type(want)
    result = to if lanes == 1 else f"<{lanes} x {to}>"
    source = "f32" if scalar_of(x.type) == "float" else "f64"
    prefix = "" if lanes == 1 else f"v{lanes}"
    stem = "llvm.fptosi.sat" if is_signed(want) else "llvm.fptoui.sat"
    return b.call(f"{stem}.{prefix}{to}.{prefix}{source}", result, [x])


def _clamped(b: Builder, x: Value, want: DType) -> Value:
    """Vectors, where the integer's bounds are floats of this type: LLVM takes one lane at a time.

    Only what fits in 32 bits with a sign is converted so.
    """
    bits, signed = 8 * want.itemsize, is_signed(want)
    low = -(1 << bits - 1) if signed else 0
    high = (1 << bits - signed) - 1
    bounded = b.select(b.fcmp("ogt", x, b.const(x.type, low)), x, b.const(x.type, low))
    bounded = b.select(
        b.fcmp("olt", bounded, b.const(x.type, high)), bounded, b.const(x.type, high)
    )
    number = b.select(b.fcmp("ord", x, x), bounded, b.const(x.type, 0))
    whole = b.cast("fptosi", number, "i32")
    return b.cast("trunc", whole, f"i{bits}") if bits < 32 else whole
