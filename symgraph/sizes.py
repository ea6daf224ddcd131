"""Symbolic sizes: integer polynomials over size symbols, in normal form when they are made.

A *dim* is an ``int`` or a :class:`Size`. Equal sizes are equal values, so types can be compared
with ``==``. Everything that is not a polynomial (floor division, minimum, maximum, a count known
only at run time) is an opaque atom of one.

>>> n, m = symbol("n"), symbol("m")
>>> (n + 1) * (n - 1), n - n, 2 * n == n + n
(n**2 - 1, 0, True)
>>> maximum(n - 1, 0), (2 * n) // 2
(max(n - 1, 0), n)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from symgraph.errors import ShapeError, UsageError

__all__ = [
    "Atom",
    "Dim",
    "Size",
    "SizeTuple",
    "count_symbol",
    "differ",
    "evaluate",
    "fresh",
    "is_one",
    "lone_atom",
    "maximum",
    "minimum",
    "product",
    "symbol",
    "symbols_of",
]


@dataclass(frozen=True, slots=True)
class Atom:
    """An indivisible factor: a symbol (``kind == "symbol"``), a count, or an opaque operation."""

    kind: str
    name: str
    args: tuple[Dim, ...] = ()

    def __str__(self) -> str:
        if self.kind in ("symbol", "count"):
            return self.name
        if self.kind == "floordiv":
            return f"({_operand(self.args[0])}//{_operand(self.args[1])})"
        return f"{self.kind}({', '.join(map(str, self.args))})"


Monomial = tuple[tuple[Atom, int], ...]


class Size:
    """An integer polynomial that is not a constant. Immutable; compares and hashes by value."""

    __slots__ = ("_hash", "_text", "counts", "terms")

    #: Turns a size into a tensor of the graph where it meets one; set by the tensor layer.
    to_value: Callable[[Size], Any]

    def __init__(self, terms: tuple[tuple[Monomial, int], ...]) -> None:
        self.terms = terms
        self._hash = hash(terms)
        self._text = ""
        #: the counts it depends on: sizes that a node of the graph finds out while it runs
        self.counts: frozenset[Atom] = _counts(terms)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Size) and self._hash == other._hash and self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        if not self._text:
            self._text = _spell(self.terms)
        return self._text

    __repr__ = __str__

    def __bool__(self) -> bool:
        raise TypeError(
            f"the truth of the size {self} is not known before the call; compare in the graph"
        )

    def __index__(self) -> int:
        raise TypeError(
            f"the size {self} is only known when the function is called; pass it on as a size, "
            "or declare the axis with an int"
        )

    def _combine(self, other: Dim, sign: int) -> Dim:
        terms = other.terms if isinstance(other, Size) else (((), other),)
        total = dict(self.terms)
        for monomial, c in terms:
            total[monomial] = total.get(monomial, 0) + sign * c
        return _normal(total)

    def _as_value(self, other: object, method: str) -> Any:
        """Arithmetic with a Python float leaves the sizes: the result is a value of the graph."""
        if isinstance(other, float):
            return getattr(Size.to_value(self), method)(other)
        return NotImplemented

    def __add__(self, other: Dim) -> Dim:
        return self._combine(other, 1) if _is_dim(other) else self._as_value(other, "__add__")

    __radd__ = __add__

    def __sub__(self, other: Dim) -> Dim:
        return self._combine(other, -1) if _is_dim(other) else self._as_value(other, "__sub__")

    def __rsub__(self, other: Dim) -> Dim:
        return -self + other if _is_dim(other) else self._as_value(other, "__rsub__")

    def __neg__(self) -> Dim:
        return Size(tuple((m, -c) for m, c in self.terms))

    def __mul__(self, other: Dim) -> Dim:
        if type(other) is int:
            return _normal({m: c * other for m, c in self.terms})
        if not isinstance(other, Size):
            result: Dim = self._as_value(other, "__mul__")
            return result
        total: dict[Monomial, int] = {}
        for m1, c1 in self.terms:
            for m2, c2 in other.terms:
                m = _multiply(m1, m2)
                total[m] = total.get(m, 0) + c1 * c2
        return _normal(total)

    __rmul__ = __mul__

    def __floordiv__(self, other: Dim) -> Dim:
        return floordiv(self, other) if _is_dim(other) else NotImplemented

    def __rfloordiv__(self, other: Dim) -> Dim:
        return floordiv(other, self) if _is_dim(other) else NotImplemented

    def __mod__(self, other: Dim) -> Dim:
        return self - floordiv(self, other) * other if _is_dim(other) else NotImplemented

    def __rmod__(self, other: Dim) -> Dim:
        return other - floordiv(other, self) * self if _is_dim(other) else NotImplemented

    def __pow__(self, power: int) -> Dim:
        if type(power) is not int or power < 0:
            result: Dim = self._as_value(power, "__pow__")
            return result
        out: Dim = 1
        for _ in range(power):
            out = out * self
        return out

    def __truediv__(self, other: Any) -> Any:
        return Size.to_value(self) / other

    def __rtruediv__(self, other: Any) -> Any:
        return other / Size.to_value(self)


Dim = int | Size
SizeTuple = tuple[Dim, ...]


def _counts(terms: tuple[tuple[Monomial, int], ...]) -> frozenset[Atom]:
    found: set[Atom] = set()
    for monomial, _ in terms:
        for atom, _ in monomial:
            if atom.kind == "count":
                found.add(atom)
            elif atom.kind != "symbol":
                found.update(*(d.counts for d in atom.args if isinstance(d, Size)))
    return frozenset(found)


def _is_dim(x: object) -> bool:
    return type(x) is int or isinstance(x, Size)


def _key(monomial: Monomial) -> tuple[int, str]:
    return -sum(p for _, p in monomial), "*".join(f"{a}^{p}" for a, p in monomial)


def _normal(total: Mapping[Monomial, int]) -> Dim:
    terms = [(m, c) for m, c in total.items() if c]
    if not terms:
        return 0
    if len(terms) == 1 and not terms[0][0]:
        return terms[0][1]
    return Size(tuple(sorted(terms, key=lambda t: _key(t[0]))) if len(terms) > 1 else tuple(terms))


def _multiply(a: Monomial, b: Monomial) -> Monomial:
    if not a or not b:
        return a or b
    powers = dict(a)
    for atom, p in b:
        powers[atom] = powers.get(atom, 0) + p
    return tuple(sorted(powers.items(), key=lambda t: str(t[0])))


def _operand(d: Dim) -> str:
    """A dim inside a quotient, in parentheses unless it is one name or number."""
    text = str(d)
    return text if text.isidentifier() or text.isdigit() else f"({text})"


def _spell_monomial(monomial: Monomial, c: int) -> str:
    factors = [f"{a}**{p}" if p > 1 else str(a) for a, p in monomial]
    if abs(c) != 1 or not factors:
        factors.insert(0, str(abs(c)))
    return "*".join(factors)


def _spell(terms: Iterable[tuple[Monomial, int]]) -> str:
    out = ""
    for m, c in terms:
        sign = (" - " if c < 0 else " + ") if out else ("-" if c < 0 else "")
        out += sign + _spell_monomial(m, c)
    return out


def _atom(atom: Atom) -> Size:
    return Size(((((atom, 1),), 1),))


def symbol(name: str) -> Size:
    """The size called ``name``; equal names are the same size."""
    return _atom(Atom("symbol", name))


_serial = itertools.count()


def fresh() -> Size:
    """A size nobody has named; it may turn out equal to any other."""
    return _atom(Atom("symbol", f"_{next(_serial)}"))


def count_symbol(bound: Dim) -> Size:
    """A size known only while the function runs, a count of elements; at most ``bound``."""
    return _atom(Atom("count", f"_count{next(_serial)}", (bound,)))


def _constant_quotient(a: Size, b: int) -> Dim | None:
    if all(c % b == 0 for _, c in a.terms):
        return _normal({m: c // b for m, c in a.terms})
    return None


def floordiv(a: Dim, b: Dim) -> Dim:
    """``a // b``, exact where the polynomial divides."""
    if type(b) is int:
        if b == 0:
            raise ShapeError(f"size division: {a} // 0")
        if type(a) is int:
            return a // b
        assert isinstance(a, Size)
        exact = _constant_quotient(a, b)
        if exact is not None:
            return exact
    elif a == b:
        return 1
    else:
        quotient = divide_exactly(a, b)
        if quotient is not None:
            return quotient
    return _atom(Atom("floordiv", "", (a, b)))


