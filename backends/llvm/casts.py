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
    lanes, to = lanes_of(x.type), register_type(want)
    result = to if lanes == 1 else f"<{lanes} x {to}>"
    source = "f32" if scalar_of(x.type) == "float" else "f64"
    prefix = "" if lanes == 1 else f"v{lanes}"
    stem = "llvm.fptosi.sat" if is_signed(want) else "llvm.fptoui.sat"
    return b.call(f"{stem}.{prefix}{to}.{prefix}{source}", result, [x])
