"""What a compiled program is to the call entry: plain data, interpreted by machine code.

Everything a call needs to know about sizes lives in *slots*, one int64 array per program. Input
extents are written there, a tiny bytecode (``size_code``) computes the rest (byte offsets, counts,
loop bounds), and steps, outputs and checks name slots by their index.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from symgraph.cell import SharedCell

__all__ = [
    "Base",
    "BaseKind",
    "Code",
    "Commit",
    "Form",
    "InputSpec",
    "OutputSpec",
    "Pointer",
    "Program",
    "Resize",
    "Size",
    "SizeOp",
    "Step",
]

BaseKind = Literal["arena", "error", "slots", "constant", "input", "output", "shared"]
Form = Literal["one", "list", "tuple", "dict", "none"]
Code = tuple[int, int, int, int]


class SizeOp(enum.IntEnum):
    """Operations of the size bytecode; a row is ``(op, dst, a, b)``, all three of them slots.

    Sums and products that leave 64 bits make the call raise OverflowError; dividing by zero
    gives 0 (guard it by a check where it matters).
    """

    MOVE = 0  # dst = a (b is ignored)
    ADD = 1  # dst = a + b
    SUB = 2  # dst = a - b
    MUL = 3  # dst = a * b
    FLOORDIV = 4  # dst = a // b, rounding down as Python does
    MOD = 5  # dst = a % b, with the sign of b as in Python
    MIN = 6  # dst = min(a, b)
    MAX = 7  # dst = max(a, b)
    ALIGN64 = 8  # dst = a rounded up to a multiple of 64 (b is ignored)
    MULADD = 9  # dst += a * b


@dataclass(frozen=True, slots=True)
class Base:
    """A block of memory known by number; ``index`` counts within a kind."""

    kind: BaseKind
    index: int = 0


@dataclass(frozen=True, slots=True)
class Pointer:
    """An address: a base plus the byte offset that slot ``offset`` holds.

    Where several threads share out one step, each has memory of its own behind this address: that
    of range r begins r times the bytes in slot ``stride`` further on (None: all have the same).
    """

    base: Base
    offset: int
    stride: int | None = None


@dataclass(frozen=True, slots=True)
class Size:
    """The value of a slot, passed to a kernel as an int64."""

    slot: int


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input: ``dims[k]`` is the slot that the extent of axis ``k`` is written to.

    Every axis of every input has a slot of its own, which no size code writes.
    """

    name: str
    dtype: np.dtype[Any]
    dims: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output, a fresh C-contiguous array per call whose extents are the slots ``dims``.

    With ``late`` it is allocated after all steps and filled from that address; without, steps write
    into it through ``Base("output", index)``; no resize may then change its extents. Slot ``bytes``
    holds its size (None: not told); a large one is kept, and used again once nobody else sees it.
    """

    dtype: np.dtype[Any]
    dims: tuple[int, ...]
    late: Pointer | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A call ``int64 kernel(int64 *args, int64 begin, int64 end)`` at ``address``.

    Slot ``units`` holds how many units of work there are (None: one), slot ``work`` about how many
    scalar operations that is (None: few). Any status but 0 stops the program.
    """

    address: int
    args: tuple[Pointer | Size, ...]
    label: str
    units: int | None = None
    work: int | None = None


@dataclass(frozen=True, slots=True)
class Resize:
    """Read a data-dependent extent: ``slot = *(int64 *)source``, then size code and checks again.

    Every call begins with ``slot`` at its initial value; no size code may write it. The arena must
    have been planned for the largest extent: it does not grow here.
    """

    slot: int
    source: Pointer


@dataclass(frozen=True, slots=True)
class Commit:
    """Copy ``bytes_slot`` bytes from ``source`` to a shared variable after all else has succeeded.

    Commits run in order: one that reads another shared variable sees what came before it.
    """

    cell_index: int
    source: Pointer
    bytes_slot: int


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A table of kernel calls with everything around it: sizes, checks, memory and results.

    ``initial`` holds one value per slot. ``checks`` are pairs of slots that must be equal and
    ``nonnegative`` slots that must be at least 0, both after size code. ``arena_slot`` holds the
    arena's size in bytes (None: no arena). ``keys`` names the outputs where ``form`` is "dict";
    "one" has exactly one output and "none" has no output. ``updated`` are the shared variables, by
    index, that steps change (those of ``commits`` need not be named); ``threads`` is how many
    threads may share out a step. ``code`` owns the machine code of the steps.
    """

    initial: tuple[int, ...]
    inputs: tuple[InputSpec, ...] = ()
    outputs: tuple[OutputSpec, ...] = ()
    steps: tuple[Step | Resize, ...] = ()
    size_code: tuple[Code, ...] = ()
    checks: tuple[tuple[int, int], ...] = ()
    nonnegative: tuple[int, ...] = ()
    arena_slot: int | None = None
    constants: tuple[np.ndarray[Any, Any], ...] = ()
    shared: tuple[SharedCell, ...] = ()
    commits: tuple[Commit, ...] = ()
    form: Form = "one"
    keys: tuple[str, ...] = ()
    updated: tuple[int, ...] = ()
    threads: int = 1
    code: tuple[object, ...] = ()
