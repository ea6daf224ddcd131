"""Where squares of floating-point numbers are safe."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SQUARES", "Ranges"]


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """Powers of two between which squares and their sums are safe, and how to get there.

    A sum of squares outside ``lowest`` to ``highest`` is taken again of values times ``up`` or
    ``down``.
    """

    lowest: float
    highest: float
    up: float
    down: float


#: by the size of a floating-point type in bytes
SQUARES = {
    4: Ranges(2.0**-80, 2.0**100, 2.0**100, 2.0**-90),
    8: Ranges(2.0**-700, 2.0**900, 2.0**600, 2.0**-600),
}
