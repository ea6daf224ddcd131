"""Vector reads and writes: contiguous, broadcast or strided, whole or under a mask."""

from __future__ import annotations

from symgraph.backends.llvm.builder import Builder, Value, lanes_of, scalar_of, vector_type
from symgraph.backends.llvm.scalars import memory_type
from symgraph.types import DType

__all__ = ["gather", "lane_indices", "lane_mask", "read", "write"]


#: Elements no further apart than this are picked from whole vectors.
CLOSE = 4

#: How far ahead of a read under a mask memory is asked for, in bytes: the processor itself does not
#: see a stream in such reads.
AHEAD = 2048


def lane_indices(b: Builder, lanes: int) -> Value:
    """0, 1, 2, ... as i64."""
    return b.const_vector("i64", range(lanes)) if lanes > 1 else b.i64(0)


def lane_mask(b: Builder, count: Value, lanes: int) -> Value:
    """The lanes below ``count`` (i64, from 0 to ``lanes``)."""
    return b.icmp(
        "slt", b.const_vector("i32", range(lanes)), b.splat(b.cast("trunc", count, "i32"), lanes)
    )


def _suffix(type_: str) -> str:
    scalar = scalar_of(type_)
    return f"v{lanes_of(type_)}{ {'float': 'f32', 'double': 'f64'}.get(scalar, scalar) }"


def _from_memory(b: Builder, v: Value, dtype: DType) -> Value:
    return b.icmp("ne", v, b.const(v.type, 0)) if dtype.kind == "b" else v


def _to_memory(b: Builder, v: Value, dtype: DType) -> Value:
    return b.cast("zext", v, "i8") if dtype.kind == "b" else v


def _addresses(b: Builder, pointer: Value, stride: Value, scalar: str, lanes: int) -> Value:
    steps = b.mul(lane_indices(b, lanes), b.splat(stride, lanes))
    return b.emit(vector_type("ptr", lanes), f"getelementptr {scalar}, ptr {pointer.ref}, {steps}")


def read(
    b: Builder, dtype: DType, pointer: Value, stride: Value | int, lanes: int, mask: Value | None
) -> Value:
    """``lanes`` elements ``stride`` apart; off the mask memory is not touched and the value is
    0."""
    scalar = memory_type(dtype)
    if stride == 0 or lanes == 1:
        one = _from_memory(b, b.load(scalar, pointer, dtype.itemsize), dtype)
        return b.splat(one, lanes)
    type_ = vector_type(scalar, lanes)
    if stride == 1 and mask is None:
        return _from_memory(b, b.load(type_, pointer, dtype.itemsize), dtype)
    align, zero = Value(str(dtype.itemsize), "i32"), Value("zeroinitializer", type_)
    if stride == -1:
        back = _reversed_load(b, type_, b.gep(scalar, pointer, 1 - lanes), dtype.itemsize, mask)
        return _from_memory(b, back, dtype)
    if isinstance(stride, int) and 1 < stride <= CLOSE and mask is None:
        return _from_memory(b, _picked(b, type_, pointer, stride, dtype.itemsize), dtype)
    if stride == 1:
        assert mask is not None
        ahead = b.gep("i8", pointer, AHEAD)
        b.call("llvm.prefetch.p0", "void", [ahead, *(Value(str(k), "i32") for k in (0, 3, 1))])
        args = [pointer, align, mask, zero]
        return _from_memory(b, b.call(f"llvm.masked.load.{_suffix(type_)}.p0", type_, args), dtype)
    by = stride if isinstance(stride, Value) else b.i64(stride)
    return gather(b, dtype, _addresses(b, pointer, by, scalar, lanes), mask)


def _reversed_load(b: Builder, type_: str, start: Value, align: int, mask: Value | None) -> Value:
    """A vector whose first lane is the last in memory, which begins at ``start``."""
    backwards = range(lanes_of(type_) - 1, -1, -1)
    if mask is None:
        return b.shuffle(b.load(type_, start, align), None, backwards)
    args = [start, Value(str(align), "i32"), b.shuffle(mask, None, backwards)]
    zero = Value("zeroinitializer", type_)
    loaded = b.call(f"llvm.masked.load.{_suffix(type_)}.p0", type_, [*args, zero])
    return b.shuffle(loaded, None, backwards)


def _picked(b: Builder, type_: str, pointer: Value, stride: int, align: int) -> Value:
    """Every ``stride``-th element of as many vectors; nothing beyond the last one is read."""
    lanes, scalar = lanes_of(type_), scalar_of(type_)
    found = b.load(type_, pointer, align)
    source = [k * stride if k * stride < lanes else None for k in range(lanes)]
    for part in range(1, stride):
        start = min(part * lanes, (lanes - 1) * stride + 1 - lanes)
        more = b.load(type_, b.gep(scalar, pointer, start), align)
        first = part == 1
        picks = []
        for k in range(lanes):
            at = k * stride
            mine = part * lanes <= at < (part + 1) * lanes
            kept = (source[k] or 0) if first else k
            picks.append(lanes + at - start if mine else kept)
        found = b.shuffle(found, more, picks)
    return found


def gather(b: Builder, dtype: DType, addresses: Value, mask: Value | None) -> Value:
    """The elements at a vector of addresses (one address: a plain load)."""
    lanes, scalar = lanes_of(addresses.type), memory_type(dtype)
    if lanes == 1:
        return _from_memory(b, b.load(scalar, addresses, dtype.itemsize), dtype)
    type_ = vector_type(scalar, lanes)
    live = mask if mask is not None else b.const(vector_type("i1", lanes), True)
    args = [addresses, Value(str(dtype.itemsize), "i32"), live, Value("zeroinitializer", type_)]
    name = f"llvm.masked.gather.{_suffix(type_)}.v{lanes}p0"
    return _from_memory(b, b.call(name, type_, args), dtype)


def write(
    b: Builder, dtype: DType, value: Value, pointer: Value, stride: Value | int, mask: Value | None
) -> None:
    """Store a vector (or scalar) to elements ``stride`` apart, only under the mask."""
    stored = _to_memory(b, value, dtype)
    lanes = lanes_of(stored.type)
    if lanes == 1:
        b.store(stored, pointer, dtype.itemsize)
        return
    align = Value(str(dtype.itemsize), "i32")
    if stride == 1 and mask is None:
        b.store(stored, pointer, dtype.itemsize)
    elif stride == 1:
        assert mask is not None
        b.call(
            f"llvm.masked.store.{_suffix(stored.type)}.p0", "void", [stored, pointer, align, mask]
        )
    else:
        by = stride if isinstance(stride, Value) else b.i64(stride)
        places = _addresses(b, pointer, by, memory_type(dtype), lanes)
        live = mask if mask is not None else b.const(vector_type("i1", lanes), True)
        name = f"llvm.masked.scatter.{_suffix(stored.type)}.v{lanes}p0"
        b.call(name, "void", [stored, places, align, live])
