"""A small writer of LLVM IR text: values, functions, structured loops and branches.

LLVM's own parser is fast; building the text directly is several times faster than a tree of Python
objects. The writer knows no operation of the language and no kernel.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = [
    "Builder",
    "Loop",
    "Module",
    "Value",
    "kernel_function",
    "lanes_of",
    "scalar_of",
    "vector_type",
]

FLOAT_BITS = {"half": 16, "float": 32, "double": 64}


@dataclass(frozen=True, slots=True)
class Value:
    """A typed SSA value or constant: ``ref`` is its text, ``type`` an LLVM type such as ``<8 x
    double>``."""

    ref: str
    type: str

    def __str__(self) -> str:
        return f"{self.type} {self.ref}"


def vector_type(scalar: str, lanes: int) -> str:
    """The type of ``lanes`` scalars; one lane is the scalar itself."""
    return scalar if lanes == 1 else f"<{lanes} x {scalar}>"


def scalar_of(type_: str) -> str:
    """The element type of a vector type; a scalar type is its own."""
    return type_[1:-1].split(" x ")[1] if type_[0] == "<" else type_


def lanes_of(type_: str) -> int:
    """How many scalars a value of this type holds."""
    return int(type_[1:].split(" x ")[0]) if type_[0] == "<" else 1


def literal(scalar: str, value: float | int | bool) -> str:
    """The text of one scalar constant (floats by their bits, so that nothing is rounded twice)."""
    if scalar == "double":
        return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
    if scalar == "float":
        single = struct.unpack("<f", struct.pack("<f", value))[0]
        return f"0x{struct.unpack('<Q', struct.pack('<d', single))[0]:016X}"
    if scalar == "i1":
        return "true" if value else "false"
    if scalar == "ptr":
        return "null"
    return str(int(value))


def declaration(head: str) -> str:
    """The declaration that fits the first line of a function's definition."""
    signature = head[: head.rindex(")") + 1]
    plain = re.sub(r"^define (internal )?", "declare ", signature)
    return re.sub(r" %[^,)]+", "", plain)


class Module:
    """Functions, constants and declarations that become one LLVM module.

    ``features`` are those of the CPU it is for (``"+avx2,-avx512f"``); code that needs one asks
    for it by name. Without features the code is portable.
    """

    def __init__(self, features: str = "") -> None:
        self.features = frozenset(f[1:] for f in features.split(",") if f.startswith("+"))
        self.functions: dict[str, str] = {}
        self.globals: dict[str, str] = {}
        self.declarations: dict[str, str] = {}

    @property
    def size(self) -> int:
        """The characters of its functions: a measure of the work for LLVM."""
        return sum(map(len, self.functions.values()))

    def declare(self, name: str, returns: str, args: Sequence[str]) -> None:
        """Make an external function or intrinsic callable; repeated declarations are one."""
        if name not in self.functions:
            self.declarations.setdefault(name, f"declare {returns} @{name}({', '.join(args)})")

    def constant_array(self, scalar: str, values: Sequence[float | int]) -> Value:
        """A private constant table; equal tables are one. The value is a pointer to its first
        element."""
        text = ", ".join(f"{scalar} {literal(scalar, v)}" for v in values)
        body = f"private unnamed_addr constant [{len(values)} x {scalar}] [{text}], align 64"
        name = f"table_{zlib.crc32(body.encode()):08x}_{len(values)}"
        self.globals[name] = body
        return Value(f"@{name}", "ptr")

    def join(self, other: Module) -> bool:
        """Take over all that ``other`` has; False if both define a name in different ways."""
        for mine, its in ((self.functions, other.functions), (self.globals, other.globals)):
            if any(its[name] != mine[name] for name in its.keys() & mine.keys()):
                return False
        self.functions |= other.functions
        self.globals |= other.globals
        self.declarations = other.declarations | self.declarations
        return True

    def split(self, apart: Collection[str]) -> tuple[Module, Module]:
        """Two modules to be linked into one library: the functions ``apart`` are in the second."""
        parts = Module(), Module()
        for second, part in enumerate(parts):
            part.globals, part.declarations = self.globals, dict(self.declarations)
            for name, text in self.functions.items():
                if (name in apart) == second:
                    part.functions[name] = text.replace("define internal ", "define ", 1)
                else:
                    part.declarations[name] = declaration(text.partition("\n")[0])
        return parts

    def __str__(self) -> str:
        parts = [f"@{name} = {body}" for name, body in self.globals.items()]
        parts += [d for name, d in self.declarations.items() if name not in self.functions]
        parts += self.functions.values()
        return "\n".join(parts) + "\n"


