"""Building blocks: IEEE vectors written as arithmetic, and the exact bit work under them.

A ``Real`` is a float32 or float64 value (scalar or vector) with a builder behind it, so that the
mathematics reads as mathematics and each operator appends one instruction.

The rule of this package on fused multiply-add: ``+ - *`` round each time and are used wherever an
error term depends on it; ``mad`` (``llvm.fmuladd``) may or may not fuse, and is used only where
both give the stated accuracy, or where the module says that its target fuses (``fuses``).
``llvm.fma`` itself is never used: without the instruction it is a slow call into libm. Exact
products come there from factors cut short with ``high``, which costs one integer ``and``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from symgraph.backends.llvm.builder import Builder, Value, lanes_of, scalar_of, vector_type

__all__ = [
    "FORMATS",
    "Format",
    "Ints",
    "Mask",
    "Real",
    "by_pieces",
    "fast_two_sum",
    "power_of_two",
    "quotient",
    "round_to_int",
    "scale",
    "split_product",
    "two_sum",
    "via_double",
    "where",
]


@dataclass(frozen=True, slots=True)
class Format:
    """An IEEE binary format: stored fraction bits, exponent bias, the integer of equal size."""

    integer: str
    bits: int
    fraction: int
    bias: int

    @property
    def magic(self) -> float:
        """Adding it rounds to an integer, which then stands in the low bits."""
        return float(1.5 * 2**self.fraction)

    @property
    def magic_bits(self) -> int:
        return ((self.bias + self.fraction) << self.fraction) + (1 << (self.fraction - 1))

    @property
    def tiny(self) -> float:
        """The smallest normal number."""
        return float(2.0 ** (1 - self.bias))

    @property
    def one_bits(self) -> int:
        return self.bias << self.fraction


FORMATS = {"float": Format("i32", 32, 23, 127), "double": Format("i64", 64, 52, 1023)}


@dataclass(frozen=True, slots=True)
class Mask:
    """One truth value per lane."""

    b: Builder
    value: Value

    def __and__(self, other: Mask) -> Mask:
        return Mask(self.b, self.b.and_(self.value, other.value))

    def __or__(self, other: Mask) -> Mask:
        return Mask(self.b, self.b.or_(self.value, other.value))

    def __invert__(self) -> Mask:
        return Mask(self.b, self.b.not_(self.value))

    def any(self) -> Value:
        """An ``i1``: does one lane hold?"""
        lanes = lanes_of(self.value.type)
        if lanes == 1:
            return self.value
        name = f"llvm.vector.reduce.or.v{lanes}i1"
        return self.b.call(name, "i1", [self.value])


@dataclass(frozen=True, slots=True)
class Ints:
    """Integers as wide as the floats they were made from; arithmetic wraps."""

    b: Builder
    value: Value

    @property
    def width(self) -> int:
        """The bits of a lane."""
        return int(scalar_of(self.value.type)[1:])

    def _other(self, other: Ints | int) -> Value:
        return other.value if isinstance(other, Ints) else self.b.const(self.value.type, other)

    def _new(self, op: str, other: Ints | int) -> Ints:
        return Ints(self.b, self.b.binary(op, self.value, self._other(other)))

    def __add__(self, other: Ints | int) -> Ints:
        return self._new("add", other)

    def __sub__(self, other: Ints | int) -> Ints:
        return self._new("sub", other)

    def __mul__(self, other: Ints | int) -> Ints:
        return self._new("mul", other)

    def __and__(self, other: Ints | int) -> Ints:
        return self._new("and", other)

    def __or__(self, other: Ints | int) -> Ints:
        return self._new("or", other)

    def __xor__(self, other: Ints | int) -> Ints:
        return self._new("xor", other)

    def __lshift__(self, count: int) -> Ints:
        return self._new("shl", count)

    def __rshift__(self, count: int) -> Ints:
        """Logical: zeros come in at the top."""
        return self._new("lshr", count)

    def is_zero(self) -> Mask:
        return Mask(self.b, self.b.icmp("eq", self.value, self.b.const(self.value.type, 0)))

    def real(self) -> Real:
        """The floats with these bits."""
        scalar = "float" if scalar_of(self.value.type) == "i32" else "double"
        return Real(self.b, self.b.cast("bitcast", self.value, scalar))


@dataclass(frozen=True, slots=True)
class Real:
    """Floats of one format, one or many lanes."""

    b: Builder
    value: Value

    # ---- what it is ----

    @property
    def scalar(self) -> str:
        return scalar_of(self.value.type)

    @property
    def double(self) -> bool:
        return self.scalar == "double"

    @property
    def format(self) -> Format:
        return FORMATS[self.scalar]

    @property
    def width(self) -> int:
        """The bits of a lane."""
        return self.format.bits

    def const(self, value: float) -> Real:
        return Real(self.b, self.b.const(self.value.type, value))

    def ints(self, value: int) -> Ints:
        type_ = vector_type(self.format.integer, lanes_of(self.value.type))
        return Ints(self.b, self.b.const(type_, value))

    @property
    def fuses(self) -> bool:
        """Does ``mad`` round only once, for certain?"""
        return "fma" in self.b.module.features

    # ---- arithmetic, rounded once per operator ----

    def _other(self, other: Real | float) -> Value:
        return other.value if isinstance(other, Real) else self.b.const(self.value.type, other)

    def _new(self, op: str, other: Real | float) -> Real:
        return Real(self.b, self.b.binary(op, self.value, self._other(other)))

    def __add__(self, other: Real | float) -> Real:
        return self._new("fadd", other)

    def __sub__(self, other: Real | float) -> Real:
        return self._new("fsub", other)

    def __mul__(self, other: Real | float) -> Real:
        return self._new("fmul", other)

    def __truediv__(self, other: Real | float) -> Real:
        return self._new("fdiv", other)

    def __radd__(self, other: float) -> Real:
        return self.const(other) + self

    def __rsub__(self, other: float) -> Real:
        return self.const(other) - self

    def __rmul__(self, other: float) -> Real:
        return self * other

    def __rtruediv__(self, other: float) -> Real:
        return self.const(other) / self

    def __neg__(self) -> Real:
        return Real(self.b, self.b.fneg(self.value))

    def mad(self, times: Real | float, plus: Real | float) -> Real:
        """``self * times + plus``, rounded once or twice as the target likes."""
        args = (self.value, self._other(times), self._other(plus))
        return Real(self.b, self.b.intrinsic("llvm.fmuladd", *args))

    def sqrt(self) -> Real:
        return Real(self.b, self.b.intrinsic("llvm.sqrt", self.value))

    def abs(self) -> Real:
        return Real(self.b, self.b.intrinsic("llvm.fabs", self.value))

    def copysign(self, sign: Real) -> Real:
        return Real(self.b, self.b.intrinsic("llvm.copysign", self.value, sign.value))

    def copysign_of_one(self) -> Real:
        """1 or -1, by the sign bit."""
        return self.const(1.0).copysign(self)

    def poly(
        self, coefficients: Sequence[float] | Sequence[Real], square: Real | None = None
    ) -> Real:
        """``c[0] + c[1] x + c[2] x**2 + ...``: Estrin's scheme for short dependency chains, but the
        constant term last, so that only one rounding has its full size. ``square`` is ``x**2``
        where the caller has it."""
        terms = [c if isinstance(c, Real) else self.const(c) for c in coefficients[1:]]
        power = self
        while len(terms) > 1:
            paired = [power.mad(hi, lo) for lo, hi in zip(terms[::2], terms[1::2], strict=False)]
            terms = paired + terms[len(paired) * 2 :]
            if len(terms) > 1:
                power, square = square or power * power, None
        return self.mad(terms[0], coefficients[0])

    # ---- comparison: false where an operand is NaN ----

    def _compare(self, predicate: str, other: Real | float) -> Mask:
        return Mask(self.b, self.b.fcmp(predicate, self.value, self._other(other)))

    def __lt__(self, other: Real | float) -> Mask:
        return self._compare("olt", other)

    def __le__(self, other: Real | float) -> Mask:
        return self._compare("ole", other)

    def __gt__(self, other: Real | float) -> Mask:
        return self._compare("ogt", other)

    def __ge__(self, other: Real | float) -> Mask:
        return self._compare("oge", other)

    def equals(self, other: Real | float) -> Mask:
        return self._compare("oeq", other)

    def is_nan(self) -> Mask:
        return self._compare("uno", self)

    def clamp(self, low: float, high: float) -> Real:
        """Into ``[low, high]``; NaN stays NaN."""
        return self.at_most(high).at_least(low)

    def at_least(self, low: float) -> Real:
        return self._extreme("max", "ogt", low)

    def at_most(self, high: float) -> Real:
        return self._extreme("min", "olt", high)

    def _extreme(self, stem: str, predicate: str, bound: float) -> Real:
        """One line of IR where the instruction of AVX-512 fits; NaN stays NaN."""
        b, limit, lanes = self.b, self.const(bound), lanes_of(self.value.type)
        if lanes * self.width != 512 or "avx512f" not in b.module.features:
            return where(limit._compare(predicate, self), limit, self)
        name = f"llvm.x86.avx512.{stem}.{'pd' if self.double else 'ps'}.512"
        args = [limit.value, self.value, Value("4", "i32")]  # 4: the current rounding
        return Real(b, b.call(name, self.value.type, args))

    # ---- bits and formats ----

    def bits(self) -> Ints:
        return Ints(self.b, self.b.cast("bitcast", self.value, self.format.integer))

    def high(self) -> Real:
        """The leading half of the significand (12 or 26 bits): products of two such are exact."""
        cut = self.format.fraction + 1 - (12 if self.format.bits == 32 else 26)
        return (self.bits() & -(1 << cut)).real()

    def widen(self) -> Real:
        """float32 to float64, exactly."""
        return Real(self.b, self.b.cast("fpext", self.value, "double"))

    def narrow(self) -> Real:
        """float64 to float32, rounded once (underflow is gradual, overflow is infinite)."""
        return Real(self.b, self.b.cast("fptrunc", self.value, "float"))


def where(mask: Mask, yes: Real, no: Real | float) -> Real:
    """Lane by lane ``yes`` or ``no``."""
    return Real(mask.b, mask.b.select(mask.value, yes.value, yes._other(no)))


def by_pieces(
    like: Real | Ints, function: Callable[..., Value], native: int, *values: Value
) -> Real:
    """``function`` over vectors of several lanes, applied to ``native`` of them at a time."""
    b, lanes, pieces = like.b, lanes_of(like.value.type), []
    for start in range(0, lanes, native):
        chosen = [(start + k) % lanes for k in range(native)]  # LLVM 22 mistakes 0, 1, 1, ...
        pieces.append(function(*[b.shuffle(v, None, chosen) for v in values]))
    while len(pieces) > 1:
        joined = list(range(2 * lanes_of(pieces[0].type)))
        pairs = zip(pieces[::2], pieces[1::2], strict=True)
        pieces = [b.shuffle(one, two, joined) for one, two in pairs]
    whole = pieces[0]
    return Real(b, b.shuffle(whole, None, range(lanes)) if lanes < lanes_of(whole.type) else whole)


def two_sum(a: Real, b: Real) -> tuple[Real, Real]:
    """``a + b`` rounded, and the exact error of that rounding (Knuth; any order of sizes)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def fast_two_sum(a: Real, b: Real) -> tuple[Real, Real]:
    """As ``two_sum`` where ``a`` is zero or at least as large as ``b`` in magnitude (Dekker)."""
    total = a + b
    return total, b - (total - a)


