"""What a program needs beyond its own slots to share out its work: sums and offsets.

The slots made here follow the program's own; their size code follows the program's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .program import Code, Pointer, Program, Resize, SizeOp, Step

__all__ = ["SHARED_WORK", "Ranges", "long_work", "plan_ranges"]

# an operation takes 0.003 ns (elementary functions, float32) to 0.02 ns (memory, float64)
LONG_WORK = 1 << 23  # operations of a call that lets the GIL go: 25 to 170 us
MOST_WORK = 1 << 62  # it is added up in 64 bits
SHARED_WORK = 1 << 20  # operations of a range that is worth waking a worker for: 3 to 20 us


@dataclass(slots=True)
class Ranges:
    """Further slots: ``work`` is the sum over all steps, ``offsets`` where a range's memory is.

    ``fixed`` are the slots that hold their initial value for ever, with that value.
    """

    first: int
    fixed: dict[int, int]
    work: int = 0
    initial: list[int] = field(default_factory=list)
    code: list[Code] = field(default_factory=list)
    offsets: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    shared: set[int] = field(default_factory=set)

    def emit(self, op: SizeOp, a: int, b: int) -> int:
        """A slot computed from two others."""
        self.initial.append(0)
        slot = self.first + len(self.initial) - 1
        self.code.append((int(op), slot, a, b))
        return slot

    def offset(self, pointer: Pointer, number: int) -> int:
        """The slot of the offset that range ``number`` uses."""
        if pointer.stride is None:
            return pointer.offset
        known = self.offsets.setdefault((pointer.offset, pointer.stride), [pointer.offset])
        while len(known) <= number:
            known.append(self.emit(SizeOp.ADD, known[-1], pointer.stride))
        return known[number]


def long_work(threads: int) -> int:
    """More operations than these and a call lets the GIL go; work is shared out only then."""
    return LONG_WORK if threads == 1 else 2 * SHARED_WORK - 1


def plan_ranges(program: Program) -> Ranges:
    """The slots, size code and steps (by index) that sharing out the work of ``program`` takes."""
    fixed = _unwritten(program)
    ranges = Ranges(len(program.initial), fixed)
    works = [s.work for s in program.steps if isinstance(s, Step) and s.work is not None]
    known = sum(fixed.get(slot, 0) for slot in works)
    ranges.initial.append(min(known, MOST_WORK))
    ranges.work = ranges.first
    for slot in works:
        if slot not in fixed:
            ranges.work = ranges.emit(SizeOp.ADD, ranges.work, slot)
    if program.threads == 1:
        return ranges
    for index, step in enumerate(program.steps):
        if not isinstance(step, Step) or step.work is None or step.units is None:
            continue
        if fixed.get(step.units, 2) <= 1:
            continue
        ranges.shared.add(index)
        for arg in step.args:
            if isinstance(arg, Pointer):
                ranges.offset(arg, program.threads - 1)
    return ranges


def _unwritten(program: Program) -> dict[int, int]:
    """The slots that hold their initial value for ever, with that value."""
    written = {target for _, target, _, _ in program.size_code}
    written |= {slot for spec in program.inputs for slot in spec.dims}
    written |= {step.slot for step in program.steps if isinstance(step, Resize)}
    return {slot: value for slot, value in enumerate(program.initial) if slot not in written}
