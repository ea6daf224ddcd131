"""Reductions with few rows in two kernels, so that their chunks are independent units.

The first kernel walks the chunks of the reduced axes and leaves what each has accumulated in a
buffer; it also writes whatever else the walk makes. The second combines the chunks in order and
computes the row values that follow. Both keep the numbering of the nest's items and parameters.
"""

from __future__ import annotations

from dataclasses import replace

from symgraph.backends.llvm.accumulate import Point
from symgraph.backends.llvm.builder import Builder, Module, Value, kernel_function
from symgraph.backends.llvm.emit import NestEmitter
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.kernel import Call
from symgraph.backends.llvm.loops import Nest, PointerParam, SizeParam
from symgraph.backends.llvm.passes import Range
from symgraph.backends.llvm.units import COLUMNS, FEW, chunks_of, one_chunk, work_of
from symgraph.op import Op
from symgraph.origins import with_origin
from symgraph.sizes import Dim
from symgraph.tensor import Tensor, apply
from symgraph.types import DTYPES, TensorType

__all__ = ["has_two_phases", "needed", "partial", "two_phase_calls"]

#: What the chunks of a reduction have accumulated: ``bytes`` bytes.
partial = Op(
    "partial",
    lambda types, attrs, equations: TensorType(DTYPES["uint8"], (attrs["bytes"],)),
    lambda x: x,
)


def has_two_phases(nest: Nest) -> bool:
    """Whether a nest has too few rows for units, and one pass over enough elements."""
    return (
        bool(nest.inner) and _rows(nest) is not None and not one_chunk(nest) and nest.passes() == 1
    )


def _rows(nest: Nest) -> int | None:
    """How many rows there are, if they are few and their number is known."""
    last = len(nest.extents) - 1
    count, most = 1, FEW - 1 if last in nest.inner else COLUMNS
    for axis in range(len(nest.extents)):
        extent = nest.extents[axis]
        if axis in nest.inner:
            continue
        if not isinstance(extent, int) or not extent or (axis != last and last not in nest.inner):
            return None
        count *= extent
    return count if count <= most else None


def two_phase_calls(nest: Nest, node: Tensor, target: Target) -> list[Call]:
    """The two kernels of a nest, and the buffer between them."""
    chunks = chunks_of(nest)
    with with_origin(node.origin):
        size = chunks * _bytes_per_chunk(nest, target)
        buffer = apply(partial, (node,), (("bytes", size),))
    first, second = (_half(nest, full, buffer) for full in (True, False))
    return [
        _call("chunks of", _Chunks, first, node, chunks, work_of(nest)),
        _call("what follows the chunks of", _Finish, second, node, 1, 0),
    ]


def _call(name: str, kind: type[_Phase], nest: Nest, node: Tensor, units: Dim, work: Dim) -> Call:
    def emit(module: Module, name: str, target: Target) -> None:
        b = kernel_function(module, name)
        b.ret(kind(b, nest, target).run()[0])

    # the buffer comes last, and the nest's own text does not tell how many parameters there are
    return Call(
        f"{name} {len(nest.params)} parameters\n{nest.key()}", emit, tuple(nest.params), node,
        checked=nest.checked, nest=nest, units=units, work=work,
    )  # fmt: skip


def _half(nest: Nest, full: bool, buffer: Tensor) -> Nest:
    """The nest of one phase: its stores, and of the pointers only those it follows."""
    stores = [(v, a) for v, a in nest.stores if nest.items[v].full == full]
    accesses = [nest.items[k].access for k in needed(nest, full)]
    used = {a.pointer for a in [*accesses, *(a for _, a in stores)] if a is not None}
    params = [
        p if isinstance(p, SizeParam) or p.role == "error" or k in used else SizeParam(0)
        for k, p in enumerate(nest.params)
    ]
    params.insert(_place(nest), PointerParam(buffer, 0, "write" if full else "read"))
    return replace(nest, stores=stores, params=params)


