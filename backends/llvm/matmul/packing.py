"""Copying a block of B into panels that the micro-kernel reads in order."""

from __future__ import annotations

from ..builder import Builder, Module, Value
from .blocking import Blocking
from .lanes import at, interleave, lane_mask, masked_load, minimum, prefetch, vector

__all__ = ["emit_items", "emit_pack", "emit_transposition"]

TRANSPOSED = 8  # columns at a time: fewer stores each than with 4, fewer shuffles than with 16
ROWS_AHEAD = 8  # rows lie a page or more apart, where the hardware does not fetch ahead


def emit_pack(module: Module, blk: Blocking, width: int) -> str:
    """Emit the packing into panels of ``width`` items, a multiple of the lanes; its name.

    ``void (source, across, along, count, depth, panels)``: item (w, k) of the source, w < ``count``
    and k < ``depth``, lies at ``w * across + k * along``; it goes to place ``k * width + w %
    width`` of panel ``w // width``, each panel ``width * depth`` long. Places past ``count`` get
    arbitrary values.
    """
    name = f"matmul.{blk.scalar}.pack{width}"
    if name in module.functions:
        return name
    signature = [("ptr", "source"), ("i64", "across"), ("i64", "along")]
    signature += [("i64", "count"), ("i64", "depth"), ("ptr", "panels")]
    b = Builder(module, name, "void", signature, linkage="internal", attributes="nounwind noinline")
    source, across, _, count, depth, panels = b.args
    with b.loop(b.i64(0), count, width) as panel:
        from_ = at(b, source, (panel.index, across), element=blk.storage)
        to = at(b, panels, (panel.index, depth), element=blk.storage)
        valid = minimum(b, b.sub(count, panel.index), b.i64(width))
        _pack_panel(b, blk, width, from_, to, valid)
    b.ret()
    return name


def _pack_panel(
    b: Builder, blk: Blocking, width: int, from_: Value, to: Value, valid: Value
) -> None:
    """One panel: copied by vectors where columns are neighbours, else transposed or by item."""
    _, across, along, _, depth, _ = b.args
    unit = b.icmp("eq", across, b.i64(1))
    if not blk.masks:
        unit = b.and_(unit, b.icmp("eq", valid, b.i64(width)))

    def copied() -> list[Value]:
        _copy_rows(b, blk, width, from_, to, valid)
        return []

    def gathered() -> list[Value]:
        done = b.i64(0)
        if blk.is_float:
            whole = b.and_(depth, b.i64(-blk.lanes))
            done = b.select(b.icmp("eq", along, b.i64(1)), whole, b.i64(0))
            with b.when(b.icmp("sgt", done, b.i64(0))):
                places = [from_, across, valid, done, to, b.i64(width)]
                b.call(emit_transposition(b.module, blk), "void", places)
        with b.when(b.icmp("slt", done, depth)):
            items = [from_, across, along, valid, done, depth, to, b.i64(width)]
            b.call(emit_items(b.module, blk), "void", items)
        return []

    b.choose(unit, copied, gathered)


def emit_items(module: Module, blk: Blocking) -> str:
    """Emit ``void (source, across, along, count, begin, depth, panel, width)``: k from ``begin`` on
    of one panel, item by item; its name.
    """
    name = f"matmul.{blk.scalar}.items"
    if name in module.functions:
        return name
    signature = [("ptr", "source"), ("i64", "across"), ("i64", "along"), ("i64", "count")]
    signature += [("i64", "begin"), ("i64", "depth"), ("ptr", "panel"), ("i64", "width")]
    b = Builder(module, name, "void", signature, linkage="internal", attributes="nounwind noinline")
    source, across, along, count, begin, depth, panel, width = b.args
    with b.loop(begin, depth, 1) as k:
        row = at(b, source, (k.index, along), element=blk.storage)
        out = at(b, panel, (k.index, width), element=blk.storage)
        with b.loop(b.i64(0), count, 1, [row]) as w:
            item = b.load(blk.storage, w.carry[0])
            b.store(item, b.gep(blk.storage, out, w.index))
            w.next.append(b.gep(blk.storage, w.carry[0], across))
    b.ret()
    return name


def _copy_rows(
    b: Builder, blk: Blocking, width: int, from_: Value, to: Value, valid: Value
) -> None:
    along, depth = b.args[2], b.args[4]
    starts = range(0, width, blk.lanes)
    lefts = [b.intrinsic("llvm.smax", b.sub(valid, b.i64(o)), b.i64(0)) for o in starts]
    masks = [lane_mask(b, blk, left) for left in lefts] if blk.masks else []
    with b.loop(b.i64(0), depth, 1, reduced=True) as k:
        row = at(b, from_, (k.index, along), element=blk.storage)
        out = at(b, to, (k.index, width), element=blk.storage)
        ahead = b.gep(blk.storage, row, b.mul(along, b.i64(ROWS_AHEAD)))
        for j, offset in enumerate(starts):
            item, place = b.gep(blk.storage, row, offset), b.gep(blk.storage, out, offset)
            prefetch(b, b.gep(blk.storage, ahead, offset))
            if masks:
                value = masked_load(b, vector(blk), item, masks[j], blk.size)
            else:
                value = b.load(vector(blk), item, blk.size)
            b.store(value, place, blk.size)


def emit_transposition(module: Module, blk: Blocking) -> str:
    """Emit ``void (source, across, count, depth, panel, width)``: item (w, k), w < ``count`` and k
    < ``depth``, at ``w * across + k`` goes to place ``k * width + w`` of the panel; its name.

    A few columns are transposed in registers at a time. ``depth`` is a multiple of the lanes. Past
    the last column it is repeated, up to a multiple of `TRANSPOSED`.
    """
    name = f"matmul.{blk.scalar}.turn"
    if name in module.functions:
        return name
    signature = [("ptr", "source"), ("i64", "across"), ("i64", "count"), ("i64", "depth")]
    signature += [("ptr", "panel"), ("i64", "width")]
    b = Builder(module, name, "void", signature, linkage="internal", attributes="nounwind noinline")
    from_, across, valid, stop, to, width = b.args
    group, last = min(TRANSPOSED, blk.lanes), b.sub(valid, b.i64(1))
    with b.loop(b.i64(0), valid, group, [to]) as first:
        first.next.append(b.gep(blk.storage, first.carry[0], group))
        items = [minimum(b, b.add(first.index, b.i64(i)), last) for i in range(group)]
        bases = [at(b, from_, (item, across), element=blk.storage) for item in items]
        with b.loop(b.i64(0), stop, blk.lanes, first.carry) as k:
            places = [b.gep(blk.storage, base, k.index) for base in bases]
            loads = [b.load(vector(blk), place, blk.size) for place in places]
            turned = interleave(b, loads, group)
            out = k.carry[0]
            for start in range(0, blk.lanes, group):
                for value in turned:
                    part = b.shuffle(value, None, range(start, start + group))
                    b.store(part, out, blk.size)
                    out = b.gep(blk.storage, out, width)
            k.next.append(out)
    b.ret()
    return name