def divide_exactly(a: Dim, b: Dim) -> Dim | None:
    """The polynomial q with q * b == a, or None. ``b`` must be a single term."""
    if type(a) is int and type(b) is int:
        return a // b if b and a % b == 0 else None
    if a == 0:
        return 0
    if type(b) is int:
        assert isinstance(a, Size)
        return _constant_quotient(a, b) if b else None
    if type(a) is int or not isinstance(b, Size) or len(b.terms) != 1:
        return 1 if a == b else None
    assert isinstance(a, Size) and isinstance(b, Size)
    (divisor, c), out = b.terms[0], dict[Monomial, int]()
    for m, k in a.terms:
        powers = dict(m)
        for atom, p in divisor:
            powers[atom] = powers.get(atom, 0) - p
        if k % c or min(powers.values(), default=0) < 0:
            return None
        out[tuple((x, p) for x, p in sorted(powers.items(), key=lambda t: str(t[0])) if p)] = k // c
    return _normal(out)


def _extreme(kind: str, a: Dim, b: Dim, pick: Callable[[int, int], int]) -> Dim:
    if type(a) is int and type(b) is int:
        return pick(a, b)
    if a == b:
        return a
    gap = a - b
    if type(gap) is int:
        return a if (gap > 0) == (kind == "max") else b
    low, high = lower_bound(gap), lower_bound(-gap)
    if low is not None and low >= 0:
        return a if kind == "max" else b
    if high is not None and high >= 0:
        return b if kind == "max" else a
    return _atom(Atom(kind, "", tuple(sorted((a, b), key=_place))))


