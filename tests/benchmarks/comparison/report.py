"""The table in markdown, the machine it was measured on, and everything that went wrong."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from comparison.library import OTHERS, TITLES
from comparison.measure import Cell, Row

__all__ = ["machine", "remarks", "seconds", "table"]

UNITS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))


def seconds(t: float) -> str:
    """A time in three digits and a readable unit.

    >>> seconds(0.0012345), seconds(2.5e-8)
    ('1.23 ms', '25 ns')
    """
    for unit, scale in UNITS:
        if t >= 0.9995 * scale or unit == "ns":
            shown = t / scale
            return (
                f"{shown:.0f} {unit}" if unit == "ns" or shown >= 99.95 else f"{shown:.3g} {unit}"
            )
    raise AssertionError("the last unit takes all")


def cell_text(cell: Cell) -> str:
    """A time, with a mark where the result is wrong; a word where there is none."""
    if cell.median is None:
        return "failed" if cell.failed and not cell.left_out else ""
    return f"{seconds(cell.median)} WRONG" if cell.wrong else seconds(cell.median)


def right(row: Row, names: Iterable[str]) -> dict[str, float]:
    """The medians of those libraries whose results are right."""
    cells = {n: row.cells[n] for n in names if n in row.cells}
    return {n: c.median for n, c in cells.items() if c.median is not None and not c.wrong}


def other_text(row: Row) -> str:
    """The fastest of the libraries that share a column, and its name."""
    found = right(row, OTHERS)
    best = min(found, key=lambda n: found[n], default="")
    return f"{seconds(found[best])} {TITLES[best]}" if best else ""


def ratio(row: Row) -> str:
    """symgraph's time over the best peer's among right results, and which peer that is."""
    own = row.cells.get("symgraph")
    peers = right(row, (n for n in row.cells if n != "symgraph"))
    if own is None or own.median is None:
        return ""
    if not peers:
        return "no peer is right" if any(c.wrong for c in row.cells.values()) else ""
    best = min(peers, key=lambda name: peers[name])
    return f"{own.median / peers[best]:.2f} ({TITLES[best]})"


def table(rows: Sequence[Row], names: Sequence[str]) -> str:
    """The rows in markdown: a column per library, one for the fastest of the others, the ratio."""
    main = [n for n in names if n not in OTHERS]
    some = len(main) < len(names)
    lines = [
        ["case", *(TITLES[n] for n in main), *["fastest other"] * some, "symgraph / best peer"]
    ]
    lines += [
        [
            row.name,
            *(cell_text(row.cells.get(n, Cell())) for n in main),
            *[other_text(row)] * some,
            ratio(row),
        ]
        for row in rows
    ]
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    lines.insert(1, ["-" * w for w in widths])
    return "\n".join(
        "| " + " | ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def remarks(rows: Sequence[Row]) -> list[str]:
    """Every wrong result and every failure, a line each."""
    out = []
    for row in rows:
        for name, cell in row.cells.items():
            if cell.wrong:
                out.append(f"{row.name}, {TITLES[name]}: wrong result ({cell.wrong})")
            if cell.failed and not cell.left_out:
                out.append(f"{row.name}, {TITLES[name]}: {cell.failed}")
    return out


def processor() -> str:
    """The CPU's name, its vector extension and the number of cores."""
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.is_file() else ""
    fields = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    known = {k.strip(): v.strip() for k, v in fields.items()}
    name = known.get("model name") or platform.processor() or platform.machine()
    flags = known.get("flags", "").split()
    vectors = next((v for f, v in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if f in flags), "")
    return ", ".join(p for p in (name, vectors, f"{os.cpu_count()} cores") if p)


def machine(about: Mapping[str, Mapping[str, Any]]) -> str:
    """What the numbers were measured on: processor, system, load, versions; always one thread."""
    versions = ", ".join(
        f"{TITLES[n]} {a.get('version', 'not loaded: ' + str(a.get('failed')))}"
        for n, a in about.items()
    )
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return (
        f"{processor()}; {platform.system()}, Python {platform.python_version()}; "
        f"one thread on one core; load average at the end {load}.\n{versions}."
    )
