"""Copying a block of B into panels that the micro-kernel reads in order."""

from __future__ import annotations

from ..builder import Builder, Module, Value
from .blocking import Blocking
from .lanes import at, interleave, lane_mask, masked_load, minimum, vector

__all__ = ["emit_pack"]


def emit_pack(module: Module, blk: Blocking) -> str:
    """Emit the packing of B into panels as wide as the register tile; its name.

    ``void (source, across, along, count, depth, panels)``: item (w, k) of the source, w < ``count``
    and k < ``depth``, lies at ``w * across + k * along``; it goes to place ``k * width + w %
    width`` of panel ``w // width``, each panel ``width * depth`` long. Places past ``count`` get
    arbitrary values.
    """
    name, width = f"matmul.{blk.scalar}.pack", blk.width
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
        _pack_panel(b, blk, from_, to, valid)
    b.ret()
    return name


def _pack_panel(b: Builder, blk: Blocking, from_: Value, to: Value, valid: Value) -> None:
    """One panel: copied by vectors where columns are neighbours, else transposed or by item."""
    _, across, along, _, depth, _ = b.args
    unit = b.icmp("eq", across, b.i64(1))
    if not blk.masks:
        unit = b.and_(unit, b.icmp("eq", valid, b.i64(blk.width)))

    def copied() -> list[Value]:
        _copy_rows(b, blk, from_, to, valid)
        return []

    def gathered() -> list[Value]:
        done = b.i64(0)
        if blk.is_float:
            whole = b.and_(depth, b.i64(-blk.lanes))
            done = b.select(b.icmp("eq", along, b.i64(1)), whole, b.i64(0))
            _transpose(b, blk, from_, to, valid, done)
        with b.loop(done, depth, 1) as k, b.loop(b.i64(0), valid, 1) as w:
            item = at(b, from_, (w.index, across), (k.index, along), element=blk.storage)
            place = at(b, to, (k.index, blk.width), (w.index, 1), element=blk.storage)
            b.store(b.load(blk.storage, item), place)
        return []

    b.choose(unit, copied, gathered)


def _copy_rows(b: Builder, blk: Blocking, from_: Value, to: Value, valid: Value) -> None:
    along, depth = b.args[2], b.args[4]
    starts = range(0, blk.width, blk.lanes)
    lefts = [b.intrinsic("llvm.smax", b.sub(valid, b.i64(o)), b.i64(0)) for o in starts]
    masks = [lane_mask(b, blk, left) for left in lefts] if blk.masks else []
    with b.loop(b.i64(0), depth, 1) as k:
        row = at(b, from_, (k.index, along), element=blk.storage)
        out = at(b, to, (k.index, blk.width), element=blk.storage)
        for j, offset in enumerate(starts):
            item, place = b.gep(blk.storage, row, offset), b.gep(blk.storage, out, offset)
            if masks:
                value = masked_load(b, vector(blk), item, masks[j], blk.size)
            else:
                value = b.load(vector(blk), item, blk.size)
            b.store(value, place, blk.size)


def _transpose(
    b: Builder, blk: Blocking, from_: Value, to: Value, valid: Value, stop: Value
) -> None:
    """The items along k are neighbours in the source: a few columns transposed in registers.

    ``stop`` is a multiple of the lanes. Columns past ``valid`` repeat the last one.
    """
    across, group = b.args[1], blk.group
    last = b.sub(valid, b.i64(1))
    with b.loop(b.i64(0), valid, group) as first:
        items = [minimum(b, b.add(first.index, b.i64(i)), last) for i in range(group)]
        bases = [at(b, from_, (item, across), element=blk.storage) for item in items]
        with b.loop(b.i64(0), stop, blk.lanes) as k:
            places = [b.gep(blk.storage, base, k.index) for base in bases]
            loads = [b.load(vector(blk), place, blk.size) for place in places]
            out = at(b, to, (k.index, blk.width), (first.index, 1), element=blk.storage)
            for i, value in enumerate(interleave(b, loads, group)):
                for start in range(0, blk.lanes, group):
                    part = b.shuffle(value, None, range(start, start + group))
                    b.store(part, b.gep(blk.storage, out, (start + i) * blk.width), blk.size)