def _place(d: Dim) -> tuple[bool, str]:
    return type(d) is int, str(d)


def lower_bound(a: Dim) -> int | None:
    """A number ``a`` is never below, as symbols are nonnegative; None where none is known."""
    if type(a) is int:
        return a
    assert isinstance(a, Size)
    total = 0
    for monomial, c in a.terms:
        low = _monomial_bound(monomial)
        if low is None or (c < 0 and monomial):
            return None
        total += c * low
    return total


def _monomial_bound(monomial: Monomial) -> int | None:
    bounds = [_atom_bound(atom) for atom, _ in monomial]
    if len(bounds) == 1 and monomial[0][1] == 1:
        return bounds[0]
    if any(b is None or b < 0 for b in bounds):
        return None  # a product of factors that may be negative has no bound of this kind
    low: int = math.prod((b or 0) ** p for b, (_, p) in zip(bounds, monomial, strict=True))
    return low


def _atom_bound(atom: Atom) -> int | None:
    if atom.kind in ("symbol", "count"):
        return 0
    divisor = atom.args[1]
    low, other = lower_bound(atom.args[0]), lower_bound(divisor)
    if atom.kind == "max":
        return max([b for b in (low, other) if b is not None], default=None)
    if low is None or other is None:
        return None
    if atom.kind == "min":
        return min(low, other)
    # A quotient: rounding is downwards, and dividing by more moves towards 0.
    if isinstance(divisor, int):
        return low // divisor if divisor > 0 else None
    return min(low, 0) if other >= 0 else None


def maximum(a: Dim, b: Dim) -> Dim:
    """The larger size."""
    return _extreme("max", a, b, max)


def minimum(a: Dim, b: Dim) -> Dim:
    """The smaller size."""
    return _extreme("min", a, b, min)


def is_one(d: Dim) -> bool:
    """Whether a size is the literal 1, the only one that broadcasts."""
    return type(d) is int and d == 1


def product(dims: Iterable[Dim]) -> Dim:
    """The number of elements of a shape."""
    out: Dim = 1
    for d in dims:
        out = out * d
    return out


def differ(a: Dim, b: Dim) -> bool:
    """Whether the two can never be equal, whatever the sizes turn out to be."""
    if type(a) is int and type(b) is int:
        return a != b
    gap = a - b
    if type(gap) is int:
        return gap != 0
    low, high = lower_bound(gap), lower_bound(-gap)
    return (low is not None and low > 0) or (high is not None and high > 0)


def atoms_of(a: Dim) -> Iterable[Atom]:
    """Every atom the dim is made of, those inside opaque atoms too."""
    if isinstance(a, Size):
        for m, _ in a.terms:
            for atom, _ in m:
                yield atom
                if atom.kind != "count":  # a count's argument is only its bound
                    for arg in atom.args:
                        yield from atoms_of(arg)


def symbols_of(a: Dim) -> set[Atom]:
    """The symbols and counts a dim depends on."""
    return {x for x in atoms_of(a) if x.kind in ("symbol", "count")}


def lone_atom(a: Dim) -> Atom | None:
    """The atom that ``a`` is, if it is nothing else."""
    if isinstance(a, Size) and len(a.terms) == 1:
        monomial, c = a.terms[0]
        if c == 1 and len(monomial) == 1 and monomial[0][1] == 1:
            return monomial[0][0]
    return None


def evaluate(a: Dim, values: Mapping[Atom, int]) -> int:
    """The number a dim stands for, given its symbols' values (keyed by :class:`Atom`)."""
    if type(a) is int:
        return a
    assert isinstance(a, Size)
    return sum(c * math.prod(_evaluate_atom(x, values) ** p for x, p in m) for m, c in a.terms)


def _evaluate_atom(atom: Atom, values: Mapping[Atom, int]) -> int:
    if atom.kind in ("symbol", "count"):
        if atom not in values:
            raise UsageError(
                f"the size {atom.name} cannot be read off the inputs; declare it as an axis of its "
                "own of some input"
            )
        return values[atom]
    args = [evaluate(x, values) for x in atom.args]
    if atom.kind == "floordiv":
        if args[1] == 0:
            raise ShapeError(
                f"size {atom}: {args[0]} elements over {args[1]} leave the size open; "
                "give the size instead of -1, or call with arrays that are not empty"
            )
        return args[0] // args[1]
    return max(args) if atom.kind == "max" else min(args)
