"""The register tiles of a block of C, in one batch entry or in several alike."""

from __future__ import annotations

from dataclasses import dataclass

from ..builder import Builder, Module, Value
from .blocking import Blocking
from .finish import call_finish
from .lanes import at, minimum, prefetch
from .microkernel import emit_microkernels

__all__ = ["Block", "emit_tiles", "new_block"]

SHORT = 64  # sums over fewer k are done before a prefetch helps
INTERNAL = "nounwind noinline"

#: What `emit_tiles` is told of a block, 8 bytes each. ``args`` is the argument table. A has
#: ``rows`` rows and ``depth`` columns. Column j of B begins at ``b + j * b_step`` (j a multiple of
#: the tile's width), and the next row of the tile's columns ``b_row`` after it. ``direct``: tiles
#: go to C as they are, whose columns are neighbours; else ``finish`` gets them, counted from
#: ``row0`` and ``col0``, ``last`` if no sums are to follow. ``room`` holds a tile. Batch entry e of
#: ``count`` lies ``e * c_next``, ``e * a_next`` and ``e * b_next`` further.
FIELDS = (
    *("args", "room", "finish", "c", "a", "b", "depth", "rows", "cols", "row0", "col0"),
    *("a_row", "a_col", "b_step", "b_row", "c_row", "c_col", "accumulate", "direct", "last"),
    *("count", "c_next", "a_next", "b_next"),
)
POINTERS = ("args", "a", "b", "c", "room", "finish")


@dataclass(frozen=True, slots=True)
class Block:
    """The description of a block, in memory at ``place``."""

    b: Builder
    place: Value

    def _field(self, name: str) -> Value:
        return self.b.gep("i64", self.place, FIELDS.index(name))

    def __getitem__(self, name: str) -> Value:
        return self.b.load("ptr" if name in POINTERS else "i64", self._field(name))

    def holds(self, name: str) -> Value:
        """A field that is true or false."""
        return self.b.icmp("ne", self[name], self.b.i64(0))

    def put(self, **values: Value) -> None:
        """Set some fields."""
        for name, value in values.items():
            wide = self.b.cast("zext", value, "i64") if value.type == "i1" else value
            self.b.store(wide, self._field(name))


def new_block(b: Builder) -> Block:
    """Room for a block, for as long as the function runs; to be called in its first lines."""
    return Block(b, b.emit("ptr", f"alloca [{len(FIELDS)} x i64], align 64"))


def emit_tiles(module: Module, blk: Blocking) -> str:
    """Emit ``void (block)``: all tiles of a `Block`; the function's name."""
    name = f"matmul.{blk.scalar}.tiles"
    if name in module.functions:
        return name
    micro, edge = emit_microkernels(module, blk), _emit_edge(module, blk)
    signature = [("ptr", "block")]
    b = Builder(module, name, "void", signature, linkage="internal", attributes=INTERNAL)
    block = Block(b, b.args[0])
    entry = [block[name] for name in ("c", "a", "b")]
    with b.loop(b.i64(0), block["count"], 1, entry) as loop:
        with b.loop(b.i64(0), block["cols"], blk.width) as column:
            start, width = _columns(b, blk, block, column.index)
            kernel = _chosen(b, blk, micro, width)
            _column(b, blk, block, loop.carry, (kernel, edge), (start, width))
        steps = (block[name] for name in ("c_next", "a_next", "b_next"))
        loop.next = [b.gep(blk.storage, x, step) for x, step in zip(loop.carry, steps, strict=True)]
    b.ret()
    return name


