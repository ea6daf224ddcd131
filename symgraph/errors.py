"""The errors symgraph raises: one base class, leaves that are also the builtin a caller expects."""

from __future__ import annotations

__all__ = [
    "DTypeError",
    "GradientError",
    "GraphError",
    "IndexRangeError",
    "NonFiniteError",
    "ShapeError",
    "SymgraphError",
    "UnsupportedError",
    "UsageError",
]


class SymgraphError(Exception):
    """Base of all errors raised on purpose by symgraph."""


class ShapeError(SymgraphError, ValueError):
    """Ranks, axes or sizes do not fit."""


class DTypeError(SymgraphError, TypeError):
    """An element type does not fit, or cannot be converted without losing values."""


class IndexRangeError(SymgraphError, IndexError):
    """An index lies outside its axis."""


class GradientError(SymgraphError, ValueError):
    """A derivative was asked for that does not exist or is not connected."""


class GraphError(SymgraphError, ValueError):
    """A graph, pass or rule broke an invariant."""


class UsageError(SymgraphError, TypeError):
    """A call does not fit the signature of a function or a symbolic value was used as a number."""


class UnsupportedError(SymgraphError, TypeError):
    """An operation that is not available here; the message says what to use instead."""


class NonFiniteError(SymgraphError, FloatingPointError):
    """A NaN or infinity appeared while ``check_finite=True``."""