@dataclass(slots=True)
class Loop:
    """One counted loop: ``index`` and ``carry`` inside; set ``next`` before leaving; ``result``
    after."""

    index: Value
    carry: list[Value]
    next: list[Value] = field(default_factory=list)
    result: list[Value] = field(default_factory=list)


class Builder:
    """Writes one function; instructions are appended at the current block.

    >>> m = Module()
    >>> b = Builder(m, "twice", "i64", [("i64", "n")])
    >>> b.ret(b.add(b.args[0], b.args[0]))
    >>> print(m)  # doctest: +ELLIPSIS
    define i64 @twice(i64 %n)...{
    entry:
      %v0 = add i64 %n, %n
      ret i64 %v0
    }
    <BLANKLINE>
    """

    def __init__(
        self,
        module: Module,
        name: str,
        returns: str,
        args: Sequence[tuple[str, str]],
        *,
        linkage: str = "",
        attributes: str = "nounwind",
        arg_attributes: Sequence[str] = (),
    ) -> None:
        self.module = module
        self.name = name
        self.args = [Value(f"%{arg}", type_) for type_, arg in args]
        extra = list(arg_attributes) + [""] * (len(args) - len(arg_attributes))
        spelled = ", ".join(
            f"{type_} {attr + ' ' if attr else ''}%{arg}"
            for (type_, arg), attr in zip(args, extra, strict=True)
        )
        link = linkage + " " if linkage else ""
        self.head = f"define {link}{returns} @{name}({spelled}) {attributes} {{"
        self.lines: list[str] = ["entry:"]
        self.block = "entry"
        self.count = 0
        self.labels = 0

    # ---- values ------------------------------------------------------------------------------

    def const(self, type_: str, value: float | int | bool) -> Value:
        """A constant of a scalar type, or the same constant in every lane of a vector type."""
        lanes, scalar = lanes_of(type_), scalar_of(type_)
        text = literal(scalar, value)
        if lanes == 1:
            return Value(text, type_)
        return Value(f"splat ({scalar} {text})", type_)

    def const_vector(self, scalar: str, values: Sequence[float | int]) -> Value:
        """A constant vector with the given lanes."""
        text = ", ".join(f"{scalar} {literal(scalar, v)}" for v in values)
        return Value(f"<{text}>", vector_type(scalar, len(values)))

    def i64(self, value: int) -> Value:
        return Value(str(value), "i64")

    def emit(self, type_: str, text: str) -> Value:
        """Append one instruction that yields a value of ``type_``."""
        ref = f"%v{self.count}"
        self.count += 1
        self.lines.append(f"  {ref} = {text}")
        return Value(ref, type_)

    def do(self, text: str) -> None:
        """Append one instruction without a result."""
        self.lines.append(f"  {text}")

    # ---- arithmetic --------------------------------------------------------------------------

    def binary(self, op: str, a: Value, b: Value) -> Value:
        return self.emit(a.type, f"{op} {a.type} {a.ref}, {b.ref}")

    def add(self, a: Value, b: Value) -> Value:
        return self.binary("add", a, b)

    def sub(self, a: Value, b: Value) -> Value:
        return self.binary("sub", a, b)

    def mul(self, a: Value, b: Value) -> Value:
        return self.binary("mul", a, b)

    def and_(self, a: Value, b: Value) -> Value:
        return self.binary("and", a, b)

    def or_(self, a: Value, b: Value) -> Value:
        return self.binary("or", a, b)

    def xor(self, a: Value, b: Value) -> Value:
        return self.binary("xor", a, b)

    def shl(self, a: Value, b: Value) -> Value:
        return self.binary("shl", a, b)

    def lshr(self, a: Value, b: Value) -> Value:
        return self.binary("lshr", a, b)

    def ashr(self, a: Value, b: Value) -> Value:
        return self.binary("ashr", a, b)

    def fadd(self, a: Value, b: Value) -> Value:
        return self.binary("fadd", a, b)

    def fsub(self, a: Value, b: Value) -> Value:
        return self.binary("fsub", a, b)

    def fmul(self, a: Value, b: Value) -> Value:
        return self.binary("fmul", a, b)

    def fdiv(self, a: Value, b: Value) -> Value:
        return self.binary("fdiv", a, b)

    def fneg(self, a: Value) -> Value:
        return self.emit(a.type, f"fneg {a.type} {a.ref}")

    def not_(self, a: Value) -> Value:
        return self.xor(a, self.const(a.type, -1 if scalar_of(a.type) != "i1" else True))

    def _mask_type(self, a: Value) -> str:
        return vector_type("i1", lanes_of(a.type))

    def icmp(self, predicate: str, a: Value, b: Value) -> Value:
        return self.emit(self._mask_type(a), f"icmp {predicate} {a.type} {a.ref}, {b.ref}")

    def fcmp(self, predicate: str, a: Value, b: Value) -> Value:
        return self.emit(self._mask_type(a), f"fcmp {predicate} {a.type} {a.ref}, {b.ref}")

    def select(self, mask: Value, a: Value, b: Value) -> Value:
        return self.emit(a.type, f"select {mask}, {a}, {b}")

    def cast(self, op: str, a: Value, scalar: str) -> Value:
        """A conversion instruction (``sitofp``, ``trunc``, ``bitcast``, ...) to ``scalar``,
        lane by lane."""
        to = vector_type(scalar, lanes_of(a.type))
        return a if to == a.type else self.emit(to, f"{op} {a} to {to}")

    # ---- calls -------------------------------------------------------------------------------

    def call(self, name: str, returns: str, args: Sequence[Value]) -> Value:
        """Call a function by name; ``returns == "void"`` gives a value that must not be used."""
        self.module.declare(name, returns, [a.type for a in args])
        text = f"call {returns} @{name}({', '.join(map(str, args))})"
        if returns == "void":
            self.do(text)
            return Value("", "void")
        return self.emit(returns, text)

    def intrinsic(self, stem: str, *args: Value) -> Value:
        """An overloaded intrinsic such as ``llvm.fma``, its suffix taken from the first
        argument."""
        lanes, scalar = lanes_of(args[0].type), scalar_of(args[0].type)
        short = {"float": "f32", "double": "f64", "half": "f16"}.get(scalar, scalar)
        suffix = short if lanes == 1 else f"v{lanes}{short}"
        return self.call(f"{stem}.{suffix}", args[0].type, args)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        return self.intrinsic("llvm.fma", a, b, c)

    # ---- memory ------------------------------------------------------------------------------

    def gep(self, element: str, pointer: Value, index: Value | int) -> Value:
        """The address ``index`` elements of type ``element`` past ``pointer``."""
        i = index if isinstance(index, Value) else self.i64(index)
        return self.emit("ptr", f"getelementptr {element}, ptr {pointer.ref}, {i}")

    def load(self, type_: str, pointer: Value, align: int = 0) -> Value:
        tail = f", align {align}" if align else ""
        return self.emit(type_, f"load {type_}, ptr {pointer.ref}{tail}")

    def store(self, value: Value, pointer: Value, align: int = 0) -> None:
        tail = f", align {align}" if align else ""
        self.do(f"store {value}, ptr {pointer.ref}{tail}")

    # ---- vectors -----------------------------------------------------------------------------

    def splat(self, value: Value, lanes: int) -> Value:
        """The scalar in every lane."""
        if lanes == 1 or lanes_of(value.type) == lanes:
            return value
        if value.ref[0] not in "%@":
            return Value(f"splat ({value.type} {value.ref})", vector_type(value.type, lanes))
        to = vector_type(value.type, lanes)
        one = self.emit(to, f"insertelement {to} poison, {value}, i64 0")
        return self.emit(
            to, f"shufflevector {to} {one.ref}, {to} poison, <{lanes} x i32> zeroinitializer"
        )

    def extract(self, vector: Value, lane: int | Value) -> Value:
        i = lane if isinstance(lane, Value) else self.i64(lane)
        return self.emit(scalar_of(vector.type), f"extractelement {vector}, {i}")

    def insert(self, vector: Value, value: Value, lane: int | Value) -> Value:
        i = lane if isinstance(lane, Value) else self.i64(lane)
        return self.emit(vector.type, f"insertelement {vector}, {value}, {i}")

    def shuffle(self, a: Value, b: Value | None, lanes: Sequence[int]) -> Value:
        to = vector_type(scalar_of(a.type), len(lanes))
        other = b.ref if b is not None else "poison"
        mask = ", ".join(f"i32 {i}" for i in lanes)
        return self.emit(to, f"shufflevector {a}, {a.type} {other}, <{len(lanes)} x i32> <{mask}>")

    # ---- control -----------------------------------------------------------------------------

    def label(self, stem: str) -> str:
        self.labels += 1
        return f"{stem}{self.labels}"

    def start(self, label: str) -> None:
        """Begin the block ``label``; the block before must already have ended in a branch."""
        self.lines.append(f"{label}:")
        self.block = label

    def jump(self, label: str) -> None:
        self.do(f"br label %{label}")

    def branch(self, cond: Value, yes: str, no: str) -> None:
        self.do(f"br i1 {cond.ref}, label %{yes}, label %{no}")

    def phi(self, type_: str, incoming: Sequence[tuple[Value, str]]) -> Value:
        """A phi node; must come first in its block."""
        return self.emit(
            type_, f"phi {type_} " + ", ".join(f"[ {v.ref}, %{l} ]" for v, l in incoming)
        )

    def opaque(self, value: Value) -> Value:
        """The same value, of which LLVM's analysis of induction variables sees nothing.

        A loop that steps so is left alone by LLVM's loop strength reduction, which takes a quarter
        of the time of code generation and gains nothing where addresses are an index away from
        their base. Instruction selection folds both conversions at once.
        """
        if value.type == "i64":
            return self.cast("bitcast", self.cast("bitcast", value, "double"), "i64")
        if value.type == "ptr":
            return self.cast("inttoptr", self.cast("ptrtoint", value, "i64"), "ptr")
        return value

    @contextmanager
    def loop(
        self,
        start: Value,
        stop: Value,
        step: Value | int,
        carry: Sequence[Value] = (),
        *,
        reduced: bool = False,
    ) -> Iterator[Loop]:
        """``for index in range(start, stop, step)`` with ``step > 0``; tested at the bottom,
        guarded once.

        Inside, read ``loop.index`` and ``loop.carry`` and set ``loop.next`` (as long as ``carry``);
        afterwards ``loop.result`` holds the final values. ``reduced``: LLVM may step addresses
        in place of multiplying the index (see `opaque`); for tight loops that stride.
        """
        by = step if isinstance(step, Value) else self.i64(step)
        body, done, before = self.label("loop"), self.label("done"), self.block
        self.branch(self.icmp("slt", start, stop), body, done)
        self.start(body)
        place = len(self.lines)
        names = [f"%v{self.count + k}" for k in range(1 + len(carry))]
        self.count += len(names)
        state = Loop(
            Value(names[0], start.type),
            [Value(n, c.type) for n, c in zip(names[1:], carry, strict=True)],
        )
        yield state
        following = self.add(state.index, by)
        around = [v if reduced else self.opaque(v) for v in (following, *state.next)]
        latch = self.block
        self.branch(self.icmp("slt", following, stop), body, done)
        phis = [
            f"  {name} = phi {first.type} [ {first.ref}, %{before} ], [ {after.ref}, %{latch} ]"
            for name, first, after in zip(names, (start, *carry), around, strict=True)
        ]
        self.lines[place:place] = phis
        self.start(done)
        state.result = [
            self.phi(first.type, [(first, before), (after, latch)])
            for first, after in zip(carry, state.next, strict=True)
        ]

    @contextmanager
    def when(self, cond: Value) -> Iterator[None]:
        """The block runs where ``cond`` holds."""
        yes, end = self.label("then"), self.label("end")
        self.branch(cond, yes, end)
        self.start(yes)
        yield
        self.jump(end)
        self.start(end)

    def choose(
        self,
        cond: Value,
        then: Callable[[], Sequence[Value]],
        otherwise: Callable[[], Sequence[Value]],
    ) -> list[Value]:
        """Run one of two branches and merge the values they return."""
        yes, no, end = self.label("then"), self.label("else"), self.label("end")
        self.branch(cond, yes, no)
        self.start(yes)
        a = then()
        from_yes = self.block
        self.jump(end)
        self.start(no)
        b = otherwise()
        from_no = self.block
        self.jump(end)
        self.start(end)
        return [self.phi(x.type, [(x, from_yes), (y, from_no)]) for x, y in zip(a, b, strict=True)]

    def ret(self, value: Value | None = None) -> None:
        """Return, and file the finished function in the module when its last block has ended."""
        self.do(f"ret {value}" if value is not None else "ret void")
        self.module.functions[self.name] = "\n".join([self.head, *self.lines, "}"])


def kernel_function(module: Module, name: str) -> Builder:
    """Begin ``i64 @name(ptr args, i64 begin, i64 end)``, the form of every kernel.

    ``args`` is a table of 8-byte arguments. A kernel whose work falls into several independent
    units does those from ``begin`` up to ``end``; any other has the one unit 0. However the units
    are dealt out, and in whatever order or at once, every result has the same bits. The answer is
    0, or a status that names what failed.
    """
    return Builder(module, name, "i64", [("ptr", "args"), ("i64", "begin"), ("i64", "end")])