def _column(
    b: Builder,
    blk: Blocking,
    block: Block,
    entry: list[Value],
    code: tuple[Value, str],
    span: tuple[Value, Value],
) -> None:
    """The tiles of some columns, one below the other.

    ``entry`` are C, A and B of a batch entry, ``code`` the micro-kernel and the function for
    edges, ``span`` the first of the columns and how many they are.
    """
    (c, a, right), (kernel, edge), (start, width) = entry, code, span
    whole = block.holds("direct")
    if not blk.masked_edges:
        even = b.icmp("eq", b.and_(width, b.i64(blk.lanes - 1)), b.i64(0))
        whole = b.and_(whole, even)
    panel = at(b, right, (start, block["b_step"]), element=blk.storage)
    first = at(b, c, (start, block["c_col"]), element=blk.storage)
    with b.loop(b.i64(0), block["rows"], blk.rows, [a, first]) as i:
        left, place = i.carry
        height = minimum(b, b.sub(block["rows"], i.index), b.i64(blk.rows))
        depth, pitch = block["depth"], block["c_row"]
        with b.when(b.icmp("sgt", depth, b.i64(SHORT))):
            _fetch(b, blk, place, pitch)
        to = b.select(whole, place, b.gep("i8", block["room"], blk.tile_at))
        values = [depth, left, block["a_row"], block["a_col"], height, panel, block["b_row"], width]
        values += [to, b.select(whole, pitch, b.i64(blk.width))]
        values.append(b.and_(whole, block.holds("accumulate")))
        b.do(f"call void {kernel.ref}({', '.join(map(str, values))})")
        with b.when(b.not_(whole)):
            b.call(edge, "void", [block.place, place, i.index, start, height, width])
        steps = (block["a_row"], block["c_row"])
        i.next = [
            at(b, x, (blk.rows, step), element=blk.storage)
            for x, step in zip(i.carry, steps, strict=True)
        ]


def _emit_edge(module: Module, blk: Blocking) -> str:
    """Emit ``void (block, place, row, col, height, width)``: a tile that must not go to C as it is.

    It is element (``row``, ``col``) of the block and belongs at ``place``.
    """
    name = f"matmul.{blk.scalar}.edge"
    signature = [("ptr", "block"), ("ptr", "place"), ("i64", "row"), ("i64", "col")]
    signature += [("i64", "height"), ("i64", "width")]
    b = Builder(module, name, "void", signature, linkage="internal", attributes=INTERNAL)
    block, (place, row, col, height, width) = Block(b, b.args[0]), b.args[1:]
    tile = [b.gep("i8", block["room"], blk.tile_at), b.i64(blk.width)]
    origin = [b.add(block["row0"], row), b.add(block["col0"], col)]
    flags = [block.holds("accumulate"), block.holds("last")]
    strides = [block["c_row"], block["c_col"]]
    call_finish(
        b,
        block["finish"],
        [block["args"], *tile, place, *strides, height, width, *origin, *flags],
    )
    b.ret()
    return name


def _columns(b: Builder, blk: Blocking, block: Block, index: Value) -> tuple[Value, Value]:
    """Where the tile of the block of columns at ``index`` begins, and how wide it is.

    The last four vectors are two and two, not three and one, where B is read as it lies: a tile one
    vector wide waits for its sums.
    """
    width, cols = b.i64(blk.width), block["cols"]
    left = b.sub(cols, index)
    if blk.vectors != 3:
        return index, minimum(b, left, width)
    four, two = b.i64(4 * blk.lanes), b.i64(2 * blk.lanes)
    in_place = b.icmp("eq", block["b_step"], b.i64(1))
    several = b.and_(in_place, b.icmp("sge", index, width))
    last = b.and_(several, b.icmp("sle", left, b.i64(blk.lanes)))
    begun = b.and_(b.icmp("sgt", left, width), b.icmp("sle", left, four))
    start = b.select(last, b.sub(index, b.i64(blk.lanes)), index)
    most = b.select(b.and_(in_place, begun), two, width)
    return start, minimum(b, b.sub(cols, start), most)


def _fetch(b: Builder, blk: Blocking, place: Value, pitch: Value) -> None:
    """Prefetch a register tile's place in C; past its edges that does no harm."""
    with b.loop(b.i64(0), b.i64(blk.rows), 1, [place]) as row:
        for j in range(blk.vectors):
            prefetch(b, b.gep(blk.storage, row.carry[0], j * blk.lanes), write=True)
        row.next.append(b.gep(blk.storage, row.carry[0], pitch))


def _chosen(b: Builder, blk: Blocking, micro: list[str], width: Value) -> Value:
    """The narrowest micro-kernel that covers ``width`` columns."""
    kernel = Value(f"@{micro[-1]}", "ptr")
    for vectors in range(len(micro) - 1, 0, -1):
        fits = b.icmp("sle", width, b.i64(vectors * blk.lanes))
        kernel = b.select(fits, Value(f"@{micro[vectors - 1]}", "ptr"), kernel)
    return kernel
