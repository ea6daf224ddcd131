"""Arithmetic and memory access on vectors of one matrix-product scalar."""

from __future__ import annotations

from collections.abc import Sequence

from ..builder import Builder, Value, lanes_of, scalar_of, vector_type
from .blocking import Blocking

__all__ = [
    "add",
    "at",
    "interleave",
    "lane_mask",
    "load_lanes",
    "masked_load",
    "masked_store",
    "minimum",
    "multiply_add",
    "pitch_of",
    "prefetch",
    "tree_sum",
    "vector",
]


def multiply_add(b: Builder, blk: Blocking, x: Value, y: Value, acc: Value) -> Value:
    """``x * y + acc``: fused where the target can, modulo 2**bits for integers, and/or for i1."""
    if blk.scalar == "i1":
        return b.or_(acc, b.and_(x, y))
    if not blk.is_float:
        return b.add(acc, b.mul(x, y))
    return b.fma(x, y, acc) if blk.fused else b.fadd(acc, b.fmul(x, y))


def add(b: Builder, blk: Blocking, x: Value, y: Value) -> Value:
    """The sum that goes with `multiply_add`."""
    if blk.scalar == "i1":
        return b.or_(x, y)
    return b.fadd(x, y) if blk.is_float else b.add(x, y)


def tree_sum(b: Builder, blk: Blocking, terms: Sequence[Value]) -> Value:
    """The terms added as a balanced tree: the first half to the second, again and again."""
    level = list(terms)
    while len(level) > 1:
        half = len(level) // 2
        level = [add(b, blk, x, y) for x, y in zip(level[:half], level[half:], strict=True)]
    return level[0]


def interleave(b: Builder, vectors: Sequence[Value], block: int) -> list[Value]:
    """Transpose: lane ``c`` of vector ``r`` becomes item ``c * len(vectors) + r`` of the result.

    Happens separately in every ``block`` of lanes; the number of vectors is a power of two and at
    most ``block``. Each stage rotates the bits of (vector, lane) by one place.
    """
    now, half = list(vectors), len(vectors) // 2
    lanes = lanes_of(now[0].type)
    starts = range(0, lanes, block)
    low = [i + s * lanes for o in starts for i in range(o, o + block // 2) for s in (0, 1)]
    high = [i + block // 2 for i in low]
    for _ in range(len(now).bit_length() - 1):
        pairs = list(zip(now[:half], now[half:], strict=True))
        now = [b.shuffle(x, y, pick) for x, y in pairs for pick in (low, high)]
    return now


def minimum(b: Builder, x: Value, y: Value) -> Value:
    """The smaller of two signed integers."""
    return b.intrinsic("llvm.smin", x, y)


def pitch_of(b: Builder, blk: Blocking, count: Value) -> Value:
    """``count`` rounded up to whole vectors."""
    return b.and_(b.add(count, b.i64(blk.lanes - 1)), b.i64(-blk.lanes))


def at(b: Builder, base: Value, *steps: tuple[Value | int, Value | int], element: str) -> Value:
    """``base`` moved by the sum of ``index * stride`` elements."""
    here = base
    for index, stride in steps:
        i = index if isinstance(index, Value) else b.i64(index)
        s = stride if isinstance(stride, Value) else b.i64(stride)
        offset = i if s.ref == "1" else b.mul(i, s)
        here = b.gep(element, here, offset)
    return here


def lane_mask(b: Builder, blk: Blocking, count: Value) -> Value:
    """Lanes below ``count`` (an i64, at least 0)."""
    scalar = f"i{blk.bits}"
    held = minimum(b, count, b.i64(blk.lanes))
    some = held if scalar == "i64" else b.cast("trunc", held, scalar)
    return b.icmp("ult", b.const_vector(scalar, range(blk.lanes)), b.splat(some, blk.lanes))


def _suffix(type_: str) -> str:
    short = {"float": "f32", "double": "f64"}
    return f"v{lanes_of(type_)}{short.get(scalar_of(type_), scalar_of(type_))}.p0"


def masked_load(b: Builder, type_: str, pointer: Value, mask: Value, align: int) -> Value:
    """The lanes under ``mask``, zero elsewhere; memory off the mask is not touched."""
    args = [pointer, Value(str(align), "i32"), mask, Value("zeroinitializer", type_)]
    return b.call(f"llvm.masked.load.{_suffix(type_)}", type_, args)


def load_lanes(b: Builder, blk: Blocking, base: Value, index: Value, mask: Value | None) -> Value:
    """A vector that begins ``index`` scalars past ``base``, zero off the mask (None: all lanes)."""
    place = b.gep(blk.storage, base, index)
    if mask is None:
        return b.load(vector(blk), place, blk.size)
    return masked_load(b, vector(blk), place, mask, blk.size)


def prefetch(b: Builder, place: Value, *, write: bool = False) -> None:
    """Ask for the cache line at ``place``, which need not be memory of ours."""
    fields = [Value(str(field), "i32") for field in (int(write), 3, 1)]  # near, data
    b.call("llvm.prefetch.p0", "void", [place, *fields])


def masked_store(b: Builder, value: Value, pointer: Value, mask: Value, align: int) -> None:
    """Store the lanes under ``mask``."""
    args = [value, pointer, Value(str(align), "i32"), mask]
    b.call(f"llvm.masked.store.{_suffix(value.type)}", "void", args)


def vector(blk: Blocking, lanes: int | None = None) -> str:
    """The LLVM type of a vector of the scalar as stored."""
    return vector_type(blk.storage, blk.lanes if lanes is None else lanes)
