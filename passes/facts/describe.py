"""The facts about a value in a few words, for prints."""

from __future__ import annotations

from symgraph.passes.facts.known import INF, Known, limits_of
from symgraph.types import DType

__all__ = ["range_text"]


def _number(v: float) -> str:
    if v in (INF, -INF):
        return "inf" if v > 0 else "-inf"
    return str(int(v)) if v == int(v) and abs(v) < 1e15 else f"{v:.4g}"


def range_text(k: Known, dtype: DType) -> list[str]:
    """The words for the range, the zeros and the integers of a value."""
    words: list[str] = []
    whole = (k.lo, k.hi) == limits_of(dtype)
    if dtype.kind == "b":
        return [] if whole else ["true" if k.lo else "false"]
    if k.lo == k.hi:
        words.append(f"equal to {_number(k.lo)}")
    elif not whole and k.hi < limits_of(dtype)[1]:
        words.append(_bounded(k, dtype))
    elif k.lo > 1e-30:
        words.append(f"at least {_number(k.lo)}")
    elif k.positive:
        words.append("positive")
    elif k.lo == 0 and dtype.kind != "u":
        words.append("nonnegative")
    elif not whole:
        words.append(f"at least {_number(k.lo)}")
    elif k.nonzero:
        words.append("nonzero")
    if k.integral and dtype.kind == "f":
        words.append("integer")
    return words


def _bounded(k: Known, dtype: DType) -> str:
    if k.lo == limits_of(dtype)[0]:
        return f"at most {_number(k.hi)}"
    return f"in [{_number(k.lo)}, {_number(k.hi)}]"