def split_product(a: Real, b: Real) -> tuple[Real, Real]:
    """``a * b`` as its leading part and the rest, to at least 3/2 of the precision."""
    if a.fuses:
        product = a * b
        return product, a.mad(b, -product)
    a_high, b_high = a.high(), b.high()
    return a_high * b_high, a_high.mad(b - b_high, (a - a_high) * b)


def round_to_int(x: Real) -> tuple[Real, Ints]:
    """The nearest integer as a float, and its two's complement in the low bits of the second value.

    For ``|x| < 2**22`` (float32) or ``2**51`` (float64); only the bits below the fraction's top two
    are meaningful, which is all that a shift into the exponent or a test of the lowest bits reads.
    """
    shifted = x + x.format.magic
    return shifted - x.format.magic, shifted.bits()


def power_of_two(k: Ints, like: Real) -> Real:
    """``2**k`` for ``k`` in the normal exponent range; the upper bits of ``k`` are ignored."""
    return ((k << like.format.fraction) + like.format.one_bits).real()


def scale(x: Real, k: Ints) -> Real:
    """``x * 2**k`` for a signed ``|k|`` up to twice the exponent range, rounded once."""
    shift = 4 * x.format.bias + 4
    half = ((k + shift) >> 1) - shift // 2
    return x * power_of_two(half, x) * power_of_two(k - half, x)


def quotient(n: Real, n_low: Real, d: Real, d_low: Real) -> Real:
    """``(n + n_low) / (d + d_low)`` with an error just over half an ulp, by one division.

    A first quotient of half the bits leaves an exact remainder where no fused operation does.
    """
    inverse = 1.0 / d
    if n.fuses:
        first = n * inverse
        remainder = (-first).mad(d, n) + (-first).mad(d_low, n_low)
        return remainder.mad(inverse, first)
    first = (n * inverse).high()
    d_high = d.high()
    remainder = ((n - first * d_high) - first * (d - d_high)) + (n_low - first * d_low)
    return remainder.mad(inverse, first)


def via_double(function: Callable[[Real, str], Real]) -> Callable[[Real], Real]:
    """A function of either format from one over float64 that takes the wanted grade.

    The grade ``"double"`` means the full float64 accuracy, ``"single"`` that the result is going to
    be rounded to float32, for which short polynomials suffice.
    """

    def either(x: Real) -> Real:
        return function(x, "double") if x.double else function(x.widen(), "single").narrow()

    return either