def _place(nest: Nest) -> int:
    """Which parameter the buffer is: the last one, but for the error record."""
    return len(nest.params) - 1 if nest.checked else len(nest.params)


def needed(nest: Nest, full: bool) -> set[int]:
    """The items that one phase computes."""
    items = nest.items
    stack = [v for v, _ in nest.stores if items[v].full == full]
    if full:
        stack += [i.args[0] for i in items if i.kind == "reduce"]
    found: set[int] = set()
    while stack:
        k = stack.pop()
        if k not in found and items[k].kind != "reduce":
            found.add(k)
            stack.extend(items[k].args)
    return found


def _bytes_per_chunk(nest: Nest, target: Target) -> int:
    e = NestEmitter(Builder(Module(), "size", "i64", [("ptr", "args")]), nest, target)
    return e.walk(0).state.bytes() * _vectors_of_rows(e)


def _vectors_of_rows(e: NestEmitter) -> int:
    rows = _rows(e.nest)
    assert rows is not None, "few rows are a static number of them"
    return rows if e.inner_vector else -(-rows // e.lanes)


class _Phase(NestEmitter):
    """What the two kernels share; ``nest`` is that of the phase."""

    full: bool

    def __init__(self, b: Builder, nest: Nest, target: Target) -> None:
        super().__init__(b, nest, target)
        self.needed = needed(nest, self.full)
        self.pass_ = self.walk(0)
        self.tiled = self.tiled and self.full
        self.step = self.chunk_steps()

    def wants(self, k: int) -> bool:
        return k in self.needed

    def place(self, scope: Point, chunk: Value) -> Value:
        """Where the results of a chunk stand for this vector of rows."""
        b, each = self.b, self.pass_.state.bytes()
        at = b.mul(chunk, b.i64(each * _vectors_of_rows(self)))
        if self.inner_vector:
            row = b.i64(0)
            for axis in (a for a in range(len(self.nest.extents)) if a not in self.nest.inner):
                row = b.add(b.mul(row, self.number(self.nest.extents[axis])), scope.index[axis])
        else:
            row = b.lshr(scope.index[self.axis], b.i64(self.lanes.bit_length() - 1))
        at = b.add(at, b.mul(row, b.i64(each)))
        return b.gep("i8", self.params[_place(self.nest) - 1], at)


class _Chunks(_Phase):
    """The first kernel: a unit is a chunk."""

    full = True

    def run(self) -> list[Value]:
        b = self.b
        _, begin, end = b.args
        extent = self.number(self.nest.extents[self.nest.inner[0]])
        with b.loop(begin, end, 1) as loop:
            self.unit, start = loop.index, b.mul(loop.index, self.step)
            self.within = start, b.intrinsic("llvm.smin", b.add(start, self.step), extent)
            self.loops({})
        return [b.load("i64", self.status)]

    def vector_rows(self, scope: Point, within: Range | None) -> None:
        if self.tiled:
            self.each_tile(scope, within, self.within, self.leave)
        else:
            super().vector_rows(scope, within)

    def leave(self, scope: Point, carried: list[Value]) -> None:
        """Write what a chunk has accumulated to the buffer."""
        self.pass_.state.save(carried, self.place(scope, self.unit))

    def row(self, scope: Point) -> None:
        self.kept = {}
        self.row_values(scope, 0)
        self.leave(scope, self.chunk(scope, self.pass_, self.within))


class _Finish(_Phase):
    """The second kernel: the chunks in order, and the values that need them all."""

    full = False

    def run(self) -> list[Value]:
        b, extent = self.b, self.number(self.nest.extents[self.nest.inner[0]])
        self.count = b.binary("sdiv", b.add(extent, b.sub(self.step, b.i64(1))), self.step)
        self.loops({})
        return [b.load("i64", self.status)]

    def row(self, scope: Point) -> None:
        b, state = self.b, self.pass_.state
        with b.loop(b.i64(0), self.count, 1, state.initial()) as loop:
            loop.next = state.merge(loop.carry, state.reload(self.place(scope, loop.index)))
        self.finish_rows(scope, loop.result)
