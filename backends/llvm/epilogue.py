"""The code of a product's epilogue: a loop nest run on every finished block of C.

The kernel of a fused product is two small functions. The library's product, whose address is an
argument, does the work and calls back for each finished block of C while that is in the cache; what
is emitted here reads it, computes the nest's items and stores its results. So one more epilogue is
no further matrix kernel, and the same epilogue serves every path of the product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from symgraph.backends.llvm.builder import Builder, Module, Value, kernel_function
from symgraph.backends.llvm.casts import convert
from symgraph.backends.llvm.elementwise import lower_elementwise
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.loops import Access, Item, Nest
from symgraph.backends.llvm.matmul import abi
from symgraph.backends.llvm.matmul.blocking import Blocking, blocking
from symgraph.backends.llvm.matmul.finish import SIGNATURE
from symgraph.backends.llvm.memory_access import lane_mask, read, write
from symgraph.backends.llvm.scalars import memory_type, register_type
from symgraph.types import DTYPES

__all__ = ["FIRST", "KINDS", "PRODUCT", "EpilogueCode", "emit_epilogue"]

#: The item that stands for the finished element of C.
PRODUCT = "product"

#: What an epilogue's nest may consist of.
KINDS = frozenset((PRODUCT, "load", "literal", "parameter", "size", "op"))

#: Where the address of the product stands in the argument table: after that of the callback.
CODE = abi.EXTRA + 1

#: Where the nest's parameters begin.
FIRST = abi.EXTRA + 2

INT64 = DTYPES["int64"]


@dataclass(frozen=True, slots=True)
class EpilogueCode:
    """What the emitted code depends on.

    ``axes`` are the axes of the nest's space that the product's batch axes (as many as the kernel
    has), rows and columns run along; None where an axis has size 1.
    """

    nest: Nest
    scalar: str
    axes: tuple[int | None, ...]

    def key(self) -> str:
        """The canonical text."""
        head = f"matmul {self.scalar} then, axes {list(self.axes)}"
        return f"{head}\n{self.nest.key()}"


def emit_epilogue(module: Module, name: str, code: EpilogueCode, target: Target) -> None:
    """Write the kernel: it hands its callback to the product at entry CODE."""
    blk = blocking(code.scalar, target)
    callback = _Callback(module, f"{name}.finish", code, blk).run()
    b = kernel_function(module, name)
    b.store(Value(f"@{callback}", "ptr"), b.gep("i64", b.args[0], abi.EXTRA))
    product = b.load("ptr", b.gep("i64", b.args[0], CODE))
    b.ret(b.emit("i64", f"call i64 {product.ref}({', '.join(map(str, b.args))})"))


class _Callback:
    """``void (args, tile, ...)``, see `matmul.finish`: finished rows of C to the results.

    Along a row run vectors of two registers, as in a pass of its own, and one under a mask.
    """

    def __init__(self, module: Module, name: str, code: EpilogueCode, blk: Blocking) -> None:
        self.b = Builder(module, name, "void", SIGNATURE, linkage="internal")
        self.code, self.nest, self.blk = code, code.nest, blk
        self.row_axis, self.col_axis = code.axes[-2:]
        self.args, self.tile, self.tile_row, self.c = self.b.args[:4]
        self.rows, self.cols, self.row0, self.col0 = self.b.args[6:10]
        self.lanes = self._lanes()
        self.params = self._params()
        self.index = self._batch_indices()
        self.by_row, self.by_col = self._varying(self.row_axis), self._varying(self.col_axis)

    def _lanes(self) -> int:
        wide = 2 * self.blk.lanes
        extent = wide if self.col_axis is None else self.nest.extents[self.col_axis]
        return min(wide, 1 << (extent - 1).bit_length()) if isinstance(extent, int) else wide

    def _entry(self, place: int, type_: str = "i64") -> Value:
        return self.b.load(type_, self.b.gep("i64", self.args, place))

    def _params(self) -> list[Value]:
        params = enumerate(self.nest.params)
        return [self._entry(FIRST + k, "i64" if hasattr(p, "dim") else "ptr") for k, p in params]

    def _batch_indices(self) -> dict[int, Value]:
        """The batch entry, told by where the tile lies in C."""
        b, found = self.b, dict[int, Value]()
        axes = self.code.axes[:-2]
        if all(a is None for a in axes):
            return found
        first, here = (
            b.emit("i64", f"ptrtoint {p} to i64") for p in (self._entry(abi.C, "ptr"), self.c)
        )
        entry = b.mul(b.mul(self._entry(abi.M), self._entry(abi.N)), b.i64(self.blk.size))
        left = b.binary("sdiv", b.sub(here, first), entry)
        for k in reversed(range(len(axes))):
            extent = self._entry(abi.BATCH_EXTENT + k)
            if (axis := axes[k]) is not None:
                found[axis] = b.binary("srem", left, extent)
            left = b.binary("sdiv", left, extent)
        return found

    def _varying(self, axis: int | None) -> list[bool]:
        """Which items change along an axis."""
        out: list[bool] = []
        for item in self.nest.items:
            access = item.access
            moves = access is not None and axis is not None and access.strides[axis] != 0
            out.append(moves or item.kind == PRODUCT or any(out[a] for a in item.args))
        return out

    # ---- loops -------------------------------------------------------------------------------

    def run(self) -> str:
        """Emit the function; its name."""
        b, lanes = self.b, self.lanes
        whole = b.and_(self.cols, b.i64(-lanes))
        uniform = self._computed({}, self.index, None, lambda row, col: not row and not col)
        with b.loop(b.i64(0), self.rows, 1) as row:
            index = dict(self.index)
            if self.row_axis is not None:
                index[self.row_axis] = b.add(self.row0, row.index)
            source = b.gep(self.blk.storage, self.tile, b.mul(row.index, self.tile_row))
            known = self._computed(uniform, index, None, lambda row, col: row and not col)
            bases = {a: self._address(a, index) for a in self._accesses()}
            with b.loop(b.i64(0), whole, lanes) as col:
                self._vector(source, col.index, known, bases, None)
            with b.when(b.icmp("slt", whole, self.cols)):
                mask = lane_mask(b, b.sub(self.cols, whole), lanes)
                self._vector(source, whole, known, bases, mask if lanes > 1 else None)
        b.ret()
        return b.name

    def _accesses(self) -> list[Access]:
        loads = [i.access for k, i in enumerate(self.nest.items) if self.by_col[k]]
        return list(dict.fromkeys([a for a in loads if a is not None] + self._targets()))

    def _targets(self) -> list[Access]:
        return [a for _, a in self.nest.stores]

    def _computed(
        self,
        known: dict[int, Value],
        index: dict[int, Value],
        mask: Value | None,
        wanted: Callable[[bool, bool], bool],
    ) -> dict[int, Value]:
        """``known`` and the items that ``wanted`` says of whether they change by row, by column."""
        values = dict(known)
        for k, item in enumerate(self.nest.items):
            if wanted(self.by_row[k], self.by_col[k]):
                place = None if item.access is None else self._address(item.access, index)
                values[k] = self._value(item, values, place, mask)
        return values

    def _vector(
        self,
        source: Value,
        j: Value,
        known: dict[int, Value],
        bases: dict[Access, Value],
        mask: Value | None,
    ) -> None:
        """One vector of one row."""
        b, items, values = self.b, self.nest.items, dict(known)
        col = b.add(self.col0, j)
        for k, item in enumerate(items):
            if item.kind == PRODUCT:
                place = b.gep(self.blk.storage, source, j)
                values[k] = read(b, item.dtype, place, 1, self.lanes, mask)
            elif self.by_col[k]:
                at = None if item.access is None else self._along(item.access, bases, col)
                values[k] = self._value(item, values, at, mask)
        for k, access in self.nest.stores:
            value, place = b.splat(values[k], self.lanes), self._along(access, bases, col)
            write(b, items[k].dtype, value, place, self._lane_stride(access), mask)

    # ---- items -------------------------------------------------------------------------------

    def _value(
        self, item: Item, known: dict[int, Value], place: Value | None, mask: Value | None
    ) -> Value:
        b, lanes = self.b, self.lanes
        if item.access is not None:
            assert place is not None
            return read(b, item.dtype, place, self._lane_stride(item.access), lanes, mask)
        if item.kind == "op":
            assert item.node is not None
            return lower_elementwise(b, item.node, [b.splat(known[a], lanes) for a in item.args])
        if item.kind == "size":
            return b.splat(convert(b, self._number(item.payload[0]), INT64, item.dtype), lanes)
        if item.kind == "parameter":
            return b.splat(self._passed(item), lanes)
        array = np.frombuffer(bytes.fromhex(item.payload[0]), item.dtype)
        return b.const(register_type(item.dtype), array[0].item())

    def _passed(self, item: Item) -> Value:
        """A literal from the argument table."""
        b, value = self.b, self._number(item.payload[0])
        if item.dtype.itemsize < 8:
            value = b.cast("trunc", value, f"i{8 * item.dtype.itemsize}")
        return b.cast("bitcast", value, register_type(item.dtype))

    def _number(self, size: int | str) -> Value:
        return self.b.i64(size) if isinstance(size, int) else self.params[int(size[1:])]

    def _lane_stride(self, access: Access) -> Value | int:
        stride = 0 if self.col_axis is None else access.strides[self.col_axis]
        return stride if isinstance(stride, int) else self._number(stride)

    def _address(self, access: Access, index: dict[int, Value]) -> Value:
        b, here = self.b, self.params[access.pointer]
        for axis, stride in enumerate(access.strides):
            if stride != 0 and axis in index:
                i = index[axis]
                step = i if stride == 1 else b.mul(i, self._number(stride))
                here = b.gep(memory_type(access.dtype), here, step)
        return here

    def _along(self, access: Access, bases: dict[Access, Value], col: Value) -> Value:
        """The address in column ``col`` of the row where ``bases`` begin."""
        if self.col_axis is None:
            return bases[access]
        stride = access.strides[self.col_axis]
        step = col if stride == 1 else self.b.mul(col, self._number(stride))
        return self.b.gep(memory_type(access.dtype), bases[access], step)
